"""How much memory a stage takes at its peak, from sizes alone.

Training is largest when the gradient sets out on its way back. There are then, in memory: the weights, in the precision
in which they are held and as they are laid out for products; gradients and Adam's two moments of all that trains;
what every layer that the gradient passes keeps for it; and what the layer at work makes for a moment. Beside them, on a
CPU, the process itself. What the layers keep is counted tensor by tensor, as the code of the engine, of the library's
modules and of bitsandbytes keeps it. Under a frozen backbone a product keeps nothing, since the gradient of its input
needs its matrix alone; where the matrix trains, it keeps its input.

Counted is the largest batch that the settings allow: `tokens_per_batch` subwords, in texts of `max_length`. Files that
are only mapped into memory (encoded data, states of the lowest layers) are not counted, as the system takes them back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapterstilts import compose
from adapterstilts.backbones import Sizes
from adapterstilts.paths import ENGINE
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.sizes import adapter_numbers
from adapterstilts.specs import (
    MODEL,
    NOTHING,
    SELF,
    AdapterSpec,
    Evaluate,
    FullFinetune,
    TrainAdapter,
    TrainingSpec,
    TrainingStage,
)

SpecOf = Callable[[str], Mapping[str, Any]]
"""The canonical spec of a stage by its key."""

_FP32 = 4
# Measured on Linux with two Zen 5 cores and torch 2.13: Python, torch, the library and the kernels that oneDNN compiles
# and keeps (`adapterstilts.machine`); and a tokenizer, for each of its subwords.
_PROCESS, _SUBWORD = 440 << 20, 1160
# Blocks that come and go leave gaps in a process's memory. Measured: in training this share of what the layers keep;
# and, as every batch has other sizes, this share more after so many batches, but no more than so many fp32 states of
# each token and layer; in an evaluation this multiple of what the layer at work makes.
_GAPS_AMONG_KEPT, _GAPS_OF_SIZES, _GAPS_STATES = 0.3, 1.75, 13
_GAPS_GROW_FOR = 20
_GAPS_IN_EVALUATION = 3
# A driver's context and torch's kernels, in the machine's memory: a usual figure, not measured here.
_CUDA_PROCESS = 3 << 30
# What cuBLAS sets aside for its products, on the device.
_CUDA_WORKSPACE = 64 << 20
# Bytes a number of a layer's matrices; 4 bits come with one fp32 scale for each 64 numbers.
_HELD = {"none": 4.0, "8bit": 1.0, "4bit": 0.5 + 4 / 64}
# Subwords that a masked model is asked for, at once (`adapterstilts.model.heads`) and of a text.
_TOLD_AT_ONCE, _TOLD_SHARE = 128, 0.15
# Scores over the vocabulary, their logarithms, and the gradients of both.
_TOLD_COPIES = 4
# On a CPU the engine multiplies attention out in bf16, and in fp32 for texts that are shorter.
_FUSED_FROM = 128
# What adapters without a bottleneck keep of a token in a layer, in hidden states.
_KEPT_INPUTS = {"lora": 5, "ia3": 9, "prefix_tuning": 4, "mam": 4}
_PLACES = {"seq_bn": 1, "double_seq_bn": 2, "compacter": 2, "par_bn": 1, "mam": 1}
_FIRST_TOKEN_KINDS = frozenset(
    {"classification", "multilabel", "regression", "multiple_choice", "multi_select"}
)
_ELSEWHERE = AdapterSpec("seq_bn", 16)


@dataclass(frozen=True)
class Memory:
    """What a stage takes, in bytes.

    Attributes:
        weights: of the backbone and of all that stands on it, in all their copies.
        state: gradients and moments of what trains, and the best state so far.
        kept: what the layers keep for the gradient of the largest batch.
        work: what the layer at work makes for a moment.
        gaps: between blocks of all sizes, where a process's memory holds them.
        process: Python and the libraries, where they share the memory.
        loading: the most that is needed before the first batch, the process included.
        beside: the machine's memory, where it is not the machine that computes.
    """

    weights: int
    state: int
    kept: int
    work: int
    gaps: int
    process: int
    loading: int
    beside: int = 0

    @property
    def peak(self) -> int:
        """The most at any time, in the memory of the device that computes."""
        computing = self.weights + self.state + self.kept + self.work + self.gaps + self.process
        return max(self.loading, computing)

    @property
    def host(self) -> int:
        """The most of the machine's own memory."""
        return self.beside or self.peak


@dataclass(frozen=True)
class _Part:
    """One adapter of a stack, or several fused.

    Attributes:
        adapters: their settings.
        trains: whether it, or the fusion, trains.
    """

    adapters: Sequence[AdapterSpec]
    trains: bool

    @property
    def fused(self) -> bool:
        return len(self.adapters) > 1

    @property
    def lowest(self) -> int:
        return min(adapter.skip_layers for adapter in self.adapters)


@dataclass(frozen=True)
class _Way:
    """A stage as far as its memory depends on it; see `adapterstilts.specs` for the words.

    Attributes:
        sizes: of the backbone.
        engine: whether the engine computes it, in place of the library.
        number: bytes of a number in products.
        quantize: of the backbone.
        whole: whether the backbone trains.
        dropout: whether its own dropout is active.
        cuda: whether a GPU computes it.
        checkpointing: whether a layer's inside is computed again for its gradient.
        tokens: of the largest batch.
        length: of its texts.
        first_only: whether only the first tokens pass the last layer.
        parts: what stands on the layers.
    """

    sizes: Sizes
    engine: bool
    number: int
    quantize: str
    whole: bool
    dropout: bool
    cuda: bool
    checkpointing: bool
    tokens: int
    length: int
    first_only: bool
    parts: Sequence[_Part]

    @property
    def norm_number(self) -> int:
        """Bytes of a number between the products; the library's autocast leaves these in fp32."""
        return self.number if self.engine else _FP32

    @property
    def fused_attention(self) -> bool:
        """Whether attention keeps no share of each token in each other."""
        return self.engine and (self.cuda or (self.number == _FP32 and self.length >= _FUSED_FROM))

    @property
    def lowest(self) -> int:
        """The lowest layer with something that trains; as many as there are where only a head does."""
        if self.whole:
            return 0
        return min((part.lowest for part in self.parts if part.trains), default=self.sizes.layers)


def memory_of(
    stage: Stage,
    spec_of: SpecOf,
    sizes: Sizes | None,
    device: str,
    *,
    checkpointing: bool = False,
    batches: int | None = None,
) -> Memory | None:
    """Return what a stage takes in a process of its own; None for one that loads no backbone, or one of unknown sizes.

    Args:
        stage: of a plan.
        spec_of: tells the specs of its inputs.
        sizes: of the backbone.
        device: ``cpu`` or ``cuda``.
        checkpointing: whether a layer's inside is computed again for its gradient.
        batches: that are computed, where they are known; on a CPU their sizes leave gaps.
    """
    spec: Any = stage.spec
    if sizes is None or not hasattr(spec, "backbone"):
        return None
    if not hasattr(spec, "numerics"):
        weights = _held(sizes, spec.backbone.quantize)
        return _memory(sizes, device, weights)
    way = _way(stage, spec_of, sizes, device, checkpointing)
    training = spec.training if isinstance(spec, TrainingStage) else None
    trained = _trained(spec, way)
    weights = _weights(way, training=training is not None, trained=trained)
    # What is read to be copied or quantised lies beside what comes of it.
    copied = way.whole and (training is None or spec.continues)
    read = 1 if copied or way.quantize != "none" else 0
    grown = 1.0 if batches is None else min(1.0, batches / _GAPS_GROW_FOR)
    if training is None:
        work = _work(way, training=False)
        return _memory(sizes, device, weights, work=work, gaps=grown * _GAPS_IN_EVALUATION * work, read=read)
    best = 2 * trained * _FP32 if training.evaluations else 0
    kept = _kept(way) + _kept_by_heads(spec, way)
    most = _GAPS_STATES * way.tokens * sizes.layers * sizes.hidden * _FP32
    return _memory(
        sizes,
        device,
        weights,
        state=3 * trained * _FP32 + (0 if way.cuda else best),
        kept=kept,
        work=_work(way, training=True) + _told(spec, way),
        gaps=_GAPS_AMONG_KEPT * kept + grown * min(_GAPS_OF_SIZES * kept, most),
        read=read,
        best=best,
    )


def _memory(
    sizes: Sizes,
    device: str,
    weights: float,
    *,
    state: int = 0,
    kept: float = 0,
    work: float = 0,
    gaps: float = 0,
    read: int = 0,
    best: int = 0,
) -> Memory:
    file = (sizes.matrices + sizes.others) * _FP32
    if device == "cuda":
        host = _CUDA_PROCESS + (1 + read) * file + best
        return Memory(
            int(weights),
            state,
            int(kept),
            int(work) + _CUDA_WORKSPACE,
            gaps=0,
            process=0,
            loading=0,
            beside=host,
        )
    process = _PROCESS + _SUBWORD * sizes.vocabulary
    loading = process + int(weights) + read * file
    return Memory(int(weights), state, int(kept), int(work), int(gaps), process, loading)


def _way(stage: Stage, spec_of: SpecOf, sizes: Sizes, device: str, checkpointing: bool) -> _Way:
    spec: Any = stage.spec
    own: TrainingSpec | Evaluate = spec.training if isinstance(spec, TrainingStage) else spec
    kinds = [spec.data.kind] if isinstance(spec, Evaluate) else [task.kind for task in spec.data]
    return _Way(
        sizes,
        engine=spec.numerics.path == ENGINE,
        number=2 if spec.numerics.precision == "bf16" else _FP32,
        quantize=spec.backbone.quantize,
        whole=is_whole(stage, spec_of),
        dropout=isinstance(own, TrainingSpec) and own.backbone_dropout,
        cuda=device == "cuda",
        checkpointing=checkpointing,
        tokens=max(own.tokens_per_batch, own.max_length),
        length=own.max_length,
        first_only=spec.numerics.path == ENGINE and _FIRST_TOKEN_KINDS.issuperset(kinds),
        parts=_parts(stage, spec_of),
    )


# ---- what stands on the layers


def is_whole(stage: Stage, spec_of: SpecOf) -> bool:
    """Whether the whole model trains, or one is read that did."""
    kinds = [stage.spec.kind] + [
        str(spec_of(stage.inputs[role])["kind"]) for role in (MODEL,) if role in stage.inputs
    ]
    return "full_finetune" in kinds


def adapters_of(stage: Stage, spec_of: SpecOf) -> list[AdapterSpec]:
    """Return the settings of all adapters in a stage's own composition."""
    return [adapter for part in _parts(stage, spec_of) for adapter in part.adapters]


def _parts(stage: Stage, spec_of: SpecOf) -> list[_Part]:
    composition = getattr(stage.spec, "composition", NOTHING)
    if composition in (NOTHING, MODEL):
        return []
    expression = compose.parse(composition)
    children: Sequence[compose.Expression] = (expression,)
    if isinstance(expression, compose.Group) and expression.function == "stack":
        children = expression.children
    trains = isinstance(stage.spec, TrainingStage)
    made = {name: _adapter(name, stage, spec_of) for name in compose.leaves(expression)}
    parts = []
    for child in children:
        names = compose.leaves(child)
        parts.append(_Part([made[name] for name in names], trains and (len(names) > 1 or names == (SELF,))))
    return parts


def _adapter(name: str, stage: Stage, spec_of: SpecOf) -> AdapterSpec:
    """Return the settings of an adapter in a composition; usual ones for one that only its files know."""
    if name == SELF:
        assert isinstance(stage.spec, TrainAdapter)
        return stage.spec.adapter
    found = spec_of(stage.inputs[name]).get("adapter")
    if found is None:
        return _ELSEWHERE
    return AdapterSpec(found["config"], found["reduction_factor"], found["skip_layers"])


def _trained(spec: Any, way: _Way) -> int:
    """Return how many numbers train."""
    sizes = way.sizes
    if isinstance(spec, Evaluate):
        return 0
    heads = sum(sizes.hidden**2 + sizes.hidden * max(2, len(task.labels)) for task in spec.data)
    if isinstance(spec, FullFinetune):
        return sizes.matrices + sizes.others + heads
    own = sum(adapter_numbers(spec.adapter, sizes) or 0 for part in way.parts if _has_self(part, spec))
    fusions = sum(3 * sizes.hidden**2 * (sizes.layers - part.lowest) for part in way.parts if part.fused)
    return heads + own + fusions


def _has_self(part: _Part, spec: Any) -> bool:
    return isinstance(spec, TrainAdapter) and part.trains and not part.fused


# ---- weights


def _held(sizes: Sizes, quantize: str) -> float:
    return sizes.matrices * _HELD[quantize] + sizes.others * _FP32


def _weights(way: _Way, *, training: bool, trained: int) -> float:
    """Return the bytes of all copies of the weights."""
    sizes = way.sizes
    if way.whole:
        # The pretrained ones stay for the next stage; autocast keeps those that train in bf16 as well.
        rounded = sizes.matrices * 2 if way.number == 2 and training else 0
        return (
            2 * _held(sizes, "none") + rounded + (trained - sizes.matrices - sizes.others) * training * _FP32
        )
    standing = sum(adapter_numbers(one, sizes) or 0 for part in way.parts for one in part.adapters) * _FP32
    above = max(0, sizes.layers - way.lowest - 1) / sizes.layers if training else 0.0
    if way.engine:
        # Laid out for the product, and again for the gradient.
        laid_out = sizes.matrices * way.number * (1 + above)
    else:
        # Autocast rounds what is frozen at each product, which keeps the rounded matrix for the gradient.
        laid_out = sizes.matrices * 2 * above if way.number == 2 and way.quantize == "none" else 0.0
    return _held(sizes, way.quantize) + laid_out + standing + trained * _FP32


# ---- what the layers keep


def _kept(way: _Way) -> float:
    """Return the bytes that all layers keep for the gradient of a batch."""
    layers, hidden = way.sizes.layers, way.sizes.hidden
    own = _kept_by_attention(way) + _kept_between(way)
    # The lowest layer that trains is passed from its adapter on alone.
    passed = layers if way.whole else max(0, layers - way.lowest - 1)
    each = [_kept_by_part(part, way) for part in way.parts]
    above = [max(0, layers - max(part.lowest, way.lowest)) for part in way.parts]
    if way.first_only and passed:
        # Of the last layer only keys and values are kept of all tokens.
        passed, above = passed - 1, [count - 1 for count in above]
        last = 2 * hidden * way.number
    else:
        last = 0
    if way.checkpointing:
        inside = own + sum(each)
        return way.tokens * (passed * hidden * way.norm_number + inside)
    return way.tokens * (passed * own + sum(n * one for n, one in zip(above, each, strict=True)) + last)


def _kept_by_attention(way: _Way) -> float:
    """Return the bytes a token: queries, keys, values, and what every head gives to every other token."""
    reads = 3 * way.sizes.hidden * way.number
    if way.fused_attention:
        return reads + way.sizes.hidden * way.number
    shares = way.sizes.heads * way.length
    if way.engine:
        return reads + shares * way.number
    # The library's softmax is in fp32, and rounded for the product.
    kept = shares * (_FP32 + (way.number if way.number < _FP32 else 0))
    # On a CPU dropout keeps numbers, on a GPU bytes; and what is left of the shares.
    noise = shares * ((1 if way.cuda else _FP32) + _FP32) if way.dropout else 0
    return reads + kept + noise


def _kept_between(way: _Way) -> float:
    """Return the bytes a token outside attention: inputs of norms, of the activation, and of products that train."""
    hidden, inner, number = way.sizes.hidden, way.sizes.inner, way.number
    if way.quantize == "8bit":
        # Each product keeps its input, whatever trains, and none of them is rounded by autocast.
        return (2 * hidden + 2 * inner + 3 * hidden) * _FP32
    kept = 2 * hidden * way.norm_number + inner * number
    if way.whole:
        # Autocast rounds the input of queries, keys and values three times.
        inputs = 3 if number < _FP32 else 1
        kept += ((inputs + 2) * hidden + inner) * number
    if way.dropout:
        kept += 2 * hidden * (1 if way.cuda else number)
    return kept


def _kept_by_part(part: _Part, way: _Way) -> float:
    """Return the bytes a token in a layer."""
    hidden, number, norm = way.sizes.hidden, way.number, way.norm_number
    if not part.fused:
        return sum(_kept_by_adapter(adapter, part.trains, way) for adapter in part.adapters)
    count = len(part.adapters)
    bottlenecks = sum(hidden // adapter.reduction_factor for adapter in part.adapters)
    if way.engine:
        # The bottlenecks, their fp32 copy, their weights and their mix.
        return hidden * (norm + number) + bottlenecks * (2 * number + 2 * _FP32)
    # Outputs of all adapters, as they are and stacked, their keys and their values.
    return hidden * (norm + 2 * number + 4 * count * number) + bottlenecks * number


def _kept_by_adapter(adapter: AdapterSpec, trains: bool, way: _Way) -> float:
    hidden, places = way.sizes.hidden, _PLACES.get(adapter.config, 0)
    kept = _KEPT_INPUTS.get(adapter.config, 0) * hidden * way.number
    inside = hidden // adapter.reduction_factor * way.number
    # The input of the norm, that of the first product, and that of the second.
    return kept + places * (hidden * way.norm_number + (hidden * way.number if trains else 0) + inside)


def _kept_by_heads(spec: Any, way: _Way) -> float:
    """Return the bytes of the last states, in fp32, where every token has an answer."""
    if way.first_only or all(task.kind == "mlm" for task in spec.data):
        return 0
    return 2 * way.tokens * way.sizes.hidden * _FP32


# ---- what is there for a moment


def _work(way: _Way, *, training: bool) -> float:
    hidden, inner, number = way.sizes.hidden, way.sizes.inner, way.number
    shares = 0 if way.fused_attention else way.sizes.heads * way.length
    # Of the feed-forward block the widened states and their activation; in training, gradients of both.
    forward = (2 * inner + hidden) * (_FP32 if way.quantize == "8bit" else number)
    # Gradients of the shares, in fp32: before, after and within the softmax.
    attention = (4 if training else 6) * hidden * number + shares * (3 if training else 2) * _FP32
    # A quantised matrix is unpacked for each product.
    unpacked = 0 if way.quantize == "none" else 2 * hidden * inner * _FP32
    return way.tokens * max(forward, attention) + unpacked


def _told(spec: Any, way: _Way) -> float:
    """Return the bytes of the scores of hidden subwords over the whole vocabulary."""
    if not any(task.kind == "mlm" for task in spec.data):
        return 0
    told = min(_TOLD_AT_ONCE, _TOLD_SHARE * way.tokens)
    rounded = way.sizes.vocabulary * way.sizes.hidden * 2 if way.number < _FP32 else 0
    return told * way.sizes.vocabulary * _TOLD_COPIES * _FP32 + rounded

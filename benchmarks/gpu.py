"""XLM-R Large on a GPU, with random weights: memory as the plan expects it and as it is, speed, and whether it learns.

    python -m benchmarks.gpu --out FILE.json [--steps 40] [--tokens 16384] [--size large|tiny] [--device cuda|cpu]

Nothing is downloaded: the backbone is written with random weights, its tokenizer knows some hundred words, and the
class of a text is told by its words. Each stage is the real one, from a recipe, in a process of its own: an adapter, a
fusion and the whole model, by the engine and by the library's modules, in fp32, bf16, 8 and 4 bits. What the plan
expects of them is printed before anything is computed. A setting that fails is told with its reason; the others go on.

Of the arithmetic limit counts what a subword costs at the least: 2 operations a weight of the layers' matrices for the
answer, 4 under a frozen backbone, 6 where all trains, over the rate of a large product here in the same precision.

In the end attention of texts of mixed lengths, forward and backward: padded to the longest of the batch, as the engine
does it, and packed without padding (torch's nested tensors).
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from adapterstilts.backbones import DEFAULT_MODEL, KNOWN, Sizes, sizes_of
from adapterstilts.errors import AdapterStiltsError
from adapterstilts.files import replace_text
from adapterstilts.machine import cores, device_memory, find_device, quantization_fault, versions
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.estimate import Throughput, batches_of, estimate
from adapterstilts.runner.memory import Memory, memory_of
from adapterstilts.runner.prepare import Options, Prepared, local_backbone
from adapterstilts.specs import Precision, TrainingStage
from adapterstilts.store.digest import canonical
from benchmarks.apart import Taken, take
from benchmarks.ours import CLASSES, MAX_LENGTH, Job, random_adapters

SIZES: Mapping[str, Sizes] = {
    "large": KNOWN[DEFAULT_MODEL].sizes,
    "tiny": Sizes(layers=3, hidden=64, heads=4, inner=128, vocabulary=400, positions=MAX_LENGTH + 2),
}
_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
_WORDS = {name: tuple(f"{name}{n}" for n in range(40)) for name in (*CLASSES, "some")}
_OPERATIONS = {"evaluate": 2, "full_finetune": 6}
_FROZEN_OPERATIONS = 4
# Steps in which a process gets warm.
_COLD = 3


@dataclass(frozen=True)
class Way:
    """How a model is trained and read.

    Attributes:
        name: for a reader.
        method: of the recipe.
        precision: of the products.
        quantize: of the backbone.
        path: ``auto`` for the engine, where it can.
    """

    name: str
    method: str
    precision: Precision
    quantize: str = "none"
    path: str = "auto"

    @property
    def training(self) -> dict[str, Any]:
        """Settings of the recipe's stages."""
        return {"path": self.path, "learning_rate": 1e-4 if self.method == "full_finetune" else 1e-3}


_FUSION = "fuse(one, two, target)"
WAYS: Sequence[Way] = (
    Way("engine bf16", "target", "bf16"),
    Way("engine fp32", "target", "fp32"),
    Way("engine bf16 fusion", _FUSION, "bf16"),
    Way("library bf16", "target", "bf16", path="library"),
    Way("library fp32", "target", "fp32", path="library"),
    Way("library bf16 fusion", _FUSION, "bf16", path="library"),
    Way("whole bf16", "full_finetune", "bf16"),
    Way("whole fp32", "full_finetune", "fp32"),
    Way("8bit bf16", "target", "bf16", "8bit"),
    Way("8bit fp32", "target", "fp32", "8bit"),
    Way("4bit bf16", "target", "bf16", "4bit"),
)


@dataclass(frozen=True)
class Row:
    """One stage: what was expected, and what was found.

    Attributes:
        way: its name.
        kind: of the stage.
        path: that computes it.
        expected: bytes at the peak, from the plan.
        parts: what they are made of.
        measured: bytes at the peak; None where it failed.
        tokens_per_second: of steps that are warm, or of the whole evaluation.
        share: of the arithmetic limit.
        loss: mean of the first and of the last quarter of the steps.
        failed: why there is nothing to tell.
    """

    way: str
    kind: str
    path: str
    expected: int
    parts: Mapping[str, int]
    measured: int | None = None
    tokens_per_second: float | None = None
    share: float | None = None
    loss: tuple[float, float] | None = None
    failed: str = ""

    @property
    def learns(self) -> bool | None:
        """Whether the loss goes down; None for what does not train."""
        return None if self.loss is None else self.loss[1] < self.loss[0]


# ---- what is computed


def write_backbone(folder: Path, sizes: Sizes) -> Path:
    """Write an XLM-R with random weights as a model folder, with a tokenizer of whole words; return the folder."""
    import torch
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.processors import TemplateProcessing
    from transformers import XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    config = XLMRobertaConfig(
        num_hidden_layers=sizes.layers,
        hidden_size=sizes.hidden,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.inner,
        vocab_size=sizes.vocabulary,
        max_position_embeddings=sizes.positions,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    words = (*_SPECIALS, *(word for own in _WORDS.values() for word in own), "<mask>")
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in (*_SPECIALS, "<mask>")])
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "XLMRobertaTokenizerFast",
        **{
            f"{name}_token": token
            for name, token in zip(("bos", "pad", "eos", "unk"), _SPECIALS, strict=True)
        },
        "cls_token": "<s>",
        "sep_token": "</s>",
        "mask_token": "<mask>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def write_texts(count: int) -> list[str]:
    """Return texts of mixed lengths whose words tell their class; some are as long as texts may be."""
    chance = random.Random(0)
    found = []
    for number in range(count):
        length = MAX_LENGTH if number % 8 == 0 else chance.randint(8, MAX_LENGTH)
        own = _WORDS[CLASSES[number % len(CLASSES)]]
        found.append(
            " ".join(chance.choice(own if chance.random() < 0.5 else _WORDS["some"]) for _ in range(length))
        )
    return found


def planned(
    folder: Path, backbone: Path, adapters: Mapping[str, Path], way: Way, given: argparse.Namespace
) -> Prepared:
    """Return the recipe of a way, written and planned."""
    texts = write_texts(given.texts)
    job = Job(
        folder,
        backbone,
        texts,
        texts[: given.texts // 4],
        [way.method],
        way.precision,
        given.tokens,
        pretrained=adapters if "fuse(" in way.method else {},
        quantize=way.quantize,
        training={**way.training, "steps": given.steps},
        options=Options(device=given.device, threads=given.threads),
    )
    return job.prepared()


def expected(prepared: Prepared) -> Iterator[tuple[Stage, Memory | None]]:
    """Yield the stages of a recipe, and what the plan says of their memory."""
    stages = prepared.plan.stages
    spec_of = functools.cache(lambda key: canonical(stages[key].spec))
    sizes = sizes_of(prepared.recipe.file.backbone.model, local_backbone(prepared.recipe))
    throughput = Throughput(prepared.store)
    for stage in stages.values():
        batches = batches_of(stage, estimate(stage, throughput, prepared.device, prepared.roots, stages))
        yield stage, memory_of(stage, spec_of, sizes, prepared.device, batches=batches)


# ---- what is measured


def measure(way: Way, prepared: Prepared, limits: Mapping[str, float], sizes: Sizes) -> Iterator[Row]:
    """Run the stages of a way one after the other, each in a process of its own; yield those that compute."""
    failed = quantization_fault(way.quantize, prepared.device)
    reason = "" if failed is None else failed.what
    for stage, memory in expected(prepared):
        taken = None
        if not reason:
            try:
                taken = take(prepared, stage)
            except AdapterStiltsError as error:
                reason = str(error)
        if memory is not None and hasattr(stage.spec, "numerics"):
            row = Row(way.name, stage.spec.kind, stage.path, memory.peak, vars(memory), failed=reason)
            yield row if taken is None else _found(row, stage, taken, limits[way.precision], sizes)


def _found(row: Row, stage: Stage, taken: Taken, limit: float, sizes: Sizes) -> Row:
    tokens, rate = int(taken.results["tokens_seen"]), 0.0
    loss = None
    if isinstance(stage.spec, TrainingStage):
        quarter = max(1, len(taken.losses) // 4)
        loss = (fmean(taken.losses[:quarter]), fmean(taken.losses[-quarter:]))
        rate = tokens / len(taken.losses) / median(taken.seconds[_COLD:] or taken.seconds)
    else:
        rate = tokens / float(taken.results["seconds"])
    operations = _OPERATIONS.get(stage.spec.kind, _FROZEN_OPERATIONS) * sizes.matrices
    share = rate * operations / limit
    return replace(row, measured=taken.peak, tokens_per_second=rate, share=share, loss=loss)


def limits_of(device: str) -> dict[str, float]:
    """Return precision -> operations a second of a large product."""
    import torch

    size = 8192 if device == "cuda" else 512
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        matrix = torch.randn(size, size, device=device).to(dtype)
        found[name] = 2 * size**3 / seconds_of(lambda by=matrix: by @ by, device)  # type: ignore[misc]
    return found


def seconds_of(work: Callable[[], object], device: str, repetitions: int = 7) -> float:
    """Return the usual seconds of some work, which is warm."""
    import torch

    found = []
    for _ in range(repetitions + 2):
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return median(found[2:])


def attention_ways(sizes: Sizes, device: str, tokens: int) -> dict[str, float | str]:
    """Return milliseconds of a layer's attention in bf16 with its gradient, padded and packed, or why not."""
    import torch

    lengths = torch.tensor([len(text.split()) for text in write_texts(max(4, 2 * tokens // MAX_LENGTH))])
    values = torch.randn(
        int(lengths.sum()), 3 * sizes.hidden, device=device, dtype=torch.bfloat16
    ).requires_grad_()
    found: dict[str, float | str] = {
        "real subwords": float(lengths.sum()),
        "padded subwords": float(len(lengths) * lengths.max()),
    }
    outputs = {}
    for name, attend in (("padded", _padded), ("packed", _packed)):
        try:
            compute = attend(values, lengths.to(device), sizes.heads)
            outputs[name] = compute().detach()
            found[f"{name} ms"] = 1e3 * seconds_of(lambda one=compute: one().sum().backward(), device)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - nested tensors are a prototype, which may raise anything
            found[f"{name} ms"] = f"refused: {type(error).__name__}: {error}".splitlines()[0]
    with suppress(KeyError):
        found["largest difference"] = float((outputs["padded"] - outputs["packed"]).abs().max())
    return found


def _padded(values: Any, lengths: Any, heads: int) -> Callable[[], Any]:
    """Return attention as the engine computes it."""
    import torch

    from adapterstilts.data.tensors import Batch
    from adapterstilts.engine import attention
    from adapterstilts.engine.packing import Packing

    mask = (torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]).long()
    packing = Packing.of(Batch(mask, mask, (1,) * len(lengths), ("",) * len(lengths)))
    key_mask = attention.key_mask(packing, values.dtype)
    return lambda: attention.all_tokens(values, packing, key_mask, heads)


def _packed(values: Any, lengths: Any, heads: int) -> Callable[[], Any]:
    """Return attention over nested tensors, without any padding."""
    import torch
    import torch.nn.functional as F

    offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
    longest = int(lengths.max())

    def compute() -> Any:
        parts = values.view(len(values), 3, heads, -1).unbind(1)
        query, key, value = (
            torch.nested.nested_tensor_from_jagged(one.contiguous(), offsets, max_seqlen=longest).transpose(
                1, 2
            )
            for one in parts
        )
        read = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        return read.values().flatten(1)

    return compute


# ---- for people and programs


def surroundings(device: str) -> dict[str, Any]:
    """Return what the figures depend on."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return {"device": name, "memory": device_memory(device), "versions": dict(versions())}


def line_expected(way: Way, stage: Stage, memory: Memory) -> str:
    """Return a line for a reader, before anything was measured."""
    parts = " ".join(f"{name} {value / 1e9:.2f}" for name, value in vars(memory).items() if value)
    return f"{way.name:20} {stage.spec.kind:14} {stage.path:10} {memory.peak / 1e9:8.2f} GB  ({parts})"


def line(row: Row) -> str:
    """Return a line for a reader."""
    start = f"{row.way:20} {row.kind:14} {row.path:10} {row.expected / 1e9:8.2f}"
    if row.measured is None or row.tokens_per_second is None or row.share is None:
        return f"{start}  {row.failed}"
    loss = "" if row.loss is None else f"{row.loss[0]:6.3f} {row.loss[1]:6.3f}"
    return (
        f"{start} {row.measured / 1e9:8.2f} {row.expected / row.measured:6.2f} "
        f"{row.tokens_per_second:11,.0f} {row.share:6.1%} {loss}"
    )


_HEADER = (
    f"{'way':20} {'stage':14} {'path':10} {'plan GB':>8} {'real GB':>8} {'ratio':>6} {'subwords/s':>11} "
    f"{'limit':>6} {'loss, first and last':>6}"
)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Expect, measure and print; return all of it."""
    find_device(given.device)
    sizes = SIZES[given.size]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        backbone = write_backbone(folder / "backbone", sizes)
        made = random_adapters(backbone, folder / "adapters", 2)
        adapters = dict(zip(("one", "two"), made.values(), strict=True))
        chosen = [way for way in WAYS if not given.only or way.name in given.only]
        recipes = {
            way: planned(folder / f"way{n}", backbone, adapters, way, given) for n, way in enumerate(chosen)
        }
        facts, limits = surroundings(given.device), limits_of(given.device)
        print(
            f"{facts['device']}, {', '.join(f'{name} {rate / 1e12:.1f} TFLOP/s' for name, rate in limits.items())}"
        )
        print("\nexpected")
        for way, prepared in recipes.items():
            for stage, memory in expected(prepared):
                if memory is not None and hasattr(stage.spec, "numerics"):
                    print(line_expected(way, stage, memory))
        print(f"\nmeasured\n{_HEADER}")
        rows = []
        for way, prepared in recipes.items():
            for row in measure(way, prepared, limits, sizes):
                rows.append(row)
                print(line(row), flush=True)
    attention = attention_ways(sizes, given.device, given.tokens)
    print("\nattention of one layer: " + ", ".join(f"{name} {value}" for name, value in attention.items()))
    return {
        "benchmark": "gpu",
        "surroundings": facts,
        "operations_per_second": limits,
        "given": {"size": given.size, "steps": given.steps, "tokens": given.tokens, "texts": given.texts},
        "rows": [{**asdict(row), "learns": row.learns} for row in rows],
        "attention": attention,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code: 4 without a GPU, 5 where a setting failed or did not learn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="large", help="of the backbone")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--steps", type=int, default=40, help="of each training")
    parser.add_argument("--tokens", type=int, default=16384, help="subwords a batch")
    parser.add_argument("--texts", type=int, default=2048, help="that are trained on")
    parser.add_argument("--threads", type=int, default=cores(), help="of torch")
    parser.add_argument("--only", nargs="+", choices=[way.name for way in WAYS], help="of all settings")
    parser.add_argument("--out", type=Path, help="file for the result as JSON")
    given = parser.parse_args(arguments)
    try:
        found = run(given)
    except AdapterStiltsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.out is not None:
        replace_text(given.out, json.dumps(found, indent=1) + "\n")
    return 5 if any(row["failed"] or row["learns"] is False for row in found["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())

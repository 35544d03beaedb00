"""One call that sets composition, head, freezing and mode, and asserts what trains.

The library leaves these to separate calls with silent gaps between them: heads stay trainable, the active
head goes stale, ``train_adapter`` of a stack trains all of it, names match by prefix. Here a `Blueprint`
says what is wanted, `assembled` puts exactly that on the backbone, and takes everything off again.

Names in memory are fixed, so that no name of a user can collide with another or with a module: the stage's
inputs are ``x0_``, ``x1_`` ..., and what trains (adapter and head) is ``trained``; several heads are ``task0_``,
``task1_`` ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from adapterstilts import compose
from adapterstilts.data.batches import derive_seed
from adapterstilts.data.masking import mask
from adapterstilts.data.tensors import Batch
from adapterstilts.errors import AdapterStiltsError, Fault
from adapterstilts.model.backbone import Backbone, quiet_library
from adapterstilts.model.heads import HEADS, MASKED, HeadKind, add_masked_head, masked_loss
from adapterstilts.specs import SELF, AdapterSpec

TRAINED = "trained"
ADAPTER_FOLDER = "adapter"
FUSION_FOLDER = "fusion"
HEAD_FOLDER = "head"
HEADS_FOLDER = "heads"
# The composition of the bare backbone; it is outside the grammar of recipes.
_NOTHING = "stack()"
_VERIFY = "run `adapterstilts store verify`"


class AssemblyError(AdapterStiltsError):
    """The library did something else than what was asked for; nothing is computed then."""

    exit_code = 5


@dataclass(frozen=True)
class HeadSpec:
    """An output layer: the task's kind and its labels."""

    kind: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Blueprint:
    """What stands on the backbone.

    Attributes:
        composition: over ``x0`` ... and ``self``; ``stack()`` for nothing.
        inputs: position -> folder of a saved adapter.
        trained: folder of a stage's own saved parts (adapter, fusion, head), None for fresh ones.
        adapter: the fresh adapter, where ``self`` is in the composition and `trained` is None.
        heads: the output layers, one a task; none for hidden states only.
        seed: with `role`, initialises what is fresh.
        role: see `adapterstilts.specs`.
    """

    composition: str
    inputs: Mapping[str, Path] = field(default_factory=dict)
    trained: Path | None = None
    adapter: AdapterSpec | None = None
    heads: tuple[HeadSpec, ...] = ()
    seed: int = 0
    role: str = "target"


@dataclass
class Assembly:
    """A backbone with adapters, fusion and head in place.

    Attributes:
        backbone: what they stand on.
        blueprint: what was asked for.
        fusion: the library's name of the fusion layer, None without one.
    """

    backbone: Backbone
    blueprint: Blueprint
    fusion: str | None

    @property
    def model(self) -> Any:
        """The library's model."""
        return self.backbone.model

    def head(self, task: int = 0) -> HeadKind:
        """Return what is known of the head of a task.

        Raises:
            AssemblyError: when nothing but the backbone and adapters stands here.
        """
        if not self.blueprint.heads:
            raise AssemblyError(Fault(self.blueprint.composition, "has no head"))
        return HEADS[self.blueprint.heads[task].kind]

    def logits(self, batch: Batch, task: int = 0) -> Tensor:
        """Return a head's scores; their first axis is the batch's sequences (`adapterstilts.model.heads`)."""
        output = self.model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            head=head_name(self.blueprint.heads, task),
        )
        return self.head(task).logits(output)

    def loss(self, batch: Batch, task: int = 0, seed: int = 0) -> Tensor:
        """Return the mean loss over a batch of a task, a scalar; `seed` decides which subwords are masked."""
        if self.blueprint.heads[task].kind != MASKED:
            return self.head(task).loss(self.logits(batch, task), batch)
        mask_id = self.backbone.tokenizer.mask_token_id
        masked = mask(batch, mask_id, vocabulary=mask_id, seed=seed)
        output = self.model.base_model(input_ids=masked.input_ids, attention_mask=batch.attention_mask)
        head = self.model.heads[head_name(self.blueprint.heads, task)]
        return masked_loss(head, output[0][masked.chosen], masked.answers)

    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """Return hidden state `layer`, ``(sequences, length, hidden)``; 0 is the embeddings."""
        output = self.model.base_model(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=True
        )
        state: Tensor = output.hidden_states[layer]
        return state

    def regulariser(self) -> Tensor | None:
        """Return the fusion's value regulariser (Pfeiffer et al. 2021), None without a trained fusion."""
        if self.fusion is None:
            return None
        loss: Tensor | None = self.model.base_model.get_fusion_regularization_loss()
        return loss

    def save(self, folder: Path) -> None:
        """Write adapter, fusion and head, as far as they train here, in the library's layout."""
        model = self.model
        # The library makes one folder, not its parents.
        folder.mkdir(parents=True, exist_ok=True)
        if _has_self(self.blueprint.composition):
            model.save_adapter(str(folder / ADAPTER_FOLDER), TRAINED, with_head=False, use_safetensors=True)
        if self.fusion is not None:
            model.save_adapter_fusion(str(folder / FUSION_FOLDER), self.fusion, use_safetensors=True)
        self.save_head(folder)

    def save_head(self, folder: Path) -> None:
        """Write the heads in the library's layout; one of masked language modelling has no later use."""
        heads = self.blueprint.heads
        for task, head in enumerate(heads):
            if head.kind != MASKED:
                place = head_folder(folder, heads, task)
                place.parent.mkdir(parents=True, exist_ok=True)
                self.model.save_head(str(place), head_name(heads, task), use_safetensors=True)


def head_name(heads: Sequence[HeadSpec], task: int) -> str:
    """Return a head's name in memory; none is the beginning of another, which the library would save as well."""
    return TRAINED if len(heads) == 1 else f"task{task}_"


def head_folder(folder: Path, heads: Sequence[HeadSpec], task: int) -> Path:
    """Return where a stage's artifact holds a head."""
    return folder / HEAD_FOLDER if len(heads) == 1 else folder / HEADS_FOLDER / str(task)


@contextmanager
def assembled(backbone: Backbone, blueprint: Blueprint) -> Iterator[Assembly]:
    """Put a blueprint on the backbone, in evaluation mode and all frozen; take it off at the end."""
    with quiet_library():
        try:
            fused = _put_on(backbone.model, blueprint)
            backbone.model.to(backbone.device)
            yield Assembly(backbone, blueprint, fused)
        finally:
            _clear(backbone.model)


def _put_on(model: Any, blueprint: Blueprint) -> str | None:
    """Add what the blueprint names, activate it, freeze all; return the library's name of the fusion."""
    _add_adapters(model, blueprint)
    fused = _add_fusion(model, blueprint)
    for task in range(len(blueprint.heads)):
        _add_head(model, blueprint, task)
    model.set_active_adapters(library_composition(blueprint.composition))
    model.active_head = head_name(blueprint.heads, 0) if blueprint.heads else None
    model.requires_grad_(False)
    model.eval()
    return fused


def library_composition(text: str) -> Any:
    """Return the library's composition block, or None for ``stack()``."""
    if text == _NOTHING:
        return None
    return _block(compose.parse(text))


def _has_self(composition: str) -> bool:
    """Whether a fresh adapter of the stage itself is in the composition."""
    return composition != _NOTHING and SELF in compose.leaves(compose.parse(composition))


def _block(expression: compose.Expression) -> Any:
    from adapters.composition import Fuse, Stack

    if isinstance(expression, compose.Leaf):
        return memory_name(expression.name)
    blocks = {"stack": Stack, "fuse": Fuse}
    return blocks[expression.function](*(_block(child) for child in expression.children))


def memory_name(position: str) -> str:
    """Return the name in memory of a position; the underscore keeps ``x1`` from being a prefix of ``x10``."""
    return TRAINED if position == SELF else f"{position}_"


def _add_adapters(model: Any, blueprint: Blueprint) -> None:
    for position, folder in blueprint.inputs.items():
        _load_adapter(model, folder, memory_name(position))
    if not _has_self(blueprint.composition):
        return
    if blueprint.trained is not None:
        _load_adapter(model, blueprint.trained / ADAPTER_FOLDER, TRAINED)
    elif blueprint.adapter is not None:
        torch.manual_seed(derive_seed(blueprint.seed, blueprint.role, "adapter"))
        model.add_adapter(TRAINED, config=_adapter_config(blueprint.adapter))


def _adapter_config(spec: AdapterSpec) -> Any:
    from adapters import AdapterConfig

    leave_out = list(range(spec.skip_layers))
    return AdapterConfig.load(spec.config, reduction_factor=spec.reduction_factor, leave_out=leave_out)


def _load_adapter(model: Any, folder: Path, name: str) -> None:
    saved = _tensor_names(folder, "adapter")
    # The library would load whatever the file holds, weights of the backbone too, and miss nothing.
    marks = {match.group() for key in saved if (match := re.search(r"\.adapters\.[^.]+\.", key))}
    mark = marks.pop() if len(marks) == 1 else ""
    if not mark or not all(mark in key for key in saved):
        raise AssemblyError(Fault(str(folder), "holds something else than one adapter", _VERIFY))
    try:
        model.load_adapter(str(folder), load_as=name, with_head=False, use_safetensors=True)
    except RuntimeError as error:
        raise AssemblyError(Fault(str(folder), "its adapter has another shape", _VERIFY)) from error
    own = f".adapters.{name}."
    if {key.replace(mark, own) for key in saved} != {
        key for key, _ in model.named_parameters() if own in key
    }:
        raise AssemblyError(Fault(str(folder), "its adapter does not fit the backbone's layers", _VERIFY))


def _tensor_names(folder: Path, what: str) -> set[str]:
    """Return the names in a part's weights file; the library would look on a hub for a folder that is not there."""
    file = {"adapter": "adapter", "fusion": "model_adapter_fusion", "head": "model_head"}[what]
    path = folder / f"{file}.safetensors"
    if not path.is_file():
        raise AssemblyError(Fault(str(folder), f"holds no {what}", _VERIFY))
    with safe_open(str(path), framework="pt") as weights:
        return set(weights.keys())


def _fuse(expression: compose.Expression) -> compose.Group | None:
    if isinstance(expression, compose.Leaf):
        return None
    if expression.function == "fuse":
        return expression
    return next((found for child in expression.children if (found := _fuse(child)) is not None), None)


def _add_fusion(model: Any, blueprint: Blueprint) -> str | None:
    if "fuse(" not in blueprint.composition:
        return None
    group = _fuse(compose.parse(blueprint.composition))
    if group is None:
        return None
    block = _block(group)
    if blueprint.trained is not None:
        folder = blueprint.trained / FUSION_FOLDER
        _tensor_names(folder, "fusion")
        model.load_adapter_fusion(str(folder), use_safetensors=True)
    else:
        torch.manual_seed(derive_seed(blueprint.seed, blueprint.role, "fusion"))
        model.add_adapter_fusion(block)
    return str(block.name)


def _add_head(model: Any, blueprint: Blueprint, task: int) -> None:
    head, name = blueprint.heads[task], head_name(blueprint.heads, task)
    torch.manual_seed(derive_seed(blueprint.seed, blueprint.role, "head" if task == 0 else f"head {task}"))
    if head.kind == MASKED:
        add_masked_head(model, name)
    elif blueprint.trained is not None:
        folder = head_folder(blueprint.trained, blueprint.heads, task)
        _tensor_names(folder, "head")
        model.load_head(str(folder), load_as=name, use_safetensors=True)
    else:
        HEADS[head.kind].add(model, name, head.labels)


def _clear(model: Any) -> None:
    """Take everything off; also what an assembly that failed half-way has put on."""
    model.set_active_adapters(None)
    for name in list(model.adapters_config.fusions):
        model.delete_adapter_fusion(name)
    for name in list(model.adapters_config.adapters):
        model.delete_adapter(name)
    for name in list(model.heads):
        model.delete_head(name)
    model.active_head = None
    model.requires_grad_(False)
    model.eval()


# ---- what trains


def unfreeze(assembly: Assembly, *, full: bool) -> dict[str, nn.Parameter]:
    """Make exactly the intended parameters trainable and set training mode.

    Args:
        assembly: what stands on the backbone.
        full: whether the backbone itself trains (full fine-tuning).

    Returns:
        Name -> parameter of what trains: the adapter ``trained``, fusion layers and the head, or the whole model.

    Raises:
        AssemblyError: when nothing would train, or the library holds something else trainable.
    """
    patterns = [*_head_patterns(assembly), *(_FULL if full else _adapter_patterns(assembly))]
    wanted = {}
    for name, parameter in assembly.model.named_parameters():
        chosen = any(pattern.search(name) for pattern in patterns)
        parameter.requires_grad_(chosen)
        if chosen:
            wanted[name] = parameter
    assembly.model.train()
    missing = [pattern.pattern for pattern in patterns if not any(pattern.search(name) for name in wanted)]
    if missing or not wanted:
        what = f"nothing to train for {', '.join(missing) or 'any part'}"
        raise AssemblyError(Fault(assembly.blueprint.composition, what))
    trainable = {name for name, parameter in assembly.model.named_parameters() if parameter.requires_grad}
    if trainable != set(wanted):
        extra = sorted(trainable ^ set(wanted))[:3]
        raise AssemblyError(Fault(assembly.blueprint.composition, f"the trainable set differs: {extra}"))
    return wanted


# The pooler is a random layer that no head reads.
_FULL = (re.compile(r"^roberta\.(?!pooler\.)"),)


def _head_patterns(assembly: Assembly) -> list[re.Pattern[str]]:
    heads = assembly.blueprint.heads
    return [re.compile(rf"^heads\.{head_name(heads, task)}\.") for task in range(len(heads))]


def _adapter_patterns(assembly: Assembly) -> list[re.Pattern[str]]:
    patterns = []
    if _has_self(assembly.blueprint.composition):
        patterns.append(re.compile(rf"\.adapters\.{TRAINED}\."))
    if assembly.fusion is not None:
        patterns.append(re.compile(rf"\.adapter_fusion_layer\.{re.escape(assembly.fusion)}\."))
    return patterns


def backbone_dropouts(model: Any) -> list[nn.Dropout]:
    """Return the dropouts of the library's model that are the backbone's own."""
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Dropout) and name.startswith("roberta.") and "adapter" not in name
    ]


@contextmanager
def without_backbone_dropout(assembly: Assembly) -> Iterator[None]:
    """Switch the backbone's own dropout off; the head's and the fusion's stay."""
    dropouts = backbone_dropouts(assembly.model)
    rates = [module.p for module in dropouts]
    for module in dropouts:
        module.p = 0.0
    try:
        yield
    finally:
        for module, rate in zip(dropouts, rates, strict=True):
            module.p = rate


def trainable_size(parameters: Mapping[str, nn.Parameter] | Sequence[nn.Parameter]) -> int:
    """Return the number of numbers in the parameters."""
    values = parameters.values() if isinstance(parameters, Mapping) else parameters
    return sum(parameter.numel() for parameter in values)

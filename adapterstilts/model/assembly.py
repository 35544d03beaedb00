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
from torch import Tensor, nn

from adapterstilts.data.batches import derive_seed
from adapterstilts.data.encoding.columns import IGNORED
from adapterstilts.data.masking import TOLD, mask
from adapterstilts.data.tensors import Batch
from adapterstilts.errors import Fault
from adapterstilts.model import composing
from adapterstilts.model.backbone import Backbone, quiet_library
from adapterstilts.model.blocks import (
    TRAINED,
    block_of,
    fusion_in,
    has_self,
    library_composition,
    memory_name,
    places_of,
    refuse,
)
from adapterstilts.model.configs import holders_of, library_config
from adapterstilts.model.faults import AssemblyError
from adapterstilts.model.heads import HEADS, MASKED, HeadKind, add_masked_head, masked_loss, told
from adapterstilts.model.parts import (
    ADDED,
    adapter_mark,
    fusion_mark,
    head_mark,
    parameters_of,
    read_adapter,
    read_fusion,
    read_head,
    write_adapter,
    write_fusion,
    write_head,
)
from adapterstilts.model.quantized import settle, unchanged
from adapterstilts.specs import AdapterSpec

ADAPTER_FOLDER = "adapter"
FUSION_FOLDER = "fusion"
HEAD_FOLDER = "head"
HEADS_FOLDER = "heads"


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
        fresh_head: whether the heads are fresh ones although `trained` is given.
    """

    composition: str
    inputs: Mapping[str, Path] = field(default_factory=dict)
    trained: Path | None = None
    adapter: AdapterSpec | None = None
    heads: tuple[HeadSpec, ...] = ()
    seed: int = 0
    role: str = "target"
    fresh_head: bool = False


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

    def loss(self, batch: Batch, task: int = 0, seed: int = 0, units: Sequence[int] | None = None) -> Tensor:
        """Return the mean loss over a batch of a task, a scalar.

        Args:
            batch: of the task.
            task: whose head is asked.
            seed: decides which subwords of the batch are masked.
            units: places in the batch; what they add to its mean loss is returned in place of all of it, so that
                the parts of several processes sum up to the whole.
        """
        masked = self.blueprint.heads[task].kind == MASKED
        if masked:
            mask_id = self.backbone.tokenizer.mask_token_id
            batch = mask(batch, mask_id, vocabulary=mask_id, seed=seed)
        if units is None:
            return self._mean_loss(batch, task)
        count = told if masked else self.head(task).counted
        own = batch.part(units)
        items, counted = count(batch), count(own)
        if items == 0:
            # There is no mean to share out; whatever one process makes of it, each makes.
            return self._mean_loss(batch, task)
        if counted == 0:
            return torch.zeros((), device=batch.input_ids.device)
        return self._mean_loss(own, task) * (counted / items)

    def _mean_loss(self, batch: Batch, task: int) -> Tensor:
        """Return the mean loss over a batch, which is masked where the task is to tell hidden subwords."""
        if self.blueprint.heads[task].kind != MASKED:
            return self.head(task).loss(self.logits(batch, task), batch)
        head = self.model.heads[head_name(self.blueprint.heads, task)]
        answers = batch.per_token[TOLD]
        return masked_loss(head, self._told(batch), answers[answers != IGNORED])

    def _told(self, batch: Batch) -> Tensor:
        """Return the last states of a masked batch's hidden subwords, ``(told, hidden)``."""
        output = self.model.base_model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        states: Tensor = output[0][batch.per_token[TOLD] != IGNORED]
        return states

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
        if has_self(self.blueprint.composition):
            write_adapter(self.model, TRAINED, folder / ADAPTER_FOLDER)
        if self.fusion is not None:
            write_fusion(self.model, self.fusion, folder / FUSION_FOLDER)
        self.save_head(folder)

    def save_head(self, folder: Path) -> None:
        """Write the heads in the library's layout; one of masked language modelling has no later use."""
        heads = self.blueprint.heads
        for task, head in enumerate(heads):
            if head.kind != MASKED:
                write_head(self.model, head_name(heads, task), head_folder(folder, heads, task))


def head_name(heads: Sequence[HeadSpec], task: int) -> str:
    """Return a head's name in memory; none is the beginning of another, which the library would save as well."""
    return TRAINED if len(heads) == 1 else f"task{task}_"


def head_folder(folder: Path, heads: Sequence[HeadSpec], task: int) -> Path:
    """Return where a stage's artifact holds a head."""
    return folder / HEAD_FOLDER if len(heads) == 1 else folder / HEADS_FOLDER / str(task)


@contextmanager
def assembled(backbone: Backbone, blueprint: Blueprint, *, checkpointing: bool = False) -> Iterator[Assembly]:
    """Put a blueprint on the backbone, in evaluation mode and all frozen; take it off at the end.

    Args:
        backbone: what is stood on.
        blueprint: what is put there.
        checkpointing: whether training computes the inside of each layer again for its gradient, in place of keeping
            it: less memory for more time, and the same gradients to the bit.

    Raises:
        AssemblyError: when a part is not what it should be, or the composition cannot be had with these adapters.
    """
    with quiet_library(), unchanged(backbone.model):
        try:
            fused = _put_on(backbone.model, blueprint)
            settle(backbone.model, backbone.device)
            if checkpointing:
                backbone.model.gradient_checkpointing_enable()
                # The library lets gradients run down to the embeddings, which nothing needs.
                backbone.model.disable_input_require_grads()
            yield Assembly(backbone, blueprint, fused)
        finally:
            _clear(backbone.model)


def _put_on(model: Any, blueprint: Blueprint) -> str | None:
    """Add what the blueprint names, activate it, freeze all; return the library's name of the fusion."""
    _add_adapters(model, blueprint)
    refuse(model, blueprint.composition, masked=any(head.kind == MASKED for head in blueprint.heads))
    fused = _add_fusion(model, blueprint)
    for task in range(len(blueprint.heads)):
        _add_head(model, blueprint, task)
    model.set_active_adapters(library_composition(blueprint.composition))
    model.active_head = head_name(blueprint.heads, 0) if blueprint.heads else None
    composing.install(model)
    model.requires_grad_(False)
    model.eval()
    return fused


def _add_adapters(model: Any, blueprint: Blueprint) -> None:
    for position, folder in blueprint.inputs.items():
        read_adapter(model, folder, memory_name(position))
        _still(model, memory_name(position))
    if not has_self(blueprint.composition):
        return
    if blueprint.trained is not None:
        read_adapter(model, blueprint.trained / ADAPTER_FOLDER, TRAINED)
    elif blueprint.adapter is not None:
        add_fresh_adapter(model, blueprint.adapter, blueprint.seed, blueprint.role)


def add_fresh_adapter(model: Any, spec: AdapterSpec, seed: int, role: str) -> None:
    """Put an untrained adapter on the model; seed and role alone decide its numbers."""
    config = library_config(spec, model.config.hidden_size)
    torch.manual_seed(derive_seed(seed, role, "adapter"))
    model.add_adapter(TRAINED, config=config)


def _still(model: Any, name: str) -> None:
    """Switch an adapter's own dropout off: what is frozen always answers the same."""
    mark = adapter_mark(name)
    for place, module in model.named_modules():
        if isinstance(module, nn.Dropout) and mark.search(place):
            module.p = 0.0


# ---- fusion and heads


def _add_fusion(model: Any, blueprint: Blueprint) -> str | None:
    group = fusion_in(blueprint.composition)
    if group is None:
        return None
    name, places = str(block_of(group).name), places_of(model, group)

    def add(config: Any = None) -> None:
        # The library takes no stack here, only the names of last adapters, which also make the fusion's name.
        model.add_adapter_fusion(name.split(","), config=config, name=name)
        for place, module in model.named_modules():
            # It adds a fusion to layers without any adapter, too.
            if hasattr(module, "adapter_fusion_layer") and f"{place}." not in places:
                module.delete_fusion_layer(name)

    if blueprint.trained is not None:
        read_fusion(model, blueprint.trained / FUSION_FOLDER, name, add)
    else:
        torch.manual_seed(derive_seed(blueprint.seed, blueprint.role, "fusion"))
        add()
    return name


def _add_head(model: Any, blueprint: Blueprint, task: int) -> None:
    head, name = blueprint.heads[task], head_name(blueprint.heads, task)
    torch.manual_seed(derive_seed(blueprint.seed, blueprint.role, "head" if task == 0 else f"head {task}"))
    if head.kind == MASKED:
        add_masked_head(model, name)
        return
    HEADS[head.kind].add(model, name, head.labels)
    if blueprint.trained is not None and not blueprint.fresh_head:
        read_head(model, head_folder(blueprint.trained, blueprint.heads, task), name)


def _clear(model: Any) -> None:
    """Take everything off; also what an assembly that failed half-way has put on."""
    composing.uninstall(model)
    if model.is_gradient_checkpointing:
        model.gradient_checkpointing_disable()
    model.set_active_adapters(None)
    for name in list(model.adapters_config.fusions):
        model.delete_adapter_fusion(name)
    for name in list(model.adapters_config.adapters):
        model.delete_adapter(name)
    for name in list(model.heads):
        model.delete_head(name)
    for forgotten in ("config_map", "fusion_config_map", "fusion_name_map"):
        getattr(model.adapters_config, forgotten).clear()
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
    model, composition = assembly.model, assembly.blueprint.composition
    marks = [*_head_marks(assembly), *(_FULL if full else _adapter_marks(assembly))]
    parameters = parameters_of(model)
    wanted = {n: parameter for n, parameter in parameters.items() if any(mark.search(n) for mark in marks)}
    missing = [mark.pattern for mark in marks if not any(mark.search(name) for name in wanted)]
    if missing or not wanted:
        what = f"nothing to train for {', '.join(missing) or 'any part'}"
        raise AssemblyError(Fault(composition, what))
    model.requires_grad_(False)
    for parameter in wanted.values():
        parameter.requires_grad_(True)
    model.train()
    trainable = {name for name, parameter in parameters.items() if parameter.requires_grad}
    if trainable != set(wanted):
        extra = sorted(trainable ^ set(wanted))[:3]
        raise AssemblyError(Fault(composition, f"the trainable set differs: {extra}"))
    return wanted


# The pooler is a random layer that no head reads.
_FULL = (re.compile(r"^roberta\.(?!pooler\.)"),)


def _head_marks(assembly: Assembly) -> list[re.Pattern[str]]:
    heads = assembly.blueprint.heads
    return [head_mark(head_name(heads, task)) for task in range(len(heads))]


def _adapter_marks(assembly: Assembly) -> list[re.Pattern[str]]:
    """Return what the names of all that trains besides heads have in them; each has to be found."""
    marks = []
    if has_self(assembly.blueprint.composition):
        config = assembly.model.adapters_config.get(TRAINED).to_dict()
        marks += [adapter_mark(TRAINED, holder) for holder in holders_of(config)]
    if assembly.fusion is not None:
        marks.append(fusion_mark(assembly.fusion))
    return marks


def backbone_dropouts(model: Any) -> list[nn.Dropout]:
    """Return the dropouts of the library's model that are the backbone's own."""
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Dropout) and name.startswith("roberta.") and not ADDED.search(name)
    ]


@contextmanager
def without_backbone_dropout(assembly: Assembly) -> Iterator[None]:
    """Switch the backbone's own dropout off; those of heads, adapters and the fusion stay."""
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

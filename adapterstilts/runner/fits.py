"""Whether a stage fits into memory, and what would make it fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapterstilts.backbones import Sizes
from adapterstilts.machine import cuda_devices, device_memory
from adapterstilts.methods import quantizable
from adapterstilts.paths import LIBRARY
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.memory import Memory, SpecOf, adapters_of, is_whole, memory_of
from adapterstilts.specs import Evaluate, TrainAdapter, TrainingStage


@dataclass(frozen=True)
class Room:
    """What there is for one stage.

    Attributes:
        device: ``cpu`` or ``cuda``.
        sizes: of the backbone; None where they are not known.
        on_device: bytes of the device's memory; None where nobody knows.
        on_host: the same of the machine's own.
        checkpointing: whether a layer's inside is computed again for its gradient.
    """

    device: str
    sizes: Sizes | None
    on_device: int | None
    on_host: int | None
    checkpointing: bool = False

    @classmethod
    def here(cls, device: str, sizes: Sizes | None, workers: int, *, checkpointing: bool) -> Room:
        """Return what this machine has for each of the stages that it runs side by side."""
        host, own = device_memory("cpu"), device_memory(device)
        sharing = -(-workers // max(1, len(cuda_devices()))) if device == "cuda" else workers
        return cls(device, sizes, own and own // sharing, host and host // workers, checkpointing)

    def memory(self, stage: Stage, spec_of: SpecOf, batches: int | None) -> Memory | None:
        """Return what a stage takes; see `memory_of`."""
        return memory_of(
            stage, spec_of, self.sizes, self.device, checkpointing=self.checkpointing, batches=batches
        )

    def holds(self, memory: Memory) -> bool | None:
        """Whether there is room; None where nobody knows."""
        if self.on_device is None or self.on_host is None:
            return None
        return memory.peak <= self.on_device and memory.host <= self.on_host


@dataclass(frozen=True)
class Remedy:
    """Changes of settings.

    Attributes:
        change: for a reader.
        memory: what the stage then takes.
        enough: whether it then fits.
    """

    change: str
    memory: Memory
    enough: bool


def remedies(stage: Stage, spec_of: SpecOf, room: Room, batches: int | None = None) -> list[Remedy]:
    """Return which change alone makes a stage fit, the mildest first; where none does, several together.

    Args:
        stage: that does not fit.
        spec_of: see `memory_of`.
        room: that it has.
        batches: see `memory_of`.
    """
    case = _Case(stage, spec_of, room, batches)
    tried = [[one.tried() for one in change(case)] for change in _CHANGES]
    alone = [next((remedy for remedy in own if remedy.enough), None) for own in tried]
    return [remedy for remedy in alone if remedy is not None] or _together(case)


@dataclass(frozen=True)
class _Case:
    """A stage with changed settings.

    Attributes:
        stage: as changed.
        spec_of: see `memory_of`.
        room: as changed.
        batches: see `memory_of`.
        change: the last one, for a reader.
    """

    stage: Stage
    spec_of: SpecOf
    room: Room
    batches: int | None
    change: str = ""

    def tried(self) -> Remedy:
        memory = self.room.memory(self.stage, self.spec_of, self.batches)
        assert memory is not None
        return Remedy(self.change, memory, bool(self.room.holds(memory)))

    def changed(self, change: str, **fields: Any) -> _Case:
        return replace(
            self, change=change, stage=replace(self.stage, spec=replace(self.stage.spec, **fields))
        )


def _together(case: _Case) -> list[Remedy]:
    """Return one change after the other, each at its strongest, until the stage fits or nothing is left to change."""
    said: list[str] = []
    last: Remedy | None = None
    for change in _CHANGES:
        cases = change(case)
        if cases and not (last and last.enough):
            case = cases[-1]
            last = case.tried()
            said.append(case.change)
    return [replace(last, change=", ".join(said))] if last else []


# ---- the changes, the mildest first: what changes no bit, the rounding, the backbone, the adapter


def _checkpointed(case: _Case) -> list[_Case]:
    if case.room.checkpointing or not isinstance(case.stage.spec, TrainingStage):
        return []
    return [replace(case, room=replace(case.room, checkpointing=True), change="--gradient-checkpointing")]


def _smaller_batches(case: _Case) -> list[_Case]:
    """Halve the batch down to a single text, with as many examples a step where it trains."""
    spec: Any = case.stage.spec
    own = spec.training if isinstance(spec, TrainingStage) else spec
    cases, parts = [], 2
    while own.tokens_per_batch // parts >= own.max_length:
        tokens = own.tokens_per_batch // parts
        change = f"tokens_per_batch: {tokens}"
        if isinstance(spec, Evaluate):
            cases.append(case.changed(change, tokens_per_batch=tokens))
        else:
            accumulate = own.accumulate * parts
            training = replace(own, tokens_per_batch=tokens, accumulate=accumulate)
            cases.append(case.changed(f"{change} with accumulate: {accumulate}", training=training))
        parts *= 2
    return cases


def _rounded(case: _Case) -> list[_Case]:
    numerics = getattr(case.stage.spec, "numerics", None)
    if numerics is None or numerics.precision == "bf16":
        return []
    return [case.changed("precision: bf16", numerics=replace(numerics, precision="bf16"))]


def _quantized(case: _Case) -> list[_Case]:
    spec: Any = case.stage.spec
    there = spec.backbone.quantize != "none" or is_whole(case.stage, case.spec_of)
    if there or not all(quantizable(one.config) for one in adapters_of(case.stage, case.spec_of)):
        return []
    numerics = replace(spec.numerics, path=LIBRARY)
    bits = ("8bit", "4bit") if case.room.device == "cuda" else ("8bit",)
    return [
        case.changed(f"quantize: {one}", numerics=numerics, backbone=replace(spec.backbone, quantize=one))
        for one in bits
    ]


def _fewer_layers(case: _Case) -> list[_Case]:
    spec = case.stage.spec
    if not isinstance(spec, TrainAdapter) or case.room.sizes is None:
        return []
    layers = case.room.sizes.layers
    wanted = [n for n in (layers // 2, layers * 3 // 4) if n > spec.adapter.skip_layers]
    return [case.changed(f"skip_layers: {n}", adapter=replace(spec.adapter, skip_layers=n)) for n in wanted]


_CHANGES: Sequence[Callable[[_Case], list[_Case]]] = (
    _checkpointed,
    _smaller_batches,
    _rounded,
    _quantized,
    _fewer_layers,
)

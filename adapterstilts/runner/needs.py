"""What a stage needs of a machine, so that a cluster puts no more on a node than it can bear."""

from __future__ import annotations

from dataclasses import dataclass

from adapterstilts.backbones import Sizes
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.memory import SpecOf, memory_of

# An estimate of memory is that good, and a node that is too full kills what runs on it.
_MARGIN = 1.25
# These work on files alone.
_NO_DEVICE = ("average",)


@dataclass(frozen=True)
class Needs:
    """Of one stage.

    Attributes:
        cpus: threads that compute.
        gpus: devices.
        memory: bytes of the machine's memory; None where the backbone's size is not known.
    """

    cpus: int
    gpus: int
    memory: int | None


def needs_of(
    stage: Stage,
    spec_of: SpecOf,
    sizes: Sizes | None,
    *,
    threads: int,
    device: str,
    checkpointing: bool = False,
) -> Needs:
    """Return what a stage needs.

    Args:
        stage: of a plan.
        spec_of: tells the specs of its inputs.
        sizes: of the backbone; None where they are not known.
        threads: that compute.
        device: ``cpu`` or ``cuda``; on the latter only the loading takes the machine's own memory.
        checkpointing: whether a layer's inside is computed again for its gradient.
    """
    gpus = int(device == "cuda" and stage.spec.kind not in _NO_DEVICE)
    memory = memory_of(stage, spec_of, sizes, device, checkpointing=checkpointing)
    return Needs(threads, gpus, None if memory is None else int(_MARGIN * memory.host))

"""What a stage needs of a machine, so that a cluster puts no more on a node than it can bear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapterstilts.backbones import KNOWN
from adapterstilts.recipe.plan import Stage

_BYTES_PER_FLOAT = 4
# Python, torch, the data, activations.
_PROCESS_BYTES = 2 << 30
# Beside the pretrained weights, a whole model that trains has its own, their gradients and Adam's two moments.
_WHOLE_COPIES = 5
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


def needs_of(stage: Stage, threads: int, device: str) -> Needs:
    """Return what a stage needs.

    Args:
        stage: of a plan.
        threads: that compute.
        device: ``cpu`` or ``cuda``; on the latter the optimiser's state lies in the device's memory.
    """
    spec: Any = stage.spec
    gpus = int(device == "cuda" and spec.kind not in _NO_DEVICE)
    known = KNOWN.get(spec.backbone.model) if hasattr(spec, "backbone") else None
    if known is None:
        return Needs(threads, gpus, None)
    copies = _WHOLE_COPIES if spec.kind == "full_finetune" and not gpus else 1
    return Needs(threads, gpus, _PROCESS_BYTES + copies * known.parameters * _BYTES_PER_FLOAT)

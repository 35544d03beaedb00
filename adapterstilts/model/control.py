"""A control: an adapter as it starts, never trained."""

from __future__ import annotations

from pathlib import Path

from adapterstilts.errors import Fault
from adapterstilts.methods import METHODS
from adapterstilts.model.assembly import Blueprint, assembled, trainable_size, unfreeze
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.faults import AssemblyError
from adapterstilts.specs import AdapterSpec

_ROLE = "random"


def write_random_adapter(backbone: Backbone, spec: AdapterSpec, seed: int, folder: Path) -> int:
    """Write a fresh adapter into the folder of a stage's artifact, as a trained one is.

    Args:
        backbone: on which it would stand.
        spec: the adapter that it is a control for.
        seed: alone decides its numbers; no trained adapter starts with the same ones.
        folder: takes a folder ``adapter``.

    Returns:
        Number of parameters.

    Raises:
        AssemblyError: for a configuration that changes nothing before it is trained.
    """
    if spec.config in METHODS and METHODS[spec.config].idle:
        what = f"a fresh {spec.config} changes nothing, so it is no control"
        raise AssemblyError(Fault("random", what, "leave `random` out, or take seq_bn or double_seq_bn"))
    with assembled(backbone, Blueprint("self", adapter=spec, seed=seed, role=_ROLE)) as assembly:
        parameters = unfreeze(assembly, full=False)
        assembly.save(folder)
        return trainable_size(parameters)

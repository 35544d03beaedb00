"""Every method in every composition: stopped in the middle and gone on with, training ends with the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from references.setups import SPECS, VERIFIED, blueprint_of, write_inputs
from torch import Tensor
from toys import toy

from adapterstilts.data.batches import Schedule
from adapterstilts.errors import Interrupted
from adapterstilts.model.assembly import Blueprint, assembled, unfreeze
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import Numerics, TrainingSpec
from adapterstilts.stages.training import _Model
from adapterstilts.training.loop import Control, fit

CPU = torch.device("cpu")
STEPS, STOPPED = 4, 2
# Dropout stays on, so that the generators' state matters as well.
TRAINING = TrainingSpec(
    steps=STEPS,
    epochs=1,
    tokens_per_batch=48,
    max_length=16,
    learning_rate=1e-2,
    warmup=0.25,
    weight_decay=0.01,
    max_grad_norm=1.0,
    backbone_dropout=True,
)


@pytest.fixture(scope="module")
def inputs(
    shared_backbone: Backbone, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, dict[str, Path]]:
    """Method -> position -> folder of a saved adapter that does something."""
    folder = tmp_path_factory.mktemp("inputs")
    return {name: write_inputs(shared_backbone, spec, folder / name) for name, spec in SPECS.items()}


def train(backbone: Backbone, blueprint: Blueprint, control: Control) -> dict[str, Tensor]:
    """Train to the end, or until `control` stops it; return what trained."""
    with assembled(backbone, blueprint) as assembly:
        parameters = unfreeze(assembly, full=False)
        schedule = Schedule([toy("classification")], TRAINING.tokens_per_batch, 0, "target")
        fit(_Model(assembly, parameters), schedule, TRAINING, Numerics("library.1", "fp32"), CPU, control)
        return {name: parameter.detach().clone() for name, parameter in parameters.items()}


@pytest.mark.parametrize(("method", "composition"), VERIFIED)
def test_a_stopped_training_goes_on_to_the_same_bits(
    backbone: Backbone,
    inputs: Mapping[str, dict[str, Path]],
    tmp_path: Path,
    method: str,
    composition: str,
) -> None:
    blueprint = blueprint_of(composition, inputs[method], SPECS[method])
    at_once = train(backbone, blueprint, Control(tmp_path / "never", checkpoint_seconds=1e9))
    seen: list[int] = []
    stopping = Control(
        tmp_path / "stopped",
        checkpoint_seconds=1e9,
        stop=lambda: len(seen) == STOPPED,
        progress=lambda step, steps, loss, rate: seen.append(step),
    )
    with pytest.raises(Interrupted, match=f"step {STOPPED} of {STEPS}"):
        train(backbone, blueprint, stopping)
    # Whatever else happens meanwhile.
    torch.rand(7)
    in_two = train(backbone, blueprint, stopping)
    assert seen == list(range(1, STEPS + 1))
    assert in_two.keys() == at_once.keys()
    assert all(torch.equal(in_two[name], value) for name, value in at_once.items())

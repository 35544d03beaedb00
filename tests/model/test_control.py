"""The random adapter: of equal size, from the seed, and one that changes something."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from references.setups import SPECS, scramble, states
from safetensors.torch import load_file

from adapterstilts.methods import METHODS
from adapterstilts.model.assembly import Blueprint, assembled, trainable_size, unfreeze
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.control import write_random_adapter
from adapterstilts.model.faults import AssemblyError

BUSY = [name for name in METHODS if not METHODS[name].idle]


@pytest.mark.parametrize("method", BUSY)
def test_a_random_adapter_is_of_equal_size_and_does_something(
    backbone: Backbone, tmp_path: Path, method: str
) -> None:
    spec = SPECS[method]
    size = write_random_adapter(backbone, spec, 3, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}
    with assembled(backbone, Blueprint("self", adapter=spec, seed=3)) as assembly:
        assert trainable_size(unfreeze(assembly, full=False)) == size
    with assembled(backbone, Blueprint("stack()")) as assembly:
        bare = states(assembly)[-1]
    with assembled(backbone, Blueprint("x0", {"x0": tmp_path / "adapter"})) as assembly:
        assert (states(assembly)[-1] - bare).abs().max() > 1e-3


def test_its_numbers_hang_on_the_seed_and_are_no_trained_adapters(backbone: Backbone, tmp_path: Path) -> None:
    found = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(torch.seed())
        write_random_adapter(backbone, SPECS["seq_bn"], seed, tmp_path / name)
        found[name] = load_file(str(tmp_path / name / "adapter" / "adapter.safetensors"))
    up = "roberta.encoder.layer.1.output.adapters.trained.adapter_up.weight"
    assert all(torch.equal(found["a"][key], found["b"][key]) for key in found["a"])
    assert not torch.equal(found["a"][up], found["c"][up])
    with assembled(backbone, Blueprint("self", adapter=SPECS["seq_bn"], seed=1)) as assembly:
        assert not torch.equal(unfreeze(assembly, full=False)[up], found["a"][up])


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].idle])
def test_what_changes_nothing_is_no_control(backbone: Backbone, tmp_path: Path, method: str) -> None:
    with pytest.raises(AssemblyError, match=f"a fresh {method} changes nothing"):
        write_random_adapter(backbone, SPECS[method], 0, tmp_path)
    with assembled(backbone, Blueprint("stack()")) as assembly:
        bare = states(assembly)[-1]
    with assembled(backbone, Blueprint("self", adapter=SPECS[method])) as assembly:
        assert torch.allclose(states(assembly)[-1], bare, atol=1e-5)
        scramble(unfreeze(assembly, full=False), 1)
        assembly.model.eval()
        assert not torch.allclose(states(assembly)[-1], bare, atol=1e-3)

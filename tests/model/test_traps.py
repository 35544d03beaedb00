"""The thirteen traps of the library, each with the place that shows that ours does not fall into it.

====  =================================================  ==================================================
trap  what the library does in silence                   shown in
====  =================================================  ==================================================
1     nothing of a LoRA trains after quantisation        here
2     a resumed fusion, or one of several heads, is      here; `tests/training/test_loop.py`
      another one
3     a file's weights go wherever it says               `test_assembly.py`, `test_parts.py`, `test_foreign.py`
4     names match by their beginning                     `test_parts.py`
5     compositions compute something else                `test_compositions.py`
6     other parts train than those that are meant        `test_compositions.py`
7     a downloaded configuration names code              `test_backbone.py`
8     a fusion that is not there; order in its name      here; `test_assembly.py`
9     what fails leaves ghosts; names collide            here
10    an old head answers; heads and modes stay          here
11    choices are reshaped; the loss is no number        `test_assembly.py`, `test_heads.py`
12    a temperature falls; the value matrix decays       here; `test_parts.py`; `tests/training/test_loop.py`
13    a seed makes all layers equal                      here; `test_foreign.py`
====  =================================================  ==================================================
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import state_of
from references.setups import BATCH, HEAD, SPECS, blueprint_of, logits, scramble, states, write_inputs
from torch import nn

from adapterstilts import compose
from adapterstilts.model.assembly import (
    Blueprint,
    HeadSpec,
    assembled,
    unfreeze,
)
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.blocks import TRAINED, library_composition, memory_name
from adapterstilts.model.faults import AssemblyError
from adapterstilts.model.parts import parameters_of
from adapterstilts.specs import AdapterSpec

SPEC = SPECS["seq_bn"]


@pytest.fixture(scope="module")
def inputs(shared_backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_inputs(shared_backbone, SPEC, tmp_path_factory.mktemp("inputs"))


# ---- 1


@pytest.mark.parametrize("method", ["lora", "ia3"])
def test_an_adapter_without_any_parameter_does_not_train(backbone: Backbone, method: str) -> None:
    """Quantisation puts other matrices in the place of those that take adapters, as is done here by hand."""
    quantised = replace(backbone, model=copy.deepcopy(backbone.model))
    for layer in quantised.model.roberta.encoder.layer:
        for holder, name in ((layer.attention.self, "query"), (layer.attention.self, "key")):
            setattr(holder, name, nn.Linear(32, 32))
        layer.attention.self.value, layer.intermediate.dense = nn.Linear(32, 32), nn.Linear(32, 48)
    blueprint = Blueprint("self", adapter=SPECS[method], heads=(HEAD,))
    with (
        assembled(quantised, blueprint) as assembly,
        pytest.raises(AssemblyError, match=r"nothing to train for .*loras"),
    ):
        unfreeze(assembly, full=False)


# ---- 2


@pytest.mark.parametrize("composition", ["fuse(x0, x1)", "stack(fuse(x0, x1), self)"])
def test_what_trains_is_all_that_a_checkpoint_has_to_hold(
    backbone: Backbone, inputs: dict[str, Path], composition: str
) -> None:
    heads = (HEAD, HeadSpec("tagging", ("a", "b")), HeadSpec("classification", ("c", "d")))
    blueprint = blueprint_of(composition, inputs, SPEC, heads=heads)
    with assembled(backbone, blueprint) as assembly:
        parameters = unfreeze(assembly, full=False)
        scramble(parameters, 6)
        assembly.model.eval()
        kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        expected = [assembly.logits(BATCH, task).detach() for task in range(3)]
    with assembled(backbone, replace(blueprint, seed=8)) as assembly:
        with torch.no_grad():
            for name, parameter in unfreeze(assembly, full=False).items():
                parameter.copy_(kept[name])
        assembly.model.eval()
        assert all(torch.equal(assembly.logits(BATCH, task), expected[task]) for task in range(3))


def test_the_regulariser_carries_no_gradient_from_step_to_step(
    backbone: Backbone, inputs: dict[str, Path]
) -> None:
    with assembled(backbone, blueprint_of("fuse(x0, x1)", inputs, SPEC)) as assembly:
        parameters = unfreeze(assembly, full=False)
        assembly.model.eval()
        scramble(parameters, 6)
        found = []
        for _ in range(2):
            for parameter in parameters.values():
                parameter.grad = None
            extra = assembly.regulariser()
            assert extra is not None
            (assembly.loss(BATCH) + extra).backward()
            found.append(
                {name: value.grad.clone() for name, value in parameters.items() if value.grad is not None}
            )
        assert all(torch.equal(found[0][name], found[1][name]) for name in parameters)


# ---- 8


def test_the_order_of_a_fusion_makes_no_other_fusion(backbone: Backbone, inputs: dict[str, Path]) -> None:
    one, other = (library_composition(text) for text in ("fuse(x0, x1)", "fuse(x1, x0)"))
    assert one.name == other.name == "x0_,x1_"
    assert compose.parse("fuse(x1, x0)") == compose.parse("fuse(x0, x1)")
    found = []
    for composition in ("fuse(x0, x1)", "fuse(x1, x0)"):
        with assembled(backbone, blueprint_of(composition, inputs, SPEC)) as assembly:
            found.append(logits(assembly))
    assert torch.equal(*found)


# ---- 9


def maps(backbone: Backbone) -> dict[str, Any]:
    config = backbone.model.adapters_config
    names = ("adapters", "config_map", "fusions", "fusion_config_map", "fusion_name_map")
    return {name: dict(getattr(config, name)) for name in names}


@pytest.mark.parametrize(
    "wrong",
    [
        {"adapter": AdapterSpec("compacter", 32)},
        {"adapter": AdapterSpec("nothing", 4)},
        {"composition": "stack(fuse(x0, x2), self)"},
        {"heads": (HeadSpec("poetry", ()),)},
    ],
)
def test_what_fails_leaves_no_ghost(
    backbone: Backbone, inputs: dict[str, Path], wrong: dict[str, Any]
) -> None:
    before = state_of(backbone)
    assert not any(maps(backbone).values())
    blueprint = replace(blueprint_of("stack(fuse(x0, x1), self)", inputs, SPEC), **wrong)
    with pytest.raises((AssemblyError, KeyError)), assembled(backbone, blueprint):
        pass
    assert not any(maps(backbone).values())
    assert state_of(backbone) == before
    assert not any("compose" in module.__dict__ for module in backbone.model.modules())


def test_no_name_of_a_user_reaches_the_model(backbone: Backbone, inputs: dict[str, Path]) -> None:
    names = [memory_name(position) for position in ("x0", "x1", "x10", "self")]
    assert names == ["x0_", "x1_", "x10_", TRAINED]
    with assembled(backbone, blueprint_of("stack(x0, x1, self)", inputs, SPEC)) as assembly:
        assert set(assembly.model.adapters_config.adapters) == {"x0_", "x1_", TRAINED}


# ---- 10


def test_the_head_that_answers_is_the_one_that_was_asked(backbone: Backbone, inputs: dict[str, Path]) -> None:
    heads = (HEAD, HeadSpec("classification", ("a", "b")))
    with assembled(backbone, blueprint_of("fuse(x0, x1)", inputs, SPEC, heads=heads)) as assembly:
        for _ in range(2):
            assert [logits(assembly).shape[1], *(assembly.logits(BATCH, 1).shape[1:])] == [3, 2]
        # Whatever the library holds for the active one.
        assembly.model.active_head = "task1_"
        assert logits(assembly).shape == (3, 3)
    with assembled(backbone, Blueprint("x0", {"x0": inputs["x0"]})) as assembly:
        assert assembly.model.active_head is None
        assert len(states(assembly)) == 4


def test_one_call_sets_the_mode_of_all_that_trains(backbone: Backbone, inputs: dict[str, Path]) -> None:
    with assembled(backbone, blueprint_of("stack(fuse(x0, x1), self)", inputs, SPEC)) as assembly:
        assert not any(module.training for module in assembly.model.modules())
        unfreeze(assembly, full=False)
        assert all(module.training for module in assembly.model.modules())


# ---- 12


def test_a_fusion_has_no_temperature_that_falls(backbone: Backbone, inputs: dict[str, Path]) -> None:
    with assembled(backbone, blueprint_of("fuse(x0, x1)", inputs, SPEC)) as assembly:
        unfreeze(assembly, full=False)
        fusions = [m for m in assembly.model.modules() if type(m).__name__ == "BertFusion"]
        assert len(fusions) == 3
        for _ in range(2):
            logits(assembly)
            assert all(fusion.T == 1.0 and not fusion.config["temperature"] for fusion in fusions)


# ---- 13


@pytest.mark.parametrize("method", [name for name in SPECS if name not in ("ia3", "prefix_tuning")])
def test_every_layer_starts_with_numbers_of_its_own(backbone: Backbone, method: str) -> None:
    with assembled(backbone, Blueprint("self", adapter=SPECS[method])) as assembly:
        own = {
            n: p for n, p in parameters_of(assembly.model).items() if ".trained." in n and ".layer.0." in n
        }
        drawn = [name for name, parameter in own.items() if len(parameter.unique()) > 1]
        assert drawn
        named = parameters_of(assembly.model)
        assert not any(torch.equal(named[n], named[n.replace(".layer.0.", ".layer.1.")]) for n in drawn)

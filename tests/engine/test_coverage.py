"""What the engine does not compute is said, not computed wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from adapters import AdapterConfig

from adapterstilts.engine.assembly import EngineAssembly, EngineError
from adapterstilts.engine.coverage import uncovered
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.methods import METHODS
from adapterstilts.model.assembly import Blueprint, assembled, unfreeze, without_backbone_dropout
from adapterstilts.model.backbone import Backbone
from adapterstilts.paths import made_here, making, why_library
from adapterstilts.specs import AdapterSpec

from .examples import CLASSES, save_adapter


@pytest.mark.parametrize("config", METHODS)
def test_what_stands_there_is_covered_where_its_plan_says_so(backbone: Backbone, config: str) -> None:
    """A plan knows the settings of an adapter, the assembly what the library made of them."""
    adapter = AdapterSpec(config, 4 if METHODS[config].reduction_factor else 1)
    told = why_library("self", {"self": made_here(adapter)}, backbone_dropout=False)
    with assembled(backbone, Blueprint("self", adapter=adapter, heads=(CLASSES,))) as assembly:
        unfreeze(assembly, full=False)
        with without_backbone_dropout(assembly):
            assert bool(uncovered(assembly)) == bool(told)


@pytest.mark.parametrize(
    ("config", "options", "skip_layers"),
    [("seq_bn", {}, 0), ("double_seq_bn", {"dropout": 0.1}, 1), ("seq_bn", {"non_linearity": "gelu"}, 2)],
)
def test_a_making_is_the_same_from_its_settings_and_from_what_stands_there(
    backbone: Backbone, config: str, options: dict[str, Any], skip_layers: int
) -> None:
    adapter = AdapterSpec(config, 4, skip_layers, options)
    with assembled(backbone, Blueprint("self", adapter=adapter)) as assembly:
        found = assembly.model.adapters_config.get("trained").to_dict()
    assert making(found) == made_here(adapter)


@pytest.mark.parametrize("composition", ["parallel(x0, x1)", "fuse(stack(x0, x1), x2)"])
def test_a_composition_that_is_not_covered_is_refused(
    backbone: Backbone, tmp_path: Path, composition: str
) -> None:
    adapter = AdapterSpec("seq_bn", 4)
    names = ("x0", "x1", "x2")[: 2 if "parallel" in composition else 3]
    inputs = {name: save_adapter(backbone, tmp_path / name, adapter, 1) for name in names}
    with assembled(backbone, Blueprint(composition, inputs)) as assembly:
        reason = why_library(composition, dict.fromkeys(names, made_here(adapter)), backbone_dropout=False)
        assert uncovered(assembly) == reason != ""
        with pytest.raises(EngineError, match="write `path: library`"):
            EngineAssembly.of(assembly, FrozenEncoder(backbone.model, "fp32"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config": "par_bn"}, "adapter with is_parallel: True"),
        ({"config": "seq_bn_inv"}, "adapter with inv_adapter: 'nice'"),
        ({"config": "compacter++", "reduction_factor": 4}, "adapter with phm_layer: True"),
        ({"config": "lora"}, "adapter with architecture: 'lora'"),
        ({"config": "prefix_tuning"}, "adapter with architecture: 'prefix_tuning'"),
        ({"ln_before": True}, "adapter with ln_before: True"),
        ({"ln_after": True}, "adapter with ln_after: True"),
        ({"scaling": 4.0}, "adapter with scaling: 4.0"),
        ({"scaling": "learned"}, "adapter with scaling: 'learned'"),
        ({"use_gating": True}, "adapter with use_gating: True"),
        ({"residual_before_ln": False}, "adapter with residual_before_ln: False"),
    ],
)
def test_a_saved_adapter_of_another_making_is_seen(
    backbone: Backbone, changes: dict[str, object], reason: str
) -> None:
    """An adapter from elsewhere is only known once it is in place."""
    with assembled(backbone, Blueprint("stack()")) as assembly:
        config = AdapterConfig.load(changes.pop("config", "seq_bn"), **changes)
        assembly.model.add_adapter("x0_", config=config)
        assembly.blueprint = Blueprint("x0")
        assert uncovered(assembly) == reason
        encoder = FrozenEncoder(backbone.model, "fp32")
        with pytest.raises(EngineError, match="the engine does not compute adapter with"):
            EngineAssembly.of(assembly, encoder)


def test_a_whole_model_that_trains_is_not_covered(backbone: Backbone) -> None:
    with assembled(backbone, Blueprint("stack()", heads=(CLASSES,))) as assembly:
        assert uncovered(assembly) == ""
        unfreeze(assembly, full=True)
        assert uncovered(assembly) == "a backbone that trains"


@pytest.mark.parametrize(
    ("setting", "value"), [("reduction_factor", 8), ("leave_out", [0]), ("non_linearity", "gelu")]
)
def test_a_fusion_of_unlike_adapters_is_not_covered(backbone: Backbone, setting: str, value: object) -> None:
    with assembled(backbone, Blueprint("stack()")) as assembly:
        for name, changes in (("x0_", {setting: value}), ("x1_", {})):
            assembly.model.add_adapter(name, config=AdapterConfig.load("seq_bn", **changes))
        assembly.model.add_adapter_fusion(["x0_", "x1_"])
        assembly.blueprint = Blueprint("fuse(x0, x1)")
        assert uncovered(assembly) == f"a fusion of adapters that differ in {setting}"


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_a_fusion_of_another_making_is_not_covered(backbone: Backbone, kind: str) -> None:
    with assembled(backbone, Blueprint("stack()")) as assembly:
        for name in ("x0_", "x1_"):
            assembly.model.add_adapter(name, config="seq_bn")
        assembly.model.add_adapter_fusion(["x0_", "x1_"], config=kind)
        assembly.model.requires_grad_(False)
        assert uncovered(assembly) == ("fusion with value: False" if kind == "static" else "")


def test_another_activation_in_the_backbone_is_not_covered(backbone: Backbone) -> None:
    with assembled(backbone, Blueprint("stack()")) as assembly:
        config = assembly.model.config
        config.hidden_act = "relu"
        try:
            assert uncovered(assembly) == "backbone with hidden_act: 'relu'"
        finally:
            config.hidden_act = "gelu"


def test_dropout_in_the_backbone_is_not_covered(backbone: Backbone) -> None:
    blueprint = Blueprint("self", adapter=AdapterSpec("seq_bn", 4), heads=(CLASSES,))
    with assembled(backbone, blueprint) as assembly:
        unfreeze(assembly, full=False)
        assert uncovered(assembly) == "dropout in the backbone"
        assembly.model.eval()
        assert uncovered(assembly) == ""

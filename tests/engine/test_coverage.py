"""What the engine does not compute is said, not computed wrongly."""

from __future__ import annotations

import pytest
from adapters import AdapterConfig

from adapterstilts.engine.assembly import EngineAssembly, EngineError
from adapterstilts.engine.coverage import covers, uncovered
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.model.assembly import Blueprint, assembled, unfreeze, without_backbone_dropout
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import AdapterSpec

from .examples import CLASSES


def test_a_blueprint_tells_what_its_plan_told() -> None:
    assert covers(Blueprint("stack(fuse(x0, x1), self)", adapter=AdapterSpec("seq_bn", 4))) == ""
    assert covers(Blueprint("fuse(stack(x0, x1), x2)")) == "stack in a fusion"
    assert covers(Blueprint("self", adapter=AdapterSpec("lora", 4))) == "adapters of configuration 'lora'"


@pytest.mark.parametrize("config", ["seq_bn", "double_seq_bn"])
def test_configurations_that_are_covered(backbone: Backbone, config: str) -> None:
    blueprint = Blueprint("self", adapter=AdapterSpec(config, 4), heads=(CLASSES,))
    with assembled(backbone, blueprint) as assembly:
        unfreeze(assembly, full=False)
        with without_backbone_dropout(assembly):
            assert covers(blueprint) == uncovered(assembly) == ""


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
        ({"dropout": 0.1}, "adapter with dropout: 0.1"),
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

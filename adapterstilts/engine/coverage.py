"""What the engine does not compute, in words; such a stage takes the library's path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterstilts import compose
from adapterstilts.model.assembly import Assembly, backbone_dropouts, head_name
from adapterstilts.model.blocks import memory_name
from adapterstilts.paths import Making, difference, making, why_library
from adapterstilts.specs import NOTHING

_FUSION: Mapping[str, Any] = {
    "query": True,
    "key": True,
    "value": True,
    "query_before_ln": False,
    "residual_before": False,
    "temperature": False,
    "value_before_softmax": True,
}
_BACKBONE: Mapping[str, Any] = {
    "model_type": "xlm-roberta",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
}


def uncovered(assembly: Assembly) -> str:
    """Return why the engine cannot compute what stands on the backbone; nothing where it can.

    A plan tells the same of its stages (`adapterstilts.paths`); here it is seen on what is there.
    """
    return next(filter(None, _reasons(assembly)), "")


def _reasons(assembly: Assembly) -> Iterator[str]:
    model = assembly.model
    yield difference("backbone", model.config.to_dict(), _BACKBONE)
    for name in model.adapters_config.fusions:
        config, _ = model.adapters_config.get_fusion(name)
        yield difference("fusion", config.to_dict(), _FUSION)
    # Dropout in the backbone is seen below, where it is active.
    yield why_library(assembly.blueprint.composition, _makings(assembly), backbone_dropout=False)
    if any(p.requires_grad for name, p in model.roberta.named_parameters() if "adapter" not in name):
        yield "a backbone that trains"
    if model.training and any(dropout.p for dropout in backbone_dropouts(model)):
        yield "dropout in the backbone"
    for task in range(len(assembly.blueprint.heads)):
        if model.heads[head_name(assembly.blueprint.heads, task)].config.get("use_pooler"):
            yield "a head that reads the pooler"


def _makings(assembly: Assembly) -> dict[str, Making]:
    composition, configs = assembly.blueprint.composition, assembly.model.adapters_config
    positions = () if composition == NOTHING else compose.leaves(compose.parse(composition))
    return {name: making(configs.get(memory_name(name)).to_dict()) for name in positions}

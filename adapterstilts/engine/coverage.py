"""What the engine does not compute, in words; such a stage takes the library's path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterstilts.model.assembly import Assembly, Blueprint, backbone_dropouts, head_name
from adapterstilts.paths import why_library

# Settings that make an adapter the plain bottleneck of `adapterstilts.engine.adapters`.
_ADAPTER: Mapping[str, Any] = {
    "architecture": None,
    "inv_adapter": None,
    "is_parallel": False,
    "phm_layer": False,
    "ln_before": False,
    "ln_after": False,
    "original_ln_after": True,
    "residual_before_ln": True,
    "adapter_residual_before_ln": False,
    "use_gating": False,
    "scaling": 1.0,
    "dropout": 0.0,
    "stochastic_depth": 0.0,
}
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


def covers(blueprint: Blueprint) -> str:
    """Return why the engine cannot compute a blueprint; nothing where it can, as far as the blueprint tells."""
    config = blueprint.adapter.config if blueprint.adapter else None
    return why_library(blueprint.composition, config, backbone_dropout=False)


def uncovered(assembly: Assembly) -> str:
    """Return why the engine cannot compute what stands on the backbone; nothing where it can.

    Unlike `covers` it sees saved adapters, whatever they are, and what trains.
    """
    return covers(assembly.blueprint) or next(_reasons(assembly), "")


def _reasons(assembly: Assembly) -> Iterator[str]:
    model = assembly.model
    yield from _differences("backbone", model.config.to_dict(), _BACKBONE)
    for name in model.adapters_config.adapters:
        yield from _differences("adapter", model.adapters_config.get(name).to_dict(), _ADAPTER)
    for name in model.adapters_config.fusions:
        config, members = model.adapters_config.get_fusion(name)
        yield from _differences("fusion", config.to_dict(), _FUSION)
        yield from _mixed(assembly, members)
    if any(p.requires_grad for name, p in model.roberta.named_parameters() if "adapter" not in name):
        yield "a backbone that trains"
    if model.training and any(dropout.p for dropout in backbone_dropouts(model)):
        yield "dropout in the backbone"
    for task in range(len(assembly.blueprint.heads)):
        if model.heads[head_name(assembly.blueprint.heads, task)].config.get("use_pooler"):
            yield "a head that reads the pooler"


def _differences(what: str, config: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        if config.get(name) != value:
            yield f"{what} with {name}: {config.get(name)!r}"


def _mixed(assembly: Assembly, members: list[str]) -> Iterator[str]:
    """Yield how the adapters of a fusion differ from each other where they may not."""
    configs = [assembly.model.adapters_config.get(name).to_dict() for name in members]
    for setting in ("reduction_factor", "non_linearity", "leave_out"):
        if any(config[setting] != configs[0][setting] for config in configs):
            yield f"a fusion of adapters that differ in {setting}"

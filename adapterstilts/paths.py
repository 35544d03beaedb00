"""Which code computes a stage: the engine, or the library's own modules where the engine does not reach.

Told from a plan alone, without torch, as a key depends on it: from the composition of a stage, and from what each
adapter in it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapterstilts import compose
from adapterstilts.methods import METHODS
from adapterstilts.specs import NOTHING, AdapterSpec

ENGINE = "engine.1"
LIBRARY = "library.1"

# Settings of the library that make an adapter the plain bottleneck of `adapterstilts.engine.adapters`; they are its
# defaults as well.
PLAIN: Mapping[str, Any] = {
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
    "stochastic_depth": 0.0,
}
# Settings in which the adapters of a fusion have to agree.
FORM = ("reduction_factor", "non_linearity", "leave_out")

_CONFIGS = ("seq_bn", "double_seq_bn")
_CURRENT = "adapters."


@dataclass(frozen=True)
class Making:
    """What an adapter is made of, as far as its path depends on it.

    Attributes:
        uncovered: why the engine does not compute it; empty where it does.
        form: its settings of `FORM`.
    """

    uncovered: str = ""
    form: tuple[Any, ...] = ()


UNKNOWN = Making("an adapter whose making is not known before it is read")


def made_here(adapter: AdapterSpec) -> Making:
    """Return the making of an adapter that a recipe's settings describe."""
    if adapter.config not in _CONFIGS:
        return Making(f"adapters of configuration {adapter.config!r}")
    default = METHODS[adapter.config].options["non_linearity"].default
    activation = adapter.options.get("non_linearity", default)
    return Making(form=(adapter.reduction_factor, activation, list(range(adapter.skip_layers))))


def made_elsewhere(described: Mapping[str, Any]) -> Making:
    """Return the making of an adapter from what its folder says of it, as the library writes that."""
    if not str(described.get("version")).startswith(_CURRENT):
        return Making("an adapter that an early version of the library has saved")
    return making(described["config"])


def making(config: Mapping[str, Any]) -> Making:
    """Return the making of an adapter from the library's configuration of it."""
    factor, activation, left_out = (config.get(name) for name in FORM)
    return Making(difference("adapter", config, PLAIN), (factor, activation, list(left_out or ())))


def difference(what: str, config: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return the first setting in which a configuration is not as wanted; a silent one has the library's default."""
    differing = (name for name, value in wanted.items() if config.get(name, value) != value)
    return next((f"{what} with {name}: {config[name]!r}" for name in differing), "")


def why_library(composition: str, makings: Mapping[str, Making], *, backbone_dropout: bool) -> str:
    """Return why a stage over a frozen backbone takes the library's path; nothing where it takes the engine's.

    Args:
        composition: over positions; ``stack()`` for the bare backbone.
        makings: position -> what its adapter is made of.
        backbone_dropout: whether the backbone's own dropout is active.
    """
    if backbone_dropout:
        return "dropout in the backbone"
    if composition == NOTHING:
        return ""
    expression = compose.parse(composition)
    of_adapters = (makings[name].uncovered for name in compose.leaves(expression))
    return next(filter(None, of_adapters), "") or _uncovered_nesting(expression, makings)


def _uncovered_nesting(expression: compose.Expression, makings: Mapping[str, Making]) -> str:
    """Return what stands where it is not covered: stacks of adapters and of fusions of like adapters are."""
    parts = _children(expression) if _function(expression) == "stack" else (expression,)
    for part in parts:
        if _function(part) not in ("", "fuse"):
            return f"{_function(part)} in a composition"
        for child in _children(part):
            if _function(child):
                return f"{_function(child)} in a fusion"
        forms = [makings[str(child)].form for child in _children(part)]
        for setting, values in zip(FORM, zip(*forms, strict=True), strict=False):
            if any(value != values[0] for value in values):
                return f"a fusion of adapters that differ in {setting}"
    return ""


def _function(expression: compose.Expression) -> str:
    return expression.function if isinstance(expression, compose.Group) else ""


def _children(expression: compose.Expression) -> tuple[compose.Expression, ...]:
    return expression.children if isinstance(expression, compose.Group) else ()

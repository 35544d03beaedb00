"""A composition on the model: names in memory, the library's blocks, and what cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapterstilts import compose, methods
from adapterstilts.errors import Fault
from adapterstilts.model.faults import AssemblyError
from adapterstilts.model.parts import adapter_mark, parameters_of
from adapterstilts.specs import NOTHING, SELF

TRAINED = "trained"


def memory_name(position: str) -> str:
    """Return the name in memory of a position; the underscore keeps ``x1`` from being a prefix of ``x10``."""
    return TRAINED if position == SELF else f"{position}_"


def library_composition(text: str) -> Any:
    """Return the library's composition block, or None for ``stack()``."""
    if text == NOTHING:
        return None
    return block_of(compose.parse(text))


def has_self(composition: str) -> bool:
    """Whether a fresh adapter of the stage itself is in the composition."""
    return composition != NOTHING and SELF in compose.leaves(compose.parse(composition))


def block_of(expression: compose.Expression, name_of: Callable[[str], str] = memory_name) -> Any:
    """Return the library's block of an expression, or the name of a single adapter; by default that in memory."""
    from adapters.composition import Average, Fuse, Stack

    if isinstance(expression, compose.Leaf):
        return name_of(expression.name)
    children = [block_of(child, name_of) for child in expression.children]
    if expression.function == "parallel":
        # The library divides by the number of outputs twice, unless the weights undo one of both.
        return Average(*children, weights=[1.0] * len(children), normalize_weights=False)
    return {"stack": Stack, "fuse": Fuse}[expression.function](*children)


def fusion_in(composition: str) -> compose.Group | None:
    """Return the fusion of a composition, None without one."""
    return None if composition == NOTHING else compose.fusion_of(compose.parse(composition))


# ---- what cannot be had


def refuse(model: Any, composition: str, *, masked: bool) -> None:
    """Refuse a composition that would mean nothing with the adapters that are on the model.

    Args:
        model: with all adapters of the composition.
        composition: over positions.
        masked: whether a head tells masked words.

    Raises:
        AssemblyError: with all reasons.
    """
    if composition == NOTHING:
        return
    expression = compose.parse(composition)
    families = {name: _family(model, name) for name in compose.leaves(expression)}
    quantized = bool(getattr(model, "is_quantized", False))
    reasons = methods.refusals(expression, lambda name: families[name], quantized=quantized)
    reasons = reasons or _uneven(model, expression)
    if "invertible" in families.values() and masked:
        reasons.append("an invertible adapter changes the embeddings by which masked words are told")
    if reasons:
        raise AssemblyError(*(Fault("composition", reason) for reason in reasons))


def _family(model: Any, position: str) -> methods.Family:
    config = model.adapters_config.get(memory_name(position))
    if config is None:
        raise AssemblyError(Fault(position, "no adapter is given for this position"))
    try:
        return methods.family_of(config.to_dict())
    except methods.MethodError as error:
        raise AssemblyError(Fault(position, str(error))) from error


def _uneven(model: Any, expression: compose.Expression) -> list[str]:
    """Return where adapters stand side by side that do not work in the same places of the same layers."""
    if isinstance(expression, compose.Leaf):
        return []
    faults = [fault for child in expression.children for fault in _uneven(model, child)]
    if expression.function in ("fuse", "parallel"):
        places = [places_of(model, child) for child in expression.children]
        if any(place != places[0] for place in places):
            faults.append(f"{expression}: its adapters work in different layers, or places of a layer")
    return faults


def places_of(model: Any, expression: compose.Expression) -> set[str]:
    """Return the modules in whose middle the adapters of an expression stand."""
    marks = [adapter_mark(memory_name(leaf)) for leaf in compose.leaves(expression)]
    inside = [key for key in parameters_of(model) if ".layer." in key]
    return {key[: found.start()] for mark in marks for key in inside if (found := mark.search(key))}

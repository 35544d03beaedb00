"""Expressions over positions: what a spec holds where a recipe has names, so that a name is in no key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapterstilts import compose
from adapterstilts.specs import SELF

# Functions whose result is a single adapter, and functions in which the order of children means nothing.
_SINGLE = ("placebo", "average")
_UNORDERED = ("fuse", "parallel")


@dataclass(frozen=True)
class Bound:
    """An expression over positions.

    Attributes:
        composition: over ``x0`` ... and ``self``.
        inputs: position -> key.
        by_language: position -> expression, of the positions whose adapter changes with the language that is read.
    """

    composition: str
    inputs: dict[str, str]
    by_language: Mapping[str, compose.Expression]


def bind(expression: compose.Expression, key_of: Callable[[compose.Expression], str | None]) -> Bound:
    """Return an expression with positions in place of names.

    Args:
        expression: canonical.
        key_of: a single adapter -> key of the stage that makes it; None for what trains here.
    """
    inputs: dict[str, str] = {}
    by_language: dict[str, compose.Expression] = {}
    positions: dict[str, compose.Leaf] = {}

    def place(part: compose.Expression) -> compose.Leaf:
        key = key_of(part)
        if key is None:
            return compose.Leaf(SELF)
        position = positions.setdefault(str(part), compose.Leaf(f"x{len(positions)}"))
        inputs[position.name] = key
        if compose.LANGUAGE in compose.leaves(part):
            by_language[position.name] = part
        return position

    def identity(part: compose.Expression) -> str:
        if isinstance(part, compose.Leaf) or part.function in _SINGLE:
            return key_of(part) or ""
        return f"{part.function}({', '.join(map(identity, part.children))})"

    def walk(part: compose.Expression) -> compose.Expression:
        if isinstance(part, compose.Leaf) or part.function in _SINGLE:
            return place(part)
        children = part.children
        if part.function in _UNORDERED:
            # Their order means nothing, so it comes from what they are, never from a recipe's names.
            children = tuple(sorted(children, key=identity))
        return compose.Group(part.function, tuple(walk(child) for child in children))

    return Bound(str(walk(expression)), inputs, by_language)

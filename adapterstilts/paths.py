"""Which code computes a stage: the engine, or the library's own modules where the engine does not reach.

Told from a plan alone, without torch, as a key depends on it. What an adapter from elsewhere is made of is seen when it
is loaded (`adapterstilts.engine.coverage`).
"""

from __future__ import annotations

from adapterstilts import compose

ENGINE = "engine.1"
LIBRARY = "library.1"

_CONFIGS = ("seq_bn", "double_seq_bn")
_NOTHING = "stack()"


def why_library(composition: str, config: str | None, *, backbone_dropout: bool) -> str:
    """Return why a stage over a frozen backbone takes the library's path; nothing where it takes the engine's.

    Args:
        composition: over positions; ``stack()`` for the bare backbone.
        config: of the adapter that is trained, None without one.
        backbone_dropout: whether the backbone's own dropout is active.
    """
    if backbone_dropout:
        return "dropout in the backbone"
    if config is not None and config not in _CONFIGS:
        return f"adapters of configuration {config!r}"
    return "" if composition == _NOTHING else _uncovered_nesting(compose.parse(composition))


def _uncovered_nesting(expression: compose.Expression) -> str:
    """Return what stands where it is not covered: stacks of adapters and of fusions of adapters are."""
    parts = _children(expression) if _function(expression) == "stack" else (expression,)
    for part in parts:
        if _function(part) not in ("", "fuse"):
            return f"{_function(part)} in a composition"
        for child in _children(part):
            if _function(child):
                return f"{_function(child)} in a fusion"
    return ""


def _function(expression: compose.Expression) -> str:
    return expression.function if isinstance(expression, compose.Group) else ""


def _children(expression: compose.Expression) -> tuple[compose.Expression, ...]:
    return expression.children if isinstance(expression, compose.Group) else ()

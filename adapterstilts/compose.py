"""Composition expressions: what is compared on a target, as text.

Grammar (spaces are free)::

    method   = expression
    expression = name | <placeholder> | function "(" expression ("," expression)* ["," "weights=[" n, ... "]"] ")"
    function = stack | fuse | average | parallel | init_from | full_stilts
    name     = target | full_finetune | the name of an intermediate, domain or pretrained adapter

Meaning (Pfeiffer et al. 2020, *MAD-X*; Pfeiffer et al. 2021, *AdapterFusion*; Phang et al. 2020 for the whole
model's way):

=====================  ==========================================================  =====================
expression             what it is                                                  what trains on the target
=====================  ==========================================================  =====================
``target``             a fresh adapter alone: the baseline                          it and the head
``stack(x, target)``   the output of x goes through the fresh adapter               the last and the head
``fuse(x, target)``    attention over the outputs; target was trained alone first  the fusion and the head
``average(x, y)``      one adapter, the mean of the weights; stands where one can   nothing of it
``parallel(x, y)``     the mean of the outputs                                      nothing of it
``init_from(x)``       x itself goes on                                             x and the head
``full_finetune``      the whole backbone                                           everything
``full_stilts(x)``     the whole backbone, first on x                               everything
=====================  ==========================================================  =====================

Equal work has equal text: stacks are flattened, the children of ``fuse``, ``average`` and ``parallel`` are
sorted (their order does not change the result), with ``target`` last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from adapterstilts.errors import suggest

TARGET = "target"
FULL_FINETUNE = "full_finetune"
PLACEHOLDERS = ("intermediate", "domain", "language")
RESERVED_NAMES = frozenset({TARGET, FULL_FINETUNE, *PLACEHOLDERS, "backbone", "placebo", "random", "longer"})


class CompositionError(ValueError):
    """An expression that cannot be meant; the message says what and why."""


@dataclass(frozen=True)
class Leaf:
    """One adapter (or ``full_finetune``) by its name; a placeholder keeps its angle brackets."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Group:
    """A function over expressions.

    Attributes:
        function: one of the grammar's functions.
        children: the arguments, at least one.
        weights: of ``average``, one a child; empty for equal ones.
    """

    function: str
    children: tuple[Expression, ...]
    weights: tuple[float, ...] = ()

    def __str__(self) -> str:
        parts = [str(child) for child in self.children]
        if self.weights:
            parts.append("weights=[" + ", ".join(map(_number, self.weights)) + "]")
        return f"{self.function}({', '.join(parts)})"


Expression = Leaf | Group


def _number(value: float) -> str:
    """Return the shortest text that `parse` reads as the same number."""
    short = f"{value:g}"
    return (short if float(short) == value else repr(value)).replace("e+", "e")


@dataclass(frozen=True)
class _Rule:
    """What may stand in a function: kinds of children, and how many at least and at most."""

    children: frozenset[str]
    least: int
    most: int
    outermost: bool = False


# The whole table of what may nest in what; "leaf" stands for a single adapter.
_RULES: Mapping[str, _Rule] = {
    "stack": _Rule(frozenset({"leaf", "fuse", "average", "parallel"}), 2, 8),
    "fuse": _Rule(frozenset({"leaf", "stack", "average"}), 2, 32),
    "average": _Rule(frozenset({"leaf"}), 2, 32),
    "parallel": _Rule(frozenset({"leaf", "stack", "average"}), 2, 8),
    "init_from": _Rule(frozenset({"leaf", "average"}), 1, 1, outermost=True),
    "full_stilts": _Rule(frozenset({"leaf"}), 1, 1, outermost=True),
}

_TOKEN = re.compile(
    r"\s*(?:(<[a-z]+>)|([A-Za-z][A-Za-z0-9_-]*)|(-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)|([(),=\[\]]))"
)


def parse(text: str) -> Expression:
    """Return the canonical expression that `text` means.

    Raises:
        CompositionError: for text outside the grammar, and for a nesting that makes no sense.
    """
    tokens = list(_tokens(text))
    expression, rest = _parse_expression(tokens, text)
    if rest:
        raise CompositionError(f"{text!r}: {rest[0]!r} stands after the end of the expression")
    _check(expression, outermost=True)
    return _checked(canonical(expression))


def _checked(expression: Expression) -> Expression:
    """Return a canonical expression; flattening and expanding can bring together what may not be."""
    _check(expression, outermost=True)
    if _count(expression, TARGET) > 1:
        raise CompositionError(f"{expression}: {TARGET} stands in it twice")
    return expression


def _count(expression: Expression, name: str) -> int:
    if isinstance(expression, Leaf):
        return int(expression.name == name)
    return sum(_count(child, name) for child in expression.children)


def _tokens(text: str) -> Iterator[str]:
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise CompositionError(f"{text!r}: cannot read {stripped[position:].strip()[:20]!r}")
        yield match.group().strip()
        position = match.end()


def _parse_expression(tokens: list[str], text: str) -> tuple[Expression, list[str]]:
    if not tokens:
        raise CompositionError(f"{text!r}: an expression is missing at the end")
    head, rest = tokens[0], tokens[1:]
    if not (head[0].isalpha() or head[0] == "<"):
        raise CompositionError(f"{text!r}: {head!r} where a name or a function was expected")
    if rest[:1] != ["("]:
        if head in _RULES:
            raise CompositionError(f"{text!r}: {head!r} is a function; write {head}(...)")
        return _leaf(head, text), rest
    if head not in _RULES:
        hint = suggest(head, _RULES)
        raise CompositionError(
            f"{text!r}: {head!r} is not a function; {hint or 'known: ' + ', '.join(_RULES)}"
        )
    return _parse_arguments(head, rest[1:], text)


def _parse_arguments(function: str, tokens: list[str], text: str) -> tuple[Expression, list[str]]:
    children: list[Expression] = []
    while True:
        if tokens[:2] == ["weights", "="]:
            weights, tokens = _parse_weights(tokens[2:], text)
            break
        child, tokens = _parse_expression(tokens, text)
        children.append(child)
        weights = ()
        if tokens[:1] != [","]:
            break
        tokens = tokens[1:]
    if tokens[:1] != [")"]:
        raise CompositionError(f"{text!r}: a closing bracket of {function}(...) is missing")
    return Group(function, tuple(children), weights), tokens[1:]


def _parse_weights(tokens: list[str], text: str) -> tuple[tuple[float, ...], list[str]]:
    if tokens[:1] == ["["] and "]" in tokens:
        end = tokens.index("]")
        numbers = [token for token in tokens[1:end] if token != ","]
        try:
            return tuple(float(number) for number in numbers), tokens[end + 1 :]
        except ValueError:
            pass
    raise CompositionError(f"{text!r}: weights are written weights=[0.3, 0.7]")


def _leaf(name: str, text: str) -> Leaf:
    if name.startswith("<") and name[1:-1] not in PLACEHOLDERS:
        known = ", ".join(f"<{placeholder}>" for placeholder in PLACEHOLDERS)
        raise CompositionError(f"{text!r}: {name} is not a placeholder; known: {known}")
    return Leaf(name)


def _check(expression: Expression, *, outermost: bool) -> None:
    if isinstance(expression, Leaf):
        if expression.name == FULL_FINETUNE and not outermost:
            raise CompositionError(
                f"{FULL_FINETUNE} is a whole model and cannot stand inside another expression"
            )
        return
    rule = _RULES[expression.function]
    if rule.outermost and not outermost:
        raise CompositionError(f"{expression.function}(...) can only stand outermost: {expression}")
    if not rule.least <= len(expression.children) <= rule.most:
        wanted = str(rule.least) if rule.least == rule.most else f"{rule.least} to {rule.most}"
        raise CompositionError(f"{expression}: {expression.function} takes {wanted} arguments")
    _check_children(expression, rule)
    _check_target(expression)
    if expression.weights and (
        expression.function != "average" or len(expression.weights) != len(expression.children)
    ):
        raise CompositionError(f"{expression}: weights belong to average, one a child")
    if expression.weights and not 0 < sum(expression.weights) < math.inf:
        raise CompositionError(f"{expression}: the sum of the weights has to be positive")


def _check_children(expression: Group, rule: _Rule) -> None:
    for child in expression.children:
        kind = "leaf" if isinstance(child, Leaf) else child.function
        flat = expression.function == kind == "stack"
        if kind not in rule.children and not flat and not (kind in _RULES and _RULES[kind].outermost):
            raise CompositionError(
                f"{kind} cannot stand in {expression.function}: {expression}; "
                f"{expression.function} takes {', '.join(sorted(rule.children))}"
            )
        _check(child, outermost=False)
    texts = [str(child) for child in expression.children]
    repeated = sorted({text for text in texts if texts.count(text) > 1})
    if repeated:
        raise CompositionError(f"{expression}: {repeated[0]} stands in it twice")


def _check_target(expression: Group) -> None:
    """The fresh adapter is on top of a stack or beside others in a fusion; elsewhere it has no meaning."""
    names = [str(child) for child in expression.children]
    if TARGET not in names:
        return
    if expression.function == "stack" and names[-1] != TARGET:
        raise CompositionError(f"{expression}: {TARGET} is trained last, so it stands last in a stack")
    if expression.function in ("average", "parallel", "init_from", "full_stilts"):
        raise CompositionError(
            f"{expression}: {TARGET} is not trained yet where {expression.function} needs it"
        )


def canonical(expression: Expression) -> Expression:
    """Return the one form of all expressions that mean the same work."""
    if isinstance(expression, Leaf):
        return expression
    children = tuple(canonical(child) for child in expression.children)
    if expression.function == "stack":
        flat = [
            grandchild
            for child in children
            for grandchild in (
                child.children if isinstance(child, Group) and child.function == "stack" else (child,)
            )
        ]
        return replace(expression, children=tuple(flat))
    if expression.function in ("fuse", "average", "parallel"):
        weights = expression.weights or (1.0,) * len(children)
        pairs = sorted(
            zip(children, weights, strict=True), key=lambda pair: (str(pair[0]) == TARGET, str(pair[0]))
        )
        kept = tuple(weight for _, weight in pairs) if len(set(weights)) > 1 else ()
        return Group(expression.function, tuple(child for child, _ in pairs), kept)
    return replace(expression, children=children)


def leaves(expression: Expression) -> tuple[str, ...]:
    """Return the distinct names in an expression, from left to right."""
    if isinstance(expression, Leaf):
        return (expression.name,)
    return tuple(dict.fromkeys(name for child in expression.children for name in leaves(child)))


def rename(expression: Expression, new_name: Callable[[str], str]) -> Expression:
    """Return the expression with every leaf's name replaced; the order of children stays."""
    if isinstance(expression, Leaf):
        return Leaf(new_name(expression.name))
    return replace(expression, children=tuple(rename(child, new_name) for child in expression.children))


def expand(expression: Expression, names: Mapping[str, Sequence[str]]) -> tuple[Expression, ...]:
    """Return one expression for each name that a placeholder stands for.

    Args:
        expression: with or without placeholders.
        names: placeholder (without brackets) -> names; a placeholder that is not a key stays.

    Raises:
        CompositionError: when a name comes to stand beside itself.
    """
    expanded: list[Expression] = [expression]
    for placeholder, values in names.items():
        bracketed = f"<{placeholder}>"
        expanded = [
            one if bracketed not in leaves(one) else _checked(canonical(_put(one, bracketed, value)))
            for one in expanded
            for value in (values if bracketed in leaves(one) else [""])
        ]
    return tuple(dict.fromkeys(expanded))


def _put(expression: Expression, name: str, value: str) -> Expression:
    return rename(expression, lambda leaf: value if leaf == name else leaf)


def is_full(expression: Expression) -> bool:
    """Whether the method trains a whole model."""
    if isinstance(expression, Leaf):
        return expression.name == FULL_FINETUNE
    return expression.function == "full_stilts"


def without_target(expression: Expression) -> Expression | None:
    """Return what a method is on a target that has no training.

    ``stack(x, target)`` is x; ``average(...)`` is itself; ``init_from(x)`` is x; ``target`` is the bare backbone, an
    empty stack.

    Returns:
        The expression; None where the method has no meaning without training (an untrained fusion,
        ``full_finetune``).
    """
    if isinstance(expression, Leaf):
        if expression.name == FULL_FINETUNE:
            return None
        return Group("stack", ()) if expression.name == TARGET else expression
    if expression.function == "init_from":
        return expression.children[0]
    if _contains(expression, "fuse"):
        return None
    if expression.function != "stack":
        return expression
    rest = tuple(child for child in expression.children if str(child) != TARGET)
    return rest[0] if len(rest) == 1 else Group("stack", rest)


def _contains(expression: Expression, function: str) -> bool:
    if isinstance(expression, Leaf):
        return False
    return expression.function == function or any(_contains(child, function) for child in expression.children)


def has_fusion(expression: Expression) -> bool:
    """Whether a fusion layer stands anywhere in the expression."""
    return _contains(expression, "fuse")


def fuses_target(expression: Expression) -> bool:
    """Whether ``target`` stands directly in a fusion, which then needs it trained alone first."""
    if isinstance(expression, Leaf):
        return False
    if expression.function == "fuse" and Leaf(TARGET) in expression.children:
        return True
    return any(fuses_target(child) for child in expression.children)

"""Composition expressions: what is compared on a target, as text.

Grammar (spaces are free)::

    method     = expression | "with(" settings "," expression ")"
    expression = name | <placeholder> | function "(" expression ("," expression)* ["," "weights=[" n, ... "]"] ")"
    function   = stack | fuse | average | parallel | init_from | longer | full_stilts | placebo
    name       = target | random | head_only | majority | full_finetune
               | the name of an intermediate, domain, language or pretrained adapter
    settings   = a name under `adapters:`

Meaning (Pfeiffer et al. 2020, *MAD-X*; Pfeiffer et al. 2021, *AdapterFusion*; Phang et al. 2020 for the whole
model's way):

=====================  ==========================================================  =====================
expression             what it is                                                  what trains on the target
=====================  ==========================================================  =====================
``target``             a fresh adapter alone: the baseline                          it and the head
``stack(x, target)``   the output of x goes through the fresh adapter               the last and the head
``fuse(x, target)``    attention over the outputs; what holds target, alone first   the fusion and the head
``average(x, y)``      one adapter, the mean of the weights; stands where one can   nothing of it
``parallel(x, y)``     the mean of the outputs                                      nothing of it
``init_from(x)``       x itself goes on; its head too where kind and labels agree   x and the head
``full_finetune``      the whole backbone                                           everything
``full_stilts(x)``     the whole backbone, first on x                               everything
``with(s, METHOD)``    METHOD with the settings s of `adapters:` for its adapters   as in METHOD
``placebo(x)``         control: x, trained on permuted labels; stands where x can   nothing of it
``random``             control: an adapter of equal size that is never trained      nothing of it
``longer(x)``          control: target, with the steps of x on top of its own       it and the head
``head_only``          floor: the bare backbone                                     the head
``majority``           floor: the most frequent answer in the training data         nothing
=====================  ==========================================================  =====================

``<intermediate>`` and ``<domain>`` stand for each of their adapters in turn. ``<language>`` stands for the adapter of
the language that is read: that of the training data while a target trains, that of the examples when it is scored.

Equal work has equal text: stacks are flattened, the children of ``fuse``, ``average`` and ``parallel`` are
sorted (their order does not change the result), with what holds ``target`` last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from adapterstilts.errors import suggest

TARGET = "target"
RANDOM = "random"
FULL_FINETUNE = "full_finetune"
HEAD_ONLY = "head_only"
MAJORITY = "majority"
LANGUAGE = "<language>"
PLACEHOLDERS = ("intermediate", "domain", "language")


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


_ONE = frozenset({"leaf", "placebo"})
# The whole table of what may nest in what; "leaf" stands for a single adapter by its name.
_RULES: Mapping[str, _Rule] = {
    "stack": _Rule(_ONE | {"fuse", "average", "parallel"}, 2, 8),
    "fuse": _Rule(_ONE | {"stack", "average"}, 2, 32),
    "average": _Rule(_ONE, 2, 32),
    "parallel": _Rule(_ONE | {"stack", "average"}, 2, 8),
    "init_from": _Rule(_ONE | {"average"}, 1, 1, outermost=True),
    "longer": _Rule(frozenset({"leaf"}), 1, 1, outermost=True),
    "full_stilts": _Rule(_ONE, 1, 1, outermost=True),
    "placebo": _Rule(frozenset({"leaf"}), 1, 1),
    "with": _Rule(
        _ONE | {"stack", "fuse", "average", "parallel", "init_from", "longer"}, 2, 2, outermost=True
    ),
}
# In a stack that stands in one of these, every part is a single adapter: the library nests no deeper.
_FLAT = {"fuse", "parallel"}
# Where an adapter has to be trained already.
_TRAINED = {"average", "parallel", "init_from", "longer", "full_stilts", "placebo"}
# Where an adapter has to have been trained by this recipe: `random` never is.
_LEARNED = {"init_from", "longer", "full_stilts", "placebo"}
_ALONE: Mapping[str, str] = {
    FULL_FINETUNE: "is a whole model",
    HEAD_ONLY: "is the bare backbone",
    MAJORITY: "is no model",
}
RESERVED_NAMES = frozenset({TARGET, RANDOM, *_ALONE, *PLACEHOLDERS, *_RULES, "backbone"})

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
    fusions = list(_groups(expression, "fuse"))
    if len(fusions) > 1:
        raise CompositionError(f"{expression}: there are {len(fusions)} fusions in it; one can be learned")
    for fusion in fusions:
        _check_ends(fusion)
    return expression


def _check_ends(fusion: Group) -> None:
    """A fusion looks at what stands last in each of its children, so that these differ."""
    ends = [str(_last(child)) for child in fusion.children]
    repeated = sorted({end for end in ends if ends.count(end) > 1})
    if repeated:
        raise CompositionError(f"{fusion}: several of its parts end in {repeated[0]}")


def _last(expression: Expression) -> Expression:
    if isinstance(expression, Group) and expression.function == "stack":
        return expression.children[-1]
    return expression


def _groups(expression: Expression, function: str) -> Iterator[Group]:
    if isinstance(expression, Group):
        if expression.function == function:
            yield expression
        for child in expression.children:
            yield from _groups(child, function)


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
        if expression.name in _ALONE and not outermost:
            raise CompositionError(
                f"{expression} {_ALONE[expression.name]} and cannot stand inside another expression"
            )
        return
    rule = _RULES[expression.function]
    if rule.outermost and not outermost:
        raise CompositionError(f"{expression.function}(...) can only stand outermost: {expression}")
    if not rule.least <= len(expression.children) <= rule.most:
        wanted = str(rule.least) if rule.least == rule.most else f"{rule.least} to {rule.most}"
        raise CompositionError(f"{expression}: {expression.function} takes {wanted} arguments")
    if expression.function == "with":
        _check_with(expression)
        return
    _check_children(expression, rule)
    _check_untrained(expression)
    if expression.weights and (
        expression.function != "average" or len(expression.weights) != len(expression.children)
    ):
        raise CompositionError(f"{expression}: weights belong to average, one a child")
    if expression.weights and not 0 < sum(expression.weights) < math.inf:
        raise CompositionError(f"{expression}: the sum of the weights has to be positive")


def _check_with(expression: Group) -> None:
    settings, method = expression.children
    if not isinstance(settings, Leaf) or settings.name in RESERVED_NAMES or settings.name.startswith("<"):
        raise CompositionError(f"{expression}: {settings} where the name of settings was expected")
    if _kind(method) not in _RULES["with"].children or str(method) in _ALONE:
        raise CompositionError(f"{expression}: no adapter of {method} has settings")
    # A method in it stands as if it stood alone.
    _check(method, outermost=True)


def _kind(expression: Expression) -> str:
    return "leaf" if isinstance(expression, Leaf) else expression.function


def _check_children(expression: Group, rule: _Rule) -> None:
    for child in expression.children:
        kind = _kind(child)
        flat = expression.function == kind == "stack"
        if kind not in rule.children and not flat and not (kind in _RULES and _RULES[kind].outermost):
            raise CompositionError(
                f"{kind} cannot stand in {expression.function}: {expression}; "
                f"{expression.function} takes {', '.join(sorted(rule.children))}"
            )
        _check(child, outermost=False)
        if expression.function in _FLAT and kind == "stack":
            _check_flat(child, expression)
    texts = [str(child) for child in expression.children]
    repeated = sorted({text for text in texts if texts.count(text) > 1})
    if repeated:
        raise CompositionError(f"{expression}: {repeated[0]} stands in it twice")


def _check_flat(stack: Expression, parent: Group) -> None:
    assert isinstance(stack, Group)
    deep = [child.function for child in stack.children if isinstance(child, Group) if child.function in _FLAT]
    if deep:
        raise CompositionError(
            f"{parent}: {deep[0]} cannot stand in a stack that stands in {parent.function}"
        )


def _check_untrained(expression: Group) -> None:
    """What is not trained yet, or never will be, has no meaning in some places."""
    function, names = expression.function, [str(child) for child in expression.children]
    if function == "stack" and TARGET in names[:-1]:
        raise CompositionError(f"{expression}: {TARGET} is trained last, so it stands last in a stack")
    if function in _TRAINED and TARGET in leaves(expression):
        raise CompositionError(f"{expression}: {TARGET} is not trained yet where {function} needs it")
    if function in _LEARNED and RANDOM in leaves(expression):
        raise CompositionError(
            f"{expression}: {RANDOM} is never trained, and {function} needs what was learned"
        )
    if function in _LEARNED and LANGUAGE in leaves(expression):
        raise CompositionError(
            f"{expression}: {LANGUAGE} changes with what is read, and {function} needs one"
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
            zip(children, weights, strict=True), key=lambda pair: (TARGET in leaves(pair[0]), str(pair[0]))
        )
        kept = tuple(weight for _, weight in pairs) if len(set(weights)) > 1 else ()
        return Group(expression.function, tuple(child for child, _ in pairs), kept)
    return replace(expression, children=children)


def unwrap(method: Expression) -> tuple[str, Expression]:
    """Return the settings that a method names, empty for the recipe's own, and the method without them."""
    if isinstance(method, Group) and method.function == "with":
        return str(method.children[0]), method.children[1]
    return "", method


def leaves(expression: Expression) -> tuple[str, ...]:
    """Return the distinct names in an expression, from left to right; settings are no part of it."""
    _, expression = unwrap(expression)
    if isinstance(expression, Leaf):
        return (expression.name,)
    return tuple(dict.fromkeys(name for child in expression.children for name in leaves(child)))


def rename(expression: Expression, new_name: Callable[[str], str]) -> Expression:
    """Return the expression with every leaf's name replaced; the order of children and the settings stay."""
    if isinstance(expression, Leaf):
        return Leaf(new_name(expression.name))
    kept = 1 if expression.function == "with" else 0
    renamed = (rename(child, new_name) for child in expression.children[kept:])
    return replace(expression, children=(*expression.children[:kept], *renamed))


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
        ``full_finetune``, the floors, ``longer``), or depends on the language of a target that has two.
    """
    _, expression = unwrap(expression)
    if isinstance(expression, Leaf):
        if expression.name in _ALONE:
            return None
        return Group("stack", ()) if expression.name == TARGET else expression
    if expression.function == "longer" or has_fusion(expression) or LANGUAGE in leaves(expression):
        return None
    if expression.function == "init_from":
        return expression.children[0]
    if expression.function != "stack":
        return expression
    rest = tuple(child for child in expression.children if str(child) != TARGET)
    return rest[0] if len(rest) == 1 else Group("stack", rest)


def fusion_of(expression: Expression) -> Group | None:
    """Return the fusion in an expression, which has one at most; None without one."""
    return next(_groups(expression, "fuse"), None)


def has_fusion(expression: Expression) -> bool:
    """Whether a fusion layer stands anywhere in the expression."""
    return any(True for _ in _groups(expression, "fuse"))


def fused_target(expression: Expression) -> Expression | None:
    """Return the part of a fusion that holds ``target``, and so is trained alone first; None without one."""
    for fusion in _groups(expression, "fuse"):
        for child in fusion.children:
            if TARGET in leaves(child):
                return child
    return None

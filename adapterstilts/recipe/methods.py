"""The methods of a recipe: parsed, expanded, and only those that can be run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapterstilts import compose
from adapterstilts.errors import Fault, suggest
from adapterstilts.recipe.schema import RecipeFile
from adapterstilts.specs import Role


def trains(method: compose.Expression) -> tuple[tuple[Role, bool], ...]:
    """Return what a method trains on a target: ``(role, whether the whole model trains)``, in order."""
    if compose.is_full(method):
        return (("target", True),)
    if compose.fuses_target(method):
        return (("target", False), ("fusion", False))
    role: Role = "target" if compose.TARGET in compose.leaves(method) else "fusion"
    return ((role, False),)


def read_methods(file: RecipeFile, faults: list[Fault]) -> tuple[compose.Expression, ...]:
    """Return the methods in their canonical form, placeholders expanded, in order, without repetition.

    Args:
        file: the recipe.
        faults: takes what is wrong, with places inside the recipe.
    """
    names = {
        "intermediate": [section.name for section in file.intermediate],
        "domain": [section.name for section in file.domain],
    }
    known = {compose.TARGET, compose.FULL_FINETUNE, *names["intermediate"], *names["domain"]}
    methods: list[compose.Expression] = []
    for i, text in enumerate(file.methods):
        where = f"methods[{i}]"
        try:
            expression = compose.parse(text)
            expanded = compose.expand(expression, names)
        except compose.CompositionError as error:
            faults.append(Fault(where, str(error)))
            continue
        faults += _method_faults(expression, known, names, where)
        methods += expanded
    return tuple(dict.fromkeys(methods))


def _method_faults(
    expression: compose.Expression, known: set[str], names: Mapping[str, Sequence[str]], where: str
) -> list[Fault]:
    faults = []
    for name in compose.leaves(expression):
        if name == "<language>":
            faults.append(Fault(where, "language adapters cannot be used yet", "leave <language> out"))
        elif name.startswith("<") and not names[name[1:-1]]:
            faults.append(Fault(where, f"{name} stands for nothing", f"list adapters under `{name[1:-1]}:`"))
        elif not name.startswith("<") and name not in known:
            hint = suggest(name, known) or f"known: {', '.join(sorted(known))}"
            faults.append(Fault(where, f"{name!r} is not an adapter of this recipe", hint))
    unsupported = _unsupported(expression)
    if unsupported:
        faults.append(Fault(where, f"{expression}: {unsupported}"))
    return faults


def _unsupported(expression: compose.Expression) -> str:
    """Return why a method of the grammar cannot be run, or an empty string."""
    if isinstance(expression, compose.Leaf):
        on_target = expression.name in (compose.TARGET, compose.FULL_FINETUNE)
        return "" if on_target else f"trains nothing on the target; write stack({expression}, target)"
    if expression.function in ("parallel", "init_from"):
        return f"{expression.function} cannot be run yet"
    if expression.function == "full_stilts":
        return ""
    nested = _unsupported_nesting(expression)
    if nested:
        return nested
    if expression.function == "average" or not (
        compose.has_fusion(expression) or compose.TARGET in compose.leaves(expression)
    ):
        return f"trains nothing on the target; write stack({expression}, target)"
    return ""


def _unsupported_nesting(expression: compose.Group) -> str:
    for child in expression.children:
        if isinstance(child, compose.Group):
            if expression.function == "fuse" and child.function == "stack":
                return "a stack inside a fusion cannot be run yet"
            if child.function == "parallel":
                return "parallel cannot be run yet"
            deeper = _unsupported_nesting(child)
            if deeper:
                return deeper
    return ""


def baseline_faults(file: RecipeFile, methods: Sequence[compose.Expression]) -> list[Fault]:
    """Return what is wrong with the baseline of the report."""
    texts = [str(method) for method in methods]
    try:
        baseline = str(compose.parse(file.report.baseline))
    except compose.CompositionError as error:
        return [Fault("report.baseline", str(error))]
    if methods and baseline not in texts:
        hint = suggest(baseline, texts) or "add it to `methods`"
        return [Fault("report.baseline", f"{baseline!r} is not among the methods", hint)]
    return []

"""The methods of a recipe: parsed, expanded, and only those that can be run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapterstilts import compose
from adapterstilts.errors import Fault, suggest
from adapterstilts.recipe.schema import RecipeFile, TrainingFields
from adapterstilts.specs import Role

_OWN_NAMES = (compose.TARGET, compose.RANDOM, compose.HEAD_ONLY, compose.MAJORITY, compose.FULL_FINETUNE)


def trains(method: compose.Expression) -> tuple[tuple[Role, bool], ...]:
    """Return what a method trains on a target: ``(role, whether the whole model trains)``, in order."""
    _, method = compose.unwrap(method)
    if method == compose.Leaf(compose.MAJORITY):
        return ()
    if compose.is_full(method):
        return (("target", True),)
    if compose.fused_target(method) is not None:
        return (("target", False), ("fusion", False))
    return (("target" if _trains_outside_fusion(method) else "fusion", False),)


def _trains_outside_fusion(method: compose.Expression) -> bool:
    if isinstance(method, compose.Leaf):
        return method.name in (compose.TARGET, compose.HEAD_ONLY)
    return method.function in ("init_from", "longer") or compose.TARGET in compose.leaves(method)


def read_methods(file: RecipeFile, faults: list[Fault]) -> dict[compose.Expression, str]:
    """Return the methods in their canonical form, placeholders expanded, in order, without repetition.

    Args:
        file: the recipe.
        faults: takes what is wrong, with places inside the recipe.

    Returns:
        Method -> its place in the recipe.
    """
    names = _expansions(file)
    methods: dict[compose.Expression, str] = {}
    for i, text in enumerate(file.methods):
        where = f"methods[{i}]"
        try:
            expression = compose.parse(text)
            expanded = compose.expand(expression, names)
        except compose.CompositionError as error:
            faults.append(Fault(where, str(error)))
            continue
        own = list(_method_faults(expression, file, names, where))
        faults += own
        # What is faulty is followed no further, so that each fault is told once.
        for method in () if own else expanded:
            methods.setdefault(method, where)
    return methods


def named_methods(file: RecipeFile, methods: Sequence[compose.Expression], faults: list[Fault]) -> RecipeFile:
    """Return the recipe with the methods of ``training.by_method`` as results name them.

    Args:
        file: the recipe.
        methods: that it has.
        faults: takes what is wrong, with places inside the recipe.
    """
    known = {str(method) for method in methods}
    found: dict[str, TrainingFields] = {}
    for text, fields in file.training.by_method.items():
        where = f"training.by_method.{text}"
        try:
            named = [str(one) for one in compose.expand(compose.parse(text), _expansions(file))]
        except compose.CompositionError as error:
            faults.append(Fault(where, str(error)))
            continue
        faults += [
            Fault(where, f"{one!r} is not among the methods", suggest(one, known) or "add it to `methods`")
            for one in named
            if one not in known
        ]
        found |= dict.fromkeys(named, fields)
    training = file.training.model_copy(update={"by_method": found})
    return file.model_copy(update={"training": training})


def _expansions(file: RecipeFile) -> dict[str, list[str]]:
    """Return placeholder -> the names that it stands for."""
    return {
        "intermediate": [section.name for section in file.intermediate],
        "domain": [section.name for section in file.domain],
    }


def _method_faults(
    expression: compose.Expression, file: RecipeFile, names: Mapping[str, Sequence[str]], where: str
) -> Iterator[Fault]:
    languages, pretrained = (one.name for one in file.language), (one.name for one in file.pretrained)
    known = {*_OWN_NAMES, *names["intermediate"], *names["domain"], *languages, *pretrained}
    for name in compose.leaves(expression):
        if name == compose.LANGUAGE:
            continue
        if name.startswith("<") and not names[name[1:-1]]:
            yield Fault(where, f"{name} stands for nothing", f"list adapters under `{name[1:-1]}:`")
        elif not name.startswith("<") and name not in known:
            hint = suggest(name, known) or f"known: {', '.join(sorted(known))}"
            yield Fault(where, f"{name!r} is not an adapter of this recipe", hint)
    settings, method = compose.unwrap(expression)
    if settings and settings not in file.adapters:
        hint = suggest(settings, file.adapters) or "name them under `adapters:`"
        yield Fault(where, f"there are no settings {settings!r}", hint)
    if not _trains(method):
        yield Fault(where, f"{expression}: trains nothing on the target; write stack({method}, target)")


def _trains(method: compose.Expression) -> bool:
    """Whether a method trains, or answers without training on purpose."""
    if isinstance(method, compose.Leaf):
        return method.name in _OWN_NAMES and method.name != compose.RANDOM
    if method.function in ("init_from", "longer", "full_stilts"):
        return True
    return compose.has_fusion(method) or compose.TARGET in compose.leaves(method)


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

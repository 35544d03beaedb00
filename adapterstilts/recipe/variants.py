"""Recipes made from a recipe: the same tasks and adapters, other methods with other settings. Pure.

A trial is such a recipe with one method, the comparison after a study one with several. Both are ordinary recipes, so
that equal work has equal keys, and what a study found can be run again from its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from adapterstilts import compose
from adapterstilts.recipe.check import Recipe, check
from adapterstilts.recipe.schema import AdapterSection, RecipeFile, TrainingFields
from adapterstilts.recipe.space import Candidate, Settings
from adapterstilts.recipe.targets import Target


def arrange(
    recipe: Recipe, candidates: Sequence[Candidate], seeds: Sequence[int], baseline: int = 0
) -> Recipe:
    """Return a recipe whose methods are some candidates, each once, in their order.

    Args:
        recipe: checked.
        candidates: methods and their settings.
        seeds: of the new recipe.
        baseline: position of the candidate that gains are measured against.

    Raises:
        RecipeError: when a composition cannot be had with these adapters.
    """
    file = recipe.file
    methods = []
    for candidate in candidates:
        file, method = _add(file, candidate)
        methods.append(method)
    file = file.model_copy(
        update={
            "methods": list(dict.fromkeys(methods)),
            "seeds": list(seeds),
            "search": None,
            "report": file.report.model_copy(update={"baseline": methods[baseline]}),
            "training": file.training.model_copy(
                update={"by_method": {m: f for m, f in file.training.by_method.items() if m in methods}}
            ),
        }
    )
    checked = check(recipe.path, file)
    # A recipe's own tasks are pinned to what the hub had when it was first run.
    return replace(checked, tasks=MappingProxyType({name: recipe.tasks[name] for name in checked.tasks}))


def method_of(recipe: Recipe, candidate: Candidate) -> str:
    """Return a candidate's method as `arrange` names it: with the settings of its adapters, where it has own sizes."""
    return _add(recipe.file, candidate)[1]


def _add(file: RecipeFile, candidate: Candidate) -> tuple[RecipeFile, str]:
    """Return the recipe with a candidate's settings in it, and the method that has them."""
    file, method = _sized(file, candidate.method, candidate.settings)
    settings = candidate.settings
    chosen = TrainingFields(learning_rate=settings.learning_rate, epochs=settings.epochs)
    given = chosen.model_dump(exclude_none=True)
    if given:
        own = file.training.by_method.get(candidate.method, TrainingFields())
        fields = {**file.training.by_method, method: own.model_copy(update=given)}
        training = file.training.model_copy(update={"by_method": fields})
        file = file.model_copy(update={"training": training})
    return file, method


def _sized(file: RecipeFile, method: str, settings: Settings) -> tuple[RecipeFile, str]:
    """Return the recipe with settings of adapters for a method with sizes of its own, and the method under them."""
    sizes = {
        name: value
        for name in ("reduction_factor", "skip_layers")
        if (value := getattr(settings, name)) is not None
    }
    named, expression = compose.unwrap(compose.parse(method))
    old = file.adapters[named] if named else file.adapter
    if all(getattr(old, name) == value for name, value in sizes.items()):
        return file, method
    section = old.model_copy(update=sizes)
    words = [f"{name.partition('_')[0]}{value}" for name, value in sizes.items()]
    name = _free("-".join([*([named] if named else []), *words]), section, file)
    changes: dict[str, object] = {"adapters": {**file.adapters, name: section}}
    if named in file.training.by_adapter:
        by_adapter = {**file.training.by_adapter, name: file.training.by_adapter[named]}
        changes["training"] = file.training.model_copy(update={"by_adapter": by_adapter})
    return file.model_copy(update=changes), str(compose.parse(f"with({name}, {expression})"))


def _free(name: str, section: AdapterSection, file: RecipeFile) -> str:
    """Return a name under which these settings stand, or can."""
    while file.adapters.get(name, section) != section:
        name += "_"
    return name


def for_target(recipe: Recipe, target: Target) -> Recipe:
    """Return the recipe with one of its targets alone."""
    return replace(recipe, targets=(target,))

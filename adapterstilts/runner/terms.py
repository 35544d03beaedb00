"""On which terms the methods of a recipe are trained: what may differ between them, by method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from adapterstilts import compose
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.defaults import Purpose, resolve_training
from adapterstilts.recipe.targets import Target
from adapterstilts.report.rows import ResultRow
from adapterstilts.specs import MODEL, Precision, TrainingSpec
from adapterstilts.store.store import Store

UNTUNED = "untuned"
_SETTINGS = "settings"
_COMPUTED_BY = "computed by"
_NONE: Mapping[str, str] = MappingProxyType({})

# Setting -> what a reader is told of it.
_TERMS: Mapping[str, Callable[[TrainingSpec, Precision], str]] = {
    "learning rate": lambda spec, _: f"{spec.learning_rate:g}",
    "dropout of the backbone": lambda spec, _: "on" if spec.backbone_dropout else "off",
    "precision": lambda _, precision: precision,
    "early stopping": lambda spec, _: _stopping(spec),
    "class weights": lambda spec, _: spec.class_weights,
}


def _stopping(spec: TrainingSpec) -> str:
    if not spec.evaluations:
        return "none"
    patience = "" if spec.patience is None else f", patience {spec.patience}"
    return f"best of {spec.evaluations}{patience}"


def terms(
    recipe: Recipe,
    precision: Precision,
    tuned: Mapping[str, str] = _NONE,
    paths: Mapping[str, str] = _NONE,
) -> dict[str, dict[str, str]]:
    """Return method -> setting -> what its stages on the targets are trained with, of methods that train any.

    Args:
        recipe: checked.
        precision: what ``auto`` means.
        tuned: method -> how a study chose its settings.
        paths: method -> which path its stages took; see `paths_of`.
    """
    found = {str(method): list(_settings(recipe, method, precision)) for method in recipe.methods}
    return {
        method: {
            _SETTINGS: tuned.get(method, UNTUNED),
            **{name: _told(own, text) for name, text in _TERMS.items()},
            **({_COMPUTED_BY: paths[method]} if method in paths else {}),
        }
        for method, own in found.items()
        if own
    }


def paths_of(rows: Iterable[ResultRow], store: Store) -> dict[str, str]:
    """Return method -> the paths by which its last models were trained: engine, library or both.

    Args:
        rows: results.
        store: where their artifacts are; what is not there is passed over.
    """
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        scored = store.find(row.artifact) if row.artifact else None
        trained = (
            store.find(scored.record.inputs[MODEL]) if scored and MODEL in scored.record.inputs else None
        )
        if trained is not None and "numerics" in trained.record.spec:
            path = trained.record.spec["numerics"]["path"].partition(".")[0]
            found.setdefault(row.method, {})[path] = None
    return {method: " and ".join(own) for method, own in found.items()}


def _told(own: list[tuple[TrainingSpec, Precision]], text: Callable[[TrainingSpec, Precision], str]) -> str:
    """Return one text for all stages; a fusion, or another target, may have its own."""
    return " and ".join(dict.fromkeys(text(*one) for one in own))


def _settings(
    recipe: Recipe, method: compose.Expression, precision: Precision
) -> Iterator[tuple[TrainingSpec, Precision]]:
    """Yield the settings of the stages that a method trains on targets."""
    for target in recipe.targets:
        for purpose in target.purposes(method, recipe.tasks[target.task].kind):
            own = replace(purpose, config=_config(recipe, method, purpose))
            yield resolve_training(recipe.file.training, own, precision)


def last_training(
    recipe: Recipe, method: compose.Expression, target: Target, precision: Precision
) -> TrainingSpec | None:
    """Return the settings of the stage that a method trains last on a target; None where it trains none.

    Args:
        recipe: checked.
        method: that has the recipe's adapters, not necessarily one of its methods.
        target: of the recipe.
        precision: what ``auto`` means.
    """
    purposes = target.purposes(method, recipe.tasks[target.task].kind)
    if not purposes:
        return None
    own = replace(purposes[-1], config=_config(recipe, method, purposes[-1]))
    return resolve_training(recipe.file.training, own, precision)[0]


def _config(recipe: Recipe, method: compose.Expression, purpose: Purpose) -> str:
    settings, expression = compose.unwrap(method)
    if purpose.full or purpose.role == "fusion":
        return ""
    if expression == compose.Leaf(compose.HEAD_ONLY):
        return compose.HEAD_ONLY
    if isinstance(expression, compose.Group) and expression.function == "init_from":
        adapter = recipe.adapter(compose.leaves(expression)[0])
        if adapter is None:
            return ""
        settings = settings if adapter.settings is None else adapter.settings
    return recipe.settings[settings].config

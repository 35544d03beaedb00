"""A study is opened: made, or found and compared with what the recipe says now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.study import Study

from adapterstilts import compose
from adapterstilts.errors import Fault, UsageError, suggest
from adapterstilts.recipe.space import Candidate, Settings
from adapterstilts.search.samplers import make_pruner, make_sampler
from adapterstilts.search.storage import Opened, quietly, storage_faults
from adapterstilts.search.work import Workshop
from adapterstilts.specs import changed_fields

FACTS = "adapterstilts"
"""The user attribute in which a study says what it was made with."""
_DIRECTIONS: Mapping[str, Literal["maximize", "minimize"]] = {
    "score": "maximize",
    "parameters": "minimize",
    "disk": "minimize",
}
# What may change while a study goes on: more trials, another way of proposing them, other methods beside it.
_FREE = {"trials", "tune", "sampler", "seed", "rank"}
_DATA = "data, backbone or machine"


def study_name(workshop: Workshop) -> str:
    """Return the name of a target's study: the recipe's, with the target's where there are several."""
    recipe = workshop.prepared.recipe
    return recipe.file.name if len(recipe.targets) == 1 else f"{recipe.file.name}.{workshop.target.name}"


def open_study(workshop: Workshop, opened: Opened) -> Study:
    """Return the study of a target, made if it is not there.

    Raises:
        UsageError: when a study of this name was made with something else; says what differs.
        StoreError: when the storage fails.
    """
    name, facts = study_name(workshop), _facts(workshop)
    section = _section(workshop)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with storage_faults(opened.url), opened.alone(name), quietly():
        study = _made(name, opened, [_DIRECTIONS[one] for one in section.objectives])
        if not study.user_attrs and not study.get_trials(deepcopy=False):
            study.set_metric_names(list(section.objectives))
            study.set_user_attr(FACTS, facts)
    _check(study, facts, opened)
    study.sampler = make_sampler(section, 0)
    study.pruner = make_pruner(section, len(section.seeds) * _evaluations(workshop))
    return study


def _section(workshop: Workshop) -> Any:
    section = workshop.prepared.recipe.file.search
    assert section is not None  # whoever opens a study has one
    return section


def _made(name: str, opened: Opened, directions: Sequence[Literal["maximize", "minimize"]]) -> Study:
    try:
        return optuna.create_study(storage=opened.storage, study_name=name, directions=directions)
    except DuplicatedStudyError:
        return optuna.load_study(storage=opened.storage, study_name=name)


def _facts(workshop: Workshop) -> dict[str, Any]:
    """Return what a study is made with, as plain data: two of one name have to agree on it."""
    recipe = workshop.prepared.recipe
    file = recipe.file.model_dump(
        mode="json", include={"backbone", "adapter", "adapters", "training", "remove_overlap"}
    )
    # What is trained on is in keys, whatever a recipe calls it.
    base = workshop.plan(Candidate("", compose.TARGET, Settings()), _section(workshop).seeds)
    search = {
        name: value for name, value in _section(workshop).model_dump(mode="json").items() if name not in _FREE
    }
    assert recipe.space is not None  # whoever opens a study has one
    return {
        **file,
        "search": {**search, "pool": list(recipe.space.pool)},
        "target": workshop.target.name,
        "intermediate": [
            one.model_dump(mode="json", exclude_defaults=True)
            for one in (*recipe.file.intermediate, *recipe.file.domain, *recipe.file.pretrained)
        ],
        _DATA: base.identity,
    }


def _check(study: Study, facts: Mapping[str, Any], opened: Opened) -> None:
    there = study.user_attrs.get(FACTS)
    where = f"study {study.study_name!r} in {opened.url}"
    remedy = "give the recipe another `name`, or another --storage"
    if there is None:
        raise UsageError(Fault(where, "was not made by a recipe", remedy))
    changed = changed_fields(there, facts)
    told = [name for name in changed if name != _DATA] or changed
    if told:
        differences = "; ".join(f"{name}: {_at(there, name)}, now {_at(facts, name)}" for name in told)
        raise UsageError(Fault(where, f"was made with another {differences}", remedy))


def _at(data: Mapping[str, Any], path: str) -> Any:
    found: Any = data
    for part in path.replace("[", ".[").split("."):
        if part.startswith("["):
            found = found[int(part[1:-1])]
        else:
            found = found.get(part, "nothing") if isinstance(found, Mapping) else found
    return found[:8] if path == _DATA else found


def _evaluations(workshop: Workshop) -> int:
    base = workshop.plan(Candidate("", compose.TARGET, Settings()), _section(workshop).seeds)
    return max(base.plan.stages[key].spec.training.evaluations for key in base.trained)  # type: ignore[union-attr]


def find_study(name: str, opened: Opened) -> Study:
    """Return a study that is there.

    Raises:
        UsageError: when there is none of this name.
        StoreError: when the storage fails.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with storage_faults(opened.url):
        known = optuna.get_all_study_names(opened.storage)
        if name not in known:
            hint = suggest(name, known) or f"known: {', '.join(known) or 'none'}"
            raise UsageError(Fault(opened.url, f"there is no study {name!r}", hint))
        return optuna.load_study(study_name=name, storage=opened.storage)

"""A study is opened: made, or found and compared with what the recipe says now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.study import Study, StudyDirection

from adapterstilts import compose
from adapterstilts.errors import Fault, UsageError, suggest
from adapterstilts.recipe.space import Candidate, Settings, Space
from adapterstilts.search.samplers import make_pruner, make_sampler
from adapterstilts.search.storage import Opened, quietly, storage_faults
from adapterstilts.search.work import Work, Workshop
from adapterstilts.store.digest import digest

FACTS = "adapterstilts"
"""The user attribute in which a study says what it was made with."""
_DIRECTIONS: Mapping[str, StudyDirection] = {
    "score": StudyDirection.MAXIMIZE,
    "parameters": StudyDirection.MINIMIZE,
    "disk": StudyDirection.MINIMIZE,
}
# What may change while a study goes on: more trials, another way of proposing them, other methods beside it.
_FREE = {"trials", "tune", "sampler", "seed", "rank"}
_DATA = "data, backbone or machine"
_SHORT = 60


def study_name(workshop: Workshop) -> str:
    """Return the name of a target's study: the recipe's, with the target's where there are several."""
    recipe = workshop.prepared.recipe
    return recipe.file.name if len(recipe.targets) == 1 else f"{recipe.file.name}.{workshop.target.name}"


def open_study(workshop: Workshop, space: Space, opened: Opened) -> Study:
    """Return the study of a target, made if it is not there.

    Raises:
        UsageError: when a study of this name was made with something else; says what differs.
        StoreError: when the storage fails.
    """
    section = space.section
    base = _base(workshop, space)
    name, facts = study_name(workshop), _facts(workshop, space)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with storage_faults(opened.url), opened.alone(name), quietly():
        directions = [_DIRECTIONS[one] for one in section.objectives]
        study = _made(name, opened, directions)
        # One that was made and not yet described, since its process died, is as good as none.
        bare = not study.user_attrs and not study.get_trials(deepcopy=False)
        if bare and study.directions == directions:
            study.set_metric_names(list(section.objectives))
            study.set_user_attr(FACTS, facts)
    _check(study, facts, opened)
    study.sampler = make_sampler(section, 0)
    study.pruner = make_pruner(section, len(base.trained) * base.evaluations)
    return study


def _made(name: str, opened: Opened, directions: Sequence[StudyDirection]) -> Study:
    try:
        return optuna.create_study(storage=opened.storage, study_name=name, directions=directions)
    except DuplicatedStudyError:
        return optuna.load_study(storage=opened.storage, study_name=name)


def _facts(workshop: Workshop, space: Space) -> dict[str, Any]:
    """Return what a study is made with, as plain data: two of one name have to agree on it."""
    file = workshop.prepared.recipe.file
    search = {
        name: value for name, value in space.section.model_dump(mode="json").items() if name not in _FREE
    }
    return {
        **file.model_dump(mode="json", include={"adapter", "adapters", "training", "remove_overlap"}),
        "search": {**search, "pool": list(space.pool)},
        "target": workshop.target.name,
        "intermediate": [
            one.model_dump(mode="json", exclude_defaults=True) for one in (*file.intermediate, *file.domain)
        ],
        # Keys say the rest: backbone, bytes of all data, precision.
        _DATA: digest([_base(workshop, space, name).identity for name in ("", *space.pool)]),
    }


def _base(workshop: Workshop, space: Space, name: str = "") -> Work:
    """Return the work of the target adapter, alone or on top of an adapter of the pool."""
    method = f"stack({name}, {compose.TARGET})" if name else compose.TARGET
    return workshop.plan(Candidate("", method, Settings()), space.section.seeds)


def _check(study: Study, facts: Mapping[str, Any], opened: Opened) -> None:
    there = study.user_attrs.get(FACTS)
    where = f"study {study.study_name!r} in {opened.url}"
    remedy = "give the recipe another `name`, or another --storage"
    if there is None:
        raise UsageError(Fault(where, "was not made by a recipe", remedy))
    found = list(_differences(there, facts))
    told = [one for one in found if not one.startswith(_DATA)] or found
    if told:
        raise UsageError(Fault(where, f"was made with another {'; '.join(told)}", remedy))


def _differences(there: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield what differs, with both values."""
    for name in sorted({*there, *now}):
        old, new = there.get(name), now.get(name)
        place = f"{path}.{name}".lstrip(".")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, place)
        elif old != new:
            yield f"{place}: {_short(old)}, now {_short(new)}"


def _short(value: Any) -> str:
    """Return a value as text; of a long one, a digest say, its beginning."""
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]} ..."


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

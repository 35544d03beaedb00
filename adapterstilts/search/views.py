"""Studies as people look at them: what there is, the trials, what mattered, what helped which target."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study, StudyDirection

from adapterstilts import compose
from adapterstilts.search.compare import front
from adapterstilts.search.opening import FACTS, find_study
from adapterstilts.search.records import Tried, best, tried
from adapterstilts.search.storage import Opened, storage_faults

# Fewer trials tell nothing of what mattered.
_FEWEST = 4


@dataclass(frozen=True)
class StudyView:
    """A study that is there.

    Attributes:
        name: of the study.
        objectives: by name; the score is one of them.
        signs: 1 for an objective that is to be high, -1 for one that is to be low.
        target: of the recipe; empty for a study that no recipe made.
        pool: adapters that compositions were made of.
        trials: in order.
        importance: question -> its share in what told good trials from bad ones (PED-ANOVA, Watanabe et al. 2023).
    """

    name: str
    objectives: tuple[str, ...]
    signs: tuple[int, ...]
    target: str
    pool: tuple[str, ...]
    trials: tuple[Tried, ...]
    importance: Mapping[str, float]

    @property
    def score(self) -> int:
        """The position of the score among the objectives."""
        return self.objectives.index("score") if "score" in self.objectives else 0

    @property
    def states(self) -> Mapping[str, int]:
        """State -> number of trials."""
        return Counter(trial.state for trial in self.trials)

    @property
    def best(self) -> Tried | None:
        """The trial with the best score so far."""
        return best(self.trials, self.score)

    @property
    def front(self) -> list[Tried]:
        """The trials that no other is better than in all objectives; none for a single objective."""
        return front(self.trials, self.signs)

    def history(self) -> list[tuple[int, float, float]]:
        """Return number, score and best score so far of each complete trial."""
        found: list[tuple[int, float, float]] = []
        for trial in self.trials:
            if trial.values:
                value = trial.values[self.score]
                found.append((trial.number, value, max(value, found[-1][2] if found else value)))
        return found

    def gains(self) -> dict[str, float]:
        """Return adapter of the pool -> the best score with it alone under the target's, minus the best without."""
        alone = self._best_of(compose.TARGET)
        if alone is None:
            return {}
        with_one = {name: self._best_of(str(compose.parse(f"stack({name}, target)"))) for name in self.pool}
        return {name: score - alone for name, score in with_one.items() if score is not None}

    def _best_of(self, method: str) -> float | None:
        own = [one for one in self.trials if one.candidate is not None and one.candidate.method == method]
        found = best(own, self.score)
        return None if found is None else found.values[self.score]


def study_names(opened: Opened) -> list[str]:
    """Return the names of all studies of a storage."""
    with storage_faults(opened.url):
        return sorted(optuna.get_all_study_names(opened.storage))


def view(name: str, opened: Opened) -> StudyView:
    """Return a study as people look at it.

    Raises:
        UsageError: when there is none of this name.
        StoreError: when the storage fails.
    """
    study = find_study(name, opened)
    with storage_faults(opened.url):
        facts = study.user_attrs.get(FACTS, {})
        search = facts.get("search", {})
        return StudyView(
            name=name,
            objectives=tuple(search.get("objectives", study.metric_names or ["value"])),
            signs=tuple(1 if one == StudyDirection.MAXIMIZE else -1 for one in study.directions),
            target=facts.get("target", ""),
            pool=tuple(search.get("pool", ())),
            trials=tuple(tried(study)),
            importance=_importance(study, _score(search)),
        )


def _score(search: Mapping[str, Any]) -> int:
    objectives = search.get("objectives", ["score"])
    return int(objectives.index("score"))


def _importance(study: Study, score: int) -> dict[str, float]:
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < _FEWEST:
        return {}
    sign = -1 if study.directions[score] == StudyDirection.MAXIMIZE else 1
    with warnings.catch_warnings():
        # It warns that low values are good ones, as they are here.
        warnings.simplefilter("ignore")
        found = get_param_importances(
            study,
            evaluator=PedAnovaImportanceEvaluator(),
            target=lambda trial: sign * trial.values[score],
        )
    return {name: share for name, share in found.items() if share > 0}


def related(name: str, opened: Opened) -> Sequence[str]:
    """Return the studies of a recipe: that of its name, or those of its targets."""
    names = study_names(opened)
    return [one for one in names if one == name or one.startswith(f"{name}.")] or [name]

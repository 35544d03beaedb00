"""What a study found, and the comparison that it ends in: an ordinary recipe with the settings that were chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapterstilts import compose
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.schema import RecipeFile
from adapterstilts.recipe.space import Candidate, Settings, Space
from adapterstilts.recipe.targets import Setting
from adapterstilts.recipe.variants import arrange, method_of
from adapterstilts.report.studies import Choice, Regret, StudyFacts
from adapterstilts.runner.terms import UNTUNED
from adapterstilts.search.budget import Budget
from adapterstilts.search.records import Tried, best
from adapterstilts.search.spending import spending
from adapterstilts.search.work import Workshop

_TUNED_ON_TARGET: Setting = "target_validation"


@dataclass(frozen=True)
class Found:
    """What a study found for a target.

    Attributes:
        workshop: of the target.
        trials: of the study.
        budget: of its trials.
    """

    workshop: Workshop
    trials: Sequence[Tried]
    budget: Budget

    @property
    def score(self) -> int:
        """The position of the score among the objectives."""
        return self.budget.score

    @property
    def space(self) -> Space:
        """The space of the study."""
        return self.budget.space

    @property
    def recipe(self) -> Recipe:
        """The recipe of the study."""
        return self.workshop.prepared.recipe

    @property
    def winner(self) -> Tried | None:
        """The best trial of the search, or of all methods where none is; None where every trial failed."""
        phase = "search" if self.space.forms else "tune"
        return best([trial for trial in self.trials if trial.phase == phase], self.score)

    @property
    def single(self) -> Tried | None:
        """The best trial with one adapter of the pool under the target's."""
        if not self.space.forms:
            return None
        alone = {str(compose.parse(f"stack({name}, target)")) for name in self.space.pool}
        return best(
            [one for one in self.trials if one.candidate and one.candidate.method in alone], self.score
        )

    def chosen(self, method: str) -> Candidate:
        """Return a method with the settings of its best trial; those of the recipe where it had none."""
        own = [trial for trial in self.trials if trial.candidate and trial.candidate.method == method]
        found = best(own, self.score)
        return found.candidate if found and found.candidate else Candidate(method, method, Settings())

    # ---- the comparison

    def candidates(self) -> list[Candidate]:
        """Return what is compared: the recipe's methods, the winner, and the best single adapter."""
        methods = [str(method) for method in self.recipe.methods]
        methods += [one.candidate.method for one in (self.winner, self.single) if one and one.candidate]
        return [self.chosen(method) for method in dict.fromkeys(methods)]

    def comparison(self) -> Recipe:
        """Return the recipe that compares them on test data, with seeds that no trial had."""
        candidates = self.candidates()
        baseline = [one.method for one in candidates].index(self.recipe.file.report.baseline)
        arranged = arrange(self.recipe, candidates, self.recipe.file.seeds, baseline)
        number = self.workshop.number
        target = arranged.targets[number]
        file = _of_one_target(arranged, number)
        if self._selected_on_target and target.setting == "zero_shot":
            target = replace(target, setting=_TUNED_ON_TARGET)
            section = file.targets[0].model_copy(update={"setting": _TUNED_ON_TARGET})
            file = file.model_copy(update={"targets": [section]})
        return replace(arranged, file=file, targets=(target,))

    @property
    def _selected_on_target(self) -> bool:
        return self.space.section.select_on == _TUNED_ON_TARGET

    # ---- what is told of it

    def facts(self, name: str, storage: str) -> StudyFacts | None:
        """Return the study as the report tells it; None where every trial failed."""
        winner, single, section = self.winner, self.single, self.space.section
        if winner is None:
            return None
        return StudyFacts(
            name=name,
            storage=storage,
            select_on=section.select_on,
            metric=self.workshop.task.metrics[0],
            states=dict(Counter(trial.state for trial in self.trials)),
            families=dict(Counter(trial.family for trial in self.trials if trial.family)),
            winner=self.choice(winner),
            single=None if single is None else self.choice(single),
            tuned=self._tuned(winner),
            regret=regret(self.trials, self.score, section.select_on),
            front=tuple(map(self.choice, front(self.trials, self._signs()))),
            spending=spending(self.trials, self.workshop.prepared.store),
        )

    def choice(self, trial: Tried) -> Choice:
        """Return a complete trial as the report tells it."""
        candidate = trial.candidate
        assert candidate is not None  # it is complete
        named = dict(zip(self.space.section.objectives, trial.values, strict=True))
        return Choice(
            method=method_of(self.recipe, candidate),
            settings=str(candidate.settings),
            trial=trial.number,
            value=named["score"],
            parameters=named.get("parameters"),
            disk=named.get("disk"),
        )

    def _signs(self) -> tuple[int, ...]:
        return tuple(1 if name == "score" else -1 for name in self.space.section.objectives)

    def _tuned(self, winner: Tried) -> dict[str, str]:
        """Return on how many trials the settings of each compared method were chosen."""
        share = self._trials_of(winner.family)
        told = {}
        for candidate in self.candidates():
            trials = self._trials_of(candidate.family)
            spent = trials >= share or (bool(trials) and self.budget.is_spent(candidate.family, self.trials))
            fair = spent and candidate.settings != Settings()
            few = f" ({trials} trials, the winner {share})" if trials and not spent else ""
            told[method_of(self.recipe, candidate)] = f"tuned: {trials} trials" if fair else f"{UNTUNED}{few}"
        return told

    def _trials_of(self, family: str) -> int:
        return sum(1 for trial in self.trials if trial.family == family and trial.counts)


def _of_one_target(recipe: Recipe, number: int) -> RecipeFile:
    """Return a recipe's file with one of its targets, so that it can be run again as it is."""
    file, target = recipe.file, recipe.targets[number]
    used = {*target.names, *(name for adapter in recipe.adapters for name in adapter.names)}
    by_task = {name: fields for name, fields in file.training.by_task.items() if name in used}
    training = file.training.model_copy(update={"by_task": by_task})
    return file.model_copy(update={"targets": [file.targets[number]], "training": training})


def regret(trials: Sequence[Tried], score: int, select_on: str) -> Regret | None:
    """Return what selecting on the source's validation data costs on the target's.

    Args:
        trials: of a study.
        score: position of the score among the objectives.
        select_on: whose data the score is of; the other one's is noted beside it.
    """
    both = [
        (trial, trial.values[score], trial.other)
        for trial in trials
        if trial.values and trial.other is not None and trial.same_as is None
    ]
    if not both:
        return None
    pairs = [
        (trial, own, other) if select_on == "validation" else (trial, other, own)
        for trial, own, other in both
    ]
    on_source = max(pairs, key=lambda pair: pair[1])
    on_target = max(pairs, key=lambda pair: pair[2])
    return Regret(
        str(on_source[0].candidate), str(on_target[0].candidate), on_target[2] - on_source[2], len(pairs)
    )


def front(trials: Sequence[Tried], signs: Sequence[int]) -> list[Tried]:
    """Return the trials that no other trial is better than in all objectives; none for a single objective.

    Args:
        trials: of a study.
        signs: 1 for an objective that is to be high, -1 for one that is to be low.
    """
    if len(signs) < 2:
        return []
    own = [trial for trial in trials if trial.values and trial.same_as is None]
    points = [tuple(sign * value for sign, value in zip(signs, one.values, strict=True)) for one in own]
    return [
        trial
        for trial, point in zip(own, points, strict=True)
        if not any(_dominates(other, point) for other in points)
    ]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))

"""Which trial comes next. Pure: told by the trials that there are, so that a killed study goes on the same way.

The methods that are compared come first, once each, as the recipe has them. The search over compositions follows; then
each method, and the best single adapter, get as many trials as the winner's family had. Without compositions, each
method gets the recipe's number. A family that has no more points than trials is tried as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapterstilts.recipe.space import Candidate, Endless, Space, points
from adapterstilts.search.records import Phase, Tried, best

Point = tuple[Mapping[str, Any], Candidate]
"""Answers to a space's questions, and what they mean."""
First = Callable[[str], Sequence[Point]]
"""Family (empty for the search) -> its first trials."""


@dataclass(frozen=True)
class Due:
    """A trial that is due.

    Attributes:
        phase: of the trial.
        family: that is tuned; empty for the search.
        point: that is tried; None where the sampler is asked.
        whole: whether no pruner ends it: every family has trials to compare others with.
    """

    phase: Phase
    family: str
    point: Point | None
    whole: bool = False


@dataclass(frozen=True)
class Waiting:
    """Nothing can be said before other processes' trials have ended."""


@dataclass(frozen=True)
class Budget:
    """The trials of a study.

    Attributes:
        space: that is searched.
        score: position of the score among the objectives.
        first: what the first trials of each family are.
    """

    space: Space
    score: int
    first: First

    def due(self, trials: Sequence[Tried]) -> Due | Waiting | None:
        """Return the next trial, or that others have to end first; None when the study is complete."""
        if not self.space.forms:
            return self._tuning(trials, self.space.section.trials)
        baseline = self._tuning(trials, 1)
        if baseline is not None:
            return baseline
        searched = self._searched(trials)
        point = self._next("search", "", searched, self.space.section.trials)
        if point is not None:
            return point
        if self.space.families and any(trial.state in ("running", "waiting") for trial in searched):
            return Waiting()
        return self._tuning(trials, self.share(trials))

    def share(self, trials: Sequence[Tried]) -> int:
        """Return how many trials each family that is tuned gets: as many as the winner's family had."""
        if not self.space.forms:
            return self.space.section.trials
        searched = self._searched(trials)
        winner = best(searched, self.score)
        return 0 if winner is None else sum(1 for one in searched if one.family == winner.family)

    def is_spent(self, family: str, trials: Sequence[Tried]) -> bool:
        """Whether a family had as many trials as any other, or all that it can have."""
        return self._next("tune", family, _tuned(trials, family), self.share(trials)) is None

    @staticmethod
    def _searched(trials: Sequence[Tried]) -> list[Tried]:
        return [trial for trial in trials if trial.phase == "search" and trial.counts]

    def _tuning(self, trials: Sequence[Tried], share: int) -> Due | None:
        wanted = (self._next("tune", one, _tuned(trials, one), share) for one in self.space.families)
        return next((due for due in wanted if due is not None), None)

    def _next(self, phase: Phase, family: str, own: Sequence[Tried], share: int) -> Due | None:
        """Return a family's next trial; None where it had its share, or all of its points were tried."""
        if len(own) >= share:
            return None
        listed = self._points(family, share)
        if listed is None:
            given = self.first(family)
            return (
                Due(phase, family, given[len(own)], True)
                if len(own) < len(given)
                else Due(phase, family, None)
            )
        known = {(trial.candidate.method, trial.candidate.settings) for trial in own if trial.candidate}
        untried = ((answers, one) for answers, one in listed if (one.method, one.settings) not in known)
        point = next(untried, None)
        return None if point is None else Due(phase, family, point, whole=not own)

    def _points(self, family: str, most: int) -> list[Point] | None:
        """Return all points of a family where they are no more than its trials, None otherwise."""
        found: list[Point] = []
        try:
            for point in points(self.space, family):
                found.append(point)
                if len(found) > most and self.space.section.sampler != "grid":
                    return None
        except Endless:
            return None
        return found


def _tuned(trials: Sequence[Tried], family: str) -> list[Tried]:
    return [trial for trial in trials if trial.phase == "tune" and trial.family == family and trial.counts]

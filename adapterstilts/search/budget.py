"""Which trial comes next. Pure: told by the trials that there are, so that a killed study goes on the same way.

First the search over compositions has its trials; then each method that is compared, and the best single adapter, get
as many as the winner's family had. Without compositions, each method gets the recipe's number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapterstilts.recipe.space import Endless, Space, points
from adapterstilts.search.records import Phase, Tried, best

Params = Mapping[str, Any]
First = Callable[[str], Sequence[Params]]
"""Family (empty for the search) -> the answers that its first trials are given."""


@dataclass(frozen=True)
class Due:
    """A trial that is due.

    Attributes:
        phase: of the trial.
        family: that is tuned; empty for the search.
        params: answers that it is given; the sampler gives the others.
    """

    phase: Phase
    family: str
    params: Params


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
        if self.space.forms:
            searched = [trial for trial in trials if trial.phase == "search" and trial.counts]
            if len(searched) < self.count("", self.space.section.trials):
                return Due("search", "", self._params("", self.space.section.trials, len(searched)))
            if self.space.families and any(trial.state in ("running", "waiting") for trial in searched):
                return Waiting()
        share = self.share(trials)
        for family in self.space.families:
            own = [one for one in trials if one.phase == "tune" and one.family == family and one.counts]
            if len(own) < self.count(family, share):
                return Due("tune", family, self._params(family, share, len(own)))
        return None

    def count(self, family: str, trials: int) -> int:
        """Return how many trials a family gets of a number: as many as it has points, where those are fewer."""
        listed = self._points(family, trials)
        return trials if listed is None else len(listed)

    def share(self, trials: Sequence[Tried]) -> int:
        """Return how many trials each family that is tuned gets: as many as the winner's family had."""
        if not self.space.forms:
            return self.space.section.trials
        searched = [trial for trial in trials if trial.phase == "search" and trial.counts]
        winner = best(searched, self.score)
        return 0 if winner is None else sum(1 for one in searched if one.family == winner.family)

    def _params(self, family: str, trials: int, number: int) -> Params:
        """Return the answers that a family's trial is given, by how many it had before."""
        listed = self._points(family, trials)
        given = self.first(family) if listed is None else listed
        return given[number] if number < len(given) else {}

    def _points(self, family: str, most: int) -> Sequence[Params] | None:
        """Return all points of a family where they are no more than its trials, None otherwise."""
        try:
            found = []
            for answers, _ in points(self.space, family):
                found.append(answers)
                if len(found) > most and self.space.section.sampler != "grid":
                    return None
            return found
        except Endless:
            return None

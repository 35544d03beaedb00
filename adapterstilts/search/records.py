"""What a study's trials say, as plain data: Optuna's own records, with what we noted beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from adapterstilts.recipe.space import Candidate, Settings

Phase = Literal["search", "tune"]

# Notes in a trial's user attributes.
PHASE, FAMILY, METHOD, SETTINGS = "phase", "family", "method", "settings"
WHOLE, WORK, SAME_AS, ERROR, OTHER_SCORE, STAGES = (
    "whole",
    "work",
    "same_as",
    "error",
    "target_validation",
    "stages",
)

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Tried:
    """One trial.

    Attributes:
        number: of the trial.
        state: ``complete``, ``pruned``, ``failed``, ``running`` or ``waiting``.
        phase: whether compositions are searched, or a family is tuned.
        family: whose budget it is of; empty for a search whose composition is not known yet.
        candidate: what is tried; None until it is known.
        values: one an objective; empty unless it is complete.
        work: digest of the keys behind the values; equal work is done once.
        other: score on the target's validation data where the source's decide, None where there are none.
        error: what it failed with.
        same_as: number of the trial that did the same work before; None for a trial of its own.
        seconds: from its start to its end; None while it goes on.
        trained: keys of the models that its values are of; empty until it is planned.
    """

    number: int
    state: str
    phase: Phase
    family: str
    candidate: Candidate | None
    values: tuple[float, ...]
    work: str
    other: float | None
    error: str
    same_as: int | None
    seconds: float | None
    trained: tuple[str, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether it used up a trial of its budget: all but one that died, whose copy counts in its place."""
        return self.state != "failed" or bool(self.error)


_STATES: Mapping[TrialState, str] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def tried(study: Study) -> list[Tried]:
    """Return the trials of a study, in order."""
    return [_tried(trial) for trial in study.get_trials(deepcopy=False)]


def _tried(trial: FrozenTrial) -> Tried:
    notes = trial.user_attrs
    duration = trial.duration
    return Tried(
        number=trial.number,
        state=_STATES[trial.state],
        # A trial that a user added by hand is part of the search.
        phase=notes.get(PHASE, "search"),
        family=notes.get(FAMILY, ""),
        candidate=_candidate(notes),
        values=tuple(trial.values or ()) if trial.state == TrialState.COMPLETE else (),
        work=notes.get(WORK, ""),
        other=notes.get(OTHER_SCORE),
        error=notes.get(ERROR, ""),
        same_as=notes.get(SAME_AS),
        seconds=None if duration is None else duration.total_seconds(),
        trained=tuple(notes.get(STAGES, ())),
    )


def notes_of(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as notes beside a trial."""
    return {
        FAMILY: candidate.family,
        METHOD: candidate.method,
        SETTINGS: {name: value for name, value in vars(candidate.settings).items() if value is not None},
    }


def _candidate(notes: Mapping[str, Any]) -> Candidate | None:
    if METHOD not in notes:
        return None
    return Candidate(notes[FAMILY], notes[METHOD], Settings(**notes[SETTINGS]))


def best(trials: Sequence[Tried], score: int) -> Tried | None:
    """Return the trial with the highest score, the earliest of equal ones; None where none is complete.

    Args:
        trials: of a study.
        score: position of the score among the objectives.
    """
    complete = [trial for trial in trials if trial.values]
    return max(complete, key=lambda trial: (trial.values[score], -trial.number), default=None)


def same_work(trials: Sequence[Tried], work: str, before: int) -> Tried | None:
    """Return the earlier trial that ended after the same work, None without one."""
    ended = {_STATES[state] for state in _ENDED}
    return next(
        (trial for trial in trials if trial.work == work and trial.number < before and trial.state in ended),
        None,
    )

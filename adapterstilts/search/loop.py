"""The trials of a study in this process: asked for under a lock, run, told; what died is taken up again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from filelock import FileLock
from optuna.exceptions import StorageInternalError, TrialPruned
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.study import Study
from optuna.trial import Trial, TrialState

from adapterstilts import killpoints
from adapterstilts.errors import Fault, Interrupted
from adapterstilts.search import records
from adapterstilts.search.budget import Budget, Due, Waiting
from adapterstilts.search.objective import Objective, TrialFailed
from adapterstilts.search.records import Tried, best, tried
from adapterstilts.search.samplers import make_sampler
from adapterstilts.search.storage import Opened, quietly

_POLL_SECONDS = 1.0


class StudyReporter(Protocol):
    """What a study tells while it goes on; the command line prints it."""

    def trial_ended(self, trial: Tried, best: Tried | None, score: int) -> None:
        """A trial is behind us; `score` is the position of the score among the values."""


class SilentStudy:
    """A reporter of studies that says nothing."""

    def trial_ended(self, trial: Tried, best: Tried | None, score: int) -> None:
        """Say nothing."""


@dataclass
class Loop:
    """Runs a study's trials until its budget is used up.

    Attributes:
        study: Optuna's.
        opened: where it is kept.
        budget: which trials there are to be.
        objective: runs one.
        reporter: told of each.
        stop: whether the user asked to stop.
    """

    study: Study
    opened: Opened
    budget: Budget
    objective: Objective
    reporter: StudyReporter = field(default_factory=SilentStudy)
    stop: Callable[[], bool] = lambda: False

    def run(self) -> None:
        """Run trials until none is due, those of other processes included.

        Raises:
            Interrupted: when asked to stop; the trial that was going on is taken up by the next run.
            AdapterStiltsError: when the data, the backbone, the store, the disk or the database fails.
        """
        while True:
            if self.stop():
                raise Interrupted(Fault(self.study.study_name, "stopped between two trials", "run it again"))
            begun = self._begin()
            if begun is None:
                return
            if isinstance(begun, Waiting):
                time.sleep(_POLL_SECONDS)
                continue
            trial, lock = begun
            try:
                self._go(trial)
            finally:
                if lock is not None:
                    lock.release()

    # ---- the next trial

    def _begin(self) -> tuple[Trial, FileLock | None] | Waiting | None:
        with self.opened.alone(self.study.study_name):
            self._bury()
            adopted = self._adopt()
            if adopted is not None:
                return adopted
            trials = tried(self.study)
            states = [trial.state for trial in trials]
            if "waiting" not in states:
                due = self.budget.due(trials)
                if due is None:
                    return Waiting() if "running" in states else None
                if isinstance(due, Waiting):
                    return due
                answers = {} if due.point is None else dict(due.point[0])
                self.study.enqueue_trial(answers, user_attrs=_notes(due))
            first, *_ = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            self.study.sampler = make_sampler(self.budget.space.section, first.number)
            # Before it runs, so that it cannot die unheard.
            self.opened.beat(first._trial_id)
            with quietly():
                trial = self.study.ask()
            lock = self.opened.claim(self._name(trial.number)) if self.opened.locks is not None else None
        killpoints.reach("trial_asked")
        return trial, lock

    def _name(self, number: int) -> str:
        return f"{self.study.study_name}-{number}"

    def _bury(self) -> None:
        """Put trials without heartbeats into the queue again."""
        if self.opened.locks is None:
            with quietly():
                fail_stale_trials(self.study)

    def _adopt(self) -> tuple[Trial, FileLock] | None:
        """Return a trial whose process on this host has died, to go on with as it is."""
        if self.opened.locks is None:
            return None
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            lock = self.opened.claim(self._name(frozen.number))
            if lock is not None:
                self.study.sampler = make_sampler(self.budget.space.section, frozen.number)
                return Trial(self.study, frozen._trial_id), lock
        return None

    # ---- one trial

    def _go(self, trial: Trial) -> None:
        try:
            with self.opened.heartbeat(trial._trial_id):
                state, values = self._ended(trial)
                killpoints.reach("trial_tell")
                self.study.tell(trial, values=values, state=state)
        except BaseException:
            self._leave(trial)
            raise
        killpoints.reach("trial_told")
        self._tell_reporter(trial.number)

    def _ended(self, trial: Trial) -> tuple[TrialState, list[float] | None]:
        try:
            return TrialState.COMPLETE, list(self.objective(trial))
        except TrialPruned:
            return TrialState.PRUNED, None
        except TrialFailed as error:
            trial.set_user_attr(records.ERROR, str(error))
            return TrialState.FAIL, None

    def _leave(self, trial: Trial) -> None:
        """Leave a trial to the next process: on this host as it is, in a database as a copy in the queue."""
        if self.opened.locks is not None:
            return
        with contextlib.suppress(StorageInternalError), quietly():
            frozen = self.study.tell(trial, state=TrialState.FAIL)
            RetryHeartbeatStaleTrialCallback()(self.study, frozen)

    def _tell_reporter(self, number: int) -> None:
        trials = tried(self.study)
        self.reporter.trial_ended(trials[number], best(trials, self.budget.score), self.budget.score)


def _notes(due: Due) -> dict[str, Any]:
    """Return what a trial says of itself from the beginning, so that its budget is known while it waits."""
    notes: dict[str, Any] = {records.PHASE: due.phase} | ({records.WHOLE: True} if due.whole else {})
    if due.family:
        notes[records.FAMILY] = due.family
    return notes if due.point is None else notes | records.notes_of(due.point[1])

"""The trials of a study: asked for under a lock, run, told; what died is taken up again.

Where an executor has room for several stages, as many trials are under way, each in a thread that mostly waits.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from filelock import FileLock
from optuna.exceptions import StorageInternalError, TrialPruned
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.study import Study
from optuna.trial import Trial, TrialState

from adapterstilts import killpoints
from adapterstilts.errors import Fault, Interrupted
from adapterstilts.recipe.space import Candidate
from adapterstilts.search import records
from adapterstilts.search.budget import Budget, Due, Waiting
from adapterstilts.search.objective import Objective, TrialFailed
from adapterstilts.search.records import Tried, best, tried
from adapterstilts.search.samplers import make_sampler
from adapterstilts.search.storage import Opened, quietly

_POLL_SECONDS = 1.0
# Threads; an executor's room is what bounds the trials.
_MOST = 1000


class StudyReporter(Protocol):
    """What a study tells while it goes on; the command line prints it."""

    def trial_ended(self, trial: Tried, best: Tried | None, score: int) -> None:
        """A trial is behind us; `score` is the position of the score among the values."""


class SilentStudy:
    """A reporter of studies that says nothing."""

    def trial_ended(self, trial: Tried, best: Tried | None, score: int) -> None:
        """Say nothing."""


@dataclass
class _Begun:
    """A trial that was begun.

    Attributes:
        trial: Optuna's.
        lock: held while this process is at it; None where heartbeats tell.
        candidate: what it tries, once that was proposed.
    """

    trial: Trial
    lock: FileLock | None
    candidate: Candidate | None = None

    def let_go(self) -> None:
        """Let another process take it up, if it was not told."""
        if self.lock is not None:
            self.lock.release()


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
    _under_way: dict[Future[None], _Begun] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(init=False)
    # Work that a trial of this process is at; another trial that means the same waits for its value.
    _turns: dict[str, threading.Lock] = field(default_factory=dict)
    _ending: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Run trials until none is due, those of other processes included.

        Raises:
            Interrupted: when asked to stop; the trials that were going on are taken up by the next run.
            AdapterStiltsError: when the data, the backbone, the store, the disk or the database fails.
        """
        self._threads = ThreadPoolExecutor(_MOST, "trial")
        self._ending.clear()
        try:
            while self._fill():
                self._collect()
        except BaseException as error:
            self._ending.set()
            if isinstance(error, Exception):
                wait(self._under_way)
            raise
        finally:
            self._threads.shutdown(wait=False)
            for begun in self._under_way.values():
                begun.let_go()
            self._under_way.clear()

    def _fill(self) -> bool:
        """Begin as many trials as there is room for; return whether the study goes on."""
        while True:
            if self.stop():
                raise Interrupted(Fault(self.study.study_name, "stopped between two trials", "run it again"))
            if len(self._under_way) >= self.objective.slots:
                return True
            begun = self._begin()
            if begun is None:
                return bool(self._under_way)
            if isinstance(begun, Waiting):
                return True
            self._start(begun)

    def _start(self, begun: _Begun) -> None:
        if self.objective.slots > 1:
            self._under_way[self._threads.submit(self._go, begun)] = begun
            return
        try:
            self._go(begun)
        finally:
            begun.let_go()
        self._tell_reporter(begun.trial.number)

    def _collect(self) -> None:
        """Wait for trials to end, those of other processes where there is none of ours."""
        if not self._under_way:
            time.sleep(_POLL_SECONDS)
        for future in wait(self._under_way, _POLL_SECONDS, FIRST_COMPLETED).done:
            begun = self._under_way.pop(future)
            begun.let_go()
            future.result()
            self._tell_reporter(begun.trial.number)

    # ---- the next trial

    def _begin(self) -> _Begun | Waiting | None:
        with self.opened.alone(self.study.study_name):
            self._bury()
            begun = self._adopt() or self._ask()
            if isinstance(begun, _Begun):
                # Before another trial is asked for, whose sampler is to keep away from what this one tries.
                begun.candidate = self.objective.propose(begun.trial)
            return begun

    def _ask(self) -> _Begun | Waiting | None:
        """Take the next trial of the queue, after the budget has put one there if it is empty."""
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
        # Before it runs, so that it cannot die unheard.
        self.opened.beat(first._trial_id)
        with quietly():
            trial = self._study_of(first.number).ask()
        lock = self.opened.claim(self._name(trial.number)) if self.opened.locks is not None else None
        killpoints.reach("trial_asked")
        return _Begun(trial, lock)

    def _study_of(self, number: int) -> Study:
        """Return the study with the sampler of one trial, which its neighbours do not share."""
        study = copy.copy(self.study)
        study.sampler = make_sampler(self.budget.space.section, number)
        return study

    def _name(self, number: int) -> str:
        return f"{self.study.study_name}-{number}"

    def _bury(self) -> None:
        """Put trials without heartbeats into the queue again."""
        if self.opened.locks is None:
            with quietly():
                fail_stale_trials(self.study)

    def _adopt(self) -> _Begun | None:
        """Return a trial whose process on this host has died, to go on with as it is."""
        if self.opened.locks is None:
            return None
        ours = {begun.trial.number for begun in self._under_way.values()}
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            lock = None if frozen.number in ours else self.opened.claim(self._name(frozen.number))
            if lock is not None:
                return _Begun(Trial(self._study_of(frozen.number), frozen._trial_id), lock)
        return None

    # ---- one trial

    def _go(self, begun: _Begun) -> None:
        trial = begun.trial
        try:
            with self.opened.heartbeat(trial._trial_id), ExitStack() as turn:
                state, values = self._ended(begun, turn)
                killpoints.reach("trial_tell")
                trial.study.tell(trial, values=values, state=state)
        except BaseException:
            self._leave(trial)
            raise
        killpoints.reach("trial_told")

    def _ended(self, begun: _Begun, turn: ExitStack) -> tuple[TrialState, list[float] | None]:
        """Run a trial; it has its turn at what it computes until it was told."""
        trial = begun.trial
        assert begun.candidate is not None  # it was proposed when it began
        try:
            work = self.objective.plan(trial, begun.candidate)
            turn.enter_context(self._turns.setdefault(work.identity, threading.Lock()))
            return TrialState.COMPLETE, list(self.objective.run(work, trial, self._is_stopped))
        except TrialPruned:
            return TrialState.PRUNED, None
        except TrialFailed as error:
            trial.set_user_attr(records.ERROR, str(error))
            return TrialState.FAIL, None

    def _is_stopped(self) -> bool:
        return self._ending.is_set() or self.stop()

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

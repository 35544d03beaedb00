"""Walk a plan: skip what the store has, run what it has not, say why.

A stage that fails takes only its dependants with it. A fault of the machine (backbone, store, disk) or a request
to stop ends the walk, because every later stage would meet it too. A stage that another process is at is passed
over for others that are ready, and waited for only when nothing else is.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from adapterstilts.errors import (
    AdapterStiltsError,
    DataError,
    EnvironmentFault,
    Fault,
    Interrupted,
    StoreError,
)
from adapterstilts.recipe.plan import Plan, Stage
from adapterstilts.runner.attempt import Ending, Follower, Work, already_made, stopped_before
from adapterstilts.runner.executor import Executor, Here
from adapterstilts.runner.lineage import Lineage
from adapterstilts.runner.missing import release
from adapterstilts.runner.order import Order
from adapterstilts.runner.reporter import Reporter, Status
from adapterstilts.stages.context import Context

# Between two looks at stages that others are at, and at requests to stop.
_LOOK_SECONDS = 0.5
_ENDS_ALL = (Interrupted, EnvironmentFault, StoreError)

OnScore = Callable[[Stage, int, float], None]
"""Told of a stage's score on validation data, with ``(stage, step, score)``; any thread may say so."""


@dataclass
class Outcome:
    """What became of the stages.

    Attributes:
        status: key -> status, in the order in which they ended.
        errors: the errors that stages failed with.
    """

    status: dict[str, Status] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def count(self, status: Status) -> int:
        """Return the number of stages with a status."""
        return sum(1 for value in self.status.values() if value == status)


def preflight(plan: Plan, missing: Collection[str], context: Context) -> None:
    """Read all data that missing stages need, before anything is computed.

    Raises:
        DataError: with the faults of all splits at once.
    """
    faults: list[Fault] = []
    for key in missing:
        for use in (*plan.stages[key].data, *plan.stages[key].validation):
            try:
                context.rows(use)
            except DataError as error:
                faults += error.faults
    if faults:
        raise DataError(*dict.fromkeys(faults))


def walk(
    plan: Plan,
    missing: Mapping[str, str],
    context: Context,
    reporter: Reporter,
    *,
    keep: bool = False,
    executor: Executor | None = None,
    held: Collection[str] = (),
    on_score: OnScore = lambda stage, step, score: None,
    retries: int = 0,
) -> Outcome:
    """Run what is missing; one stage at a time runs in the plan's order.

    Args:
        plan: what is wanted.
        missing: key -> reason, from `missing_stages`.
        context: store, data, device.
        reporter: told of everything.
        keep: whether whole models keep their weights.
        executor: runs the stages; in this process by default.
        held: keys of whole models that a later plan reads, whose weights stay for now.
        on_score: told of scores while stages train.
        retries: how often a stage whose process died is started again.

    Raises:
        EnvironmentFault: when the backbone or the device fails.
        StoreError: when the store or the disk fails.
        Interrupted: when asked to stop; what is done is kept.
    """
    preflight(plan, missing, context)
    lineage = Lineage(plan, context.store, context.imported)
    runs_on = executor or Here(context)
    return _Walker(plan, context, reporter, missing, keep, runs_on, lineage, held, on_score, retries).walk()


@dataclass
class _Walker:
    plan: Plan
    context: Context
    reporter: Reporter
    missing: Mapping[str, str]
    keep: bool
    executor: Executor
    lineage: Lineage
    held: Collection[str]
    on_score: OnScore
    retries: int
    outcome: Outcome = field(default_factory=Outcome)
    readers: Counter[str] = field(default_factory=Counter)
    under_way: dict[Future[Ending], Stage] = field(default_factory=dict)
    next_look: dict[str, float] = field(default_factory=dict)
    deaths: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.order = Order(self.plan)
        self.number = {key: number for number, key in enumerate(self.plan.stages, 1)}
        for key in self.missing:
            self.readers.update(set(self.plan.stages[key].inputs.values()))

    def walk(self) -> Outcome:
        """Run until every stage has ended."""
        while self.order.is_open:
            while self._act():
                pass
            if self.under_way:
                self._collect()
            elif self.order.is_open:
                self._wait()
        return self.outcome

    def _act(self) -> bool:
        """End or start the first stage that can be; return whether there was one."""
        has_room = len(self.under_way) < self.executor.slots
        return any(self._settle(stage) or (has_room and self._start(stage)) for stage in self.order.ready())

    def _settle(self, stage: Stage) -> bool:
        """End a stage that is there or cannot run."""
        if stage.key not in self.missing:
            self._settle_as(stage, "cached")
        elif any(self.outcome.status[parent] in ("failed", "skipped") for parent in stage.inputs.values()):
            self._settle_as(stage, "skipped", why="a stage that it needs failed")
        else:
            return False
        return True

    def _settle_as(
        self, stage: Stage, status: Status, results: Mapping[str, Any] = MappingProxyType({}), why: str = ""
    ) -> None:
        self.order.take(stage)
        if status == "cached":
            self.lineage.note(stage.key)
        self._end(stage, status, 0.0, results, why)

    # ---- running

    def _start(self, stage: Stage) -> bool:
        """Start a stage if nobody else is at it, or end it if somebody else has made it."""
        if time.monotonic() < self.next_look.get(stage.key, 0):
            return False
        self._check_stop(stage)
        there = already_made(self.context.store, stage, self.missing[stage.key])
        if there is not None:
            self._settle_as(stage, "cached", results=there.record.results)
            return True
        after = self.context.store.ended(stage.key)
        if after is None:
            self._pass_over(stage)
            return False
        self.reporter.stage_started(stage, self.number[stage.key], len(self.plan.stages))
        self.order.take(stage)
        work = Work(stage, self.missing[stage.key], self.keep, after, self.lineage.of(stage.key))
        self.under_way[self.executor.start(work, self._follower(stage))] = stage
        return True

    def _follower(self, stage: Stage) -> Follower:
        return Follower(
            functools.partial(self.reporter.step, stage),
            functools.partial(self.on_score, stage),
            self.stopping.is_set,
        )

    def _collect(self) -> None:
        """Wait for stages to end, and tell what became of them."""
        finished, _ = wait(self.under_way, _LOOK_SECONDS, FIRST_COMPLETED)
        if not finished and self.context.stop():
            self.stopping.set()
        for future in finished:
            self._take_in(self.under_way.pop(future), future.result())

    def _take_in(self, stage: Stage, ending: Ending) -> None:
        if ending.status == "busy":
            self.order.give_back(stage)
            self._pass_over(stage)
        elif ending.died and self.deaths[stage.key] < self.retries:
            self.deaths[stage.key] += 1
            self.order.give_back(stage)
        elif ending.error is None:
            assert ending.status != "failed"
            if ending.status == "cached":
                self.lineage.note(stage.key)
            self._end(stage, ending.status, ending.seconds, ending.results)
        elif isinstance(ending.error, _ENDS_ALL):
            self._end_all(ending.error)
        else:
            self._fail(stage, ending.error, ending.seconds)

    def _end_all(self, error: BaseException) -> None:
        """Let the other stages write their checkpoints, and raise the error."""
        self.stopping.set()
        wait(self.under_way)
        raise error

    def _wait(self) -> None:
        """Let time pass: other processes are at all stages that are ready."""
        time.sleep(_LOOK_SECONDS)
        self._check_stop(next(self.order.ready()))

    def _check_stop(self, stage: Stage) -> None:
        if self.context.stop():
            self._end_all(stopped_before(stage))

    def _pass_over(self, stage: Stage) -> None:
        """Look at a stage that another process is at again later."""
        if stage.key not in self.next_look:
            self.reporter.stage_waiting(stage)
        self.next_look[stage.key] = time.monotonic() + _LOOK_SECONDS

    # ---- endings

    def _fail(self, stage: Stage, error: BaseException, seconds: float) -> None:
        self.outcome.errors.append(error)
        text = str(error) if isinstance(error, AdapterStiltsError) else f"{type(error).__name__}: {error}"
        self._end(stage, "failed", seconds, {}, text)

    def _end(
        self, stage: Stage, status: Status, seconds: float, results: Mapping[str, Any], why: str = ""
    ) -> None:
        self.outcome.status[stage.key] = status
        self.order.end(stage)
        self.reporter.stage_ended(stage, status, seconds, results, why)
        self._release(stage)

    def _release(self, stage: Stage) -> None:
        """Let the weights of whole models go after the last stage that reads them."""
        if stage.key not in self.missing:
            return
        for parent in set(stage.inputs.values()):
            self.readers[parent] -= 1
            whole = self.plan.stages[parent].spec.kind == "full_finetune"
            if whole and self.readers[parent] == 0 and parent not in self.held:
                release(self.context.store, parent)

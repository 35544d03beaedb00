"""One stage in one process: take its lease, run it, publish it. Every executor ends here."""

from __future__ import annotations

import contextlib
import copyreg
import pickle
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from adapterstilts.errors import AdapterStiltsError, Fault, Interrupted, StageFailed
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.missing import ABSENT, FORCED, KEPT
from adapterstilts.specs import WEIGHTS_FILE
from adapterstilts.stages import STAGES
from adapterstilts.stages.context import Context
from adapterstilts.store.digest import canonical
from adapterstilts.store.lease import Lease
from adapterstilts.store.store import Artifact, Description, Store
from adapterstilts.training.loop import OnStep
from adapterstilts.training.tracking import VALIDATION
from adapterstilts.trust.origins import DATA, Origins, as_data, is_confidential

# Tasks hold read-only mappings, which pickle does not know by itself.
copyreg.pickle(MappingProxyType, lambda mapping: (MappingProxyType, (dict(mapping),)))


@dataclass(frozen=True)
class Work:
    """A stage that is to be run.

    Attributes:
        stage: of the plan.
        reason: why it has to run; see `adapterstilts.runner.missing`.
        keep: whether whole models keep their weights.
        after: number of its last lease, which has ended.
        origins: the data behind it.
    """

    stage: Stage
    reason: str
    keep: bool = False
    after: int | None = None
    origins: Origins = ()


@dataclass(frozen=True)
class Follower:
    """Who follows a stage from where it was started; other threads may call.

    Attributes:
        step: told of its steps.
        score: told of its scores on validation data while it trains, with ``(step, score)``.
        stopped: whether it is to write its checkpoint and end.
    """

    step: OnStep
    score: Callable[[int, float], None] = lambda step, score: None
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Ending:
    """What became of an attempt; it can be sent to another process.

    Attributes:
        status: ``busy`` where another process is at the stage.
        seconds: that the stage took.
        results: that it measured.
        error: why it failed.
        trace: the traceback of `error`.
        died: whether the process died, so that another try may end otherwise.
    """

    status: Literal["done", "cached", "failed", "busy"]
    seconds: float = 0.0
    results: Mapping[str, Any] = field(default_factory=dict)
    error: BaseException | None = None
    trace: str = ""
    died: bool = False


class RemoteTraceback(Exception):
    """The traceback of an error in another process, as its cause."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def already_made(store: Store, stage: Stage, reason: str) -> Artifact | None:
    """Return what another process has made meanwhile of a stage that had to run for a reason."""
    if reason == FORCED:
        return None
    there = store.find(stage.key)
    if there is None or (reason != ABSENT and WEIGHTS_FILE in there.record.dropped):
        return None
    return there


def stopped_before(stage: Stage) -> Interrupted:
    """Return the error of a stage that was asked to stop before it began."""
    return Interrupted(Fault(stage.name, "stopped before it", "run the same command again to go on"))


def attempt(work: Work, context: Context, follower: Follower) -> Ending:
    """Run a stage unless it was made meanwhile or another process is at it.

    Args:
        work: what to run.
        context: of this process.
        follower: told of every step, and asked after it.

    Returns:
        How it ended; errors of the stage are returned, those of the user's keyboard are raised.
    """
    started = time.monotonic()
    try:
        lease = context.store.lease(work.stage.key, work.after)
        if lease is None:
            return Ending("busy")
        with lease:
            return _under(lease, work, context, follower, started)
    except Exception as error:  # noqa: BLE001 - whatever a stage raises must not end the independent ones
        seconds = time.monotonic() - started
        if is_confidential(work.origins) and not isinstance(error, AdapterStiltsError):
            return Ending("failed", seconds, error=_without_message(work.stage, error))
        return Ending("failed", seconds, error=error, trace=traceback.format_exc())


def _without_message(stage: Stage, error: Exception) -> StageFailed:
    """Return what stands for an unforeseen error, whose message may quote confidential data."""
    what = f"failed with {type(error).__name__}"
    return StageFailed(Fault(stage.name, what, "its message is left out, for its data are confidential"))


def _under(lease: Lease, work: Work, context: Context, follower: Follower, started: float) -> Ending:
    there = already_made(context.store, work.stage, work.reason)
    if there is not None:
        return Ending("cached", results=there.record.results)
    try:
        with _told(context, lease, follower):
            artifact = _run(lease, work, context)
    except Exception:
        # Whoever was given up and goes on stumbles over what its successor has done.
        if _is_lost(lease):
            return Ending("busy")
        raise
    if artifact is None:
        return Ending("busy")
    return Ending("done", time.monotonic() - started, artifact.record.results)


def _run(lease: Lease, work: Work, context: Context) -> Artifact | None:
    """Return the artifact, None where the lease was lost before it could be published."""
    stage, store = work.stage, context.store
    data, private = as_data(work.origins), is_confidential(work.origins)
    store.begin(stage.key, {"name": stage.name, "inputs": dict(stage.inputs), DATA: data}, private=private)
    with store.workspace(stage.key, private=private) as workspace:
        results = STAGES[stage.spec.kind](stage, context, workspace)
        description = Description(
            name=stage.name,
            spec=canonical(stage.spec),
            inputs=stage.inputs,
            results=results,
            provenance={
                **context.provenance(stage),
                "why_library": stage.why_library,
                KEPT: work.keep,
                DATA: data,
            },
        )
        if not lease.advance():
            return None
        return store.publish(stage.key, workspace, description, again=work.reason != ABSENT)


@contextlib.contextmanager
def _told(context: Context, lease: Lease, follower: Follower) -> Iterator[None]:
    """Let a stage's steps and scores be told, and its follower or a lost lease stop it."""
    stop, progress, trackers = context.stop, context.progress, context.trackers
    context.stop = lambda: stop() or follower.stopped() or lease.lost
    context.progress, context.trackers = follower.step, (*trackers, _Scores(follower))
    try:
        yield
    finally:
        context.stop, context.progress, context.trackers = stop, progress, trackers


@dataclass(frozen=True)
class _Scores:
    """A tracker that passes on scores on validation data."""

    follower: Follower

    def start(self, stage: str, settings: Mapping[str, Any]) -> None:
        """Say nothing."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if VALIDATION in values:
            self.follower.score(step, values[VALIDATION])

    def finish(self) -> None:
        """Say nothing."""


def _is_lost(lease: Lease) -> bool:
    with contextlib.suppress(OSError):
        return not lease.advance()
    return False


def portable(ending: Ending) -> bytes:
    """Return an ending as bytes; an error that cannot be sent becomes one that says the same."""
    with contextlib.suppress(Exception):
        data = pickle.dumps(ending)
        pickle.loads(data)
        return data
    error = RuntimeError(f"{type(ending.error).__name__}: {ending.error}")
    return pickle.dumps(Ending(ending.status, ending.seconds, {}, error, ending.trace))


def received(data: bytes) -> Ending:
    """Return an ending from another process; its error has the traceback there as its cause."""
    ending: Ending = pickle.loads(data)
    if ending.error is not None:
        ending.error.__cause__ = RemoteTraceback(ending.trace)
    return ending

"""Where stages run: the interface of an executor, the one that runs them here, and one that several walks share."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from adapterstilts.runner.attempt import Ending, Follower, Work, attempt
from adapterstilts.runner.missing import ABSENT
from adapterstilts.stages.context import Context


class Executor(Protocol):
    """Runs stages, several at a time."""

    @property
    def slots(self) -> int:
        """How many stages may be under way at once."""

    def start(self, work: Work, follower: Follower) -> Future[Ending]:
        """Run a stage.

        Args:
            work: what to run.
            follower: told of its steps and scores, and asked whether it is to end.
        """

    def close(self) -> None:
        """End everything that was started."""


class Here:
    """Runs one stage at a time in this process.

    Args:
        context: store, data, device.
    """

    slots = 1

    def __init__(self, context: Context) -> None:
        self._context = context

    def start(self, work: Work, follower: Follower) -> Future[Ending]:
        """Run the stage; the future has its ending already."""
        return _at_once(attempt(work, self._context, follower))

    def close(self) -> None:
        """Nothing was started."""


@dataclass
class Shared:
    """An executor that several walks share: what one of them is at, or has made, is not started for another.

    Leases keep processes from that, as far as they see one folder; this does where they meet at a URL alone, and lets
    no two take a place for one stage.

    Attributes:
        inner: runs the stages.
    """

    inner: Executor
    _last: dict[str, Future[Ending]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def slots(self) -> int:
        """Those of the inner executor."""
        return self.inner.slots

    def start(self, work: Work, follower: Follower) -> Future[Ending]:
        """Run a stage, unless a walk is at it or has made it."""
        with self._lock:
            last = self._last.get(work.stage.key)
            if last is None or (last.done() and not _serves(last, work)):
                future = self._last[work.stage.key] = self.inner.start(work, follower)
                return future
        return _at_once(Ending("cached", results=last.result().results) if last.done() else Ending("busy"))

    def close(self) -> None:
        """End everything that was started."""
        self.inner.close()


def _serves(last: Future[Ending], work: Work) -> bool:
    """Whether what was started last has made what is wanted; weights that were let go are wanted again."""
    made = last.exception() is None and last.result().status in ("done", "cached")
    return made and work.reason == ABSENT


def _at_once(ending: Ending) -> Future[Ending]:
    future: Future[Ending] = Future()
    future.set_result(ending)
    return future

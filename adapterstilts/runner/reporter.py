"""What a run tells while it goes on; the command line prints it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from adapterstilts.recipe.plan import Stage

Status = Literal["cached", "done", "failed", "skipped"]


class Reporter(Protocol):
    """What a walk tells while it goes on; the command line prints it."""

    def stage_started(self, stage: Stage, number: int, count: int) -> None:
        """A stage is about to run."""

    def stage_waiting(self, stage: Stage) -> None:
        """Another process is at this stage; the walk goes on with others and comes back to it."""

    def step(self, stage: Stage, step: int, steps: int, loss: float, rate: float) -> None:
        """A step of a running stage is done; `rate` is in examples a second. Any thread may say so."""

    def stage_ended(
        self, stage: Stage, status: Status, seconds: float, results: Mapping[str, Any], why: str
    ) -> None:
        """A stage is behind us."""


class Silent:
    """A reporter that says nothing, for use from Python."""

    def stage_started(self, stage: Stage, number: int, count: int) -> None:
        """Say nothing."""

    def stage_waiting(self, stage: Stage) -> None:
        """Say nothing."""

    def step(self, stage: Stage, step: int, steps: int, loss: float, rate: float) -> None:
        """Say nothing."""

    def stage_ended(
        self, stage: Stage, status: Status, seconds: float, results: Mapping[str, Any], why: str
    ) -> None:
        """Say nothing."""


class OneByOne:
    """A reporter that several walks share, and that hears one of them at a time.

    Args:
        inner: told of everything.
    """

    def __init__(self, inner: Reporter) -> None:
        self._inner = inner
        self._lock = threading.Lock()

    def stage_started(self, stage: Stage, number: int, count: int) -> None:
        """Pass it on."""
        with self._lock:
            self._inner.stage_started(stage, number, count)

    def stage_waiting(self, stage: Stage) -> None:
        """Pass it on."""
        with self._lock:
            self._inner.stage_waiting(stage)

    def step(self, stage: Stage, step: int, steps: int, loss: float, rate: float) -> None:
        """Pass it on."""
        with self._lock:
            self._inner.step(stage, step, steps, loss, rate)

    def stage_ended(
        self, stage: Stage, status: Status, seconds: float, results: Mapping[str, Any], why: str
    ) -> None:
        """Pass it on."""
        with self._lock:
            self._inner.stage_ended(stage, status, seconds, results, why)

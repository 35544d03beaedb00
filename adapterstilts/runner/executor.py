"""Where stages run: the interface of an executor, and the one that runs them in this process."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from adapterstilts.runner.attempt import Ending, Work, attempt
from adapterstilts.stages.context import Context
from adapterstilts.training.loop import OnStep


class Executor(Protocol):
    """Runs stages, several at a time."""

    @property
    def slots(self) -> int:
        """How many stages may be under way at once."""

    def start(self, work: Work, on_step: OnStep) -> Future[Ending]:
        """Run a stage.

        Args:
            work: what to run.
            on_step: told of its steps; may be called by another thread.
        """

    def stop(self) -> None:
        """Ask the stages under way to write their checkpoints and end."""

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

    def start(self, work: Work, on_step: OnStep) -> Future[Ending]:
        """Run the stage; the future has its ending already."""
        future: Future[Ending] = Future()
        future.set_result(attempt(work, self._context, on_step))
        return future

    def stop(self) -> None:
        """Nothing is under way between two calls."""

    def close(self) -> None:
        """Nothing was started."""

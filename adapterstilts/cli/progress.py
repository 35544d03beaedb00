"""Progress on stderr: a live line on a terminal, a plain line a stage and every half minute elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from adapterstilts.cli.table import time_text
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.reporter import Status

if TYPE_CHECKING:
    from adapterstilts.search.records import Tried

_PLAIN_SECONDS = 30.0
_LIVE_SECONDS = 0.2


class Progress:
    """A `Reporter` that prints.

    Args:
        count: number of stages in the plan.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._number = 0
        self._live = sys.stderr.isatty()
        self._shown = time.monotonic()
        self._started: dict[str, float] = {}

    def stage_started(self, stage: Stage, number: int, count: int) -> None:
        """Print the stage's name."""
        self._shown = self._started[stage.key] = time.monotonic()
        if not self._live and stage.spec.kind not in ("evaluate", "average"):
            click.echo(f"[{number}/{count}] {stage.name} ...", err=True)

    def stage_waiting(self, stage: Stage) -> None:
        """Print that another process is at it."""
        click.echo(f"{stage.name}: another process is at it; going on with others", err=True)

    def step(self, stage: Stage, step: int, steps: int, loss: float, rate: float) -> None:
        """Print step, loss, examples a second and time left, now and then."""
        now = time.monotonic()
        if now - self._shown < (_LIVE_SECONDS if self._live else _PLAIN_SECONDS):
            return
        self._shown = now
        left = time_text((now - self._started[stage.key]) / step * (steps - step))
        shown = "" if math.isnan(loss) else f", loss {loss:.3f}, {rate:.0f} examples/s"
        text = f"{stage.name}: step {step}/{steps}{shown}, {left} left"
        if self._live:
            click.echo(f"\r\x1b[K{text[:110]}", nl=False, err=True)
        else:
            click.echo(f"    {text}", err=True)

    def stage_ended(
        self, stage: Stage, status: Status, seconds: float, results: Mapping[str, Any], why: str
    ) -> None:
        """Print what became of the stage."""
        self._number += 1
        words = _words(status, seconds, why)
        scores = ", ".join(
            f"{name} {value:.3f}"
            for name, value in (results.get("scores") or {}).items()
            if value is not None
        )
        clear = "\r\x1b[K" if self._live else ""
        click.echo(
            f"{clear}[{self._number}/{self._count}] {stage.name}: {words}{'; ' + scores if scores else ''}",
            err=True,
        )


def _words(status: Status, seconds: float, why: str) -> str:
    return {"cached": "in the store", "done": f"done in {seconds:.1f} s"}.get(status, f"{status}: {why}")


class Steps(Progress):
    """A `Reporter` of a study's stages, of which there are many: steps while they go on, then only failures.

    Args:
        verbose: whether the end of each stage is printed.
    """

    def __init__(self, *, verbose: bool) -> None:
        super().__init__(0)
        self._verbose = verbose

    def stage_started(self, stage: Stage, number: int, count: int) -> None:
        """Remember when it was."""
        self._shown = self._started[stage.key] = time.monotonic()

    def stage_ended(
        self, stage: Stage, status: Status, seconds: float, results: Mapping[str, Any], why: str
    ) -> None:
        """Print what became of the stage, if that is asked for or nothing else tells."""
        if self._verbose or status in ("failed", "skipped"):
            self._line(f"    {stage.name}: {_words(status, seconds, why)}")

    def _line(self, text: str) -> None:
        clear = "\r\x1b[K" if self._live else ""
        click.echo(f"{clear}{text}", err=True)


class Trials:
    """Prints each trial of a study with the best so far."""

    def trial_ended(self, trial: Tried, best: Tried | None, score: int) -> None:
        """Print one line."""
        told = f"{', '.join(f'{value:.4g}' for value in trial.values)}" if trial.values else trial.state
        same = "" if trial.same_as is None else f", as trial {trial.same_as}"
        error = f": {trial.error.splitlines()[0]}" if trial.error else ""
        so_far = "" if best is None else f"; best {best.values[score]:.4g} (trial {best.number})"
        clear = "\r\x1b[K" if sys.stderr.isatty() else ""
        click.echo(f"{clear}trial {trial.number}: {trial.candidate}: {told}{same}{error}{so_far}", err=True)

"""What a study sees of a trial while its stages run: their validation scores, for the pruner."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from optuna.trial import Trial

from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.reporter import Reporter, Status
from adapterstilts.stages.training import CURVE_FILE
from adapterstilts.store.store import Store

VALIDATION = "validation"


class Watch:
    """A reporter and a tracker in one: passes on what a trial's stages say, and reports their scores to Optuna.

    A score is told at the number of the evaluation, over all stages that count, as the mean of the best score of each
    stage so far. A stage that goes on from a checkpoint, or is in the store already, tells the same numbers.

    Args:
        trial: that is told; None where nothing ends trials early.
        counted: keys of the stages whose scores count.
        evaluations: of each of them.
        store: where finished stages are.
        inner: is told of the stages as well.
        reported: what the trial was told before its process died.
        prunes: whether Optuna is asked to end the trial.
    """

    def __init__(
        self,
        trial: Trial | None,
        counted: Collection[str],
        evaluations: int,
        store: Store,
        inner: Reporter,
        reported: Mapping[int, float],
        *,
        prunes: bool = True,
    ) -> None:
        self.pruned = False
        self._prunes = prunes
        self._trial, self._counted, self._evaluations = trial, counted, evaluations
        self._store, self._inner = store, inner
        self._reported = dict(reported)
        self._finished: list[float] = []
        self._now = ""
        self._steps = 0

    # ---- what a walk says

    def stage_started(self, stage: Stage, number: int, count: int) -> None:
        """Remember which stage the next scores are of."""
        self._now = stage.key
        self._inner.stage_started(stage, number, count)

    def stage_waiting(self, stage: Stage) -> None:
        """Pass it on."""
        self._inner.stage_waiting(stage)

    def step(self, stage: Stage, step: int, steps: int, loss: float, rate: float) -> None:
        """Remember how long the stage is."""
        self._steps = steps
        self._inner.step(stage, step, steps, loss, rate)

    def stage_ended(
        self, stage: Stage, status: Status, seconds: float, results: Mapping[str, Any], why: str
    ) -> None:
        """Take note of a finished stage's scores, those of an earlier process included."""
        if self._trial is not None and stage.key in self._counted and status in ("done", "cached"):
            made = self._store.get(stage.key)
            for number, score in enumerate(_scores(made.path), 1):
                self._report(number, score)
            self._finished.append(float(made.record.results[VALIDATION]))
        self._inner.stage_ended(stage, status, seconds, results, why)

    # ---- what training says

    def start(self, stage: str, settings: Mapping[str, Any]) -> None:
        """Say nothing."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Report a validation score of a stage that counts, and ask whether the trial is to end."""
        if VALIDATION not in values or self._now not in self._counted or self._trial is None:
            return
        self._report(step * self._evaluations // self._steps, values[VALIDATION])
        self.pruned = self.pruned or (self._prunes and self._trial.should_prune())

    def finish(self) -> None:
        """Say nothing."""

    def _report(self, evaluation: int, score: float) -> None:
        place = len(self._finished) * self._evaluations + evaluation
        if self._trial is None or place in self._reported:
            return
        value = (sum(self._finished) + score) / (len(self._finished) + 1)
        if evaluation > 1:
            value = max(value, self._reported.get(place - 1, value))
        self._reported[place] = value
        self._trial.report(value, place)


def _scores(folder: Path) -> list[float]:
    """Return the validation scores of a stage's training, in order."""
    lines = (folder / CURVE_FILE).read_text(encoding="utf-8").splitlines()
    return [point[VALIDATION] for line in lines if VALIDATION in (point := json.loads(line))]


def stopped_by(watch: Watch, stop: Callable[[], bool]) -> Callable[[], bool]:
    """Return the question whether a trial's stages are to stop: it was pruned, or the user asked."""
    return lambda: watch.pruned or stop()

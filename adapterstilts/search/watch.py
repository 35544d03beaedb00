"""What a study sees of a trial while its stages run: their validation scores, for the pruner."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from optuna.trial import Trial

from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.reporter import Reporter, Status
from adapterstilts.stages.training import CURVE_FILE
from adapterstilts.store.store import Store
from adapterstilts.training.tracking import VALIDATION


class Watch:
    """A reporter that passes on what a trial's stages say, and reports their scores to Optuna.

    A score is told at the number of the evaluation, over all stages that count, as the mean of the best score of each
    stage so far. A stage that goes on from a checkpoint, or is in the store already, tells the same numbers; one that
    runs beside an earlier one waits with its own until that has ended, so that they do not depend on who was first.

    Args:
        trial: that is told; None where nothing ends trials early.
        counted: keys of the stages whose scores count, in the order of the plan.
        evaluations: of each of them.
        store: where finished stages are.
        inner: is told of the stages as well.
        reported: what the trial was told before its process died.
        prunes: whether Optuna is asked to end the trial.
    """

    def __init__(
        self,
        trial: Trial | None,
        counted: Sequence[str],
        evaluations: int,
        store: Store,
        inner: Reporter,
        reported: Mapping[int, float],
        *,
        prunes: bool = True,
    ) -> None:
        self._trial, self._evaluations = trial, evaluations
        self._counted = () if trial is None else tuple(counted)
        self._store, self._inner, self._prunes = store, inner, prunes
        self._reported = dict(reported)
        self._steps: dict[str, int] = {}
        # Of each stage that counts: its scores as they come; all and the best one once it has ended.
        self._coming: dict[str, SimpleQueue[tuple[int, float]]]
        self._coming = {key: SimpleQueue() for key in self._counted}
        self._ended: dict[str, tuple[list[float], float]] = {}
        # The best scores of the first stages, which have ended and of which all is told.
        self._told: list[float] = []
        self._pruned = False

    # ---- what a walk says

    def stage_started(self, stage: Stage, number: int, count: int) -> None:
        """Pass it on."""
        self._inner.stage_started(stage, number, count)

    def stage_waiting(self, stage: Stage) -> None:
        """Pass it on."""
        self._inner.stage_waiting(stage)

    def step(self, stage: Stage, step: int, steps: int, loss: float, rate: float) -> None:
        """Remember how long the stage is."""
        self._steps[stage.key] = steps
        self._inner.step(stage, step, steps, loss, rate)

    def score(self, stage: Stage, step: int, score: float) -> None:
        """Take note of a score of a stage that trains; any thread may say so."""
        if stage.key in self._coming:
            self._coming[stage.key].put((step * self._evaluations // self._steps[stage.key], score))

    def stage_ended(
        self, stage: Stage, status: Status, seconds: float, results: Mapping[str, Any], why: str
    ) -> None:
        """Take note of a finished stage's scores, those of an earlier process included."""
        if stage.key in self._coming and status in ("done", "cached"):
            made = self._store.get(stage.key)
            self._ended[stage.key] = _scores(made.path), float(made.record.results[VALIDATION])
            self._tell()
        self._inner.stage_ended(stage, status, seconds, results, why)

    # ---- what Optuna is told

    @property
    def pruned(self) -> bool:
        """Whether the trial is to end, by what its stages have said; to be asked by one thread."""
        self._tell()
        return self._pruned

    def _tell(self) -> None:
        """Report all of the stages that have ended, up to the first that has not, and what that has said so far."""
        for key in self._counted[len(self._told) :]:
            while not self._coming[key].empty():
                self._report(*self._coming[key].get())
                assert self._trial is not None  # else nothing counts
                self._pruned = self._pruned or (self._prunes and self._trial.should_prune())
            if key not in self._ended:
                return
            scores, best = self._ended[key]
            for number, score in enumerate(scores, 1):
                self._report(number, score)
            self._told.append(best)

    def _report(self, evaluation: int, score: float) -> None:
        place = len(self._told) * self._evaluations + evaluation
        if self._trial is None or place in self._reported:
            return
        value = (sum(self._told) + score) / (len(self._told) + 1)
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

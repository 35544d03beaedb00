"""Compare the methods on a target: all that cover a frame are resampled together, on the same draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adapterstilts.metrics.cell import check_pairing
from adapterstilts.metrics.core import FloatArray, Metric
from adapterstilts.metrics.intervals import Interval
from adapterstilts.metrics.resampling import replicate_scores, seed_scores
from adapterstilts.report.sides import Frame, Side, common
from adapterstilts.report.table import Estimate


class Comparison:
    """All methods on one target, resampled on the same draws.

    Args:
        metric: the main metric; its score is the same function in every language.
        sides: method -> its answers.
        samples: replicates.
        level: coverage of the intervals.
    """

    def __init__(self, metric: Metric, sides: Mapping[str, Side], samples: int, level: float) -> None:
        self.sides = sides
        self._metric, self._samples, self._level = metric, samples, level
        self._drawn: dict[Frame, _Drawn] = {}

    def estimate(self, method: str, baseline: str | None, language: str | None = None) -> Estimate:
        """Return a method's score and its gain over a baseline.

        Args:
            method: one of the sides.
            baseline: another one; None, or one with nothing in common: no gain.
            language: one that the method has answers in; None for all that it has.
        """
        side = self.sides[method]
        frame = side.frame if language is None else Frame(side.frame.repeats, (language,))
        shared = common(side, self.sides[baseline]) if baseline is not None else None
        if shared is not None and language is not None:
            shared = Frame(shared.repeats, (language,)) if language in shared.languages else None
        gain = self._gain(shared, method, baseline) if shared and baseline else None
        examples = sum(side.cell.examples(one) for one in frame.languages)
        return Estimate(self._score(frame, method), gain, examples)

    def _score(self, frame: Frame, method: str) -> Interval:
        drawn = self._draws(frame)
        return self._interval(float(drawn.values[method].mean()), drawn.replicates[method], drawn.covers)

    def _gain(self, frame: Frame, method: str, baseline: str) -> Interval:
        drawn = self._draws(frame)
        value = float((drawn.values[method] - drawn.values[baseline]).mean())
        difference = drawn.replicates[method] - drawn.replicates[baseline]
        return self._interval(value, difference, drawn.covers)

    def _interval(self, value: float, replicates: FloatArray, sources: tuple[str, ...]) -> Interval:
        low, high = np.quantile(replicates, [(1 - self._level) / 2, (1 + self._level) / 2])
        return Interval(value, float(low), float(high), self._level, sources)

    def _draws(self, frame: Frame) -> _Drawn:
        """Return the replicates of all methods that cover a frame; drawn once."""
        if frame not in self._drawn:
            cells = {method: side.on(frame) for method, side in self.sides.items() if side.covers(frame)}
            first = next(iter(cells.values()))
            for cell in cells.values():
                check_pairing(cell, first)
            replicates = replicate_scores(list(cells.values()), self._metric, self._samples, rng_seed=0)
            self._drawn[frame] = _Drawn(
                dict(zip(cells, replicates, strict=True)),
                {method: seed_scores(cell, self._metric) for method, cell in cells.items()},
                frame.sources(first),
            )
        return self._drawn[frame]


@dataclass(frozen=True)
class _Drawn:
    """Replicates ``(samples,)`` and repeats' scores ``(repeats,)`` by method, and what was resampled."""

    replicates: Mapping[str, FloatArray]
    values: Mapping[str, FloatArray]
    covers: tuple[str, ...]

"""Measuring in turns, and the ratios of medians of pairs: what else a machine does falls on all contenders alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

Turn = Callable[[], float]
"""Does its work once and returns what it measured, for example seconds an example."""


def in_turns(contenders: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Return what each contender measured in each round; in a round every one has its turn.

    Args:
        contenders: name -> its work. All have to be warm.
        rounds: of measurements.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, turn in contenders.items():
            found[name].append(turn())
    return found


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Return how many times as much one contender measured as the other: the median over rounds."""
    return median(one / other for one, other in zip(slow, fast, strict=True))

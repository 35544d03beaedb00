"""Which units go into which batch, and in which order. Lists of positions only; no tensor.

A batch is filled up to a budget of subwords, padding included, with units of similar length: the budget
bounds memory and time whatever the lengths are, and similar lengths keep the padding small.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.store.digest import digest

# Units are sorted by length within pools of so many batches, so that order stays random between pools.
_POOL = 64


def derive_seed(seed: int, role: str, purpose: str) -> int:
    """Return a 63-bit seed for one purpose of one role, the same wherever the role is played."""
    return int(digest([seed, role, purpose])[:16], 16) >> 1


def pack(encoded: Encoded, order: Sequence[int], tokens_per_batch: int) -> list[list[int]]:
    """Return `order` cut into batches that stay within the budget.

    Args:
        encoded: what the positions in `order` mean.
        order: positions, similar lengths side by side.
        tokens_per_batch: sequences times the longest of them, at most; one unit alone may exceed it.
    """
    counts, lengths = encoded.counts, encoded.longest
    batches: list[list[int]] = []
    rows = longest = 0
    for position in order:
        rows_then = rows + counts[position]
        longest_then = max(longest, lengths[position])
        if batches and rows_then * longest_then <= tokens_per_batch:
            batches[-1].append(position)
            rows, longest = rows_then, longest_then
        else:
            batches.append([position])
            rows, longest = counts[position], lengths[position]
    return batches


def by_length(encoded: Encoded, tokens_per_batch: int) -> list[list[int]]:
    """Return batches of all units, longest first, for evaluation."""
    lengths = encoded.longest
    order = sorted(range(len(encoded)), key=lambda position: (-lengths[position], position))
    return pack(encoded, order, tokens_per_batch)


def shared_out(encoded: Encoded, positions: Sequence[int], shares: int) -> list[list[int]]:
    """Return places in a batch by who computes them: the longest unit first, to whoever has least (Graham 1969).

    Args:
        encoded: what the positions mean.
        positions: units of the batch.
        shares: how many compute it; with fewer units than that, some have none.
    """
    units = np.asarray(positions, dtype=np.int64)
    starts, ends = encoded.bounds[encoded.firsts[units]], encoded.bounds[encoded.firsts[units + 1]]
    tokens: list[int] = (ends - starts).tolist()
    own: list[list[int]] = [[] for _ in range(shares)]
    load = [0] * shares
    for place in sorted(range(len(positions)), key=lambda place: -tokens[place]):
        least = load.index(min(load))
        own[least].append(place)
        load[least] += tokens[place]
    return [sorted(places) for places in own]


class Step(NamedTuple):
    """What one batch holds; an optimiser step sees one of them, or several.

    Attributes:
        epoch: from 0.
        task: which of the stage's tasks.
        positions: units of that task.
    """

    epoch: int
    task: int
    positions: list[int]


@dataclass(frozen=True)
class Schedule:
    """The batches of a training stage, epoch by epoch; a batch holds units of one task.

    Attributes:
        tasks: the units of each task.
        tokens_per_batch: budget of a batch.
        seed: of the stage.
        role: of the stage; methods with the same seed and role see the same batches.
        shares: units of each task in an epoch; empty: all of them, once. A task that gives fewer than it has goes
            on in the next epoch where it stopped; one that gives more begins anew.
        accumulate: batches that make an optimiser step.
    """

    tasks: Sequence[Encoded]
    tokens_per_batch: int
    seed: int
    role: str
    shares: tuple[int, ...] = ()
    accumulate: int = 1

    def epoch(self, number: int) -> list[Step]:
        """Return the shuffled batches of an epoch."""
        generator = random.Random(derive_seed(self.seed, self.role, f"order {number}"))
        steps: list[Step] = []
        for task, encoded in enumerate(self.tasks):
            order = self._order(task, number, generator)
            steps += (Step(number, task, batch) for batch in self._batches(encoded, order))
        generator.shuffle(steps)
        return steps

    def _order(self, task: int, number: int, generator: random.Random) -> list[int]:
        """Return the positions of a task in an epoch: a slice of its endless row of shuffled passes."""
        size = len(self.tasks[task])
        if not self.shares:
            order = list(range(size))
            generator.shuffle(order)
            return order
        first = number * self.shares[task]
        passes = (
            self._pass(task, place)
            for place in range(first // size, first // size + self.shares[task] // size + 2)
        )
        stream = (position for one in passes for position in one)
        return list(islice(stream, first % size, first % size + self.shares[task]))

    def _pass(self, task: int, place: int) -> list[int]:
        order = list(range(len(self.tasks[task])))
        random.Random(derive_seed(self.seed, self.role, f"pass {task} {place}")).shuffle(order)
        return order

    def _batches(self, encoded: Encoded, order: Sequence[int]) -> Iterator[list[int]]:
        mean = max(1, encoded.computed // max(1, len(encoded)))
        pool = max(1, _POOL * self.tokens_per_batch // mean)
        for start in range(0, len(order), pool):
            part = sorted(order[start : start + pool], key=encoded.longest.__getitem__)
            yield from pack(encoded, part, self.tokens_per_batch)

    def steps(self, steps: int | None, epochs: float | None) -> int:
        """Return the number of optimiser steps: `steps`, or as many as see all batches of the `epochs`."""
        if steps is not None or epochs is None:
            return steps or 1
        whole = int(epochs)
        total = sum(len(self.epoch(number)) for number in range(whole))
        if epochs > whole:
            total += round((epochs - whole) * len(self.epoch(whole)))
        return max(1, math.ceil(total / self.accumulate))

    def by_step(self, start: int = 0) -> Iterator[list[Step]]:
        """Yield the batches of each optimiser step, without end, from step `start` on."""
        batches = self.batches(start * self.accumulate)
        while True:
            yield list(islice(batches, self.accumulate))

    def batches(self, start: int = 0) -> Iterator[Step]:
        """Yield batches without end, from batch `start` on."""
        number = 0
        while True:
            batches = self.epoch(number)
            yield from batches[start:]
            start = max(0, start - len(batches))
            number += 1


def epoch_shares(sizes: Sequence[int], cap: int | None, temperature: float) -> tuple[int, ...]:
    """Return how many units of each task an epoch holds (Raffel et al. 2020, section 3.5.2).

    A task of n units weighs ``min(n, cap) ** (1 / temperature)``; an epoch holds ``sum(min(n, cap))`` units, and
    every task at least one.

    Args:
        sizes: units of each task.
        cap: the K of examples-proportional mixing, None for no cap.
        temperature: 1 keeps the proportions, more evens them out.
    """
    capped = [size if cap is None else min(size, cap) for size in sizes]
    weights = [size ** (1 / temperature) for size in capped]
    return tuple(max(1, round(sum(capped) * weight / sum(weights))) for weight in weights)

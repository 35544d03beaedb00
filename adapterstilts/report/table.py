"""What a transfer table holds: one cell for each method on each target, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adapterstilts.metrics.intervals import Interval

SHARES = "shares training data"

State = Literal["scored", "n/a", "missing"]


@dataclass(frozen=True)
class Target:
    """A column of the table: a task on a split, in one setting.

    Attributes:
        name: unique in the table: the task, with the split, setting or source where they differ.
        task: name of the task.
        split: ``validation`` or ``test``.
        domain: of the task.
        source: the task trained on; empty without training.
        setting: ``zero_shot``, ``few_shot k=50`` ...
        select_on: whose validation data selected models; empty when nothing did.
        metric: name of the main metric.
        higher_is_better: its direction.
        scale: 100 for metrics that are shown in points (100 times the metric), else 1.
        languages: in the order of the rows.
    """

    name: str
    task: str
    split: str
    domain: str
    source: str
    setting: str
    select_on: str
    metric: str
    higher_is_better: bool
    scale: float
    languages: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """A score and its gain over the baseline, in the metric's unit.

    Attributes:
        score: mean over seeds and draws of the unweighted mean over languages.
        gain: score minus the baseline's, paired; None for the baseline itself, or without a baseline.
        examples: number of examples behind the score.
    """

    score: Interval
    gain: Interval | None
    examples: int


@dataclass(frozen=True)
class Cost:
    """What a method took on a target: means over seeds and draws, but the largest of parameters and memory.

    Attributes:
        parameters: trainable numbers.
        examples_seen: examples passed over in training.
        seconds: time of training.
        peak_bytes: highest memory in use; 0 where it was not measured.
        chain_examples_seen: examples passed over in all training behind the model, intermediates included.
        chain_seconds: time of all that training.
        shared_examples_seen: the same, intermediates divided by the number of targets that use them.
        shared_seconds: time of training, counted so.
        disk_bytes: of all that predicting takes beside the backbone.
    """

    parameters: int
    examples_seen: int
    seconds: float
    peak_bytes: int
    chain_examples_seen: int = 0
    chain_seconds: float = 0.0
    shared_examples_seen: int = 0
    shared_seconds: float = 0.0
    disk_bytes: int = 0


@dataclass(frozen=True)
class TransferCell:
    """A method on a target.

    Attributes:
        state: ``scored``; ``n/a``: the method has no meaning on the target, or the data no labels;
            ``missing``: there are no results, for example because a stage failed.
        overall: over all languages; None unless scored.
        languages: language -> the same in one language.
        seeds: the seeds of the score; empty when the answers do not depend on a seed.
        draws: the numbers of the few-shot samples behind the score; empty in other settings.
        relation: how the method's adapters are related to the target's training data.
        notes: what a reader has to know about this cell, as footnotes.
        cost: None unless scored.
    """

    state: State
    overall: Estimate | None = None
    languages: Mapping[str, Estimate] | None = None
    seeds: tuple[int, ...] = ()
    draws: tuple[int, ...] = ()
    relation: str = ""
    notes: tuple[str, ...] = ()
    cost: Cost | None = None

    @property
    def score(self) -> Interval | None:
        """The score over all languages."""
        return self.overall.score if self.overall else None

    @property
    def gain(self) -> Interval | None:
        """The gain over all languages."""
        return self.overall.gain if self.overall else None

    @property
    def flagged(self) -> bool:
        """Whether an intermediate task shares training data with the target."""
        return SHARES in self.relation

    def on(self, language: str | None) -> Estimate | None:
        """Return the estimate in a language, or over all for None; None where there is none."""
        return self.overall if language is None else (self.languages or {}).get(language)


@dataclass(frozen=True)
class TransferTable:
    """Methods on targets.

    Attributes:
        targets: the columns.
        methods: the rows.
        cells: (target's name, method) -> cell; there is one for every pair.
        baseline: the method that gains are measured against.
        samples: replicates behind each interval.
        level: coverage of the intervals.
    """

    targets: tuple[Target, ...]
    methods: tuple[str, ...]
    cells: Mapping[tuple[str, str], TransferCell]
    baseline: str
    samples: int
    level: float

    def cell(self, target: Target, method: str) -> TransferCell:
        """Return the cell of a method on a target."""
        return self.cells[target.name, method]


def excludes_zero(gain: Interval) -> bool:
    """Whether the interval of a gain lies on one side of 0."""
    return gain.low > 0 or gain.high < 0

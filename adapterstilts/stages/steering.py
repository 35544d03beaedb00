"""How well a model in training does on validation data, for keeping its best state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from adapterstilts.data.batches import by_length, derive_seed
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.rows import Row
from adapterstilts.data.tensors import collate
from adapterstilts.metrics import registry
from adapterstilts.model.assembly import Assembly
from adapterstilts.model.heads import MASKED
from adapterstilts.recipe.plan import DataUse, Stage
from adapterstilts.specs import Numerics, TaskData, TrainingStage
from adapterstilts.stages.computing import Computing
from adapterstilts.stages.inference import predict, settings_of
from adapterstilts.training.loop import autocast


def by_task(data: Sequence[TaskData], uses: Sequence[DataUse]) -> Iterator[tuple[TaskData, list[DataUse]]]:
    """Yield each task of a stage with where its parts are."""
    remaining = iter(uses)
    for one in data:
        yield one, list(islice(remaining, len(one.parts)))


@dataclass(frozen=True)
class _Task:
    metric: str
    language: str
    rows: tuple[Row, ...]
    encoded: Encoded
    settings: Settings


@dataclass(frozen=True)
class Steering:
    """The validation data of a stage, and how it is scored."""

    tasks: tuple[_Task, ...]
    tokens_per_batch: int
    numerics: Numerics

    @classmethod
    def of(cls, stage: Stage, spec: TrainingStage, work: Computing) -> Steering:
        """Return the steering of a stage that has validation data."""
        tasks = []
        for (data, uses), metric in zip(
            by_task(spec.validation, stage.validation), spec.selection, strict=True
        ):
            settings = settings_of(data, spec.training.max_length, spec.training.stride)
            tasks.append(
                _Task(
                    metric,
                    uses[0].language,
                    tuple(row for use in uses for row in work.context.rows(use).rows),
                    work.encoded(uses, settings),
                    settings,
                )
            )
        return cls(tuple(tasks), spec.training.tokens_per_batch, spec.numerics)

    def score(self, assembly: Assembly) -> float:
        """Return the mean of the tasks' scores, higher is better; the model is left in training mode."""
        assembly.model.eval()
        scores = [self._score(assembly, number, task) for number, task in enumerate(self.tasks)]
        assembly.model.train()
        return sum(scores) / len(scores)

    def _score(self, assembly: Assembly, number: int, task: _Task) -> float:
        if assembly.blueprint.heads[number].kind == MASKED:
            return -self._loss(assembly, number, task)
        predictions = predict(
            assembly,
            task.rows,
            task.encoded,
            task.settings,
            self.tokens_per_batch,
            self.numerics,
            task=number,
        )
        metric = registry.get(task.metric, language=task.language, labels=task.settings.labels)
        score = metric([one for one in predictions if one.gold is not None])
        return score if metric.higher_is_better else -score

    @torch.no_grad()
    def _loss(self, assembly: Assembly, number: int, task: _Task) -> float:
        """Return the mean loss of telling subwords that are masked in the same way every time."""
        total = 0.0
        device = assembly.backbone.device
        for place, positions in enumerate(by_length(task.encoded, self.tokens_per_batch)):
            batch = collate(task.encoded, positions, device)
            with autocast(device, self.numerics):
                loss = assembly.loss(batch, number, derive_seed(0, "validation", f"mask {place}"))
            total += float(loss) * len(positions)
        return total / len(task.encoded)

"""Validation scores that steer training: right, higher is better, and without a trace in the training itself."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import sentence
from torch import nn
from toys import TOPICS

from adapterstilts.data.batches import Schedule
from adapterstilts.data.encoding import encode
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.rows import LoadedSplit, Row, TextRow
from adapterstilts.data.tensors import Batch, collate
from adapterstilts.metrics import registry
from adapterstilts.model.assembly import (
    Assembly,
    Blueprint,
    HeadSpec,
    assembled,
    unfreeze,
    without_backbone_dropout,
)
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import AdapterSpec, DataPart, Numerics, TaskData, TrainingSpec
from adapterstilts.stages.computing import Computing
from adapterstilts.stages.inference import predict
from adapterstilts.stages.steering import Steering, by_task
from adapterstilts.stages.training import _Model
from adapterstilts.training.checkpoint import Progress
from adapterstilts.training.loop import Control, Trainable, fit

CPU = torch.device("cpu")
FP32 = Numerics("library.1", "fp32")
PART = DataPart("0" * 64, "jsonl", {}, {})
TRAINING = TrainingSpec(
    steps=20,
    epochs=None,
    tokens_per_batch=60,
    max_length=20,
    learning_rate=0.02,
    warmup=0.1,
    weight_decay=0.01,
    max_grad_norm=1.0,
    backbone_dropout=True,
    evaluations=4,
)


def topics(count: int, start: int = 0, labelled: bool = True) -> tuple[Row, ...]:
    chance = random.Random(start)
    return tuple(
        TextRow(f"{n}", sentence(chance, TOPICS[n % 3], "en"), label=TOPICS[n % 3] if labelled else None)
        for n in range(start, start + count)
    )


def numbers(count: int) -> tuple[Row, ...]:
    chance = random.Random(9)
    return tuple(
        TextRow(f"{n}", sentence(chance, TOPICS[n % 3], "en"), label=float(n % 3)) for n in range(count)
    )


@dataclass(frozen=True)
class Use:
    """Where a part of the data is, as far as steering asks."""

    rows: tuple[Row, ...]
    kind: str
    language: str = "en"

    @property
    def task(self) -> SimpleNamespace:
        return SimpleNamespace(kind=self.kind, confidential=False)


class Context:
    """Gives rows and their encoding; counts what it was asked for."""

    def __init__(self) -> None:
        self.encodings = 0

    def rows(self, use: Use) -> LoadedSplit:
        return LoadedSplit(use.rows)

    def encoded(self, use: Use, backbone: Backbone, settings: Settings) -> Encoded:
        self.encodings += 1
        return encode(use.kind, use.rows, backbone.tokenizer, settings)


@dataclass(frozen=True)
class Case:
    """A task with validation data: a metric and one part or several."""

    kind: str
    metric: str
    parts: tuple[tuple[Row, ...], ...]
    labels: tuple[str, ...] = ()

    @property
    def data(self) -> TaskData:
        return TaskData(self.kind, self.labels, {}, (PART,) * len(self.parts))


def steering_of(backbone: Backbone, *cases: Case, context: Any = None, **changes: Any) -> Steering:
    uses = tuple(Use(part, case.kind) for case in cases for part in case.parts)
    stage: Any = SimpleNamespace(validation=uses)
    spec: Any = SimpleNamespace(
        validation=tuple(case.data for case in cases),
        selection=tuple(case.metric for case in cases),
        training=replace(TRAINING, **changes),
        numerics=FP32,
    )
    work: Any = Computing(SimpleNamespace(backbone=backbone), context or Context())  # type: ignore[arg-type]
    return Steering.of(stage, spec, work)


TOPIC = Case("classification", "accuracy", (topics(15),), TOPICS)
NUMBER = Case("regression", "rmse", (numbers(15),))
PLAIN = Case("mlm", "loss", (topics(15),))


def blueprint(*cases: Case) -> Blueprint:
    heads = tuple(HeadSpec(case.kind, case.labels) for case in cases)
    return Blueprint("self", adapter=AdapterSpec("seq_bn", 4), heads=heads)


def scramble(parameters: Mapping[str, nn.Parameter], seed: int = 3) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))


def by_hand(assembly: Assembly, case: Case, task: int = 0) -> float:
    """The score of a case's rows, as an evaluation computes it."""
    rows = [row for part in case.parts for row in part]
    settings = Settings(case.labels, TRAINING.max_length)
    encoded = encode(case.kind, rows, assembly.backbone.tokenizer, settings)
    assembly.model.eval()
    found = predict(assembly, rows, encoded, settings, 60, FP32, task=task)
    return registry.get(case.metric, language="en", labels=case.labels)(found)


# ---- the score


def test_the_score_is_that_of_the_predictions(backbone: Backbone) -> None:
    with assembled(backbone, blueprint(TOPIC)) as assembly:
        scramble(unfreeze(assembly, full=False))
        found = steering_of(backbone, TOPIC).score(assembly)
        assert found == by_hand(assembly, TOPIC)
        assert 0 < found < 1


def test_what_should_be_low_counts_backwards(backbone: Backbone) -> None:
    with assembled(backbone, blueprint(NUMBER)) as assembly:
        scramble(unfreeze(assembly, full=False))
        found = steering_of(backbone, NUMBER).score(assembly)
        assert found == -by_hand(assembly, NUMBER)
        assert found < 0


def test_several_tasks_count_alike(backbone: Backbone) -> None:
    with assembled(backbone, blueprint(NUMBER, TOPIC)) as assembly:
        scramble(unfreeze(assembly, full=False))
        found = steering_of(backbone, NUMBER, TOPIC).score(assembly)
        expected = (by_hand(assembly, TOPIC, 1) - by_hand(assembly, NUMBER, 0)) / 2
        assert found == pytest.approx(expected, abs=1e-12)


def test_parts_of_a_task_are_scored_together(backbone: Backbone) -> None:
    parts = replace(TOPIC, parts=(topics(4), topics(7, 50), topics(9, 90)))
    with assembled(backbone, blueprint(parts)) as assembly:
        scramble(unfreeze(assembly, full=False))
        context = Context()
        found = steering_of(backbone, parts, context=context).score(assembly)
        assert context.encodings == 3
        assert found == by_hand(assembly, parts)


def test_rows_without_a_label_do_not_count(backbone: Backbone) -> None:
    mixed = replace(TOPIC, parts=(topics(15), topics(8, 50, labelled=False)))
    with assembled(backbone, blueprint(TOPIC)) as assembly:
        scramble(unfreeze(assembly, full=False))
        assert steering_of(backbone, mixed).score(assembly) == by_hand(assembly, TOPIC)


def test_long_texts_are_read_as_in_training(backbone: Backbone) -> None:
    chance = random.Random(1)
    long = tuple(TextRow(f"{n}", " ".join(sentence(chance, t, "en", 20) for t in TOPICS)) for n in range(3))
    case = replace(TOPIC, parts=(long,))
    cut, windows = (steering_of(backbone, case, stride=stride).tasks[0].encoded for stride in (None, 6))
    assert max(cut.counts) == 1
    assert max(cut.longest) == max(windows.longest) == TRAINING.max_length
    assert min(windows.counts) > 1


# ---- masked language modelling


def test_plain_text_is_scored_by_its_loss(backbone: Backbone) -> None:
    with assembled(backbone, blueprint(PLAIN)) as assembly:
        parameters = unfreeze(assembly, full=False)
        steering = steering_of(backbone, PLAIN)
        before = steering.score(assembly)
        # A head that knows nothing guesses among 107 subwords: 4.7.
        assert -8 < before < -3
        assert steering.score(assembly) == before
        optimiser = torch.optim.AdamW(parameters.values(), lr=0.01)
        for _ in range(15):
            optimiser.zero_grad()
            loss = assembly.loss(whole(steering), seed=1)
            loss.backward()
            optimiser.step()
        assert steering.score(assembly) > before + 0.2


def whole(steering: Steering) -> Batch:
    encoded = steering.tasks[0].encoded
    return collate(encoded, range(len(encoded)), CPU)


def test_the_budget_decides_little_of_the_loss(backbone: Backbone) -> None:
    with assembled(backbone, blueprint(PLAIN)) as assembly:
        unfreeze(assembly, full=False)
        scores = [
            steering_of(backbone, PLAIN, tokens_per_batch=budget).score(assembly) for budget in (60, 4000)
        ]
    assert scores[0] == pytest.approx(scores[1], rel=0.15)


def test_a_loss_and_a_metric_are_averaged(backbone: Backbone) -> None:
    with assembled(backbone, blueprint(TOPIC, PLAIN)) as assembly:
        scramble(unfreeze(assembly, full=False))
        both = steering_of(backbone, TOPIC, PLAIN)
        assembly.model.eval()
        loss = both._loss(assembly, 1, both.tasks[1])
        assert both.score(assembly) == pytest.approx((by_hand(assembly, TOPIC) - loss) / 2)


# ---- no trace in the training


@pytest.mark.parametrize("cases", [(TOPIC,), (NUMBER,), (PLAIN,), (TOPIC, PLAIN, NUMBER)])
def test_a_score_leaves_mode_gradients_and_generator(backbone: Backbone, cases: Sequence[Case]) -> None:
    with assembled(backbone, blueprint(*cases)) as assembly, without_backbone_dropout(assembly):
        parameters = unfreeze(assembly, full=False)
        steering = steering_of(backbone, *cases)
        training = [module.training for module in assembly.model.modules()]
        rates = [m.p for m in assembly.model.modules() if isinstance(m, nn.Dropout)]
        torch.manual_seed(77)
        before = torch.get_rng_state()
        first = steering.score(assembly)
        assert torch.equal(torch.get_rng_state(), before)
        assert all(parameter.grad is None for parameter in parameters.values())
        assert all(parameter.requires_grad for parameter in parameters.values())
        assert [module.training for module in assembly.model.modules()] == training
        assert [m.p for m in assembly.model.modules() if isinstance(m, nn.Dropout)] == rates
        assert steering.score(assembly) == first


@dataclass
class Watched(Trainable):
    """A stage's model whose every score is computed, and then said to be better than all before."""

    inner: _Model
    scores: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parameters = self.inner.parameters

    def loss(self, batch: Batch, task: int, seed: int, units: Sequence[int] | None = None) -> torch.Tensor:
        return self.inner.loss(batch, task, seed, units)

    def score(self) -> float:
        self.scores.append(self.inner.score())
        return float(len(self.scores))


def trained(
    backbone: Backbone, folder: Path, evaluations: int, *cases: Case, watch: bool, **changes: Any
) -> tuple[dict[str, torch.Tensor], Progress, float]:
    """Train on a case's own rows; return the final weights, the progress and the score of these weights."""
    steering = steering_of(backbone, *cases)
    tasks = [task.encoded for task in steering.tasks]
    with assembled(backbone, blueprint(*cases)) as assembly:
        parameters = unfreeze(assembly, full=False)
        model: Trainable = _Model(assembly, parameters, steering if evaluations else None)
        if watch:
            model = Watched(model)  # type: ignore[arg-type]
        spec = replace(TRAINING, evaluations=evaluations, **changes)
        shares = (10,) * len(tasks) if len(tasks) > 1 else ()
        schedule = Schedule(tasks, spec.tokens_per_batch, 0, "target", shares)
        progress = fit(model, schedule, spec, FP32, CPU, Control(folder))
        weights = {name: value.detach().clone() for name, value in parameters.items()}
        return weights, progress, steering.score(assembly)


@pytest.mark.parametrize("cases", [(TOPIC,), (PLAIN,), (TOPIC, PLAIN)])
def test_evaluations_change_no_bit_of_the_training(
    backbone: Backbone, tmp_path: Path, cases: Sequence[Case]
) -> None:
    # Dropout is on: one number drawn by an evaluation would change all that follows.
    plain, expected, _ = trained(backbone, tmp_path / "plain", 0, *cases, watch=False)
    often, found, _ = trained(backbone, tmp_path / "often", 7, *cases, watch=True)
    assert found.best is not None
    assert found.best.step == expected.step == 20
    assert all(torch.equal(plain[name], often[name]) for name in plain)
    assert [point for point in found.curve if "loss" in point] == expected.curve


@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_what_training_leaves_has_the_best_score(backbone: Backbone, tmp_path: Path, rate: float) -> None:
    _, progress, score = trained(backbone, tmp_path, 10, TOPIC, watch=False, learning_rate=rate)
    scores = [point["validation"] for point in progress.curve if "validation" in point]
    assert progress.best is not None
    assert score == progress.best.score == max(scores)
    assert len(set(scores)) > 1


# ---- which part belongs to which task


def test_parts_go_to_their_tasks_in_order() -> None:
    data = [TaskData("mlm", (), {}, (PART,) * count) for count in (2, 1, 3)]
    uses: list[Any] = list("abcdef")
    assert [(one, list(own)) for one, own in by_task(data, uses)] == [
        (data[0], ["a", "b"]),
        (data[1], ["c"]),
        (data[2], ["d", "e", "f"]),
    ]

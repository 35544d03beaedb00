"""From rows to predictions with a model of every kind, whatever the batches are."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny import MARKERS, sentence
from toys import TOPICS

from adapterstilts.data.encoding import decode, encode
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.rows import ChoiceRow, Row, SpanRow, TaggingRow, TextRow
from adapterstilts.data.tensors import collate
from adapterstilts.metrics.core import Prediction
from adapterstilts.model.assembly import Assembly, Blueprint, HeadSpec, assembled, unfreeze
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import AdapterSpec, Numerics, TaskData
from adapterstilts.stages.inference import predict, settings_of

FP32 = Numerics("library.1", "fp32")
TAGS = ("O", *TOPICS)


def text_of(n: int, words: int = 7) -> str:
    return sentence(random.Random(n), TOPICS[n % 3], "en", words)


def tagged(n: int) -> TaggingRow:
    words = tuple(text_of(n, 20).split())
    topic = {marker: name for name, markers in MARKERS.items() for marker in markers}
    return TaggingRow(f"{n}", words, tuple(topic.get(word, "O") for word in words))


ROWS: dict[str, Callable[[int], Row]] = {
    "classification": lambda n: TextRow(f"{n}", text_of(n), label=TOPICS[n % 3]),
    "multilabel": lambda n: TextRow(f"{n}", text_of(n, 20), text_of(n + 1), label=TOPICS[: n % 4]),
    "regression": lambda n: TextRow(f"{n}", text_of(n), label=n / 3),
    "multiple_choice": lambda n: ChoiceRow(f"{n}", text_of(n), tuple(map(text_of, range(2 + n % 3))), n % 2),
    "multi_select": lambda n: ChoiceRow(f"{n}", text_of(n), tuple(map(text_of, range(2 + n % 3))), (0,)),
    "tagging": tagged,
    "span_qa": lambda n: SpanRow(f"{n}", text_of(n), f"{text_of(n, 20)} {text_of(n + 1, 20)}", ((0, "e"),)),
}
LABELS = {"classification": TOPICS, "multilabel": TOPICS, "tagging": TAGS}


def blueprint(*kinds: str) -> Blueprint:
    heads = tuple(HeadSpec(kind, LABELS.get(kind, ())) for kind in kinds)
    return Blueprint("self", adapter=AdapterSpec("seq_bn", 4), heads=heads)


def ready(assembly: Assembly) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in unfreeze(assembly, full=False).values():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    assembly.model.eval()


def close(ours: Prediction, theirs: Prediction) -> bool:
    same = (ours.id, ours.gold) == (theirs.id, theirs.gold)
    alike = ours.prediction == pytest.approx(theirs.prediction, abs=1e-4)
    return (
        same and alike and (ours.probabilities or {}) == pytest.approx(theirs.probabilities or {}, abs=1e-4)
    )


@pytest.mark.parametrize("stride", [None, 5])
@pytest.mark.parametrize("kind", ROWS)
def test_predictions_come_in_order_and_do_not_depend_on_the_batches(
    backbone: Backbone, kind: str, stride: int | None
) -> None:
    rows = [ROWS[kind](n) for n in range(20)]
    settings = Settings(LABELS.get(kind, ()), 20, stride)
    encoded = encode(kind, rows, backbone.tokenizer, settings)
    with assembled(backbone, blueprint(kind)) as assembly:
        ready(assembly)
        found = [predict(assembly, rows, encoded, settings, budget, FP32) for budget in (1, 130, 10**5)]
        # One row at a time, by hand.
        for row, *predictions in zip(rows, *found, strict=True):
            one = encode(kind, [row], backbone.tokenizer, settings)
            answers = []
            for unit in range(len(one)):
                batch = collate(one, [unit], torch.device("cpu"))
                with torch.no_grad():
                    answers += assembly.head().answers(assembly.logits(batch), batch)
            (expected,) = decode(kind, [row], one, [answer.numpy() for answer in answers], settings)
            assert all(close(prediction, expected) for prediction in predictions)
    assert len({str((one.prediction, one.probabilities)) for one in found[0]}) > 5


def test_a_task_is_answered_by_its_own_head(backbone: Backbone) -> None:
    rows = [ROWS["classification"](n) for n in range(6)]
    settings = Settings(TOPICS, 20)
    encoded = encode("classification", rows, backbone.tokenizer, settings)
    words = [ROWS["tagging"](n) for n in range(6)]
    tags = Settings(TAGS, 40)
    with assembled(backbone, blueprint("classification", "tagging", "classification")) as assembly:
        ready(assembly)
        first, last = (predict(assembly, rows, encoded, settings, 99, FP32, task=task) for task in (0, 2))
        tagged_rows = encode("tagging", words, backbone.tokenizer, tags)
        found = predict(assembly, words, tagged_rows, tags, 99, FP32, task=1)
    assert [one.probabilities for one in first] != [one.probabilities for one in last]
    assert [len(one.prediction) for one in found] == [len(row.tokens) for row in words]  # type: ignore[union-attr]


def test_progress_is_told_batch_by_batch(backbone: Backbone) -> None:
    rows = [ROWS["classification"](n) for n in range(9)]
    settings = Settings(TOPICS, 20)
    encoded = encode("classification", rows, backbone.tokenizer, settings)
    told: list[tuple[int, int]] = []
    with assembled(backbone, blueprint("classification")) as assembly:
        predict(
            assembly,
            rows,
            encoded,
            settings,
            40,
            FP32,
            progress=lambda step, steps, loss, rate: told.append((step, steps)),
        )
    assert len(told) > 2
    assert told == [(n, len(told)) for n in range(1, len(told) + 1)]


def test_bf16_answers_nearly_the_same(backbone: Backbone) -> None:
    rows = [ROWS["classification"](n) for n in range(6)]
    settings = Settings(TOPICS, 20)
    encoded = encode("classification", rows, backbone.tokenizer, settings)
    with assembled(backbone, blueprint("classification")) as assembly:
        ready(assembly)
        exact, rough = (
            [one.probabilities for one in predict(assembly, rows, encoded, settings, 99, numerics)]
            for numerics in (FP32, Numerics("library.1", "bf16"))
        )
    assert exact != rough
    for ours, theirs in zip(exact, rough, strict=True):
        assert np.allclose(list((ours or {}).values()), list((theirs or {}).values()), atol=0.1)


def test_settings_come_from_the_data_and_the_training() -> None:
    data = TaskData("span_qa", ("x",), {}, (), unanswerable=True)
    assert settings_of(data, 384, 128) == Settings(("x",), 384, 128, True)
    plain: Any = TaskData("classification", ("x", "y"), {}, ())
    assert settings_of(plain, 128, None) == Settings(("x", "y"), 128, None, False)

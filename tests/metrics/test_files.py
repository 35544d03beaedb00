from __future__ import annotations

import json

import pytest

from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.files import PREDICTIONS_FILE, read_predictions, write_predictions
from adapterstilts.metrics.sets import entity_f1

ENTITIES = {"gold": [(0, 5, "DRUG"), (2, 5, "DRUG")], "prediction": [(0, 5, "DRUG")]}


@pytest.mark.parametrize(
    "prediction",
    [
        Prediction("1", "hate", "not", {"hate": 0.25, "not": 0.75}, "slur/1"),
        Prediction("2", ["B-X", "O"], ["O", "O"]),
        Prediction("3", None, "जवाब\u2028"),
        Prediction("4", ["a", ""], None),
    ],
)
def test_predictions_come_back_as_they_were(tmp_path, prediction):
    write_predictions(tmp_path, [prediction])

    assert read_predictions(tmp_path) == [prediction]


def test_entities_come_back_and_score_the_same(tmp_path):
    one = Prediction("1", ["B-DRUG", "O"], ["B-DRUG", "O"], group="case 1", entities=ENTITIES)

    write_predictions(tmp_path, [one])

    (back,) = read_predictions(tmp_path)
    assert back.entities == {"gold": [[0, 5, "DRUG"], [2, 5, "DRUG"]], "prediction": [[0, 5, "DRUG"]]}
    assert entity_f1()([back]) == entity_f1()([one]) == pytest.approx(2 / 3)


def test_what_an_example_does_not_have_is_not_written(tmp_path):
    write_predictions(tmp_path, [Prediction("1", "a", "b")])

    line = (tmp_path / PREDICTIONS_FILE).read_text(encoding="utf-8")
    assert json.loads(line) == {"id": "1", "gold": "a", "prediction": "b"}

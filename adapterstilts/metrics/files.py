"""Predictions on disk, one JSON line an example, so that no interval or test needs a second run of a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapterstilts.metrics.core import Prediction

PREDICTIONS_FILE = "predictions.jsonl"


def write_predictions(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Write ``predictions.jsonl`` into a folder."""
    with (folder / PREDICTIONS_FILE).open("w", encoding="utf-8", newline="\n") as file:
        for one in predictions:
            file.write(json.dumps(_line(one), ensure_ascii=False) + "\n")


def _line(one: Prediction) -> dict[str, Any]:
    line = {"id": one.id, "gold": one.gold, "prediction": one.prediction}
    if one.probabilities is not None:
        line["probabilities"] = dict(one.probabilities)
    if one.group:
        line["group"] = one.group
    if one.entities is not None:
        line["entities"] = {side: [list(entity) for entity in some] for side, some in one.entities.items()}
    return line


def read_predictions(folder: Path) -> list[Prediction]:
    """Return the predictions that `write_predictions` put into a folder."""
    with (folder / PREDICTIONS_FILE).open(encoding="utf-8") as file:
        return [Prediction(**json.loads(line)) for line in file]

"""F1 of sets of exact items: entities of documents, pairs of sentences."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from adapterstilts.errors import DataError, Fault
from adapterstilts.metrics.build import count_f1_metric, f1_score, per_example
from adapterstilts.metrics.classification import members
from adapterstilts.metrics.core import Metric, Prediction
from adapterstilts.metrics.spans import Entity


def set_f1(gold: Iterable[Hashable], predicted: Iterable[Hashable]) -> float:
    """Return F1 of a set of items against another: 0 when they share nothing.

    With ``(document, start, end, type)`` items this is the score of PharmaCoNER and CANTEMIST-NER, with
    ``(source id, target id)`` that of BUCC.
    """
    right, found = set(gold), set(predicted)
    return float(f1_score(np.array([len(right & found), len(found), len(right)], dtype=np.float64)))


def entity_f1() -> Metric:
    """Return micro F1 of entities, each right only with exact offsets and type.

    The score of PharmaCoNER (Gonzalez-Agirre et al., 2019) and CANTEMIST-NER (Miranda-Escalada et al., 2020).

    An example is a document or a sentence of one. Tagged sentences have both sides in
    `Prediction.entities` (`spans.entities_of` gives the predicted ones); otherwise gold and prediction are
    the entities: ``(start, end, type)`` with character offsets into the document. Repeats within an example
    count once. A document that only one side has has to be there with an empty list on the other, so that
    spurious entities count.

    Raises:
        DataError: from the metric, for an item of another form, or for tags without offsets.
    """

    def row(prediction: Prediction) -> tuple[float, float, float]:
        right, found = (_entities(side) for side in _sides(prediction))
        return len(right & found), len(found), len(right)

    return per_example("entity_f1", row, f1_score)


def bitext_f1() -> Metric:
    """Return F1 of sentence pairs (BUCC).

    An example is a source sentence; gold and prediction hold the ids of its translations, mostly none or
    one. `bitext.pair_predictions` builds such examples from sets of pairs.
    """

    def counts(gold: Any, predicted: Any) -> tuple[float, float, float]:
        right, found = members(gold), members(predicted)
        return len(right & found), len(found), len(right)

    return count_f1_metric("bitext_f1", counts)


def _sides(prediction: Prediction) -> tuple[Iterable[Any], Iterable[Any]]:
    """Return the gold and the predicted entities of an example."""
    if prediction.entities is not None:
        return prediction.entities["gold"], prediction.entities["prediction"]
    if any(isinstance(item, str) for item in prediction.gold):
        what = f"example {prediction.id!r} has tags, but no place in a document"
        remedy = "read the data by offsets (format brat or offsets), or score `span_f1`"
        raise DataError(Fault("entity_f1", what, remedy))
    return prediction.gold, prediction.prediction or ()


def _entities(items: Iterable[Any]) -> set[Entity]:
    return {_entity(item) for item in items}


def _entity(item: Any) -> Entity:
    """Return the item as a tuple, so that lists out of JSON compare equal."""
    try:
        start, end, type_ = item
        valid = isinstance(type_, str) and 0 <= int(start) < int(end)
    except (TypeError, ValueError):
        valid = False
    if not valid:
        what = f"an entity is not (start, end, type) with 0 <= start < end but a {type(item).__name__}"
        raise DataError(Fault("entity_f1", what))
    return int(start), int(end), type_

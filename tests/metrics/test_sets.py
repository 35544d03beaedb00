from __future__ import annotations

import pytest

from adapterstilts.errors import DataError
from adapterstilts.metrics.build import score_lists
from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.sets import bitext_f1, entity_f1, set_f1


def test_set_f1_of_entities_by_document_and_offset():
    gold = [("d1", 0, 5, "DRUG"), ("d1", 9, 12, "DRUG"), ("d2", 0, 5, "DRUG")]
    predicted = [("d1", 0, 5, "DRUG"), ("d1", 9, 12, "PROTEIN"), ("d1", 0, 5, "DRUG")]

    # two distinct predictions, one of them right, of three gold entities
    assert set_f1(gold, predicted) == pytest.approx(2 * 1 / (2 + 3))


def test_set_f1_of_nothing():
    assert set_f1([], []) == 0
    assert set_f1([1], []) == 0


def test_entity_f1_sums_over_documents():
    gold = [[(0, 5, "DRUG"), (9, 12, "DRUG")], []]
    predicted = [[[0, 5, "DRUG"], [9, 13, "DRUG"], [0, 5, "DRUG"]], [[3, 4, "DRUG"]]]

    # lists out of JSON equal tuples, a repeat counts once, a spurious entity in document two counts
    assert score_lists(entity_f1(), gold, predicted) == pytest.approx(2 * 1 / (3 + 2))


def test_a_document_without_prediction_has_no_entities():
    assert score_lists(entity_f1(), [[(0, 1, "X")], [(0, 1, "X")]], [None, [(0, 1, "X")]]) == pytest.approx(
        2 / 3
    )


@pytest.mark.parametrize("item", [(5, 5, "X"), (-1, 2, "X"), (0, 1), (0, 1, 2), ("a", 1, "X"), 3])
def test_an_entity_of_another_form_is_refused(item):
    with pytest.raises(DataError, match="not \\(start, end, type\\)"):
        score_lists(entity_f1(), [[item]], [[]])


def sentence(id, gold, predicted):
    entities = {"gold": gold, "prediction": predicted}
    return Prediction(id, ["B-DRUG"], ["O"], group="case 1", entities=entities)


def test_entity_f1_of_tagged_sentences_counts_their_entities_and_not_their_tags():
    # The second gold entity lies in the first: no tag holds it, and it is missed.
    first = sentence("1", [(0, 9, "DRUG"), (3, 9, "DRUG")], [(0, 9, "DRUG")])
    second = sentence("2", [], [[12, 15, "DRUG"]])

    assert entity_f1()([first, second]) == pytest.approx(2 * 1 / (2 + 2))


def test_entity_f1_of_sentences_is_that_of_their_documents():
    gold = [[(0, 5, "A"), (20, 25, "B")], [(0, 5, "A")]]
    predicted = [[(0, 5, "A"), (20, 24, "B")], [(0, 5, "B")]]
    sentences = [
        sentence("1a", gold[0][:1], predicted[0][:1]),
        sentence("1b", gold[0][1:], predicted[0][1:]),
        sentence("2", gold[1], predicted[1]),
    ]

    assert entity_f1()(sentences) == score_lists(entity_f1(), gold, predicted)


def test_entity_f1_refuses_tags_without_a_place_in_a_document():
    with pytest.raises(DataError, match=r"example '0' has tags, but no place.*or score `span_f1`"):
        score_lists(entity_f1(), [["B-DRUG", "O"]], [["B-DRUG", "O"]])


def test_bitext_f1_sums_over_source_sentences():
    gold = [("t1",), (), ("t3",), ()]
    predicted = [("t1",), ("t2",), (), ()]

    assert score_lists(bitext_f1(), gold, predicted) == pytest.approx(2 * 1 / (2 + 2))

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from adapterstilts.errors import DataError, UsageError
from adapterstilts.metrics import registry
from adapterstilts.metrics.cell import Cell, are_parallel, check_pairing
from adapterstilts.metrics.core import Prediction

from .examples import predictions, rights

ACCURACY = registry.get("accuracy")
ONE_SEED = predictions(["a", "b", "a"], ["a", "a", "a"], groups=["g", "g", ""])
CELL = Cell.of(ACCURACY, {"en": [ONE_SEED, ONE_SEED], "sw": [ONE_SEED, ONE_SEED]}, seeds=(3, 5))


def test_a_cell_of_predictions_holds_statistics_groups_ids_and_seeds():
    assert CELL.languages == ("en", "sw")
    assert CELL.seed_count == 2
    assert CELL.examples("sw") == 3
    assert CELL.seeds == (3, 5)
    assert CELL.ids["en"] == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(CELL.statistics["en"][1], [[1, 1], [0, 1], [1, 1]])


def test_a_group_is_one_unit_and_an_example_without_one_its_own():
    units = CELL.groups["en"]

    assert units[0] == units[1] != units[2]


def test_a_group_named_like_an_example_is_another_unit():
    some = [dataclasses.replace(ONE_SEED[0], id="g", group=""), dataclasses.replace(ONE_SEED[1], group="g")]

    assert len(set(Cell.of(ACCURACY, {"en": [some]}).groups["en"])) == 2


def test_languages_share_units_only_when_parallel():
    parallel = Cell.of(ACCURACY, {"en": [ONE_SEED], "sw": [ONE_SEED]}, parallel=True)

    assert set(CELL.groups["en"]).isdisjoint(CELL.groups["sw"])
    assert parallel.groups["en"] == parallel.groups["sw"]


def questions(language, ids, passages):
    """Questions of passages; a passage has another name in every language, as a hash of its text has."""
    return [
        Prediction(id, "a", "a", group=f"{language} {passage}")
        for id, passage in zip(ids, passages, strict=True)
    ]


def units(*predictions, order=("en", "de")):
    given = dict(zip(("en", "de"), predictions, strict=True))
    cell = Cell.of(ACCURACY, {code: [given[code]] for code in order}, parallel=True)
    return cell.groups


def test_a_passage_and_its_translations_are_one_unit():
    groups = units(questions("en", "abc", "112"), questions("de", "abc", "112"))

    assert groups["en"] == groups["de"]
    assert groups["en"][0] == groups["en"][1] != groups["en"][2]


def test_questions_that_only_some_languages_have_join_the_passage_of_the_others():
    # German has no question b, and its c belongs to the passage of a.
    groups = units(questions("en", "abcd", "1122"), questions("de", "ac", "11"))

    assert len(set(groups["en"])) == 1
    assert set(groups["de"]) == set(groups["en"])


def test_units_do_not_depend_on_the_order_of_the_languages():
    given = questions("en", "abcd", "1122"), questions("de", "dcx", "113")

    assert units(*given) == units(*given, order=("de", "en"))


def test_a_group_and_an_id_of_one_name_are_not_linked():
    some = [Prediction("a", 1, 1), Prediction("b", 1, 1, group="a"), Prediction("c", 1, 1, group="c")]

    assert len(set(Cell.of(ACCURACY, {"en": [some]}, parallel=True).groups["en"])) == 3


@pytest.mark.parametrize(
    ("ids", "parallel"),
    [
        ({"en": ["0", "1"], "de": ["1", "0"]}, True),
        ({"en": ["q1", "q2"], "de": ["q2", "q3"]}, True),
        ({"en": ["0", "1"], "de": ["0"]}, False),
        ({"en": ["en-1"], "de": ["de-1"]}, False),
        ({"en": ["q1"]}, False),
        ({}, False),
    ],
)
def test_languages_are_parallel_when_their_ids_are_shared_and_mean_something(ids, parallel):
    assert are_parallel(ids) == parallel


def test_a_metric_may_depend_on_the_language():
    answers = predictions([["die Stadt"]], ["Stadt"])
    metrics = {language: registry.get("mlqa_em", language=language) for language in ("de", "en")}

    cell = Cell.of(metrics, {"de": [answers], "en": [answers]})

    assert [cell.statistics[language][0][0, 0] for language in ("de", "en")] == [1, 0]


def test_seeds_of_one_language_have_to_hold_the_same_examples():
    with pytest.raises(DataError, match="'en': seeds hold different examples"):
        Cell.of(ACCURACY, {"en": [ONE_SEED, ONE_SEED[::-1]]})


@pytest.mark.parametrize(
    ("statistics", "problem"),
    [
        ({}, "no language"),
        ({"en": []}, "seeds by language"),
        ({"en": [rights([1])], "sw": [rights([1])] * 2}, r"\{'en': 1, 'sw': 2\}"),
    ],
)
def test_a_cell_without_languages_or_with_uneven_seeds_is_refused(statistics, problem):
    with pytest.raises(UsageError, match=problem):
        Cell(statistics)


def test_seed_names_have_to_be_as_many_as_seeds():
    with pytest.raises(UsageError, match="2 seed names for 1 seeds"):
        Cell({"en": [rights([1])]}, seeds=(0, 1))


@pytest.mark.parametrize(
    "beside",
    [
        {"statistics": {"en": [rights([1, 0]), rights([1])]}},
        {"statistics": {"en": [rights([])]}},
        {"statistics": {"en": [rights([1, 0])]}, "groups": {"en": ["a"]}},
        {"statistics": {"en": [rights([1, 0])]}, "groups": {"sw": ["a", "b"]}},
        {"statistics": {"en": [rights([1, 0])]}, "ids": {"en": ["a", "b", "c"]}},
    ],
)
def test_uneven_examples_are_refused(beside):
    with pytest.raises(DataError, match=r"language 'en'.*numbers of examples"):
        Cell(**beside)


def test_equal_cells_pair():
    check_pairing(CELL, CELL)
    check_pairing(CELL, dataclasses.replace(CELL, ids=None, groups=None, seeds=()))


def test_pairing_refuses_other_languages():
    with pytest.raises(UsageError, match=r"languages differ: \['en'\] and \['sw'\]"):
        check_pairing(Cell({"en": [rights([1])]}), Cell({"sw": [rights([1])]}))


def test_pairing_refuses_other_seeds():
    two, three = Cell({"en": [rights([1])] * 2}), Cell({"en": [rights([1])] * 3})

    with pytest.raises(UsageError, match="seeds differ: 2 and 3"):
        check_pairing(two, three)
    with pytest.raises(UsageError, match=r"seeds differ: \[3, 5\] and \[5, 3\]"):
        check_pairing(CELL, dataclasses.replace(CELL, seeds=(5, 3)))


def test_pairing_refuses_another_number_of_examples():
    with pytest.raises(DataError, match="'en': 2 examples beside 3"):
        check_pairing(Cell({"en": [rights([1, 0])]}), Cell({"en": [rights([1, 0, 1])]}))


@pytest.mark.parametrize("what", ["ids", "groups"])
def test_pairing_refuses_other_examples_or_another_order(what):
    turned = {language: names[::-1] for language, names in getattr(CELL, what).items()}

    with pytest.raises(DataError, match="examples, their order or their groups differ"):
        check_pairing(CELL, dataclasses.replace(CELL, **{what: turned}))

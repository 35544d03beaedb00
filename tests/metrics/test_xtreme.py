from __future__ import annotations

import pytest

from adapterstilts.errors import DataError, UsageError
from adapterstilts.metrics.xtreme import GROUPS, LANGUAGES, by_group, over_languages, overall, task_score


def constant(task, value):
    return dict.fromkeys(LANGUAGES[task], value)


def test_the_nine_tasks_have_their_numbers_of_languages():
    assert {task: len(set(codes)) for task, codes in LANGUAGES.items()} == {
        "xnli": 15,
        "paws-x": 7,
        "udpos": 33,
        "panx": 40,
        "xquad": 11,
        "mlqa": 7,
        "tydiqa": 9,
        "bucc": 4,
        "tatoeba": 36,
    }


def test_over_languages_is_unweighted():
    assert over_languages({"en": 0.9, "sw": 0.3}) == pytest.approx(0.6)
    with pytest.raises(DataError, match="no scores"):
        over_languages({})


def test_a_task_counts_english_as_any_language():
    scores = constant("paws-x", 0.5) | {"en": 1.0}

    assert task_score("paws-x", scores) == pytest.approx((6 * 0.5 + 1) / 7)


def test_question_answering_is_the_mean_of_both_means():
    exact, f1 = constant("mlqa", 0.4) | {"en": 0.6}, constant("mlqa", 0.8)

    assert task_score("mlqa", exact, f1) == pytest.approx(((6 * 0.4 + 0.6) / 7 + 0.8) / 2)


def test_a_missing_or_foreign_language_is_refused():
    scores = constant("bucc", 0.5)
    del scores["zh"]

    with pytest.raises(DataError, match=r"missing: \['zh'\], not XTREME's: \[\]"):
        task_score("bucc", scores)
    with pytest.raises(DataError, match=r"missing: \[\], not XTREME's: \['sw'\]"):
        task_score("bucc", constant("bucc", 0.5) | {"sw": 0.5})
    with pytest.raises(DataError, match="xtreme, xquad"):
        task_score("xquad", constant("xquad", 0.5), {"en": 0.5})


def test_f1_goes_with_question_answering_and_nothing_else():
    with pytest.raises(UsageError, match="xquad"):
        task_score("xquad", constant("xquad", 0.5))
    with pytest.raises(UsageError, match="xnli"):
        task_score("xnli", constant("xnli", 0.5), constant("xnli", 0.5))


def test_an_unknown_task_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match="did you mean 'xnli'"):
        task_score("xnlli", {})
    with pytest.raises(UsageError, match="did you mean 'panx'"):
        overall({"pan-x": 0.5})


def test_the_overall_score_waits_for_all_nine():
    scores = {task: place / 10 for place, task in enumerate(LANGUAGES)}

    assert overall(scores) == pytest.approx(0.4)
    assert overall({task: score for task, score in scores.items() if task != "bucc"}) is None


def test_groups_hold_each_task_once_and_wait_for_their_own_tasks_only():
    assert sorted(task for tasks in GROUPS.values() for task in tasks) == sorted(LANGUAGES)
    scores = {"xnli": 0.8, "paws-x": 0.9, "udpos": 0.7, "bucc": 0.5, "tatoeba": 0.6}

    assert by_group(scores) == {"classification": pytest.approx(0.85), "retrieval": pytest.approx(0.55)}
    with pytest.raises(UsageError, match="'pawsx' is not one of the nine tasks; did you mean 'paws-x'"):
        by_group({"pawsx": 0.5})

from __future__ import annotations

import pytest

from adapterstilts.errors import DataError, UsageError
from adapterstilts.metrics import answers as a
from adapterstilts.metrics.build import score_by_id, score_lists
from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.registry import get


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Eiffel\tTower!", "eiffel tower"),
        ("an apple a day", "apple day"),
        ("theatre", "theatre"),
        ("the-atre", "theatre"),  # punctuation goes first, so no article is left standing
        ("$5.00", "500"),
        ("«los»", "«los»"),  # only ASCII punctuation
        ("die Stadt", "die stadt"),  # English articles only
        ("a the", ""),
    ],
)
def test_normalise_squad(text, normal):
    assert a.normalise_squad(text) == normal


@pytest.mark.parametrize(
    ("language", "text", "normal"),
    [
        ("en", "The “Tower”", "tower"),
        ("es", "¿Los unos y el otro?", "y otro"),
        ("de", "Der Turm des Königs", "turm königs"),
        ("vi", "cái của tôi", "tôi"),
        ("hi", "हिन्दी।", "हिन्दी"),
        ("ar", "والكتاب الكبير", "و كتاب كبير"),  # the article goes anywhere, within words too
        ("zh", "北京、2008年 ABC公司", "北 京 2008 年 abc 公 司"),
        ("zh", "the 龥龦", "the 龥 龦"),  # ideographs end at U+9FA5; no articles
        ("en", "$5 + x^2", "5 x2"),  # ASCII symbols count as punctuation
        ("es", "the 5€", "the 5€"),  # other symbols do not, nor other languages' articles
    ],
)
def test_normalise_mlqa(language, text, normal):
    assert a.normalise_mlqa(text, language) == normal


def test_mlqa_knows_a_language_by_its_first_part():
    assert a.mlqa_language("zh-Hans") == "zh"
    assert a.mlqa_language("ES_mx") == "es"


@pytest.mark.parametrize("language", [None, "", "sw", "english"])
def test_mlqa_refuses_other_languages_at_once(language):
    with pytest.raises(UsageError, match="one of en, es"):
        a.mlqa_f1(language)
    with pytest.raises(UsageError):
        a.mlqa_em(language)
    with pytest.raises(UsageError):
        a.mlqa_em_f1(language)


def test_token_f1_counts_repeats_as_often_as_both_have_them():
    assert a.token_f1("b b c", "b b b d") == pytest.approx(2 * 2 / (3 + 4))
    assert a.token_f1("", "") == 0


def test_squad_takes_the_best_accepted_answer():
    gold = [["the red car", "car"], ["blue"]]

    assert score_lists(a.squad_em(), gold, ["a car", "green"]) == 1 / 2
    assert score_lists(a.squad_f1(), gold, ["old red car", "green"]) == pytest.approx((2 * 2 / (2 + 3)) / 2)


def test_both_empty_after_normalising_match_exactly_but_have_no_f1():
    assert score_lists(a.squad_em(), [["the"]], ["..."]) == 1
    assert score_lists(a.squad_f1(), [["the"]], ["..."]) == 0
    assert score_lists(a.mlqa_em("zh"), [["。"]], [""]) == 1
    assert score_lists(a.mlqa_f1("zh"), [["。"]], [""]) == 0


def test_a_missing_id_scores_zero():
    gold = {"1": ["x"], "2": ["y"]}

    for metric in (a.squad_em(), a.squad_f1(), a.squad_em_f1(), a.mlqa_f1("en")):
        assert score_by_id(metric, gold, {"1": "x"}) == 1 / 2
    for metric in (a.squad2_em(), a.squad2_f1()):
        assert score_by_id(metric, {"1": ["x"], "2": []}, {"1": "x"}) == 1 / 2


def test_em_f1_is_the_mean_of_both():
    gold, predicted = [["red car"], ["x"]], ["car", "x"]

    assert score_lists(a.squad_em_f1(), gold, predicted) == pytest.approx(((0 + 1) / 2 + (2 / 3 + 1) / 2) / 2)
    assert score_lists(a.mlqa_em_f1("en"), gold, predicted) == pytest.approx((1 / 2 + 5 / 6) / 2)


def test_mlqa_scores_chinese_by_character_where_squad_does_by_word():
    gold, predicted = [["北京大学"]], ["北京"]

    assert score_lists(a.mlqa_f1("zh"), gold, predicted) == pytest.approx(2 * 2 / (4 + 2))
    assert score_lists(a.mlqa_em("zh"), gold, ["北京大学。"]) == 1
    assert score_lists(a.squad_f1(), gold, predicted) == 0


def test_one_answer_may_stand_without_a_list():
    assert score_lists(a.squad_em(), ["red car"], ["the red car"]) == 1


def test_an_unanswerable_question_needs_squad2():
    with pytest.raises(DataError, match=r"squad_f1: .*squad2_f1"):
        score_lists(a.squad_f1(), [[]], [""])


@pytest.mark.parametrize(
    ("gold", "answer", "em", "f1"),
    [
        ([], "", 1, 1),
        ([], "red", 0, 0),
        (["red"], "", 0, 0),
        (["red car", "blue"], "the car", 0, 2 / 3),
        (["the"], "", 1, 1),  # nothing left of the only accepted answer
        (["the", "red"], "", 0, 0),  # another is left, so no answer is wrong
        (["red"], "a", 0, 0),
    ],
)
def test_squad2(gold, answer, em, f1):
    assert score_lists(a.squad2_em(), [gold], [answer]) == em
    assert score_lists(a.squad2_f1(), [gold], [answer]) == pytest.approx(f1)


# ---- answers without their words

ANSWERS = [
    Prediction("1", ["The U.S. Army", "army"], "us army!", group="7"),
    Prediction("2", ["a"], "the"),
    Prediction("3", ["die Stadt Köln", "Köln"], "Stadt"),
    Prediction("4", ["北京大学"], "北京 市"),
    Prediction("5", ["كتاب البيت"], "بيت"),
    Prediction("6", ["one two two"], "two one"),
    Prediction("7", ["x"], ""),
]
UNANSWERABLE = [Prediction("8", [], ""), Prediction("9", [], "word"), Prediction("10", ["...", "b"], "c b")]


@pytest.mark.parametrize("language", ["en", "de", "zh", "ar", "es"])
@pytest.mark.parametrize(
    "name",
    ["squad_f1", "squad_em", "squad_em_f1", "squad2_f1", "squad2_em", "mlqa_f1", "mlqa_em", "mlqa_em_f1"],
)
def test_veiled_answers_score_the_same_and_say_nothing(name, language):
    metric = get(name, language=language)
    plain = [*ANSWERS, *(UNANSWERABLE if name.startswith("squad2") else [])]
    veiled = a.veiled(plain, name, language)
    assert metric.statistics(veiled).tolist() == metric.statistics(plain).tolist()
    words = {word for one in veiled for text in (*one.gold, one.prediction) for word in text.split()}
    assert words <= {f"w{number}" for number in range(10)}
    assert [(one.id, one.group) for one in veiled] == [(one.id, one.group) for one in plain]


def test_what_is_missing_stays_missing_under_the_veil():
    (veiled,) = a.veiled([Prediction("1", None, None)], "squad_f1", "en")
    assert (veiled.gold, veiled.prediction) == (None, None)

"""Questions on passages: windows, where the answer is in them, and answers back to text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from handmade import BOS, EOS, ids_of, one_hot, sequences, splitting_tokenizer
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from adapterstilts.data.encoding import decode, encode
from adapterstilts.data.encoding.columns import Array, Encoded
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.rows import SpanRow
from adapterstilts.metrics.core import Prediction

QUESTION = "ko mu"
# Its pieces: ▁ba ko | ▁ri | ▁mu sel ba | ▁tan . | ▁ko
PASSAGE = "bako ri muselba tan. ko"


def row_of(context: str, *answers: tuple[int, str], question: str = QUESTION, id: str = "a") -> SpanRow:
    return SpanRow(id, question, context, answers, answerable=bool(answers), group="g")


def encoded_of(row: SpanRow, length: int = 64, stride: int | None = None) -> Encoded:
    return encode("span_qa", [row], splitting_tokenizer(), Settings((), length, stride))


def answered(
    row: SpanRow, answers: Sequence[Array], settings: Settings, encoded: Encoded | None = None
) -> Prediction:
    if encoded is None:
        encoded = encode("span_qa", [row], splitting_tokenizer(), settings)
    (found,) = decode("span_qa", [row], encoded, answers, settings)
    return found


def flat(encoded: Encoded) -> list[list[int]]:
    return [one for (one,) in sequences(encoded)]


# ---- windows


def test_a_question_stands_before_its_passage() -> None:
    encoded = encoded_of(row_of(PASSAGE))
    passage = ids_of("▁ba ko ▁ri ▁mu sel ba ▁tan . ▁ko")
    assert flat(encoded) == [[BOS, *ids_of("▁ko ▁mu"), EOS, EOS, *passage, EOS]]


def test_tokens_know_their_characters() -> None:
    encoded = encoded_of(row_of(PASSAGE))
    starts, ends = encoded.token_values("from", 0), encoded.token_values("to", 0)
    texts = [PASSAGE[start:end] for start, end in zip(starts[5:-1], ends[5:-1], strict=True)]
    assert texts == ["ba", "ko", " ri", " mu", "sel", "ba", " tan", ".", " ko"]
    outside = [*range(5), len(starts) - 1]
    assert starts[outside].tolist() == ends[outside].tolist() == [-1] * 6
    assert encoded.token_values("opens", 0).tolist() == [False] * 5 + [True] * 9 + [False]


def test_windows_of_a_passage_overlap() -> None:
    encoded = encoded_of(row_of(PASSAGE), length=10, stride=2)
    passage = ids_of("▁ba ko ▁ri ▁mu sel ba ▁tan . ▁ko")
    assert [one[5:-1] for one in flat(encoded)] == [passage[n : n + 4] for n in (0, 2, 4)] + [passage[6:]]
    assert all(one[:5] == [BOS, *ids_of("▁ko ▁mu"), EOS, EOS] for one in flat(encoded))
    assert encoded.rows.tolist() == [0] * 4


@pytest.mark.parametrize(("stride", "step"), [(None, 128), (200, 200), (1000, 250)])
def test_passages_move_by_128_where_nothing_is_said(stride: int | None, step: int) -> None:
    context = " ".join(["ba"] * 700)
    encoded = encoded_of(row_of(context), length=256, stride=stride)
    starts = [int(encoded.token_values("from", unit)[5]) for unit in range(len(encoded))]
    assert np.diff(starts).tolist() == [3 * step - (n == 0) for n in range(len(starts) - 1)]


def test_a_token_opens_an_answer_in_the_window_with_most_around_it() -> None:
    encoded = encoded_of(row_of(PASSAGE), length=10, stride=2)
    opens = [encoded.token_values("opens", unit)[5:-1].tolist() for unit in range(4)]
    # Tokens 0-3, 2-5, 4-7, 6-8. Token 2 has one token after it in the first and none before it in the second.
    here = [[n for n, chosen in enumerate(one) if chosen] for one in opens]
    assert here == [[0, 1, 2], [1, 2], [1, 2], [1, 2]]


def test_of_windows_that_show_as_much_the_first_opens() -> None:
    # Tokens 0-4, 2-6, 4-8: tokens 3 and 5 have one token beside them in two windows.
    encoded = encoded_of(row_of(PASSAGE), length=11, stride=2)
    opens = [encoded.token_values("opens", unit)[5:-1].tolist() for unit in range(3)]
    assert [[n for n, chosen in enumerate(one) if chosen] for one in opens] == [
        [0, 1, 2, 3],
        [2, 3],
        [2, 3, 4],
    ]


@given(st.integers(1, 60), st.integers(9, 30), st.integers(1, 12))
@examples(max_examples=60, deadline=None, database=None)
def test_each_token_of_a_passage_opens_an_answer_in_one_window(size: int, length: int, stride: int) -> None:
    context = " ".join(["ba", "ko", "ri"][n % 3] for n in range(size))
    encoded = encoded_of(row_of(context), length=length, stride=stride)
    found: list[int] = []
    for unit in range(len(encoded)):
        opens = encoded.token_values("opens", unit)
        found += encoded.token_values("to", unit)[opens].tolist()
    assert sorted(found) == [3 * n + 2 for n in range(size)]
    assert max(encoded.longest) <= length


@pytest.mark.parametrize(("length", "kept"), [(384, 64), (100, 48), (5, 0), (16, 6)])
def test_a_long_question_is_cut(length: int, kept: int) -> None:
    question = " ".join(["ba"] * 100)
    encoded = encoded_of(row_of(" ".join(["ko"] * 500), question=question), length=length)
    (ba, ko) = ids_of("▁ba ▁ko")
    assert [one.count(ba) for one in flat(encoded)] == [kept] * len(encoded)
    assert max(encoded.longest) <= length
    assert all(ko in one for one in flat(encoded))


def test_an_empty_passage_has_a_window() -> None:
    encoded = encoded_of(row_of(" "))
    assert flat(encoded) == [[BOS, *ids_of("▁ko ▁mu"), EOS, EOS, EOS]]
    settings = Settings((), 64)
    assert answered(row_of(" "), [np.ones((6, 2))], settings).prediction == ""


# ---- where the answer is


@pytest.mark.parametrize(
    ("answer", "start", "end"),
    [
        ((0, "bako"), 0, 1),
        ((0, "ba"), 0, 0),
        ((2, "ko"), 1, 1),
        ((5, "ri"), 2, 2),
        ((5, "ri muselba"), 2, 5),
        # A part of a subword points at all of it.
        ((1, "a"), 0, 0),
        ((9, "u"), 3, 3),
        ((10, "selb"), 4, 5),
        ((9, "uselb"), 3, 5),
        ((16, "tan."), 6, 7),
        ((19, "."), 7, 7),
        ((21, "ko"), 8, 8),
        ((0, PASSAGE), 0, 8),
    ],
)
def test_an_answer_becomes_its_first_and_last_token(answer: tuple[int, str], start: int, end: int) -> None:
    assert PASSAGE.startswith(answer[1], answer[0])
    encoded = encoded_of(row_of(PASSAGE, answer))
    assert encoded.per_unit["start"].tolist() == [start + 5]
    assert encoded.per_unit["end"].tolist() == [end + 5]


def test_the_first_of_several_answers_counts() -> None:
    encoded = encoded_of(row_of(PASSAGE, (5, "ri"), (0, "bako")))
    assert (encoded.per_unit["start"].tolist(), encoded.per_unit["end"].tolist()) == ([7], [7])


def test_a_window_without_all_of_the_answer_points_at_its_first_token() -> None:
    # Windows of tokens 0-3, 2-5, 4-7, 6-8; the answer is tokens 3 to 5.
    encoded = encoded_of(row_of(PASSAGE, (8, "muselba")), length=10, stride=2)
    assert encoded.per_unit["start"].tolist() == [0, 6, 0, 0]
    assert encoded.per_unit["end"].tolist() == [0, 8, 0, 0]


def test_an_answer_that_fits_no_window_is_nowhere() -> None:
    encoded = encoded_of(row_of(PASSAGE, (0, PASSAGE)), length=10, stride=2)
    assert encoded.per_unit["start"].tolist() == encoded.per_unit["end"].tolist() == [0] * 4


@pytest.mark.parametrize(("answers", "place"), [((), 0), (None, -1)])
def test_no_answer_is_not_the_same_as_no_label(answers: Any, place: int) -> None:
    encoded = encoded_of(SpanRow("a", QUESTION, PASSAGE, answers))
    assert encoded.per_unit["start"].tolist() == encoded.per_unit["end"].tolist() == [place]


def test_rows_that_share_a_passage_stay_apart() -> None:
    rows = [
        row_of(PASSAGE, (0, "bako")),
        row_of(PASSAGE, (5, "ri"), question="tan", id="b"),
        row_of("ba", id="c"),
    ]
    encoded = encode("span_qa", rows, splitting_tokenizer(), Settings((), 64))
    assert encoded.ids == ("a", "b", "c")
    assert encoded.per_unit["start"].tolist() == [5, 6, 0]
    alone = [encoded_of(row) for row in rows]
    assert flat(encoded) == [one for part in alone for one in flat(part)]


# ---- answers back to text

words = st.lists(st.sampled_from(["ba", "koba", "rimusel", "tan.", "xyz", "bakori"]), min_size=1, max_size=40)


@given(words, st.data(), st.integers(14, 40), st.sampled_from([None, 4, 9]))
@examples(max_examples=150, deadline=None, database=None)
def test_the_gold_place_gives_the_answer_back(
    words: list[str], data: st.DataObject, length: int, stride: int | None
) -> None:
    context = " ".join(words)
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, min(first + 2, len(words) - 1)))
    text = " ".join(words[first : last + 1])
    begin = len(" ".join([*words[:first], ""]))
    row, settings = row_of(context, (begin, text)), Settings((), length, stride)
    encoded = encode("span_qa", [row], splitting_tokenizer(), settings)
    starts, ends = encoded.per_unit["start"], encoded.per_unit["end"]
    answers = [
        one_hot(size, (start, end)) if start else np.zeros((size, 2), dtype=np.float32)
        for start, end, size in zip(starts, ends, encoded.longest, strict=True)
    ]
    # Every answer of this length fits some window, and one of these has most around the answer's start.
    shown = [unit for unit in np.flatnonzero(starts) if encoded.token_values("opens", unit)[starts[unit]]]
    found = answered(row, answers, settings, encoded)
    assert found.gold == [text]
    assert found.group == "g"
    assert shown or len(encoded) > 1
    if shown:
        assert found.prediction == text


def test_every_answer_of_a_passage_comes_back() -> None:
    context = "bako ri muselba tan. ko xyz ba"
    encoded = encoded_of(row_of(context))
    begins, ends = encoded.token_values("from", 0), encoded.token_values("to", 0)
    openings = {begin + (context[begin] == " ") for begin in begins.tolist() if begin >= 0}
    whole = 0
    for start, end in itertools.combinations(range(len(context) + 1), 2):
        text = context[start:end]
        if text != text.strip():
            continue
        row = row_of(context, (start, text))
        one = encoded_of(row)
        (first,), (last,) = one.per_unit["start"].tolist(), one.per_unit["end"].tolist()
        found = answered(row, [one_hot(one.longest[0], (first, last))], Settings((), 64)).prediction
        # Tokens are not smaller than they are: an answer inside of one grows to its borders.
        assert found == context[begins[first] : ends[last]].strip()
        assert text in found
        if start in openings and end in ends:
            assert found == text
            whole += 1
    assert whole > 60


def scores(encoded: Encoded, **places: tuple[int, float]) -> Array:
    """Scores of the one window: ``start`` and ``end``, each a place and a score there, and 0 elsewhere."""
    found = np.zeros((encoded.longest[0], 2), dtype=np.float32)
    for column, name in enumerate(("start", "end")):
        for key, (place, score) in places.items():
            if key.startswith(name):
                found[place, column] = score
    return found


def predicted(encoded: Encoded, answer: Array, *, unanswerable: bool = False, context: str = PASSAGE) -> Any:
    settings = Settings((), 64, None, unanswerable)
    return answered(row_of(context), [answer], settings, encoded).prediction


def test_the_best_pair_wins_not_the_best_ends() -> None:
    encoded = encoded_of(row_of(PASSAGE))
    # The best start is after the best end.
    answer = scores(encoded, start1=(13, 9.0), start2=(5, 7.0), end1=(6, 9.0), end2=(13, 1.0))
    assert predicted(encoded, answer) == "bako"


def test_an_answer_lies_in_the_passage() -> None:
    encoded = encoded_of(row_of(PASSAGE))
    answer = scores(
        encoded, start1=(1, 50.0), start2=(7, 3.0), end1=(14, 50.0), end2=(2, 50.0), end3=(7, 3.0)
    )
    assert predicted(encoded, answer) == "ri"


@pytest.mark.parametrize(("last", "tokens"), [(29, 30), (30, 1)])
def test_an_answer_has_thirty_tokens_at_most(last: int, tokens: int) -> None:
    context = " ".join(["ba"] * 50)
    encoded = encoded_of(row_of(context))
    answer = scores(encoded, start1=(5, 9.0), end1=(5 + last, 9.0), end2=(5, 1.0))
    assert predicted(encoded, answer, context=context) == " ".join(["ba"] * tokens)


def test_a_start_counts_only_where_it_has_most_around_it() -> None:
    row = row_of(PASSAGE)
    settings = Settings((), 10, 2)
    encoded = encode("span_qa", [row], splitting_tokenizer(), settings)
    answers = [np.zeros((size, 2), dtype=np.float32) for size in encoded.longest]
    # Token 2 ("ri") is the third of the first window and the first of the second, which has less around it.
    answers[1][5] = 50.0
    answers[0][7] = 3.0
    answers[0][5] = 1.0
    assert answered(row, answers, settings, encoded).prediction == "ri"
    answers[0][5] = 7.0
    assert answered(row, answers, settings, encoded).prediction == "ba"


def test_the_best_window_wins() -> None:
    row, settings = row_of(PASSAGE), Settings((), 10, 2)
    encoded = encode("span_qa", [row], splitting_tokenizer(), settings)
    for unit, text in enumerate(("ko", "mu", "ba", "ko")):
        place = (6, 6, 6, 7)[unit]
        answers = [one_hot(size, (5 + n % 2,) * 2, score=1.0) for n, size in enumerate(encoded.longest)]
        answers[unit] = one_hot(encoded.longest[unit], (place, place), score=5.0)
        assert answered(row, answers, settings, encoded).prediction == text


@pytest.mark.parametrize(
    ("unanswerable", "nothing", "text"),
    [(True, 4.1, ""), (True, 3.9, "ri"), (True, 4.0, "ri"), (False, 99.0, "ri")],
)
def test_no_answer_wins_only_where_it_may(unanswerable: bool, nothing: float, text: str) -> None:
    encoded = encoded_of(row_of(PASSAGE))
    answer = scores(encoded, start1=(7, 4.0), end1=(7, 4.0), start2=(0, nothing), end2=(0, nothing))
    assert predicted(encoded, answer, unanswerable=unanswerable) == text


def test_every_window_must_prefer_no_answer() -> None:
    row, settings = row_of(PASSAGE), Settings((), 10, 2, unanswerable=True)
    encoded = encode("span_qa", [row], splitting_tokenizer(), settings)
    answers = [one_hot(size, (0, 0), score=9.0) for size in encoded.longest]
    answers[1][6] = 4.0
    assert answered(row, answers, settings, encoded).prediction == ""
    answers[3][0] = 3.9
    assert answered(row, answers, settings, encoded).prediction == "mu"


def test_unlabelled_questions_have_no_gold() -> None:
    row = SpanRow("a", QUESTION, PASSAGE, None)
    size = encoded_of(row).longest[0]
    settings = Settings((), 64)
    assert answered(row, [np.zeros((size, 2))], settings).gold is None
    assert answered(row_of(PASSAGE), [np.zeros((size, 2))], settings).gold == []

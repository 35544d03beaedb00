"""What a user types in becomes a row, or is refused with what is needed."""

from __future__ import annotations

from typing import Any

import pytest

from adapterstilts.data.encoding import CODECS, encode
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.inputs import row_of
from adapterstilts.data.rows import ChoiceRow, Row, SpanRow, TaggingRow, TextRow
from adapterstilts.errors import UsageError

TEXTS = ("classification", "multilabel", "regression")
CHOICES = ("multiple_choice", "multi_select")
CHOICE = {"context": "c", "choices": ["a", "b"]}
QUESTION = {"question": "q", "context": "c"}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    ("value", "row"),
    [
        ("a text", TextRow("4", "a text")),
        ("", TextRow("4", "")),
        (("one", "two"), TextRow("4", "one", "two")),
        ({"text": "one"}, TextRow("4", "one")),
        ({"text": "one", "text_pair": "two", "label": "x"}, TextRow("4", "one", "two")),
        ({"id": 7, "text": "one"}, TextRow("7", "one")),
    ],
)
def test_texts_and_pairs(kind: str, value: Any, row: Row) -> None:
    assert row_of(kind, 4, value) == row


@pytest.mark.parametrize("kind", CHOICES)
def test_choices(kind: str) -> None:
    assert row_of(kind, 0, CHOICE) == ChoiceRow("0", "c", ("a", "b"))
    assert row_of(kind, 0, {"context": "c", "choices": (1, 2, 3)}) == ChoiceRow("0", "c", ("1", "2", "3"))


def test_words_and_questions() -> None:
    assert row_of("tagging", 2, {"tokens": ["a", "b"]}) == TaggingRow("2", ("a", "b"))
    assert row_of("span_qa", 2, QUESTION) == SpanRow("2", "q", "c", None)


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("classification", {"tokens": ["a"]}, "found tokens"),
        ("classification", {"text": "a", "text_pair": 3}, "found text, text_pair"),
        ("classification", {}, "found nothing"),
        ("classification", ("a", "b", "c"), "found ('a', 'b', 'c')"),
        ("classification", ("a",), "found ('a',)"),
        ("regression", {"text": None}, "found text"),
        ("multiple_choice", "a text", "found 'a text'"),
        ("multiple_choice", {"context": "c"}, "found context"),
        ("multiple_choice", {"context": "c", "choices": ["a"]}, "found context, choices"),
        ("multi_select", {"context": "c", "choices": "ab"}, "found context, choices"),
        ("tagging", "a text", "found 'a text'"),
        ("tagging", {"tokens": []}, "found tokens"),
        ("tagging", {"tokens": "ab"}, "found tokens"),
        ("tagging", {"tokens": ["a", 3]}, "found tokens"),
        ("span_qa", {"question": "q"}, "found question"),
        ("span_qa", ("q", "c"), "found ('q', 'c')"),
        ("mlm", "a text", "found 'a text'"),
        ("classification", ["a"], "found ['a']"),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, value: Any, found: str) -> None:
    with pytest.raises(UsageError) as caught:
        row_of(kind, 4, value)
    (fault,) = caught.value.faults
    assert fault.where == "input 5"
    assert fault.what.startswith(f"a {kind} model needs ")
    assert fault.remedy == found


def test_a_long_input_is_not_repeated_at_length() -> None:
    with pytest.raises(UsageError) as caught:
        row_of("tagging", 0, "x" * 5000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("kind", [kind for kind, codec in CODECS.items() if codec.decode is not None])
def test_every_kind_that_answers_takes_inputs_that_encode(kind: str) -> None:
    from handmade import splitting_tokenizer

    values: dict[str, Any] = dict.fromkeys(TEXTS, "ba ko") | dict.fromkeys(CHOICES, CHOICE)
    values |= {"tagging": {"tokens": ["ba"]}, "span_qa": QUESTION}
    row = row_of(kind, 0, values[kind])
    assert len(encode(kind, [row], splitting_tokenizer(), Settings(("x",), 16))) == 1

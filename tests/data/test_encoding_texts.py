"""Texts and pairs of texts to subword ids, and a head's answers back to labels."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import sequences
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tiny import SPECIALS, WORDS

from adapterstilts.data.encoding import CODECS, decode, encode
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.encoding.sides import encode_sentences
from adapterstilts.data.encoding.tokens import windows
from adapterstilts.data.rows import Row, TextRow

IDS = {word: i for i, word in enumerate((*SPECIALS, *WORDS))}
BOS, EOS, UNK = IDS["<s>"], IDS["</s>"], IDS["<unk>"]
LONG = " ".join(f"en{n}" for n in range(30))
TOPICS = ("north", "south", "west")


@pytest.fixture(scope="module")
def tokenizer(backbone_folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(backbone_folder))


def ids(text: str) -> list[int]:
    return [IDS[word] for word in text.split()]


def marked(*texts: str) -> list[int]:
    """The ids of a text or of a pair, with special tokens."""
    pair = [token for text in texts[1:] for token in (EOS, EOS, *ids(text))]
    return [BOS, *ids(texts[0]), *pair, EOS]


def cut(
    rows: list[Row], tokenizer: Any, length: int, labels: tuple[str, ...] = ("x",)
) -> list[list[list[int]]]:
    return sequences(encode("classification", rows, tokenizer, Settings(labels, length)))


# ---- cut


def test_a_text_stands_between_its_marks(tokenizer: Any) -> None:
    rows = [TextRow("a", "en1 north0", label="west")]
    encoded = encode("classification", rows, tokenizer, Settings(("north", "west"), 16))
    assert encoded.ids == ("a",)
    assert sequences(encoded) == [[[BOS, *ids("en1 north0"), EOS]]]
    assert encoded.per_unit["label"].tolist() == [1]
    assert (encoded.longest, encoded.counts, encoded.computed) == ([4], [1], 4)


def test_a_pair_has_two_marks_between(tokenizer: Any) -> None:
    (unit,) = cut([TextRow("a", "en1", "xx2 xx3", "x")], tokenizer, 16)
    assert unit == [[BOS, *ids("en1"), EOS, EOS, *ids("xx2 xx3"), EOS]]


def test_rows_without_a_second_text_are_no_pairs(tokenizer: Any) -> None:
    encoded = encode("classification", [TextRow("a", "en1")], tokenizer, Settings(("x",), 16))
    assert sequences(encoded) == [[[BOS, *ids("en1"), EOS]]]
    assert encoded.per_unit["label"].tolist() == [-1]


@pytest.mark.parametrize("stride", [None, 4])
def test_a_row_is_encoded_as_if_it_were_alone(tokenizer: Any, stride: int | None) -> None:
    rows = [TextRow("a", "en1"), TextRow("b", "en1", "xx2"), TextRow("c", "en2"), TextRow("d", "en2", "")]
    settings = Settings((), 16, stride)
    together = sequences(encode("classification", rows, tokenizer, settings))
    assert together == [sequences(encode("classification", [row], tokenizer, settings))[0] for row in rows]
    assert together[0] != together[1]
    assert together[3] == [marked("en2", "")]


def test_unknown_words_are_kept_as_such(tokenizer: Any) -> None:
    assert cut([TextRow("a", "never seen")], tokenizer, 16) == [[[BOS, UNK, UNK, EOS]]]


def test_a_text_is_cut_at_its_end(tokenizer: Any) -> None:
    assert cut([TextRow("a", LONG)], tokenizer, 10) == [[[BOS, *ids(LONG)[:8], EOS]]]


def test_the_longer_of_a_pair_is_cut_first(tokenizer: Any) -> None:
    first, second = cut([TextRow("a", LONG, "xx1 xx2"), TextRow("b", "xx1 xx2", LONG)], tokenizer, 12)
    assert first == [[BOS, *ids(LONG)[:6], EOS, EOS, *ids("xx1 xx2"), EOS]]
    assert second == [[BOS, *ids("xx1 xx2"), EOS, EOS, *ids(LONG)[:6], EOS]]


@pytest.mark.parametrize("stride", [None, 8])
def test_order_and_number_survive_many_rows(tokenizer: Any, stride: int | None) -> None:
    rows = [TextRow(str(n), f"en{n % 30}", "xx1" if n % 3 else None) for n in range(2500)]
    encoded = encode("classification", rows, tokenizer, Settings((), 16, stride))
    assert encoded.ids == tuple(row.id for row in rows)
    assert encoded.rows.tolist() == list(range(2500))
    for (sequence,), row in zip(sequences(encoded), rows, strict=True):
        assert sequence[1] == IDS[row.text]
        assert len(sequence) == (3 if row.text_pair is None else 6)


def test_sentences_are_encoded_side_by_side(tokenizer: Any) -> None:
    encoded = encode_sentences(["a", "b"], ["xx1", LONG], tokenizer, 6)
    assert encoded.ids == ("a", "b")
    assert sequences(encoded) == [[marked("xx1")], [[BOS, *ids(LONG)[:4], EOS]]]
    assert not encoded.per_unit


@pytest.mark.parametrize("kind", CODECS)
@pytest.mark.parametrize("stride", [None, 4])
def test_nothing_gives_nothing(tokenizer: Any, kind: str, stride: int | None) -> None:
    encoded = encode(kind, [], tokenizer, Settings((), 16, stride))
    assert (len(encoded), encoded.ids, encoded.longest, encoded.computed) == (0, (), [], 0)
    assert encoded.tokens.dtype == np.int32


# ---- labels


def test_sets_become_marks(tokenizer: Any) -> None:
    rows = [
        TextRow("a", "en1", label=("west", "north")),
        TextRow("b", "en1", label=()),
        TextRow("c", "en1"),
        TextRow("d", "en1", label=("south",)),
    ]
    encoded = encode("multilabel", rows, tokenizer, Settings(TOPICS, 16))
    assert encoded.per_unit["label"].tolist() == [[1, 0, 1], [0, 0, 0], [-1, -1, -1], [0, 1, 0]]
    assert encoded.per_unit["label"].dtype == np.int64


def test_numbers_stay_numbers_and_their_lack_shows(tokenizer: Any) -> None:
    rows = [TextRow("a", "en1", label=2.5), TextRow("b", "en1"), TextRow("c", "en1", label=-0.0)]
    values = encode("regression", rows, tokenizer, Settings((), 16)).per_unit["label"]
    assert np.array_equal(values, [2.5, np.nan, 0.0], equal_nan=True)
    assert values.dtype == np.float32


# ---- windows

lengths = st.tuples(st.integers(0, 80), st.integers(1, 30), st.none() | st.integers(1, 40))


@given(lengths)
@examples(max_examples=150, deadline=None, database=None)
def test_windows_cover_all_and_stay_in_their_room(sizes: tuple[int, int, int | None]) -> None:
    length, room, stride = sizes
    bounds = windows(length, room, stride)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == length
    assert all(end - start <= room for start, end in bounds)
    # No gap, and none that is held by the one before it.
    assert all(second[0] <= first[1] < second[1] for first, second in itertools.pairwise(bounds))
    # All but the last are full.
    assert all(end - start == room for start, end in bounds[:-1])
    step = room if stride is None else min(stride, room)
    assert all(second[0] - first[0] == step for first, second in itertools.pairwise(bounds))


def test_a_short_text_has_one_window(tokenizer: Any) -> None:
    settings = Settings(("x",), 16, 4)
    rows = [TextRow("a", "en1 en2", label="x"), TextRow("b", "en1", "en2", "x")]
    assert sequences(encode("classification", rows, tokenizer, settings)) == [
        [marked("en1 en2")],
        [marked("en1", "en2")],
    ]


def test_windows_of_a_text_are_sequences_of_one_unit(tokenizer: Any) -> None:
    rows = [TextRow("a", LONG, label="x"), TextRow("b", "en3", label="x")]
    encoded = encode("classification", rows, tokenizer, Settings(("x",), 12, 7))
    words = ids(LONG)
    first, second = sequences(encoded)
    assert first == [[BOS, *words[start : start + 10], EOS] for start in (0, 7, 14, 21)]
    assert second == [marked("en3")]
    assert encoded.per_unit["label"].tolist() == [0, 0]
    assert (encoded.counts, encoded.longest, encoded.computed) == ([4, 1], [12, 3], 51)


@pytest.mark.parametrize("swap", [False, True])
def test_windows_of_a_pair_keep_the_shorter_side_whole(tokenizer: Any, swap: bool) -> None:
    texts = (LONG, "xx1 xx2 xx3")
    row = TextRow("a", *(texts[::-1] if swap else texts), "x")
    (unit,) = sequences(encode("classification", [row], tokenizer, Settings(("x",), 15, 4)))
    words = ids(LONG)
    parts = [words[start : start + 8] for start in range(0, 25, 4)]
    short = ids("xx1 xx2 xx3")
    sides = [(short, part) if swap else (part, short) for part in parts]
    assert unit == [[BOS, *left, EOS, EOS, *right, EOS] for left, right in sides]
    assert parts[-1][-1] == words[-1]


def test_the_shorter_of_two_long_texts_leaves_the_other_half_of_the_room(tokenizer: Any) -> None:
    other = " ".join(f"xx{n}" for n in range(20))
    (unit,) = sequences(
        encode("classification", [TextRow("a", LONG, other, "x")], tokenizer, Settings(("x",), 16, 5))
    )
    kept = ids(other)[:6]
    assert all(len(sequence) <= 16 and sequence[-7:-1] == kept for sequence in unit)
    assert {token for sequence in unit for token in sequence[1:-9]} >= set(ids(LONG))


def test_long_texts_without_a_stride_have_no_windows(tokenizer: Any) -> None:
    assert len(cut([TextRow("a", LONG, label="x")], tokenizer, 12)[0]) == 1


# ---- plain text


def test_plain_text_is_split_into_pieces_of_their_own(tokenizer: Any) -> None:
    rows = [TextRow("a", LONG), TextRow("b", "en3 en4")]
    encoded = encode("mlm", rows, tokenizer, Settings((), 14))
    words = ids(LONG)
    assert sequences(encoded) == [
        [[BOS, *words[:12], EOS]],
        [[BOS, *words[12:24], EOS]],
        [[BOS, *words[24:], EOS]],
        [marked("en3 en4")],
    ]
    assert encoded.rows.tolist() == [0, 0, 0, 1]
    assert encoded.ids == ("a", "b")


def test_pieces_of_plain_text_overlap_with_a_stride(tokenizer: Any) -> None:
    encoded = encode("mlm", [TextRow("a", LONG)], tokenizer, Settings((), 14, 9))
    assert [unit[0][1] for unit in sequences(encoded)] == [ids(LONG)[start] for start in (0, 9, 18)]


def test_a_text_of_nothing_has_no_piece(tokenizer: Any) -> None:
    encoded = encode("mlm", [TextRow("a", " "), TextRow("b", "en1")], tokenizer, Settings((), 14))
    assert sequences(encoded) == [[marked("en1")]]
    assert encoded.rows.tolist() == [1]


# ---- answers


def decoded(kind: str, rows: list[Row], answers: list[Any], settings: Settings, tokenizer: Any) -> list[Any]:
    encoded = encode(kind, rows, tokenizer, settings)
    return decode(kind, rows, encoded, [np.array(answer, dtype=np.float32) for answer in answers], settings)


def test_the_most_probable_label_is_predicted(tokenizer: Any) -> None:
    rows = [TextRow("a", "en1", label="south", group="g"), TextRow("b", LONG)]
    found = decoded(
        "classification", rows, [[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], Settings(TOPICS, 12, 7), tokenizer
    )
    assert [(one.id, one.gold, one.prediction, one.group) for one in found] == [
        ("a", "south", "west", "g"),
        ("b", None, "north", ""),
    ]
    assert found[0].probabilities == {"north": 0.1, "south": 0.2, "west": 0.7}


def test_all_labels_above_one_half_are_predicted(tokenizer: Any) -> None:
    rows = [TextRow(id, "en1", label=gold) for id, gold in (("a", ("west", "north")), ("b", ()), ("c", None))]
    answers = [[0.6, 0.5, 0.51], [0.1, 0.2, 0.3], [0.9, 0.0, 0.0]]
    found = decoded("multilabel", rows, answers, Settings(TOPICS, 16), tokenizer)
    assert [one.prediction for one in found] == [["north", "west"], [], ["north"]]
    assert [one.gold for one in found] == [["west", "north"], [], None]
    assert found[0].probabilities == {"north": 0.6, "south": 0.5, "west": 0.51}


def test_a_number_is_predicted_as_it_is(tokenizer: Any) -> None:
    rows = [TextRow("a", "en1", label=1.5), TextRow("b", "en1")]
    found = decoded("regression", rows, [1.25, -0.1234567], Settings((), 16), tokenizer)
    assert [(one.gold, one.prediction, one.probabilities) for one in found] == [
        (1.5, 1.25, None),
        (None, -0.123457, None),
    ]

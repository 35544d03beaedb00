"""Tagged sentences: one label a word, on its first subword, whatever the windows are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from handmade import BOS, EOS, IDS, UNK, ids_of, sequences, splitting_tokenizer
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from adapterstilts.data.encoding import decode, encode
from adapterstilts.data.encoding.columns import IGNORED, Encoded
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.encoding.words import word_windows
from adapterstilts.data.rows import TaggingRow
from adapterstilts.metrics.core import Prediction

TAGS = ("O", "B-PER", "I-PER", "B-LOC")
WORDS = ("ba", "koba", "rimusel", "tan", ".", "bakorimu", "xyz", "\u200b")
PIECES = {
    "ba": "▁ba",
    "koba": "▁ko ba",
    "rimusel": "▁ri mu sel",
    "tan": "▁tan",
    ".": "▁ .",
    "bakorimu": "▁ba ko ri mu",
    "xyz": "▁ <unk>",
    "\u200b": "<unk>",
}


def encoded_of(rows: Sequence[TaggingRow], length: int = 32, stride: int | None = None) -> Encoded:
    return encode("tagging", rows, splitting_tokenizer(), Settings(TAGS, length, stride))


def sentence(*words: str, tagged: bool = True) -> TaggingRow:
    return TaggingRow("a", words, tuple(TAGS[n % 4] for n in range(len(words))) if tagged else None)


# ---- labels


def test_the_first_subword_of_a_word_carries_its_tag() -> None:
    encoded = encoded_of([sentence("koba", "ba", "rimusel")])
    assert sequences(encoded) == [[[BOS, *ids_of("▁ko ba ▁ba ▁ri mu sel"), EOS]]]
    none = IGNORED
    assert encoded.per_token["label"].tolist() == [none, 0, none, 1, 2, none, none, none]
    assert encoded.per_token["word"].tolist() == [-1, 0, -1, 1, 2, -1, -1, -1]


@pytest.mark.parametrize("nothing", ["\u200b", "", " "])
def test_a_word_that_becomes_nothing_is_unknown(nothing: str) -> None:
    encoded = encoded_of([sentence("ba", nothing, "tan")])
    assert sequences(encoded) == [[[BOS, IDS["▁ba"], UNK, IDS["▁tan"], EOS]]]
    assert encoded.per_token["label"].tolist() == [IGNORED, 0, 1, 2, IGNORED]


def test_words_are_encoded_one_by_one() -> None:
    # As one text "ba" and "." would give "▁ba ." without a piece between.
    assert sequences(encoded_of([sentence("ba", ".")])) == [[[BOS, *ids_of("▁ba ▁ ."), EOS]]]


def test_without_tags_nothing_counts() -> None:
    encoded = encoded_of([sentence("koba", "ba", tagged=False)])
    assert set(encoded.per_token["label"].tolist()) == {IGNORED}
    assert encoded.per_token["word"].tolist() == [-1, 0, -1, 1, -1]


def test_sentences_share_no_label() -> None:
    rows = [TaggingRow("a", ("koba",), ("B-LOC",)), TaggingRow("b", ("ba", "koba"), ("O", "B-PER"))]
    encoded = encoded_of(rows)
    assert encoded.token_values("label", 0).tolist() == [IGNORED, 3, IGNORED, IGNORED]
    assert encoded.token_values("label", 1).tolist() == [IGNORED, 0, 1, IGNORED, IGNORED]


# ---- windows


def test_a_long_sentence_is_split_between_words() -> None:
    row = sentence("koba", "rimusel", "ba", "bakorimu", "tan")
    encoded = encoded_of([row, sentence("ba")], length=7)
    assert sequences(encoded) == [
        [[BOS, *ids_of("▁ko ba ▁ri mu sel"), EOS]],
        [[BOS, *ids_of("▁ba ▁ba ko ri mu"), EOS]],
        [[BOS, *ids_of("▁tan"), EOS]],
        [[BOS, *ids_of("▁ba"), EOS]],
    ]
    assert encoded.rows.tolist() == [0, 0, 0, 1]
    assert encoded.token_values("word", 1).tolist() == [-1, 2, 3, -1, -1, -1, -1]
    assert encoded.token_values("label", 1).tolist()[1:3] == [2, 3]


def test_a_word_that_is_longer_than_the_room_keeps_its_beginning() -> None:
    encoded = encoded_of([sentence("ba", "bakorimu", "tan")], length=5)
    assert sequences(encoded) == [
        [[BOS, *ids_of("▁ba"), EOS]],
        [[BOS, *ids_of("▁ba ko ri"), EOS]],
        [[BOS, *ids_of("▁tan"), EOS]],
    ]
    counted = encoded.per_token["label"]
    assert counted[counted != IGNORED].tolist() == [0, 1, 2]


sizes_of_words = st.lists(st.integers(1, 6), min_size=1, max_size=40)


@given(sizes_of_words, st.integers(6, 20))
@examples(max_examples=150, deadline=None, database=None)
def test_windows_without_a_stride_share_no_word(sizes: list[int], room: int) -> None:
    bounds = word_windows(sizes, room, None)
    assert list(itertools.chain(*(range(*bound) for bound in bounds))) == list(range(len(sizes)))
    assert all(sum(sizes[start:end]) <= room for start, end in bounds)
    # Each is as full as it can be.
    assert all(sum(sizes[start : end + 1]) > room for start, end in bounds[:-1])


@given(sizes_of_words, st.integers(6, 20), st.integers(1, 30))
@examples(max_examples=200, deadline=None, database=None)
def test_windows_with_a_stride_go_on_and_leave_no_word_out(sizes: list[int], room: int, stride: int) -> None:
    bounds = word_windows(sizes, room, stride)
    assert {word for bound in bounds for word in range(*bound)} == set(range(len(sizes)))
    assert all(sum(sizes[start:end]) <= room for start, end in bounds)
    for (start, end), (following, end_then) in itertools.pairwise(bounds):
        assert start < following <= end
        assert end <= end_then
        passed = sum(sizes[start:following])
        # The stride is reached, and one word less would not reach it; a window that ends sooner ends it.
        assert passed >= stride or following == end
        assert sum(sizes[start : following - 1]) < stride


# ---- answers


def tagged_as(encoded: Encoded, row: TaggingRow, settings: Settings, mark: Sequence[int]) -> Prediction:
    """Decode answers that give every first subword the tag `mark` of its word, and other subwords nonsense."""
    answers = []
    for unit in range(len(encoded)):
        words = encoded.token_values("word", unit)
        answers.append(np.where(words >= 0, np.array(mark)[words], (words + unit) % 4))
    (found,) = decode("tagging", [row], encoded, answers, settings)
    return found


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=25), st.integers(4, 14), st.none() | st.just(3))
@examples(max_examples=100, deadline=None, database=None)
def test_every_word_gets_its_tag_back(words: list[str], length: int, stride: int | None) -> None:
    row = sentence(*words)
    settings = Settings(TAGS, length, stride)
    encoded = encode("tagging", [row], splitting_tokenizer(), settings)
    assert all(size <= length for size in encoded.longest)
    mark = [(7 * n + len(words)) % 4 for n in range(len(words))]
    found = tagged_as(encoded, row, settings, mark)
    assert found.prediction == [TAGS[n] for n in mark]
    assert found.gold == list(row.tags or ())
    first = [IDS[PIECES[word].split()[0]] for word in words]
    shown = {
        int(word): int(token)
        for token, word in zip(encoded.tokens, encoded.per_token["word"], strict=True)
        if word >= 0
    }
    assert shown == dict(enumerate(first))


def test_a_word_of_two_windows_takes_the_tag_with_most_around_it() -> None:
    row = sentence(*["ba"] * 9)
    settings = Settings(TAGS, 8, 3)
    encoded = encode("tagging", [row], splitting_tokenizer(), settings)
    assert [encoded.token_values("word", unit).tolist() for unit in range(2)] == [
        [-1, 0, 1, 2, 3, 4, 5, -1],
        [-1, 3, 4, 5, 6, 7, 8, -1],
    ]
    # The first window says O, the second B-LOC. Word 3 has 3 subwords after it in the first and 1 before it in the
    # second, word 5 the other way round; word 4 has 2 in both, and the first window wins.
    first, second = np.zeros(8, dtype=np.int64), np.full(8, 3)
    (found,) = decode("tagging", [row], encoded, [first, second], settings)
    assert found.prediction == ["O"] * 5 + ["B-LOC"] * 4
    (swapped,) = decode("tagging", [row], encoded, [second, first], settings)
    assert swapped.prediction == ["B-LOC"] * 5 + ["O"] * 4


def test_untagged_sentences_have_no_gold() -> None:
    row = sentence("ba", "koba", tagged=False)
    settings = Settings(TAGS, 16)
    found = tagged_as(encode("tagging", [row], splitting_tokenizer(), settings), row, settings, [2, 1])
    assert (found.gold, found.prediction) == (None, ["I-PER", "B-PER"])


# ---- places in a document


def test_a_sentence_that_knows_its_place_has_entities() -> None:
    # "ba koba. tan" at 10 to 22 of its document, and an entity that tags cannot hold.
    row = TaggingRow(
        "a",
        ("ba", "koba", ".", "tan"),
        ("B-PER", "I-PER", "O", "B-LOC"),
        document="d",
        starts=(10, 13, 17, 19),
        spans=((10, 17, "PER"), (13, 17, "LOC"), (19, 22, "LOC")),
    )
    settings = Settings(TAGS, 16)
    encoded = encode("tagging", [row], splitting_tokenizer(), settings)
    found = tagged_as(encoded, row, settings, [0, 3, 0, 2])
    assert found.prediction == ["O", "B-LOC", "O", "I-PER"]
    assert found.entities == {"gold": row.spans, "prediction": [(13, 17, "LOC"), (19, 22, "PER")]}


def test_a_sentence_without_a_place_has_no_entities() -> None:
    row = sentence("ba", "koba")
    settings = Settings(TAGS, 16)
    found = tagged_as(encode("tagging", [row], splitting_tokenizer(), settings), row, settings, [1, 2])
    assert found.entities is None

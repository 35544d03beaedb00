"""What `task peek` measures, on a tokenizer of whole words and single characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from adapterstilts.data.peek import peek, script_of
from adapterstilts.data.rows import ChoiceRow, PairRow, SpanRow, TaggingRow, TextRow

UNKNOWN = 3


class Characters:
    """One subword a character that is no space; ``?`` is unknown."""

    cls_token_id, sep_token_id, unk_token_id, mask_token_id = 0, 2, UNKNOWN, 9

    def __call__(self, texts: Sequence[str], **_settings: Any) -> Mapping[str, Any]:
        ids = [[UNKNOWN if c == "?" else ord(c) + 10 for c in text if not c.isspace()] for text in texts]
        return {"input_ids": ids}


def test_lengths_count_special_tokens_and_the_longest_sequence() -> None:
    found = peek([TextRow("a", "ab cd"), TextRow("b", "abcdef"), TextRow("c", "abcdefgh")], Characters(), 8)
    assert (found.rows, found.median, found.high, found.longest) == (3, 8, 10, 10)
    assert found.over == pytest.approx(1 / 3)
    assert peek([TextRow("a", "ab", "cd")], Characters(), 8).longest == 8
    assert peek([ChoiceRow("a", "ab", ("c", "def"))], Characters(), 8).longest == 9
    assert peek([SpanRow("a", "who", "abcde", None)], Characters(), 8).longest == 12
    assert peek([PairRow("a", "abc", "de")], Characters(), 8).longest == 5
    assert peek([PairRow("a", "abc", None)], Characters(), 8).longest == 5
    assert peek([TaggingRow("a", ("ab", "c"))], Characters(), 8).longest == 5


def test_subwords_a_word_are_a_mean_over_all_words() -> None:
    assert peek([TextRow("a", "abcd ab"), TextRow("b", "ab")], Characters(), 8).subwords_per_word == 8 / 3
    assert peek([TaggingRow("a", ("New York", "c"))], Characters(), 8).subwords_per_word == 4.0


@pytest.mark.parametrize("text", ["日本語の文です", "中文句子", "ภาษาไทย"])
def test_words_that_no_space_divides_are_not_counted(text: str) -> None:
    assert peek([TextRow("a", text)], Characters(), 8).subwords_per_word is None
    # A tagged sentence says itself what its words are.
    assert peek([TaggingRow("a", (text,))], Characters(), 8).subwords_per_word == len(text)


def test_the_share_of_unknown_subwords() -> None:
    assert peek([TextRow("a", "ab??")], Characters(), 8).unknown == 0.5
    assert peek([TextRow("a", "abcd")], Characters(), 8).unknown == 0.0


@pytest.mark.parametrize(
    ("texts", "script"),
    [
        (["ein Satz"], "LATIN"),
        (["Привет, мир"], "CYRILLIC"),
        (["مرحبا"], "ARABIC"),
        (["नमस्ते"], "DEVANAGARI"),
        (["ab вг"], "LATIN"),
        (["abв日ก"], "MIXED"),
        (["123 !?"], "NONE"),
    ],
)
def test_the_script_is_that_of_most_letters(texts: list[str], script: str) -> None:
    assert script_of(texts) == script

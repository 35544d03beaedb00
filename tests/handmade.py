"""Encodings by hand, and a tokenizer that splits words."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from adapterstilts.data.encoding.columns import Array, Encoded, Unit

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
BOS, PAD, EOS, UNK = range(4)
SYLLABLES = ("ba", "ko", "ri", "mu", "sel", "tan")
# A syllable at the start of a word is a piece of its own, as in XLM-R's vocabulary.
PIECES = (*SPECIALS, "▁", *SYLLABLES, *(f"▁{syllable}" for syllable in SYLLABLES), ".", "<mask>")
IDS = {piece: place for place, piece in enumerate(PIECES)}


@functools.cache
def splitting_tokenizer() -> Any:
    """Return a tokenizer that knows words of syllables; what it does not know is unknown, and U+200B is nothing."""
    from tokenizers import AddedToken, Tokenizer, normalizers
    from tokenizers.models import Unigram
    from tokenizers.pre_tokenizers import Metaspace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    scores = [(piece, 0.0 if piece in SPECIALS else -float(4 - len(piece))) for piece in PIECES]
    tokenizer = Tokenizer(Unigram(scores, UNK, False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace("\u200b", ""), normalizers.Strip()])
    tokenizer.pre_tokenizer = Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(piece, normalized=False) for piece in (*SPECIALS, "<mask>")])
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", BOS), ("</s>", EOS)],
    )
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    names |= {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def ids_of(pieces: str) -> list[int]:
    """Return the ids of pieces that stand apart from each other."""
    return [IDS[piece] for piece in pieces.split()]


def sequences(encoded: Encoded) -> list[list[list[int]]]:
    """Return the sequences of each unit as plain lists."""
    return [[one.tolist() for one in encoded.sequences(unit)] for unit in range(len(encoded))]


def encoded(
    units: Sequence[Sequence[Sequence[int]]],
    labels: Sequence[Any] | None = None,
    ids: Sequence[str] = (),
    **values: Sequence[Any],
) -> Encoded:
    """Return one unit a row; a unit is a list of sequences of subword ids.

    Args:
        units: sequences of each unit.
        labels: ``label`` of each unit, 0 where none are given.
        ids: of the rows; their numbers where none are given.
        values: more values of the units.
    """
    names = list(ids) or [str(place) for place in range(len(units))]
    columns = {"label": [0] * len(units) if labels is None else labels, **values}
    return Encoded.of(
        names,
        [
            Unit(place, [np.array(one, dtype=np.int32) for one in unit], _at(columns, place))
            for place, unit in enumerate(units)
        ],
    )


def _at(columns: Mapping[str, Sequence[Any]], place: int) -> dict[str, Any]:
    return {name: column[place] for name, column in columns.items()}


def columns(encoded: Encoded) -> dict[str, Array]:
    """Return all arrays of an encoding by name."""
    plain = {name: getattr(encoded, name) for name in ("rows", "firsts", "bounds", "tokens")}
    levels = ("per_unit", "per_sequence", "per_token")
    return plain | {f"{level}.{name}": a for level in levels for name, a in getattr(encoded, level).items()}


def same(first: Encoded, second: Encoded) -> bool:
    """Return whether two encodings are equal, kinds of numbers included."""
    ours, theirs = columns(first), columns(second)
    return (
        first.ids == second.ids
        and list(ours) == list(theirs)
        and all(_equal(ours[name], theirs[name]) for name in ours)
    )


def _equal(first: Array, second: Array) -> bool:
    kept = first.dtype == second.dtype and first.shape == second.shape
    return kept and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def one_hot(length: int, places: Iterable[int], width: int = 2, score: float = 20.0) -> Array:
    """Return scores ``(length, width)`` that are 0 but at one place a column."""
    scores = np.zeros((length, width), dtype=np.float32)
    for column, place in enumerate(places):
        scores[place, column] = score
    return scores

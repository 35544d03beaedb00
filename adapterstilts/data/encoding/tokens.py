"""The part of a fast XLM-R tokenizer that is used here, called in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

TokenArray = npt.NDArray[np.int32]

# Special subwords of <s> A </s> and of <s> A </s></s> B </s>.
MARKS, PAIR_MARKS = 2, 4

_BLOCK = 1024


class Tokenizer(Protocol):
    """A fast tokenizer with XLM-R's special tokens: ``<s> A </s>`` and ``<s> A </s></s> B </s>``."""

    cls_token_id: int
    sep_token_id: int
    unk_token_id: int
    mask_token_id: int

    def __call__(self, text: Any, text_pair: Any = None, **settings: Any) -> Any:
        """Return a mapping with ``input_ids``, one list of ids for each text."""


def cut_sequences(
    tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
) -> Iterator[TokenArray]:
    """Yield the ids of each text or pair with special tokens, cut to `max_length`, the longer of a pair first."""
    for start in range(0, len(texts), _BLOCK):
        part = slice(start, start + _BLOCK)
        encoded = tokenizer(
            list(texts[part]),
            None if pairs is None else list(pairs[part]),
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
        )
        yield from (np.asarray(ids, dtype=np.int32) for ids in encoded["input_ids"])


def pieces(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[TokenArray]:
    """Yield the ids of each text without special tokens, however long."""
    for start in range(0, len(texts), _BLOCK):
        encoded = _bare(tokenizer, texts[start : start + _BLOCK])
        yield from (np.asarray(ids, dtype=np.int32) for ids in encoded["input_ids"])


def pieces_with_offsets(
    tokenizer: Tokenizer, texts: Sequence[str]
) -> Iterator[tuple[TokenArray, TokenArray]]:
    """Yield ids ``(tokens,)`` and character offsets ``(tokens, 2)``, end exclusive, of each text."""
    for start in range(0, len(texts), _BLOCK):
        encoded = _bare(tokenizer, texts[start : start + _BLOCK], return_offsets_mapping=True)
        for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            yield np.asarray(ids, dtype=np.int32), np.asarray(offsets, dtype=np.int32).reshape(-1, 2)


def _bare(tokenizer: Tokenizer, texts: Sequence[str], **settings: Any) -> Any:
    # `verbose` would warn of texts that are longer than the model; windows are cut here, later.
    return tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False, **settings
    )


def marked(ids: TokenArray, tokenizer: Tokenizer) -> TokenArray:
    """Return a text's ids between its special subwords."""
    return np.array([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id], dtype=np.int32)


def marked_pair(first: TokenArray, second: TokenArray, tokenizer: Tokenizer) -> TokenArray:
    """Return the ids of two texts with the special subwords around and between them."""
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    return np.array([cls, *first, sep, sep, *second, sep], dtype=np.int32)


def windows(length: int, room: int, stride: int | None) -> list[tuple[int, int]]:
    """Return bounds of windows of at most `room` that cover ``0 .. length``; at least one window.

    Args:
        length: of the whole.
        room: of a window.
        stride: from the start of one window to the start of the next; None or more than `room`: no overlap.
    """
    step = room if stride is None else min(stride, room)
    starts = [0]
    while starts[-1] + room < length:
        starts.append(starts[-1] + step)
    return [(start, min(start + room, length)) for start in starts]

"""Parallel sentences: each side is encoded by itself."""

from __future__ import annotations

from collections.abc import Sequence

from adapterstilts.data.encoding.columns import Encoded, Unit
from adapterstilts.data.encoding.tokens import Tokenizer, cut_sequences


def encode_sentences(
    ids: Sequence[str], texts: Sequence[str], tokenizer: Tokenizer, max_length: int
) -> Encoded:
    """Return one unit a sentence, cut to `max_length`."""
    sequences = cut_sequences(tokenizer, texts, None, max_length)
    return Encoded.of(ids, [Unit(place, [sequence]) for place, sequence in enumerate(sequences)])

"""Tagged sentences: the first subword of each word carries its tag; a long sentence becomes several windows.

As in XTREME's preparation (Hu et al. 2020) a sentence is split between words, never cut, and a word that the
tokenizer turns into nothing stands as the unknown subword, so that every word gets a tag. With a stride the
windows overlap, and a word takes its tag from the window that shows most around it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adapterstilts.data.encoding.columns import IGNORED, Encoded, Unit
from adapterstilts.data.encoding.settings import Answer, Settings
from adapterstilts.data.encoding.tokens import MARKS, TokenArray, Tokenizer, marked, pieces
from adapterstilts.data.rows import TaggingRow
from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.spans import Entity, entities_of


def encode(rows: Sequence[TaggingRow], tokenizer: Tokenizer, settings: Settings) -> Encoded:
    """Return the windows of each sentence.

    Every token has ``word``, the word that it begins, else -1, and ``label``, that word's tag, else `IGNORED`.
    """
    vocabulary = _vocabulary(rows, tokenizer)
    index = {label: place for place, label in enumerate(settings.labels)}
    room = settings.max_length - MARKS
    units = []
    for place, row in enumerate(rows):
        subwords = [vocabulary[token][:room] for token in row.tokens]
        tags = None if row.tags is None else [index[tag] for tag in row.tags]
        sizes = [len(ids) for ids in subwords]
        for start, end in word_windows(sizes, room, settings.stride):
            units.append(_window(place, subwords[start:end], start, tags, tokenizer))
    return Encoded.of((row.id for row in rows), units)


def _vocabulary(rows: Sequence[TaggingRow], tokenizer: Tokenizer) -> dict[str, TokenArray]:
    """Return the subwords of each distinct word; a sentence holds few words that no other holds."""
    words = list(dict.fromkeys(token for row in rows for token in row.tokens))
    unknown = np.array([tokenizer.unk_token_id], dtype=np.int32)
    return {
        word: ids if len(ids) else unknown for word, ids in zip(words, pieces(tokenizer, words), strict=True)
    }


def word_windows(sizes: Sequence[int], room: int, stride: int | None) -> list[tuple[int, int]]:
    """Return bounds ``(first word, end)`` of windows of at most `room` subwords.

    Args:
        sizes: subwords of each word, each at most `room`.
        room: of a window.
        stride: subwords from one window's start to the next one's, at least; None: windows do not overlap.
    """
    bounds = [(0, _fit(sizes, 0, room))]
    while bounds[-1][1] < len(sizes):
        start, end = bounds[-1]
        following = end
        if stride is not None:
            following, passed = start + 1, sizes[start]
            while following < end and passed < stride:
                passed += sizes[following]
                following += 1
        bounds.append((following, _fit(sizes, following, room)))
    return bounds


def _fit(sizes: Sequence[int], start: int, room: int) -> int:
    """Return the first word that does not fit any more."""
    end = start
    while end < len(sizes) and sizes[end] <= room:
        room -= sizes[end]
        end += 1
    return end


def _window(
    row: int, subwords: Sequence[TokenArray], start: int, tags: Sequence[int] | None, tokenizer: Tokenizer
) -> Unit:
    ids = marked(np.concatenate(subwords), tokenizer)
    word = np.full(len(ids), -1, dtype=np.int32)
    label = np.full(len(ids), IGNORED, dtype=np.int64)
    heads = 1 + np.cumsum([0, *(len(one) for one in subwords[:-1])])
    word[heads] = np.arange(start, start + len(subwords))
    if tags is not None:
        label[heads] = tags[start : start + len(subwords)]
    return Unit(row, [ids], per_token={"word": word, "label": label})


def decode(
    row: TaggingRow, encoded: Encoded, units: Sequence[int], answers: Sequence[Answer], settings: Settings
) -> Prediction:
    """Return one tag a word; each answer is ``(length,)`` positions in the label list."""
    tags = [""] * len(row.tokens)
    shown = [-1] * len(row.tokens)
    for unit, answer in zip(units, answers, strict=True):
        words = encoded.token_values("word", unit)
        for place in np.flatnonzero(words >= 0).tolist():
            word, context = int(words[place]), min(place, len(words) - 1 - place)
            if context > shown[word]:
                tags[word], shown[word] = settings.labels[int(answer[place])], context
    gold = None if row.tags is None else list(row.tags)
    return Prediction(row.id, gold, tags, group=row.group, entities=_entities(row, tags))


def _entities(row: TaggingRow, tags: Sequence[str]) -> dict[str, Sequence[Entity]] | None:
    """Return gold and predicted entities of a sentence that knows its place in a document."""
    if not row.starts:
        return None
    ends = [start + len(token) for start, token in zip(row.starts, row.tokens, strict=True)]
    return {"gold": row.spans, "prediction": entities_of(tags, row.starts, ends)}

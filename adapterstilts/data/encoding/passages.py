"""Questions on a passage: windows over it, answers as spans of its characters.

As the reference code of SQuAD does (Devlin et al. 2019): the question stands before every window, a window
without the answer points at the first token, and at the end the best span of all windows wins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapterstilts.data.encoding.columns import Encoded, IntArray, Unit
from adapterstilts.data.encoding.settings import Answer, Settings
from adapterstilts.data.encoding.tokens import (
    PAIR_MARKS,
    TokenArray,
    Tokenizer,
    marked_pair,
    pieces,
    pieces_with_offsets,
    windows,
)
from adapterstilts.data.rows import SpanRow
from adapterstilts.metrics.core import Prediction

_LONGEST_QUESTION = 64
_LONGEST_ANSWER = 30
_BEST = 20
_STRIDE = 128


def encode(rows: Sequence[SpanRow], tokenizer: Tokenizer, settings: Settings) -> Encoded:
    """Return the windows of each row.

    A window has ``start`` and ``end``, the first and the last token of the answer: 0 where it holds none, -1
    without labels. Every token has ``from`` and ``to``, its characters in the passage, -1 outside of it, and
    ``opens``, whether an answer may start at it: in the window that shows most around it.
    """
    contexts = list(dict.fromkeys(row.context for row in rows))
    passages = dict(zip(contexts, pieces_with_offsets(tokenizer, contexts), strict=True))
    questions = pieces(tokenizer, [row.question for row in rows])
    longest = min(_LONGEST_QUESTION, (settings.max_length - PAIR_MARKS) // 2)
    units: list[Unit] = []
    for place, (row, question) in enumerate(zip(rows, questions, strict=True)):
        ids, offsets = passages[row.context]
        question = question[:longest]
        bounds = windows(
            len(ids), settings.max_length - PAIR_MARKS - len(question), settings.stride or _STRIDE
        )
        chosen = _most_context(len(ids), bounds)
        answer = None if row.answers is None else _tokens_of_answer(row, offsets)
        for number, part in enumerate(slice(*ends) for ends in bounds):
            opens = chosen[part] == number
            units.append(
                _window(place, question, ids[part], offsets[part], opens, _inside(answer, part), tokenizer)
            )
    return Encoded.of((row.id for row in rows), units)


def _most_context(length: int, bounds: Sequence[tuple[int, int]]) -> IntArray:
    """Return for each token of a passage the number of the window that shows most around it."""
    chosen, around = np.zeros(length, dtype=np.int64), np.full(length, -1)
    for number, (start, end) in enumerate(bounds):
        places = np.arange(start, end)
        here = np.minimum(places - start, end - 1 - places)
        better = here > around[start:end]
        chosen[start:end][better] = number
        around[start:end][better] = here[better]
    return chosen


def _tokens_of_answer(row: SpanRow, offsets: TokenArray) -> tuple[int, int] | tuple[()]:
    """Return the first and the last token of the first answer; nothing where there is no answer."""
    if not row.answers:
        return ()
    first, text = row.answers[0]
    touched = np.flatnonzero((offsets[:, 1] > first) & (offsets[:, 0] < first + len(text)))
    return (int(touched[0]), int(touched[-1])) if len(touched) else ()


def _inside(answer: tuple[int, int] | tuple[()] | None, part: slice) -> tuple[int, int] | tuple[()] | None:
    """Return the answer from the window's start on, if the window holds all of it."""
    if not answer:
        return answer
    return (
        (answer[0] - part.start, answer[1] - part.start)
        if part.start <= answer[0] and answer[1] < part.stop
        else ()
    )


def _window(
    place: int,
    question: TokenArray,
    ids: TokenArray,
    offsets: TokenArray,
    opens: npt.NDArray[np.bool_],
    answer: tuple[int, int] | tuple[()] | None,
    tokenizer: Tokenizer,
) -> Unit:
    sequence = marked_pair(question, ids, tokenizer)
    before = len(question) + 3
    passage = slice(before, before + len(ids))
    spans = np.full((len(sequence), 2), -1, dtype=np.int32)
    spans[passage] = offsets
    marks = np.zeros(len(sequence), dtype=bool)
    marks[passage] = opens
    start, end = (
        (-1, -1) if answer is None else (0, 0) if not answer else (answer[0] + before, answer[1] + before)
    )
    return Unit(
        place,
        [sequence],
        {"start": start, "end": end},
        per_token={"from": spans[:, 0], "to": spans[:, 1], "opens": marks},
    )


def decode(
    row: SpanRow, encoded: Encoded, units: Sequence[int], answers: Sequence[Answer], settings: Settings
) -> Prediction:
    """Return the text of the best span; each answer is ``(length, 2)`` scores of starts and ends.

    Where questions may be unanswerable the empty text wins if the first token scores higher in every window
    than the best span does (Rajpurkar et al. 2018, threshold 0).
    """
    best, text = -np.inf, ""
    for unit, answer in zip(units, answers, strict=True):
        begins, ends = encoded.token_values("from", unit), encoded.token_values("to", unit)
        score, start, end = _best_span(answer, encoded.token_values("opens", unit), begins >= 0)
        if score > best:
            best, text = score, row.context[begins[start] : ends[end]].strip()
    nothing = min(float(answer[0].sum()) for answer in answers)
    if settings.unanswerable and nothing > best:
        text = ""
    gold = None if row.answers is None else [answer for _, answer in row.answers]
    return Prediction(row.id, gold, text, group=row.group)


def _best_span(
    answer: Answer, opens: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_]
) -> tuple[float, int, int]:
    """Return score, first and last token of the best span among the likeliest starts and ends."""
    starts = _likeliest(answer[:, 0], opens)
    ends = _likeliest(answer[:, 1], inside)
    if not len(starts) or not len(ends):
        return -np.inf, 0, 0
    scores = answer[starts, 0][:, None].astype(np.float64) + answer[ends, 1][None]
    lengths = ends[None] - starts[:, None]
    scores[(lengths < 0) | (lengths >= _LONGEST_ANSWER)] = -np.inf
    first, last = np.unravel_index(int(scores.argmax()), scores.shape)
    return float(scores[first, last]), int(starts[first]), int(ends[last])


def _likeliest(scores: Answer, allowed: npt.NDArray[np.bool_]) -> IntArray:
    places = np.flatnonzero(allowed)
    return places[np.argsort(-scores[places], kind="stable")[:_BEST]]

"""Tasks of every kind that a tiny model learns at once: markers among fillers, in the ids of the tiny tokenizer."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from adapterstilts.data.encoding.columns import IGNORED, Array, Encoded, Unit
from adapterstilts.model.assembly import HeadSpec

BOS, EOS = 0, 2
TOPICS = ("north", "south", "west")
MARKERS = ((4, 5, 6, 7), (8, 9, 10, 11), (12, 13, 14, 15))
FILLERS = tuple(range(16, 40))


def toy(kind: str, count: int = 48, seed: int = 1) -> Encoded:
    """Return `count` units of a kind, of different lengths."""
    chance = random.Random(seed)
    return Encoded.of([str(n) for n in range(count)], [_TOYS[kind](n, chance) for n in range(count)])


def head_of(kind: str) -> HeadSpec:
    """Return the head for a toy."""
    labels = {"classification": TOPICS, "multilabel": TOPICS, "tagging": ("O", *TOPICS)}
    return HeadSpec(kind, labels.get(kind, ()))


def sentence(chance: random.Random, *topics: int) -> Array:
    """Return fillers with a marker of each topic among them."""
    tokens = chance.choices(FILLERS, k=chance.randint(2, 6)) + [chance.choice(MARKERS[t]) for t in topics]
    chance.shuffle(tokens)
    return np.array([BOS, *tokens, EOS], dtype=np.int32)


def topic_of(token: int) -> int:
    """Return the topic of a marker, -1 for any other token."""
    return next((topic for topic, markers in enumerate(MARKERS) if token in markers), -1)


def _class(n: int, chance: random.Random) -> Unit:
    return Unit(n, [sentence(chance, n % 3)], {"label": n % 3})


def _set(n: int, chance: random.Random) -> Unit:
    topics = [topic for topic in range(3) if n >> topic & 1]
    marks = np.array([topic in topics for topic in range(3)], dtype=np.int64)
    return Unit(n, [sentence(chance, *topics)], {"label": marks})


def _number(n: int, chance: random.Random) -> Unit:
    return Unit(n, [sentence(chance, n % 3)], {"label": np.float32(n % 3)})


def _options(n: int, chance: random.Random) -> list[int]:
    topics = [0, *chance.choices((1, 2), k=1 + n % 3)]
    chance.shuffle(topics)
    return topics


def _choice(n: int, chance: random.Random) -> Unit:
    topics = _options(n, chance)
    return Unit(n, [sentence(chance, topic) for topic in topics], {"label": topics.index(0)})


def _select(n: int, chance: random.Random) -> Unit:
    topics = _options(n, chance)
    marks = [int(topic != 1) for topic in topics]
    return Unit(n, [sentence(chance, topic) for topic in topics], per_sequence={"label": np.array(marks)})


def _tags(n: int, chance: random.Random) -> Unit:
    tokens = sentence(chance, n % 3, (n + 1) % 3)
    labels = np.array([topic_of(token) + 1 for token in tokens])
    labels[[0, -1]] = IGNORED
    return Unit(n, [tokens], per_token={"label": labels})


def _span(n: int, chance: random.Random) -> Unit:
    tokens = sentence(chance, n % 3)
    place = next(place for place, token in enumerate(tokens) if topic_of(token) >= 0)
    return Unit(n, [tokens], {"start": place, "end": place + 1})


def _plain(n: int, chance: random.Random) -> Unit:
    return Unit(n, [np.array([BOS, *[FILLERS[n % 4]] * chance.randint(4, 9), EOS], dtype=np.int32)])


_TOYS: dict[str, Callable[[int, random.Random], Unit]] = {
    "classification": _class,
    "multilabel": _set,
    "regression": _number,
    "multiple_choice": _choice,
    "multi_select": _select,
    "tagging": _tags,
    "span_qa": _span,
    "mlm": _plain,
}
KINDS: Sequence[str] = tuple(_TOYS)

"""A task of every kind in the tiny world, each learnable by the words that mark a topic."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tiny
from tiny import FILLERS, MARKERS, TOPICS

# Words keep more of themselves through these layers than through the usual ones of the tiny world.
_SPREAD = 0.1

EVERY_KIND = "targets: [tags, spans, sets, numbers, several]\nmethods: [target]\n"

_RECIPE = """\
version: 1
name: kinds
backbone: {{model: {backbone}, retrieval: {{layer: 1}}}}
adapter: {{reduction_factor: 1}}
training:
  default: {{precision: fp32, tokens_per_batch: 192, max_length: 24, learning_rate: 1e-2, steps: {steps}}}
tasks:
  tags:
    kind: tagging
    labels: [O, B-north, I-north, B-south, I-south, B-west, I-west]
    languages:
      en: {{train: k/tags.en.train.jsonl, validation: k/tags.en.dev.jsonl, test: k/tags.en.jsonl}}
      xx: {{train: k/tags.xx.train.jsonl, test: k/tags.xx.jsonl}}
    format: {{type: jsonl}}
  spans:
    kind: span_qa
    unanswerable: true
    languages: {{en: {{train: k/spans.en.train.jsonl, test: k/spans.en.jsonl}}, xx: {{test: k/spans.xx.jsonl}}}}
    format: {{type: jsonl}}
  sets:
    kind: multilabel
    labels: [north, south, west]
    languages: {{en: {{train: k/sets.en.train.jsonl, test: k/sets.en.jsonl}}}}
    format: {{type: jsonl}}
  numbers:
    kind: regression
    languages: {{en: {{train: k/numbers.en.train.jsonl, test: k/numbers.en.jsonl}}}}
    format: {{type: jsonl}}
  several:
    kind: multi_select
    languages: {{en: {{train: k/several.en.train.jsonl, test: k/several.en.jsonl}}}}
    format: {{type: jsonl}}
  plain:
    kind: mlm
    languages: {{en: {{train: k/plain.en.jsonl}}, xx: {{train: k/plain.xx.jsonl}}}}
    format: {{type: jsonl}}
report: {{bootstrap: 100}}
{more}
"""


def write_recipe(folder: Path, more: str, *, steps: int) -> Path:
    """Write a backbone, data, and a recipe that ends in `more`: intermediates, targets, methods; return its path."""
    backbone = tiny.write_backbone(folder / "backbone", spread=_SPREAD)
    write_data(folder / "k")
    path = folder / "kinds.yaml"
    path.write_text(_RECIPE.format(backbone=backbone, steps=steps, more=more), encoding="utf-8")
    return path


def write_data(folder: Path) -> None:
    """Write the data of all tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(7)
    makers = {"tags": _tags, "spans": _spans, "sets": _sets, "numbers": _numbers, "several": _several}
    for name, make in makers.items():
        for language in ("en", "xx"):
            for part, count in ((".train", 200), (".dev", 15), ("", 40)):
                _write(
                    folder / f"{name}.{language}{part}.jsonl", (make(chance, language) for _ in range(count))
                )
    for language in ("en", "xx"):
        _write(
            folder / f"plain.{language}.jsonl",
            ({"text": " ".join(_words(chance, language, 40))} for _ in range(20)),
        )


def _write(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    lines = [json.dumps({"id": f"{path.stem}-{n}", **record}) for n, record in enumerate(records)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _words(chance: random.Random, language: str, longest: int = 8) -> list[str]:
    return chance.choices(FILLERS[language], k=chance.randint(2, longest))


def _tags(chance: random.Random, language: str) -> dict[str, Any]:
    """Return a sentence, now and then longer than a window, with one or two marked spans."""
    tokens: list[str] = []
    tags: list[str] = []
    for _ in range(chance.choice((1, 2, 8))):
        fillers, topic = _words(chance, language, 4), chance.choice(TOPICS)
        marked = chance.sample(MARKERS[topic], chance.choice((1, 2)))
        tokens += [*fillers, *marked]
        tags += ["O"] * len(fillers) + [f"{'BI'[place > 0]}-{topic}" for place in range(len(marked))]
    return {"tokens": tokens, "tags": tags}


def _spans(chance: random.Random, language: str) -> dict[str, Any]:
    """Ask for the word of the north; a quarter of the passages has none."""
    wanted, other = TOPICS[0], chance.choice(TOPICS[1:])
    before, after = _words(chance, language, 20), _words(chance, language, 6)
    answerable = chance.random() < 0.75
    answer = chance.choice(MARKERS[wanted])
    words = [*before, chance.choice(MARKERS[other]), *([answer] if answerable else []), *after]
    start = len(" ".join([*before, words[len(before)]])) + 1
    answers = {"text": [answer], "answer_start": [start]} if answerable else {"text": [], "answer_start": []}
    return {"question": MARKERS[wanted][0], "context": " ".join(words), "answers": answers}


def _sets(chance: random.Random, language: str) -> dict[str, Any]:
    topics = chance.sample(TOPICS, chance.randint(0, 3))
    words = [*_words(chance, language), *(chance.choice(MARKERS[topic]) for topic in topics)]
    chance.shuffle(words)
    return {"text": " ".join(words), "label": sorted(topics)}


def _numbers(chance: random.Random, language: str) -> dict[str, Any]:
    topic = chance.choice(TOPICS)
    words = [*_words(chance, language, 4), *chance.sample(MARKERS[topic], 2)]
    return {"text": " ".join(words), "label": TOPICS.index(topic) - 1.0}


def _several(chance: random.Random, language: str) -> dict[str, Any]:
    """Offer words of topics; those of the north are right, and there is at least one."""
    options = [TOPICS[0], *(chance.choice(TOPICS) for _ in range(chance.choice((2, 3))))]
    chance.shuffle(options)
    return {
        "context": " ".join(_words(chance, language, 2)),
        "choices": [" ".join(chance.sample(MARKERS[option], 2)) for option in options],
        "label": [place for place, option in enumerate(options) if option == TOPICS[0]],
    }

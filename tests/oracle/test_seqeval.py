"""XTREME scores tags with seqeval 0.0.12: our readings of tags beside that very package.

The package is installed by pip into a temporary folder and runs in a process of its own; it is no dependency.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from adapterstilts import metrics
from adapterstilts.data.load import load_split
from adapterstilts.data.rows import TaggingRow
from adapterstilts.data.sources import DataRoots
from adapterstilts.metrics.spans import lenient_spans, official_spans
from adapterstilts.tasks import catalogue

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

PROJECT = Path(__file__).resolve().parents[2]
UPOS = catalogue.get("udpos").labels
IOB = ("O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
ODD = ("O", "B", "I", "E-X", "S-X", "B-X", "I-X", "B-a-b", "I-b", "L-X", "U-X", ".", "_", "SYM", "o", "X-B")

# Reads pairs of corpora (lists of sentences of tags); writes each one's F1 and the entities of its sentences.
ORACLE = """
import json, sys
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities
answers = [
    [f1_score(gold, predicted), [get_entities(tags) for tags in gold + predicted]]
    for gold, predicted in json.load(sys.stdin)
]
json.dump(answers, sys.stdout)
"""

Sentences = list[list[str]]
Corpora = tuple[Sentences, Sentences]
Answer = tuple[float, list[set[tuple[str, int, int]]]]


class Oracle:
    """seqeval 0.0.12 in a folder."""

    def __init__(self, folder: Path) -> None:
        self._environment = {**os.environ, "PYTHONPATH": str(folder)}

    def __call__(self, pairs: Sequence[Corpora]) -> list[Answer]:
        done = subprocess.run(
            [sys.executable, "-c", ORACLE],
            input=json.dumps(pairs),
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        answers = json.loads(done.stdout)
        return [(f1, [{tuple(entity) for entity in some} for some in entities]) for f1, entities in answers]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    folder = tmp_path_factory.mktemp("seqeval")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*command, "seqeval==0.0.12"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"seqeval 0.0.12 cannot be installed here: {done.stderr.strip()[-200:]}")
    return Oracle(folder)


@pytest.fixture(scope="module")
def roots() -> DataRoots:
    folder = Path(os.environ.get("ADAPTERSTILTS_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set ADAPTERSTILTS_TEST_DATA to the folder of the data sets")
    return DataRoots(PROJECT, folder)


def random_corpora(tags: Sequence[str], corpora: int) -> Iterator[Corpora]:
    """Yield corpora of one to eight sentences of one to fifteen tags, and predictions half of which are right."""
    rng = random.Random(0)
    for _ in range(corpora):
        gold = [rng.choices(tags, k=rng.randint(1, 15)) for _ in range(rng.randint(1, 8))]
        yield gold, corrupted(gold, tags, rng, 0.5)


def corrupted(gold: Sentences, tags: Sequence[str], rng: random.Random, share: float) -> Sentences:
    return [[rng.choice(tags) if rng.random() < share else tag for tag in sentence] for sentence in gold]


def check(oracle: Oracle, pairs: Sequence[Corpora], names: Sequence[str], readings: Sequence[object]) -> int:
    """Compare scores and spans; return the number of sentences."""
    sentences = 0
    for (gold, predicted), (f1, entities) in zip(pairs, oracle(pairs), strict=True):
        for name in names:
            assert getattr(metrics, name)(gold, predicted) == pytest.approx(f1, abs=1e-12), name
        for reading in readings:
            assert [reading(tags) for tags in gold + predicted] == entities  # type: ignore[operator]
        sentences += len(gold)
    return sentences


@pytest.mark.parametrize(
    ("tags", "names", "readings"),
    [
        (UPOS, ["udpos_f1"], [official_spans]),
        (IOB, ["udpos_f1", "span_f1"], [official_spans, lenient_spans]),
        (ODD, ["udpos_f1"], [official_spans]),
    ],
    ids=["parts of speech", "names", "odd tags"],
)
def test_random_tags(oracle: Oracle, tags, names, readings) -> None:  # type: ignore[no-untyped-def]
    assert check(oracle, list(random_corpora(tags, 2000)), names, readings) > 8000


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("task", "names", "readings"),
    [
        ("udpos-files", ["udpos_f1"], [official_spans]),
        ("panx-files", ["udpos_f1", "span_f1"], [official_spans, lenient_spans]),
    ],
)
@pytest.mark.parametrize("share", [0, 0.1, 0.5])
def test_real_tags(oracle: Oracle, roots: DataRoots, task, names, readings, share) -> None:  # type: ignore[no-untyped-def]
    spec = catalogue.get(task)
    pairs = []
    for language in spec.languages("test"):
        rows = load_split(spec, language, "test", roots, limit=1000).rows
        gold = [list(row.tags) for row in rows if isinstance(row, TaggingRow) and row.tags]
        pairs.append((gold, corrupted(gold, spec.labels, random.Random(language), share)))
    assert check(oracle, pairs, names, readings) > 8000

"""Catalogue tasks that read files: the real files give the declared sizes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapterstilts import metrics
from adapterstilts.data.load import load_split
from adapterstilts.data.rows import TaggingRow
from adapterstilts.data.sources import DataRoots, content_digest
from adapterstilts.metrics import registry
from adapterstilts.metrics.cell import Cell, are_parallel
from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.resampling import families
from adapterstilts.metrics.spans import entities_of
from adapterstilts.tasks import catalogue
from adapterstilts.tasks.spec import FileSource, TaskSpec

pytestmark = pytest.mark.real_data

PROJECT = Path(__file__).resolve().parents[2]
# Parts that a user has to bring: licensed, or too big for the folder of the data sets. It may only shrink.
ABSENT = {
    *(("bc5cdr", "en", "test"), ("frenchmedmcqa", "fr", "train"), ("pharmaconer", "es", "train")),
    ("headqa", "es", "train"),
    *(("pharmaconer-brat", "es", split) for split in ("train", "validation", "test")),
    *(("bucc", language, split) for language in ("de", "fr", "ru") for split in ("validation", "test")),
    ("bucc", "zh", "test"),
}
FROM_FILES = [
    (task, language, split)
    for task in map(catalogue.get, catalogue.names())
    for language, parts in task.splits.items()
    for split, declared in parts.items()
    if isinstance(declared.source, FileSource) and (task.name, language, split) not in ABSENT
]


@pytest.fixture(scope="module")
def roots() -> DataRoots:
    folder = Path(os.environ.get("ADAPTERSTILTS_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set ADAPTERSTILTS_TEST_DATA to the folder of the data sets")
    return DataRoots(PROJECT, folder)


@pytest.mark.parametrize(
    ("task", "language", "split"), FROM_FILES, ids=lambda value: getattr(value, "name", value)
)
def test_the_declared_size_is_the_true_one(
    task: TaskSpec, language: str, split: str, roots: DataRoots
) -> None:
    declared = task.splits[language][split]
    assert len(load_split(task, language, split, roots).rows) == declared.examples
    assert content_digest(declared, roots)


@pytest.mark.parametrize("key", sorted(ABSENT), ids="-".join)
def test_what_is_said_to_be_absent_is_declared(key: tuple[str, str, str], roots: DataRoots) -> None:
    name, language, split = key
    source = catalogue.get(name).splits[language][split].source
    assert isinstance(source, FileSource)
    assert roots.data is not None
    assert not all(list(roots.data.glob(path)) for path in source.paths)


# Passages, premises, documents and posts are one unit; so are all translations of a unit.
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("xquad-files", [(8, 240)]),
        ("mlqa-files", [(5, 952)]),
        ("xnli-files", [(12, 830)]),
        ("paws-x-files", [(6, 2_000)]),
        ("copa", [(7, 500)]),
        ("cantemist", [(1, 250)]),
        ("dreaddit", [(1, 586)]),
        ("umsab-files", [(5, 870)]),
        ("e3c", [(1, 605), (1, 673), (1, 679), (1, 851)]),
    ],
)
def test_what_a_bootstrap_resamples_together(
    name: str, found: list[tuple[int, int]], roots: DataRoots
) -> None:
    task = catalogue.get(name)
    answers = {
        language: [
            Prediction(row.id, "a", "a", group=row.group)
            for row in load_split(task, language, "test", roots).rows
        ]
        for language in task.languages("test")
    }
    parallel = are_parallel({language: [one.id for one in some] for language, some in answers.items()})
    lists = {language: [some] for language, some in answers.items()}
    cell = Cell.of(registry.get("accuracy"), lists, parallel=parallel)
    assert sorted((len(family.codes), family.units) for family in families(cell)) == found


def test_entities_are_scored_by_the_annotations_and_not_by_their_tags(roots: DataRoots) -> None:
    rows = load_split(catalogue.get("cantemist"), "es", "test", roots).rows
    sentences = [row for row in rows if isinstance(row, TaggingRow)]
    gold, perfect = [], []
    for row in sentences:
        ends = [start + len(token) for start, token in zip(row.starts, row.tokens, strict=True)]
        gold.append(row.spans)
        perfect.append(entities_of(row.tags or (), row.starts, ends))

    # 63 of the 3,341 annotations lie in longer ones, where no tag can find them.
    assert metrics.entity_f1(gold, perfect) == pytest.approx(2 * 3_278 / (3_278 + 3_341))

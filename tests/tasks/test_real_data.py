"""Real data sets in their original formats, read by declarations alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from real_case import Case
from real_tasks import CASES

from adapterstilts.data.load import check_split, load_split
from adapterstilts.data.rows import LoadedSplit, PairRow, SpanRow, TaggingRow
from adapterstilts.data.sources import DataRoots, resolve
from adapterstilts.errors import DataError
from adapterstilts.tasks.spec import FileSource, Format, Split

pytestmark = pytest.mark.real_data

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def roots() -> DataRoots:
    folder = Path(os.environ.get("ADAPTERSTILTS_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set ADAPTERSTILTS_TEST_DATA to the folder of the data sets")
    return DataRoots(PROJECT, folder)


def _name(case: Case) -> str:
    source: Any = case.task.splits[case.language][case.split].source
    return source.paths[0].replace("*", "all")


def _format(case: Case) -> Format:
    return case.task.splits[case.language][case.split].format


def _load(case: Case, roots: DataRoots) -> LoadedSplit:
    return load_split(case.task, case.language, case.split, roots)


def _labelled(loaded: LoadedSplit) -> Iterator[bool]:
    for row in loaded.rows:
        if isinstance(row, PairRow):
            yield True
        elif isinstance(row, TaggingRow):
            yield row.tags is not None
        else:
            yield (row.answers if isinstance(row, SpanRow) else row.label) is not None


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_every_record_is_read_or_accounted_for(case: Case, roots: DataRoots) -> None:
    loaded = _load(case, roots)
    assert len(loaded.rows) + sum(loaded.dropped.values()) == case.records
    assert loaded.dropped == case.dropped
    assert loaded.repaired == case.repaired
    assert sum(_labelled(loaded)) == (len(loaded.rows) if case.labelled is None else case.labelled)
    assert len({row.id for row in loaded.rows}) == len(loaded.rows)
    for row in loaded.rows:
        if isinstance(row, SpanRow):
            assert all(row.context.startswith(text, start) for start, text in row.answers or ())


@pytest.mark.parametrize("case", {case.folder: case for case in CASES}.values(), ids=_name)
def test_a_check_finds_nothing_wrong(case: Case, roots: DataRoots) -> None:
    assert check_split(case.task, case.language, case.split, roots) == ()


def test_all_data_sets_are_declared(roots: DataRoots) -> None:
    assert roots.data is not None
    there = {folder.name for folder in roots.data.iterdir() if folder.is_dir()}
    assert {case.folder for case in CASES} == there
    assert len(there) == 45


CANTEMIST = next(case for case in CASES if case.folder == "cantemist-ner")
MINED = next(case for case in CASES if _format(case).options.get("unpaired") == "keep")
TABLES = [case for case in CASES if _format(case).type in ("csv", "tsv")]


def test_standoff_entities_become_tags_and_spans(roots: DataRoots) -> None:
    rows = [row for row in _load(CANTEMIST, roots).rows if isinstance(row, TaggingRow)]
    opened = sum(tag.startswith("B-") for row in rows for tag in row.tags or ())
    assert opened == 3341 - 63
    assert sum(len(row.spans) for row in rows) == 3341
    assert len({row.document for row in rows}) == 250
    for row in rows:
        assert row.group == row.document
        # The tags are the spans that overlap no longer one.
        assert set(_tagged_spans(row)) <= set(row.spans)


def _tagged_spans(row: TaggingRow) -> Iterator[tuple[int, int, str]]:
    begin = end = -1
    for token, start, tag in zip((*row.tokens, ""), (*row.starts, -1), (*(row.tags or ()), "O"), strict=True):
        if begin >= 0 and not tag.startswith("I-"):
            yield begin, end, "MORFOLOGIA_NEOPLASIA"
            begin = -1
        begin = start if tag.startswith("B-") else begin
        end = start + len(token)


def test_the_offsets_are_those_of_the_files(roots: DataRoots) -> None:
    assert roots.data is not None
    for row in _load(CANTEMIST, roots).rows[::100]:
        assert isinstance(row, TaggingRow)
        path = roots.data / "cantemist-ner" / "dev-set1" / f"{row.document}.txt"
        text = path.read_bytes().decode("utf-8")
        for token, start in zip(row.tokens, row.starts, strict=True):
            assert text[start : start + len(token)] == token


def test_texts_alone_are_cut_into_the_same_tokens(roots: DataRoots) -> None:
    split = CANTEMIST.task.splits["es"]["test"]
    assert isinstance(split.source, FileSource)
    texts = Split(FileSource(split.source.paths[:1]), Format("brat", options={"annotations": "none"}))
    task = replace(CANTEMIST.task, splits={"es": {"test": texts}})
    bare = load_split(task, "es", "test", roots).rows
    labelled = _load(CANTEMIST, roots).rows
    assert bare == tuple(replace(row, tags=None, spans=()) for row in labelled if isinstance(row, TaggingRow))


def test_bitext_holds_the_sentences_without_partner(roots: DataRoots) -> None:
    rows = [row for row in _load(MINED, roots).rows if isinstance(row, PairRow)]
    assert len({row.source_id for row in rows if row.source}) == 13589
    assert len({row.target_id for row in rows if row.target}) == 8624
    assert sum(row.source is not None and row.target is not None for row in rows) == 257
    assert all(row.source or row.target for row in rows)


@pytest.mark.parametrize("case", TABLES, ids=_name)
def test_the_other_quoting_is_refused_or_makes_no_difference(case: Case, roots: DataRoots) -> None:
    declared = case.task.splits[case.language][case.split]
    assert isinstance(declared.source, FileSource)
    used = declared.format.options.get("quoting", "csv" if declared.format.type == "csv" else "none")
    other = {**declared.format.options, "quoting": "none" if used == "csv" else "csv"}
    changed = replace(declared, format=replace(declared.format, options=other))
    task = replace(case.task, splits={case.language: {case.split: changed}})
    if b'"' in b"".join(path.read_bytes() for path in resolve(declared.source, roots)):
        with pytest.raises(DataError, match=r"quoting"):
            load_split(task, case.language, case.split, roots)
    else:
        assert load_split(task, case.language, case.split, roots) == _load(case, roots)

"""Confidential data: names of rows become numbers, and errors say the place alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.data.discreet import numbered, quiet, unquoted
from adapterstilts.data.load import check_split, load_split
from adapterstilts.data.readers.base import Record
from adapterstilts.data.rows import PairRow, SpanRow, TaggingRow, TextRow
from adapterstilts.data.sources import DataRoots
from adapterstilts.errors import DataError, Fault
from adapterstilts.tasks.spec import FileSource, Format, Kind, Split, TaskSpec

SECRET = "meyer"


def task(kind: Kind, type: str, **changes: Any) -> TaskSpec:
    splits = {"en": {"test": Split(FileSource((f"data.{type}",)), Format(type, changes.pop("columns", {})))}}
    labels = (
        ("a", "b") if kind in ("classification", "multilabel") else ("O", "B-a") if kind == "tagging" else ()
    )
    return TaskSpec("wards", kind, "x", splits, (), labels=labels, confidential=True, **changes)


def test_equal_names_have_equal_numbers() -> None:
    rows = [TextRow(str(n), "t", group=group) for n, group in enumerate(("x/1", "y/1", "x/2", "x/1", ""))]
    assert [row.group for row in numbered(rows)] == ["1/1", "2/1", "1/2", "1/1", ""]
    assert [row.id for row in numbered(rows)] == ["0", "1", "2", "3", "4"]


def test_every_kind_of_name_is_numbered() -> None:
    rows = [
        TaggingRow("0", ("a",), group=SECRET, document=SECRET, starts=(0,)),
        PairRow("1", "a", "b", source_id=SECRET, target_id=f"{SECRET}2"),
        PairRow("2", "a", "c", source_id=SECRET, target_id=f"{SECRET}3"),
        SpanRow("3", "q", "c", None, group="0123456789abcdef"),
    ]
    tagged, first, second, span = numbered(rows)
    assert isinstance(tagged, TaggingRow)
    assert isinstance(first, PairRow)
    assert isinstance(second, PairRow)
    assert (tagged.group, tagged.document) == ("1", "1")
    assert (first.source_id, first.target_id, second.source_id, second.target_id) == ("1", "1", "1", "2")
    assert span.group == "2"


def test_a_place_is_a_number_and_never_a_key_of_the_data() -> None:
    records = [Record("f.json", place, {}) for place in (SECRET, "line 7", f"{SECRET}, line 3")]
    assert [one.where for one in quiet(records)] == ["f.json, record 1", "f.json, line 7", "f.json, record 3"]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("f.json", "f.json"),
        ("f.json, line 7", "f.json, line 7"),
        (f"f.json, {SECRET}", "f.json"),
        (f"f.json, {SECRET}, line 7", "f.json"),
        (f"f.json, line 7, {SECRET}", "f.json"),
    ],
)
def test_an_error_has_a_place_that_is_a_number(where: str, told: str) -> None:
    def broken() -> Iterator[Record]:
        yield Record("f.json", "line 1", {})
        raise DataError(Fault(where, SECRET, SECRET))

    with pytest.raises(DataError) as caught:
        list(quiet(broken()))
    assert str(caught.value).startswith(f"{told}: is not what its format says; the rest is left out")
    assert SECRET not in str(caught.value)


def test_ids_of_the_data_are_row_numbers(tmp_path: Path) -> None:
    records = [{"id": f"{SECRET}-{n}", "text": "t", "label": "a", "group": SECRET} for n in range(2)]
    write(tmp_path / "data.jsonl", records)
    rows = load_split(task("classification", "jsonl"), "en", "test", DataRoots(tmp_path)).rows
    assert [(row.id, row.group) for row in rows] == [("0", "1"), ("1", "1")]


@pytest.mark.parametrize(
    ("kind", "type", "text"),
    [
        ("classification", "jsonl", f'{{"text": "{SECRET}", "label": "a"'),
        ("classification", "jsonl", f'["{SECRET}"]'),
        ("classification", "tsv", f"text\\tlabel\\n{SECRET}\\n"),
        ("classification", "tsv", f"{SECRET}\\t{SECRET}\\nx\\ty\\n"),
        ("classification", "csv", f'text,label\\n"{SECRET}" x,{SECRET}\\n'),
        ("classification", "jsonl", json.dumps({"text": "x", "label": SECRET})),
        ("classification", "jsonl", json.dumps({SECRET: "x", "label": "a"})),
        ("multilabel", "jsonl", json.dumps({"text": "x", "label": SECRET})),
        ("regression", "jsonl", json.dumps({"text": "x", "label": SECRET})),
        ("multiple_choice", "jsonl", json.dumps({"context": "x", "choices": ["a", "b"], "label": SECRET})),
        ("multi_select", "jsonl", json.dumps({"context": "x", "choices": ["a", "b"], "label": [SECRET]})),
        ("tagging", "jsonl", json.dumps({"tokens": [SECRET], "tags": [SECRET, SECRET]})),
        ("tagging", "conll", f"{SECRET}\\n{SECRET} B-a x y\\n"),
        ("span_qa", "jsonl", json.dumps({"question": "q", "context": "c", "answers": {"text": SECRET}})),
        ("span_qa", "squad", json.dumps({"data": [{SECRET: 1}]})),
        ("retrieval", "jsonl", json.dumps({SECRET: "x"})),
        ("mlm", "jsonl", json.dumps({SECRET: "x"})),
        ("mlm", "json", json.dumps({SECRET: [1]})),
    ],
)
def test_no_error_quotes_the_data(tmp_path: Path, kind: Kind, type: str, text: str) -> None:
    (tmp_path / f"data.{type}").write_text(text.replace("\\t", "\t").replace("\\n", "\n"), encoding="utf-8")
    wrong = task(kind, type)
    with pytest.raises(DataError) as caught:
        load_split(wrong, "en", "test", DataRoots(tmp_path))
    said = [
        str(fault) for fault in (*caught.value.faults, *check_split(wrong, "en", "test", DataRoots(tmp_path)))
    ]
    assert said
    assert SECRET not in " ".join(said)
    assert all("data." in one or "task wards" in one for one in said)
    # Nor does what -v prints below it.
    assert caught.value.__cause__ is None


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def test_an_error_that_nobody_foresaw_loses_its_message() -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise ValueError(SECRET)

    def foreseen() -> Iterator[int]:
        yield 1
        raise DataError(Fault("data.tsv, line 2", "no column"))

    found = unquoted(rows(), "task wards")
    assert next(found) == 1
    with pytest.raises(
        DataError, match="task wards: cannot be read: ValueError; the rest is left out"
    ) as caught:
        next(found)
    assert caught.value.__suppress_context__
    with pytest.raises(DataError, match=r"data\.tsv, line 2: no column"):
        list(unquoted(foreseen(), "task wards"))

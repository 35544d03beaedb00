"""Readers of JSON and of tables in text."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterstilts.data import readers
from adapterstilts.data.readers.base import Record, Tally
from adapterstilts.errors import DataError
from adapterstilts.tasks.spec import Format


def read(path: Path, type: str, content: str | bytes, **options: Any) -> list[Record]:
    path = path / "data.txt" if path.is_dir() else path
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(readers.read((path,), Format(type, options=options), Tally()))


def fields(*args: Any, **options: Any) -> list[dict[str, Any]]:
    return [record.fields for record in read(*args, **options)]


def test_jsonl(tmp_path: Path) -> None:
    records = read(tmp_path, "jsonl", '{"a": 1}\r\n\n{"a": "x\x1cy"}\n'.replace("\x1c", "\u2028"))
    assert [record.fields for record in records] == [{"a": 1}, {"a": "x\u2028y"}]
    assert [record.place for record in records] == ["line 1", "line 3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [('{"a": 1}\n{"a":\n', r"line 2: is not JSON"), ("[1]\n", r"line 1: should be an object but is a list")],
)
def test_jsonl_faults_name_the_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, "jsonl", content)


def test_faults_of_json_show_no_content(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "jsonl", '{"secret": patient}\n')
    assert "patient" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_json_documents(tmp_path: Path) -> None:
    assert fields(tmp_path, "json", '[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]
    nested = json.dumps({"exams": {"x": {"data": [{"a": 1}]}, "y": {"data": [{"a": 2}]}}})
    assert fields(tmp_path, "json", nested, records="exams.*.data") == [{"a": 1}, {"a": 2}]
    keyed = json.dumps({"10": {"a": 1}, "20": {"a": 2, "id": "own"}})
    assert fields(tmp_path, "json", keyed, records="*", key="id") == [
        {"a": 1, "id": "10"},
        {"a": 2, "id": "own"},
    ]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ('{"data": [{}]}', {}, "no list of records here; say where"),
        ('{"data": [{}]}', {"records": "date"}, "no 'date' in it; did you mean 'data'"),
        ('{"data": [1]}', {"records": "data"}, "record 1: should be an object but is a int"),
        ('{"a": 1}\n{"a": 2}', {}, "one object a line is format `jsonl`"),
        ("[]", {"keep_keys": "keys.json"}, "no file 'keys.json'"),
        ('{"a": 3}', {"records": "a.*"}, "`records`: no '\\*' in it"),
    ],
)
def test_json_faults(tmp_path: Path, content: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, "json", content, **options)


def test_a_file_of_keys_chooses_records(tmp_path: Path) -> None:
    data, keys = tmp_path / "data.json", tmp_path / "keys.json"
    data.write_text('{"1": {"a": 1}, "2": {"a": 2}, "3": {"a": 3}}', encoding="utf-8")
    keys.write_text('{"2": "yes"}', encoding="utf-8")

    def chosen(**options: Any) -> list[int]:
        format = Format("json", options={"records": "*", **options})
        return [record.fields["a"] for record in readers.read((data, keys), format, Tally())]

    assert chosen(keep_keys="keys.json") == [2]
    assert chosen(drop_keys="keys.json") == [1, 3]
    keys.write_text('["9"]', encoding="utf-8")
    with pytest.raises(DataError, match="holds no records, or none that the keys choose"):
        chosen(keep_keys="keys.json")


def test_tsv_without_quoting_keeps_marks(tmp_path: Path) -> None:
    content = 'text\tlabel\n"Why?" he said\ta\nan "odd mark\tb\r\n"open\tc\n'
    assert [row["text"] for row in fields(tmp_path, "tsv", content)] == [
        '"Why?" he said',
        'an "odd mark',
        '"open',
    ]


def test_csv_with_quoting(tmp_path: Path) -> None:
    content = 'text,label\r\n"one, ""two""\nthree",a\r\nfour,b\r\n'
    records = read(tmp_path, "csv", content)
    assert records[0].fields == {"text": 'one, "two"\nthree', "label": "a"}
    assert [record.place for record in records] == ["line 2", "line 4"]


def test_the_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    assert fields(tmp_path, "tsv", b"\xef\xbb\xbftext\nx\n") == [{"text": "x"}]


def test_no_header(tmp_path: Path) -> None:
    assert fields(tmp_path, "tsv", "x\t1\n", header=["text", "label"]) == [{"text": "x", "label": "1"}]
    assert fields(tmp_path, "tsv", "x\t1\n", header=False) == [{"0": "x", "1": "1"}]


def test_other_delimiter_and_encoding(tmp_path: Path) -> None:
    content = "a;b\nnaïve;1\n".encode("cp1252")
    assert fields(tmp_path, "csv", content, delimiter=";", encoding="cp1252") == [{"a": "naïve", "b": "1"}]


def test_rows_of_another_width_are_counted_in_one_fault(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: 2 rows do not have 2 cells \(here 3\); check `delimiter`"):
        read(tmp_path, "tsv", "a\tb\n1\t2\n1\t2\t3\n1\n1\t2\n")


def test_a_header_that_names_a_column_twice_is_a_missing_header(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="names a column twice; if the file has no header"):
        read(tmp_path, "tsv", "same\tsame\nx\ty\n")


QUOTED = {
    "a doubled mark": 'text\tlabel\n"She said ""no"""\ta\nyes\tb\n',
    "a quoted delimiter": 'text\tlabel\n"one\ttwo"\ta\nyes\tb\n',
    "a quoted line end": 'text\tlabel\n"one\ntwo"\ta\nyes\tb\n',
    "a column quoted throughout": 'text\tlabel\n"one"\ta\n"yes"\tb\n',
    "a quoted header": '"text"\t"label"\n"one"\ta\nyes\tb\n',
}
UNQUOTED = {
    "text before a mark": 'text\tlabel\nan "odd" mark\ta\nyes\tb\n',
    "text behind a mark": 'text\tlabel\n"Why?" he said\ta\nyes\tb\n',
    "half a mark": 'text\tlabel\n5" wide\ta\nyes\tb\n',
    "a mark never closed": 'text\tlabel\n"open\ta\nyes\tb\n',
    "a mark closed rows later": 'text\tlabel\n"open\ta\nx\tb\ny\tc\nclosed"\td\n',
    "a mark closed in the next row": 'text\tlabel\n"open\ta\nclosed"\td\n',
    "one whole cell in marks": 'text\tlabel\n"I know."\ta\nyes\tb\n',
    "a mark closed in the next cell": 'text\tother\tlabel\n"one\ttwo"\ta\nyes\tno\tb\n',
    "a doubled mark and one that is not": 'text\tlabel\n"She said ""no"""\ta\n"Why?" he said\tb\n',
}
REFUSED = "is not quoted as in CSV|the cells (do not )?look quoted as in CSV|do not have"


@pytest.mark.parametrize(
    ("content", "right"),
    [
        *(pytest.param(content, "csv", id=name) for name, content in QUOTED.items()),
        *(pytest.param(content, "none", id=name) for name, content in UNQUOTED.items()),
    ],
)
def test_one_way_of_quoting_is_right_and_the_other_is_refused(
    content: str, right: str, tmp_path: Path
) -> None:
    wrong = "none" if right == "csv" else "csv"
    assert read(tmp_path, "tsv", content, quoting=right)
    with pytest.raises(DataError, match=REFUSED) as caught:
        read(tmp_path, "tsv", content, quoting=wrong)
    assert "quoting" in caught.value.faults[0].remedy


def test_marks_are_cut_off_by_quoting_and_kept_without(tmp_path: Path) -> None:
    assert fields(tmp_path, "tsv", QUOTED["a doubled mark"], quoting="csv")[0]["text"] == 'She said "no"'
    assert fields(tmp_path, "tsv", UNQUOTED["one whole cell in marks"])[0]["text"] == '"I know."'
    assert len(fields(tmp_path, "tsv", UNQUOTED["a mark closed rows later"])) == 4


def test_who_knows_better_can_say_so(tmp_path: Path) -> None:
    kept = fields(tmp_path, "tsv", QUOTED["a doubled mark"], check_quoting=False)
    assert kept[0]["text"] == '"She said ""no"""'
    cut = fields(tmp_path, "tsv", UNQUOTED["one whole cell in marks"], quoting="csv", check_quoting=False)
    assert cut[0]["text"] == "I know."
    with pytest.raises(
        DataError, match=r"line 2: the cells do not look quoted as in CSV; .*`quoting: none`, or"
    ):
        read(tmp_path, "tsv", UNQUOTED["one whole cell in marks"], quoting="csv")
    with pytest.raises(DataError, match=r"line 2: the cells look quoted as in CSV; .*`quoting: csv`, or"):
        read(tmp_path, "tsv", QUOTED["a doubled mark"])


def test_broken_quoting_is_refused_at_its_line_whatever_is_said(tmp_path: Path) -> None:
    for content in ('a\tb\nx\t1\n"x" y\t1\n', 'a\tb\nx\t1\n"x\t1\n'):
        with pytest.raises(DataError, match=r"line 3: is not quoted as in CSV: a quot.*`quoting: none`"):
            read(tmp_path, "tsv", content, quoting="csv", check_quoting=False)


def test_a_table_that_is_neither_says_its_widths(tmp_path: Path) -> None:
    content = 'a,b\n"x, y",1\n"z",1,2\n'
    with pytest.raises(DataError, match=r"line 4: 1 rows do not have 2 cells \(here 3\); check `delimiter`"):
        read(tmp_path, "csv", content.replace("y", "y\ny"))


def written(rows: list[tuple[str, str]], quoting: int) -> str:
    target = io.StringIO()
    csv.writer(target, quoting=quoting, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    return target.getvalue()


def tables(letters: str) -> st.SearchStrategy[list[tuple[str, str]]]:
    cell = st.text(st.sampled_from(letters), max_size=6)
    return st.lists(st.tuples(cell, cell), min_size=1, max_size=5)


def pairs(content: str, quoting: str) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        rows = fields(Path(folder), "csv", content, header=["a", "b"], quoting=quoting)
    return [(row["a"], row["b"]) for row in rows]


@settings(max_examples=200, deadline=None)
@given(tables('ab ,"'), st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
def test_a_csv_of_one_line_rows_is_read_right_and_never_misread(
    rows: list[tuple[str, str]], quoting: int
) -> None:
    content = written(rows, quoting)
    assert pairs(content, "csv") == rows
    try:
        assert pairs(content, "none") == rows
    except DataError as error:
        assert "quoting" in error.faults[0].remedy


@settings(max_examples=200, deadline=None)
@given(tables('ab ,"\n'), st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
def test_line_ends_in_cells_are_read_right_or_refused(rows: list[tuple[str, str]], quoting: int) -> None:
    content = written(rows, quoting)
    try:
        assert pairs(content, "csv") == rows
    except DataError as error:
        # Nothing tells such a table from one without quoting.
        assert "`check_quoting: false`" in error.faults[0].remedy
        assert any("\n" in cell for row in rows for cell in row)


def test_a_long_field_is_no_error(tmp_path: Path) -> None:
    assert len(fields(tmp_path, "csv", f'text\n"{"x," * 100_000}"\n')[0]["text"]) == 200_000


def test_parquet(tmp_path: Path) -> None:
    from pyarrow import Table, parquet

    path = tmp_path / "data.parquet"
    rows = [{"text": "a", "answers": {"text": ["x"], "answer_start": [1]}}, {"text": "b", "answers": None}]
    parquet.write_table(Table.from_pylist(rows), path)
    records = list(readers.read((path,), Format("parquet"), Tally()))
    assert [record.fields for record in records] == rows
    assert records[1].place == "record 2"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(readers.read((path,), Format("parquet"), Tally()))

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace

import pytest

from adapterstilts.errors import DataError
from adapterstilts.report.rows import ResultRow, read_rows, to_frame, write_rows

from .examples import ROW

NAMES = (
    "recipe method composition target domain source setting language split metric value main seed draw n "
    "parameters examples_seen seconds peak_bytes chain_examples_seen chain_seconds shared_examples_seen shared_seconds "
    "disk_bytes relation select_on device versions artifact"
)


def write_line(path, **changes):
    path.write_text(json.dumps({**asdict(ROW), **changes}) + "\n", encoding="utf-8")
    return path


def test_fields_are_those_of_results_jsonl_in_their_order():
    assert " ".join(field.name for field in fields(ResultRow)) == NAMES


def test_rows_come_back_as_they_were_written(tmp_path):
    rows = [
        ROW,
        replace(ROW, value=None, artifact=None, versions={}),
        replace(ROW, setting="few_shot k=5", draw=3),
        replace(ROW, target="größe\u2028ｘ", value=1 / 3),
    ]

    write_rows(tmp_path / "results.jsonl", rows)

    assert read_rows(tmp_path / "results.jsonl") == rows


def test_lines_are_utf8_with_keys_in_the_order_of_the_fields(tmp_path):
    path = tmp_path / "results.jsonl"

    write_rows(path, [replace(ROW, target="größe", versions={"b": "2", "a": "1"})])

    line = path.read_bytes().decode("utf-8")
    assert " ".join(json.loads(line)) == NAMES
    assert "größe" in line
    assert line.index('"a"') < line.index('"b"')
    assert line.endswith("}\n")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_cannot_hold_is_refused_and_the_old_file_stays(tmp_path, value):
    path = tmp_path / "results.jsonl"
    write_rows(path, [ROW])

    with pytest.raises(DataError, match=r"results\.jsonl: line 2: value of 'target'"):
        write_rows(path, [ROW, replace(ROW, value=value)])

    assert read_rows(path) == [ROW]


def test_an_unreadable_line_is_named(tmp_path):
    path = tmp_path / "results.jsonl"
    write_rows(path, [ROW, ROW])
    path.write_text(path.read_text(encoding="utf-8") + "{half a li", encoding="utf-8")

    with pytest.raises(DataError, match=r"results\.jsonl: line 3: is not JSON.*run the recipe again"):
        read_rows(path)


def test_a_line_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "r.jsonl").write_text("[1]\n", encoding="utf-8")

    with pytest.raises(DataError, match="line 1: is not an object"):
        read_rows(tmp_path / "r.jsonl")


def test_an_unknown_field_gets_the_nearest_name(tmp_path):
    path = write_line(tmp_path / "r.jsonl", metrics="accuracy")

    with pytest.raises(DataError, match="'metrics' is not a field; did you mean 'metric'"):
        read_rows(path)


def test_all_missing_fields_are_told_at_once(tmp_path):
    (tmp_path / "r.jsonl").write_text("{}\n", encoding="utf-8")

    with pytest.raises(DataError) as caught:
        read_rows(tmp_path / "r.jsonl")

    assert len(caught.value.faults) == len(NAMES.split())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("main", 1),
        ("seed", True),
        ("seed", 0.5),
        ("draw", 0.5),
        ("n", None),
        ("value", "0.5"),
        ("value", True),
        ("seconds", None),
        ("target", None),
        ("target", 3),
        ("versions", {"torch": 2}),
        ("versions", "2.13"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path, name, value):
    with pytest.raises(DataError, match=f"'{name}' cannot be"):
        read_rows(write_line(tmp_path / "r.jsonl", **{name: value}))


def test_infinity_in_a_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="'value' cannot be"):
        read_rows(write_line(tmp_path / "r.jsonl", value=math.inf))


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read"):
        read_rows(tmp_path / "none.jsonl")


def test_the_frame_has_a_column_a_field_and_keeps_numbers():
    frame = to_frame([ROW, replace(ROW, value=None)])

    assert " ".join(frame.columns) == NAMES
    assert frame["value"].iloc[0] == 0.5
    assert frame["value"].isna().tolist() == [False, True]
    assert " ".join(to_frame([]).columns) == NAMES

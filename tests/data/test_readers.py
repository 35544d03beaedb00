"""Readers by name, their options, and what all of them share."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterstilts.data import readers
from adapterstilts.data.readers.base import Option, Reader, Tally, lines, read_text
from adapterstilts.errors import DataError
from adapterstilts.tasks.spec import Format


def test_the_readers_are_found_by_being_in_the_folder() -> None:
    expected = {"brat", "conll", "conllu", "csv", "dialogues", "emoji_names", "id_pairs", "json", "jsonl"}
    expected |= {"offsets", "parallel", "parquet", "squad", "squad_tokens", "tsv"}
    assert set(readers.names()) == expected


def test_an_unknown_reader_gets_a_suggestion() -> None:
    with pytest.raises(DataError, match="'jsonll' is not a format; did you mean 'jsonl'"):
        readers.get("jsonll")
    with pytest.raises(DataError, match="formats: brat, "):
        readers.get("zzzzzz")


def test_options_are_checked_before_a_file_is_opened() -> None:
    with pytest.raises(DataError) as caught:
        readers.read((), Format("tsv", options={"quotin": "csv", "header": "yes", "quoting": "x"}), Tally())
    whats = [str(fault) for fault in caught.value.faults]
    assert "did you mean 'quoting'" in whats[0]
    assert "'yes' is not of type bool or list" in whats[1]
    assert "'x' is not one of 'csv', 'none'" in whats[2]


def test_a_flag_is_no_number() -> None:
    reader = Reader(lambda paths, options, tally: iter(()), {"choices": Option(0, types=(int,))})
    assert reader.settings({"choices": 4}, "x") == {"choices": 4}
    with pytest.raises(DataError, match="True is not of type int"):
        reader.settings({"choices": True}, "x")


def test_lines_split_on_lf_only(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\x1ctwo\u2028three\x85\rfour\r\nfive\n".encode())
    assert list(lines(path, "utf-8-sig")) == [(1, "one\x1ctwo\u2028three\x85\rfour"), (2, "five")]


def test_a_wrong_encoding_names_file_byte_and_option(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(("x" * 20_000 + "\ny\nnaïve").encode("cp1252"))
    message = r"a\.txt, line 3: is not utf-8-sig: byte 0xef .*`encoding`.*cp1252"
    for read in (lambda: list(lines(path, "utf-8-sig")), lambda: read_text(path)):
        with pytest.raises(DataError, match=message):
            read()
    assert [line for _, line in lines(path, "cp1252")][2] == "naïve"


def test_an_unknown_encoding_or_unreadable_file_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x", encoding="utf-8")
    for broken, encoding in (
        *((path, name) for name in ("utf-99", "undefined", "base64")),
        *((tmp_path, "utf-8"), (tmp_path / "b", "utf-8")),
    ):
        with pytest.raises(DataError, match="cannot be read"):
            list(lines(broken, encoding))
        with pytest.raises(DataError, match="cannot be read"):
            read_text(broken, encoding)

"""Encodings on disk: all of it comes back, mapped, or nothing does."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from handmade import columns, encoded, same, splitting_tokenizer

from adapterstilts.data.encoding import encode, files
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.rows import ChoiceRow, SpanRow, TextRow

SETTINGS = Settings(("x", "y"), 16, 5)


def some(kind: str = "span_qa") -> Encoded:
    rows = {
        "span_qa": [SpanRow(f"é{n}", "ko", "ba ri tan " * n + "mu", ((0, "ba"),)) for n in range(9)],
        "regression": [TextRow(f"{n}", "ba " * n + "ko", label=n / 4 if n % 2 else None) for n in range(9)],
        "multilabel": [TextRow(f"{n}", "ba", label=("x",)) for n in range(9)],
        "multi_select": [ChoiceRow(f"{n}", "ba", ("ko", "ri"), (1,)) for n in range(9)],
    }[kind]
    return encode(kind, rows, splitting_tokenizer(), SETTINGS)


@pytest.mark.parametrize("kind", ["span_qa", "regression", "multilabel", "multi_select"])
def test_all_comes_back(tmp_path: Path, kind: str) -> None:
    files.save(some(kind), tmp_path / "deep" / "x")
    found = files.load(tmp_path / "deep" / "x")
    assert found is not None
    assert same(found, some(kind))
    assert found.longest == some(kind).longest
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x"]


def test_arrays_are_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    files.save(some(), tmp_path / "x")
    found = files.load(tmp_path / "x")
    assert found is not None
    for array in columns(found).values():
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[:1] = 0


def test_an_encoding_of_nothing_is_made_anew(tmp_path: Path) -> None:
    none = encode("classification", [], splitting_tokenizer(), SETTINGS)
    files.save(none, tmp_path / "x")
    found = files.load(tmp_path / "x")
    assert found is None or same(found, none)


def test_what_was_never_saved_is_not_there(tmp_path: Path) -> None:
    assert files.load(tmp_path / "x") is None


NAMES = ("index.json", *(f"{name}.npy" for name in columns(encoded([[[1]]]))))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-3]),
        lambda path: path.write_bytes(b"\0" * 200),
    ],
    ids=["gone", "empty", "cut", "zeros"],
)
def test_a_damaged_encoding_is_none(tmp_path: Path, name: str, damage: Callable[[Path], object]) -> None:
    files.save(encoded([[[1, 2]], [[3]]]), tmp_path / "x")
    assert files.load(tmp_path / "x") is not None
    damage(tmp_path / "x" / name)
    assert files.load(tmp_path / "x") is None
    files.save(some(), tmp_path / "x")
    mended = files.load(tmp_path / "x")
    assert mended is not None and same(mended, some())


def test_a_disk_that_takes_nothing_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever is root may write everywhere, so that permissions alone test nothing.
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    files.save(some(), tmp_path / "file" / "x")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    files.save(some(), tmp_path / "y")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_first_who_is_done_stays(tmp_path: Path) -> None:
    first = encoded([[[1, 2]]])
    files.save(first, tmp_path / "x")
    files.save(encoded([[[3, 4]]]), tmp_path / "x")
    found = files.load(tmp_path / "x")
    assert found is not None
    assert same(found, first)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_encoding_appears_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    real = os.replace

    def look(source: Path, target: Path) -> None:
        seen.append(files.load(target) is None and files.load(source) is not None)
        real(source, target)

    monkeypatch.setattr(os, "replace", look)
    files.save(some(), tmp_path / "x")
    assert seen == [True]


def test_many_at_once_leave_one(tmp_path: Path) -> None:
    threads = [threading.Thread(target=files.save, args=(some(), tmp_path / "x")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = files.load(tmp_path / "x")
    assert found is not None
    assert same(found, some())
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_mapped_encoding_outlives_its_files(tmp_path: Path) -> None:
    files.save(some(), tmp_path / "x")
    found = files.load(tmp_path / "x")
    shutil.rmtree(tmp_path / "x")
    assert found is not None
    assert same(found, some())


def test_ids_are_readable(tmp_path: Path) -> None:
    files.save(some(), tmp_path / "x")
    text = (tmp_path / "x" / "index.json").read_text(encoding="utf-8")
    assert json.loads(text)["ids"][0] == "é0"
    assert "é0" in text

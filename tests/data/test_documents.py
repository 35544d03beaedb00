"""Documents in, annotations out."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterstilts.data.documents import documents_in, sentences_of, write_brat
from adapterstilts.errors import DataError

TEXT = "Aspirin helps.\r\nÉl toma naproxeno sódico hoy."


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "more").mkdir(parents=True)
    (folder / "a.txt").write_bytes(TEXT.encode())
    (folder / "more" / "b.txt").write_text("Nothing here.", encoding="utf-8")
    (folder / "c.md").write_text("no text", encoding="utf-8")
    return folder


def test_texts_are_found_by_name_in_all_folders(notes: Path) -> None:
    assert documents_in(notes) == {"a": notes / "a.txt", "b": notes / "more" / "b.txt"}
    assert documents_in(notes / "a.txt") == {"a": notes / "a.txt"}


def test_two_documents_of_one_name_are_refused(notes: Path) -> None:
    (notes / "more" / "a.txt").write_text("again", encoding="utf-8")
    with pytest.raises(DataError, match="has the name of"):
        documents_in(notes)


@pytest.mark.parametrize("place", ["more/empty", "missing.txt"])
def test_no_text_is_an_error(notes: Path, place: str) -> None:
    (notes / "more" / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.txt file"):
        documents_in(notes / place)


def test_tokens_stand_where_they_say(notes: Path) -> None:
    rows = sentences_of(documents_in(notes))
    assert {row.document for row in rows} == {"a", "b"}
    assert all(row.tags is None for row in rows)
    words = [
        (TEXT[start : start + len(word)], word)
        for row in rows
        if row.document == "a"
        for start, word in zip(row.starts, row.tokens, strict=True)
    ]
    assert len(words) == 9
    assert all(there == word for there, word in words)


def test_annotations_point_into_the_untouched_text(notes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    start = TEXT.index("naproxeno")
    entities = {"a": [(0, 7, "DRUG"), (start, start + 16, "DRUG"), (8, 18, "ODD")]}
    write_brat(out, documents_in(notes), entities)
    lines = (out / "a.ann").read_text(encoding="utf-8").split("\n")
    assert lines == [
        "T1\tDRUG 0 7\tAspirin",
        f"T2\tDRUG {start} {start + 16}\tnaproxeno sódico",
        "T3\tODD 8 18\thelps.  Él",
        "",
    ]
    assert (out / "b.ann").read_text(encoding="utf-8") == ""
    assert (notes / "a.txt").read_bytes() == TEXT.encode()


def test_no_annotation_is_written_over(notes: Path) -> None:
    (notes / "b.ann").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="is there already"):
        write_brat(notes, documents_in(notes), {"a": [(0, 7, "DRUG")]})
    assert (notes / "b.ann").read_text(encoding="utf-8") == "mine"
    assert not (notes / "a.ann").exists()


def test_an_empty_document_has_no_sentence(notes: Path) -> None:
    (notes / "empty.txt").write_text(" \n", encoding="utf-8")
    assert {row.document for row in sentences_of(documents_in(notes))} == {"a", "b"}
    assert sentences_of({"empty": notes / "empty.txt"}) == ()

"""Whole documents for a tagger, and its entities as brat writes them: offsets into the untouched text."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from adapterstilts.data.load import load_split
from adapterstilts.data.readers.base import read_text
from adapterstilts.data.rows import TaggingRow
from adapterstilts.data.sources import DataRoots
from adapterstilts.errors import DataError, Fault
from adapterstilts.files import replace_text
from adapterstilts.metrics.spans import Entity
from adapterstilts.tasks.spec import FileSource, Format, Split, TaskSpec

_TEXT, _ANNOTATIONS = ".txt", ".ann"
_LANGUAGE = "und"


def documents_in(place: Path) -> dict[str, Path]:
    """Return the text files of a folder and those below it, or the one file, by name without ending.

    Raises:
        DataError: there are none, or two have the same name.
    """
    files = sorted(place.rglob(f"*{_TEXT}")) if place.is_dir() else [place]
    if not files or not all(file.is_file() for file in files):
        raise DataError(Fault(str(place), f"holds no {_TEXT} file", "name a folder of texts"))
    found: dict[str, Path] = {}
    for file in files:
        if found.setdefault(file.stem, file) != file:
            raise DataError(
                Fault(str(file), f"has the name of {found[file.stem]}", "give them different names")
            )
    return found


def sentences_of(documents: Mapping[str, Path]) -> tuple[TaggingRow, ...]:
    """Return the sentences of documents, unlabelled, with the place of each token.

    Raises:
        DataError: a file cannot be read as UTF-8.
    """
    written = [path for path in documents.values() if not _is_empty(path)]
    if not written:
        return ()
    source = FileSource(tuple(path.resolve().as_posix() for path in written))
    split = Split(source, Format("brat", options={"annotations": "none"}))
    task = TaskSpec("documents", "tagging", "", {_LANGUAGE: {"test": split}}, ())
    loaded = load_split(task, _LANGUAGE, "test", DataRoots(Path.cwd()))
    return tuple(row for row in loaded.rows if isinstance(row, TaggingRow))


def _is_empty(path: Path) -> bool:
    # The usual reader takes an empty file for a damaged one; a note without a word is just that.
    try:
        return not path.read_bytes().removeprefix(codecs.BOM_UTF8).strip()
    except OSError as error:
        raise DataError(Fault(str(path), f"cannot be read: {error}")) from error


def write_brat(folder: Path, documents: Mapping[str, Path], entities: Mapping[str, Iterable[Entity]]) -> None:
    """Write an annotation file for each document; the texts themselves are not touched.

    Args:
        folder: where the files go; it may be the texts' own.
        documents: name -> text file.
        entities: name -> ``(start, end, type)`` by characters of the text.

    Raises:
        DataError: an annotation file is there already; nothing is written then.
    """
    there = [
        folder / f"{name}{_ANNOTATIONS}" for name in documents if (folder / f"{name}{_ANNOTATIONS}").exists()
    ]
    if there:
        what = "is there already" + (f", like {len(there) - 1} others" if len(there) > 1 else "")
        raise DataError(Fault(str(there[0]), what, "name another folder by --out"))
    for name, path in documents.items():
        text = "" if _is_empty(path) else read_text(path)
        replace_text(folder / f"{name}{_ANNOTATIONS}", _lines(text, list(entities.get(name, ()))))


def _lines(text: str, entities: Sequence[Entity]) -> str:
    lines = []
    for number, (start, end, kind) in enumerate(entities, 1):
        # A line end would end the annotation's line as well.
        shown = text[start:end].replace("\r", " ").replace("\n", " ")
        lines.append(f"T{number}\t{kind} {start} {end}\t{shown}\n")
    return "".join(lines)

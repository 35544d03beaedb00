"""Column files: one token a line, its tags in columns, a blank line after each sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

from adapterstilts.data.readers.base import DEFAULT_ENCODING, Option, Reader, Record, Tally, filled, lines
from adapterstilts.errors import DataError, Fault

_CONLLU_WIDTH = 10
_CONLLU_COLUMNS = {"form": 1, "lemma": 2, "upos": 3, "xpos": 4}


@dataclass
class _Sentence:
    """The lines of one sentence, split into columns."""

    line: int
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)


def _sentences(path: Path, encoding: str, separator: str, comment: str) -> Iterator[_Sentence]:
    """Yield sentences; a separator line may hold white space (some files have a lone tab there)."""
    sentence = _Sentence(1)
    for number, line in lines(path, encoding):
        if not line.strip():
            if sentence.rows:
                yield sentence
            sentence = _Sentence(number + 1)
        elif comment and not sentence.rows and line.startswith(comment):
            key, _, value = line.removeprefix(comment).partition("=")
            sentence.comments[key.strip()] = value.strip()
        else:
            sentence.rows.append((number, line.split(separator)))
    if sentence.rows:
        yield sentence


def _read_columns(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    del tally
    for path in paths:
        yield from filled(_tagged(path, options), str(path), "holds no sentences")


def _tagged(path: Path, options: Mapping[str, Any]) -> Iterator[Record]:
    tag, width = options["tag"], 0
    for sentence in _sentences(path, options["encoding"], options["separator"], options["comment"]):
        width = width or len(sentence.rows[0][1])
        _check_width(path, sentence, width)
        fields: dict[str, Any] = {"tokens": _column(path, sentence, options["token"], "token")}
        if tag is not None:
            tags = _column(path, sentence, tag, "tag")
            if (tag - options["token"]) % width == 0:
                raise _fault(path, sentence.rows[0][0], f"token and tag are the same column of {width}")
            fields["tags"] = _iob2(tags) if options["scheme"] == "bare" else tags
        if "sent_id" in sentence.comments:
            fields["id"] = sentence.comments["sent_id"]
        yield Record(str(path), f"line {sentence.line}", fields)


def _check_width(path: Path, sentence: _Sentence, width: int) -> None:
    for number, row in sentence.rows:
        if len(row) != width:
            what = f"has {len(row)} columns, the lines before it {width}"
            raise _fault(path, number, what)


def _column(path: Path, sentence: _Sentence, index: int, name: str) -> list[str]:
    number, row = sentence.rows[0]
    if not -len(row) <= index < len(row):
        raise _fault(path, number, f"no column {index} for the {name}: the line has {len(row)}")
    return [row[index] for _, row in sentence.rows]


def _fault(path: Path, line: int, what: str) -> DataError:
    remedy = "check `separator`, `token`, `tag` (null for a file without tags) and `comment`"
    return DataError(Fault(f"{path}, line {line}", what, remedy))


def _iob2(types: list[str]) -> list[str]:
    """Return bare span types as IOB2; neighbours of one type become one span: nothing tells them apart."""
    tags, previous = [], "O"
    for kind in types:
        tags.append("O" if kind == "O" else ("I-" if kind == previous else "B-") + kind)
        previous = kind
    return tags


def _read_conllu(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    """Yield the syntactic words of each sentence; multiword ranges and empty nodes are no words."""
    del tally
    for path in paths:
        records = _words(path, options["encoding"], _CONLLU_COLUMNS[options["tag"]])
        yield from filled(records, str(path), "holds no sentences")


def _words(path: Path, encoding: str, column: int) -> Iterator[Record]:
    for sentence in _sentences(path, encoding, "\t", "#"):
        fields: dict[str, Any] = {"tokens": [], "tags": []}
        for number, row in sentence.rows:
            if len(row) != _CONLLU_WIDTH:
                what = f"a line of CoNLL-U has 10 columns, this one {len(row)}"
                raise DataError(
                    Fault(f"{path}, line {number}", what, "other column files are format `conll`")
                )
            if "-" not in row[0] and "." not in row[0]:
                fields["tokens"].append(row[_CONLLU_COLUMNS["form"]])
                fields["tags"].append(row[column])
        if "sent_id" in sentence.comments:
            fields["id"] = sentence.comments["sent_id"]
        yield Record(str(path), f"line {sentence.line}", fields)


READERS: Mapping[str, Reader] = {
    "conll": Reader(
        _read_columns,
        {
            "encoding": Option(DEFAULT_ENCODING),
            "separator": Option("\t", filled=True),
            "token": Option(0, types=(int,)),
            "tag": Option(-1, types=(int, NoneType)),
            "comment": Option(""),
            "scheme": Option("iob2", choices=("iob2", "bare")),
        },
    ),
    "conllu": Reader(
        _read_conllu,
        {"encoding": Option(DEFAULT_ENCODING), "tag": Option("upos", choices=("upos", "xpos"))},
    ),
}

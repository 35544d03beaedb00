"""Extractive question answering: SQuAD JSON (1.1 and 2.0), and its tokenised line-parallel form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapterstilts.data.readers.base import (
    DEFAULT_ENCODING,
    INCOMPLETE,
    Option,
    Reader,
    Record,
    Tally,
    filled,
    lines,
    read_text,
)
from adapterstilts.data.readers.objects import parse_json
from adapterstilts.errors import DataError, Fault

_PARTS = ("context", "question", "answer", "span")
_BOUNDS = re.compile(r"\s*(\d{1,9})\s+(\d{1,9})\s*")


def _read_squad(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    del tally
    for path in paths:
        yield from filled(_records(path, options["encoding"]), str(path), "holds no questions")


def _records(path: Path, encoding: str) -> Iterator[Record]:
    document = parse_json(read_text(path, encoding), str(path))
    number = 0
    try:
        for number, fields in enumerate(_questions(document), start=1):
            fields.setdefault("id", str(number - 1))
            yield Record(str(path), f"question {number}", fields)
    except (KeyError, TypeError, AttributeError) as error:
        what = "is not SQuAD JSON: data -> paragraphs -> context, qas -> question, answers"
        remedy = "flat questions are format `json` or `jsonl`"
        raise DataError(Fault(f"{path}, question {number + 1}", what, remedy)) from error


def _questions(document: Any) -> Iterator[dict[str, Any]]:
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                own = {"question": question["question"], "answers": question.get("answers", [])}
                own |= {"id": question["id"]} if "id" in question else {}
                own["is_impossible"] = bool(question.get("is_impossible", False))
                yield {**own, "title": article.get("title", ""), "context": paragraph["context"]}


def _read_tokenised(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    """Yield questions whose answers are given as first and last token of the context."""
    columns = [_lines(paths, part, options["encoding"]) for part in _PARTS]
    if len({len(column) for column in columns}) > 1:
        counts = ", ".join(f"{part} {len(column)}" for part, column in zip(_PARTS, columns, strict=True))
        what = f"the files differ in their number of lines: {counts}"
        raise DataError(Fault(str(paths[0]), what, "one may be cut off, or not belong to the others"))
    for number, (context, question, answer, span) in enumerate(zip(*columns, strict=True), start=1):
        start = _start(context, span)
        if start is None:
            tally.dropped["span is not two tokens of the context"] += 1
            continue
        answers = [{"text": answer, "answer_start": start}]
        fields = {"id": str(number - 1), "context": context, "question": question, "answers": answers}
        yield Record(str(paths[0]), f"line {number}", fields)


def _lines(paths: Sequence[Path], part: str, encoding: str) -> list[str]:
    files = [path for path in paths if path.suffix == f".{part}"]
    if len(files) != 1:
        what = f"needs one file `*.{part}` in the source, not {len(files)}"
        raise DataError(Fault("format 'squad_tokens'", what, "name one of each kind in the paths"))
    found = [line for _, line in lines(files[0], encoding)]
    if not found:
        raise DataError(Fault(str(files[0]), "is empty", INCOMPLETE))
    return found


def _start(context: str, span: str) -> int | None:
    """Return the character at which a token span starts; tokens are separated by one space."""
    tokens = context.split(" ")
    bounds = _BOUNDS.fullmatch(span)
    if bounds is None or not int(bounds[1]) <= int(bounds[2]) < len(tokens):
        return None
    return sum(len(token) + 1 for token in tokens[: int(bounds[1])])


READERS: Mapping[str, Reader] = {
    "squad": Reader(_read_squad, {"encoding": Option(DEFAULT_ENCODING)}),
    "squad_tokens": Reader(_read_tokenised, {"encoding": Option(DEFAULT_ENCODING)}),
}

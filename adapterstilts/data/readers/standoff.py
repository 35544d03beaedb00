"""Annotations beside the text, by character offsets: brat's ``.ann`` files and tables of offsets.

Documents become sentences of tokens with IOB2 tags. `starts` keeps where each token begins in its document,
and `spans` the annotations that begin in the sentence as they were made, so that a score can be taken on
documents. Flat tags hold less than spans do: of annotations that overlap, the longer one is tagged and the
others stay in `spans` alone, where nothing that is predicted by tags can match them; they are counted.

An annotation of several pieces is one span where only white space parts the pieces (brat cuts at line ends).
Any other is left out, of `spans` too, and counted: its hull would be a wrong gold, for it holds words that
the annotators left out and a tagger that takes in these words would be called right. So recall is that of
contiguous annotations.

Tokens and sentences come from the text alone: cut by its annotations, a test text would give them away. An
annotation that does not begin and end with tokens of one sentence is tagged as near as they allow, and counted;
in `spans` it stays as it was made.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from adapterstilts.data.readers.base import DEFAULT_ENCODING, Option, Reader, Record, Tally, lines, read_text
from adapterstilts.errors import DataError, Fault

# Not \w: it leaves out combining marks, which are half of the letters of Hindi or Thai.
_PUNCTUATION = r"!-/:-@\[-`{-~¡-¿‐-⁞、-〿。！，．：；？（）"
_TOKEN = re.compile(rf"[^\s{_PUNCTUATION}]+|[{_PUNCTUATION}]")
# The look-behinds change no match: they keep long runs of full stops or spaces from being tried at each place.
_SENTENCE_END = re.compile(
    r"(?<![.!?])[.!?]+[\"'»”)\]]*\s+(?=[^\W\d_a-zß-öø-ÿ¿¡]|[¿¡\d\"«“(])|(?<!\s)\s*\n\s*"
)
_PIECES = re.compile(r"(\S+) (\d{1,12} \d{1,12}(?:;\d{1,12} \d{1,12})*)")
# Relations, events, attributes, normalisations, notes, equivalences.
_OTHER_LINE = re.compile(r"(?:[REAMN]\w+|[#*]\w*)\t")


_Bounds = tuple[int, int]


@dataclass(frozen=True)
class _Span:
    start: int
    end: int
    kind: str


def _read_brat(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    """Yield the sentences of each ``.txt`` with the text-bound annotations of the ``.ann`` beside it.

    With ``annotations: none`` only the texts are read, and their sentences are unlabelled.
    """
    texts, annotations = _texts(paths), _by_name(paths, ".ann")
    labelled = options["annotations"] == "required"
    if labelled:
        _check_complete(texts, annotations)
    for name, path in texts.items():
        text = read_text(path, options["encoding"])
        spans = list(_brat_spans(annotations[name], text, options["encoding"], tally)) if labelled else None
        yield from _records(path, text, spans, tally)


def _texts(paths: Sequence[Path]) -> dict[str, Path]:
    texts = _by_name(paths, ".txt")
    if not texts:
        where = str(paths[0]) if paths else "format"
        raise DataError(Fault(where, "there is no .txt file in the source", "add the texts to the paths"))
    return texts


def _by_name(paths: Sequence[Path], suffix: str) -> dict[str, Path]:
    """Return the files of one kind by their names without it: the name is what tells documents apart."""
    found: dict[str, Path] = {}
    for path in paths:
        if path.suffix == suffix and (other := found.setdefault(path.stem, path)) != path:
            raise DataError(Fault(str(path), f"has the name of {other}", "give documents different names"))
    return found


def _check_complete(texts: Mapping[str, Path], annotations: Mapping[str, Path]) -> None:
    if bare := [name for name in texts if name not in annotations]:
        what = "has no annotation file" + (f", like {len(bare) - 1} others" if len(bare) > 1 else "")
        remedy = f"add {bare[0]}.ann to the paths (empty if there is nothing in the document), "
        remedy += "or write `annotations: none` to read texts without labels"
        raise DataError(Fault(str(texts[bare[0]]), what, remedy))
    if lost := [name for name in annotations if name not in texts]:
        what = "has no text" + (f", like {len(lost) - 1} others" if len(lost) > 1 else "")
        raise DataError(Fault(str(annotations[lost[0]]), what, f"add {lost[0]}.txt to the paths"))


def _brat_spans(path: Path, text: str, encoding: str, tally: Tally) -> Iterator[_Span]:
    for number, line in lines(path, encoding):
        if not line.strip() or _OTHER_LINE.match(line):
            continue
        parts = line.split("\t")
        match = _PIECES.fullmatch(parts[1]) if line.startswith("T") and len(parts) > 1 else None
        if match is None:
            what = "is not an annotation of brat: `T1<TAB>Type 0 5<TAB>text`"
            raise DataError(Fault(f"{path}, line {number}", what))
        span = _in_one_piece(match[1], match[2], text)
        if span is None:
            tally.repaired["annotation of several pieces left out"] += 1
        else:
            yield span


def _in_one_piece(kind: str, offsets: str, text: str) -> _Span | None:
    """Return the span of an annotation, or None where words part its pieces."""
    bounds = [tuple(map(int, piece.split())) for piece in offsets.split(";")]
    pieces = sorted((start, end) for start, end in bounds)
    for (_, end), (start, _) in pairwise(pieces):
        if text[end:start].strip():
            return None
    return _Span(pieces[0][0], max(end for _, end in pieces), kind)


def _read_offsets(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    """Yield the sentences of each ``.txt`` with the spans of the tables among the files.

    A table is a TSV with a header; the options name its columns: document (a file's name without ``.txt``),
    start, end (exclusive) and label. A document that no table names has no annotations. With ``annotations:
    none`` only the texts are read, and their sentences are unlabelled.
    """
    texts = _texts(paths)
    spans = _all_spans(paths, options) if options["annotations"] == "required" else None
    if spans is not None and (unknown := spans.keys() - texts.keys()):
        what = f"{len(unknown)} documents of the table have no text file"
        raise DataError(Fault("format 'offsets'", what, "add their .txt files to the paths"))
    for name, path in texts.items():
        text = read_text(path, options["encoding"])
        yield from _records(path, text, None if spans is None else spans.get(name, []), tally)


def _all_spans(paths: Sequence[Path], options: Mapping[str, Any]) -> dict[str, list[_Span]]:
    tables = [path for path in paths if path.suffix != ".txt"]
    if not tables:
        remedy = "add it to the paths, or write `annotations: none` to read texts without labels"
        raise DataError(Fault("format 'offsets'", "there is no table of annotations in the source", remedy))
    spans: dict[str, list[_Span]] = defaultdict(list)
    for path in tables:
        for document, span in _table(path, options):
            spans[document].append(span)
    return spans


def _table(path: Path, options: Mapping[str, Any]) -> Iterator[tuple[str, _Span]]:
    wanted = [options[name] for name in ("document", "start", "end", "label")]
    header: list[str] = []
    for number, line in lines(path, options["encoding"]):
        cells = line.split("\t")
        if not header:
            header = _header(path, cells, wanted)
        elif line:
            if len(cells) != len(header):
                what = f"has {len(cells)} cells, the header {len(header)}"
                raise DataError(Fault(f"{path}, line {number}", what, "cells are parted by one tab"))
            row = dict(zip(header, cells, strict=True))
            document, start, end, label = (row[column] for column in wanted)
            if not all(bound.isdecimal() and len(bound) <= 12 for bound in (start, end)):
                raise DataError(Fault(f"{path}, line {number}", "start and end should be whole numbers"))
            yield document, _Span(int(start), int(end), label)
    if not header:
        raise DataError(Fault(str(path), "is empty", "write at least the header if nothing is annotated"))


def _header(path: Path, header: list[str], wanted: Sequence[str]) -> list[str]:
    if missing := [column for column in wanted if column not in header]:
        what = f"no column {', '.join(map(repr, missing))}"
        raise DataError(Fault(str(path), what, "name the columns: `document`, `start`, `end`, `label`"))
    return header


def _records(path: Path, text: str, spans: Sequence[_Span] | None, tally: Tally) -> Iterator[Record]:
    """Yield the sentences of a document; with None for spans they are unlabelled."""
    gold = _checked(spans or (), text, tally)
    flat = _disjoint(gold, tally)
    openings = [span.start for span in gold]
    exact: set[_Bounds] = set()
    for number, (begin, end) in enumerate(_sentences(text), start=1):
        tokens = [match.span() for match in _TOKEN.finditer(text, begin, end)]
        if tokens:
            own = gold[bisect_left(openings, begin) : bisect_left(openings, end)]
            exact |= _held(tokens, own)
            fields: dict[str, Any] = {"tokens": [text[slice(*token)] for token in tokens]}
            fields["starts"] = [start for start, _ in tokens]
            fields["tags"] = None if spans is None else _tags(tokens, flat)
            fields["spans"] = [(span.start, span.end, span.kind) for span in own]
            fields |= {"id": f"{path.stem}-{number}", "group": path.stem, "document": path.stem}
            yield Record(str(path), f"sentence {number}", fields)
    if inexact := sum((span.start, span.end) not in exact for span in flat):
        tally.repaired["annotation that does not begin and end with tokens of a sentence"] += inexact


def _held(tokens: Sequence[_Bounds], spans: Sequence[_Span]) -> set[_Bounds]:
    """Return the bounds of the spans that begin and end with these tokens."""
    starts, ends = {start for start, _ in tokens}, {end for _, end in tokens}
    return {(span.start, span.end) for span in spans if span.start in starts and span.end in ends}


def _checked(spans: Sequence[_Span], text: str, tally: Tally) -> list[_Span]:
    """Return the spans that hold text, each once, without white space at their ends, by start."""
    kept: set[_Span] = set()
    for span in spans:
        words = text[span.start : span.end]
        if span.end > len(text) or not words.strip():
            tally.repaired["annotation outside its text left out"] += 1
            continue
        start = span.start + len(words) - len(words.lstrip())
        end = start + len(words.strip())
        if (start, end) != (span.start, span.end):
            tally.repaired["white space at an end of an annotation cut off"] += 1
        kept.add(_Span(start, end, span.kind))
    return sorted(kept, key=lambda span: (span.start, span.end, span.kind))


def _disjoint(spans: Sequence[_Span], tally: Tally) -> list[_Span]:
    """Return spans that do not overlap, the longer ones first kept; flat tags cannot hold nested spans."""
    kept: list[_Span] = []
    openings: list[int] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start, span.kind)):
        place = bisect_left(openings, span.start)
        before, after = kept[max(0, place - 1) : place], kept[place : place + 1]
        if any(span.start < other.end and other.start < span.end for other in (*before, *after)):
            tally.repaired["annotation left out: overlaps a longer one"] += 1
        else:
            kept.insert(place, span)
            openings.insert(place, span.start)
    return kept


def _sentences(text: str) -> Iterator[_Bounds]:
    """Yield bounds of sentences: after a full stop before a capital, and at line ends."""
    begin = 0
    for match in _SENTENCE_END.finditer(text):
        yield begin, match.end()
        begin = match.end()
    yield begin, len(text)


def _tags(tokens: Sequence[_Bounds], spans: Sequence[_Span]) -> list[str]:
    """Return the IOB2 tag of each token: that of the first span that it shares a character with."""
    tags: list[str] = []
    previous, endings = -1, [span.end for span in spans]
    for start, end in tokens:
        index = bisect_right(endings, start)
        inside = index < len(spans) and spans[index].start < end
        tags.append(("I-" if index == previous else "B-") + spans[index].kind if inside else "O")
        previous = index if inside else -1
    return tags


_OPTIONS = {
    "encoding": Option(DEFAULT_ENCODING),
    "annotations": Option("required", choices=("required", "none")),
}
_COLUMNS = {name: Option(name, filled=True) for name in ("document", "start", "end", "label")}

READERS: Mapping[str, Reader] = {
    "brat": Reader(_read_brat, _OPTIONS),
    "offsets": Reader(_read_offsets, {**_OPTIONS, **_COLUMNS}),
}

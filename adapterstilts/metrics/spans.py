"""Tags of a sentence to spans, in three readings.

A span is ``(type, first, last)``, both token indices inclusive. The readings differ on tags that do not
follow their own scheme, and that is where published scores differ too:

========= ==================================================================================
official  seqeval 0.0.12, XTREME's scorer, applied to bare part-of-speech tags
lenient   IOB1, IOB2, IOBES, BILOU or bare types; a span may start with any of its tags
strict    IOB2 only: a span starts with ``B-``; a stray ``I-`` is no span
========= ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from adapterstilts.errors import DataError, Fault

Span = tuple[str, int, int]
# (start, end, type): character offsets into a document, the end exclusive.
Entity = tuple[int, int, str]
# (prefix, type); the prefix says where in a span the token stands.
Mark = tuple[str, str]

_OUTSIDE: Mark = ("O", "O")
_PREFIXES = {"B": "B", "I": "I", "E": "E", "S": "S", "L": "E", "U": "S"}


def official_spans(tags: Sequence[str]) -> set[Span]:
    """Return the spans of seqeval 0.0.12: a tag's first character is its prefix, bare tags included.

    So a run of one part of speech is one span, and every tag that starts with S (``SCONJ``, ``SYM``) is a
    span of its own. Versions of seqeval from 1.0 cut the first character off the type and merge ``CCONJ``
    with ``SCONJ``; their numbers are others.
    """
    return _spans(tags, lambda tag: (tag[0], tag.rsplit("-", 1)[-1]))


def lenient_spans(tags: Sequence[str]) -> set[Span]:
    """Return the spans when ``I-`` may open one (XTREME's PAN-X, conlleval).

    ``L-`` and ``U-`` count as ``E-`` and ``S-``; a tag without a known prefix is a type, whose adjacent
    tokens form one span.
    """
    return _spans(tags, _mark)


def strict_spans(tags: Sequence[str]) -> set[Span]:
    """Return the spans of IOB2: ``B-X`` and the ``I-X`` right after it."""
    spans = []
    begin, kind = 0, ""
    inside = False
    for place, tag in enumerate([*tags, "O"]):
        prefix, type_ = _checked(_mark, tag)
        if inside and not (prefix == "I" and type_ == kind):
            spans.append((kind, begin, place - 1))
            inside = False
        if prefix == "B":
            begin, kind, inside = place, type_, True
    return set(spans)


def entities_of(
    tags: Sequence[str], starts: Sequence[int], ends: Sequence[int], *, offset: int = 0
) -> list[Entity]:
    """Return the spans of a tagged sentence as entities of its document, in the order of the text.

    Tags are read as by `lenient_spans`: a model may well open a span with ``I-``. An entity goes from the
    start of its first token to the end of its last, with what stands between them.

    Args:
        tags: one a token.
        starts: where each token begins, in characters.
        ends: where each token ends, exclusive.
        offset: where the text that `starts` and `ends` count in begins in the document.

    Raises:
        DataError: the three differ in length, or a tag is empty.
    """
    if not len(tags) == len(starts) == len(ends):
        what = f"{len(tags)} tags, {len(starts)} starts and {len(ends)} ends"
        raise DataError(Fault("entities", what, "give one of each for every token"))
    spans = sorted(lenient_spans(tags), key=lambda span: span[1])
    return [(offset + starts[first], offset + ends[last], kind) for kind, first, last in spans]


def _mark(tag: str) -> Mark:
    prefix, _, type_ = tag.partition("-")
    if tag == "O":
        return _OUTSIDE
    if prefix in _PREFIXES:
        return _PREFIXES[prefix], type_
    return "I", tag


def _spans(tags: Iterable[str], mark: Callable[[str], Mark]) -> set[Span]:
    """Return the spans between `_opens` and `_closes`."""
    spans = []
    begin, before = 0, _OUTSIDE
    for place, here in enumerate([*(_checked(mark, tag) for tag in tags), _OUTSIDE]):
        if _closes(before, here):
            spans.append((before[1], begin, place - 1))
        if _opens(before, here):
            begin = place
        before = here
    return set(spans)


def _closes(before: Mark, here: Mark) -> bool:
    """Whether a span ends between two neighbours; a ``.`` counts as outside, as in conlleval."""
    if before[0] in "ES" or (before[0] in "BI" and here[0] in "BSO"):
        return True
    return before[0] not in "O." and before[1] != here[1]


def _opens(before: Mark, here: Mark) -> bool:
    """Whether a span begins at the second of two neighbours."""
    if here[0] in "BS" or (before[0] in "ESO" and here[0] in "EI"):
        return True
    return here[0] not in "O." and before[1] != here[1]


def _checked(mark: Callable[[str], Mark], tag: str) -> Mark:
    if not tag:
        raise DataError(Fault("tags", "a tag is empty", "write O for a token outside"))
    return mark(tag)

"""By what a row is recognised: its texts and its own id."""

from __future__ import annotations

import re

from adapterstilts.data.rows import ChoiceRow, PairRow, Row, SpanRow, TaggingRow, TextRow

_PART = re.compile(r"\d+:")
_COPY = re.compile(r"#\d+$")
_SIGNS, _DIGITS = 8, 5


def texts_of(row: Row) -> tuple[str, ...]:
    """Return the texts by which a row is recognised: one, but the sides that there are of a translation.

    It is what a model reads of the example, joined by spaces: text and second text; context and options;
    tokens. For extractive questions it is the passage alone, whatever is asked: a passage of the test that was
    trained on is a leak, and a question that two passages share is none.
    """
    match row:
        case TextRow():
            return (f"{row.text} {row.text_pair}" if row.text_pair else row.text,)
        case ChoiceRow():
            return (" ".join((row.context, *row.choices)),)
        case TaggingRow():
            return (" ".join(row.tokens),)
        case SpanRow():
            return (row.context,)
        case PairRow():
            return tuple(side for side in (row.source, row.target) if side)


def own_id(row: Row) -> str | None:
    """Return the id that the data gave to a row, or None where the id says nothing outside its file.

    Loaders and many files number their rows, and the same number in two files is no sign of anything. So only an
    id counts that is no running number by its look: eight letters and digits or more, five of them digits (hashes,
    ids of tweets and of PubMed, ``n01001011``; not ``1234567``, ``test-s12`` or ``greetings-3-1``). What the
    loader puts before the ids of a part (``1:``) is left away; ids that it numbered because the data repeats
    them (``20051114#2``) do not count.
    """
    prefix = _PART.match(row.id)
    own = row.id[prefix.end() :] if prefix else row.id
    signs, digits = sum(map(str.isalnum, own)), sum(map(str.isdigit, own))
    return own if signs >= _SIGNS and digits >= _DIGITS and not _COPY.search(own) else None

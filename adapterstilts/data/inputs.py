"""What a user types in becomes a row: texts, pairs, or mappings with the fields of the model's kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adapterstilts.data.rows import ChoiceRow, Row, SpanRow, TaggingRow, TextRow
from adapterstilts.errors import Fault, UsageError

Input = str | tuple[str, str] | Mapping[str, Any]


def row_of(kind: str, number: int, value: Input) -> Row:
    """Return an unlabelled row.

    Args:
        kind: of the model's task.
        number: of the input, from 0; its id where it has none.
        value: a text, a pair of texts, or a mapping: ``text`` and ``text_pair`` for texts; ``context`` and
            ``choices`` for choices; ``tokens`` for tagging; ``question`` and ``context`` for span_qa.

    Raises:
        UsageError: when the input does not fit the kind.
    """
    fields: Mapping[str, Any] = {"text": value} if isinstance(value, str) else {}
    if isinstance(value, tuple) and len(value) == 2:
        fields = dict(zip(("text", "text_pair"), value, strict=True))
    elif isinstance(value, Mapping):
        fields = value
    needed, make = _KINDS.get(kind, ("another form", _nothing))
    row = make(str(fields.get("id", number)), fields)
    if row is None:
        found = (
            f"found {', '.join(map(str, value)) or 'nothing'}"
            if isinstance(value, Mapping)
            else f"found {value!r:.60}"
        )
        raise UsageError(Fault(f"input {number + 1}", f"a {kind} model needs {needed}", found))
    return row


def _nothing(_id: str, _fields: Mapping[str, Any]) -> None:
    return None


def _text(id: str, fields: Mapping[str, Any]) -> Row | None:
    text, pair = fields.get("text"), fields.get("text_pair")
    return TextRow(id, text, pair) if isinstance(text, str) and isinstance(pair, str | None) else None


def _choices(id: str, fields: Mapping[str, Any]) -> Row | None:
    context, choices = fields.get("context"), fields.get("choices")
    if not isinstance(context, str) or not isinstance(choices, list | tuple) or len(choices) < 2:
        return None
    return ChoiceRow(id, context, tuple(map(str, choices)))


def _words(id: str, fields: Mapping[str, Any]) -> Row | None:
    tokens = fields.get("tokens")
    if not isinstance(tokens, list | tuple) or not tokens or not all(isinstance(one, str) for one in tokens):
        return None
    return TaggingRow(id, tuple(tokens))


def _question(id: str, fields: Mapping[str, Any]) -> Row | None:
    question, context = fields.get("question"), fields.get("context")
    if not isinstance(question, str) or not isinstance(context, str):
        return None
    return SpanRow(id, question, context, None)


_KINDS: Mapping[str, tuple[str, Callable[[str, Mapping[str, Any]], Row | None]]] = {
    **dict.fromkeys(("classification", "multilabel", "regression"), ("text", _text)),
    **dict.fromkeys(("multiple_choice", "multi_select"), ("context and two or more choices", _choices)),
    "tagging": ("tokens, a list of words", _words),
    "span_qa": ("question and context", _question),
}

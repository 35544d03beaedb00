"""Dialogues in YAML: topic files of conversations, each a list of statements, a prompt and its replies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapterstilts.data.readers.base import DEFAULT_ENCODING, Option, Reader, Record, Tally, read_text
from adapterstilts.data.readers.choose import draw, number, tenth
from adapterstilts.errors import DataError, Fault


def _read(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    exchanges = _exchanges(paths, options, tally)
    if not options["choices"]:
        return exchanges
    return _with_choices(list(exchanges), options["choices"], tally)


def _exchanges(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    """Yield one record for a first statement and each other one of its conversation, repeats left out."""
    seen: set[tuple[str, str, str]] = set()
    for path in paths:
        document = _load(path, options["encoding"])
        topic = path.stem if options["topic"] == "file" else _category(path, document)
        for number_, conversation in enumerate(document["conversations"], start=1):
            statements = _statements(conversation, tally)
            for turn, reply in enumerate(statements[1:], start=1):
                exchange = (topic, statements[0], reply)
                if exchange in seen:
                    tally.dropped["exchange repeated in its topic"] += 1
                    continue
                seen.add(exchange)
                fields = dict(zip(("topic", "prompt", "reply"), exchange, strict=True))
                fields["id"] = f"{path.stem}-{number_}-{turn}"
                yield Record(str(path), f"conversation {number_}", fields)


def _load(path: Path, encoding: str) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads the corpus ten times faster
    try:
        document = yaml.load(read_text(path, encoding), loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise DataError(
            Fault(f"{path}{place}", f"is not YAML: {getattr(error, 'problem', error)}")
        ) from error
    except (ValueError, RecursionError) as error:  # a date that does not exist; lists in lists without end
        raise DataError(Fault(str(path), f"is not YAML of texts: {error}")) from error
    if not isinstance(document, dict) or not isinstance(document.get("conversations"), list):
        raise DataError(Fault(str(path), "has no list `conversations`"))
    if not document["conversations"]:
        raise DataError(Fault(str(path), "holds no conversations"))
    return document


def _category(path: Path, document: dict[str, Any]) -> str:
    match document.get("categories"):
        case [str(name), *_]:
            return name
    remedy = "write `topic: file` to take the file's name"
    raise DataError(Fault(str(path), "has no list `categories` of names", remedy))


def _statements(conversation: Any, tally: Tally) -> list[str]:
    """Return the statements of a conversation as text, or nothing when there is no exchange in it."""
    if not isinstance(conversation, list):
        # Seen in real files: a forgotten line break makes the whole conversation one text.
        tally.dropped["conversation is not a list"] += 1
        return []
    if len(conversation) < 2:
        tally.dropped["conversation of one statement"] += 1
        return []
    statements = [_text(statement) for statement in conversation]
    if not statements[0]:
        tally.dropped["conversation without a prompt"] += 1
        return []
    replies = [statement for statement in statements[1:] if statement]
    if lost := len(statements) - 1 - len(replies):
        tally.dropped["empty reply"] += lost
    return [statements[0], *replies]


def _text(statement: Any) -> str:
    """Return a statement as text: an unquoted 22, 3.14 or yes in YAML was meant as it was typed."""
    if isinstance(statement, bool):
        return "Yes" if statement else "No"
    if isinstance(statement, str | int | float):
        return " ".join(str(statement).split())
    return ""


def _with_choices(records: list[Record], count: int, tally: Tally) -> Iterator[Record]:
    """Yield the records with `choices` and the `label` of the true reply among them.

    The other options are replies to prompts of the same tenth (`choose.tenth`), so that no reply is an
    option in training and the answer in a validation part cut at a multiple of ten percent.
    """
    replies: dict[str, set[str]] = defaultdict(set)
    pools: dict[int, dict[str, None]] = defaultdict(dict)
    for record in records:
        replies[_fold(record.fields["prompt"])].add(_fold(record.fields["reply"]))
        pools[tenth(record.fields["prompt"])][record.fields["reply"]] = None
    for record in records:
        prompt, reply, seed = (record.fields[name] for name in ("prompt", "reply", "id"))
        others = draw(seed, list(pools[tenth(prompt)]), count - 1, replies[_fold(prompt)], _fold)
        if len(others) < count - 1:
            tally.dropped["too few other replies to choose from"] += 1
            continue
        label = number("label", seed) % count
        choices = [*others[:label], reply, *others[label:]]
        yield Record(record.file, record.place, {**record.fields, "choices": choices, "label": label})


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


READERS: Mapping[str, Reader] = {
    "dialogues": Reader(
        _read,
        {
            "encoding": Option(DEFAULT_ENCODING),
            "topic": Option("file", choices=("file", "category")),
            "choices": Option(0, types=(int,)),
        },
    )
}

"""JSON: one object a line, or objects somewhere in one document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapterstilts.data.readers.base import (
    DEFAULT_ENCODING,
    Option,
    Reader,
    Record,
    Tally,
    filled,
    lines,
    near,
    read_text,
)
from adapterstilts.errors import DataError, Fault

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str, where: str) -> Any:
    """Return what a JSON text holds.

    Raises:
        DataError: it is not JSON, or holds what is no text; without any of its content.
    """
    try:
        value = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        remedy = "one object a line is format `jsonl`" if error.msg == "Extra data" else ""
        raise DataError(Fault(where, f"is not JSON: {error.msg} (line {error.lineno})", remedy)) from error
    except UnicodeEncodeError:
        remedy = "it was cut inside a character; write the data as UTF-8, without escapes"
        raise DataError(Fault(where, "holds half of a surrogate pair", remedy)) from None
    except RecursionError:
        raise DataError(Fault(where, "is nested too deeply for data")) from None
    except ValueError:  # what Python says about integers of thousands of digits
        raise DataError(Fault(where, "holds a number of too many digits")) from None
    return value


def _read_lines(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    del tally
    for path in paths:
        yield from filled(_objects(path, options["encoding"]), str(path))


def _objects(path: Path, encoding: str) -> Iterator[Record]:
    for number, line in lines(path, encoding):
        if line.strip():
            place = f"line {number}"
            yield _record(path, place, parse_json(line, f"{path}, {place}"))


def _read_document(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    """Yield the objects of each document, with their keys where they have some.

    ``keep_keys`` and ``drop_keys`` name a file of the source whose keys choose: test parts are often
    published as a list of ids.
    """
    del tally
    kept, kept_name = _keys(paths, options["keep_keys"], options["encoding"])
    dropped, dropped_name = _keys(paths, options["drop_keys"], options["encoding"])
    for path in paths:
        if path.name not in (kept_name, dropped_name):
            records = _documents(path, options)
            chosen = (
                record for key, record in records if key not in dropped and (not kept_name or key in kept)
            )
            yield from filled(chosen, str(path), "holds no records, or none that the keys choose")


def _documents(path: Path, options: Mapping[str, Any]) -> Iterator[tuple[str, Record]]:
    document = parse_json(read_text(path, options["encoding"]), str(path))
    steps = [step for step in options["records"].split(".") if step]
    for number, (key, value) in enumerate(_walk(document, steps, str(path)), start=1):
        record = _record(path, f"record {number}", value)
        if options["key"]:
            record.fields.setdefault(options["key"], key)
        yield key, record


def _keys(paths: Sequence[Path], name: str, encoding: str) -> tuple[frozenset[str], str]:
    if not name:
        return frozenset(), ""
    for path in paths:
        if path.name == name:
            document = parse_json(read_text(path, encoding), str(path))
            if not isinstance(document, dict | list) or any(isinstance(key, dict | list) for key in document):
                raise DataError(Fault(str(path), "should be a list of keys, or an object with them"))
            return frozenset(map(str, document)), name
    raise DataError(Fault("format 'json'", f"no file {name!r} in the source", "add it to the paths"))


def _record(path: Path, place: str, value: Any) -> Record:
    if not isinstance(value, dict):
        found = type(value).__name__
        raise DataError(Fault(f"{path}, {place}", f"should be an object but is a {found}"))
    return Record(str(path), place, dict(value))


def _walk(value: Any, steps: Sequence[str], where: str) -> Iterator[tuple[str, Any]]:
    """Yield ``(key, object)`` below `value`: a name steps into an object, ``*`` into all values of one."""
    if not steps:
        if isinstance(value, list):
            yield from ((str(number), item) for number, item in enumerate(value))
            return
        remedy = "say where they are: `records: a.b` or `records: *`"
        raise DataError(Fault(where, "no list of records here", remedy))
    step, rest = steps[0], steps[1:]
    if step == "*" and isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else ((str(i), v) for i, v in enumerate(value))
        for key, item in items:
            yield from _walk(item, rest, f"{where}, {key}") if rest else [(key, item)]
    elif isinstance(value, dict) and step in value:
        yield from _walk(value[step], rest, where)
    else:
        guess = near(step, list(value)) if isinstance(value, dict) else ""
        raise DataError(Fault(where, f"`records`: no {step!r} in it", guess))


READERS: Mapping[str, Reader] = {
    "jsonl": Reader(_read_lines, {"encoding": Option(DEFAULT_ENCODING)}),
    "json": Reader(
        _read_document,
        {
            "encoding": Option(DEFAULT_ENCODING),
            "records": Option(""),
            "key": Option(""),
            "keep_keys": Option(""),
            "drop_keys": Option(""),
        },
    ),
}

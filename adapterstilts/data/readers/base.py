"""What a reader is: files in, plain records out, with the place of each record and a count of losses."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapterstilts.errors import DataError, Fault, suggest
from adapterstilts.tasks.spec import Json

DEFAULT_ENCODING = "utf-8-sig"
"""UTF-8, with or without a byte order mark."""

LONGEST_LINE = 1 << 26
"""Characters that a line may have at most, or a quoted row of several lines."""

INCOMPLETE = "it may be cut off: fetch it again, or take it out of the source's paths"
"""What to do about a file that holds nothing."""


@dataclass(frozen=True)
class Record:
    """One record as it is in the data.

    Attributes:
        file: where it comes from, for errors.
        place: ``line 12`` or ``record 3``: how to find it in the file.
        fields: column -> value.
    """

    file: str
    place: str
    fields: dict[str, Any]

    @property
    def where(self) -> str:
        """Return file and place, for a `Fault`."""
        return f"{self.file}, {self.place}"


@dataclass
class Tally:
    """What was left out and what was changed on the way, by reason."""

    dropped: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Option:
    """One option of a reader.

    Attributes:
        default: its value when nothing is said.
        types: the types that a value may have.
        choices: the only values allowed, when there are few.
        filled: whether the empty text and the empty list are refused.
    """

    default: Json
    types: tuple[type, ...] = (str,)
    choices: tuple[Json, ...] = ()
    filled: bool = False


Read = Callable[[Sequence[Path], Mapping[str, Any], Tally], Iterator[Record]]


@dataclass(frozen=True)
class Reader:
    """A named way to read files.

    Attributes:
        read: files, complete options, tally -> records.
        options: every option there is.
    """

    read: Read
    options: Mapping[str, Option] = field(default_factory=dict)

    def settings(self, given: Mapping[str, Json], name: str) -> dict[str, Any]:
        """Return all options, given ones over defaults.

        Raises:
            DataError: unknown options or values that an option cannot have; all at once.
        """
        faults = [fault for key, value in given.items() if (fault := self._fault(key, value, name))]
        if faults:
            raise DataError(*faults)
        return {key: given.get(key, option.default) for key, option in self.options.items()}

    def _fault(self, key: str, value: Json, name: str) -> Fault | None:
        if key not in self.options:
            remedy = suggest(key, self.options) or f"options: {', '.join(self.options) or 'none'}"
            return Fault(f"format {name!r}", f"{key!r} is not an option", remedy)
        what = _wrong(value, self.options[key])
        return Fault(f"format {name!r}, option {key!r}", what) if what else None


def _wrong(value: Json, option: Option) -> str:
    if option.choices:
        known = ", ".join(map(repr, option.choices))
        return "" if value in option.choices else f"{value!r} is not one of {known}"
    # bool is an int in Python; `choices: true` is still a mistake.
    if not isinstance(value, option.types) or (isinstance(value, bool) and bool not in option.types):
        return f"{value!r} is not of type {' or '.join(kind.__name__ for kind in option.types)}"
    if isinstance(value, list) and (not all(isinstance(name, str) for name in value) or _repeats(value)):
        return f"{value!r} should list different names"
    return f"{value!r} is empty" if option.filled and value in ("", []) else ""


def _repeats(values: list[Json]) -> bool:
    return len(set(map(str, values))) < len(values)


def lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield line numbers (from 1) and lines, split on LF only, without LF and one CR before it.

    Real text holds U+001C, U+2028 and single carriage returns inside a line; ``str.splitlines`` would break
    such rows in two.

    Raises:
        DataError: the file cannot be read, is not text in this encoding, or has a line beyond `LONGEST_LINE`.
    """
    number = 0
    try:
        with path.open(encoding=encoding, newline="\n") as file:
            # Not `for line in file`: it would take in a line of any length.
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise _too_long(path, number)
                if "\0" in line:
                    raise _binary(path, number)
                yield number, line.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise _encoding_fault(path, number, encoding, error) from error
    except (OSError, LookupError, UnicodeError) as error:
        raise DataError(Fault(str(path), f"cannot be read: {error}")) from error


def read_text(path: Path, encoding: str = DEFAULT_ENCODING) -> str:
    """Return a whole file's text, line ends as they are.

    Raises:
        DataError: the file cannot be read, is empty, or is not text in this encoding.
    """
    try:
        text = path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        raise _encoding_fault(path, 0, encoding, error) from error
    except (OSError, LookupError, UnicodeError) as error:
        raise DataError(Fault(str(path), f"cannot be read: {error}")) from error
    if not text.strip():
        raise DataError(Fault(str(path), "is empty", INCOMPLETE))
    if "\0" in text:
        raise _binary(path, text.count("\n", 0, text.index("\0")) + 1)
    return text


def filled(records: Iterable[Record], where: str, what: str = "holds no records") -> Iterator[Record]:
    """Yield the records of one file.

    Raises:
        DataError: there are none.
    """
    empty = True
    for record in records:
        empty = False
        yield record
    if empty:
        raise DataError(Fault(where, what, INCOMPLETE))


def _too_long(path: Path, line: int) -> DataError:
    remedy = "it may be binary or have lost its line ends; one big document of JSON is format `json`"
    return DataError(Fault(f"{path}, line {line}", f"has more than {LONGEST_LINE:,} characters", remedy))


def _binary(path: Path, line: int) -> DataError:
    remedy = "the file may be binary or packed; if it is UTF-16, say `encoding: utf-16` in its format"
    return DataError(Fault(f"{path}, line {line}", "holds a NUL character", remedy))


def _encoding_fault(path: Path, before: int, encoding: str, error: UnicodeDecodeError) -> DataError:
    """Return the error for a byte in what was read after `before` lines."""
    line = before + 1 + error.object[: error.start].count(b"\n")
    what = f"is not {encoding}: byte 0x{error.object[error.start]:02x} does not belong there"
    remedy = "say the file's `encoding` in its format, often cp1252; unpack it first if it is packed"
    return DataError(Fault(f"{path}, line {line}", what, remedy))


def near(word: str, known: Sequence[str]) -> str:
    """Return ``did you mean 'x'?`` for the nearest known word regardless of case, or an empty string."""
    folded = {name.casefold(): name for name in known}
    match = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return f"did you mean {folded[match[0]]!r}?" if match else ""

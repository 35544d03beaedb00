"""One line of ``results.jsonl``: a metric of a method on one split of one language with one seed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterstilts.errors import DataError, Fault, suggest
from adapterstilts.files import replace_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ResultRow:
    """A score with everything that is needed to know what it is a score of.

    Attributes:
        recipe: name of the recipe.
        method: canonical composition expression, as in the recipe.
        composition: what was composed for the evaluation.
        target: name of the target: the task that is scored, unless the recipe calls it otherwise.
        domain: its domain.
        source: the task whose data the target's own adapter was trained on first; ``none`` where only the
            target's few examples were, empty without training.
        setting: ``zero_shot``, ``few_shot k=50``, ``in_language`` or ``untrained``.
        language: of the examples.
        split: of the examples.
        metric: name of the score.
        value: the score; None where the method has no meaning on the target, or the data no labels.
        main: whether this is the target's main metric.
        seed: of the whole chain.
        draw: number of the few-shot sample; None in other settings.
        n: number of scored examples.
        parameters: trainable numbers, like all costs of the last training stage; 0 without one.
        examples_seen: examples that training passed over, repetitions counted.
        seconds: time of training.
        peak_bytes: highest memory in use; 0 where it was not measured.
        chain_examples_seen: examples that all training behind the model passed over, intermediates included.
        chain_seconds: time of all that training.
        shared_examples_seen: the same, an intermediate divided by the number of targets that this method uses it for.
        shared_seconds: time of training, counted so.
        disk_bytes: of all that predicting takes beside the pretrained backbone; of a whole model its weights.
        relation: how the method's adapters are related to the target's training data.
        select_on: whose validation data selected the model, ``source`` or ``target``; empty when nothing did.
        device: where it was computed.
        versions: library -> version.
        artifact: key of the evaluation's artifact; None where there is none.
    """

    recipe: str
    method: str
    composition: str
    target: str
    domain: str
    source: str
    setting: str
    language: str
    split: str
    metric: str
    value: float | None
    main: bool
    seed: int
    draw: int | None
    n: int
    parameters: int
    examples_seen: int
    seconds: float
    peak_bytes: int
    chain_examples_seen: int
    chain_seconds: float
    shared_examples_seen: int
    shared_seconds: float
    disk_bytes: int
    relation: str
    select_on: str
    device: str
    versions: dict[str, str]
    artifact: str | None


_NAMES = tuple(field.name for field in fields(ResultRow))
_FLAGS = ("main",)
_COUNTS = (
    "seed",
    "draw",
    "n",
    "parameters",
    "examples_seen",
    "peak_bytes",
    "chain_examples_seen",
    "shared_examples_seen",
    "disk_bytes",
)
_NUMBERS = ("value", "seconds", "chain_seconds", "shared_seconds")
_MAPS = ("versions",)
_NULLABLE = ("value", "draw", "artifact")


def write_rows(path: Path, rows: Iterable[ResultRow]) -> None:
    """Write rows as JSON lines, keys in the order of the fields; the file is replaced as a whole.

    Raises:
        DataError: a number is not finite, which JSON cannot hold.
    """
    replace_text(path, "".join(_line(path, number, row) + "\n" for number, row in enumerate(rows, 1)))


def _line(path: Path, number: int, row: ResultRow) -> str:
    values = asdict(row)
    values["versions"] = dict(sorted(row.versions.items()))
    for name in _NUMBERS:
        if values[name] is not None and not math.isfinite(values[name]):
            what = f"{name} of {row.method!r} on {row.target!r} is {values[name]}"
            raise DataError(Fault(f"{path}: line {number}", what, "look at this evaluation's predictions"))
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


def read_rows(path: Path) -> list[ResultRow]:
    """Return the rows of a file.

    Raises:
        DataError: the file or one of its lines cannot be read; names both.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(Fault(str(path), f"cannot be read: {error}", "run the recipe again")) from error
    return [_row(f"{path}: line {i}", line) for i, line in enumerate(lines, 1) if line.strip()]


def _row(where: str, line: str) -> ResultRow:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise DataError(Fault(where, f"is not JSON: {error}", _REMEDY)) from error
    if not isinstance(values, dict):
        raise DataError(Fault(where, "is not an object", _REMEDY))
    faults = [*_wrong_names(where, values), *_wrong_types(where, values)]
    if faults:
        raise DataError(*faults)
    return ResultRow(**values)


_REMEDY = "run the recipe again: finished stages are not computed anew"


def _wrong_names(where: str, values: Mapping[str, Any]) -> list[Fault]:
    missing = [Fault(where, f"has no {name!r}", _REMEDY) for name in _NAMES if name not in values]
    unknown = [
        Fault(where, f"{name!r} is not a field", suggest(name, _NAMES) or _REMEDY)
        for name in values
        if name not in _NAMES
    ]
    return missing + unknown


def _wrong_types(where: str, values: Mapping[str, Any]) -> list[Fault]:
    return [
        Fault(where, f"{name!r} cannot be {value!r}", _REMEDY)
        for name, value in values.items()
        if name in _NAMES and not _fits(name, value)
    ]


def _fits(name: str, value: Any) -> bool:
    if value is None:
        return name in _NULLABLE
    if name in _FLAGS:
        return isinstance(value, bool)
    if name in _COUNTS:
        return isinstance(value, int) and not isinstance(value, bool)
    if name in _NUMBERS:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if name in _MAPS:
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return isinstance(value, str)


def to_frame(rows: Sequence[ResultRow]) -> pd.DataFrame:
    """Return the rows as a table, one column a field; no rows give the columns alone."""
    import pandas as pd

    frame: pd.DataFrame = pd.DataFrame([asdict(row) for row in rows], columns=list(_NAMES))
    return frame

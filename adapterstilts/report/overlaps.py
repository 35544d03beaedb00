"""How much of the test data was met in training, on disk and in the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from adapterstilts.errors import DataError, Fault
from adapterstilts.files import replace_text

OVERLAP_FILE = "overlap.json"


@dataclass(frozen=True)
class Met:
    """Test examples of one split that were met in one split that is trained on.

    Attributes:
        training: ``task.language.split`` of the training or validation data.
        test: the same of the test data.
        rows: number of test examples.
        met: level (``exact``, ``normalised``, ``ngram``, ``ids``) -> number of test examples that were met.
    """

    training: str
    test: str
    rows: int
    met: Mapping[str, int]


def write_overlaps(folder: Path, overlaps: Sequence[Met]) -> None:
    """Write ``overlap.json``."""
    text = json.dumps([asdict(one) for one in overlaps], ensure_ascii=False, indent=1)
    replace_text(folder / OVERLAP_FILE, text + "\n")


def read_overlaps(folder: Path) -> list[Met]:
    """Return what `write_overlaps` wrote; nothing where a run wrote none.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / OVERLAP_FILE
    if not path.is_file():
        return []
    try:
        return [Met(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(Fault(str(path), f"cannot be read: {error}", "run the recipe again")) from error

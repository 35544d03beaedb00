"""Parquet files, as the hub's converted branches hold them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapterstilts.data.readers.base import Reader, Record, Tally, filled
from adapterstilts.errors import DataError, Fault


def _read(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    del options, tally
    for path in paths:
        yield from filled(_records(path), str(path))


def _records(path: Path) -> Iterator[Record]:
    # Imported here and without types: readers stay cheap to list, and pyarrow has no stubs.
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for fields in batch.to_pylist():
                    number += 1
                    yield Record(str(path), f"record {number}", fields)
    except (OSError, ValueError, arrow.ArrowException) as error:
        what = f"cannot be read as Parquet after {number} records"
        raise DataError(Fault(str(path), what, "the file may be cut off; fetch it again")) from error


READERS: Mapping[str, Reader] = {"parquet": Reader(_read)}

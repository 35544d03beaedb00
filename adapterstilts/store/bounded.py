"""Derived files under a bound: those that were not used for longest go first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from adapterstilts.errors import Fault, UsageError

BOUND_VARIABLE = "ADAPTERSTILTS_CACHE_GB"
_DEFAULT_GB = 10.0


def cache_bound() -> int:
    """Return how many bytes of hidden states a store may keep: ``$ADAPTERSTILTS_CACHE_GB``, else 10 GB.

    Raises:
        UsageError: when the variable is no number of at least 0.
    """
    given = os.environ.get(BOUND_VARIABLE)
    with contextlib.suppress(ValueError, OverflowError):
        bound = int((float(given) if given else _DEFAULT_GB) * 1e9)
        if bound >= 0:
            return bound
    raise UsageError(
        Fault(BOUND_VARIABLE, f"{given!r} is no number of gigabytes", "set a number, 0 to keep nothing")
    )


def mark_used(path: Path) -> None:
    """Remember that a file is used now; a read-only disk does not."""
    with contextlib.suppress(OSError):
        os.utime(path)


def make_room(folder: Path, bound: int) -> None:
    """Remove files until those of a folder take at most `bound` bytes. What is mapped into memory stays readable.

    A file that is larger than the bound goes first, as it could not stay even alone.
    """
    found = []
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):  # another process has removed it
            state = path.stat()
            found.append((state.st_size <= bound, state.st_mtime_ns, state.st_size, path))
    taken = sum(size for _, _, size, _ in found)
    for _, _, size, path in sorted(found):
        if taken <= bound:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        taken -= size

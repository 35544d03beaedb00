"""Encoded splits on disk: one file an array, mapped into memory when read, so that only what is used is loaded."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from adapterstilts.data.encoding.columns import Array, Encoded

VERSION = 1
"""Rises when the same rows are encoded in another way."""

CACHE = "encoded"
"""Below a store's cache."""

_INDEX = "index.json"
_LEVELS = ("per_unit", "per_sequence", "per_token")
_PLAIN = ("rows", "firsts", "bounds", "tokens")


def save(encoded: Encoded, folder: Path) -> None:
    """Write an encoding to a folder that appears only when it is complete.

    One that is there stays, unless it is damaged.
    A disk that is full or read-only loses nothing but time: the encoding is then made again.
    """
    temporary = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}")
    arrays = _arrays(encoded)
    index = {"ids": encoded.ids, "arrays": list(arrays)}
    try:
        temporary.mkdir(parents=True)
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        (temporary / _INDEX).write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
        if folder.exists() and load(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)


def load(folder: Path) -> Encoded | None:
    """Return the encoding that a folder holds, or None when there is none that can be read."""
    with contextlib.suppress(OSError, ValueError):
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        arrays = {name: _mapped(folder / f"{name}.npy") for name in index["arrays"]}
        rows, firsts, bounds, tokens = (arrays[name] for name in _PLAIN)
        per_unit, per_sequence, per_token = (_level(arrays, level) for level in _LEVELS)
        return Encoded(tuple(index["ids"]), rows, firsts, bounds, tokens, per_unit, per_sequence, per_token)
    return None


def _level(arrays: Mapping[str, Array], level: str) -> dict[str, Array]:
    start = f"{level}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def _mapped(path: Path) -> Array:
    # `np.load` raises an EOFError for an empty file, which a machine that lost its power may leave.
    array: Array = np.lib.format.open_memmap(path, mode="r")
    return array


def _arrays(encoded: Encoded) -> dict[str, Array]:
    arrays = {name: getattr(encoded, name) for name in _PLAIN}
    for level in _LEVELS:
        arrays |= {f"{level}.{name}": array for name, array in getattr(encoded, level).items()}
    return arrays

"""Hidden states below the lowest adapter on disk: computed once for the same data, mapped into memory when read.

An entry is one file ``(tokens, hidden)`` of a split, named by all that its bits depend on: the backbone, the layers,
the precision, the tokens, and the arithmetic of the machine. It appears when it is complete. Whether it was there
changes no bit of what is computed from it; where it cannot be kept, the same states lie in memory.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adapterstilts import killpoints
from adapterstilts.data.encoding.columns import Array, Encoded, IntArray
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.engine.prefix import canonical_states
from adapterstilts.store.bounded import make_room, mark_used
from adapterstilts.store.digest import digest, digest_bytes
from adapterstilts.tasks.spec import Json

VERSION = 1
"""Rises when the same states are computed in another layout."""

# NumPy has no bf16: its bits are kept as whole numbers.
_STORED = {torch.float32: torch.float32, torch.bfloat16: torch.int16}
_NUMPY = {torch.float32: np.dtype(np.float32), torch.int16: np.dtype(np.int16)}

OnPart = Callable[[int, int], None]
"""Told ``(tokens, of all)`` after every part that was computed."""


@dataclass(frozen=True)
class Keeping:
    """Where states are kept.

    Attributes:
        folder: of the entries.
        bound: bytes that they may take together between two uses.
        identity: what the bits depend on beside layers and data: backbone, precision, machine.
        progress: told while states are computed; it may raise to end that.
    """

    folder: Path
    bound: int
    identity: Mapping[str, Json]
    progress: OnPart = lambda tokens, total: None

    def close(self) -> None:
        """Remove entries over the bound."""
        make_room(self.folder, self.bound)


@dataclass(frozen=True)
class SplitStates:
    """Hidden state `layers` of the tokens of one split.

    Attributes:
        encoder: of the bare backbone.
        layers: how many layers are below the states.
        split: whose tokens are computed.
        keeping: where the states are kept.
    """

    encoder: FrozenEncoder
    layers: int
    split: Encoded
    keeping: Keeping

    def kept(self) -> Array:
        """Return the states ``(tokens, hidden)`` as they are stored: from the disk, or computed and written there."""
        path = self.keeping.folder / f"{self._name()}.npy"
        found = self._open(path)
        if found is not None:
            mark_used(path)
            return found
        try:
            self._write(path)
        except OSError:  # a disk that is full or read-only costs memory and time, nothing else
            return self.in_memory()
        written = self._open(path)
        return self.in_memory() if written is None else written

    def in_memory(self) -> Array:
        """Return the same without a trace on the disk."""
        found = np.empty(self._shape, self._dtype)
        for places, states in self._computed():
            found[places] = states
        return found

    def _name(self) -> str:
        columns = (self.split.tokens.astype(np.int32), self.split.bounds, self.split.firsts)
        data = [digest_bytes(np.ascontiguousarray(column).tobytes()) for column in columns]
        return digest([VERSION, self.keeping.identity, self.layers, data])

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self.split.tokens), self.encoder.hidden

    @property
    def _dtype(self) -> Any:
        return _NUMPY[_STORED[self.encoder.dtype]]

    def _open(self, path: Path) -> Array | None:
        """Return an entry, None where there is none that is whole."""
        with contextlib.suppress(OSError, ValueError):
            found: Array = np.lib.format.open_memmap(path, mode="r")
            if found.shape == self._shape and found.dtype == self._dtype:
                return found
        return None

    def _write(self, path: Path) -> None:
        """Write an entry, as a file and not through a map: a map on a full disk ends the process."""
        path.parent.mkdir(parents=True, exist_ok=True)
        size = len(self.split.tokens) * self.encoder.hidden * self._dtype.itemsize
        if size <= self.keeping.bound:
            make_room(path.parent, self.keeping.bound - size)
        temporary = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.part")
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": self._shape}
        try:
            with temporary.open("wb") as file:
                np.lib.format.write_array_header_1_0(file, header)
                start = file.tell()
                for places, states in self._computed():
                    for first, last in _runs(places):
                        file.seek(start + int(places[first]) * states[0].nbytes)
                        file.write(states[first:last].tobytes())
                    killpoints.reach("cache_write")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _computed(self) -> Iterator[tuple[IntArray, Array]]:
        """Yield places ``(part,)`` and their states as they are stored, ``(part, hidden)``."""
        done = 0
        for places, states in canonical_states(self.encoder, self.split, self.layers):
            yield places, states.cpu().view(_STORED[states.dtype]).numpy()
            done += len(places)
            self.keeping.progress(done, len(self.split.tokens))


def _runs(places: IntArray) -> list[tuple[int, int]]:
    """Return the stretches of consecutive places, each as its first index and the one after its last."""
    breaks: list[int] = (np.flatnonzero(np.diff(places) != 1) + 1).tolist()
    return list(zip([0, *breaks], [*breaks, len(places)], strict=True))

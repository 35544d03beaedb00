"""Tensors from files of others: the header is measured before the library reads it, and every number is a number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from adapterstilts.errors import Fault, StoreError

# Names, shapes and places of a unit's tensors take some hundred bytes each.
_LARGEST_HEADER = 4 << 20
_LENGTH_BYTES = 8
_REMEDY = "get it anew, or take another adapter"


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name.

    Raises:
        StoreError: when it is no such file, or its header is out of all proportion.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        size = path.stat().st_size
        if length > min(_LARGEST_HEADER, size - _LENGTH_BYTES):
            what = f"its weights cannot be read: its header says {length} bytes, of a file of {size}"
            raise StoreError(Fault(str(path), what, _REMEDY))
        return dict(load_file(str(path)))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StoreError(Fault(str(path), f"its weights cannot be read: {reason}", _REMEDY)) from error


def finite_faults(where: str, tensors: Mapping[str, Tensor]) -> list[Fault]:
    """Return which tensors hold values that are no numbers, the first three of them."""
    wrong = [name for name, tensor in sorted(tensors.items()) if not bool(torch.isfinite(tensor).all())]
    return [Fault(where, f"{name} has values that are no numbers") for name in wrong[:3]]

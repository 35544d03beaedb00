"""What encoding and decoding have to be told, and the form of a head's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Answer = npt.NDArray[Any]


@dataclass(frozen=True)
class Settings:
    """How rows are encoded.

    Attributes:
        labels: the task's label list.
        max_length: subwords a sequence has at most, special tokens included.
        stride: subwords from the start of one window of a long text to the start of the next; None: texts and
            choices are cut, sentences and plain text are split without overlap, passages move by 128.
        unanswerable: whether the empty answer is a prediction (span_qa).
    """

    labels: tuple[str, ...] = ()
    max_length: int = 128
    stride: int | None = None
    unanswerable: bool = False

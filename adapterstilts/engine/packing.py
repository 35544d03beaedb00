"""A batch as the row of its real tokens, and back.

Everything but attention treats tokens alone, so padding would be computed for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adapterstilts.data.tensors import Batch


@dataclass(frozen=True)
class Packing:
    """Where the real tokens of a batch lie.

    Attributes:
        sequences: how many.
        length: of the longest.
        cells: ``(tokens,)``, the place of each token in ``(sequences * length,)``.
        tokens_at: ``(sequences * length,)``, the token at each place; the first one where there is padding.
        padding: ``(padding places,)`` in ``(sequences * length,)``.
        first: ``(sequences,)``, the first token of each sequence.
    """

    sequences: int
    length: int
    cells: Tensor
    tokens_at: Tensor
    padding: Tensor
    first: Tensor

    @classmethod
    def of(cls, batch: Batch) -> Packing:
        """Return the packing of a batch that is padded on the right."""
        mask = batch.attention_mask.bool()
        sequences, length = mask.shape
        flat = mask.flatten()
        before = flat.cumsum(0) - 1
        return cls(
            sequences=sequences,
            length=length,
            cells=flat.nonzero()[:, 0],
            tokens_at=before.masked_fill(~flat, 0),
            padding=(~flat).nonzero()[:, 0],
            first=before.view(sequences, length)[:, 0],
        )

    def pack(self, values: Tensor) -> Tensor:
        """Return the real tokens' rows ``(tokens, ...)`` of ``(sequences, length, ...)``."""
        return values.flatten(0, 1).index_select(0, self.cells)

    def unpack(self, values: Tensor) -> Tensor:
        """Return ``(sequences, length, columns)`` of ``(tokens, columns)``, with zeros at padding."""
        padded: Tensor = _Unpack.apply(values, self)  # type: ignore[no-untyped-call]
        return padded.view(self.sequences, self.length, -1)

    def spread(self, values: Tensor) -> Tensor:
        """Return ``(sequences * length, columns)`` of ``(tokens, columns)``, with anything finite at padding.

        The gradient of padding has to be zero, as attention's mask makes it.
        """
        if not len(self.padding):
            return values
        spread: Tensor = _Spread.apply(values, self)  # type: ignore[no-untyped-call]
        return spread

    def gather(self, values: Tensor) -> Tensor:
        """Return ``(tokens, columns)`` of ``(sequences * length, columns)``."""
        if not len(self.padding):
            return values
        gathered: Tensor = _Gather.apply(values, self)  # type: ignore[no-untyped-call]
        return gathered

    def padded(self, values: Tensor) -> Tensor:
        """Return ``(sequences * length, columns)`` with zeros at padding, without a gradient."""
        return values.index_select(0, self.tokens_at).index_fill_(0, self.padding, 0)


# Plain indexing would add up gradients place by place, which costs more than attention itself.


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return values.index_select(0, packing.tokens_at)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.index_select(0, ctx.packing.cells), None


class _Unpack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return packing.padded(values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.index_select(0, ctx.packing.cells), None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return values.index_select(0, packing.cells)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.packing.padded(gradient), None

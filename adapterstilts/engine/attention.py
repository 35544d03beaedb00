"""Attention of packed tokens: padded to the batch's longest sequence, and only here.

On a CPU plain products are faster than torch's fused operator: in bf16 always (its gradient takes 3 to 8 times as
long), in fp32 for short sequences (its gradient takes twice as long at 20 subwords, and 15 % less at 128).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adapterstilts.engine.packing import Packing

# Subwords from which on the fused operator is faster in fp32.
_LONG = 128


def key_mask(packing: Packing, dtype: torch.dtype) -> Tensor:
    """Return ``(sequences, 1, 1, length)``: 0 at tokens and minus infinity at padding."""
    mask = torch.zeros(packing.sequences * packing.length, dtype=dtype, device=packing.cells.device)
    mask.index_fill_(0, packing.padding, float("-inf"))
    return mask.view(packing.sequences, 1, 1, packing.length)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Return what each query reads.

    Args:
        query: ``(sequences, heads, queries, size)``.
        key: ``(sequences, heads, length, size)``.
        value: ``(sequences, heads, length, size)``.
        mask: from `key_mask`.

    Returns:
        ``(sequences * queries, heads * size)``.
    """
    by_products = query.device.type == "cpu" and (query.dtype != torch.float32 or key.shape[2] < _LONG)
    read = _by_products(query, key, value, mask) if by_products else _fused(query, key, value, mask)
    sequences, heads, queries, size = read.shape
    return read.transpose(1, 2).reshape(sequences * queries, heads * size)


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _by_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    every_head = mask.expand(-1, query.shape[1], -1, -1)
    parts = (part.flatten(0, 1) for part in (query, key, value, every_head))
    read: Tensor = _Products.apply(*parts)  # type: ignore[no-untyped-call]
    return read.view_as(query)


class _Products(torch.autograd.Function):
    """Attention by plain products; keeps the shares for the gradient in the precision of the products, once."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        scores = torch.baddbmm(mask, query, key.mT, alpha=_scale(query))
        # A softmax in bf16 takes up to ten times as long for rows that do not fill a register, as most do not.
        shares = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        ctx.save_for_backward(query, key, value, shares)
        return torch.bmm(shares, value)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, key, value, shares = ctx.saved_tensors
        gradient = gradient.contiguous()
        scale, exact = _scale(query), shares.float()
        of_shares = torch.bmm(gradient, value.mT).float()
        mean = (exact * of_shares).sum(-1, keepdim=True)
        of_scores = of_shares.sub_(mean).mul_(exact).to(query.dtype)
        # With beta = 0 the first argument gives the shape and nothing else.
        of_query = torch.baddbmm(query, of_scores, key, beta=0, alpha=scale)
        of_key = torch.baddbmm(key, of_scores.mT, query, beta=0, alpha=scale)
        return of_query, of_key, torch.bmm(shares.mT, gradient), None


def _scale(query: Tensor) -> float:
    return float(query.shape[-1] ** -0.5)


def all_tokens(queries_keys_values: Tensor, packing: Packing, mask: Tensor, heads: int) -> Tensor:
    """Return what every token reads.

    Args:
        queries_keys_values: ``(tokens, 3 * hidden)``.
        packing: of the tokens.
        mask: from `key_mask`.
        heads: of attention.

    Returns:
        ``(tokens, hidden)``.
    """
    query, key, value = _by_head(packing.spread(queries_keys_values), packing, 3, heads)
    return packing.gather(attend(query, key, value, mask))


def first_tokens(query: Tensor, keys_values: Tensor, packing: Packing, mask: Tensor, heads: int) -> Tensor:
    """Return what the first token of each sequence reads.

    Args:
        query: ``(sequences, hidden)``, of the first tokens.
        keys_values: ``(tokens, 2 * hidden)``.
        packing: of the tokens.
        mask: from `key_mask`.
        heads: of attention.

    Returns:
        ``(sequences, hidden)``.
    """
    key, value = _by_head(packing.spread(keys_values), packing, 2, heads)
    return attend(query.view(packing.sequences, heads, 1, -1), key, value, mask)


def _by_head(values: Tensor, packing: Packing, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Return ``parts`` of ``(sequences, heads, length, size)`` of ``(sequences * length, parts * hidden)``."""
    apart = values.view(packing.sequences, packing.length, parts, heads, -1)
    return apart.permute(2, 0, 3, 1, 4).contiguous().unbind(0)

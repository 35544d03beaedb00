"""Attention of packed tokens: padded to the batch's longest sequence, and only here."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from adapterstilts.engine.packing import Packing


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
    # In bf16 on a CPU the fused operator's gradient is 3 to 8 times slower than plain products.
    plain = query.device.type == "cpu" and query.dtype == torch.bfloat16
    read = _by_products(query, key, value, mask) if plain else _fused(query, key, value, mask)
    sequences, heads, queries, size = read.shape
    return read.transpose(1, 2).reshape(sequences * queries, heads * size)


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _by_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    sequences, heads, queries, size = query.shape
    flat_query, flat_key, flat_value = (part.flatten(0, 1) for part in (query, key, value))
    flat_mask = mask.expand(-1, heads, -1, -1).flatten(0, 1)
    scores = torch.baddbmm(flat_mask, flat_query, flat_key.mT, alpha=size**-0.5)
    return torch.bmm(scores.softmax(-1), flat_value).view(sequences, heads, queries, size)


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

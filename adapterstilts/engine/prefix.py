"""Hidden states below the lowest adapter: the same for every stage over the same backbone and data.

They can be computed once and given to an assembly. Rounding depends on which sequences are computed together, so there
is one layout for it, `canonical_states`: with it a stage has the same bits whether the states were kept or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adapterstilts.data.batches import by_length
from adapterstilts.data.encoding.columns import Encoded, IntArray
from adapterstilts.data.tensors import Batch, collate
from adapterstilts.engine.adapters import LayerBlocks
from adapterstilts.engine.encoder import FrozenEncoder

# Part of the layout: another number gives other bits.
_TOKENS_PER_BATCH = 4096


@dataclass(frozen=True)
class Prefix:
    """Hidden states of the lowest layers, from wherever they come.

    Attributes:
        layers: how many layers are below the states; none of them carries an adapter.
        states: a batch -> hidden state `layers` of its tokens without padding, ``(tokens, hidden)``.
    """

    layers: int
    states: Callable[[Batch], Tensor]


@torch.no_grad()
def canonical_states(
    encoder: FrozenEncoder, encoded: Encoded, layers: int
) -> Iterator[tuple[IntArray, Tensor]]:
    """Yield hidden state `layers` of all tokens of a split, part by part.

    Args:
        encoder: of the bare backbone.
        encoded: the split, all of it: what is computed together depends on it.
        layers: how many layers are computed.

    Yields:
        Places ``(part,)`` among the split's tokens, and their states ``(part, hidden)``.
    """
    bare = (LayerBlocks(),) * layers
    for positions in by_length(encoded, _TOKENS_PER_BATCH):
        tokens = encoder.tokens(collate(encoded, positions, encoder.device))
        places = [np.arange(*encoded.bounds[own : own + 2]) for own in _sequences(encoded, positions)]
        yield np.concatenate(places), encoder.run(encoder.embed(tokens), tokens, bare, 0, layers)


def _sequences(encoded: Encoded, positions: list[int]) -> Iterator[int]:
    for position in positions:
        yield from range(encoded.firsts[position], encoded.firsts[position + 1])

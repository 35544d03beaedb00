"""The layers of a frozen XLM-R on packed tokens, from any layer to any layer.

Prepared once from the library's model and valid for as long as its weights stay what they are. The weights are not
copied but laid out anew (`adapterstilts.engine.linear`); word embeddings, most of a small model, are read in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from adapterstilts.data.tensors import Batch
from adapterstilts.engine import attention
from adapterstilts.engine.adapters import Block, LayerBlocks
from adapterstilts.engine.linear import FrozenLinear
from adapterstilts.engine.packing import Packing
from adapterstilts.specs import Precision

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


class FrozenNorm:
    """A frozen layer norm, ``(tokens, hidden) -> (tokens, hidden)``."""

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype) -> None:
        """Take a norm's weights in the precision of the states."""
        with torch.inference_mode(False), torch.no_grad():
            self._weight, self._bias = norm.weight.detach().to(dtype), norm.bias.detach().to(dtype)
        self._epsilon = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        """Return the normalised states."""
        return F.layer_norm(x, self._weight.shape, self._weight, self._bias, self._epsilon)


@dataclass(frozen=True)
class Tokens:
    """A packed batch under way.

    Attributes:
        packing: of the batch.
        mask: see `attention.key_mask`.
        ids: ``(tokens,)``, subwords.
        positions: ``(tokens,)``, XLM-R's: from one after the padding's id on; that id at a padding subword.
    """

    packing: Packing
    mask: Tensor
    ids: Tensor
    positions: Tensor


class FrozenLayer:
    """One transformer layer."""

    def __init__(self, layer: Any, heads: int, dtype: torch.dtype) -> None:
        """Take a layer of the library."""
        reads = layer.attention.self
        self._heads = heads
        self._queries_keys_values = FrozenLinear((reads.query, reads.key, reads.value), dtype)
        self._query = FrozenLinear((reads.query,), dtype)
        self._keys_values = FrozenLinear((reads.key, reads.value), dtype)
        self._attended = FrozenLinear((layer.attention.output.dense,), dtype)
        self._attention_norm = FrozenNorm(layer.attention.output.LayerNorm, dtype)
        self._widen = FrozenLinear((layer.intermediate.dense,), dtype)
        self._narrow = FrozenLinear((layer.output.dense,), dtype)
        self._output_norm = FrozenNorm(layer.output.LayerNorm, dtype)

    def __call__(self, x: Tensor, tokens: Tokens, blocks: LayerBlocks) -> Tensor:
        """Return the next states ``(tokens, hidden)``."""
        values = self._queries_keys_values(x)
        read = attention.all_tokens(values, tokens.packing, tokens.mask, self._heads)
        return self._rest(read, x, blocks)

    def first(self, x: Tensor, tokens: Tokens, blocks: LayerBlocks) -> Tensor:
        """Return the next states ``(sequences, hidden)`` of the first tokens alone; others give keys and values."""
        own = x.index_select(0, tokens.packing.first)
        read = attention.first_tokens(
            self._query(own), self._keys_values(x), tokens.packing, tokens.mask, self._heads
        )
        return self._rest(read, own, blocks)

    def _rest(self, read: Tensor, x: Tensor, blocks: LayerBlocks) -> Tensor:
        x = _adapted(self._attended(read), x, self._attention_norm, blocks.attention)
        return _adapted(self._narrow(F.gelu(self._widen(x))), x, self._output_norm, blocks.output)


def _adapted(states: Tensor, residual: Tensor, norm: FrozenNorm, blocks: Sequence[Block]) -> Tensor:
    """Return ``(tokens, hidden)``: the states after a place's blocks, the residual and the norm."""
    for block in blocks:
        states = states + block(norm(states + residual) if block.normed else states)
    return norm(states + residual)


class FrozenEncoder:
    """A frozen XLM-R encoder, of any size.

    Attributes:
        layers: how many.
        hidden: width of a state.
        dtype: of the states and the products.
        device: where they are computed.
    """

    def __init__(self, model: Any, precision: Precision) -> None:
        """Prepare the encoder of the library's model."""
        roberta = model.roberta
        self.dtype = DTYPES[precision]
        self._embeddings = roberta.embeddings
        # The states start in full precision, as wide embeddings lose most by rounding.
        self._norm = FrozenNorm(roberta.embeddings.LayerNorm, torch.float32)
        heads = model.config.num_attention_heads
        self._layers = [FrozenLayer(layer, heads, self.dtype) for layer in roberta.encoder.layer]
        self.layers = len(self._layers)
        self.hidden = int(model.config.hidden_size)
        self.device = self._embeddings.word_embeddings.weight.device

    def belongs_to(self, model: Any) -> bool:
        """Whether this was prepared from the library's model."""
        return model.roberta.embeddings is self._embeddings

    def tokens(self, batch: Batch) -> Tokens:
        """Return a batch's packed tokens."""
        packing = Packing.of(batch)
        padding = self._embeddings.padding_idx
        real = (batch.input_ids != padding).long()
        return Tokens(
            packing,
            attention.key_mask(packing, self.dtype),
            packing.pack(batch.input_ids),
            packing.pack(real.cumsum(1) * real + padding),
        )

    @torch.no_grad()
    def embed(self, tokens: Tokens) -> Tensor:
        """Return hidden state 0, ``(tokens, hidden)``."""
        words = F.embedding(tokens.ids, self._embeddings.word_embeddings.weight)
        kinds = self._embeddings.token_type_embeddings.weight[0]
        places = F.embedding(tokens.positions, self._embeddings.position_embeddings.weight)
        return self._norm(words + kinds + places).to(self.dtype)

    def run(
        self,
        states: Tensor,
        tokens: Tokens,
        blocks: Sequence[LayerBlocks],
        start: int,
        stop: int,
        *,
        first: bool = False,
        checkpointing: bool = False,
    ) -> Tensor:
        """Return hidden state `stop`.

        Args:
            states: hidden state `start`, ``(tokens, hidden)``.
            tokens: of the batch.
            blocks: the adapters of all layers.
            start: the first layer that is computed, from 0.
            stop: the layer before which it ends.
            first: whether only the first tokens are wanted.
            checkpointing: whether the inside of each layer is computed again for its gradient, in place of keeping it.

        Returns:
            ``(tokens, hidden)``, or ``(sequences, hidden)`` of the first tokens.
        """
        with torch.autocast(states.device.type, enabled=False):
            for place in range(start, stop):
                layer = self._layers[place]
                last = first and place == stop - 1
                compute = layer.first if last else layer
                if checkpointing:
                    states = checkpoint(compute, states, tokens, blocks[place], use_reentrant=False)
                else:
                    states = compute(states, tokens, blocks[place])
        return states.index_select(0, tokens.packing.first) if first and start == stop else states

"""Adapters on packed tokens, over the library's own parameters.

A place (after attention, or at the end of a layer) holds blocks that follow one another. Each adds to the states
what it makes of them, normalised with the place's own norm or not, as the adapter's configuration has it.

A fusion (Pfeiffer et al. 2021) of A adapters with bottlenecks ``z_a`` and outputs ``u_a = U_a z_a + b_a`` scores them
by ``(Q x) . (K u_a)`` and returns ``V`` of their mean. All of it is linear in ``z_a`` and 1, so the matrices are
multiplied with each other once a batch, and a token costs as much as in one adapter of A bottlenecks: nothing of the
size ``(tokens, A, hidden)`` is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from adapterstilts import compose
from adapterstilts.model.assembly import Assembly
from adapterstilts.model.blocks import memory_name
from adapterstilts.specs import NOTHING


class Block(Protocol):
    """One adapter, or several fused, at one place."""

    @property
    def normed(self) -> bool:
        """Whether it reads the states plus the residual, normalised; else the states as they are."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return what is added to the states, ``(tokens, hidden)`` for ``(tokens, hidden)``."""


@dataclass(frozen=True)
class LayerBlocks:
    """The blocks of a layer.

    Attributes:
        attention: after attention.
        output: at the end.
    """

    attention: tuple[Block, ...] = ()
    output: tuple[Block, ...] = ()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.attention or self.output)


@dataclass(frozen=True)
class Bottleneck:
    """One adapter of the library (``seq_bn``, ``double_seq_bn``), its parameters in place."""

    adapter: Any

    @property
    def normed(self) -> bool:
        """See `Block`."""
        return bool(self.adapter.original_ln_before)

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``(tokens, hidden)``."""
        down, up = self.adapter.adapter_down[0], self.adapter.adapter_up
        inner = self.adapter.non_linearity(_linear(x, down.weight, down.bias))
        added: Tensor = self.adapter.dropout(_linear(inner, up.weight, up.bias))
        return added


@dataclass(frozen=True)
class Fusion:
    """Attention over frozen adapters of one size, queried by their common input.

    Attributes:
        adapters: the library's, in order.
        layer: the library's fusion layer.
    """

    adapters: Sequence[Any]
    layer: Any

    @property
    def normed(self) -> bool:
        """See `Block`; the last adapter decides, as in the library."""
        return bool(self.adapters[-1].original_ln_before)

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``(tokens, hidden)``."""
        count = len(self.adapters)
        downs = [adapter.adapter_down[0] for adapter in self.adapters]
        inner = _linear(x, torch.cat([one.weight for one in downs]), torch.cat([one.bias for one in downs]))
        inner = self.adapters[0].non_linearity(inner)
        ups = self._ups().to(x.dtype)
        keys = self._keys(ups)
        query = self.layer.query
        # (tokens, adapters * size + adapters): what each inner value, and the constant, counts for the score.
        weights = _linear(x, keys.T @ query.weight.to(x.dtype), keys.T @ query.bias.to(x.dtype)).float()
        # Short rows of bf16 are slow to add up, multiply and normalise, so all between two products is fp32.
        by_adapter = inner.float().view(len(x), count, -1)
        size = inner.shape[1]
        scores = (weights[:, :size].view_as(by_adapter) * by_adapter).sum(-1) + weights[:, size:]
        shares = self.layer.dropout(scores).softmax(-1)
        mixed = torch.cat([(shares[..., None] * by_adapter).flatten(1), shares], 1).to(x.dtype)
        return F.linear(mixed, self.layer.value.weight.to(x.dtype) @ ups)

    def _ups(self) -> Tensor:
        """Return ``(hidden, adapters * size + adapters)``: the up-projections, then their biases."""
        ups = [adapter.adapter_up for adapter in self.adapters]
        return torch.cat([one.weight for one in ups] + [one.bias[:, None] for one in ups], 1)

    def _keys(self, ups: Tensor) -> Tensor:
        """Return the key of each column of `ups`; the key's bias belongs to the constants."""
        weight, bias = self.layer.key.weight.to(ups.dtype), self.layer.key.bias.to(ups.dtype)
        constant = F.pad(bias[:, None].expand(-1, len(self.adapters)), (ups.shape[1] - len(self.adapters), 0))
        keys: Tensor = weight @ ups + constant
        return keys


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the product in the states' precision; the parameters stay as they are."""
    return F.linear(x, weight.to(x.dtype), bias.to(x.dtype))


def blocks_of(assembly: Assembly) -> tuple[LayerBlocks, ...]:
    """Return the blocks of each layer that an assembly's composition means."""
    parts = _parts(assembly.blueprint.composition)
    return tuple(
        LayerBlocks(_at(layer.attention.output, parts), _at(layer.output, parts))
        for layer in assembly.model.roberta.encoder.layer
    )


def adapter_free(blocks: Sequence[LayerBlocks]) -> int:
    """Return how many of the lowest layers carry no adapter."""
    return next((layer for layer, own in enumerate(blocks) if own), len(blocks))


def _parts(composition: str) -> tuple[tuple[str, ...], ...]:
    """Return the adapters' names in memory of each part of a stack; several in one part are fused."""
    if composition == NOTHING:
        return ()
    expression = compose.parse(composition)
    stacked = (
        expression.children
        if isinstance(expression, compose.Group) and expression.function == "stack"
        else (expression,)
    )
    return tuple(tuple(memory_name(name) for name in compose.leaves(part)) for part in stacked)


def _at(place: Any, parts: Sequence[Sequence[str]]) -> tuple[Block, ...]:
    """Return the blocks at a place; adapters that leave its layer out are not there."""
    blocks: list[Block] = []
    for names in parts:
        adapters = [place.adapters[name] for name in names if name in place.adapters]
        if len(names) == 1:
            blocks += map(Bottleneck, adapters)
        elif adapters:
            blocks.append(Fusion(adapters, place.adapter_fusion_layer[",".join(names)]))
    return tuple(blocks)

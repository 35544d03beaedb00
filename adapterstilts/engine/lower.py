"""The lowest layers of all data that a stage reads, in place of computing them batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from adapterstilts.data.encoding.columns import IGNORED, Array, Encoded, join
from adapterstilts.data.tensors import Batch
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.engine.kept import Keeping, SplitStates
from adapterstilts.engine.prefix import Prefix

# The per-token column that says where a token's state lies among all that were added.
_PLACE = "place"


@dataclass
class LowerStates:
    """Hidden state `layers` of the splits that were added.

    Attributes:
        encoder: of the bare backbone.
        layers: how many layers are below the states.
        keeping: where they are kept.
    """

    encoder: FrozenEncoder
    layers: int
    keeping: Keeping
    _parts: list[Array] = field(default_factory=list)
    _starts: list[int] = field(default_factory=lambda: [0])

    def add(self, splits: Sequence[Encoded], *, keep: bool) -> Encoded:
        """Return the units of several splits of one task, joined; their tokens know where their states lie.

        Args:
            splits: one after the other.
            keep: whether a copy of the states may stay on the disk.
        """
        return join([self._placed(split, keep) for split in splits])

    @property
    def prefix(self) -> Prefix:
        """What an assembly takes in place of the lowest layers."""
        return Prefix(self.layers, self._states)

    def _placed(self, split: Encoded, keep: bool) -> Encoded:
        states = SplitStates(self.encoder, self.layers, split, self.keeping)
        self._parts.append(states.kept() if keep else states.in_memory())
        start = self._starts[-1]
        self._starts.append(start + len(split.tokens))
        return replace(split, per_token={**split.per_token, _PLACE: np.arange(start, self._starts[-1])})

    def _states(self, batch: Batch) -> Tensor:
        """Return the states ``(tokens, hidden)`` of a batch's tokens without padding, in their order."""
        column = batch.per_token[_PLACE].flatten().cpu().numpy()
        places = column[column != IGNORED]
        owners = np.searchsorted(self._starts, places, side="right") - 1
        rows = np.empty((len(places), self.encoder.hidden), self._parts[0].dtype)
        for owner in np.unique(owners):
            own = owners == owner
            rows[own] = self._parts[owner][places[own] - self._starts[owner]]
        return torch.from_numpy(rows).view(self.encoder.dtype).to(self.encoder.device)

"""Units to padded tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from adapterstilts.data.encoding.columns import IGNORED, Array, Encoded

PAD_ID = 1


@dataclass(frozen=True)
class Batch:
    """A padded batch.

    Attributes:
        input_ids: ``(sequences, length)``, subword ids, padded on the right.
        attention_mask: ``(sequences, length)``, 1 for a subword and 0 for padding.
        sizes: number of sequences of each unit; they lie one after the other.
        ids: of each unit's row, for messages.
        per_unit: name -> ``(units, ...)``.
        per_sequence: name -> ``(sequences, ...)``.
        per_token: name -> ``(sequences, length)``, -100 at padding.
        class_weights: ``(labels,)``, what the loss of each class counts; None where all count the same.
    """

    input_ids: Tensor
    attention_mask: Tensor
    sizes: tuple[int, ...]
    ids: tuple[str, ...]
    per_unit: Mapping[str, Tensor] = field(default_factory=lambda: MappingProxyType({}))
    per_sequence: Mapping[str, Tensor] = field(default_factory=lambda: MappingProxyType({}))
    per_token: Mapping[str, Tensor] = field(default_factory=lambda: MappingProxyType({}))
    class_weights: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Subwords without padding."""
        return int(self.attention_mask.sum())

    def part(self, units: Sequence[int]) -> Batch:
        """Return the batch of some units, none among them, at the same length.

        Args:
            units: places in this batch.
        """
        bounds = np.cumsum([0, *self.sizes])
        places = [place for unit in units for place in range(bounds[unit], bounds[unit + 1])]
        own = torch.tensor(units, dtype=torch.int64, device=self.input_ids.device)
        rows = torch.tensor(places, dtype=torch.int64, device=self.input_ids.device)
        return replace(
            self,
            input_ids=self.input_ids[rows],
            attention_mask=self.attention_mask[rows],
            sizes=tuple(self.sizes[unit] for unit in units),
            ids=tuple(self.ids[unit] for unit in units),
            per_unit={name: values[own] for name, values in self.per_unit.items()},
            per_sequence={name: values[rows] for name, values in self.per_sequence.items()},
            per_token={name: values[rows] for name, values in self.per_token.items()},
        )


def collate(encoded: Encoded, positions: Sequence[int], device: torch.device) -> Batch:
    """Return the batch of some units, padded to the longest sequence among them."""
    places = np.concatenate([np.arange(encoded.firsts[p], encoded.firsts[p + 1]) for p in positions])
    starts = encoded.bounds[places]
    lengths = encoded.bounds[places + 1] - starts
    reach = np.arange(lengths.max())
    mask = reach[None] < lengths[:, None]
    # Padding reads some token as well, which the mask then replaces.
    cells = np.minimum(starts[:, None] + reach[None], len(encoded.tokens) - 1)

    def padded(column: Array, filler: int) -> Tensor:
        return _tensor(np.where(mask, column[cells], filler), device)

    return Batch(
        input_ids=padded(encoded.tokens, PAD_ID),
        attention_mask=_tensor(mask, device),
        sizes=tuple(encoded.counts[position] for position in positions),
        ids=tuple(encoded.ids[encoded.rows[position]] for position in positions),
        per_unit={name: _tensor(column[positions], device) for name, column in encoded.per_unit.items()},
        per_sequence={name: _tensor(column[places], device) for name, column in encoded.per_sequence.items()},
        per_token={name: padded(column, IGNORED) for name, column in encoded.per_token.items()},
    )


def _tensor(values: Array, device: torch.device) -> Tensor:
    """Return whole numbers as int64 and others as float32."""
    kind = np.float32 if np.issubdtype(values.dtype, np.floating) else np.int64
    return torch.from_numpy(values.astype(kind)).to(device)

"""Masked language modelling: which subwords are hidden, drawn anew at every step (Devlin et al. 2019)."""

from __future__ import annotations

from dataclasses import replace

import torch

from adapterstilts.data.encoding.columns import IGNORED
from adapterstilts.data.tensors import Batch

_SHARE = 0.15
_MASKED, _RANDOM = 0.8, 0.1
# <s> <pad> </s> <unk>, which XLM-R's vocabulary begins with; so padding is never chosen either.
_SPECIALS = 4


TOLD = "told"
"""The per-token column of what has to be told: the subword that is hidden, -100 where none is."""


def mask(batch: Batch, mask_id: int, vocabulary: int, seed: int) -> Batch:
    """Return a batch of which 15 % of the subwords are chosen, at least one.

    Of the chosen 80 % are replaced by `mask_id`, 10 % by a random subword, and 10 % stay. The column `TOLD` has
    what was there.

    Args:
        batch: of plain text.
        mask_id: the masking subword.
        vocabulary: subwords that may stand in for others: ids below it, special ones aside.
        seed: of the draw, which is the same on every device.
    """
    ids = batch.input_ids
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(ids.shape, generator=generator)
    fate = torch.rand(ids.shape, generator=generator).to(ids.device)
    others = torch.randint(_SPECIALS, vocabulary, ids.shape, generator=generator).to(ids.device)
    open_places = (ids >= _SPECIALS) & (ids != mask_id)
    draw = draw.to(ids.device).masked_fill(~open_places, 2.0)
    # A short batch may draw none: the loss of nothing is not a number.
    chosen = ((draw < _SHARE) | (draw == draw.min())) & open_places
    seen = torch.where(chosen & (fate < _MASKED), mask_id, ids)
    seen = torch.where(chosen & (fate >= 1 - _RANDOM), others, seen)
    told = torch.where(chosen, ids, IGNORED)
    return replace(batch, input_ids=seen, per_token={**batch.per_token, TOLD: told})

"""What an adapter makes of a target's examples: hidden states, and the answers that belong to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from adapterstilts.data.batches import by_length, derive_seed
from adapterstilts.data.encoding.columns import IGNORED, Array, Encoded, Unit
from adapterstilts.data.tensors import collate
from adapterstilts.model.assembly import Assembly
from adapterstilts.search.selectors import Floats
from adapterstilts.specs import Numerics
from adapterstilts.stages.retrieval import Placed
from adapterstilts.training.loop import autocast

# Units that are read, and tokens that are kept of them where answers are told token by token.
_UNITS, _TOKENS = 600, 2000
_BATCH = 4096


@dataclass(frozen=True)
class Answers:
    """The answers of a sample of a target's training data.

    Attributes:
        encoded: the data.
        units: positions of the sample.
        tokens: whether each token has an answer, or each sequence.
        values: answers ``(sequences or tokens, columns)`` of the sample, in the order of the units.
        kept: positions of those that have one.
        classes: whether exactly one column holds.
    """

    encoded: Encoded
    units: tuple[int, ...]
    tokens: bool
    values: Floats
    kept: Array
    classes: bool


def sample(count: int) -> tuple[int, ...]:
    """Return the positions of a sample of `count` units, in order and always the same."""
    chosen = np.random.default_rng(derive_seed(0, "rank", "sample")).permutation(count)[:_UNITS]
    return tuple(sorted(int(place) for place in chosen))


def answers_of(encoded: Encoded, kind: str, labels: int) -> Answers:
    """Return the answers of a sample.

    Args:
        encoded: a target's training data.
        kind: of the task.
        labels: number of its labels; 0 for kinds without.
    """
    units = sample(len(encoded))
    tokens = kind in ("tagging", "span_qa")
    told = np.concatenate([_told(encoded, unit, kind) for unit in units])
    kept = np.flatnonzero(told.reshape(len(told), -1)[:, 0] != IGNORED)
    if tokens and len(kept) > _TOKENS:
        chance = np.random.default_rng(derive_seed(0, "rank", "tokens"))
        kept = np.sort(chance.permutation(kept)[:_TOKENS])
    classes = kind not in ("multilabel", "regression")
    wide = max(labels, int(told[kept].max()) + 1, 2) if classes else 0
    values = np.eye(wide)[told[kept].astype(int)] if classes else told[kept].reshape(len(kept), -1)
    return Answers(encoded, units, tokens, np.asarray(values, dtype=np.float64), kept, classes)


def _told(encoded: Encoded, unit: int, kind: str) -> Array:
    """Return the answers of a unit, one a sequence or one a token."""
    if kind == "tagging":
        return encoded.token_values("label", unit)
    if kind == "span_qa":
        places = np.arange(len(encoded.sequences(unit)[0]))
        start, end = int(encoded.per_unit["start"][unit]), int(encoded.per_unit["end"][unit])
        return np.asarray((places >= start) & (places < end), dtype=np.int64)
    if kind == "multiple_choice":
        right = int(encoded.per_unit["label"][unit])
        return np.asarray(np.arange(encoded.counts[unit]) == right, dtype=np.int64)
    if kind == "multi_select":
        first = int(encoded.firsts[unit])
        return encoded.per_sequence["label"][first : first + encoded.counts[unit]]
    return encoded.per_unit["label"][unit : unit + 1]


def states(
    assembly: Assembly,
    encoded: Encoded,
    units: tuple[int, ...],
    numerics: Numerics,
    *,
    tokens: bool,
    placed: Placed = lambda encoded: encoded,
) -> Floats:
    """Return the last hidden states of units, in their order.

    Args:
        assembly: in evaluation mode.
        encoded: data.
        units: positions of the units that are read.
        numerics: precision of the matrix products.
        tokens: whether every token is wanted, or the mean of each sequence.
        placed: tells an encoding where states of its tokens lie that are given.

    Returns:
        ``(sequences, hidden)``, means over the tokens; or ``(tokens, hidden)``.
    """
    part = placed(_part(encoded, units))
    found: list[Array] = [np.zeros(0)] * len(part)
    layer = int(assembly.model.config.num_hidden_layers)
    for positions in by_length(part, _BATCH):
        batch = collate(part, positions, assembly.backbone.device)
        with torch.inference_mode(), autocast(assembly.backbone.device, numerics):
            state = assembly.hidden(batch, layer).float()
        rows = iter(zip(state, batch.attention_mask, strict=True))
        for position in positions:
            own = [
                hidden[mask.bool()].cpu().numpy()
                for hidden, mask in (next(rows) for _ in range(part.counts[position]))
            ]
            found[position] = np.concatenate(own) if tokens else np.stack([one.mean(0) for one in own])
    return np.asarray(np.concatenate(found), dtype=np.float64)


def _part(encoded: Encoded, units: tuple[int, ...]) -> Encoded:
    """Return some units alone, without their answers."""
    chosen = [Unit(int(encoded.rows[unit]), encoded.sequences(unit)) for unit in units]
    return Encoded.of(encoded.ids, chosen)

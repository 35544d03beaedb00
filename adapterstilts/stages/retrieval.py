"""Sentences that translate each other, found by their vectors without any training: ranking and mining."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from adapterstilts.data.batches import by_length
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.sides import encode_sentences
from adapterstilts.data.rows import PairRow
from adapterstilts.data.tensors import collate
from adapterstilts.errors import DataError, Fault
from adapterstilts.metrics.bitext import best_threshold, extract, pair_predictions
from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.margin import mine
from adapterstilts.model.assembly import Assembly
from adapterstilts.specs import Evaluate, RetrievalSpec
from adapterstilts.training.loop import autocast

MINING_METRIC = "bitext_f1"
Placed = Callable[[Encoded], Encoded]

_RANKED = 10
# Every query is compared with all candidates; this many at a time.
_QUERIES = 1024


def retrieve(
    assembly: Assembly,
    spec: Evaluate,
    retrieval: RetrievalSpec,
    rows: Sequence[PairRow],
    placed: Placed = lambda encoded: encoded,
) -> tuple[list[Prediction], int]:
    """Return predictions and the number of subwords that were computed.

    Where `MINING_METRIC` is asked for, pairs are mined among all sentences; else each source ranks all targets.

    Args:
        assembly: in evaluation mode.
        spec: of the stage.
        retrieval: how sentences become vectors.
        rows: pairs of sentences.
        placed: tells an encoding where states of its tokens lie that are given.
    """
    work = _mine if MINING_METRIC in spec.metrics else _rank
    return work(_Sentences(assembly, spec, retrieval, placed), rows)


@dataclass(frozen=True)
class _Sentences:
    """Makes vectors of sentences."""

    assembly: Assembly
    spec: Evaluate
    retrieval: RetrievalSpec
    placed: Placed

    def vectors(self, ids: Sequence[str], texts: Sequence[str]) -> tuple[Tensor, int]:
        """Return unit vectors ``(sentences, hidden)`` on the CPU, and the subwords that were computed."""
        tokenizer = self.assembly.backbone.tokenizer
        encoded = self.placed(encode_sentences(ids, texts, tokenizer, self.spec.max_length))
        vectors = torch.zeros(len(encoded), self.assembly.backbone.hidden)
        for positions in by_length(encoded, self.spec.tokens_per_batch):
            vectors[positions] = self._pooled(encoded, positions).cpu()
        if self.retrieval.centre:
            vectors = vectors - vectors.mean(0, keepdim=True)
        return F.normalize(vectors, dim=-1), encoded.computed

    @torch.inference_mode()
    def _pooled(self, encoded: Encoded, positions: Sequence[int]) -> Tensor:
        """Return the pooled states ``(sentences, hidden)`` of a batch."""
        device = self.assembly.backbone.device
        batch = collate(encoded, positions, device)
        with autocast(device, self.spec.numerics):
            state = self.assembly.hidden(batch, self.retrieval.layer).float()
        if self.retrieval.pooling == "first":
            return state[:, 0]
        weights = batch.attention_mask.unsqueeze(-1).float()
        return (state * weights).sum(1) / weights.sum(1)


def _rank(sentences: _Sentences, rows: Sequence[PairRow]) -> tuple[list[Prediction], int]:
    """Rank all targets for each source by cosine, best first."""
    pairs = [(row.id, row.source, row.target) for row in rows if row.source and row.target]
    if len(pairs) < len(rows):
        what = f"{len(rows) - len(pairs)} sentences have no partner, so they cannot be ranked"
        raise DataError(Fault("retrieval", what, f"score them by {MINING_METRIC}"))
    ids = [id_ for id_, _, _ in pairs]
    sources, first = sentences.vectors(ids, [source for _, source, _ in pairs])
    targets, second = sentences.vectors(ids, [target for _, _, target in pairs])
    best = min(_RANKED, len(ids))
    ranked = torch.cat(
        [(part @ targets.T).topk(best, dim=1).indices for part in torch.split(sources, _QUERIES)]
    )
    predictions = [
        Prediction(id_, id_, [ids[i] for i in order]) for id_, order in zip(ids, ranked.tolist(), strict=True)
    ]
    return predictions, first + second


def _mine(sentences: _Sentences, rows: Sequence[PairRow]) -> tuple[list[Prediction], int]:
    """Mine pairs by margin and keep those above the best threshold on the gold pairs (BUCC; Hu et al. 2020)."""
    sources = _ids_by_text((row.source, row.source_id or row.id) for row in rows)
    targets = _ids_by_text((row.target, row.target_id or row.id) for row in rows)
    gold = {
        (row.source_id or row.id, row.target_id or row.id)
        for row in rows
        if row.source is not None and row.target is not None
    }
    left, first = sentences.vectors(list(sources), list(sources))
    right, second = sentences.vectors(list(targets), list(targets))
    source_ids, target_ids = list(sources.values()), list(targets.values())
    scores = {
        (source_ids[i][0], target_ids[j][0]): score
        for i, j, score in mine(left.numpy(), right.numpy())
        if len(source_ids[i]) == len(target_ids[j]) == 1
    }
    found = extract(scores, best_threshold(scores, gold))
    return pair_predictions(gold, found, [id_ for ids in source_ids for id_ in ids]), first + second


def _ids_by_text(sentences: Iterable[tuple[str | None, str]]) -> dict[str, tuple[str, ...]]:
    """Return each distinct sentence with its ids.

    XTREME mines distinct sentences and then drops the pairs of those with several ids, which are ambiguous.
    """
    found: dict[str, dict[str, None]] = {}
    for text, id_ in sentences:
        if text is not None:
            found.setdefault(text, {})[id_] = None
    return {text: tuple(ids) for text, ids in found.items()}

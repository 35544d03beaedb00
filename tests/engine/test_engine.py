"""The engine computes what the library computes: scores, losses and gradients, whatever the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from torch import Tensor

from adapterstilts.data.tensors import Batch
from adapterstilts.model.assembly import Blueprint, HeadSpec, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import AdapterSpec

from .examples import CLASSES, assert_same_gradients, batch_for, batch_of, load, paired, save_adapter

LONGEST = tiny.CONFIG["max_position_embeddings"] - 2
BATCHES: Mapping[str, Batch] = {
    "mixed": batch_of([5, 3, 9, 2, 17, 4]),
    "one": batch_of([6]),
    "one word": batch_of([3]),
    "empty texts": batch_of([2, 2]),
    "an empty text": batch_of([7, 2]),
    "equal lengths": batch_of([6, 6, 6]),
    "one shorter by one": batch_of([8, 8, 7]),
    "longest": batch_of([LONGEST, 3, LONGEST]),
    "sorted": batch_of([3, 4, 4, 5, 9]),
    "many": batch_of(list(range(2, 40))),
}
COMPOSITIONS = (
    "stack()",
    "self",
    "x0",
    "stack(x0, self)",
    "stack(x0, x1, self)",
    "fuse(x0, x1)",
    "fuse(x0, x1, x2)",
    "stack(fuse(x0, x1), self)",
    "stack(x0, fuse(x1, x2))",
    "stack(x0, fuse(x1, x2), self)",
)
ADAPTERS = {
    "seq_bn": AdapterSpec("seq_bn", 4),
    "double_seq_bn": AdapterSpec("double_seq_bn", 8),
    "seq_bn from layer 2": AdapterSpec("seq_bn", 16, skip_layers=2),
}


@pytest.fixture(scope="module")
def saved(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Three saved adapters of each kind."""
    backbone = load(backbone_folder)
    return {
        kind: {
            f"x{i}": save_adapter(backbone, tmp_path_factory.mktemp("saved"), spec, i) for i in range(3)
        }
        for kind, spec in ADAPTERS.items()
    }


def blueprint_of(composition: str, kind: str, saved: dict[str, dict[str, Path]]) -> Blueprint:
    used = {position: folder for position, folder in saved[kind].items() if position in composition}
    adapter = ADAPTERS[kind] if "self" in composition else None
    return Blueprint(composition, used, adapter=adapter, heads=(CLASSES,))


def difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours.detach().float() - theirs.detach().float()).abs().max())


@pytest.mark.parametrize("name", BATCHES)
def test_scores_are_the_librarys_whatever_the_batch(
    backbone: Backbone, saved: dict[str, dict[str, Path]], name: str
) -> None:
    blueprint = blueprint_of("stack(fuse(x0, x1), self)", "seq_bn", saved)
    with paired(backbone, blueprint) as pair, torch.inference_mode():
        ours, theirs = pair.engine.logits(BATCHES[name]), pair.library.logits(BATCHES[name])
        assert difference(ours, theirs) < 1e-5
        assert theirs.abs().max() > 0.1


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_every_composition_trains_as_in_the_library(
    backbone: Backbone, saved: dict[str, dict[str, Path]], composition: str, kind: str
) -> None:
    blueprint = blueprint_of(composition, kind, saved)
    for name in ("mixed", "one", "equal lengths"):
        with paired(backbone, blueprint) as pair:
            assert difference(pair.engine.logits(BATCHES[name]), pair.library.logits(BATCHES[name])) < 1e-5
            loss, ours = pair.gradients(pair.engine, BATCHES[name])
            expected, theirs = pair.gradients(pair.library, BATCHES[name])
            assert abs(loss - expected) < 1e-5
            assert_same_gradients(ours, theirs)

"""The engine computes what the library computes: scores, losses and gradients of every composition and batch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import tiny
import torch
from handmade import encoded
from torch import Tensor

from adapterstilts.data.tensors import Batch, collate
from adapterstilts.model.assembly import Blueprint
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import AdapterSpec

from .examples import CLASSES, CPU, assert_same_gradients, batch_of, difference, load, paired, save_adapter

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
        kind: {f"x{i}": save_adapter(backbone, tmp_path_factory.mktemp("saved"), spec, i) for i in range(3)}
        for kind, spec in ADAPTERS.items()
    }


def blueprint_of(composition: str, kind: str, saved: dict[str, dict[str, Path]]) -> Blueprint:
    used = {position: folder for position, folder in saved[kind].items() if position in composition}
    adapter = ADAPTERS[kind] if "self" in composition else None
    return Blueprint(composition, used, adapter=adapter, heads=(CLASSES,))


@pytest.mark.parametrize("name", BATCHES)
def test_scores_are_the_librarys_whatever_the_batch(
    backbone: Backbone, saved: dict[str, dict[str, Path]], name: str
) -> None:
    blueprint = blueprint_of("stack(fuse(x0, x1), self)", "seq_bn", saved)
    with paired(backbone, blueprint) as pair, torch.inference_mode():
        ours, theirs = pair.engine.logits(BATCHES[name]), pair.library.logits(BATCHES[name])
        assert difference(ours, theirs) < 1e-5
        assert theirs.std() > 0.01


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


@pytest.mark.parametrize("first", ["seq_bn", "double_seq_bn"])
def test_adapters_of_two_kinds_can_be_stacked(
    backbone: Backbone, saved: dict[str, dict[str, Path]], first: str
) -> None:
    other = ADAPTERS["double_seq_bn" if first == "seq_bn" else "seq_bn"]
    blueprint = Blueprint("stack(x0, self)", {"x0": saved[first]["x0"]}, adapter=other, heads=(CLASSES,))
    with paired(backbone, blueprint) as pair:
        _, ours = pair.gradients(pair.engine, BATCHES["mixed"])
        _, theirs = pair.gradients(pair.library, BATCHES["mixed"])
        assert_same_gradients(ours, theirs)


def test_a_stack_of_different_depths(backbone: Backbone, saved: dict[str, dict[str, Path]]) -> None:
    inputs = {"x0": saved["seq_bn"]["x0"]}
    blueprint = Blueprint(
        "stack(x0, self)", inputs, adapter=ADAPTERS["seq_bn from layer 2"], heads=(CLASSES,)
    )
    with paired(backbone, blueprint) as pair:
        assert difference(pair.engine.logits(BATCHES["mixed"]), pair.library.logits(BATCHES["mixed"])) < 1e-5


def test_a_padding_subword_in_a_text_has_no_position(backbone: Backbone) -> None:
    batch = collate(encoded([[[0, 7, 1, 9, 2]], [[0, 7, 9, 1, 1, 2]], [[0, 5, 2]]]), range(3), CPU)
    with paired(backbone, Blueprint("self", adapter=ADAPTERS["seq_bn"], heads=(CLASSES,))) as pair:
        assert difference(pair.engine.logits(batch), pair.library.logits(batch)) < 1e-5


@pytest.mark.parametrize("composition", ["self", "fuse(x0, x1, x2)", "stack(fuse(x0, x1), self)"])
def test_bf16_is_close(backbone: Backbone, saved: dict[str, dict[str, Path]], composition: str) -> None:
    """As close to fp32 as the library's own bf16, within a factor."""
    blueprint, batch = blueprint_of(composition, "seq_bn", saved), BATCHES["many"]
    with paired(backbone, blueprint, "bf16") as pair:
        exact = pair.library.logits(batch)
        _, expected = pair.gradients(pair.library, batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            theirs, ours = pair.library.logits(batch), pair.engine.logits(batch)
            _, their_gradients = pair.gradients(pair.library, batch)
            _, our_gradients = pair.gradients(pair.engine, batch)
        assert ours.dtype == theirs.dtype
        assert difference(ours, exact) < 3 * difference(theirs, exact) < 0.3
        assert cosine(our_gradients, expected) > 1 - 3 * (1 - cosine(their_gradients, expected))
        assert cosine(our_gradients, expected) > 0.99
        assert all(gradient.dtype == torch.float32 for gradient in our_gradients.values())


def cosine(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    first, second = (torch.cat([one[name].flatten() for name in theirs]) for one in (ours, theirs))
    return float(torch.nn.functional.cosine_similarity(first, second, dim=0))


def test_a_fusions_dropout_is_the_librarys(backbone: Backbone, saved: dict[str, dict[str, Path]]) -> None:
    """Where every score is dropped but scaled, both give every adapter the same share."""
    with paired(backbone, blueprint_of("fuse(x0, x1)", "seq_bn", saved)) as pair:
        layers = [layer.output.adapter_fusion_layer for layer in pair.library.model.roberta.encoder.layer]
        dropouts = [fusion.dropout for own in layers for fusion in own.values()]
        exact = pair.library.logits(BATCHES["mixed"])
        assert {dropout.p for dropout in dropouts} == {tiny.CONFIG["attention_probs_dropout_prob"]}
        for dropout in dropouts:
            dropout.p = 1.0
            dropout.train()
        ours, theirs = pair.engine.logits(BATCHES["mixed"]), pair.library.logits(BATCHES["mixed"])
        assert difference(ours, theirs) < 1e-5 < difference(theirs, exact)


def test_a_fusions_dropout_drops_scores_themselves(
    backbone: Backbone, saved: dict[str, dict[str, Path]]
) -> None:
    """A score's constant part, which a softmax alone would not show, is dropped with it."""
    with paired(backbone, blueprint_of("fuse(x0, x1)", "seq_bn", saved)) as pair:
        layers = pair.library.model.roberta.encoder.layer
        fusions = [fusion for layer in layers for fusion in layer.output.adapter_fusion_layer.values()]
        for fusion in fusions:
            fusion.dropout = Half()
        ours, theirs = pair.engine.logits(BATCHES["mixed"]), pair.library.logits(BATCHES["mixed"])
        assert difference(ours, theirs) < 1e-5
        for fusion in fusions:
            fusion.dropout = torch.nn.Dropout(0.1)


class Half(torch.nn.Module):
    """Drop the first adapter's score wherever it is."""

    def forward(self, scores: Tensor) -> Tensor:
        return scores * torch.tensor([0.0, 2.0])

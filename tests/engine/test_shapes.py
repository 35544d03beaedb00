"""Encoders of other sizes than the tiny one, and batches of any lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.model.assembly import Blueprint
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import AdapterSpec

from .examples import CLASSES, assert_same_gradients, batch_of, difference, load, paired

SHAPES: dict[str, dict[str, Any]] = {
    "one layer": {"num_hidden_layers": 1},
    "one head": {"num_attention_heads": 1},
    "odd sizes": {"hidden_size": 21, "num_attention_heads": 3, "intermediate_size": 35},
    "narrow middle": {"intermediate_size": 8, "layer_norm_eps": 1e-12},
    "wide": {"hidden_size": 192, "num_attention_heads": 6, "intermediate_size": 768, "num_hidden_layers": 2},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_encoders_of_any_size(tmp_path: Path, shape: str) -> None:
    spread = 0.05 if shape == "wide" else 0.3
    backbone = load(tiny.write_backbone(tmp_path / "model", spread, **SHAPES[shape]))
    adapter = AdapterSpec("double_seq_bn", 4)
    with paired(backbone, Blueprint("self", adapter=adapter, heads=(CLASSES,))) as pair:
        batch = batch_of([5, 30, 2, 11])
        assert difference(pair.engine.logits(batch), pair.library.logits(batch)) < 1e-5
        _, ours = pair.gradients(pair.engine, batch)
        _, theirs = pair.gradients(pair.library, batch)
        assert_same_gradients(ours, theirs)


def test_texts_as_long_as_the_backbone_takes(tmp_path: Path) -> None:
    backbone = load(tiny.write_backbone(tmp_path / "model", max_position_embeddings=514))
    with paired(backbone, Blueprint("self", adapter=AdapterSpec("seq_bn", 4), heads=(CLASSES,))) as pair:
        batch = batch_of([512, 3, 511])
        assert difference(pair.engine.logits(batch), pair.library.logits(batch)) < 1e-5
        _, ours = pair.gradients(pair.engine, batch)
        _, theirs = pair.gradients(pair.library, batch)
        assert_same_gradients(ours, theirs)


@settings(
    max_examples=15, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=9))
def test_batches_of_any_lengths(backbone: Backbone, encoder: FrozenEncoder, lengths: list[int]) -> None:
    blueprint = Blueprint("self", adapter=AdapterSpec("seq_bn", 8), heads=(CLASSES,))
    batch = batch_of(lengths)
    with paired(backbone, blueprint, encoder=encoder) as pair:
        assert difference(pair.engine.logits(batch), pair.library.logits(batch)) < 1e-5
        _, ours = pair.gradients(pair.engine, batch)
        _, theirs = pair.gradients(pair.library, batch)
        assert_same_gradients(ours, theirs)


@pytest.fixture(scope="module")
def encoder(shared_backbone: Backbone) -> FrozenEncoder:
    """Prepared once and used by all."""
    torch.set_num_threads(1)
    return FrozenEncoder(shared_backbone.model, "fp32")

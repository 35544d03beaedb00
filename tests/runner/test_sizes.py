"""Sizes of adapters from their settings: against those that the library makes."""

from __future__ import annotations

import dataclasses

import pytest

from adapterstilts.backbones import KNOWN, PACKAGE_MODEL
from adapterstilts.methods import METHODS, UNSIZED
from adapterstilts.model.configs import library_config
from adapterstilts.model.shapes import BackboneShape, adapter_shapes
from adapterstilts.runner.sizes import adapter_numbers
from adapterstilts.specs import AdapterSpec

BACKBONE = KNOWN[PACKAGE_MODEL].sizes
SHAPE = BackboneShape(
    hidden=BACKBONE.hidden, layers=BACKBONE.layers, heads=BACKBONE.heads, intermediate=BACKBONE.inner
)


@pytest.mark.parametrize("config", METHODS)
@pytest.mark.parametrize("skip_layers", [0, 4])
def test_an_estimate_is_within_a_few_percent(config: str, skip_layers: int) -> None:
    spec = AdapterSpec(config, METHODS[config].reduction_factor or UNSIZED, skip_layers)
    made = adapter_shapes(SHAPE, library_config(spec, BACKBONE.hidden))
    exact = sum(shape.numel() for shape in made.values())
    assert adapter_numbers(spec, BACKBONE) == pytest.approx(exact, rel=0.12)


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("lora", {"r": 32, "attn_matrices": ["q", "k", "v"], "output_lora": True, "intermediate_lora": True}),
        ("prefix_tuning", {"prefix_length": 10, "flat": True}),
        ("prefix_tuning", {"prefix_length": 10, "bottleneck_size": 128}),
        ("compacter", {"phm_rank": 2}),
    ],
)
def test_options_are_counted(config: str, options: dict[str, object]) -> None:
    spec = AdapterSpec(config, METHODS[config].reduction_factor or UNSIZED, 0, options)  # type: ignore[arg-type]
    made = adapter_shapes(SHAPE, library_config(spec, BACKBONE.hidden))
    exact = sum(shape.numel() for shape in made.values())
    assert adapter_numbers(spec, BACKBONE) == pytest.approx(exact, rel=0.12)
    plain = dataclasses.replace(spec, options={})
    assert adapter_numbers(plain, BACKBONE) != adapter_numbers(spec, BACKBONE)


def test_only_its_files_know_the_size_of_one_from_elsewhere() -> None:
    assert adapter_numbers(AdapterSpec("pretrained", UNSIZED), BACKBONE) is None

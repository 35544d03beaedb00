"""Shapes without weights: those that a real model has."""

from __future__ import annotations

from math import prod

import pytest
import torch
from references.setups import OTHER_FORMS, SPECS

from adapterstilts.methods import METHODS, UNSIZED
from adapterstilts.model.assembly import Blueprint, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.configs import library_config
from adapterstilts.model.parts import adapter_mark, marked
from adapterstilts.model.shapes import BackboneShape, adapter_shapes, shape_of
from adapterstilts.specs import AdapterSpec

LARGE = BackboneShape(hidden=1024, layers=24, heads=16, intermediate=4096)


@pytest.mark.parametrize("spec", [*SPECS.values(), *OTHER_FORMS.values()])
def test_shapes_are_those_of_a_real_adapter(backbone: Backbone, spec: AdapterSpec) -> None:
    before = torch.random.get_rng_state()
    found = adapter_shapes(shape_of(backbone), library_config(spec, 32))
    assert torch.equal(torch.random.get_rng_state(), before)
    with assembled(backbone, Blueprint("self", adapter=spec)) as assembly:
        real = marked(assembly.model, adapter_mark("trained"))
        assert found == {name.replace(".trained.", ".adapter."): value.shape for name, value in real.items()}


def bottlenecks(factor: int, blocks: int) -> int:
    width = 1024 // factor
    return 24 * blocks * (2 * 1024 * width + width + 1024)


def prefix(length: int, width: int) -> int:
    return length * 1024 + (1024 + 1) * width + (width + 1) * 24 * 2 * 1024


SIZES = {
    "seq_bn": bottlenecks(16, 1),
    "double_seq_bn": bottlenecks(16, 2),
    # Each matrix is made of four pairs of a column and a row; the four small factors are shared by all layers.
    "compacter": 24 * 2 * (2 * 4 * (1024 // 4 + 32 // 4) + 32 + 1024) + 4**3,
    "par_bn": bottlenecks(2, 1),
    "lora": 24 * 2 * 2 * 8 * 1024,
    "ia3": 24 * (2 * 1024 + 4096),
    "prefix_tuning": prefix(30, 512),
    "mam": prefix(30, 800) + bottlenecks(2, 1),
}


@pytest.mark.parametrize("method", METHODS)
def test_sizes_on_the_large_model(method: str) -> None:
    spec = AdapterSpec(method, METHODS[method].reduction_factor or UNSIZED)
    shapes = adapter_shapes(LARGE, library_config(spec, 1024))
    assert sum(prod(shape) for shape in shapes.values()) == SIZES[method]

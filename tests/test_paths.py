"""Which stages the engine computes is told from their plan alone."""

from __future__ import annotations

import pytest

from adapterstilts.paths import why_library


@pytest.mark.parametrize(
    ("composition", "reason"),
    [
        ("stack()", ""),
        ("self", ""),
        ("x0", ""),
        ("stack(x0, self)", ""),
        ("stack(fuse(x0, x1), self)", ""),
        ("stack(x2, fuse(x0, x1))", ""),
        ("fuse(x0, x1, x2)", ""),
        ("parallel(x0, x1)", "parallel in a composition"),
        ("stack(parallel(x0, x1), self)", "parallel in a composition"),
        ("fuse(stack(x0, x1), x2)", "stack in a fusion"),
        ("average(x0, x1)", "average in a composition"),
    ],
)
def test_compositions(composition: str, reason: str) -> None:
    assert why_library(composition, None, backbone_dropout=False) == reason


@pytest.mark.parametrize("config", ["seq_bn", "double_seq_bn"])
def test_adapters_of_the_engine(config: str) -> None:
    assert why_library("self", config, backbone_dropout=False) == ""


@pytest.mark.parametrize("config", ["par_bn", "seq_bn_inv", "double_seq_bn_inv", "compacter", "lora", "mam"])
def test_adapters_of_the_library_alone(config: str) -> None:
    expected = f"adapters of configuration {config!r}"
    assert why_library("self", config, backbone_dropout=False) == expected


def test_dropout_in_the_backbone_is_the_librarys() -> None:
    assert why_library("self", "seq_bn", backbone_dropout=True) == "dropout in the backbone"

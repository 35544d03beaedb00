"""Which stages the engine computes is told from their plan alone."""

from __future__ import annotations

from typing import Any

import pytest

from adapterstilts.methods import METHODS
from adapterstilts.paths import FORM, Making, made_elsewhere, made_here, why_library
from adapterstilts.specs import AdapterSpec

PLAIN = made_here(AdapterSpec("seq_bn", 16))
SAVED: dict[str, Any] = {"reduction_factor": 16, "non_linearity": "relu", "leave_out": [], "dropout": 0.0}


def why(composition: str, *, backbone_dropout: bool = False, **makings: Making) -> str:
    every = dict.fromkeys(("self", "x0", "x1", "x2"), PLAIN)
    return why_library(composition, {**every, **makings}, backbone_dropout=backbone_dropout)


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
    assert why(composition) == reason


@pytest.mark.parametrize("config", METHODS)
def test_adapters_of_a_recipe(config: str) -> None:
    made = made_here(AdapterSpec(config, 4))
    covered = config in ("seq_bn", "double_seq_bn")
    assert why("stack(x0, self)", x0=made) == ("" if covered else f"adapters of configuration {config!r}")


def test_dropout_in_the_backbone_is_the_librarys() -> None:
    assert why("self", backbone_dropout=True) == "dropout in the backbone"


# ---- adapters from elsewhere


def test_what_a_folder_says_is_what_a_recipe_says() -> None:
    assert made_elsewhere({"version": "adapters.1.3.0", "config": SAVED}) == PLAIN
    silent = {name: SAVED[name] for name in FORM[:2]}
    assert made_elsewhere({"version": "adapters.1.0.0", "config": silent}) == PLAIN


@pytest.mark.parametrize(
    ("setting", "value"), [("inv_adapter", "nice"), ("scaling", 4.0), ("architecture", "lora")]
)
def test_an_adapter_of_another_making_is_the_librarys(setting: str, value: object) -> None:
    made = made_elsewhere({"version": "adapters.1.3.0", "config": {**SAVED, setting: value}})
    assert why("stack(x0, self)", x0=made) == f"adapter with {setting}: {value!r}"


@pytest.mark.parametrize("described", [{"config": SAVED}, {"config": SAVED, "version": "0.2.0"}])
def test_what_an_early_version_has_saved_is_the_librarys(described: dict[str, Any]) -> None:
    """Its configuration means something else once it is loaded."""
    assert (
        why("x0", x0=made_elsewhere(described)) == "an adapter that an early version of the library has saved"
    )


# ---- fusions of unlike adapters


@pytest.mark.parametrize(
    ("other", "setting"),
    [
        (AdapterSpec("seq_bn", 8), "reduction_factor"),
        (AdapterSpec("seq_bn", 16, options={"non_linearity": "gelu"}), "non_linearity"),
        (AdapterSpec("seq_bn", 16, skip_layers=2), "leave_out"),
    ],
)
@pytest.mark.parametrize("composition", ["fuse(x0, x1)", "stack(fuse(x0, x1), self)"])
def test_a_fusion_of_unlike_adapters_is_the_librarys(
    composition: str, other: AdapterSpec, setting: str
) -> None:
    assert why(composition, x1=made_here(other)) == f"a fusion of adapters that differ in {setting}"


def test_a_stack_of_unlike_adapters_is_covered() -> None:
    assert why("stack(x0, self)", x0=made_here(AdapterSpec("double_seq_bn", 8, 1))) == ""

"""Settings of adapters: what a recipe's sections become, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterstilts.methods import METHODS, UNSIZED
from adapterstilts.recipe.load import load
from adapterstilts.recipe.settings import OWN
from adapterstilts.specs import AdapterSpec

from .examples import recipe_data, write
from .test_load import faults

KNOWN = {"model": "FacebookAI/xlm-roberta-large"}


def settings(folder: Path, **changes: Any) -> dict[str, AdapterSpec]:
    return dict(load(str(write(folder, recipe_data(**{"methods": ["target"], **changes})))).settings)


@pytest.mark.parametrize(
    ("section", "spec"),
    [
        ({}, AdapterSpec("seq_bn", 16)),
        ({"reduction_factor": 8, "skip_layers": 3}, AdapterSpec("seq_bn", 8, 3)),
        ({"config": "double_seq_bn"}, AdapterSpec("double_seq_bn", 16)),
        ({"config": "compacter"}, AdapterSpec("compacter", 32)),
        ({"config": "lora"}, AdapterSpec("lora", UNSIZED)),
        ({"config": "lora", "options": {"r": 16}}, AdapterSpec("lora", UNSIZED, 0, {"r": 16})),
        # What only repeats a default is equal work.
        (
            {"config": "lora", "options": {"r": METHODS["lora"].options["r"].default}},
            AdapterSpec("lora", UNSIZED),
        ),
    ],
)
def test_a_section_becomes_a_spec_with_published_sizes(
    section: dict[str, Any], spec: AdapterSpec, tmp_path: Path
) -> None:
    assert settings(tmp_path, adapter=section) == {OWN: spec}
    named = settings(tmp_path, adapters={"other": section})
    assert named == {OWN: AdapterSpec("seq_bn", 16), "other": spec}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            {"config": "lorra"},
            ".config: 'lorra' is not among the adapter configurations; did you mean 'lora'?",
        ),
        ({"config": "unipelt"}, ".config: unipelt is not offered: "),
        ({"config": "lora", "options": {"rank": 8}}, ".options: lora has no option 'rank'"),
        (
            {"config": "lora", "options": {"r": 0}},
            ".options: r of lora takes a whole number of at least 1, not 0",
        ),
        (
            {"config": "lora", "reduction_factor": 8},
            ".reduction_factor: lora has no bottleneck; leave it out",
        ),
    ],
)
def test_settings_that_cannot_be_meant(section: dict[str, Any], expected: str, tmp_path: Path) -> None:
    for place, changes in (("adapter", {"adapter": section}), ("adapters.x", {"adapters": {"x": section}})):
        (fault,) = faults(tmp_path, **changes, methods=["target"])
        assert fault.startswith(f"{place}{expected}")


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            {"reduction_factor": 2000},
            "adapter: a reduction factor of 2000 is more than the hidden size, 1024",
        ),
        ({"config": "compacter", "options": {"phm_dim": 3}}, "have to be multiples of phm_dim, 3"),
        (
            {"skip_layers": 24},
            "adapter.skip_layers: FacebookAI/xlm-roberta-large has 24 layers, so that none would",
        ),
    ],
)
def test_settings_that_do_not_fit_a_known_backbone(
    section: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    (fault,) = faults(tmp_path, adapter=section, backbone=KNOWN, methods=["target"])
    assert expected in fault
    settings(tmp_path, adapter=section)


def test_settings_are_named_where_they_are(tmp_path: Path) -> None:
    wrong = {
        "adapters": {"lora8": {"config": "lora"}, "placebo": {}},
        "intermediate": ["reply", {"name": "pairs", "task": "pairs", "adapter": "lora"}],
        "training": {"default": {"steps": 1}, "by_adapter": {"lora9": {"epochs": 2}}},
    }
    assert faults(tmp_path, **wrong) == [
        "training.by_adapter.lora9: 'lora9' is not among `adapters:`; did you mean 'lora8'?",
        "intermediate[1].adapter: 'lora' is not among `adapters:`; did you mean 'lora8'?",
        "adapters.placebo: 'placebo' is a reserved word; choose another",
    ]

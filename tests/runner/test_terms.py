"""Terms of a comparison: which methods are untuned, and what is not the same for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Done

from adapterstilts.recipe.load import load
from adapterstilts.runner.terms import paths_of, terms

from .examples import write_recipe

ALL = ["target", "stack(pairs, target)", "full_finetune", "head_only", "majority", "with(lora, target)"]
LORA = {"adapters": {"lora": {"config": "lora"}}}


def told(folder: Path, methods: list[str], name: str, **changes: Any) -> dict[str, str]:
    """Return what is said of a setting, by method."""
    recipe = load(str(write_recipe(folder, **{**LORA, "methods": methods, **changes})))
    return {method: own[name] for method, own in terms(recipe, "bf16").items()}


def test_every_method_that_trains_is_called_untuned(tmp_path: Path) -> None:
    trained = [method for method in ALL if method != "majority"]
    assert told(tmp_path, ALL, "settings") == dict.fromkeys(trained, "untuned")


def test_rates_and_dropout_are_those_that_the_stages_get(tmp_path: Path) -> None:
    assert told(tmp_path, ALL, "learning rate") == {
        "target": "0.0001",
        "stack(pairs, target)": "0.0001",
        "full_finetune": "2e-05",
        "head_only": "0.001",
        "with(lora, target)": "0.0003",
    }
    dropout = told(tmp_path, ALL, "dropout of the backbone")
    assert {method for method, text in dropout.items() if text == "on"} == {"full_finetune"}


@pytest.mark.parametrize(("given", "text"), [(True, "on"), (False, "off")])
def test_a_policy_for_all_is_no_difference(tmp_path: Path, given: bool, text: str) -> None:
    training = {"default": {"steps": 10, "backbone_dropout": given}}
    methods = ["target", "full_finetune"]
    assert set(told(tmp_path, methods, "dropout of the backbone", training=training).values()) == {text}


def test_automatic_precision_is_told_as_it_was_resolved(tmp_path: Path) -> None:
    assert told(tmp_path, ["target"], "precision") == {"target": "fp32"}
    assert told(tmp_path, ["target"], "precision", training={"default": {"steps": 1}}) == {"target": "bf16"}


def test_a_method_of_two_stages_tells_both(tmp_path: Path) -> None:
    rates = told(tmp_path, ["target", "fuse(pairs, target)"], "learning rate")
    assert rates["fuse(pairs, target)"] == "0.0001 and 5e-05"


def test_what_goes_on_is_told_with_the_rate_of_what_it_is(tmp_path: Path) -> None:
    own = [{"name": "pairs", "task": "pairs", "adapter": "lora"}]
    rates = told(tmp_path, ["target", "init_from(pairs)"], "learning rate", intermediate=own)
    assert rates == {"target": "0.0001", "init_from(pairs)": "0.0003"}


@pytest.mark.parametrize(
    ("training", "text"),
    [
        ({}, "none"),
        ({"evaluations": 4}, "best of 4"),
        ({"evaluations": 4, "patience": 2}, "best of 4, patience 2"),
    ],
)
def test_the_rule_that_stops_is_told(training: dict[str, int], text: str, tmp_path: Path) -> None:
    topics = {
        "kind": "classification",
        "labels": ["art", "sport"],
        "languages": {"en": {"train": "en.jsonl", "validation": "test.jsonl", "test": "test.jsonl"}},
        "format": {"type": "jsonl"},
    }
    changes = {"tasks": {"topics": topics}, "intermediate": [], "training": {"target": training}}
    assert told(tmp_path, ["target"], "early stopping", **changes) == {"target": text}


def test_the_path_of_what_was_trained_is_told(done: Done) -> None:
    prepared = done.run.prepared
    paths = paths_of(done.run.rows, prepared.store)
    assert paths["target"] == "engine"
    assert paths["full_finetune"] == "library"
    found = terms(prepared.recipe, "fp32", paths=paths)
    assert {method: own["computed by"] for method, own in found.items()} == {
        method: paths[method] for method in found
    }
    page = (prepared.out / "report.md").read_text()
    assert "computed by" in page


def test_nothing_is_said_where_nothing_trains(tmp_path: Path) -> None:
    recipe = load(str(write_recipe(tmp_path, methods=["majority"], report={"baseline": "majority"})))
    assert terms(recipe, "fp32") == {}

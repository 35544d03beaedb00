"""Which path each stage of a plan takes, and why it is the library's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterstilts.paths import ENGINE, LIBRARY, UNKNOWN, Making, made_here
from adapterstilts.recipe.build import make_plan
from adapterstilts.recipe.load import load
from adapterstilts.recipe.material import Surroundings
from adapterstilts.recipe.plan import Plan, Stage
from adapterstilts.specs import AdapterSpec, Evaluate, TrainingStage

from .examples import BACKBONE, by_name, keys, recipe_data, write
from .test_compositions import ALL

CONTENT = "f" * 64
FOREIGN = [{"name": "old", "path": "old"}]
LORA = "adapters of configuration 'lora'"
PLAIN = made_here(AdapterSpec("seq_bn", 16))


def plan(folder: Path, method: str, making: Making = PLAIN, **changes: Any) -> Plan:
    targets = [{"task": "topics", "languages": ["en", "sw"]}]
    adapters = {
        "lora": {"config": "lora"},
        "prefix": {"config": "prefix_tuning"},
        "small": {"reduction_factor": 64},
    }
    given = {**ALL, "targets": targets, "adapters": adapters, "pretrained": FOREIGN, **changes}
    recipe = load(str(write(folder, recipe_data(**{**given, "methods": ["target", method]}))))
    makings = {} if making is UNKNOWN else {CONTENT: making}
    return make_plan(recipe, Surroundings(by_name, BACKBONE, "fp32", None, {"old": CONTENT}, makings))


def stages(found: Plan, method: str) -> list[Stage]:
    """Return the stage that trains a method's model, and those that score it."""
    names = [name for name in keys(found) if method in name and name.endswith("@0")]
    return [found.stages[keys(found)[name]] for name in names if not name.startswith("intermediate/")]


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("head_only", ""),
        ("stack(pairs, target)", ""),
        ("stack(average(pairs, reply), target)", ""),
        ("stack(random, target)", ""),
        ("stack(placebo(pairs), target)", ""),
        ("fuse(pairs, reply, target)", ""),
        ("stack(fuse(pairs, reply), target)", ""),
        ("stack(<language>, target)", ""),
        ("init_from(pairs)", ""),
        ("longer(pairs)", ""),
        ("with(small, stack(pairs, target))", ""),
        ("stack(old, target)", ""),
        ("init_from(old)", ""),
        ("stack(parallel(pairs, reply), target)", "parallel in a composition"),
        ("fuse(reply, stack(<language>, pairs))", "stack in a fusion"),
        ("with(lora, target)", LORA),
        ("with(lora, init_from(average(pairs, reply)))", LORA),
        ("with(lora, stack(average(pairs, reply), target))", LORA),
        ("with(prefix, stack(random, target))", "adapters of configuration 'prefix_tuning'"),
        ("full_finetune", "a whole model"),
        ("full_stilts(pairs)", "a whole model"),
    ],
)
def test_a_model_and_its_scores_take_the_path_that_its_adapters_allow(
    tmp_path: Path, method: str, reason: str
) -> None:
    found = stages(plan(tmp_path, method), method)
    assert {type(one.spec) is Evaluate for one in found if one.path} == {True, False}
    computing = [one for one in found if one.path]
    assert {one.why_library for one in computing} == {reason}
    assert {one.path for one in computing} == {LIBRARY if reason else ENGINE}


def test_what_trains_before_it_has_a_path_of_its_own(tmp_path: Path) -> None:
    found = plan(tmp_path, "stack(parallel(pairs, reply), target)")
    one = found.stages[keys(found)["intermediate/pairs@0"]]
    assert (one.path, one.why_library) == (ENGINE, "")


@pytest.mark.parametrize("method", ["stack(old, target)", "fuse(old, target)", "init_from(old)"])
def test_what_is_not_known_of_an_adapter_from_elsewhere_is_the_librarys(tmp_path: Path, method: str) -> None:
    found = stages(plan(tmp_path, method, UNKNOWN), method)
    assert {one.why_library for one in found if one.path} == {UNKNOWN.uncovered}


@pytest.mark.parametrize(
    "method", ["stack(average(old, pairs), target)", "stack(average(old, reply), target)"]
)
def test_an_average_is_covered_where_all_of_its_parts_are(tmp_path: Path, method: str) -> None:
    early = Making("an adapter that an early version of the library has saved")
    for making in (early, PLAIN):
        found = stages(plan(tmp_path / str(making is PLAIN), method, making), method)
        assert {one.why_library for one in found if one.path} == {making.uncovered}


def test_members_of_a_fusion_have_to_agree(tmp_path: Path) -> None:
    other = made_here(AdapterSpec("seq_bn", 8))
    found = stages(plan(tmp_path, "fuse(old, target)", other), "fuse(old, target)")
    reason = "a fusion of adapters that differ in reduction_factor"
    assert {one.why_library for one in found if one.path} == {reason}


def test_the_adapter_of_the_language_that_is_read_decides_about_its_score(tmp_path: Path) -> None:
    """That of the training language may be another one."""
    old = [{"name": "old", "path": "old", "language": "sw"}]
    english = [one for one in ALL["language"] if one["language"] != "sw"]
    inside = Making("adapter with inv_adapter: 'nice'")
    method = "stack(<language>, target)"
    found = plan(tmp_path, method, inside, pretrained=old, language=english)
    why = {one.name: one.why_library for one in stages(found, method)}
    assert why[f"target/topics/{method}@0"] == why[f"evaluate/topics.en.test/{method}@0"] == ""
    assert why[f"evaluate/topics.sw.test/{method}@0"] == inside.uncovered


def test_dropout_of_the_backbone_is_a_matter_of_training_alone(tmp_path: Path) -> None:
    found = plan(tmp_path, "head_only", training={"default": {"steps": 10, "backbone_dropout": True}})
    for one in stages(found, "head_only"):
        assert one.why_library == ("" if isinstance(one.spec, Evaluate) else "dropout in the backbone")


def test_a_recipe_may_ask_for_the_library(tmp_path: Path) -> None:
    training = {"default": {"steps": 10}, "target": {"path": "library"}}
    found = plan(tmp_path, "stack(pairs, target)", training=training)
    computing = [one for one in found.stages.values() if isinstance(one.spec, TrainingStage | Evaluate)]
    for one in computing:
        own = "intermediate" not in one.name
        assert (one.path, one.why_library) == ((LIBRARY, "the recipe says so") if own else (ENGINE, ""))


def test_the_path_is_in_the_key(tmp_path: Path) -> None:
    library = {"default": {"steps": 10, "path": "library"}}
    ours, theirs = (
        keys(plan(tmp_path / name, "head_only", training=training))["target/topics/head_only@0"]
        for name, training in (("a", {"default": {"steps": 10}}), ("b", library))
    )
    assert ours != theirs


def test_a_stage_that_computes_nothing_has_no_path(tmp_path: Path) -> None:
    found = plan(tmp_path, "stack(average(pairs, old), target)")
    quiet = [one for one in found.stages.values() if one.spec.kind in ("average", "import_adapter")]
    assert [(one.path, one.why_library) for one in quiet] == [("", "")] * len(quiet) and quiet

"""What is wrong with a study, said by `recipe check`."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.recipe.load import load

from .examples import TASKS, recipe_data, write
from .test_load import faults

EVALUATED = {"default": {"steps": 10}, "target": {"evaluations": 2}, "fusion": {"evaluations": 2}}
FUSIONS = {"compositions": ["fuse"], "adapters": 2}


def tasks(*, held_out: bool = False) -> dict[str, Any]:
    own = copy.deepcopy(TASKS)
    own["topics"]["languages"]["en"]["validation"] = "topics.en.dev.jsonl"
    if held_out:
        own["topics"]["languages"]["sw"]["validation"] = "topics.sw.dev.jsonl"
    return own


def with_search(search: dict[str, Any], *, held_out: bool = False, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "training": EVALUATED,
        "tasks": tasks(held_out=held_out),
        "methods": ["target"],
        **changes,
    }
    return recipe_data(search=search, **given)


def faults_of(folder: Path, search: dict[str, Any], **changes: Any) -> list[str]:
    return faults(folder, **with_search(search, **changes))


def test_a_sound_study_has_a_space(tmp_path: Path) -> None:
    methods = ["target", "full_stilts(<intermediate>)", "majority"]
    recipe = load(str(write(tmp_path, with_search({"over": FUSIONS}, methods=methods))))
    assert recipe.space is not None
    assert recipe.space.pool == ("pairs", "reply")
    assert recipe.space.methods == ("target", "full_stilts(pairs)", "full_stilts(reply)")
    assert recipe.space.families == (*recipe.space.methods, "single")
    assert load(str(write(tmp_path, recipe_data()))).space is None


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"over": {}}, "search.over: the space is empty; name `compositions`, or settings such as"),
        (
            {"over": FUSIONS, "pool": ["pears"]},
            "search.pool[0]: 'pears' is not an adapter of this recipe; did you mean 'pairs'?",
        ),
        ({"over": {"compositions": ["average"]}, "pool": ["pairs"]}, "average takes two adapters at least"),
        (
            {"over": FUSIONS, "seeds": [0, 7]},
            "search.seeds: 0 is among `seeds`, by which the winner is judged",
        ),
        (
            {"over": FUSIONS, "objectives": ["disk"]},
            "search.objectives: name each once, the score among them",
        ),
        (
            {"over": FUSIONS, "objectives": ["score", "disk"], "pruner": "median"},
            "search.pruner: trials of several objectives cannot be ended early",
        ),
        ({"over": {"learning_rate": "auto"}, "sampler": "grid"}, "search.sampler: a grid has points"),
        (
            {"over": FUSIONS, "sampler": "grid", "trials": 2},
            "search.trials: the grid has 3 points; write `trials: 3`",
        ),
        ({"over": {"learning_rate": "auto"}, "tune": False}, "search.tune: without compositions"),
        (
            {"over": {"learning_rate": {"full": {"low": 1e-3, "high": 1e-4}}}},
            "search.over.learning_rate.full: low 0.001 is not below high 0.0001",
        ),
        (
            {"over": {"learning_rate": {"full": "fast"}}},
            "search.over.learning_rate.full: should be a list of rates",
        ),
        ({"over": {"compositions": ["fusse"]}}, "search.over.compositions[0]: input should be 'stack'"),
        (
            {"over": FUSIONS, "select_on": "target_validation"},
            "has no validation data in its evaluation languages",
        ),
        ({"over": FUSIONS, "select_on": "test"}, "search.select_on: input should be 'validation' or"),
    ],
)
def test_faults_are_told_with_place_and_remedy(search: dict[str, Any], expected: str, tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, search)
    assert expected in fault


def test_trials_need_scores_while_they_train(tmp_path: Path) -> None:
    training = {"default": {"steps": 10}}
    found = faults_of(tmp_path, {"over": {"learning_rate": "auto"}}, training=training)
    assert any("set `training.target.evaluations`" in fault for fault in found)
    once = {**EVALUATED, "fusion": {"evaluations": 1}}
    (fault,) = faults_of(tmp_path, {"over": FUSIONS, "pruner": "median"}, training=once)
    assert (
        "trials need 2 or more evaluations of what trains on 'topics'; set `training.fusion.evaluations`"
        in fault
    )


def test_what_is_scored_may_not_select(tmp_path: Path) -> None:
    target = {"task": "topics", "languages": ["sw"], "split": "validation"}
    search = {"over": FUSIONS, "select_on": "target_validation"}
    (fault,) = faults_of(tmp_path, search, held_out=True, targets=[target])
    assert "would be selected on the data that it is scored on; score the test split" in fault


def test_a_target_without_training_has_nothing_to_search(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, {"over": FUSIONS}, targets=["topics", "match"])
    assert "targets[1]: nothing is trained on 'match'" in fault


def test_early_stopping_on_the_target_needs_that_to_be_said(tmp_path: Path) -> None:
    target = {"task": "topics", "languages": ["sw"], "validation": "target"}
    (fault,) = faults_of(tmp_path, {"over": FUSIONS}, held_out=True, targets=[target])
    assert "write `search: {select_on: target_validation}`" in fault
    search = {"over": FUSIONS, "select_on": "target_validation"}
    load(str(write(tmp_path, with_search(search, held_out=True, targets=[target]))))


def test_sizes_and_compositions_that_no_trial_could_have_are_refused(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, {"over": {"reduction_factor": [8]}}, adapter={"config": "lora"})
    assert "search.over.reduction_factor: 8: lora has no bottleneck" in fault
    found = faults_of(tmp_path, {"over": FUSIONS}, adapter={"config": "prefix_tuning"})
    assert found and all("search.over.compositions: " in fault for fault in found)
    adapters = {"small": {"reduction_factor": 32}}
    intermediate = [
        {"name": "pairs", "task": "pairs", "adapter": "small"},
        {"name": "reply", "task": "reply"},
    ]
    (fault,) = faults_of(
        tmp_path, {"over": {"compositions": ["average"]}}, adapters=adapters, intermediate=intermediate
    )
    assert "have different settings, so that their weights have no mean" in fault


def test_there_has_to_be_an_adapter_to_compose(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, {"over": FUSIONS}, intermediate=[])
    assert "search.pool: there is no adapter to compose; list adapters under `intermediate:`" in fault


def test_settings_of_a_method_that_is_not_there_are_refused(tmp_path: Path) -> None:
    training = {**EVALUATED, "by_method": {"stack(pears, target)": {"epochs": 1}, "stack(": {"epochs": 1}}}
    first, second = faults(tmp_path, training=training, tasks=tasks())
    assert "training.by_method.stack(pears, target)" in first
    assert "did you mean 'stack(pairs, target)'" in first
    assert "an expression is missing at the end" in second

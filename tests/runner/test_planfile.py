"""``plan.json``: what a run was, and what has changed since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

from adapterstilts.cli.plan_view import plan_rows, room_of
from adapterstilts.recipe.plan import Plan
from adapterstilts.runner.planfile import PLAN_FILE, plan_data, read_plan, why_changed
from adapterstilts.runner.prepare import Options, prepare

from .examples import RECIPE, stage, write_lines, write_recipe
from .wide import CHANGES, write_wide

ALONE, STACKED = "target/topics/target@0", "target/topics/stack(pairs, target)@0"


def planned(folder: Path, *overrides: str, **changes: Any) -> Plan:
    path = write_recipe(folder, **changes)
    return prepare(str(path), overrides, Options(store=folder / "store", device="cpu")).plan


def written(folder: Path, plan: Plan) -> dict[str, Any]:
    """Write a plan as a run does, and read it back."""
    (folder / PLAN_FILE).write_text(json.dumps(plan_data(plan)), encoding="utf-8")
    return read_plan(folder)


def test_a_plan_is_plain_data_with_names_for_keys(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    data = json.loads(json.dumps(plan_data(plan), allow_nan=False))
    assert [one["key"] for one in data["stages"]] == list(plan.stages)
    assert len(data["cells"]) == len(plan.cells)
    by_name = {one["name"]: one for one in data["stages"]}
    intermediate = by_name["intermediate/pairs@0"]["key"]
    assert by_name[STACKED]["inputs"] == {"x0": {"stage": "intermediate/pairs@0", "key": intermediate}}
    assert by_name[STACKED]["data"] == ["topics.en.train"]
    assert by_name[STACKED]["resolved"] is True
    assert by_name[STACKED]["spec"]["adapter"]["reduction_factor"] == 16
    assert str(tmp_path) not in json.dumps(data)


def test_an_unchanged_plan_has_changed_nowhere(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    before = written(tmp_path, plan)
    assert {why_changed(one, plan, before) for one in plan.stages.values()} == {""}
    assert {why_changed(one, plan, {}) for one in plan.stages.values()} == {""}


@pytest.mark.parametrize(
    ("override", "name", "why"),
    [
        ("adapter.reduction_factor=32", ALONE, "changed: adapter.reduction_factor"),
        ("training.target.learning_rate=3e-4", ALONE, "changed: training.learning_rate"),
        ("training.default.precision=bf16", ALONE, "changed: numerics.precision"),
        ("training.intermediate.steps=99", STACKED, "changed input: intermediate/pairs@0"),
        ("training.intermediate.steps=99", "intermediate/pairs@0", "changed: training.steps"),
        ("training.intermediate.steps=99", ALONE, ""),
        (
            "adapter.skip_layers=1",
            f"evaluate/topics.en.test/{ALONE.split('/')[-1]}",
            f"changed input: {ALONE}",
        ),
        ("seeds=[0, 1]", "target/topics/target@1", ""),
    ],
)
def test_a_changed_stage_says_what_changed(override: str, name: str, why: str, tmp_path: Path) -> None:
    before = written(tmp_path, planned(tmp_path))
    after = planned(tmp_path, override)
    assert why_changed(stage(after, name), after, before) == why


def test_changed_bytes_are_named_as_content(tmp_path: Path) -> None:
    before = written(tmp_path, planned(tmp_path))
    path = write_recipe(tmp_path)
    write_lines(tmp_path / "en.jsonl", [{"text": "new", "label": "art"}])
    plan = prepare(str(path), (), Options(store=tmp_path / "store", device="cpu")).plan
    assert why_changed(stage(plan, ALONE), plan, before) == "changed: data[0].parts[0].content"


def test_several_changes_are_all_named(tmp_path: Path) -> None:
    before = written(tmp_path, planned(tmp_path))
    tasks = {**RECIPE["tasks"], "topics": {**RECIPE["tasks"]["topics"], "labels": ["sport", "art"]}}
    plan = planned(tmp_path, "adapter.skip_layers=1", tasks=tasks)
    assert why_changed(stage(plan, ALONE), plan, before) == (
        "changed: adapter.skip_layers, data[0].labels[0], data[0].labels[1]"
    )


@pytest.mark.parametrize("text", [None, "", "{", "[]", "3", '{"stages": 3}', '{"stages": [{}]}', "{}"])
def test_a_plan_that_cannot_be_read_is_no_plan(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / PLAN_FILE).write_text(text, encoding="utf-8")
    assert read_plan(tmp_path) == {}


# ---- mixes, samples, validation


def wide(folder: Path, **changes: Any) -> Plan:
    path = write_wide(folder, **changes)
    return prepare(str(path), (), Options(store=folder / "store", device="cpu")).plan


def test_a_plan_says_what_each_stage_reads(tmp_path: Path) -> None:
    stages = {one["name"]: one for one in json.loads(json.dumps(plan_data(wide(tmp_path))))["stages"]}
    mixed = stages["intermediate/all@0"]
    assert sorted(mixed["data"]) == ["stars.en.train", "wiki.de.train", "wiki.en.train"]
    assert sorted(mixed["validation"]) == ["stars.en.validation", "wiki.de.validation", "wiki.en.validation"]
    few = stages["target/mood.sw.few-3-1/target@0"]
    assert few["data"] == ["mood.sw.train (3, draw 1)"]
    assert few["validation"] == ["mood.en.validation"]
    assert few["inputs"]["init"]["stage"] == "target/mood/target@0"
    assert stages["evaluate/mood.sw.test/few-3-1/target@0"]["validation"] == []


def test_cells_say_setting_draw_and_selection(tmp_path: Path) -> None:
    cells = plan_data(wide(tmp_path))["cells"]
    assert {(c["target"], c["setting"], c["draw"], c["source"], c["select_on"]) for c in cells} == {
        ("mood", "zero_shot", None, "stars", "source"),
        ("few", "few_shot k=3", 0, "mood", "source"),
        ("few", "few_shot k=3", 1, "mood", "source"),
        ("mood", "few_shot k=3", 0, "none", "target"),
        ("mood", "in_language", None, "mood", "target"),
    }


def test_a_changed_mix_or_sample_is_named(tmp_path: Path) -> None:
    before = written(tmp_path, wide(tmp_path))
    (section,) = CHANGES["intermediate"]
    after = wide(tmp_path, intermediate=[{**section, "cap": 8}], remove_overlap=False)
    changed = why_changed(stage(after, "intermediate/all@0"), after, before)
    assert "mix.cap" in changed
    assert ".without" in changed


def test_the_shown_plan_names_the_data_of_every_stage(tmp_path: Path) -> None:
    prepared = prepare(
        str(write_wide(tmp_path)), (), Options(store=tmp_path / "store", out=tmp_path, device="cpu")
    )
    rows = {row["name"]: row for row in plan_rows(prepared, room_of(prepared))}
    assert len(rows) == len(prepared.plan.stages)
    assert rows["target/stars/target@0"]["data"] == ["stars.en.train"]
    assert rows["target/stars/target@0"]["validation"] == ["stars.en.validation"]
    assert all(row["steps"] for row in rows.values() if row["kind"].startswith(("train", "full")))


def test_the_plan_says_which_head_goes_on(tmp_path: Path, cli: Command) -> None:
    methods = ["target", "init_from(pairs)"]
    path = write_recipe(tmp_path, methods=methods)
    prepared = prepare(str(path), (), Options(store=tmp_path / "store", device="cpu"))
    notes = {row["name"]: row["note"] for row in plan_rows(prepared, room_of(prepared))}
    name, note = "target/topics/init_from(pairs)@0", "a fresh head: that of pairs has other labels"
    assert notes.pop(name) == note
    assert set(notes.values()) == {""}
    (written,) = [one for one in plan_data(prepared.plan)["stages"] if one["name"] == name]
    assert written["note"] == note
    answer = cli("recipe", "plan", path, "--store", tmp_path / "store", "--device", "cpu")
    assert f"({note})" in answer.out

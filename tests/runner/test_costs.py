"""What a method costs: its last stage, all before it, and that shared over targets."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.recipe.plan import Cell, Plan, Stage
from adapterstilts.runner.costs import ChainCost, Costs
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.specs import WEIGHTS_FILE
from adapterstilts.store.digest import canonical
from adapterstilts.store.store import Description, Store

from .examples import RECIPE, write_lines, write_recipe

SECONDS = {
    "intermediate/pairs@0": 100.0,
    "intermediate/full(pairs)@0": 1000.0,
    "target/topics/target@0": 10.0,
    "target/topics/stack(pairs, target)@0": 20.0,
    "target/topics/longer(pairs)@0": 15.0,
    "target/topics/init_from(pairs)@0": 12.0,
    "target/topics/full_stilts(pairs)@0": 300.0,
    "fusion/topics/fuse(pairs, target)@0": 40.0,
}
SIZE = 7
TWICE: list[Any] = [
    {"task": "topics", "languages": ["en"]},
    {"task": "topics", "name": "again", "languages": ["sw"]},
]


def publish(store: Store, one: Stage) -> None:
    with store.workspace(one.key) as workspace:
        name = WEIGHTS_FILE if one.spec.kind == "full_finetune" else "adapter.safetensors"
        (workspace / name).write_bytes(b"x" * SIZE)
        seconds = SECONDS.get(one.name, 0.0)
        results = {"seconds": seconds, "examples_seen": int(10 * seconds), "steps": 3}
        store.publish(one.key, workspace, Description(one.name, canonical(one.spec), one.inputs, results, {}))
        if name == WEIGHTS_FILE:
            store.drop(one.key, (WEIGHTS_FILE,))


def costs(folder: Path, *methods: str, targets: list[Any] | None = None) -> tuple[Plan, Costs]:
    write_lines(folder / "data" / "sw.tsv", [])
    (folder / "data" / "sw.tsv").write_text("text\tlabel\na\tart\n", encoding="utf-8")
    tasks = {**RECIPE["tasks"]}
    languages = {**tasks["topics"]["languages"], "sw": {"test": "test.jsonl"}}
    tasks["topics"] = {**tasks["topics"], "languages": languages}
    changes = {"tasks": tasks, "methods": ["target", *methods], "targets": targets or RECIPE["targets"]}
    prepared = prepare(
        str(write_recipe(folder, **changes)), (), Options(store=folder / "store", device="cpu")
    )
    for one in prepared.plan.stages.values():
        publish(prepared.store, one)
    return prepared.plan, Costs(prepared.plan, prepared.store)


def cell(plan: Plan, method: str) -> Cell:
    return next(one for one in plan.cells if one.method == method)


@pytest.mark.parametrize(
    ("method", "seconds", "shared", "files"),
    [
        ("target", 10.0, 10.0, 1),
        ("stack(pairs, target)", 120.0, 20.0 + 50.0, 2),
        ("init_from(pairs)", 112.0, 12.0 + 50.0, 1),
        # Only the number of its steps was borrowed.
        ("longer(pairs)", 15.0, 15.0, 1),
        ("fuse(pairs, target)", 150.0, 50.0 + 50.0, 3),
        ("full_stilts(pairs)", 1300.0, 300.0 + 500.0, 1),
        ("majority", 0.0, 0.0, 1),
    ],
)
def test_a_chain_counts_everything_and_an_intermediate_a_share(
    method: str, seconds: float, shared: float, files: int, tmp_path: Path
) -> None:
    plan, found = costs(tmp_path, *([method] if method != "target" else []), targets=TWICE)
    cost = found.of(cell(plan, method))
    assert cost == ChainCost(round(10 * seconds), seconds, round(10 * shared), shared, files * SIZE)


def test_with_one_target_nothing_is_shared(tmp_path: Path) -> None:
    plan, found = costs(tmp_path, "stack(pairs, target)")
    cost = found.of(cell(plan, "stack(pairs, target)"))
    assert cost.seconds == cost.shared_seconds == 120.0


def test_what_has_no_meaning_costs_nothing(tmp_path: Path) -> None:
    plan, found = costs(tmp_path)
    assert found.of(dataclasses.replace(plan.cells[0], stage=None)) == ChainCost()

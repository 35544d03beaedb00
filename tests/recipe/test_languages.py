"""Language adapters: which are needed, and what cannot be bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterstilts.recipe.languages import language_adapters
from adapterstilts.recipe.load import load

from .examples import recipe_data, write
from .test_compositions import ALL
from .test_load import faults

METHODS = ["target", "stack(<language>, target)"]


def language(*codes: str) -> list[dict[str, str]]:
    return [{"name": f"wiki-{code}", "task": "wiki", "language": code} for code in codes]


def refused(folder: Path, **changes: Any) -> list[str]:
    return faults(folder, **{**ALL, "methods": METHODS, **changes})


def test_a_language_has_its_adapter_wherever_it_comes_from(tmp_path: Path) -> None:
    old = [{"name": "old", "path": "old", "language": "sw"}, {"name": "other", "path": "other"}]
    data = recipe_data(**{**ALL, "language": language("en", "no"), "pretrained": old, "methods": METHODS})
    file = load(str(write(tmp_path, data))).file
    assert language_adapters(file) == {"en": "wiki-en", "no": "wiki-no", "sw": "old"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"language": language("sw", "no")}, "targets[0] needs language adapters for 'en'; add one under"),
        ({"language": language("en")}, "targets[0] needs language adapters for 'sw', 'no'"),
        ({"language": []}, "targets[0] needs language adapters for 'en', 'sw', 'no'"),
        (
            {"methods": ["target", "with(small, stack(<language>, target))"], "language": []},
            "'en', 'sw', 'no'",
        ),
    ],
)
def test_a_missing_language_adapter_is_a_fault_of_the_recipe(
    changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    (fault,) = refused(tmp_path, **changes)
    assert fault.startswith("methods[1]: ")
    assert expected in fault


def test_only_methods_that_name_it_need_it_and_only_targets_that_train(tmp_path: Path) -> None:
    for changes in ({"methods": ["target"]}, {"targets": ["match"]}):
        data = recipe_data(**{**ALL, "methods": METHODS, "language": [], **changes})
        load(str(write(tmp_path, data)))


def test_in_language_training_needs_the_adapters_of_its_own_languages(tmp_path: Path) -> None:
    tasks = {**ALL["tasks"]}
    languages = {**tasks["topics"]["languages"], "sw": {"train": "t.sw", "test": "topics.sw.jsonl"}}
    tasks["topics"] = {**tasks["topics"], "languages": languages}
    target = {"task": "topics", "setting": "in_language", "languages": ["sw"]}
    data = {**ALL, "tasks": tasks, "targets": [target], "methods": METHODS, "language": language("sw")}
    load(str(write(tmp_path, recipe_data(**data))))
    (fault,) = faults(tmp_path, **{**data, "language": language("en")})
    assert "targets[0] needs language adapters for 'sw'" in fault


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"name": "x", "task": "wiki"}, "language[0]: 'x' is for no language in particular; give one task"),
        (
            {"name": "x", "task": "wiki", "languages": ["en", "sw"]},
            "language[0]: 'x' is for no language in particular",
        ),
        (
            {"name": "x", "task": "topics", "language": "en"},
            "language[0]: 'topics' is a classification task, and a language is learned from plain text",
        ),
        (
            {"name": "x", "task": "wiki", "language": "en", "on_language": True},
            "language[0].on_language: a language adapter stands lowest; leave it out",
        ),
        ({"name": "x", "task": "wiki", "language": "fr"}, "language[0]: 'wiki' has no train data for 'fr'"),
    ],
)
def test_a_language_adapter_is_for_one_language(
    section: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    found = refused(tmp_path, methods=["target"], language=[section])
    assert any(fault.startswith(expected) for fault in found), found


def test_two_adapters_for_one_language_leave_open_which_is_meant(tmp_path: Path) -> None:
    twice = [*language("en", "sw", "no"), {"name": "again", "task": "wiki", "language": "en"}]
    (fault,) = refused(tmp_path, language=twice)
    assert fault.startswith("language: there are several adapters for 'en', and `<language>` stands for one")


def test_several_source_languages_have_no_one_adapter(tmp_path: Path) -> None:
    tasks = {**ALL["tasks"]}
    languages = {**tasks["topics"]["languages"], "sw": {"train": "t.sw", "test": "topics.sw.jsonl"}}
    tasks["topics"] = {**tasks["topics"], "languages": languages}
    target = {"task": "topics", "source": {"languages": ["en", "sw"]}}
    (fault,) = refused(tmp_path, tasks=tasks, targets=[target])
    assert "targets[0] trains on several languages at once, and <language> stands for one" in fault


def test_selecting_on_a_language_needs_its_adapter_while_training(tmp_path: Path) -> None:
    tasks = {**ALL["tasks"]}
    languages = {
        code: {**splits, "validation": f"v.{code}"} for code, splits in tasks["topics"]["languages"].items()
    }
    tasks["topics"] = {**tasks["topics"], "languages": languages}
    changes = {
        "tasks": tasks,
        "targets": [{"task": "topics", "validation": "target"}],
        "training": {"default": {"steps": 10}, "target": {"evaluations": 2}},
    }
    (fault,) = refused(tmp_path, **changes)
    assert "selects on each language's data, but trains on the adapter of its source's language" in fault


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"name": "pairs", "task": "pairs", "on_language": True}, "there is no language adapter for 'en'"),
        (
            {"name": "w", "task": "wiki", "languages": ["en", "sw"], "on_language": True},
            "'w' trains on several languages at once: en, sw",
        ),
    ],
)
def test_an_intermediate_on_a_language_adapter_needs_one(
    section: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    found = refused(tmp_path, methods=["target"], language=[], intermediate=["reply", section])
    assert [fault for fault in found if fault.startswith(f"intermediate[1].on_language: {expected}")]

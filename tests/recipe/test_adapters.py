"""Intermediates and domain adapters: one task, several languages, a mix, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterstilts.recipe.adapters import Adapter, Part
from adapterstilts.recipe.load import load
from adapterstilts.specs import Mix

from .examples import TASKS, recipe_data, write
from .test_load import faults

MORE: dict[str, Any] = {
    **TASKS,
    "wiki": {
        "kind": "mlm",
        "languages": {language: {"train": f"wiki.{language}.txt"} for language in ("en", "de", "sw")},
        "format": {"type": "jsonl"},
    },
    "checked": {
        "kind": "classification",
        "labels": ["a", "b"],
        "languages": {"en": {"train": "checked.jsonl", "validation": "checked.dev.jsonl"}},
        "format": {"type": "jsonl"},
    },
}
METHODS = ["target", "stack(<intermediate>, target)"]


def adapter(folder: Path, section: Any, **changes: Any) -> Adapter:
    changes = {"tasks": MORE, "methods": METHODS, **changes}
    return load(str(write(folder, recipe_data(intermediate=[section], **changes)))).adapters[0]


def refused(folder: Path, section: Any, **changes: Any) -> list[str]:
    changes = {"tasks": MORE, "methods": METHODS, **changes}
    return faults(folder, intermediate=["pairs", section], **changes)


@pytest.mark.parametrize(
    ("section", "parts", "mix", "names"),
    [
        ("pairs", [("pairs", ["en"])], None, ("pairs",)),
        ({"name": "p", "task": "pairs", "language": "en"}, [("pairs", ["en"])], None, ("pairs",)),
        ({"name": "w", "task": "wiki", "languages": ["sw", "de"]}, [("wiki", ["sw", "de"])], None, ("wiki",)),
        (
            {"name": "all", "mix": ["pairs", {"task": "wiki", "languages": ["en", "de"]}]},
            [("pairs", ["en"]), ("wiki", ["en", "de"])],
            Mix(131072, 1.0),
            ("all",),
        ),
        (
            {"name": "all", "mix": ["pairs", "reply"], "cap": None, "temperature": 5},
            [("pairs", ["en"]), ("reply", ["en"])],
            Mix(None, 5.0),
            ("all",),
        ),
    ],
)
def test_what_an_adapter_is_trained_on(
    section: Any, parts: list[tuple[str, list[str]]], mix: Mix | None, names: tuple[str, ...], tmp_path: Path
) -> None:
    found = adapter(tmp_path, section)
    assert found.parts == tuple(Part(task, tuple(languages)) for task, languages in parts)
    assert (found.mix, found.names) == (mix, names)
    assert not found.validated


@pytest.mark.parametrize(
    "section", [{"default": {"evaluations": 3}}, {"by_task": {"checked": {"evaluations": 3}}}]
)
def test_validation_data_are_read_where_something_is_selected(section: Any, tmp_path: Path) -> None:
    training = {"target": {"evaluations": 0}, **section}
    assert adapter(tmp_path, "checked", training=training).validated


def test_only_the_stages_that_methods_train_count(tmp_path: Path) -> None:
    # Evaluations are for whole models, and none is trained on the intermediate.
    training = {"full_finetune": {"evaluations": 3}}
    assert not adapter(tmp_path, "pairs", training=training).validated
    methods = ["target", "full_stilts(checked)"]
    training["by_task"] = {"topics": {"evaluations": 0}}
    assert adapter(tmp_path, "checked", training=training, methods=methods).validated


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"name": "x"}, ": trains on nothing in particular; give either `task` or `mix`"),
        (
            {"name": "x", "task": "pairs", "mix": ["pairs", "reply"]},
            ": trains on nothing in particular; give",
        ),
        ({"name": "x", "mix": ["pairs"]}, ".mix: one task is no mix; name it as `task`, or add another"),
        (
            {"name": "x", "mix": ["pairs", "pairs"]},
            ".mix: 'pairs' stands twice; give all its languages in one entry",
        ),
        ({"name": "x", "mix": ["pairs", "replyy"]}, ".mix[1]: 'replyy' is not a task; did you mean 'reply'?"),
        (
            {"name": "x", "mix": ["pairs", "reply"], "languages": ["en"]},
            ".languages: a mix names languages task by task; write `mix: [{task: ..., languages: [...]}]`",
        ),
        ({"name": "x", "task": "pairs", "cap": 10}, ".cap: belongs to a mix; list its tasks as `mix`"),
        ({"name": "x", "task": "pairs", "temperature": 2}, ".temperature: belongs to a mix; list its tasks"),
        (
            {"name": "x", "task": "wiki", "language": "en", "languages": ["de"]},
            ": gives `language` and `languages`; give one of them",
        ),
        ({"name": "x", "task": "wiki", "languages": ["en", "en"]}, ": a language of 'wiki' stands twice"),
        (
            {"name": "x", "task": "wiki", "languages": ["en", "xx", "yy"]},
            ": 'wiki' has no train data for 'xx', 'yy'; it has: en, de, sw",
        ),
        (
            {"name": "x", "mix": ["pairs", {"task": "wiki", "languages": ["xx"]}]},
            ": 'wiki' has no train data for 'xx'; it has: en, de, sw",
        ),
        (
            {"name": "reply", "mix": ["pairs", "reply"]},
            ": 'reply' is the name of a task too, and settings by name would reach both; choose another `name`",
        ),
        ("match", ": 'match' is a retrieval task, and nothing can be trained on it"),
        (
            {"name": "x", "mix": ["pairs", "match"]},
            ": 'match' is a retrieval task, and nothing can be trained",
        ),
        (
            {"name": "x", "mix": ["pairs", "reply"], "temperature": 0.5},
            ".temperature: input should be greater",
        ),
        (
            {"name": "x", "mix": ["pairs", {"task": "wiki", "languages": []}]},
            ".mix[1].languages: list should have",
        ),
    ],
)
def test_an_adapter_that_cannot_be_meant(section: Any, expected: str, tmp_path: Path) -> None:
    (fault,) = refused(tmp_path, section)
    assert fault.startswith(f"intermediate[1]{expected}")


def test_what_selects_needs_validation_data(tmp_path: Path) -> None:
    section = {"name": "all", "mix": ["checked", "pairs"]}
    found = refused(tmp_path, section, training={"by_task": {"all": {"evaluations": 2}}})
    assert found == [
        "intermediate[1]: 'pairs' has no validation data for 'en'; it has: none at all; set `evaluations: 0` for it"
    ]


@pytest.mark.parametrize("method", ["stack(all, target)", "fuse(all, pairs, target)", "full_stilts(all)"])
def test_a_mix_has_a_name_like_any_other(method: str, tmp_path: Path) -> None:
    intermediate = [
        "pairs",
        {"name": "all", "mix": ["pairs", "reply", {"task": "wiki", "languages": ["en", "sw"]}]},
    ]
    training = {"by_task": {"all": {"steps": 5}}}
    changes = {"tasks": MORE, "intermediate": intermediate, "training": training}
    recipe = load(str(write(tmp_path, recipe_data(**changes, methods=["target", method]))))
    assert str(recipe.methods[1]) == method


def test_settings_of_a_mixs_tasks_are_not_those_of_the_mix(tmp_path: Path) -> None:
    section = {"name": "all", "mix": ["pairs", "reply"]}
    (fault,) = faults(
        tmp_path, intermediate=[section], methods=METHODS, training={"by_task": {"reply": {"steps": 5}}}
    )
    assert fault.startswith("training.by_task.reply: the recipe does not use this task")

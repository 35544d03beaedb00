"""A study of the tiny recipe: seconds long, and the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny

SEARCH = """\
search:
  trials: {trials}
  over:
    compositions: {compositions}
    adapters: 2
    learning_rate: {{adapter: {{low: 1e-3, high: 5e-2}}, full: [1e-3, 3e-3]}}
{more}
"""
_DATA = "en: {train: data/topics.en.train.jsonl, "


def write_recipe(
    folder: Path,
    backbone: Path | str,
    *,
    methods: tuple[str, ...] = ("target",),
    trials: int = 4,
    compositions: str = "[stack, fuse]",
    search: str = "",
    whole: str = "",
    evaluations: int = 2,
    held_out: bool = False,
    steps: int = 4,
    **changes: Any,
) -> Path:
    """Write a recipe with a study, and its data; return the recipe's path.

    Args:
        folder: of the recipe.
        backbone: folder of a tiny backbone.
        methods: that are compared.
        trials: of the study.
        compositions: that it searches, as YAML.
        search: further lines of the section, indented.
        whole: the section, in place of the usual one.
        evaluations: while a target trains.
        held_out: whether the target has validation data of its own.
        steps: of each stage.
        changes: of `tiny.write_recipe`.
    """
    section = whole or SEARCH.format(trials=trials, compositions=compositions, more=search)
    given: dict[str, Any] = {"languages": ["xx"], "more_targets": (), "seeds": [0], "steps": steps, **changes}
    path = tiny.write_recipe(folder, backbone, methods=methods, more=section, **given)
    text = path.read_text(encoding="utf-8")
    text = text.replace(_DATA, _DATA + "validation: data/topics.en.jsonl, ")
    if held_out:
        text = text.replace(
            "xx: {test: data/topics.xx.jsonl}",
            "xx: {test: data/topics.xx.jsonl, validation: data/topics.yy.jsonl}",
        )
    roles = "".join(f"  {role}: {{evaluations: {evaluations}}}\n" for role in ("target", "fusion"))
    text = text.replace(
        "  full_finetune: {learning_rate: 3e-3}\n", roles + "  full_finetune: {learning_rate: 3e-3}\n"
    )
    path.write_text(text, encoding="utf-8")
    return path


class Heard:
    """A reporter of studies that remembers.

    Attributes:
        trials: those that ended, in order.
    """

    def __init__(self) -> None:
        self.trials: list[Any] = []

    def trial_ended(self, trial: Any, best: Any, score: int) -> None:
        self.trials.append(trial)


def run(path: str, options: Any, storage: str | None = None) -> None:
    """Run a recipe with its study, for use in a child."""
    from adapterstilts.runner.prepare import prepare
    from adapterstilts.search.run import run_studies

    for one in run_studies(prepare(path, options=options), storage):
        one.raise_failures()


def told(path: Path, options: Any, storage: str | None = None) -> list[Any]:
    """Return the trials of a recipe's study, without their times."""
    from contextlib import closing
    from dataclasses import replace

    from adapterstilts.runner.prepare import prepare
    from adapterstilts.search.opening import find_study
    from adapterstilts.search.records import tried
    from adapterstilts.search.storage import open_storage

    prepared = prepare(str(path), options=options)
    with closing(open_storage(storage, prepared.store.root)) as opened:
        study = find_study(prepared.recipe.file.name, opened)
        return [replace(trial, seconds=None) for trial in tried(study)]

"""A small recipe over own tasks, as data; `write` makes it a file. The data files need not exist to plan."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from adapterstilts.recipe.build import make_plan
from adapterstilts.recipe.load import load
from adapterstilts.recipe.material import Surroundings
from adapterstilts.recipe.plan import Plan
from adapterstilts.specs import BackboneSpec
from adapterstilts.store.digest import digest
from adapterstilts.tasks.spec import FileSource, Split

_JSONL = {"type": "jsonl"}
TASKS: dict[str, Any] = {
    "topics": {
        "kind": "classification",
        "domain": "social",
        "labels": ["art", "sport"],
        "languages": {
            "en": {"train": "topics.en.train.jsonl", "test": "topics.en.jsonl"},
            "sw": {"test": "topics.sw.jsonl"},
            "no": {"test": "topics.no.jsonl"},
        },
        "format": _JSONL,
    },
    "pairs": {
        "kind": "classification",
        "labels": ["other", "same"],
        "languages": {"en": {"train": "pairs.jsonl"}},
        "format": _JSONL,
    },
    "reply": {
        "kind": "multiple_choice",
        "domain": "social",
        "languages": {"en": {"train": "reply.jsonl"}},
        "format": _JSONL,
    },
    "match": {
        "kind": "retrieval",
        "languages": {"sw": {"test": "match.sw.jsonl"}, "no": {"test": "match.no.jsonl"}},
        "format": _JSONL,
    },
}
METHODS = [
    "target",
    "stack(<intermediate>, target)",
    "fuse(pairs, reply, target)",
    "stack(average(pairs, reply), target)",
    "stack(fuse(pairs, reply), target)",
    "full_finetune",
    "full_stilts(<intermediate>)",
]
_BASE: dict[str, Any] = {
    "version": 1,
    "name": "toy",
    "backbone": {"model": "./backbone", "retrieval": {"layer": 1}},
    "training": {"default": {"steps": 10}},
    "tasks": TASKS,
    "intermediate": ["pairs", "reply"],
    "targets": ["topics"],
    "methods": METHODS,
    "seeds": [0],
}
BACKBONE = BackboneSpec("files:" + "b" * 64, None)


def recipe_data(**changes: Any) -> dict[str, Any]:
    """Return the recipe with whole sections replaced."""
    return copy.deepcopy({**_BASE, **changes})


def write(folder: Path, data: Mapping[str, Any]) -> Path:
    """Write a recipe file; JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "toy.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def by_name(split: Split) -> str | None:
    """A content function: files with equal names have equal bytes."""
    if isinstance(split.source, FileSource):
        return digest([Path(path).name for path in split.source.paths])
    return digest(repr(split.source))


def plan_of(
    folder: Path,
    *,
    content: Callable[[Split], str | None] = by_name,
    backbone: BackboneSpec = BACKBONE,
    limit: int | None = None,
    **changes: Any,
) -> Plan:
    """Return the plan of the recipe with changes."""
    recipe = load(str(write(folder, recipe_data(**changes))))
    return make_plan(recipe, Surroundings(content, backbone, "fp32", limit))


def keys(plan: Plan) -> dict[str, str]:
    """Return stage name -> key."""
    return {stage.name: key for key, stage in plan.stages.items()}

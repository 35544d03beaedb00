"""A recipe with every setting: a mix, a mapped source, few examples, validation, overlap, the hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .examples import write_lines, write_recipe

SPLITS = ("train", "validation", "test")
_JSONL = {"type": "jsonl"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _languages(name: str, **splits: tuple[str, ...]) -> dict[str, dict[str, str]]:
    return {code: {split: f"{name}.{code}.{split}.jsonl" for split in own} for code, own in splits.items()}


TASKS: Mapping[str, Any] = {
    "mood": {
        "kind": "classification",
        "labels": ["bad", "good"],
        "languages": _languages("mood", en=SPLITS, sw=SPLITS),
        "format": _JSONL,
    },
    "stars": {
        "kind": "classification",
        "labels": ["low", "high"],
        "languages": {"en": {split: {"files": f"stars.{split}.jsonl", "format": _JSONL} for split in SPLITS}},
    },
    "wiki": {"kind": "mlm", "languages": _languages("wiki", en=SPLITS[:2], de=SPLITS[:2]), "format": _JSONL},
}
CHANGES: Mapping[str, Any] = {
    "tasks": TASKS,
    "intermediate": [
        {
            "name": "all",
            "mix": ["stars", {"task": "wiki", "languages": ["en", "de"]}],
            "cap": 7,
            "temperature": 2,
        }
    ],
    "targets": [
        {"task": "mood", "source": {"task": "stars", "labels": {"low": "bad", "high": "good"}}},
        {"task": "mood", "name": "few", "setting": {"few_shot": {"k": 3, "draws": 2, "stratify": "label"}}},
        {"task": "mood", "setting": {"few_shot": {"k": 3}}, "source": "none"},
        {"task": "mood", "setting": "in_language", "validation": "target"},
    ],
    "methods": ["target", "stack(all, target)", "fuse(all, target)", "full_finetune", "full_stilts(all)"],
    "training": {
        "default": {"steps": 10, "precision": "fp32", "evaluations": 2, "patience": 1},
        "few_shot": {"epochs": 4},
        "by_task": {"all": {"precision": "auto"}},
    },
    "remove_overlap": True,
}


def write_wide(folder: Path, **changes: Any) -> Path:
    """Write the recipe and its data."""
    path = write_recipe(folder, **{**CHANGES, **changes})
    for language in ("en", "sw"):
        for split in SPLITS:
            rows = [{"text": f"a {label} {split} {language}", "label": label} for label in ("bad", "good")]
            write_lines(folder / f"mood.{language}.{split}.jsonl", rows * 9)
    for split in SPLITS:
        rows = [{"text": f"{label} {split}", "label": label} for label in ("low", "high")]
        write_lines(folder / f"stars.{split}.jsonl", rows * 15)
    for language in ("en", "de"):
        for split in SPLITS[:2]:
            write_lines(folder / f"wiki.{language}.{split}.jsonl", [{"text": "some words"}] * 11)
    return path

"""``recipe.resolved.yaml``: the recipe of a run with everything resolved, ready to be run again from where it lies."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import Any

from adapterstilts.backbones import KNOWN
from adapterstilts.files import replace_text
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.yaml_text import write_yaml
from adapterstilts.runner.prepare import Prepared, local_backbone
from adapterstilts.tasks.spec import HubSource, Split

RESOLVED_FILE = "recipe.resolved.yaml"
# Parts of `training:` that hold settings by name.
_NAMED = ("by_task", "by_adapter", "by_method")


def write_resolved(prepared: Prepared) -> None:
    """Write the recipe with revisions and precision fixed, and its paths as seen from the results' folder."""
    recipe = prepared.recipe
    data = recipe.file.model_dump(mode="json", exclude_defaults=True)
    data["version"] = recipe.file.version
    data["backbone"] = _backbone(recipe, prepared.out)
    for name, task in data.get("tasks", {}).items():
        for language, splits in task["languages"].items():
            for split, section in splits.items():
                _move_paths(section, recipe.path.resolve().parent, prepared.out)
                if name in recipe.tasks:
                    _pin(section, recipe.tasks[name].splits[language][split])
    for section in data.get("pretrained", []):
        if (recipe.path.parent / section["path"]).is_dir():
            section["path"] = _seen_from(prepared.out, recipe.path.resolve().parent / section["path"])
    default = data.setdefault("training", {}).setdefault("default", {})
    named = [data["training"].get(name, {}).values() for name in _NAMED]
    sections = [section for name, section in data["training"].items() if name not in _NAMED]
    for section in chain(sections, *named):
        if section.get("precision") == "auto":
            section["precision"] = prepared.precision
    default.setdefault("precision", prepared.precision)
    replace_text(prepared.out / RESOLVED_FILE, write_yaml(data))


def _backbone(recipe: Recipe, out: Path) -> dict[str, Any]:
    section: dict[str, Any] = recipe.file.backbone.model_dump(mode="json")
    folder = local_backbone(recipe)
    if folder is not None:
        section["model"] = _seen_from(out, folder)
    elif section["revision"] is None and section["model"] in KNOWN:
        section["revision"] = KNOWN[section["model"]].revision
    return section


def _move_paths(section: dict[str, Any], folder: Path, out: Path) -> None:
    if "files" in section:
        # A path that is not there was found below --data-dir, and is looked for there again.
        section["files"] = [
            _seen_from(out, folder / path) if _exists(folder, path) else path for path in section["files"]
        ]


def _pin(section: dict[str, Any], split: Split) -> None:
    """Write the commit that a run asked the hub for where the recipe names none."""
    if isinstance(split.source, HubSource) and split.source.revision is not None:
        section["revision"] = split.source.revision


def _exists(folder: Path, path: str) -> bool:
    return any(folder.glob(path)) if not Path(path).is_absolute() else Path(path).exists()


def _seen_from(out: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path, out.resolve())).as_posix()
    except ValueError:  # another drive
        return path.as_posix()

"""From a file and overrides to a checked `Recipe`, or one `RecipeError` with every fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from adapterstilts.errors import Fault, RecipeError, suggest
from adapterstilts.recipe.check import Recipe, check
from adapterstilts.recipe.files import find
from adapterstilts.recipe.schema import FORMS, RecipeFile, Section
from adapterstilts.recipe.yaml_text import apply_override, parse_overrides, read_yaml


def load(reference: str, overrides: Sequence[str] | Mapping[str, Any] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        reference: path of a file, or the name of a recipe that ships with the package.
        overrides: ``path=value`` texts, or path -> value.

    Raises:
        RecipeError: with all faults that were found, each with its path in the recipe and a remedy.
    """
    path = find(reference)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(Fault(str(path), f"cannot be read as UTF-8 text: {error}")) from error
    data = read_yaml(text, str(path))
    for place, value in parse_overrides(overrides).items():
        apply_override(data, place, value)
    _read_label_files(data, path)
    try:
        file = RecipeFile.model_validate(data)
    except pydantic.ValidationError as error:
        raise RecipeError(*_shape_faults(error, path)) from error
    return check(path, file)


def _read_label_files(data: dict[str, Any], path: Path) -> None:
    """Put the lines of a file in the place of its path under ``labels``: some tasks have hundreds of labels."""
    tasks = data.get("tasks")
    faults: list[Fault] = []
    for name, task in tasks.items() if isinstance(tasks, dict) else ():
        if not isinstance(task, dict) or not isinstance(task.get("labels"), str):
            continue
        file = path.parent / task["labels"]
        try:
            lines = file.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            remedy = "list the labels, or name a UTF-8 file beside the recipe with one a line"
            faults.append(Fault(f"{path}: tasks.{name}.labels", f"{file} cannot be read: {error}", remedy))
        else:
            task["labels"] = [line.strip() for line in lines if line.strip()]
    if faults:
        raise RecipeError(*faults)


def _shape_faults(error: pydantic.ValidationError, path: Path) -> list[Fault]:
    return [
        _shape_fault(detail["type"], tuple(part for part in detail["loc"] if part not in FORMS), detail, path)
        for detail in error.errors()
    ]


def _shape_fault(kind: str, loc: tuple[int | str, ...], detail: Any, path: Path) -> Fault:
    where = f"{path}: {dotted(loc)}"
    if kind == "extra_forbidden":
        return Fault(where, "unknown key", _key_suggestion(loc))
    if kind == "missing":
        return Fault(where, "is missing", "add it; `adapterstilts recipe show quickstart` is an example")
    if loc and loc[-1] == "[key]":
        return Fault(
            f"{path}: {dotted(loc[:-2])}",
            f"{loc[-2]!r} is not a name",
            "use letters, digits, - and _, a letter first",
        )
    message = str(detail["msg"])
    return Fault(where, message[:1].lower() + message[1:], f"found {detail['input']!r}" if loc else "")


def dotted(loc: Iterable[int | str]) -> str:
    """Return a location as it is written in messages, for example ``targets[1].task``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _key_suggestion(loc: tuple[int | str, ...]) -> str:
    """Walk the schema to the section that holds the unknown key, for the names it could have been."""
    section: Any = RecipeFile
    for part in loc[:-1]:
        annotation = (
            section.model_fields[part].annotation
            if _is_section(section) and part in section.model_fields
            else section
        )
        section = _inner_section(annotation) or section
    known = list(section.model_fields) if _is_section(section) else []
    return suggest(str(loc[-1]), known) or ("known here: " + ", ".join(known) if known else "")


def _is_section(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Section)


def _inner_section(annotation: Any) -> Any:
    if _is_section(annotation):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_section(argument)
        if found:
            return found
    return None

"""What is shipped as one: a composition of adapters, its fusion, its head, and which files hold them. No torch.

The layout is that of plain ``adapters``. An adapter alone lies at the top (``load_adapter``); several lie in a folder
each, beside ``adapter_setup.json`` (``load_adapter_setup``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from adapterstilts import compose
from adapterstilts.specs import SELF

ADAPTER_FILES = ("adapter_config.json", "adapter.safetensors")
FUSION_FILES = ("adapter_fusion_config.json", "model_adapter_fusion.safetensors")
HEAD_FILES = ("head_config.json", "model_head.safetensors")
SETUP_FILE = "adapter_setup.json"

_PART_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_POSITION = re.compile(rf"x\d{{1,3}}|{SELF}")


@dataclass(frozen=True)
class UnitHead:
    """The output layer of a unit.

    Attributes:
        name: of the head, and of its folder where there are several parts.
        kind: of the task that it answers.
        labels: in its order.
    """

    name: str
    kind: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """What a shipped folder holds.

    Attributes:
        composition: over ``x0`` ... and ``self``, as in `adapterstilts.specs`.
        adapters: position -> name; names are unique.
        head: None for adapters that are only built on.
    """

    composition: str
    adapters: Mapping[str, str]
    head: UnitHead | None

    @property
    def single(self) -> bool:
        """Whether it is an adapter alone, which stands wherever a method names one."""
        return self.composition == SELF

    @property
    def fusion(self) -> str | None:
        """The library's name of the fusion, None without one: the last adapters of its members."""
        group = compose.fusion_of(compose.parse(self.composition))
        return None if group is None else ",".join(self.adapters[_last(child)] for child in group.children)

    def folder(self, part: str) -> str:
        """Return where a part lies below the unit, as a portable path; a part is an adapter, fusion or head by name."""
        return "." if self.single else part

    @property
    def files(self) -> frozenset[str]:
        """The portable paths of all its configurations and weights."""
        parts = [(name, ADAPTER_FILES) for name in self.adapters.values()]
        if self.fusion is not None:
            parts.append((self.fusion, FUSION_FILES))
        if self.head is not None:
            parts.append((self.head.name, HEAD_FILES))
        found = {str(PurePosixPath(self.folder(name), file)) for name, files in parts for file in files}
        return frozenset(found if self.single else {*found, SETUP_FILE})

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        head = self.head and {
            "name": self.head.name,
            "kind": self.head.kind,
            "labels": list(self.head.labels),
        }
        return {"composition": self.composition, "adapters": dict(self.adapters), "head": head}


def unit_of(data: Any) -> Unit:
    """Return the unit that plain data describe.

    Raises:
        ValueError: it is not one, or its names are outside the rules.
    """
    try:
        expression = compose.parse(data["composition"])
        adapters = {str(position): str(name) for position, name in data["adapters"].items()}
        head = None if data["head"] is None else _head(data["head"])
    except (KeyError, TypeError, AttributeError, compose.CompositionError) as error:
        raise ValueError(f"it describes no unit: {type(error).__name__}: {error}") from error
    names = [*adapters.values(), *([head.name] if head else [])]
    if not all(_PART_NAME.fullmatch(name) for name in names) or len({*adapters.values()}) < len(adapters):
        raise ValueError("names of its parts are outside the rules, or stand twice")
    if not all(_POSITION.fullmatch(position) for position in adapters):
        raise ValueError("positions of its parts are outside the rules")
    if {*compose.leaves(expression)} != {*adapters}:
        raise ValueError("its composition and its adapters differ")
    return Unit(str(data["composition"]), adapters, head)


def _head(data: Any) -> UnitHead:
    return UnitHead(str(data["name"]), str(data["kind"]), tuple(str(label) for label in data["labels"]))


def part_names(wanted: Mapping[str, str], taken: Callable[[str], bool]) -> dict[str, str]:
    """Return unique names that the library can hold.

    Args:
        wanted: position -> what a reader would call it.
        taken: whether a name means something else to the library.
    """
    found: dict[str, str] = {}
    for position, text in wanted.items():
        plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:48]
        name = plain if _PART_NAME.fullmatch(plain) else f"adapter_{plain}".rstrip("_")
        number = 2
        unique = name
        while taken(unique) or unique in found.values():
            unique, number = f"{name}_{number}", number + 1
        found[position] = unique
    return found


def _last(expression: compose.Expression) -> str:
    return compose.leaves(expression)[-1]

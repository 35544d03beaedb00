"""A unit on disk: written from a stage's own parts under names that readers know, and read back as if it were hostile.

Nothing of a unit touches a model before all of it was checked: an adapter as one of others is
(`adapterstilts.model.foreign`), fusion and head by their own tensors, everything together on a skeleton of the
backbone without weights.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from adapterstilts import compose
from adapterstilts.errors import Fault, StoreError
from adapterstilts.methods import MethodError, family_of
from adapterstilts.model.assembly import (
    ADAPTER_FOLDER,
    FUSION_FOLDER,
    HEAD_FOLDER,
    Blueprint,
    HeadSpec,
    assembled,
)
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.blocks import block_of
from adapterstilts.model.faults import AssemblyError
from adapterstilts.model.foreign import import_adapter
from adapterstilts.model.heads import HEADS
from adapterstilts.model.parts import adapter_mark, fusion_mark, head_mark
from adapterstilts.model.shapes import BackboneShape, skeleton
from adapterstilts.model.weights import finite_faults, load_weights
from adapterstilts.specs import SELF, BackboneSpec
from adapterstilts.units import ADAPTER_FILES, FUSION_FILES, HEAD_FILES, SETUP_FILE, Unit, UnitHead

_REMEDY = "do not use it"


@dataclass(frozen=True)
class Sources:
    """Where the parts of a unit lie before it is one, in folders as stages write them.

    Attributes:
        adapters: position -> folder.
        fusion: folder of the fusion, None without one.
        head: folder of the head, None without one.
    """

    adapters: Mapping[str, Path]
    fusion: Path | None = None
    head: Path | None = None


def library_uses(name: str) -> bool:
    """Whether a name is one of a module's own, which the library would take for it."""
    return hasattr(nn.ModuleDict, name)


def plain_computes(unit: Unit, sources: Sources) -> bool:
    """Whether plain ``adapters`` computes a unit's composition as it was trained (`adapterstilts.model.composing`)."""
    if unit.single:
        return True
    expression = compose.parse(unit.composition)
    configs = [_json(folder / ADAPTER_FILES[0])["config"] for folder in sources.adapters.values()]
    fusion = compose.fusion_of(expression)
    flat = fusion is None or all(isinstance(child, compose.Leaf) for child in fusion.children)
    return (
        flat
        and all(family_of(config) == "bottleneck" for config in configs)
        and "parallel" not in unit.composition
    )


# ---- writing


def write_unit(unit: Unit, sources: Sources, folder: Path) -> None:
    """Write a unit's configurations and weights in the layout of plain ``adapters``.

    Args:
        unit: what it is.
        sources: its parts.
        folder: made if it is missing.
    """
    for position, name in unit.adapters.items():
        _write_adapter(sources.adapters[position], folder / unit.folder(name), name)
    if unit.fusion is not None and sources.fusion is not None:
        members = {"name": unit.fusion, "adapter_names": unit.fusion.split(",")}
        _copy(sources.fusion, FUSION_FILES, folder / unit.folder(unit.fusion), _fusion(unit.fusion), members)
    if unit.head is not None and sources.head is not None:
        name = unit.head.name
        _copy(sources.head, HEAD_FILES, folder / unit.folder(name), _head(name), {"name": name})
    if not unit.single:
        setup = {
            "adapter_setup": block_of(compose.parse(unit.composition), unit.adapters.__getitem__).to_dict(),
            "head_setup": None if unit.head is None else unit.head.name,
            "version": _json(next(folder.rglob(ADAPTER_FILES[0])))["version"],
        }
        _write_json(folder / SETUP_FILE, setup)


def _write_adapter(source: Path, folder: Path, name: str) -> None:
    _copy(source, ADAPTER_FILES, folder, _adapter(name), {"name": name})


# Old name -> what to look for in a tensor's name, and what to put there.
Renaming = Callable[[str], tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]


def _adapter(new: str) -> Renaming:
    return lambda old: (adapter_mark(old), lambda match: f"{match.group().split('.')[0]}.{new}.")


def _fusion(new: str) -> Renaming:
    return lambda old: (fusion_mark(old), lambda _: f"adapter_fusion_layer.{new}.")


def _head(new: str) -> Renaming:
    return lambda old: (head_mark(old), lambda _: f"heads.{new}.")


def _copy(
    source: Path, files: tuple[str, str], target: Path, renaming: Renaming, changes: Mapping[str, Any]
) -> None:
    """Write a part under another name.

    Raises:
        StoreError: when it holds anything but its own tensors, or values that are no numbers.
    """
    described = _json(source / files[0])
    tensors = load_weights(source / files[1])
    mark, new = renaming(str(described.get("name")))
    foreign = sorted(key for key in tensors if not mark.search(key))
    if foreign or not tensors:
        what = f"holds {foreign[0]}, which is no part of it" if foreign else "holds no tensors"
        raise StoreError(Fault(str(source / files[1]), what, _REMEDY))
    if faults := finite_faults(str(source / files[1]), tensors):
        raise StoreError(*faults)
    target.mkdir(parents=True, exist_ok=True)
    _write_json(target / files[0], {**described, **changes})
    # Its own numbers, to the bit.
    renamed: dict[str, Tensor] = {mark.sub(new, key): tensor.contiguous() for key, tensor in tensors.items()}
    save_file(renamed, str(target / files[1]))


# ---- reading


def read_unit(folder: Path, unit: Unit, shape: BackboneShape, target: Path) -> Blueprint:
    """Check the parts of a unit and write them in our own layout.

    Args:
        folder: of the unit.
        unit: what it says that it is.
        shape: of the backbone on which it is to stand.
        target: a folder that is made.

    Returns:
        What stands on the backbone, its parts in `target`.

    Raises:
        StoreError: when a part is not what it should be.
    """
    own = target / SELF
    inputs = {}
    for position, name in unit.adapters.items():
        place = own / ADAPTER_FOLDER if position == SELF else target / position
        import_adapter(folder / unit.folder(name), place, shape)
        if position != SELF:
            inputs[position] = place
    if unit.fusion is not None:
        name = str(block_of(_fused(unit)).name)
        source = folder / unit.folder(unit.fusion)
        _copy(source, FUSION_FILES, own / FUSION_FOLDER, _fusion(name), {"name": name})
    heads = () if unit.head is None else (_read_head(folder, unit, unit.head, own / HEAD_FOLDER),)
    return Blueprint(unit.composition, inputs, trained=own, heads=heads)


def _read_head(folder: Path, unit: Unit, head: UnitHead, target: Path) -> HeadSpec:
    if head.kind not in HEADS:
        raise StoreError(Fault(str(folder), f"there is no head for {head.kind!r}", _REMEDY))
    _copy(folder / unit.folder(head.name), HEAD_FILES, target, _head("head"), {"name": "head"})
    return HeadSpec(head.kind, head.labels)


def check_unit(folder: Path, unit: Unit, shape: BackboneShape) -> None:
    """Check a unit as a whole, on a skeleton of its backbone.

    Raises:
        StoreError: when its parts are not its own, do not fit the backbone or each other, or cannot be composed.
    """
    with tempfile.TemporaryDirectory() as place:
        blueprint = read_unit(folder, unit, shape, Path(place) / "unit")
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            unread: Any = None
            bare = Backbone(skeleton(shape), unread, BackboneSpec("skeleton", None), torch.device("meta"))
            try:
                with assembled(bare, blueprint):
                    pass
            except AssemblyError as error:
                raise StoreError(
                    *(Fault(str(folder), str(fault), _REMEDY) for fault in error.faults)
                ) from error
            # The library is asked to build what others have written.
            except (KeyError, ValueError, TypeError, AttributeError, AssertionError, MethodError) as error:
                what = f"its parts cannot be built: {type(error).__name__}: {error}"
                raise StoreError(Fault(str(folder), what, _REMEDY)) from error


def _fused(unit: Unit) -> compose.Group:
    group = compose.fusion_of(compose.parse(unit.composition))
    assert group is not None
    return group


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(Fault(str(path), "cannot be read as JSON", _REMEDY)) from error
    if not isinstance(data, dict):
        raise StoreError(Fault(str(path), "is not an object", _REMEDY))
    return data


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2, sort_keys=True), encoding="utf-8")

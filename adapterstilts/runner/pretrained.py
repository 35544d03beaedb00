"""Adapters that were trained elsewhere: where they lie, what they are, whether methods may compose them. No torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapterstilts.errors import AdapterStiltsError, Fault, RecipeError, UsageError
from adapterstilts.hub.manifest import MANIFEST_FILE
from adapterstilts.hub.provenance import read_provenance
from adapterstilts.hub.references import is_reference
from adapterstilts.hub.shelf import Shelf
from adapterstilts.methods import Family, MethodError, family_of
from adapterstilts.paths import Making, made_elsewhere
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.compositions import refusal_faults
from adapterstilts.recipe.schema import PretrainedSection
from adapterstilts.specs import BackboneSpec
from adapterstilts.store.digest import digest_files
from adapterstilts.store.record import RECORD_NAME, read_record
from adapterstilts.store.store import Store
from adapterstilts.trust.origins import Origins, behind, noted

_CONFIG_FILE, _WEIGHTS_FILE, _PICKLE_FILE = (
    "adapter_config.json",
    "adapter.safetensors",
    "pytorch_adapter.bin",
)
# Below an artifact, where stages write the adapter that they make.
_ADAPTER_FOLDER = "adapter"
_KEY = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class Pretrained:
    """An adapter's folder.

    Attributes:
        folder: in the layout of `adapters`.
        content: digest of its configuration and weights.
        family: what kind of adapter it is.
        making: what it is made of, as far as the path of a stage depends on it.
        allow_pickle: whether weights of the old format may be read.
        backbone: what it was trained on, where it says so.
        origins: the data behind it, where it comes out of a store or is a unit; None where nobody knows.
    """

    folder: Path
    content: str
    family: Family
    making: Making
    allow_pickle: bool
    backbone: BackboneSpec | None = None
    origins: Origins | None = None


def imported(found: Iterable[Pretrained]) -> dict[str, Origins]:
    """Return digest of files -> the data behind them, of the adapters whose data are known."""
    return {one.content: one.origins for one in found if one.origins is not None}


def pretrained_faults(recipe: Recipe, root: Path) -> list[AdapterStiltsError]:
    """Return what is wrong with the pretrained adapters of a recipe."""
    try:
        find_pretrained(recipe, root)
    except RecipeError as error:
        return [error]
    return []


def find_pretrained(recipe: Recipe, root: Path) -> dict[str, Pretrained]:
    """Return the pretrained adapters of a recipe by name.

    Args:
        recipe: checked.
        root: of the store.

    Raises:
        RecipeError: with all faults: an adapter is not there, is none, or may not stand where a method has it.
    """
    found: dict[str, Pretrained] = {}
    faults: list[Fault] = []
    for i, section in enumerate(recipe.file.pretrained):
        where = f"pretrained[{i}]"
        try:
            found[section.name] = _read(where, section, recipe.path.parent, root)
        except AdapterStiltsError as error:
            faults += error.faults
    if not faults:
        faults = _refused(recipe, found)
    if faults:
        raise RecipeError(*(Fault(f"{recipe.path}: {f.where}", f.what, f.remedy) for f in faults))
    return found


def check_backbones(recipe: Recipe, found: Mapping[str, Pretrained], backbone: BackboneSpec) -> None:
    """Refuse adapters that say that they were trained on another backbone; of equal size it would pass for theirs.

    Raises:
        RecipeError: with all of them.
    """
    faults = [
        Fault(
            f"{recipe.path}: pretrained.{name}",
            f"it was trained on {one.backbone.model} ({one.backbone.revision}), and the recipe's backbone is "
            f"{backbone.model} ({backbone.revision})",
            "take an adapter of this backbone, or the backbone of the adapter",
        )
        for name, one in found.items()
        if one.backbone is not None
        and (one.backbone.model, one.backbone.revision) != (backbone.model, backbone.revision)
    ]
    if faults:
        raise RecipeError(*faults)


def _refused(recipe: Recipe, found: Mapping[str, Pretrained]) -> list[Fault]:
    """Return why methods cannot be had with these adapters; what can be said without them is said already."""
    families = {name: one.family for name, one in found.items()}
    return refusal_faults(recipe.file, dict.fromkeys(recipe.methods, "methods"), families)


def _read(where: str, section: PretrainedSection, folder: Path, root: Path) -> Pretrained:
    place = _folder(where, section, folder, root)
    try:
        described = json.loads((place / _CONFIG_FILE).read_text(encoding="utf-8"))
        family, making = family_of(described["config"]), made_elsewhere(described)
    except MethodError as error:
        raise UsageError(Fault(where, str(error), "take another adapter")) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{place} holds no {_CONFIG_FILE} that can be read"
        raise UsageError(Fault(where, what, "name a folder that `adapters` has saved")) from error
    weights = next((place / name for name in (_WEIGHTS_FILE, _PICKLE_FILE) if (place / name).is_file()), None)
    if weights is None:
        raise UsageError(Fault(where, f"{place} holds no weights", "name a folder that `adapters` has saved"))
    if weights.name == _PICKLE_FILE and not section.allow_pickle:
        what = f"{weights} is a pickle, the old format, in which code can hide"
        raise UsageError(Fault(where, what, "write `allow_pickle: true` if you trust its source"))
    content = digest_files([place / _CONFIG_FILE, weights])
    backbone = read_provenance(place).backbone if is_reference(section.path) else None
    return Pretrained(place, content, family, making, section.allow_pickle, backbone, _origins(place, root))


def _origins(place: Path, root: Path) -> Origins | None:
    """Return the data behind a unit, or an adapter that lies in an artifact's folder, of this store or another one."""
    if (place / MANIFEST_FILE).is_file():
        return read_provenance(place).behind_derived
    if not (place.parent / RECORD_NAME).is_file():
        return None
    record = read_record(place.parent / RECORD_NAME)
    store = Store(root)
    return behind(store, record.key) if store.find(record.key) is not None else noted(record)


def _folder(where: str, section: PretrainedSection, folder: Path, root: Path) -> Path:
    if is_reference(section.path):
        return _single_unit(where, section.path, root)
    place = folder / section.path
    if place.is_dir():
        return place
    if not _KEY.fullmatch(section.path):
        raise UsageError(Fault(where, f"there is no folder {place}", "correct the path"))
    artifact = Store(root).resolve(section.path)
    if not (artifact.path / _ADAPTER_FOLDER).is_dir():
        what = f"{artifact.record.name} in the store holds no adapter"
        raise UsageError(Fault(where, what, "`adapterstilts adapter ls` lists what does"))
    return artifact.path / _ADAPTER_FOLDER


def _single_unit(where: str, reference: str, root: Path) -> Path:
    placed = Shelf(root).find(reference)
    if not read_provenance(placed.folder).unit.single:
        what = f"{reference} is a composition of several adapters"
        raise UsageError(
            Fault(where, what, "methods compose single ones; predict with it, or take its parts")
        )
    return placed.folder

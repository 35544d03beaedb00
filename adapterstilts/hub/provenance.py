"""``provenance.json``: where a unit comes from, and what it takes to use it. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from adapterstilts.errors import Fault, StoreError
from adapterstilts.files import replace_text
from adapterstilts.hub.manifest import PROVENANCE_FILE
from adapterstilts.hub.references import check_repo, version_number
from adapterstilts.specs import BackboneSpec, Numerics
from adapterstilts.trust.origins import Origin, Origins, as_data, from_data
from adapterstilts.units import Unit, unit_of

_FORMAT = 1
_LARGEST = 16 << 20
_SIZES = ("hidden", "layers", "heads", "intermediate")
# Far above any encoder; a skeleton of these sizes is still made in a moment.
_LARGEST_SIZE = 1 << 17


@dataclass(frozen=True)
class Provenance:
    """What a unit says of itself.

    Attributes:
        name: ``namespace/name``.
        version: three numbers.
        unit: its parts.
        key: of the artifact that it was made from.
        backbone: what it was trained on.
        shape: the backbone's sizes: hidden, layers, heads, intermediate, model_type.
        numerics: the arithmetic that it was trained with.
        reading: how its head reads examples: ``max_length``, ``tokens_per_batch``, ``stride``, ``unanswerable``;
            empty without a head.
        stages: every stage behind it: name, key, spec, inputs, data, results, versions and device.
        data: use of data (``task.language.split``) -> digest of its content.
        recipe: resolved, without folders of this machine.
        results: rows of the recipe's results that read this artifact.
        licence: ``unit``: its own; ``computed``: what its data leave it; ``allowed``: what its maker had to allow by
            name to show it.
        origins: the data behind it; None where it says nothing of them.
    """

    name: str
    version: str
    unit: Unit
    key: str
    backbone: BackboneSpec
    shape: Mapping[str, Any]
    numerics: Numerics | None
    reading: Mapping[str, Any]
    stages: list[Mapping[str, Any]] = field(default_factory=list)
    data: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    results: list[Mapping[str, Any]] = field(default_factory=list)
    licence: Mapping[str, Any] = field(default_factory=dict)
    origins: Origins | None = None

    @property
    def data_behind(self) -> Origins:
        """The data behind it; one origin that is not known where it says nothing of them."""
        return (Origin(self._title, known=False),) if self.origins is None else self.origins

    @property
    def behind_derived(self) -> Origins:
        """What is behind all that is made of it: its data, and the unit itself under its own licence."""
        return (*self.data_behind, Origin(self._title, self.licence["unit"]))

    @property
    def _title(self) -> str:
        return f"{self.name}@{self.version}"


def write_provenance(folder: Path, provenance: Provenance) -> None:
    """Write it into a unit's folder."""
    data = {one.name: getattr(provenance, one.name) for one in fields(provenance)}
    data |= {"unit": provenance.unit.to_json(), "backbone": asdict(provenance.backbone), "format": _FORMAT}
    data["numerics"] = None if provenance.numerics is None else asdict(provenance.numerics)
    data["origins"] = None if provenance.origins is None else as_data(provenance.origins)
    text = json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    replace_text(folder / PROVENANCE_FILE, text + "\n")


def read_provenance(folder: Path) -> Provenance:
    """Return what a unit's folder says of itself.

    Raises:
        StoreError: it says nothing that this version understands.
    """
    path = folder / PROVENANCE_FILE
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is out of all proportion")
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != _FORMAT:
            raise ValueError("a format of another version")
        found = Provenance(
            **{
                **data,
                "unit": unit_of(data["unit"]),
                "backbone": BackboneSpec(**data["backbone"]),
                "numerics": data["numerics"] and Numerics(**data["numerics"]),
                "origins": None if data.get("origins") is None else from_data(data["origins"]),
            }
        )
        _check(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(
            Fault(str(path), f"cannot be understood: {error}", "do not use this unit")
        ) from error
    return found


def _check(found: Provenance) -> None:
    check_repo(found.name, found.name)
    version_number(found.version)
    sizes = [found.shape[name] for name in _SIZES]
    if not all(type(size) is int and 0 < size <= _LARGEST_SIZE for size in sizes):
        raise ValueError("its backbone has no sizes that can be meant")
    if not (isinstance(found.licence["unit"], str) and found.licence["unit"].isprintable()):
        raise ValueError("it has no licence")
    if not all(_is_origin(origin) for origin in found.data_behind):
        raise ValueError("it names data in a way that nothing here does")
    if found.unit.head is not None:
        counts = [found.reading["max_length"], found.reading["tokens_per_batch"]]
        if not all(type(count) is int and count > 0 for count in counts) or found.numerics is None:
            raise ValueError("it does not say how its head reads examples")


def _is_origin(origin: Origin) -> bool:
    texts = (origin.task, origin.licence, *origin.path)
    return all(isinstance(text, str) and text.isprintable() for text in texts) and all(
        isinstance(flag, bool) for flag in (origin.confidential, origin.known)
    )

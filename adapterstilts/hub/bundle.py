"""All that a site without a network needs, in one file: units, their backbones, encoded data, wheels.

A bundle is a plain tar of a folder with a manifest::

    bundle.json                      references and backbones, by where they lie
    units/<digest>/                  units, as they are
    backbones/<number>/              model folders, of the hub or local ones
    encoded/<key>/                   encoded data of the store's cache
    wheels/*.whl                     what pip installs there
"""

from __future__ import annotations

import json
import shutil
import tarfile
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterstilts.backbones import FILES_PREFIX, PACKAGE_PREFIX, local_model
from adapterstilts.errors import Fault, StoreError, UsageError
from adapterstilts.files import replace_text
from adapterstilts.hub.exchange import check_folder
from adapterstilts.hub.manifest import verified, write_manifest
from adapterstilts.hub.provenance import read_provenance
from adapterstilts.hub.references import parse_reference
from adapterstilts.hub.registry import Placed, copy_synced
from adapterstilts.hub.shelf import Shelf
from adapterstilts.specs import BackboneSpec
from adapterstilts.store.store import Store
from adapterstilts.trust.push import Leaving, check_leaving

_CONTENTS = "bundle.json"
_FORMAT = 1
# Of a model's folder; old formats, in which code can hide, stay behind.
_MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt")


@dataclass(frozen=True)
class Brought:
    """What an import has brought.

    Attributes:
        units: now on this machine, with the references that they are found by.
        backbones: their names.
        encoded: number of encoded splits.
        wheels: folder of wheels, None without any.
    """

    units: Sequence[tuple[Placed, Sequence[str]]]
    backbones: Sequence[str]
    encoded: int
    wheels: Path | None


def export_bundle(
    file: Path,
    references: Sequence[str],
    shelf: Shelf,
    store: Store,
    *,
    backbones: Sequence[Path] = (),
    encoded: bool = False,
    wheels: Path | None = None,
    allowed: Collection[str] = (),
) -> str:
    """Write a bundle.

    It leaves the site as a push does, so that the same reasons stand against it (`adapterstilts.trust.push`).

    Args:
        file: a new file.
        references: of units on this machine.
        shelf: where they are.
        store: whose cache has encoded data.
        backbones: folders of local backbones; those of the hub are taken from its cache.
        encoded: whether encoded data go along.
        wheels: folder of wheels that go along; a packaged backbone is one of them.
        allowed: the overrides that a user typed.

    Returns:
        Digest of the bundle's manifest.

    Raises:
        UsageError: the file is there already, a folder is not what it should be, a backbone of the hub is not in its
            cache, or a unit may not go out.
        StoreError: a unit is not here.
    """
    if file.exists():
        raise UsageError(Fault(str(file), "is there already", "name another file"))
    units = [(str(parse_reference(text)), shelf.find(text)) for text in references]
    check_leaving([_leaving(text, placed) for text, placed in units], allowed)
    with _scratch(shelf) as folder:
        for _, placed in units:
            if not (folder / "units" / placed.digest).exists():
                copy_synced(placed.folder, folder / "units" / placed.digest)
        carried = _carry_backbones([placed for _, placed in units], backbones, folder)
        if encoded and (store.cache / "encoded").is_dir():
            shutil.copytree(store.cache / "encoded", folder / "encoded")
        if wheels is not None:
            _carry_wheels(wheels, folder / "wheels")
        taken = shelf.taken()
        listed = [
            {"reference": text, "digest": placed.digest, "facts": dict(taken.get(text, {}))}
            for text, placed in units
        ]
        contents = {"format": _FORMAT, "units": listed, "backbones": carried}
        replace_text(folder / _CONTENTS, json.dumps(contents, indent=1, sort_keys=True) + "\n")
        digest = write_manifest(folder).digest
        _pack(folder, file)
    return digest


def import_bundle(file: Path, shelf: Shelf, store: Store) -> Brought:
    """Take in a bundle, once all of it was checked.

    Args:
        file: of `export_bundle`.
        shelf: where units go.
        store: where all else goes; a backbone of the hub goes into the hub's cache.

    Raises:
        StoreError: it is no bundle, or not as its manifest says.
    """
    with _scratch(shelf) as folder:
        _unpack(file, folder)
        verified(folder)
        contents = _contents(folder)
        for unit in contents["units"]:
            check_folder(folder / "units" / unit["digest"])
        units = _install_units(contents["units"], folder, shelf)
        names = [_install_backbone(one, folder, store) for one in contents["backbones"]]
        encoded = _install_folders(folder / "encoded", store.cache / "encoded")
        wheels = store.root / "wheels"
        _install_folders(folder / "wheels", wheels)
        return Brought(units, names, encoded, wheels if (folder / "wheels").is_dir() else None)


# ---- out


def _leaving(reference: str, placed: Placed) -> Leaving:
    said = read_provenance(placed.folder)
    return Leaving(reference, said.data_behind, said.licence["unit"])


def _carry_backbones(
    units: Sequence[Placed], backbones: Sequence[Path], folder: Path
) -> list[dict[str, Any]]:
    specs = dict.fromkeys(read_provenance(placed.folder).backbone for placed in units)
    models = {local_model(path): path for path in backbones}
    carried = [_carry(spec, number, models, folder) for number, spec in enumerate(specs)]
    return [one for one in carried if one is not None]


def _pack(folder: Path, file: Path) -> None:
    """Write a folder's tar beside its place, and move it there when it is whole."""
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with tarfile.open(temporary, "w") as archive:
            archive.add(folder, arcname=".", filter=_nobody)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _carry(
    spec: BackboneSpec, number: int, models: Mapping[str, Path], folder: Path
) -> dict[str, Any] | None:
    """Copy a backbone into the bundle; None for one that a wheel brings."""
    if spec.model.startswith(PACKAGE_PREFIX):
        return None
    if spec.model.startswith(FILES_PREFIX):
        source = models.get(spec.model)
        if source is None:
            what = f"a unit stands on the local backbone {spec.model[:20]}..."
            raise UsageError(Fault("bundle", what, "name its folder with --backbone"))
    else:
        source = _cached(spec)
    place = f"backbones/{number}"
    for pattern in _MODEL_FILES:
        for path in sorted(source.glob(pattern)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            # The hub's cache holds links; a bundle holds files.
            shutil.copyfile(path, folder / place / path.name)
    return {"model": spec.model, "revision": spec.revision, "place": place}


def _cached(spec: BackboneSpec) -> Path:
    """Return the folder of a hub's backbone in the cache."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(spec.model, "config.json", revision=spec.revision)
    if not isinstance(found, str):
        what = f"{spec.model} is not in the hub's cache"
        raise UsageError(Fault("bundle", what, "predict with the unit once, which downloads it"))
    return Path(found).parent


def _carry_wheels(source: Path, target: Path) -> None:
    wheels = sorted(source.glob("*.whl"))
    if not wheels:
        remedy = "fill it with `pip download adapterstilts -d DIR`"
        raise UsageError(Fault(str(source), "holds no wheels", remedy))
    target.mkdir()
    for wheel in wheels:
        shutil.copyfile(wheel, target / wheel.name)


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made a file and when, so that equal bundles are equal files."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member


# ---- in


def _unpack(file: Path, folder: Path) -> None:
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                if not (member.isfile() or member.isdir()):
                    raise StoreError(
                        Fault(str(file), f"holds {member.name}, no ordinary file", "do not use it")
                    )
                archive.extract(member, folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise StoreError(Fault(str(file), f"is no bundle: {error}", "carry it over anew")) from error


def _contents(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads((folder / _CONTENTS).read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            raise ValueError("a format of another version")
        units = [
            {
                "reference": str(parse_reference(unit["reference"])),
                "digest": str(parse_reference(f"sha256:{unit['digest']}").version),
                "facts": dict(unit["facts"]),
            }
            for unit in data["units"]
        ]
        backbones = [
            {name: one[name] for name in ("model", "revision", "place")} for one in data["backbones"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(Fault(_CONTENTS, f"cannot be understood: {error}", "carry it over anew")) from error
    return {"units": units, "backbones": backbones}


def _install_units(
    units: Sequence[Mapping[str, Any]], folder: Path, shelf: Shelf
) -> list[tuple[Placed, list[str]]]:
    by_digest: dict[str, list[Mapping[str, Any]]] = {}
    for unit in units:
        by_digest.setdefault(unit["digest"], []).append(unit)
    found = []
    for digest, own in by_digest.items():
        place = folder / "units" / digest
        said = read_provenance(place)
        references = [str(unit["reference"]) for unit in own]
        for reference in map(parse_reference, references):
            if reference.scheme == "local":
                shelf.registry.publish(place, said.name, said.version)
        noted = {str(unit["reference"]): unit["facts"] for unit in own if unit["facts"]}
        found.append((shelf.install(place, noted), references))
    return found


def _install_backbone(one: Mapping[str, Any], folder: Path, store: Store) -> str:
    source = folder / "backbones" / Path(one["place"]).name
    model, revision = str(one["model"]), str(one["revision"])
    if model.startswith(FILES_PREFIX):
        if local_model(source) != model:
            raise StoreError(Fault(model, "its files are others", "carry it over anew"))
        target = carried_backbone(store.root, model)
    else:
        parse_reference(f"hf:{model}@{revision}")
        from huggingface_hub.constants import HF_HUB_CACHE

        target = Path(HF_HUB_CACHE) / f"models--{model.replace('/', '--')}" / "snapshots" / revision
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
    return model


def carried_backbone(store_root: Path, model: str) -> Path:
    """Return where a local backbone that came in a bundle lies in a store, or would."""
    return store_root / "backbones" / model.removeprefix(FILES_PREFIX)


def _install_folders(source: Path, target: Path) -> int:
    """Move what is in a folder and not yet in another; return how many entries it holds."""
    if not source.is_dir():
        return 0
    target.mkdir(parents=True, exist_ok=True)
    entries = sorted(source.iterdir())
    for entry in entries:
        if not (target / entry.name).exists():
            shutil.move(entry, target / entry.name)
    return len(entries)


@contextmanager
def _scratch(shelf: Shelf) -> Iterator[Path]:
    """Yield an empty folder on the store's file system; it is gone afterwards."""
    folder = shelf.staging(f"bundle.{uuid.uuid4().hex[:8]}")
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise StoreError(Fault(str(folder), f"{error.strerror or error}", "free some space")) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)

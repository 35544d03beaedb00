"""``MANIFEST.json``: what a unit consists of, to the byte; its own digest is the unit's identity. No torch.

A folder is a unit only if it holds the manifest's files and nothing else, each an ordinary file. Beside SHA-256 every
file has git's digest, so that small files can be compared with a hub's tree without being downloaded.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adapterstilts.errors import Fault, StoreError
from adapterstilts.store.digest import digest_bytes, digest_file, digest_git_blob

MANIFEST_FILE = "MANIFEST.json"
# Made of the finished folder, and so in no manifest.
SIGNATURE_FILE = "model.sig"
CARD_FILE = "README.md"
PROVENANCE_FILE = "provenance.json"

_FORMAT = 1
_REMEDY = "get it anew; do not use it as it is"
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+-]{0,254}(?:/[A-Za-z0-9_][A-Za-z0-9_.,+-]{0,254}){0,7}")
_SHA256, _GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_LARGEST_MANIFEST = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One file: bytes, SHA-256, and the digest of git's blob."""

    size: int
    sha256: str
    git_sha1: str


@dataclass(frozen=True)
class Manifest:
    """The files of a unit by portable relative path, and the digest of the manifest itself."""

    files: Mapping[str, Entry]
    digest: str


def entry_of(path: Path) -> Entry:
    """Return a file's entry."""
    return Entry(path.stat().st_size, digest_file(path), digest_git_blob(path))


def write_manifest(folder: Path) -> Manifest:
    """Write the manifest of a folder's files.

    Raises:
        StoreError: there is something else than ordinary files of portable names.
    """
    files = {path: entry_of(folder / path) for path in list_files(folder) if path not in _OUTSIDE}
    data = {"format": _FORMAT, "files": {path: asdict(entry) for path, entry in sorted(files.items())}}
    text = json.dumps(data, indent=1, sort_keys=True) + "\n"
    (folder / MANIFEST_FILE).write_bytes(text.encode("utf-8"))
    return Manifest(files, digest_bytes(text.encode("utf-8")))


_OUTSIDE = (MANIFEST_FILE, SIGNATURE_FILE)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder, compared with nothing yet.

    Raises:
        StoreError: it is missing, or not a manifest.
    """
    path = folder / MANIFEST_FILE
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_MANIFEST:
            raise ValueError("not an ordinary file of a sensible size")
        raw = path.read_bytes()
        return Manifest(_entries(json.loads(raw)), digest_bytes(raw))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(Fault(str(path), f"is not a manifest ({error})", _REMEDY)) from error


def _entries(data: Any) -> dict[str, Entry]:
    if data["format"] != _FORMAT:
        raise ValueError("a format of another version")
    files = {str(path): Entry(**entry) for path, entry in data["files"].items()}
    for path, entry in files.items():
        if not safe_path(path) or path in _OUTSIDE:
            raise ValueError(f"{path!r} is outside the rules of names")
        sound = (
            isinstance(entry.size, int) and _SHA256.fullmatch(entry.sha256) and _GIT.fullmatch(entry.git_sha1)
        )
        if not sound:
            raise ValueError(f"{path!r} has no digest")
    return files


def safe_path(path: str) -> bool:
    """Whether a path is portable, relative, and stays where it is put."""
    return bool(_PATH.fullmatch(path)) and ".." not in path


def list_files(folder: Path) -> list[str]:
    """Return the portable paths of all files below a folder, sorted.

    Raises:
        StoreError: with every link and special file, and every name outside the rules.
    """
    found, faults = [], []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            ordinary = path.is_dir() if name in folders else path.is_file()
            if path.is_symlink() or not ordinary:
                faults.append(Fault(str(path), "is a link or no ordinary file", _REMEDY))
            elif not safe_path(relative):
                faults.append(Fault(str(path), "has a name outside the rules", _REMEDY))
            elif name in files:
                found.append(relative)
    if faults:
        raise StoreError(*faults)
    return sorted(found)


def manifest_faults(folder: Path, manifest: Manifest) -> list[Fault]:
    """Return what in a folder is not as its manifest says.

    Raises:
        StoreError: there are links, special files, or names outside the rules.
    """
    there = {path for path in list_files(folder) if path not in _OUTSIDE}
    faults = [
        Fault(str(folder / path), "is missing", _REMEDY) for path in sorted(manifest.files.keys() - there)
    ]
    faults += [
        Fault(str(folder / path), "is not in the manifest", _REMEDY)
        for path in sorted(there - manifest.files.keys())
    ]
    for path in sorted(there & manifest.files.keys()):
        entry = manifest.files[path]
        if (folder / path).stat().st_size != entry.size or digest_file(folder / path) != entry.sha256:
            faults.append(Fault(str(folder / path), "its bytes are not those of the manifest", _REMEDY))
    return faults


def verified(folder: Path) -> Manifest:
    """Return the manifest of a folder that holds exactly what it says.

    Raises:
        StoreError: with everything that differs.
    """
    manifest = read_manifest(folder)
    if faults := manifest_faults(folder, manifest):
        raise StoreError(*faults)
    return manifest

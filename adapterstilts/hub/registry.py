"""A folder of units that people share: immutable versions, published by one rename. No torch.

Layout below the root::

    <ns>/<name>/versions/1.2.0/     a unit; never changed
    <ns>/<name>/refs/latest         version and digest of the highest version
    <ns>/<name>/.staging/<unique>/  what is being published
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from adapterstilts import killpoints
from adapterstilts.errors import Fault, StoreError, suggest
from adapterstilts.files import replace_text
from adapterstilts.hub.manifest import MANIFEST_FILE, list_files, read_manifest, verified
from adapterstilts.hub.references import Reference, check_repo, is_version, version_number
from adapterstilts.store.store import sync_folder

ROOT_VARIABLE = "ADAPTERSTILTS_REGISTRY"


def default_registry(store_root: Path) -> Path:
    """Return the registry that is meant when none is named: ``$ADAPTERSTILTS_REGISTRY``, else in the store."""
    return Path(os.environ.get(ROOT_VARIABLE) or store_root / "registry")


@dataclass(frozen=True)
class Placed:
    """A unit on this machine: its folder, its reference, and the digest of its manifest."""

    folder: Path
    reference: Reference
    digest: str


class Registry:
    """The registry below a root folder, which need not exist before the first unit is published."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def publish(self, folder: Path, repo: str, version: str) -> Placed:
        """Make a copy of a unit a version.

        A version that is there already with the same bytes is left as it is.

        Args:
            folder: of the unit, with its manifest.
            repo: ``namespace/name``.
            version: three numbers.

        Raises:
            UsageError: a name or version is outside the rules.
            StoreError: the folder is not what its manifest says, the version is there with other bytes, or the disk
                fails.
        """
        check_repo(repo, repo)
        version_number(version)
        manifest = verified(folder)
        home = self.root / repo
        final = home / "versions" / version
        staging = home / ".staging" / uuid.uuid4().hex
        with _disk_faults(home):
            final.parent.mkdir(parents=True, exist_ok=True)
            staging.parent.mkdir(exist_ok=True)
            try:
                copy_synced(folder, staging)
                killpoints.reach("before_rename")
                self._rename(staging, final, manifest.digest)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            self._point(home, version, manifest.digest)
        return Placed(final, Reference("local", repo, version), manifest.digest)

    def _rename(self, staging: Path, final: Path, digest: str) -> None:
        try:
            staging.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if read_manifest(final).digest != digest:
                what = "this version is there with other bytes, and versions never change"
                raise StoreError(Fault(str(final), what, "publish it under another version")) from error
        sync_folder(final.parent)

    def _point(self, home: Path, version: str, digest: str) -> None:
        """Let ``latest`` follow the highest version, whoever publishes at the same time."""
        refs = home / "refs"
        refs.mkdir(exist_ok=True)
        with FileLock(str(refs / ".lock")):
            highest = max(self.versions(home), key=version_number)
            if highest == version:
                text = json.dumps({"version": version, "manifest": digest}, sort_keys=True)
                replace_text(refs / "latest", text + "\n")

    def versions(self, home: Path) -> list[str]:
        """Return the versions below a unit's folder, lowest first."""
        found = [path.parent.name for path in (home / "versions").glob(f"*/{MANIFEST_FILE}")]
        return sorted(filter(is_version, found), key=version_number)

    def latest(self, repo: str) -> Placed | None:
        """Return the highest version of a unit; None when nothing is published under its name."""
        versions = self.versions(self.root / repo)
        return self._version(repo, versions[-1]) if versions else None

    def all(self) -> Iterator[Placed]:
        """Yield all versions of all units, by name and version."""
        for home in sorted(path.parent for path in self.root.glob("*/*/versions")):
            repo = home.relative_to(self.root).as_posix()
            yield from (self._version(repo, version) for version in self.versions(home))

    def find(self, reference: Reference) -> Placed:
        """Return what a ``local:`` reference names.

        Raises:
            StoreError: there is no such unit or version, or several begin so.
        """
        versions = self.versions(self.root / reference.repo)
        if not versions:
            known = [f"local:{one.reference.repo}" for one in self.all()]
            remedy = suggest(f"local:{reference.repo}", known) or "`adapterstilts hub ls` lists what is there"
            raise StoreError(Fault(str(reference), f"there is no such unit in {self.root}", remedy))
        wanted = reference.version or versions[-1]
        if wanted.startswith("sha256:"):
            digest = wanted.removeprefix("sha256:")
            every = [self._version(reference.repo, version) for version in versions]
            matches = [one for one in every if one.digest.startswith(digest)]
            if matches:
                return matches[0]
        elif wanted in versions:
            return self._version(reference.repo, wanted)
        raise StoreError(
            Fault(str(reference), "there is no such version", f"there are {', '.join(versions)}")
        )

    def _version(self, repo: str, version: str) -> Placed:
        folder = self.root / repo / "versions" / version
        return Placed(folder, Reference("local", repo, version), read_manifest(folder).digest)


def copy_synced(source: Path, target: Path) -> None:
    """Copy a unit's files so that they are on the disk before anything says so; the manifest comes last."""
    for path in sorted(list_files(source), key=lambda path: path == MANIFEST_FILE):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with (source / path).open("rb") as old, place.open("wb") as new:
            shutil.copyfileobj(old, new)
            new.flush()
            os.fsync(new.fileno())


@contextmanager
def _disk_faults(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "give another folder with --registry"
        raise StoreError(Fault(str(where), f"{error.strerror or error}", remedy)) from error

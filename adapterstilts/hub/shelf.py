"""Units on this machine: what was pulled, and what a reference means here. Opens no connection; no torch.

Layout below a store's root::

    hub/units/<digest>/        a unit by its manifest's digest; never changed
    hub/lock.json              reference -> commit, endpoint and digest of what was taken
    hub/staging/<commit>/      what is being pulled; a second try goes on from it
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from adapterstilts.errors import Fault, StoreError, UsageError
from adapterstilts.files import replace_text
from adapterstilts.hub.manifest import MANIFEST_FILE, read_manifest, verified
from adapterstilts.hub.references import Reference, parse_reference
from adapterstilts.hub.registry import Placed, Registry, default_registry
from adapterstilts.store.store import sync_folder

_LOCK_FILE = "lock.json"


class Shelf:
    """The units of a store, and the registry beside them.

    Args:
        store_root: of the store.
        registry: where ``local:`` references lead; default: see `default_registry`.
    """

    def __init__(self, store_root: Path, registry: Path | None = None) -> None:
        self.root = store_root / "hub"
        self.registry = Registry(registry or default_registry(store_root))

    def find(self, text: str) -> Placed:
        """Return the unit that a reference means on this machine, every byte of it checked.

        Raises:
            UsageError: the text is no reference, or the start of several digests.
            StoreError: the unit is not here, or not as its manifest says.
        """
        reference = parse_reference(text)
        found = self._find(reference)
        if verified(found.folder).digest != found.digest:
            raise StoreError(Fault(text, "its manifest has changed", "pull it again"))
        return found

    def _find(self, reference: Reference) -> Placed:
        if reference.scheme == "local":
            return self.registry.find(reference)
        if reference.scheme == "sha256":
            return self._by_digest(reference)
        taken = self.taken().get(str(reference))
        folder = self._unit(str(taken["manifest"])) if taken else None
        if taken is None or folder is None or not folder.is_dir():
            loose = "" if reference.pinned else " --unpinned"
            remedy = f"run `adapterstilts hub pull {reference}{loose}`"
            raise StoreError(Fault(str(reference), "is not on this machine", remedy))
        return Placed(folder, reference, str(taken["manifest"]))

    def _by_digest(self, reference: Reference) -> Placed:
        every = [*self.pulled(), *self.registry.all()]
        matches = {
            one.digest: one for one in reversed(every) if one.digest.startswith(reference.version or "")
        }
        if len(matches) > 1:
            shown = ", ".join(digest[:12] for digest in sorted(matches))
            raise UsageError(Fault(str(reference), f"is not unique: {shown}", "give more characters"))
        if not matches:
            remedy = "`adapterstilts hub ls` lists what is here"
            raise StoreError(Fault(str(reference), "no unit here has such a digest", remedy))
        return next(iter(matches.values()))

    def pulled(self) -> Iterator[Placed]:
        """Yield the units that were pulled, by digest."""
        for manifest in sorted((self.root / "units").glob(f"*/{MANIFEST_FILE}")):
            digest = read_manifest(manifest.parent).digest
            yield Placed(manifest.parent, Reference("sha256", "", digest), digest)

    def taken(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the lock file holds: reference -> commit, endpoint and digest; empty without one."""
        try:
            data = json.loads((self.root / _LOCK_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def staging(self, name: str) -> Path:
        """Return the folder in which a unit is put together; two processes that pull the same take turns."""
        return self.root / "staging" / name

    def lock(self, name: str) -> FileLock:
        """Return the lock of such a folder."""
        (self.root / "staging").mkdir(parents=True, exist_ok=True)
        return FileLock(str(self.root / "staging" / f"{name}.lock"))

    def install(self, folder: Path, references: Mapping[str, Mapping[str, Any]]) -> Placed:
        """Move a checked unit to its place by one rename, and note what was taken.

        Args:
            folder: on the store's file system; it is gone afterwards.
            references: text -> what the lock file says of it beside the digest.
        """
        digest = verified(folder).digest
        final = self._unit(digest)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_dir() and read_manifest(final).digest == digest:
            shutil.rmtree(folder)
        else:
            os.replace(folder, final)
            sync_folder(final.parent)
        with FileLock(str(self.root / ".lock")):
            noted = {text: {**facts, "manifest": digest} for text, facts in references.items()}
            text = json.dumps({**self.taken(), **noted}, indent=1, sort_keys=True)
            replace_text(self.root / _LOCK_FILE, text + "\n")
        return Placed(final, Reference("sha256", "", digest), digest)

    def _unit(self, digest: str) -> Path:
        return self.root / "units" / digest

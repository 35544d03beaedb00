"""Units from one place to another: pulled, checked and installed; pushed and compared."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from adapterstilts.errors import Fault, StoreError, UsageError
from adapterstilts.hub import signing
from adapterstilts.hub.manifest import (
    CARD_FILE,
    PROVENANCE_FILE,
    Manifest,
    verified,
)
from adapterstilts.hub.provenance import Provenance, read_provenance
from adapterstilts.hub.references import Reference
from adapterstilts.hub.registry import Placed, copy_synced
from adapterstilts.hub.remote import Remote
from adapterstilts.hub.shelf import Shelf
from adapterstilts.model.shapes import BackboneShape
from adapterstilts.model.shipping import check_unit


def check_folder(folder: Path, public_key: Path | None = None) -> Provenance:
    """Check a unit's folder in every way: names, bytes, tensors, shapes, composition, and the signature on request.

    Returns:
        What the unit says of itself.

    Raises:
        StoreError: with what is wrong.
        EnvironmentFault: a signature is asked for, and the package that checks it is missing.
    """
    manifest = verified(folder)
    provenance = read_provenance(folder)
    allowed = {*provenance.unit.files, CARD_FILE, PROVENANCE_FILE}
    missing = sorted(allowed - manifest.files.keys())
    foreign = sorted(manifest.files.keys() - allowed)
    if missing or foreign:
        what = f"lacks {missing[0]}" if missing else f"holds {foreign[0]}, which no such unit has"
        raise StoreError(Fault(str(folder), what, "do not use it"))
    check_unit(folder, provenance.unit, _shape(provenance))
    if public_key is not None:
        signing.verify(folder, public_key)
    return provenance


def _shape(provenance: Provenance) -> BackboneShape:
    sizes = provenance.shape
    return BackboneShape(
        hidden=sizes["hidden"],
        layers=sizes["layers"],
        heads=sizes["heads"],
        intermediate=sizes["intermediate"],
        model_type=str(sizes.get("model_type")),
    )


def pull(
    reference: Reference,
    shelf: Shelf,
    remote: Remote | None,
    *,
    unpinned: bool = False,
    public_key: Path | None = None,
) -> Placed:
    """Bring a unit onto this machine.

    Args:
        reference: where it is.
        shelf: where it goes.
        remote: the hub of ``hf:`` references; None where no connection may be opened.
        unpinned: whether a branch or a tag, which may move, is good enough.
        public_key: of whoever has to have signed it.

    Raises:
        UsageError: the reference is not pinned.
        StoreError: what came is not sound.
        EnvironmentFault: the hub stays away.
    """
    if reference.scheme != "hf":
        return _pull_here(reference, shelf, public_key)
    if not reference.pinned and not unpinned:
        what = "names a branch or a tag, which may move"
        remedy = "name a commit, or give --unpinned to take and note what it means now"
        raise UsageError(Fault(str(reference), what, remedy))
    if remote is None:
        raise UsageError(Fault(str(reference), "--offline opens no connection", "leave --offline out"))
    commit = remote.commit_of(reference.repo, reference.version)
    if reference.pinned and commit != reference.version:
        raise StoreError(Fault(str(reference), f"the hub answers with {commit}", "do not trust this hub"))
    staging = shelf.staging(commit)
    with shelf.lock(commit):
        remote.fetch(reference.repo, commit, staging)
        shutil.rmtree(staging.with_name(f"{staging.name}.download"), ignore_errors=True)
        _accept(staging, public_key)
        facts = {"commit": commit, "endpoint": remote.endpoint}
        pinned = str(Reference("hf", reference.repo, commit))
        return shelf.install(staging, {str(reference): facts, pinned: facts})


def _pull_here(reference: Reference, shelf: Shelf, public_key: Path | None) -> Placed:
    found = shelf.find(str(reference))
    staging = shelf.staging(found.digest)
    with shelf.lock(found.digest):
        shutil.rmtree(staging, ignore_errors=True)
        copy_synced(found.folder, staging)
        _accept(staging, public_key)
        return shelf.install(staging, {})


def _accept(staging: Path, public_key: Path | None) -> None:
    """Check what came; what is refused is not kept for a second try."""
    try:
        check_folder(staging, public_key)
    except StoreError:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def verify_remote(
    reference: Reference,
    remote: Remote,
    folder: Path | None,
    *,
    full: bool,
    public_key: Path | None = None,
) -> Manifest:
    """Compare a unit on the hub with its manifest, or with a folder here; in full by downloading it.

    Args:
        reference: of scheme ``hf``.
        remote: the hub.
        folder: what should be there, None for what the hub's own manifest says.
        full: whether every byte is downloaded and checked, and the unit as a whole with it.
        public_key: of whoever has to have signed it, which takes all of it as well.

    Raises:
        StoreError: it differs.
        EnvironmentFault: the hub stays away.
    """
    commit = remote.commit_of(reference.repo, reference.version)
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / "unit"
        if full or public_key is not None:
            found = remote.fetch(reference.repo, commit, target)
            check_folder(target, public_key)
        else:
            found = remote.compare(reference.repo, commit, target)
    if folder is not None and verified(folder).digest != found.digest:
        raise StoreError(Fault(str(reference), "the hub holds another unit", "push again"))
    return found

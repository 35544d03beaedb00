"""A content-addressed folder of artifacts: find, lock, stage, publish atomically.

Layout below the root::

    artifacts/<first two of key>/<key>/record.json + files     complete once the record is there
    staging/<key>.<unique>/                                    a workspace; renamed when published
    checkpoints/<key>/                                         mid-stage state, for resuming
    aside/<key>.<unique>/                                      what a forced run replaced
    cache/                                                     evictable, derived
    locks/<key>.lock
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from adapterstilts import killpoints
from adapterstilts.errors import Fault, StoreError, UsageError
from adapterstilts.store.digest import digest_file
from adapterstilts.store.record import RECORD_NAME, Record, StoredFile, read_record

ROOT_VARIABLE = "ADAPTERSTILTS_STORE"
_SHORTEST_PREFIX = 4


def default_root() -> Path:
    """Return the root of the store that is meant when none is named: ``$ADAPTERSTILTS_STORE``, else in the home."""
    return Path(os.environ.get(ROOT_VARIABLE) or Path.home() / ".adapterstilts")


@dataclass(frozen=True)
class Artifact:
    """A published folder and its record."""

    path: Path
    record: Record

    @property
    def size(self) -> int:
        """Bytes of the files that are held, the record aside."""
        return sum(file.size for name, file in self.record.files.items() if name not in self.record.dropped)


@dataclass(frozen=True)
class Description:
    """What a stage hands over beside its files when it publishes; see `Record`."""

    name: str
    spec: Mapping[str, Any]
    inputs: Mapping[str, str]
    results: Mapping[str, Any]
    provenance: Mapping[str, Any]


class Store:
    """The store below one root folder.

    Args:
        root: created when missing.

    Raises:
        StoreError: when the folder cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        with _disk_faults(root):
            for folder in ("artifacts", "staging", "checkpoints", "cache", "locks"):
                (root / folder).mkdir(parents=True, exist_ok=True)

    @property
    def cache(self) -> Path:
        """The folder of evictable, derived data."""
        return self.root / "cache"

    def path(self, key: str) -> Path:
        """Return where the artifact with `key` is or would be."""
        return self.root / "artifacts" / key[:2] / key

    def checkpoint(self, key: str) -> Path:
        """Return the checkpoint folder of an unfinished stage; it need not exist."""
        return self.root / "checkpoints" / key

    def find(self, key: str) -> Artifact | None:
        """Return the artifact with `key`, or None when it is not complete here."""
        path = self.path(key)
        if not (path / RECORD_NAME).is_file():
            return None
        return Artifact(path, read_record(path / RECORD_NAME))

    def get(self, key: str) -> Artifact:
        """Return the artifact with `key`.

        Raises:
            StoreError: when it is not here.
        """
        artifact = self.find(key)
        if artifact is None:
            raise StoreError(Fault(str(self.root), f"no artifact {key[:12]}", "run the recipe that makes it"))
        return artifact

    def artifacts(self) -> Iterator[Artifact]:
        """Yield all complete artifacts, ordered by key; `verify` tells of those whose record is damaged."""
        for record in sorted((self.root / "artifacts").glob(f"*/*/{RECORD_NAME}")):
            with contextlib.suppress(StoreError):
                yield Artifact(record.parent, read_record(record))

    def resolve(self, reference: str) -> Artifact:
        """Return the one artifact whose key starts with `reference`.

        Raises:
            UsageError: when the reference is too short, unknown or not unique.
        """
        keys = sorted(path.parent.name for path in (self.root / "artifacts").glob(f"*/*/{RECORD_NAME}"))
        matches = [key for key in keys if key.startswith(reference)]
        if len(reference) < _SHORTEST_PREFIX or not matches:
            what = f"no artifact has a key that starts with {reference!r}"
            remedy = f"give at least {_SHORTEST_PREFIX} characters of a key from `adapterstilts store ls`"
            raise UsageError(Fault(str(self.root), what, remedy))
        if len(matches) > 1:
            shown = ", ".join(key[: len(reference) + 4] for key in matches[:4])
            raise UsageError(
                Fault(str(self.root), f"{reference!r} is not unique: {shown}", "give more characters")
            )
        return self.get(matches[0])

    @contextlib.contextmanager
    def lock(self, key: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the one lock on `key`; call `waiting` once when another process has it."""
        lock = FileLock(str(self.root / "locks" / f"{key}.lock"))
        if not _acquired(lock):
            waiting()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def workspace(self, key: str) -> Iterator[Path]:
        """Yield an empty folder to work in; it is removed unless it was published."""
        path = self.root / "staging" / f"{key}.{uuid.uuid4().hex[:8]}"
        with _disk_faults(path):
            path.mkdir()
        try:
            with _full_disk(path):
                yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def publish(self, key: str, workspace: Path, description: Description) -> Artifact:
        """Make the workspace the artifact `key`: record last, then one rename.

        An artifact that is already there (a forced run) is set aside, never overwritten.
        """
        record = Record(
            key=key,
            name=description.name,
            spec=dict(description.spec),
            inputs=dict(description.inputs),
            files=_list_files(workspace),
            results=dict(description.results),
            provenance=dict(description.provenance),
        )
        with _disk_faults(self.path(key)):
            _write_synced(workspace / RECORD_NAME, record.to_json())
            killpoints.reach("before_rename")
            self._swap_in(workspace, key)
            killpoints.reach("after_rename")
            shutil.rmtree(self.checkpoint(key), ignore_errors=True)
        return Artifact(self.path(key), record)

    def _swap_in(self, workspace: Path, key: str) -> None:
        final = self.path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            aside = self.root / "aside"
            aside.mkdir(exist_ok=True)
            os.replace(final, aside / f"{key}.{uuid.uuid4().hex[:8]}")
        os.replace(workspace, final)
        sync_folder(final.parent)

    def drop(self, key: str, names: tuple[str, ...]) -> None:
        """Let files of an artifact go; the record says so first, so that no reader is misled."""
        artifact = self.get(key)
        present = tuple(name for name in names if name in artifact.record.files)
        dropped = tuple(sorted({*artifact.record.dropped, *present}))
        record = dataclasses.replace(artifact.record, dropped=dropped)
        with _disk_faults(artifact.path):
            temporary = artifact.path / f"{RECORD_NAME}.{uuid.uuid4().hex[:8]}"
            _write_synced(temporary, record.to_json())
            os.replace(temporary, artifact.path / RECORD_NAME)
            for name in present:
                (artifact.path / name).unlink(missing_ok=True)

    def verify(self) -> list[Fault]:
        """Read every file of every artifact and return what does not match its record."""
        found: list[Fault] = []
        for path in sorted((self.root / "artifacts").glob("*/*")):
            try:
                found += _verify_folder(path)
            except StoreError as error:
                found += error.faults
        return found

    def collect_garbage(self, *, cache: bool = False) -> list[Path]:
        """Remove what no artifact needs: abandoned workspaces, used checkpoints, what was set aside.

        A workspace whose stage is being run now (its lock is held) is left alone.

        Args:
            cache: whether derived data go as well, which are made again when they are needed.

        Returns:
            The removed folders and files.
        """
        removed: list[Path] = []
        for path in [*(self.root / "staging").glob("*"), *(self.root / "checkpoints").glob("*")]:
            key = path.name.split(".")[0]
            leftover = path.parent.name == "staging" or self.find(key) is not None
            if leftover and self._is_idle(key):
                removed.append(path)
        removed += (self.root / "aside").glob("*")
        if cache:
            removed += (path for path in self.cache.glob("*/*") if path.is_dir() or path.suffix == ".json")
        for path in removed:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return removed

    def _is_idle(self, key: str) -> bool:
        lock = FileLock(str(self.root / "locks" / f"{key}.lock"))
        if not _acquired(lock):
            return False
        lock.release()
        return True


def _acquired(lock: FileLock) -> bool:
    """Take a lock if it is free now."""
    with _disk_faults(Path(lock.lock_file)):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
    return True


def _list_files(folder: Path) -> dict[str, StoredFile]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): StoredFile(path.stat().st_size, digest_file(path))
        for path in paths
    }


def _verify_folder(path: Path) -> list[Fault]:
    remedy = "remove the folder; the next run makes it again"
    if not (path / RECORD_NAME).is_file():
        return [Fault(str(path), "no record", remedy)]
    record = read_record(path / RECORD_NAME)
    found = []
    for name, expected in record.files.items():
        if name in record.dropped:
            continue
        file = path / name
        if not file.is_file():
            found.append(Fault(str(file), "missing", remedy))
        elif file.stat().st_size != expected.size or digest_file(file) != expected.sha256:
            found.append(Fault(str(file), "its bytes are not those of its record", remedy))
    return found


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make a rename durable; only POSIX systems can open a folder for it."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _full_disk(where: Path) -> Iterator[None]:
    """Turn only "no room" into a `StoreError`: a stage's other errors are about something else."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise
        remedy = "free some space, or give another folder with --store; what was done is kept"
        raise StoreError(Fault(str(where), f"{error.strerror}", remedy)) from error


@contextlib.contextmanager
def _disk_faults(where: Path) -> Iterator[None]:
    """Turn all of the disk's errors (full, read-only, permission) into a `StoreError`."""
    try:
        with _full_disk(where):
            yield
    except OSError as error:
        remedy = "give another folder with --store"
        raise StoreError(Fault(str(where), f"{error.strerror or error}", remedy)) from error

"""A content-addressed folder of artifacts: find, lease, stage, publish atomically.

Layout below the root::

    artifacts/<first two of key>/<key>/record.json + files     complete once the record is there
    staging/<key>.<unique>/                                    a workspace; renamed when published
    checkpoints/<key>/                                         mid-stage state, for resuming
    aside/<key>.<unique>/                                      what a forced run replaced
    cache/                                                     evictable, derived
    leases/<key>/<generation>                              who is at a stage; see `adapterstilts.store.lease`
    runs/<digest of a folder>.json                             where runs wrote results, and of which tasks
    secret                                                     seals what keys say of confidential data

What is made of confidential data lies in folders that their owner alone can enter, where the system knows owners.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterstilts import killpoints
from adapterstilts.errors import AdapterStiltsError, Fault, StoreError, UsageError
from adapterstilts.files import replace_text
from adapterstilts.store.digest import digest, digest_file, is_secret, new_secret, sealed
from adapterstilts.store.lease import Lease, Leases
from adapterstilts.store.record import RECORD_NAME, Record, StoredFile, read_record

ROOT_VARIABLE = "ADAPTERSTILTS_STORE"
# Silence after which another machine's process is given up.
LEASE_SECONDS = 60.0
_SHORTEST_PREFIX = 4
# What lies in the cache beside folders: measured figures, and hidden states, half of one included.
_DERIVED = (".json", ".npy", ".part")
_SECRET = "secret"
_OWNER_ONLY = 0o700
_FACTS = "stage.json"


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
        lease_seconds: silence after which other processes may take over a stage that is run from here.

    Raises:
        StoreError: when the folder cannot be made or written.
    """

    def __init__(self, root: Path, lease_seconds: float = LEASE_SECONDS) -> None:
        self.root = root
        self._leases = Leases(root / "leases", lease_seconds)
        with _disk_faults(root):
            for folder in ("artifacts", "staging", "checkpoints", "cache", "leases"):
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

    def lease(self, key: str, after: int | None = None) -> Lease | None:
        """Take the one lease on `key`, a context in which it is kept; None while another process has it.

        Args:
            key: of the stage.
            after: what `ended` has returned to another process of the same run.
        """
        with _disk_faults(self.root / "leases"):
            return self._leases.take(key, after)

    def ended(self, key: str) -> int | None:
        """Return the last lease's number once it has ended, 0 if there was none, and None while `key` is held."""
        with _disk_faults(self.root / "leases"):
            return self._leases.ended(key)

    @contextlib.contextmanager
    def workspace(self, key: str, *, private: bool = False) -> Iterator[Path]:
        """Yield an empty folder to work in; it is removed unless it was published.

        Args:
            key: of the artifact.
            private: whether its owner alone may enter it, now and as an artifact.
        """
        path = self.root / "staging" / f"{key}.{uuid.uuid4().hex[:8]}"
        with _disk_faults(path):
            path.mkdir(mode=_OWNER_ONLY if private else 0o777)
        try:
            with _full_disk(path):
                yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def publish(
        self, key: str, workspace: Path, description: Description, *, again: bool = False
    ) -> Artifact:
        """Make the workspace the artifact `key`: record last, then one rename.

        Args:
            key: of the stage.
            workspace: from `workspace`.
            description: of what is in it.
            again: whether an artifact that is already there is set aside for this one. Otherwise it stays: a key
                stands for one content, so that whoever comes second has nothing to add.
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
            self.move_in(workspace, key, again=again)
            killpoints.reach("after_rename")
            shutil.rmtree(self.checkpoint(key), ignore_errors=True)
        return self.get(key)

    def move_in(self, workspace: Path, key: str, *, again: bool = False) -> None:
        """Make a workspace that has its record the artifact `key`; see `publish`."""
        final = self.path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists() and (again or not (final / RECORD_NAME).is_file()):
            aside = self.root / "aside"
            aside.mkdir(exist_ok=True)
            os.replace(final, aside / f"{key}.{uuid.uuid4().hex[:8]}")
        try:
            # A folder that is not empty is never replaced by a rename.
            workspace.rename(final)
        except OSError:
            if again or not (final / RECORD_NAME).is_file():
                raise
        sync_folder(final.parent)

    def begin(self, key: str, facts: Mapping[str, Any], *, private: bool = False) -> None:
        """Note what is about to be made, beside its checkpoint: a killed process leaves no record.

        Args:
            key: of the artifact.
            facts: JSON data; `begun` returns them.
            private: whether the checkpoint's folder is its owner's alone.
        """
        folder = self.checkpoint(key)
        with _disk_faults(folder):
            folder.mkdir(exist_ok=True)
            if private:
                folder.chmod(_OWNER_ONLY)
            replace_text(folder / _FACTS, json.dumps(facts, ensure_ascii=False))

    def begun(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield key and facts of what was begun and is not published."""
        for path, facts in _notes((self.root / "checkpoints").glob(f"*/{_FACTS}")):
            yield path.parent.name, facts

    def annotate(self, key: str, facts: Mapping[str, Any]) -> None:
        """Add facts to the provenance in an artifact's record."""
        record = self.get(key).record
        self._rewrite(dataclasses.replace(record, provenance={**record.provenance, **facts}))

    def protect(self, key: str) -> None:
        """Make an artifact's folder its owner's alone."""
        with _disk_faults(self.path(key)):
            self.path(key).chmod(_OWNER_ONLY)

    def _rewrite(self, record: Record) -> None:
        path = self.path(record.key)
        with _disk_faults(path):
            temporary = path / f"{RECORD_NAME}.{uuid.uuid4().hex[:8]}"
            _write_synced(temporary, record.to_json())
            os.replace(temporary, path / RECORD_NAME)

    # ---- confidential data

    def seal(self, text: str) -> str:
        """Return what stands for a text in keys: equal texts are equal in this store, and say nothing elsewhere.

        Raises:
            StoreError: when the store's secret cannot be read, or others can read it.
        """
        return sealed(text, self._secret)

    @functools.cached_property
    def _secret(self) -> str:
        path = self.root / _SECRET
        with _disk_faults(path):
            if not path.exists():
                _write_private(path, new_secret())
            if os.name == "posix" and path.stat().st_mode & 0o077:
                raise StoreError(Fault(str(path), "others can read it", f"run `chmod 600 {path}`"))
            secret = path.read_text(encoding="ascii", errors="replace")
        if not is_secret(secret):
            remedy = "put it back from a copy; without it, what is made of confidential data has other keys"
            raise StoreError(Fault(str(path), "is damaged", remedy))
        return secret

    # ---- runs

    def note_run(self, out: Path, tasks: Iterable[str]) -> None:
        """Remember where a run writes its results, and the data of which tasks it reads."""
        place = str(out.resolve())
        path = self.root / "runs" / f"{digest(place)}.json"
        with _disk_faults(path):
            replace_text(path, json.dumps({"out": place, "tasks": sorted(set(tasks))}, ensure_ascii=False))

    def runs(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the notes of `note_run`, ``out`` and ``tasks``, each with its file."""
        return _notes((self.root / "runs").glob("*.json"))

    # ---- letting go

    def drop(self, key: str, names: tuple[str, ...]) -> None:
        """Let files of an artifact go; the record says so first, so that no reader is misled."""
        artifact = self.get(key)
        present = tuple(name for name in names if name in artifact.record.files)
        dropped = tuple(sorted({*artifact.record.dropped, *present}))
        self._rewrite(dataclasses.replace(artifact.record, dropped=dropped))
        with _disk_faults(artifact.path):
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

        A workspace whose stage may be run now (its lease is held) is left alone.

        Args:
            cache: whether derived data go as well, which are made again when they are needed.

        Returns:
            The removed folders and files.
        """
        removed: list[Path] = []
        for path in [*(self.root / "staging").glob("*"), *(self.root / "checkpoints").glob("*")]:
            key = path.name.split(".")[0]
            leftover = path.parent.name == "staging" or self.find(key) is not None
            if leftover and self.is_idle(key):
                removed.append(path)
        removed += (self.root / "aside").glob("*")
        if cache:
            removed += (path for path in self.cache.glob("*/*") if path.is_dir() or path.suffix in _DERIVED)
        for path in removed:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        for folder in (self.root / "leases").glob("*"):
            if self.find(folder.name) is not None and self._leases.is_free(folder.name):
                self._leases.forget(folder.name)
        return removed

    def copies(self) -> Iterator[tuple[str, Path]]:
        """Yield key and folder of what was set aside, and of what lies in a workspace."""
        for folder in ("aside", "staging"):
            for path in sorted((self.root / folder).glob("*")):
                yield path.name.split(".")[0], path

    def is_idle(self, key: str) -> bool:
        """Return whether no process is at this artifact's stage now."""
        return self._leases.is_free(key)


def _notes(paths: Iterable[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield notes with their files, in order; one that is being replaced or is damaged says nothing."""
    for path in sorted(paths):
        with contextlib.suppress(OSError, ValueError):
            yield path, json.loads(path.read_text(encoding="utf-8"))


def _write_private(path: Path, text: str) -> None:
    """Write a small file that its owner alone can read, whole or not at all; of several writers the first one wins."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()


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
    except AdapterStiltsError:
        raise
    except Exception as error:
        if not _says_full(error):
            raise
        remedy = "free some space, or give another folder with --store; what was done is kept"
        what = getattr(error, "strerror", None) or os.strerror(errno.ENOSPC)
        raise StoreError(Fault(str(where), what, remedy)) from error


def _says_full(error: Exception) -> bool:
    """Whether an error is that of a full disk; safetensors has its own, which has no number."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    return os.strerror(errno.ENOSPC) in str(error)


@contextlib.contextmanager
def _disk_faults(where: Path) -> Iterator[None]:
    """Turn all of the disk's errors (full, read-only, permission) into a `StoreError`."""
    try:
        with _full_disk(where):
            yield
    except OSError as error:
        remedy = "give another folder with --store"
        raise StoreError(Fault(str(where), f"{error.strerror or error}", remedy)) from error

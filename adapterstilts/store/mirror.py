"""A store whose artifacts are also behind a URL, for machines that share no folder.

What is not here is fetched when it is asked for, and what is published here is published there. Below the URL::

    files/<key>/<path>      the files of an artifact
    records/<key>.json      its record; written last, so that an artifact is complete or absent there, too

Checkpoints, leases and caches stay on each machine.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import fsspec

from adapterstilts.errors import AdapterStiltsError, EnvironmentFault, Fault, StoreError
from adapterstilts.store.digest import digest_file
from adapterstilts.store.record import RECORD_NAME, Record, read_record
from adapterstilts.store.store import LEASE_SECONDS, Artifact, Description, Store

# A list of what is there is believed for so long.
_LIST_SECONDS = 5.0


class MirroredStore(Store):
    """A store with a second home behind a URL.

    Args:
        root: of this machine's copy.
        url: any that fsspec knows, for example ``s3://bucket/study`` or ``file:///mnt/study``.
        lease_seconds: see `Store`.

    Raises:
        EnvironmentFault: when the package for the URL's protocol is not installed.
        StoreError: when the folder cannot be made, or the URL means nothing.
    """

    def __init__(self, root: Path, url: str, lease_seconds: float = LEASE_SECONDS) -> None:
        super().__init__(root, lease_seconds)
        self.url = url
        self._there: set[str] = set()
        self._listed = -_LIST_SECONDS
        with self._faults():
            self._remote, self._base = fsspec.core.url_to_fs(url, use_listings_cache=False)

    def find(self, key: str) -> Artifact | None:
        """Return the artifact with `key`, fetched if it is only there; a list a few seconds old says what is there."""
        here = super().find(key)
        if here is not None:
            return self._whole_again(here) if here.record.dropped else here
        if time.monotonic() - self._listed >= _LIST_SECONDS:
            self._list()
        return self._fetch(key) if key in self._there else None

    def get(self, key: str) -> Artifact:
        """Return the artifact with `key`, even if it came there a moment ago.

        Raises:
            StoreError: when it is in neither place.
        """
        if self.find(key) is None:
            self._list()
        return super().get(key)

    def publish(
        self, key: str, workspace: Path, description: Description, *, again: bool = False
    ) -> Artifact:
        """Publish here, then there; see `Store.publish`."""
        artifact = super().publish(key, workspace, description, again=again)
        with self._faults():
            if again or not self._remote.exists(self._record(key)):
                self._push(artifact)
        return artifact

    def drop(self, key: str, names: tuple[str, ...]) -> None:
        """Let files of an artifact go in both places."""
        super().drop(key, names)
        artifact = self._here(key)
        with self._faults():
            self._push_record(artifact)
            for name in artifact.record.dropped:
                if self._remote.exists(self._file(key, name)):
                    self._remote.rm_file(self._file(key, name))

    def _record(self, key: str) -> str:
        return f"{self._base}/records/{key}.json"

    def _file(self, key: str, name: str) -> str:
        return f"{self._base}/files/{key}/{name}"

    def _list(self) -> None:
        with self._faults():
            try:
                names = self._remote.ls(f"{self._base}/records", detail=False)
            except FileNotFoundError:
                names = []
        self._there = {PurePosixPath(name).stem for name in names}
        self._listed = time.monotonic()

    def _push(self, artifact: Artifact) -> None:
        for name in artifact.record.files:
            if name not in artifact.record.dropped:
                target = self._file(artifact.record.key, name)
                self._remote.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._remote.put_file(str(artifact.path / name), target)
        self._push_record(artifact)

    def _push_record(self, artifact: Artifact) -> None:
        target = self._record(artifact.record.key)
        self._remote.makedirs(target.rpartition("/")[0], exist_ok=True)
        self._remote.pipe_file(target, (artifact.path / RECORD_NAME).read_bytes())
        self._there.add(artifact.record.key)

    def _whole_again(self, here: Artifact) -> Artifact:
        """Return an artifact with the files that were let go here and made again elsewhere."""
        key = here.record.key
        with self._faults(), self.workspace(key) as workspace:
            if not self._remote.exists(self._record(key)):
                return here
            (workspace / RECORD_NAME).write_bytes(self._remote.cat_file(self._record(key)))
            there = read_record(workspace / RECORD_NAME)
        return self._fetch(key, again=True) if set(here.record.dropped) - set(there.dropped) else here

    def _fetch(self, key: str, *, again: bool = False) -> Artifact:
        with self.workspace(key) as workspace:
            with self._faults():
                (workspace / RECORD_NAME).write_bytes(self._remote.cat_file(self._record(key)))
                record = read_record(workspace / RECORD_NAME)
                for name in record.files.keys() - set(record.dropped):
                    self._fetch_file(record, name, workspace / name)
            self.move_in(workspace, key, again=again)
        return self._here(key)

    def _here(self, key: str) -> Artifact:
        artifact = super().find(key)
        assert artifact is not None
        return artifact

    def _fetch_file(self, record: Record, name: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self._remote.get_file(self._file(record.key, name), str(target))
        if digest_file(target) != record.files[name].sha256:
            where = f"{self.url}: {record.key[:12]}/{name}"
            remedy = "remove the record there; the next run makes it again"
            raise StoreError(Fault(where, "its bytes are not those of its record", remedy))

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn whatever a remote file system raises into errors that say what to do."""
        try:
            yield
        except AdapterStiltsError:
            raise
        except ImportError as error:
            remedy = "install the package that it names, for example with pip install 'adapterstilts[s3]'"
            raise EnvironmentFault(Fault(self.url, str(error), remedy)) from error
        except Exception as error:
            remedy = f"check URL, credentials and network; what was done is kept in {self.root}"
            raise StoreError(Fault(self.url, f"{type(error).__name__}: {error}", remedy)) from error


def open_store(root: Path, mirror: str | None, lease_seconds: float = LEASE_SECONDS) -> Store:
    """Return the store below a folder, with its second home where there is one."""
    return Store(root, lease_seconds) if mirror is None else MirroredStore(root, mirror, lease_seconds)

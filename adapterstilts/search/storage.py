"""Where studies are kept: SQLite in the store, a journal file, or a database, and which trials are still alive there.

A trial whose process has died must neither be lost nor be run twice. On one host each process holds a file lock while
it is at a trial, so that a trial that is running without a held lock can be taken up at once. A database is told by
heartbeats that trials are alive, and a trial without them is put into the queue again by Optuna.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
)

from adapterstilts.errors import EnvironmentFault, Fault, StoreError, UsageError

STUDIES_FILE = "studies.db"
_JOURNAL = "journal:"
_SQLITE = "sqlite:///"
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_HEARTBEAT_SECONDS = 30
_GRACE_SECONDS = 120
_CONNECT_SECONDS = 10
# A database that is restarted is back by then; a wrong address is told without a long wait.
_BUSY_SECONDS = 60
_MADE_AT_ONCE = 5


@dataclass
class Opened:
    """A storage that answers.

    Attributes:
        url: as given, without a password.
        storage: Optuna's.
        locks: folder of the locks that are held at trials; None where heartbeats tell.
        gate: folder of the lock under which trials begin.
    """

    url: str
    storage: BaseStorage
    locks: Path | None
    gate: Path

    def close(self) -> None:
        """Let connections go."""
        if isinstance(self.storage, RDBStorage):
            self.storage.remove_session()
            self.storage.engine.dispose()

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold the lock under which one process at a time begins a trial of a study, or makes the study."""
        with _alone(self.gate, name):
            yield

    def claim(self, name: str) -> FileLock | None:
        """Return the lock on a trial, taken; None where another process has it."""
        assert self.locks is not None
        self.locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(self.locks / f"{name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def beat(self, trial: int) -> None:
        """Tell the database, where it asks for heartbeats, that a trial, by its id, is alive."""
        if self.locks is None and isinstance(self.storage, RDBStorage):
            self.storage.record_heartbeat(trial)

    @contextmanager
    def heartbeat(self, trial: int) -> Iterator[None]:
        """Tell it again and again."""
        if self.locks is not None:
            yield
            return
        ended = threading.Event()
        beating = threading.Thread(target=self._beat, args=(trial, ended), daemon=True)
        beating.start()
        try:
            yield
        finally:
            ended.set()
            beating.join()

    def _beat(self, trial: int, ended: threading.Event) -> None:
        while not ended.wait(_HEARTBEAT_SECONDS):
            # The trial itself will meet a database that is gone for good.
            with contextlib.suppress(StorageInternalError):
                self.beat(trial)


@contextmanager
def quietly() -> Iterator[None]:
    """Say nothing of what Optuna calls experimental, and of heartbeats, which are our own; tests hold both."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage is supposed")
        yield


def open_storage(url: str | None, root: Path) -> Opened:
    """Return the storage that a URL means.

    Args:
        url: ``sqlite:///FILE``, ``journal:FILE``, or the URL of a PostgreSQL or MySQL database; None for SQLite in the
            store.
        root: of the store.

    Raises:
        UsageError: when the URL means no storage.
        EnvironmentFault: when a driver is missing.
        StoreError: when the database cannot be reached, or the disk is full.
    """
    if url is None:
        url = f"{_SQLITE}{root / STUDIES_FILE}"
    with storage_faults(_shown(url)), _driver_faults(_shown(url)):
        for prefix, make in _FILES.items():
            if url.startswith(prefix):
                path = Path(url.removeprefix(prefix))
                locks = _locks_beside(path)
                # Two processes that make the same tables would each meet the other's.
                with _alone(locks, "open"):
                    return Opened(url, make(path), locks, locks)
        return Opened(_shown(url), _database(url), None, root / "locks" / "studies")


def _locks_beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.locks")


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder / f"{name}.lock")):
        yield


class _Journal(JournalFileBackend):
    """Optuna's file, which goes on after a line that a full disk or a killed process has left torn."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines. Optuna reads past a torn last line, but never past one that others follow."""
        with _alone(_locks_beside(self._path), "append"):
            self._cut()
            super().append_logs(logs)

    def _cut(self) -> None:
        """Let a torn last line go; whoever wrote it did not go on from it."""
        with self._path.open("rb+") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)


def _journal(path: Path) -> BaseStorage:
    return JournalStorage(_Journal(path))


def _sqlite(path: Path) -> BaseStorage:
    return RDBStorage(f"{_SQLITE}{path}", engine_kwargs={"connect_args": {"timeout": _BUSY_SECONDS}})


_FILES: Mapping[str, Callable[[Path], BaseStorage]] = {_JOURNAL: _journal, _SQLITE: _sqlite}


def _database(url: str) -> RDBStorage:
    for _ in range(_MADE_AT_ONCE):
        try:
            return _connected(url)
        except (IntegrityError, ProgrammingError):
            # Another process, perhaps on another host, is making the tables in the same moment.
            time.sleep(1)
    return _connected(url)


def _connected(url: str) -> RDBStorage:
    with quietly():
        return RDBStorage(
            _driven(url),
            engine_kwargs={
                "pool_pre_ping": True,
                "connect_args": {"connect_timeout": _CONNECT_SECONDS},
            },
            heartbeat_interval=_HEARTBEAT_SECONDS,
            grace_period=_GRACE_SECONDS,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
        )


def _driven(url: str) -> str:
    """Return a database's URL with the driver that our extra installs, where it names none."""
    try:
        parsed = make_url(url)
        known = parsed.get_backend_name() in _DRIVERS
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        known = False
    if not known:
        remedy = "write sqlite:///FILE, journal:FILE, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME"
        raise UsageError(Fault("--storage", f"{_shown(url)!r} is no storage", remedy))
    named = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    return named.render_as_string(hide_password=False)


def _shown(url: str) -> str:
    return re.sub(r"(//[^:/@]*:)[^@]*@", r"\1***@", url)


@contextmanager
def storage_faults(url: str) -> Iterator[None]:
    """Turn the errors of a storage, whose URL without a password is given, into a `StoreError`."""
    try:
        yield
    except json.JSONDecodeError as error:
        remedy = "name another --storage; what was trained is in the store"
        raise StoreError(
            Fault(url, f"a line of it is not one of a journal: {error.doc[:40]!r}", remedy)
        ) from error
    except (StorageInternalError, SQLAlchemyError, OSError) as error:
        remedy = "see that it can be reached and has room; what was done is kept"
        raise StoreError(Fault(url, f"the study's storage failed: {_first_line(error)}", remedy)) from error


@contextmanager
def _driver_faults(url: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        remedy = "pip install 'adapterstilts[database]'"
        raise EnvironmentFault(
            Fault(url, f"the driver of the database is missing: {error}", remedy)
        ) from error
    except NoSuchModuleError as error:
        raise UsageError(Fault("--storage", f"{url}: {error}", "use SQLite, PostgreSQL or MySQL")) from error


def _first_line(error: BaseException) -> str:
    """Return what is at the bottom of an error: the outer ones only say that something failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]

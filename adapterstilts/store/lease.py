"""Who is at a stage: leases with a heartbeat, for processes that share nothing but a folder.

The file ``<key>/<generation>`` is a lease. Creating the next generation is exclusive, also on NFS, so that of
several takers exactly one has it; the holder is whoever made the greatest. A generation is written by its maker
alone, which is why a process that was stopped and goes on can neither end nor prolong the lease of its successor.

No clocks of two machines are compared: a lease has ended when its maker said so, when its maker is known to be
dead (same machine), or when its heartbeat did not change for as long as it promised, by the observer's own clock.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType

import psutil

from adapterstilts.files import replace_text

# Beats within the time after which a silent holder is given up.
_BEATS = 6


@dataclass(frozen=True)
class Sign:
    """What a holder writes into its lease.

    Attributes:
        token: of this lease alone.
        place: within which `pid` means something; see `this_place`.
        pid: the holder's process.
        seconds: silence after which it may be given up.
        beat: counts up while the holder lives.
        released: whether the holder has let go.
    """

    token: str
    place: str
    pid: int
    seconds: float
    beat: int = 0
    released: bool = False

    def is_over(self) -> bool:
        """Whether the holder has let go, or is a process of this machine that has ended."""
        return self.released or (self.place == this_place() and not _is_running(self.pid))


class Leases:
    """The leases in one folder.

    Args:
        folder: made when the first lease is taken.
        seconds: silence after which others may give up a lease that is taken here.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._observed: dict[str, tuple[str, float]] = {}

    def ended(self, key: str) -> int | None:
        """Return the last generation if it has ended, 0 if there was none, and None while `key` is held.

        Silence is observed: it takes calls over at least the time that the holder promised.
        """
        newest = self._newest(key)
        return newest if newest == 0 or self._is_over(key, newest) else None

    def is_free(self, key: str) -> bool:
        """Whether nobody holds `key`, as far as one look can tell."""
        newest = self._newest(key)
        sign = _read(self._path(key, newest))
        return newest == 0 or (sign is not None and sign.is_over())

    def take(self, key: str, after: int | None = None) -> Lease | None:
        """Take the lease on `key`; None while another process holds it.

        Args:
            key: of the stage.
            after: the last generation, where another process of this run has seen it end.

        Raises:
            OSError: when the folder cannot be written.
        """
        newest = self._newest(key)
        if newest != 0 and newest != after and not self._is_over(key, newest):
            return None
        sign = Sign(uuid.uuid4().hex, this_place(), os.getpid(), self._seconds)
        lease = Lease(self._folder / key, newest, sign)
        return lease if lease.advance() else None

    def forget(self, key: str) -> None:
        """Remove the files of a key that nobody needs any more."""
        with contextlib.suppress(OSError):
            for path in (self._folder / key).iterdir():
                path.unlink(missing_ok=True)
            (self._folder / key).rmdir()

    def _newest(self, key: str) -> int:
        try:
            names = [path.name for path in (self._folder / key).iterdir()]
        except FileNotFoundError:
            return 0
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def _path(self, key: str, generation: int) -> Path:
        return self._folder / key / str(generation)

    def _is_over(self, key: str, newest: int) -> bool:
        sign = _read(self._path(key, newest))
        if sign is not None and sign.is_over():
            return True
        now, shown = time.monotonic(), f"{newest} {sign}"
        before, since = self._observed.get(key, ("", now))
        if shown != before:
            self._observed[key] = shown, now
            return False
        return now - since >= (sign.seconds if sign is not None else self._seconds)


@dataclass
class Lease:
    """One process' hold on one key; beats from `start` to the end of its context.

    Attributes:
        folder: of the key's generations.
        generation: that was made last.
        sign: that is written next.
        lost: whether another process was seen to have taken over.
    """

    folder: Path
    generation: int
    sign: Sign
    lost: bool = False
    _ended: threading.Event = field(default_factory=threading.Event)
    _busy: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def advance(self) -> bool:
        """Make the next generation, which only one process can: True when it was this one.

        The file server decides, not a cached view of it; so this is also how a holder makes sure, before it
        publishes, that nobody has taken over.
        """
        path = self.folder / str(self.generation + 1)
        with self._busy:
            self.folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(asdict(self.sign)))
                file.flush()
                os.fsync(file.fileno())
            # A server's answer can get lost, and a repeated request then meets its own file.
            made = _read(path)
            self.lost = made is None or made.token != self.sign.token
            if not self.lost:
                self.generation += 1
        return not self.lost

    def __enter__(self) -> Lease:
        """Begin to beat."""
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop beating, and let go."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._write(released=True)

    def _beat(self) -> None:
        while not self._ended.wait(self.sign.seconds / _BEATS):
            self._write(released=False)
            self.lost = self.lost or (self.folder / str(self.generation + 1)).exists()

    def _write(self, *, released: bool) -> None:
        with self._busy:
            self.sign = replace(self.sign, beat=self.sign.beat + 1, released=released)
            # A missed beat is no reason to end a stage: at worst another process takes over.
            with contextlib.suppress(OSError):
                replace_text(self.folder / str(self.generation), json.dumps(asdict(self.sign)))


def _read(path: Path) -> Sign | None:
    """Return what a lease says; None for one that is being written, or was never finished."""
    try:
        return Sign(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@functools.cache
def this_place() -> str:
    """Return what processes share that know each other by number: a boot of a machine, and a space of numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return platform.node()


def _is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True

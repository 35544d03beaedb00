"""The other processes of a training stage: one a device, beside the process of the stage, which leads them.

Each opens the same surroundings, runs the same stage function, and writes nothing. They are started when a stage first
needs them and kept for the next one; a stage that does not end well ends them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from adapterstilts.errors import Fault, StageFailed
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.attempt import Ending, portable, received
from adapterstilts.runner.processes import PROCESSES, begin, how_it_ended
from adapterstilts.runner.site import Site
from adapterstilts.stages import STAGES
from adapterstilts.stages.context import Context
from adapterstilts.training.team import Left, Team, joined

_READY = b""
# For a process to say what went wrong with it, once its end was noticed.
_LAST_WORDS_SECONDS = 10.0


@dataclass(frozen=True)
class _Part:
    """What one of the processes is asked to do.

    Attributes:
        stage: that is trained.
        meeting: see `joined`, as for all that follow.
        rank: see there.
        size: see there.
    """

    stage: Stage
    meeting: Path
    rank: int
    size: int


class Peers:
    """The processes that train stages together with this one.

    Args:
        site: the stages' surroundings.
        devices: of the others, by their names in ``CUDA_VISIBLE_DEVICES``; None on a CPU.
    """

    def __init__(self, site: Site, devices: Sequence[str | None]) -> None:
        PROCESSES.set_forkserver_preload([__name__])
        # What is told of a training is told by the first process.
        data = pickle.dumps(replace(site, trackers=()))
        self._peers = [_Peer(data, device) for device in devices]
        self._device = site.torch_device

    @property
    def size(self) -> int:
        """How many processes train a stage."""
        return len(self._peers) + 1

    @contextmanager
    def together(self, stage: Stage) -> Iterator[Team]:
        """Yield the team that trains a stage, with this process as its first.

        Raises:
            StageFailed: when another process dies; else what it failed with.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="adapterstilts-") as folder:
                meeting = Path(folder) / "meeting"
                for rank, peer in enumerate(self._peers, 1):
                    peer.send(_Part(stage, meeting, rank, self.size))
                for peer in self._peers:
                    peer.receive(stage)
                with joined(meeting, 0, self.size, self._device) as team:
                    yield team
                for peer in self._peers:
                    peer.receive(stage)
        except Left:
            cause = self._cause(stage)
            self.close()
            raise cause from cause.__cause__
        except BaseException:
            self.close()
            raise

    def _cause(self, stage: Stage) -> BaseException:
        """Return what made the team end: the first error of another process that is not about yet another one."""
        errors = [peer.last_words(stage) for peer in self._peers]
        unknown = StageFailed(
            Fault(stage.name, "its processes lost each other", "run the same command again")
        )
        return next((error for error in errors if error and not isinstance(error, Left)), unknown)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for peer in self._peers:
            peer.end()


@dataclass
class _Peer:
    """One process, started when it is first needed, and again after it was ended."""

    site: bytes
    device: str | None
    process: Any = None
    connection: Connection | None = None

    def send(self, part: _Part) -> None:
        if self.process is None:
            self.connection, other = PROCESSES.Pipe()
            arguments = (other, self.site, self.device)
            self.process = PROCESSES.Process(target=_accompany, args=arguments, daemon=True)
            self.process.start()
            other.close()
        assert self.connection is not None
        with contextlib.suppress(OSError):  # `receive` says what has become of it
            self.connection.send_bytes(pickle.dumps(part))

    def receive(self, stage: Stage) -> None:
        """Wait for its next word, that it is ready or done; raise what it failed with."""
        assert self.connection is not None
        try:
            data = self.connection.recv_bytes()
        except (EOFError, OSError):
            raise self._died(stage) from None
        if data == _READY:
            return
        ending = received(data)
        if ending.error is not None:
            raise ending.error

    def last_words(self, stage: Stage) -> BaseException | None:
        """Return what it failed with, None where it has nothing to say."""
        assert self.connection is not None
        if not self.connection.poll(_LAST_WORDS_SECONDS):
            return None
        try:
            self.receive(stage)
        except Exception as error:  # noqa: BLE001 - whatever it failed with is the answer
            return error
        return None

    def _died(self, stage: Stage) -> StageFailed:
        self.process.join()
        what = f"one of its processes {how_it_ended(self.process.exitcode)}"
        remedy = "often memory has run out: use smaller batches; run the same command again to go on"
        return StageFailed(Fault(stage.name, what, remedy))

    def end(self) -> None:
        if self.process is None:
            return
        assert self.connection is not None
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.process = self.connection = None


# ---- in the process


def _accompany(connection: Connection, site: bytes, device: str | None) -> None:
    """Take part in the stages that come through the connection, until the process that leads has ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    context = begin(site, device).open(lambda: False)
    with contextlib.suppress(EOFError, OSError):
        while True:
            part: _Part = pickle.loads(connection.recv_bytes())
            connection.send_bytes(portable(_take_part(part, context, connection)))


def _end_with_parent() -> None:
    """End at once when the process that leads has; in the middle of an exchange there is no other way."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _take_part(part: _Part, context: Context, connection: Connection) -> Ending:
    @contextmanager
    def together(_stage: Stage) -> Iterator[Team]:
        connection.send_bytes(_READY)
        with joined(part.meeting, part.rank, part.size, context.device) as team:
            yield team

    context.together = together
    try:
        # The workspace is the first process's: nobody else writes.
        STAGES[part.stage.spec.kind](part.stage, context, part.meeting.parent)
    except Exception as error:  # noqa: BLE001 - whatever a stage raises is for the process that leads
        return Ending("failed", error=error, trace=traceback.format_exc())
    return Ending("done")

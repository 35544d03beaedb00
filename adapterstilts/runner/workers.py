"""Independent stages side by side on this machine: one process each, which may lead others, one a device."""

from __future__ import annotations

import contextlib
import functools
import pickle
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from adapterstilts.errors import Fault, StageFailed, UsageError
from adapterstilts.machine import cuda_devices
from adapterstilts.runner.attempt import (
    Ending,
    Follower,
    Work,
    attempt,
    portable,
    received,
    stopped_before,
)
from adapterstilts.runner.peers import Peers
from adapterstilts.runner.processes import PROCESSES, begin, how_it_ended
from adapterstilts.runner.site import Site
from adapterstilts.training.loop import OnStep

_STOP = b""
_STEP, _SCORE = "step", "score"
_END_SECONDS = 10.0
_STEP_SECONDS = 0.1
# Between two looks at requests to stop.
_LOOK_SECONDS = 0.2


class Workers:
    """Runs stages in processes of this machine, each with its own device or devices where there are several.

    Args:
        site: the stages' surroundings; `Site.of` has seen to it that the processes share no core.
        count: number of processes.

    Raises:
        UsageError: when a tracker cannot be sent to another process.
    """

    def __init__(self, site: Site, count: int) -> None:
        try:
            data = pickle.dumps(site)
        except Exception as error:
            remedy = "use one worker, or a tracker that can be pickled"
            raise UsageError(
                Fault("trackers", f"cannot be sent to a worker process: {error}", remedy)
            ) from error
        PROCESSES.set_forkserver_preload([__name__])
        self.slots = count
        self._all = [_Worker(data, devices) for devices in _handed_out(site, count)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._all:
            self._idle.put(worker)
        # A thread waits for each process, and passes on what it tells.
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")

    def start(self, work: Work, follower: Follower) -> Future[Ending]:
        """Run a stage in the next free process."""
        return self._threads.submit(self._run, work, follower)

    def _run(self, work: Work, follower: Follower) -> Ending:
        worker = self._idle.get()
        try:
            if follower.stopped():
                return Ending("failed", error=stopped_before(work.stage))
            return worker.run(work, follower)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End all processes: at once those that are at a stage."""
        for worker in self._all:
            worker.end()
        self._threads.shutdown()


def _handed_out(site: Site, count: int) -> list[tuple[str | None, ...]]:
    """Return the devices of each worker: its part of those that were named, else one, in turns."""
    if not site.devices:
        visible = cuda_devices() if site.device == "cuda" else []
        return [(visible[number % len(visible)] if visible else None,) for number in range(count)]
    names = site.devices if site.device == "cuda" else (None,) * len(site.devices)
    each = len(names) // count
    return [tuple(names[number * each : (number + 1) * each]) for number in range(count)]


@dataclass
class _Worker:
    """One process, started when it is first needed, and again when it has died."""

    site: bytes
    devices: tuple[str | None, ...]
    process: Any = None
    connection: Connection | None = None
    at_work: bool = False

    def run(self, work: Work, follower: Follower) -> Ending:
        self.at_work = True
        try:
            connection = self._connected()
            connection.send_bytes(pickle.dumps(work))
            return self._followed(connection, follower)
        except (EOFError, OSError):
            return Ending("failed", error=self._died(work), died=True)
        finally:
            self.at_work = False

    def _connected(self) -> Connection:
        if self.process is None or not self.process.is_alive():
            self.connection, other = PROCESSES.Pipe()
            # It ends with us in any case; see `_serve`. A daemon could not lead processes of its own.
            self.process = PROCESSES.Process(
                target=_serve, args=(other, self.site, self.devices), daemon=len(self.devices) == 1
            )
            self.process.start()
            other.close()
        assert self.connection is not None
        return self.connection

    def _followed(self, connection: Connection, follower: Follower) -> Ending:
        """Pass on what the stage tells, and a request to stop, until it has ended."""
        asked = False
        while True:
            if not asked and follower.stopped():
                connection.send_bytes(_STOP)
                asked = True
            if connection.poll(_LOOK_SECONDS):
                data = connection.recv_bytes()
                message = pickle.loads(data)
                if not isinstance(message, tuple):
                    return received(data)
                kind, *values = message
                (follower.step if kind == _STEP else follower.score)(*values)

    def _died(self, work: Work) -> StageFailed:
        assert self.process is not None
        self.process.join()
        code, self.process = self.process.exitcode, None
        what = f"its process {how_it_ended(code)}"
        remedy = "often memory has run out: use fewer --workers; run the same command again to go on"
        return StageFailed(Fault(work.stage.name, what, remedy))

    def end(self) -> None:
        process, connection = self.process, self.connection
        if process is None or connection is None:
            return
        if not self.at_work:
            connection.close()
            process.join(_END_SECONDS)
        process.kill()
        process.join()


# ---- in the process


def _serve(connection: Connection, site: bytes, devices: tuple[str | None, ...]) -> None:
    """Run what comes through the connection until its other end is closed, or its process has died."""
    opened = begin(site, devices[0])
    line = _Line(connection)
    context = opened.open(lambda: False)
    with contextlib.closing(Peers(opened, devices[1:])) as peers, contextlib.suppress(EOFError, OSError):
        if peers.size > 1:
            context.together, context.processes = peers.together, peers.size
        while True:
            data = connection.recv_bytes()
            if data != _STOP:
                ending = attempt(pickle.loads(data), context, line.follower())
                connection.send_bytes(portable(ending))


@dataclass
class _Line:
    """The way back while a stage runs."""

    connection: Connection
    stopped: bool = False

    def follower(self) -> Follower:
        """Return who is told here of the next stage."""
        self.stopped = False
        return Follower(
            now_and_then(functools.partial(self._tell, _STEP)),
            functools.partial(self._tell, _SCORE),
            self.is_stopped,
        )

    def _tell(self, *message: Any) -> None:
        try:
            self.connection.send_bytes(pickle.dumps(message))
        except OSError:
            self.stopped = True

    def is_stopped(self) -> bool:
        """Whether the coordinator asks to stop, or is gone."""
        try:
            if self.connection.poll():
                self.connection.recv_bytes()
                self.stopped = True
        except (EOFError, OSError):
            self.stopped = True
        return self.stopped


def now_and_then(
    on_step: OnStep, seconds: float = _STEP_SECONDS, clock: Callable[[], float] = time.monotonic
) -> OnStep:
    """Return a listener that passes on the first and the last step, and of those between at most one a time span."""
    last = -1e9

    def pass_on(step: int, steps: int, loss: float, rate: float) -> None:
        nonlocal last
        if step == steps or clock() - last >= seconds:
            last = clock()
            on_step(step, steps, loss, rate)

    return pass_on

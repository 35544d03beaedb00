"""Stages on a Ray cluster: one task a stage, tried again elsewhere when its process or its node dies.

Nodes need this package, and the recipe's data at the same paths. The store is on a folder that all of them see, or
has a mirror; then every node works in a folder of its own, fetches what a stage reads and publishes what it makes.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import pickle
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from adapterstilts.backbones import sizes_of
from adapterstilts.errors import EnvironmentFault, Fault, StageFailed
from adapterstilts.runner.attempt import (
    Ending,
    Follower,
    Work,
    attempt,
    portable,
    received,
    stopped_before,
)
from adapterstilts.runner.needs import Needs, needs_of
from adapterstilts.runner.site import Site
from adapterstilts.runner.workers import now_and_then
from adapterstilts.store.mirror import open_store

try:
    import ray
except ImportError as error:  # an extra
    raise EnvironmentFault(
        Fault("--executor ray", "ray is not installed", "pip install 'adapterstilts[ray]'")
    ) from error

_RETRIES = 3
_LOOK_SECONDS = 1.0


class OnRay:
    """Runs stages on the Ray cluster that this process is connected to, else on that of ``RAY_ADDRESS``, else here.

    Args:
        site: the stages' surroundings.

    Raises:
        EnvironmentFault: when no node has room for a stage, or the cluster cannot be reached.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._started = not ray.is_initialized()
        if self._started:
            _connect()
        self._data = pickle.dumps(site)
        self._store = open_store(site.store, site.mirror, site.lease_seconds)
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
        # By the number of the start: two walks may start one stage.
        self._followers: dict[int, Follower] = {}
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="board", daemon=True)
        self._thread.start()
        if self.slots == 0:
            self.close()
            kind = " and a GPU" if site.device == "cuda" else ""
            what = f"no node of the cluster has {site.threads} CPUs{kind}"
            raise EnvironmentFault(Fault("--executor ray", what, "give --threads, or add nodes"))

    @property
    def slots(self) -> int:
        """How many stages the nodes that are alive have room for."""
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return sum(_room(node, self._site) for node in alive)

    def start(self, work: Work, follower: Follower) -> Future[Ending]:
        """Run a stage where there is room."""
        number = next(self._numbers)
        self._followers[number] = follower
        site = self._site
        model = getattr(work.stage.spec, "backbone", None)
        needs = needs_of(
            work.stage,
            # Inputs are published before a stage starts.
            lambda key: self._store.get(key).record.spec,
            sizes_of(model.model, site.backbone_folder) if model else None,
            threads=site.threads,
            device=site.device,
            checkpointing=site.checkpointing,
        )
        options = _options(needs, work.stage.name)
        task = ray.remote(_perform).options(**options)
        reference = task.remote(self._data, pickle.dumps(work), self._board, number)
        ending: Future[Ending] = Future()

        def end(done: Future[bytes]) -> None:
            del self._followers[number]
            ending.set_result(_ending(done, work))

        reference.future().add_done_callback(end)
        return ending

    def close(self) -> None:
        """Let go of the cluster; stages that still run are ended with it."""
        self._ended.set()
        self._thread.join()
        ray.kill(self._board)
        if self._started:
            ray.shutdown()

    def _listen(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            with contextlib.suppress(ray.exceptions.RayError):
                self._exchange()

    def _exchange(self) -> None:
        """Tell the board who is to stop, and followers what stands there of their stages."""
        followers = dict(self._followers)
        stopped = [number for number, one in followers.items() if one.stopped()]
        steps, scores = ray.get(self._board.read.remote(stopped))
        for number, step in steps.items():
            if number in followers:
                followers[number].step(*step)
        for number, *score in scores:
            if number in followers:
                followers[number].score(*score)


def _connect() -> None:
    try:
        ray.init(log_to_driver=False, include_dashboard=False)
    except ValueError:
        # A cluster that is there already takes no settings.
        ray.init(log_to_driver=False)
    except ConnectionError as error:
        remedy = "start it with `ray start`, or correct RAY_ADDRESS"
        raise EnvironmentFault(Fault("--executor ray", f"no cluster: {error}", remedy)) from error


def _room(resources: Mapping[str, float], site: Site) -> int:
    room = int(resources.get("CPU", 0)) // site.threads
    return min(room, int(resources.get("GPU", 0))) if site.device == "cuda" else room


def _options(needs: Needs, name: str) -> dict[str, Any]:
    # More than the largest node has, Ray would wait for without end.
    most = max((node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]), default=0)
    memory = {} if needs.memory is None else {"memory": min(needs.memory, most)}
    return {
        "name": name,
        "num_cpus": needs.cpus,
        "num_gpus": needs.gpus,
        "max_retries": _RETRIES,
        **memory,
    }


def _ending(done: Future[bytes], work: Work) -> Ending:
    try:
        return received(done.result())
    except ray.exceptions.RayError as error:
        what = f"Ray gave it up after {_RETRIES + 1} tries: {str(error).splitlines()[0]}"
        remedy = "look at Ray's logs; often memory has run out"
        return Ending("failed", error=StageFailed(Fault(work.stage.name, what, remedy)))


_Step = tuple[int, int, float, float]


class Board:
    """What stages and coordinator tell each other; an actor beside the coordinator, which it does not outlive."""

    def __init__(self) -> None:
        self._steps: dict[int, _Step] = {}
        self._scores: list[tuple[int, int, float]] = []
        self._stopped: Collection[int] = ()

    def tell(self, number: int, step: _Step) -> bool:
        """Note a stage's last step; return whether it is to stop."""
        self._steps[number] = step
        return self.is_stopped(number)

    def score(self, number: int, step: int, score: float) -> None:
        """Note a stage's score at a step."""
        self._scores.append((number, step, score))

    def is_stopped(self, number: int) -> bool:
        """Return whether a stage is to stop."""
        return number in self._stopped

    def read(self, stopped: Collection[int]) -> tuple[dict[int, _Step], list[tuple[int, int, float]]]:
        """Note which stages are to stop; return the last steps, and all scores, since the reading before."""
        self._stopped = stopped
        told = self._steps, self._scores
        self._steps, self._scores = {}, []
        return told


# ---- on a node


def _perform(data: bytes, work: bytes, board: Any, number: int) -> bytes:
    """Run a stage in this process and return its ending."""
    wanted: Work = pickle.loads(work)
    line = _Line(board, number)
    if line.ask():
        return portable(Ending("failed", error=stopped_before(wanted.stage)))
    follower = Follower(now_and_then(line.tell, _LOOK_SECONDS), line.score, line.is_stopped)
    return portable(attempt(wanted, _context(data), follower))


@functools.lru_cache(maxsize=1)
def _context(data: bytes) -> Any:
    """Return this process' context; tasks that come later find its backbone loaded."""
    site: Site = pickle.loads(data)
    if site.mirror is not None:
        # Nodes on one machine are apart, too.
        site = replace(site, store=site.store / "nodes" / ray.get_runtime_context().get_node_id())
    return site.open(lambda: False)


@dataclass
class _Line:
    """The way to the coordinator while a stage runs."""

    board: Any
    number: int
    stopped: bool = False

    def ask(self) -> bool:
        return self._hear(self.board.is_stopped.remote(self.number))

    def tell(self, step: int, steps: int, loss: float, rate: float) -> None:
        self._hear(self.board.tell.remote(self.number, (step, steps, loss, rate)))

    def score(self, step: int, score: float) -> None:
        self.board.score.remote(self.number, step, score)

    def _hear(self, answer: Any) -> bool:
        try:
            self.stopped = ray.get(answer)
        except ray.exceptions.RayError:
            self.stopped = True  # the coordinator is gone
        return self.stopped

    def is_stopped(self) -> bool:
        return self.stopped

"""Stages on a Ray cluster: one task a stage, tried again elsewhere when its process or its node dies.

Nodes need this package, and the recipe's data at the same paths. The store is on a folder that all of them see, or
has a mirror; then every node works in a folder of its own, fetches what a stage reads and publishes what it makes.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from adapterstilts.backbones import sizes_of
from adapterstilts.errors import EnvironmentFault, Fault, StageFailed
from adapterstilts.runner.attempt import Ending, Work, attempt, portable, received
from adapterstilts.runner.needs import Needs, needs_of
from adapterstilts.runner.site import Site
from adapterstilts.runner.workers import now_and_then
from adapterstilts.store.mirror import open_store
from adapterstilts.training.loop import OnStep

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
        self._listeners: dict[str, OnStep] = {}
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

    def start(self, work: Work, on_step: OnStep) -> Future[Ending]:
        """Run a stage where there is room."""
        self._listeners[work.stage.key] = on_step
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
        reference = (
            ray.remote(_perform).options(**options).remote(self._data, pickle.dumps(work), self._board)
        )
        ending: Future[Ending] = Future()
        reference.future().add_done_callback(lambda done: ending.set_result(_ending(done, work)))
        return ending

    def stop(self) -> None:
        """Ask all stages to write their checkpoints and end."""
        ray.get(self._board.stop.remote())

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
                for key, step in ray.get(self._board.read.remote()).items():
                    self._listeners[key](*step)


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


class Board:
    """What stages and coordinator tell each other; an actor beside the coordinator, which it does not outlive."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[int, int, float, float]] = {}
        self._stopped = False

    def tell(self, key: str, step: tuple[int, int, float, float]) -> bool:
        """Note a stage's last step; return whether the stages are to stop."""
        self._steps[key] = step
        return self._stopped

    def read(self) -> dict[str, tuple[int, int, float, float]]:
        """Return the last steps since the reading before."""
        steps, self._steps = self._steps, {}
        return steps

    def stop(self) -> None:
        """Ask the stages to stop."""
        self._stopped = True


# ---- on a node


def _perform(data: bytes, work: bytes, board: Any) -> bytes:
    """Run a stage in this process and return its ending."""
    wanted: Work = pickle.loads(work)
    line = _Line(board, wanted.stage.key)
    context = _context(data)
    context.stop = line.is_stopped
    return portable(attempt(wanted, context, now_and_then(line.tell, _LOOK_SECONDS)))


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
    key: str
    stopped: bool = False

    def tell(self, step: int, steps: int, loss: float, rate: float) -> None:
        try:
            self.stopped = ray.get(self.board.tell.remote(self.key, (step, steps, loss, rate)))
        except ray.exceptions.RayError:
            self.stopped = True  # the coordinator is gone

    def is_stopped(self) -> bool:
        return self.stopped

"""A stage of a recipe in a process of its own: what it took, and how it learned."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adapterstilts.errors import Fault, StageFailed
from adapterstilts.recipe.plan import Plan, Stage
from adapterstilts.runner.prepare import Options, Prepared, prepare
from adapterstilts.runner.reporter import Silent
from benchmarks.memory import alone, process_peak


@dataclass(frozen=True)
class Taken:
    """What was measured of a stage.

    Attributes:
        peak: bytes: of the GPU that computes; on a CPU the most that the process ever held.
        results: as its record has them.
        losses: of each step.
        seconds: from each step to the next one.
    """

    peak: int
    results: Mapping[str, Any]
    losses: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()


def take(prepared: Prepared, stage: Stage) -> Taken:
    """Run one stage whose inputs are in the store, in a process of its own, and publish it.

    Raises:
        StageFailed: when the process fails; with the last thing that it said.
    """
    options = prepared.options
    work = {
        "recipe": str(prepared.recipe.path),
        "key": stage.key,
        "store": str(prepared.store.root),
        "device": prepared.device,
        "threads": options.threads or 1,
        "checkpointing": options.checkpointing,
    }
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        done = subprocess.run(
            alone("benchmarks.apart"),
            input=json.dumps(work),
            text=True,
            stdout=subprocess.PIPE,
            stderr=said,
            check=False,
        )
        if done.returncode:
            said.seek(0)
            lines = [line.strip() for line in said if line.strip()]
            raise StageFailed(Fault(stage.name, lines[-1] if lines else f"exit code {done.returncode}"))
    found = json.loads(done.stdout.splitlines()[-1])
    return Taken(found["peak"], found["results"], tuple(found["losses"]), tuple(found["seconds"]))


def _alone(plan: Plan, key: str) -> Plan:
    """Return a plan of one stage and of those before it."""
    wanted, waiting = {key}, [key]
    while waiting:
        new = set(plan.stages[waiting.pop()].inputs.values()) - wanted
        wanted |= new
        waiting += new
    return Plan({one: stage for one, stage in plan.stages.items() if one in wanted}, ())


def child(work: Mapping[str, Any]) -> Taken:
    """Run a stage in this process."""
    from adapterstilts.runner.site import Site
    from adapterstilts.runner.walk import walk

    options = Options(
        store=Path(work["store"]),
        device=work["device"],
        threads=work["threads"],
        checkpointing=work["checkpointing"],
        offline=True,
        keep=True,
    )
    prepared = prepare(work["recipe"], options=options, look_inside=False)
    context = Site.of(prepared).open(lambda: False)
    watch = _Watch()
    missing = {work["key"]: prepared.missing[work["key"]]}
    outcome = walk(_alone(prepared.plan, work["key"]), missing, context, watch, keep=True)
    for error in outcome.errors:
        raise error
    results = context.store.get(work["key"]).record.results
    peak = int(results["peak_bytes"]) if prepared.device == "cuda" else process_peak()
    seconds = [after - before for before, after in itertools.pairwise(watch.times)]
    return Taken(peak, results, tuple(watch.losses), tuple(seconds))


class _Watch(Silent):
    """A reporter that notes the loss and the time of each step."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.times: list[float] = []

    def step(self, stage: Stage, step: int, steps: int, loss: float, rate: float) -> None:  # noqa: ARG002
        """Take a step into account."""
        self.losses.append(loss)
        self.times.append(time.perf_counter())


if __name__ == "__main__":
    print(json.dumps(asdict(child(json.load(sys.stdin)))))

"""On paper: the full study for XLM-R Large on 1, 8 and 64 GPUs, simulated from the real plan and from measured costs.

    python -m benchmarks.scaling [--gpus 1 8 64] [--tflops 312] [--share 0.4] [--start 3] [--out FILE.json]

The recipe is the packaged ``cross-domain`` with nine intermediate tasks, the nine tasks of XTREME and three targets of
other domains, planned as `recipe plan` does it, without any data. Steps, subwords and bytes come from the same
estimates. A GPU takes the first stage of the plan that is ready, as the executors do.

Nobody has run this study. What is measured and what is assumed:

- A subword costs 6 P operations in full fine-tuning, 4 P under a frozen backbone, 2 P in evaluation, with P the
  weights of the encoder's layers; a fusion of n adapters 0.85 + 0.34 n times an adapter (measured on two CPU cores).
- `--share`, the part of the device's arithmetic limit (`--tflops`, 312 for an A100 in bf16) that the stages reach. The
  library's path reaches 0.44 on two CPU cores; that a GPU reaches as much is assumed.
- `--start`, seconds that a stage takes before and after its steps in a process that has its backbone loaded; assumed.
- An evaluation whose split has no known size is as long as the mean of the others of its plan.
- Every stage fetches its inputs from the store, and whole models are among them; the frozen backbone is fetched once
  a GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from adapterstilts.backbones import DEFAULT_MODEL, KNOWN
from adapterstilts.files import replace_text
from adapterstilts.recipe.plan import Plan, Stage
from adapterstilts.runner.estimate import Estimate, Throughput, estimate
from adapterstilts.runner.order import Order
from adapterstilts.runner.prepare import Options, Prepared, prepare
from adapterstilts.specs import BACKBONE

_RECIPE = "cross-domain"
# Of the paper's nine the catalogue holds eight without own files; SNLI stands in for CCGbank, which needs a licence.
_INTERMEDIATE = (
    *("anli-plus", "mnli", "qqp", "snli", "squad2", "squad"),
    *("hellaswag", "cosmosqa", "commonsenseqa"),
)
_XTREME = ("xnli", "paws-x", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc2018-pairs", "tatoeba")
_OTHER_DOMAINS: tuple[Any, ...] = (
    {"task": "umsab", "languages": ["ar", "de", "es", "fr", "hi", "it", "pt"]},
    "tweet-sentiment",
    "masakhapos-hub",
)
_METHODS = (
    "target",
    "stack(<intermediate>, target)",
    "stack(<domain>, target)",
    f"fuse({', '.join(_INTERMEDIATE)}, target)",
    "full_finetune",
    "full_stilts(<intermediate>)",
)
_OPERATIONS = {"full_finetune": 6, "evaluate": 2}
_FROZEN_OPERATIONS = 4
_HOUR, _GB, _TB = 3600, 1e9, 1e12


@dataclass(frozen=True)
class Device:
    """What a GPU is taken to be.

    Attributes:
        tflops: its arithmetic limit.
        share: what stages reach of it.
        start: seconds of a stage beside its steps.
    """

    tflops: float = 312.0
    share: float = 0.4
    start: float = 3.0


@dataclass(frozen=True)
class Costs:
    """Of the stages of a plan, by key.

    Attributes:
        seconds: on one GPU.
        size: bytes that are published.
        whole: keys of whole models, whose weights go after their last reader.
        unknown: number of evaluations without a known size.
    """

    seconds: Mapping[str, float]
    size: Mapping[str, int]
    whole: frozenset[str]
    unknown: int


@dataclass(frozen=True)
class Simulated:
    """A study on a number of GPUs.

    Attributes:
        gpus: their number.
        hours: from its beginning to its end.
        gpu_hours: paid for.
        busy: part of them in which something is computed.
        kept_gb: in the store in the end.
        peak_gb: in the store at most, with the whole models that wait for their readers.
        traffic_tb: to the store and from it.
        mean_gbit: of it, a second.
    """

    gpus: int
    hours: float
    gpu_hours: float
    busy: float
    kept_gb: float
    peak_gb: float
    traffic_tb: float
    mean_gbit: float


def planned(store: Path) -> Prepared:
    """Return the study's plan; no data is read."""
    changes = {
        "intermediate": list(_INTERMEDIATE),
        "targets": [*_XTREME, *_OTHER_DOMAINS],
        "methods": list(_METHODS),
    }
    return prepare(_RECIPE, changes, Options(store=store, device="cpu"), look_inside=False)


def costs_of(prepared: Prepared, device: Device) -> Costs:
    """Return what the stages of a plan cost on one GPU."""
    stages = prepared.plan.stages
    nothing = Throughput(prepared.store)
    found = {key: estimate(stage, nothing, "cuda", prepared.roots, stages) for key, stage in stages.items()}
    tokens = [cost.tokens for key, cost in found.items() if _is_evaluation(stages[key]) and cost.tokens]
    usual = round(mean(tokens)) if tokens else 0
    whole = frozenset(key for key, stage in stages.items() if stage.spec.kind == "full_finetune")
    return Costs(
        {key: _seconds(stages[key], cost.tokens or usual, device) for key, cost in found.items()},
        {key: _size(stages[key], cost) for key, cost in found.items()},
        whole,
        sum(_is_evaluation(stages[key]) and cost.tokens is None for key, cost in found.items()),
    )


def _is_evaluation(stage: Stage) -> bool:
    return bool(stage.spec.kind == "evaluate")


def _seconds(stage: Stage, tokens: int, device: Device) -> float:
    known = KNOWN[DEFAULT_MODEL]
    weights = 12 * known.layers * known.hidden**2
    operations: float = _OPERATIONS.get(stage.spec.kind, _FROZEN_OPERATIONS) * weights
    if stage.spec.kind == "train_fusion":
        fused = sum(role.startswith("x") for role in stage.inputs)
        operations *= 0.85 + 0.34 * fused
    return device.start + tokens * operations / (device.tflops * 1e12 * device.share)


def _size(stage: Stage, cost: Estimate) -> int:
    weights = KNOWN[DEFAULT_MODEL].parameters * 4 if stage.spec.kind == "full_finetune" else 0
    return weights + (cost.disk or 0)


# ---- the simulation


def simulate(plan: Plan, costs: Costs, gpus: int) -> Simulated:
    """Let `gpus` devices work through a plan: each takes the first stage that is ready."""
    order, now, busy = Order(plan), 0.0, 0.0
    under_way: list[tuple[float, str]] = []
    store = _Store(plan, costs)
    while order.is_open:
        while len(under_way) < gpus and (stage := next(order.ready(), None)) is not None:
            order.take(stage)
            busy += costs.seconds[stage.key]
            heapq.heappush(under_way, (now + costs.seconds[stage.key], stage.key))
        now, key = heapq.heappop(under_way)
        order.end(plan.stages[key])
        store.publish(key)
    store.traffic += gpus * KNOWN[DEFAULT_MODEL].parameters * 4
    hours = now / _HOUR
    return Simulated(
        gpus=gpus,
        hours=hours,
        gpu_hours=hours * gpus,
        busy=busy / (now * gpus),
        kept_gb=store.now / _GB,
        peak_gb=store.peak / _GB,
        traffic_tb=store.traffic / _TB,
        mean_gbit=store.traffic * 8 / 1e9 / now,
    )


class _Store:
    """How much lies in the store, and how much has been moved."""

    def __init__(self, plan: Plan, costs: Costs) -> None:
        self._plan, self._costs = plan, costs
        self._readers = Counter(key for stage in plan.stages.values() for key in set(stage.inputs.values()))
        self.now = self.peak = self.traffic = 0

    def publish(self, key: str) -> None:
        """Take in a stage's files and what it has read; let whole models go that nobody reads any more."""
        size = self._costs.size
        inputs = {one for role, one in self._plan.stages[key].inputs.items() if role != BACKBONE}
        self.now += size[key]
        self.peak = max(self.peak, self.now)
        self.traffic += size[key] + sum(size[one] for one in inputs)
        for one in inputs:
            self._readers[one] -= 1
            if one in self._costs.whole and self._readers[one] == 0:
                self.now -= KNOWN[DEFAULT_MODEL].parameters * 4


def longest_chain(plan: Plan, seconds: Mapping[str, float]) -> list[str]:
    """Return the names of the stages that no number of GPUs can do side by side, and that take the longest."""
    ends: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for key, stage in plan.stages.items():
        slowest = max(stage.inputs.values(), key=lambda one: ends[one], default=None)
        ends[key] = seconds[key] + (ends[slowest] if slowest is not None else 0.0)
        before[key] = slowest
    chain: list[str] = []
    last: str | None = max(ends, key=lambda key: ends[key])
    while last is not None:
        chain.append(last)
        last = before[last]
    return chain[::-1]


# ---- for people and programs


def page(plan: Plan, costs: Costs, runs: Sequence[Simulated]) -> str:
    """Return the result as text."""
    kinds = Counter(stage.spec.kind for stage in plan.stages.values())
    total = sum(costs.seconds.values())
    lines = [
        f"{len(plan.stages):,} stages, {total / _HOUR:,.0f} GPU-hours of work "
        f"({costs.unknown:,} evaluations of unknown size)",
        "",
        f"{'kind':<16} {'stages':>7} {'GPU-hours':>10} {'GB':>9}",
    ]
    for kind, count in kinds.most_common():
        own = [key for key, stage in plan.stages.items() if stage.spec.kind == kind]
        hours, size = (sum(part[key] for key in own) for part in (costs.seconds, costs.size))
        lines.append(f"{kind:<16} {count:>7,} {hours / _HOUR:>10,.1f} {size / _GB:>9,.1f}")
    lines += [
        "",
        f"{'GPUs':>4} {'hours':>8} {'GPU-hours':>10} {'busy':>6} {'kept GB':>8} {'peak GB':>8} "
        f"{'traffic TB':>11} {'Gbit/s':>7}",
    ]
    lines += [
        f"{run.gpus:>4} {run.hours:>8,.1f} {run.gpu_hours:>10,.0f} {run.busy:>6.0%} {run.kept_gb:>8,.0f} "
        f"{run.peak_gb:>8,.0f} {run.traffic_tb:>11,.1f} {run.mean_gbit:>7,.2f}"
        for run in runs
    ]
    chain = longest_chain(plan, costs.seconds)
    longest = sum(costs.seconds[key] for key in chain)
    return "\n".join(
        [
            *lines,
            "",
            f"No number of GPUs takes less than {longest / _HOUR:,.1f} hours; {total / longest:,.0f} would do:",
            *(f"  {costs.seconds[key] / _HOUR:5.2f} h  {plan.stages[key].name}" for key in chain),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = Device()
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--tflops", type=float, default=usual.tflops)
    parser.add_argument("--share", type=float, default=usual.share)
    parser.add_argument("--start", type=float, default=usual.start)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    device = Device(given.tflops, given.share, given.start)
    with tempfile.TemporaryDirectory() as folder:
        prepared = planned(Path(folder))
        costs = costs_of(prepared, device)
    runs = [simulate(prepared.plan, costs, gpus) for gpus in given.gpus]
    print(page(prepared.plan, costs, runs))
    if given.out is not None:
        data = {
            "benchmark": "scaling",
            "device": vars(device),
            "runs": [dataclasses.asdict(run) for run in runs],
        }
        replace_text(given.out, json.dumps(data, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

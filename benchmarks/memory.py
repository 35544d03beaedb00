"""Peak memory of training an adapter, beside `adapters` with dynamic padding, each in a process of its own.

    python -m benchmarks.memory [--texts 128] [--rounds 3] [--threads N] [--out FILE.json]

What counts is the most that a process held from its start to its end: libraries, loading, training.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adapterstilts.errors import EnvironmentFault, Fault
from benchmarks import peers
from benchmarks.command import Outcome, Setting, run
from benchmarks.material import lengths_of
from benchmarks.ours import Job, Ours, batch_budget
from benchmarks.turns import in_turns, ratio


def measure(setting: Setting) -> Outcome:
    """Return what share of the memory of `adapters` ours takes."""
    budget = batch_budget(lengths_of(setting.backbone, setting.texts))
    setting.folder.mkdir()
    found = in_turns({way: partial(_child, setting, way, budget) for way in _WAYS}, setting.rounds)
    return Outcome({"vs_adaptertrainer": ratio(found["bf16"], found["adaptertrainer"])}, found, "MB")


def _child(setting: Setting, way: str, budget: int) -> float:
    work = {
        "way": way,
        "folder": tempfile.mkdtemp(dir=setting.folder),
        "backbone": str(setting.backbone),
        "texts": list(setting.texts),
        "budget": budget,
        "threads": setting.threads,
    }
    done = subprocess.run(
        alone("benchmarks.memory", "--child"),
        input=json.dumps(work),
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    )
    return float(done.stdout.splitlines()[-1])


def _ours(work: Mapping[str, Any], precision: Any) -> None:
    backbone, texts = Path(work["backbone"]), work["texts"]
    job = Job(Path(work["folder"]) / "job", backbone, texts, texts[:8], ["target"], precision, work["budget"])
    Ours.of(job, work["threads"])


def _adaptertrainer(work: Mapping[str, Any]) -> None:
    peers.adapter_trainer(Path(work["backbone"]), work["texts"]).train(pad=False)


_WAYS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "fp32": partial(_ours, precision="fp32"),
    "bf16": partial(_ours, precision="bf16"),
    "adaptertrainer": _adaptertrainer,
}


def child(work: Mapping[str, Any]) -> float:
    """Train in one way and return the most memory that this process held, in megabytes."""
    import torch

    torch.set_num_threads(work["threads"])
    _WAYS[work["way"]](work)
    return process_peak() / 1e6


def alone(module: str, *words: str) -> list[str]:
    """Return the command that runs a module in a process whose peak is its own.

    Linux passes a process's peak on to the programs that it starts by way of `subprocess`. A shell in between has next
    to none.
    """
    return ["/bin/sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-m", module, *words]


def process_peak() -> int:
    """Return the peak of this process's resident memory in bytes; see `alone`.

    Raises:
        EnvironmentFault: on a system that does not tell it.
    """
    try:
        import resource
    except ImportError as error:
        what = "this system does not tell the peak of a process's memory"
        raise EnvironmentFault(Fault("memory", what, "measure on Linux")) from error
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if list(given) == ["--child"]:
        print(child(json.load(sys.stdin)))
        return 0
    return run("memory", __doc__, measure, given, count=128)


if __name__ == "__main__":
    sys.exit(main())

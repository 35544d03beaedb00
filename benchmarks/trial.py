"""One trial of a search, beside a fresh process that does the same with `adapters`.

    python -m benchmarks.trial [--texts 512] [--rounds 3] [--threads N] [--out FILE.json]

A trial fuses four adapters over half of the texts and scores the other half. The fresh process imports its libraries,
loads the backbone and tokenises; ours has the backbone, the data and (``n6``) the states below the adapters from the
trial before. How long it takes to put the four adapters of a trial on the backbone is told as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.command import Outcome, Setting, run
from benchmarks.material import layers_of, lengths_of
from benchmarks.ours import Job, Ours, batch_budget, random_adapters
from benchmarks.turns import in_turns, ratio

_COUNT = 4


def measure(setting: Setting) -> Outcome:
    """Return how many times as long a fresh process takes."""
    half, layers = len(setting.texts) // 2, layers_of(setting.backbone)
    train, test = setting.texts[:half], setting.texts[half:]
    low, high = (
        random_adapters(setting.backbone, setting.folder / "adapters", _COUNT, skipped)
        for skipped in (0, layers // 2)
    )
    plain, upper = f"fuse({', '.join(low)})", f"fuse({', '.join(high)})"
    job = Job(
        setting.folder / "bf16",
        setting.backbone,
        train,
        test,
        [plain, upper],
        "bf16",
        batch_budget(lengths_of(setting.backbone, train)),
        pretrained={**low, **high},
    )
    exact = Ours.of(job.again(setting.folder / "fp32", "fp32", [plain]), setting.threads)
    fast = Ours.of(job, setting.threads)
    found = in_turns(
        {
            "fp32": partial(_trial, exact, plain),
            "bf16": partial(_trial, fast, plain),
            "n6": partial(_trial, fast, upper),
            "fresh process": partial(_fresh, setting, train, test, low),
        },
        setting.rounds,
    )
    ratios = {name: ratio(found["fresh process"], found[name]) for name in ("fp32", "bf16", "n6")}
    return Outcome(ratios, found, "s", {"to switch adapters, ms": fast.switch(plain)})


def _trial(ours: Ours, method: str) -> float:
    started = time.perf_counter()
    ours.train(method)
    ours.score(method)
    return time.perf_counter() - started


def _fresh(
    setting: Setting, train: Sequence[str], test: Sequence[str], adapters: Mapping[str, Path]
) -> float:
    work = {
        "backbone": str(setting.backbone),
        "train": list(train),
        "test": list(test),
        "adapters": [str(path) for path in adapters.values()],
        "threads": setting.threads,
    }
    command = [sys.executable, "-m", "benchmarks.trial", "--usual"]
    started = time.perf_counter()
    subprocess.run(command, input=json.dumps(work), text=True, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def usual(work: Mapping[str, Any]) -> None:
    """Do a trial the usual way; `work` names backbone, texts and adapters."""
    import torch

    torch.set_num_threads(work["threads"])
    adapters = [Path(path) for path in work["adapters"]]
    peer = peers.adapter_trainer(Path(work["backbone"]), work["train"], adapters)
    peer.train(pad=False)
    peer.on(work["test"]).score(pad=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if list(given) == ["--usual"]:
        usual(json.load(sys.stdin))
        return 0
    return run("trial", __doc__, measure, given, count=512)


if __name__ == "__main__":
    sys.exit(main())

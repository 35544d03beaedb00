"""Scoring a model with an adapter, beside a Trainer's predictions.

    python -m benchmarks.evaluation [--texts 512] [--rounds 3] [--threads N] [--out FILE.json]

Ours is a whole stage: from encoded texts to predictions and scores on disk. A Trainer takes the texts in their order,
32 at a time, and pads to the longest of a batch (``dynamic``) or to 128 (``pad128``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from benchmarks import peers
from benchmarks.command import Outcome, Setting, run
from benchmarks.ours import Job, Ours
from benchmarks.turns import in_turns, ratio

_TOKENS = 4096


def measure(setting: Setting) -> Outcome:
    """Return how many times as long a Trainer takes."""
    texts = setting.texts
    job = Job(setting.folder / "bf16", setting.backbone, texts[:8], texts, ["target"], "bf16", _TOKENS)
    exact = Ours.of(job.again(setting.folder / "fp32", "fp32", ["target"]), setting.threads)
    fast = Ours.of(job, setting.threads)
    peer = peers.adapter_trainer(setting.backbone, texts)
    peer.score(pad=False)
    found = in_turns(
        {
            "fp32": partial(exact.score, "target"),
            "bf16": partial(fast.score, "target"),
            "dynamic": partial(peer.score, pad=False),
            "pad128": partial(peer.score, pad=True),
        },
        setting.rounds,
    )
    ratios = {
        f"{ours}_vs_{theirs}": ratio(found[theirs], found[ours])
        for ours in ("bf16", "fp32")
        for theirs in ("dynamic", "pad128")
    }
    return Outcome(ratios, found, "s/example")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    return run("evaluation", __doc__, measure, arguments, count=512)


if __name__ == "__main__":
    sys.exit(main())

"""Training a fusion of frozen adapters, beside `adapters`.

    python -m benchmarks.fusion [--texts 128] [--rounds 3] [--threads N] [--out FILE.json]

As `benchmarks.training`; the adapters are random ones. ``fuse8_over_fuse2`` is how much longer a fusion of eight takes
than one of two, in bf16.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.command import Outcome, Setting, run
from benchmarks.material import layers_of, lengths_of
from benchmarks.ours import Job, Ours, batch_budget, random_adapters
from benchmarks.turns import in_turns, ratio

_COUNT = 8


def measure(setting: Setting) -> Outcome:
    """Return how many times as long `adapters` takes."""
    half = layers_of(setting.backbone) // 2
    low, high = (
        random_adapters(setting.backbone, setting.folder / "adapters", _COUNT, layers) for layers in (0, half)
    )
    eight, two, upper = _fusion(low), _fusion(list(low)[:2]), _fusion(high)
    job = Job(
        setting.folder / "bf16",
        setting.backbone,
        setting.texts,
        setting.texts[:8],
        [eight, two, upper],
        "bf16",
        batch_budget(lengths_of(setting.backbone, setting.texts)),
        pretrained={**low, **high},
    )
    exact = Ours.of(job.again(setting.folder / "fp32", "fp32", [eight]), setting.threads)
    fast = Ours.of(job, setting.threads)
    found = in_turns(
        {
            "fuse8_fp32": partial(exact.train, eight),
            "fuse8_bf16": partial(fast.train, eight),
            "fuse8_n6": partial(fast.train, upper),
            "fuse2_bf16": partial(fast.train, two),
            "adaptertrainer fuse8": partial(_peer(setting, low).train, pad=False),
        },
        setting.rounds,
    )
    ratios = {
        name: ratio(found["adaptertrainer fuse8"], found[name])
        for name in ("fuse8_fp32", "fuse8_bf16", "fuse8_n6")
    }
    ratios["fuse8_over_fuse2"] = ratio(found["fuse8_bf16"], found["fuse2_bf16"])
    return Outcome(ratios, found, "s/example")


def _fusion(names: Sequence[str] | Mapping[str, Path]) -> str:
    return f"fuse({', '.join(names)})"


def _peer(setting: Setting, adapters: Mapping[str, Path]) -> peers.Peer:
    peer = peers.adapter_trainer(setting.backbone, setting.texts, list(adapters.values()))
    peer.train(pad=False)
    return peer


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    return run("fusion", __doc__, measure, arguments, count=128)


if __name__ == "__main__":
    sys.exit(main())

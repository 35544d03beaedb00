"""Training an adapter, beside `adapters`, `peft` and the whole model.

    python -m benchmarks.training [--texts 256] [--rounds 3] [--threads N] [--out FILE.json]

All train over the same texts once, cut at 128 subwords, about 32 texts a step. A Trainer takes them in random order and
pads to the longest of a batch, or (``_pad128``) to 128. Times are of steps, the making of their batches included, the
tokenising before them not. Of ``n6`` and ``n9``, whose lowest half and three quarters of the layers carry no adapter,
the states of these layers are already there, as in a second epoch, a second seed or a second method.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from benchmarks import peers
from benchmarks.command import Outcome, Setting, run
from benchmarks.material import layers_of, lengths_of
from benchmarks.ours import Job, Ours, batch_budget
from benchmarks.turns import Turn, in_turns, ratio

_SHARES = {"n6": 1 / 2, "n9": 3 / 4}
_PAIRS = (
    ("fp32", "adaptertrainer"),
    ("bf16", "adaptertrainer"),
    ("n6", "adaptertrainer"),
    ("n9", "adaptertrainer"),
    ("bf16", "peft"),
    ("bf16", "full"),
)
_PADDED = "_pad128"


def measure(setting: Setting) -> Outcome:
    """Return how many times as long the others take."""
    found = in_turns({**_ours(setting), **_others(setting)}, setting.rounds)
    ratios = {
        f"{ours}_vs_{peer}{padding}": ratio(found[f"{peer}{padding}"], found[ours])
        for padding in ("", _PADDED)
        for ours, peer in _PAIRS
    }
    return Outcome(ratios, found, "s/example")


def _ours(setting: Setting) -> dict[str, Turn]:
    layers = layers_of(setting.backbone)
    job = Job(
        setting.folder / "bf16",
        setting.backbone,
        setting.texts,
        setting.texts[:8],
        ["target", *(f"with({name}, target)" for name in _SHARES)],
        "bf16",
        batch_budget(lengths_of(setting.backbone, setting.texts)),
        {name: round(share * layers) for name, share in _SHARES.items()},
    )
    exact = Ours.of(job.again(setting.folder / "fp32", "fp32", ["target"]), setting.threads)
    fast = Ours.of(job, setting.threads)
    turns: dict[str, Turn] = {"fp32": partial(exact.train, "target"), "bf16": partial(fast.train, "target")}
    return turns | {name: partial(fast.train, f"with({name}, target)") for name in _SHARES}


def _others(setting: Setting) -> dict[str, Turn]:
    made = {
        "adaptertrainer": peers.adapter_trainer(setting.backbone, setting.texts),
        "peft": peers.lora(setting.backbone, setting.texts),
        "full": peers.whole(setting.backbone, setting.texts),
    }
    for peer in made.values():
        peer.train(pad=False)
    return {
        f"{name}{padding}": partial(peer.train, pad=padding == _PADDED)
        for padding in ("", _PADDED)
        for name, peer in made.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    return run("training", __doc__, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())

"""The command that all benchmarks of the engine share: arguments, a table for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from adapterstilts.backbones import PACKAGE_MODEL
from adapterstilts.errors import AdapterStiltsError
from adapterstilts.files import replace_text
from adapterstilts.machine import cores
from benchmarks.material import backbone_folder, data_folder, texts
from benchmarks.surroundings import surroundings


@dataclass(frozen=True)
class Setting:
    """What a benchmark is run with.

    Attributes:
        folder: that it may write to.
        backbone: its folder.
        texts: real ones.
        rounds: of measurements.
        threads: of torch.
    """

    folder: Path
    backbone: Path
    texts: Sequence[str]
    rounds: int
    threads: int


@dataclass(frozen=True)
class Outcome:
    """What was measured.

    Attributes:
        ratios: the figures that are asked for.
        measured: contender -> what it measured in each round.
        unit: of what was measured.
        notes: more that a reader wants to know.
    """

    ratios: Mapping[str, float]
    measured: Mapping[str, Sequence[float]] = field(default_factory=dict)
    unit: str = ""
    notes: Mapping[str, float] = field(default_factory=dict)


def run(
    name: str,
    about: str,
    measure: Callable[[Setting], Outcome],
    arguments: Sequence[str] | None = None,
    *,
    count: int = 256,
) -> int:
    """Measure, print, and return the exit code.

    Args:
        name: of the benchmark.
        about: what it measures.
        measure: does it.
        arguments: of the command line; those of the process by default.
        count: texts that are used by default.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about.split("\n")[0])
    parser.add_argument("--backbone", default=PACKAGE_MODEL, help=f"{PACKAGE_MODEL}, or a folder")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the data sets")
    parser.add_argument("--texts", type=int, default=count, help="number of texts")
    parser.add_argument("--rounds", type=int, default=3, help="of measurements")
    parser.add_argument("--threads", type=int, default=cores(), help="of torch")
    parser.add_argument("--out", type=Path, help="file for the result as JSON")
    chosen = parser.parse_args(arguments)
    try:
        facts = surroundings(chosen.threads)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            backbone = backbone_folder(chosen.backbone, place / "backbone")
            own = texts(chosen.data, chosen.texts)
            outcome = measure(Setting(place / "work", backbone, own, chosen.rounds, chosen.threads))
    except AdapterStiltsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(page(name, facts, outcome))
    if chosen.out:
        data = {"benchmark": name, **vars(outcome), "surroundings": facts, "rounds": chosen.rounds}
        replace_text(chosen.out, json.dumps({**data, "texts": chosen.texts}, indent=1) + "\n")
    return 0


def page(name: str, facts: Mapping[str, Any], outcome: Outcome) -> str:
    """Return the result for a reader."""
    lines = [
        f"{name}: {facts['cpu']}, {facts['threads']} threads of {facts['cores']} cores, load {facts['load']}"
    ]
    lines += [f"{fact}: {facts[fact]}" for fact in ("bf16", "precision: auto", "mkl", "gflops", "versions")]
    lines += ["", *(_row(contender, values, outcome.unit) for contender, values in outcome.measured.items())]
    lines += [f"{note:28} {value:12.4g}" for note, value in outcome.notes.items()]
    return "\n".join([*lines, "", *(f"{ratio:28} {value:12.2f}" for ratio, value in outcome.ratios.items())])


def _row(contender: str, values: Sequence[float], unit: str) -> str:
    return f"{contender:28} {median(values):12.4g} {unit} (from {min(values):.4g} to {max(values):.4g})"

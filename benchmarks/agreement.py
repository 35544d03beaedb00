"""Whether the engine learns what the library learns: scores and predictions after training on real data.

    python -m benchmarks.agreement [--recipe FILE] [--data DIR] [--store DIR] [--out FILE.json] [k=v ...]

The recipe (``benchmarks/agreement.yaml``) is run once by each arithmetic: the modules of `adapters` and the engine, in
fp32 and in bf16. All start from the same parameters and see the same batches. Beside a mean score stands the spread
of its seeds, which is the noise that a difference has to be seen against. Agreement is the share of test examples on
which two models of one seed predict the same; ``seeds`` is the agreement of two seeds of the library in fp32: what
training twice does to predictions without any change of the arithmetic.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from adapterstilts.errors import AdapterStiltsError
from adapterstilts.files import replace_text
from adapterstilts.machine import cores
from adapterstilts.metrics.files import read_predictions
from adapterstilts.runner.execute import execute
from adapterstilts.runner.prepare import Options, prepare_to_run
from benchmarks.material import data_folder
from benchmarks.surroundings import surroundings

_RECIPE = Path(__file__).with_suffix(".yaml")
_REFERENCE = "library fp32"
_SEEDS = "seeds"
_ARITHMETIC = {
    f"{path} {precision}": (f"training.default.path={setting}", f"training.default.precision={precision}")
    for path, setting in (("library", "library"), ("engine", "auto"))
    for precision in ("fp32", "bf16")
}

Cell = tuple[str, str, str, int]
"""Target, language, method, seed."""


@dataclass(frozen=True)
class Answers:
    """What the models of one arithmetic answered.

    Attributes:
        scores: cell -> main score, in points.
        predictions: cell -> example -> answer.
    """

    scores: Mapping[Cell, float]
    predictions: Mapping[Cell, Mapping[str, Any]]


@dataclass(frozen=True)
class Agreement:
    """What one arithmetic does on one target.

    Attributes:
        target: its name.
        arithmetic: path and precision, or ``seeds``.
        score: main score in points, a mean over languages, methods and seeds; None for ``seeds``.
        spread: standard deviation of the seeds' means, in points; None for ``seeds`` and for a single seed.
        same: share of test examples that are predicted as by the reference.
    """

    target: str
    arithmetic: str
    score: float | None
    spread: float | None
    same: float


def answers(recipe: str, overrides: Sequence[str], options: Options) -> Answers:
    """Run a recipe and return its answers."""
    run = execute(prepare_to_run(recipe, overrides, options))
    run.raise_failures()
    scores: dict[Cell, float] = {}
    predictions: dict[Cell, dict[str, Any]] = {}
    for row in run.rows:
        if row.main and row.value is not None and row.artifact is not None:
            cell = (row.target, row.language, row.method, row.seed)
            made = run.prepared.store.get(row.artifact)
            scores[cell] = 100 * row.value
            predictions[cell] = {one.id: one.prediction for one in read_predictions(made.path)}
    return Answers(scores, predictions)


def compare(found: Mapping[str, Answers]) -> list[Agreement]:
    """Return every arithmetic beside the reference, target by target."""
    reference = found[_REFERENCE]
    rows = []
    for target in dict.fromkeys(cell[0] for cell in reference.scores):
        cells = [cell for cell in reference.scores if cell[0] == target]
        for name, own in found.items():
            shares = [_same(own.predictions[cell], reference.predictions[cell]) for cell in cells]
            rows.append(Agreement(target, name, *_score(own, cells), same=mean(shares)))
        if between := list(_between_seeds(reference, cells)):
            rows.append(Agreement(target, _SEEDS, None, None, mean(between)))
    return rows


def _score(own: Answers, cells: Sequence[Cell]) -> tuple[float, float | None]:
    seeds = dict.fromkeys(cell[3] for cell in cells)
    means = [mean(own.scores[cell] for cell in cells if cell[3] == seed) for seed in seeds]
    return mean(means), stdev(means) if len(means) > 1 else None


def _between_seeds(own: Answers, cells: Sequence[Cell]) -> Iterator[float]:
    for one, other in itertools.combinations(cells, 2):
        if one[:3] == other[:3]:
            yield _same(own.predictions[one], own.predictions[other])


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    return mean(float(one[example] == other[example]) for example in other)


def page(found: Sequence[Agreement], threads: int) -> str:
    """Return the result for a reader."""
    facts = surroundings(threads)
    lines = [f"agreement: {facts['cpu']}, {facts['threads']} threads", f"versions: {facts['versions']}", ""]
    lines.append(f"{'target':20s} {'arithmetic':14s} {'score':>7s} {'spread':>7s} {'same predictions':>17s}")
    return "\n".join([*lines, *(_line(one) for one in found)])


def _line(one: Agreement) -> str:
    score, spread = ("" if number is None else f"{number:.2f}" for number in (one.score, one.spread))
    return f"{one.target:20s} {one.arithmetic:14s} {score:>7s} {spread:>7s} {one.same:17.2%}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agreement", description=__doc__.split("\n")[0]
    )
    parser.add_argument("overrides", nargs="*", metavar="k=v", help="of the recipe")
    parser.add_argument("--recipe", default=str(_RECIPE), help="with targets")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the data sets")
    parser.add_argument("--store", type=Path, help="folder of what is trained")
    parser.add_argument("--runs", type=Path, help="folder of the runs' results")
    parser.add_argument("--threads", type=int, default=cores(), help="that compute")
    parser.add_argument("--out", type=Path, help="file for the result as JSON")
    chosen = parser.parse_args(arguments)
    options = Options(store=chosen.store, out=chosen.runs, data_dir=chosen.data, threads=chosen.threads)
    try:
        found = compare(
            {
                name: answers(chosen.recipe, [*chosen.overrides, *settings], options)
                for name, settings in _ARITHMETIC.items()
            }
        )
    except AdapterStiltsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(page(found, chosen.threads))
    if chosen.out:
        data = {"benchmark": "agreement", "result": [asdict(one) for one in found]}
        replace_text(chosen.out, json.dumps(data, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

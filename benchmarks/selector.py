"""How well an intermediate task is chosen before any trial: regret and rank correlation of each selector.

    python -m benchmarks.selector [--recipe FILE] [--data DIR] [--store DIR] [--seed 1000] [--out FILE.json] [k=v ...]

The recipe (``benchmarks/selector.yaml``) trains every intermediate adapter, and the target's on top of each, with its
own seeds; the gain of an intermediate is the score on test data minus that of the target adapter alone, in points, a
mean over languages and seeds. The selectors (`adapterstilts.search.ranking`) see another seed, and no test data. Beside
them stand a random order, whose figures are exact expectations, and the order by size of the training data.

The recipe trains 117 models, which takes hours on two cores; that of ``benchmarks/selector-small.yaml`` trains 27.

Regret at k is the gain of the best intermediate minus that of the best among the first k. Rank correlation is
Spearman's. The data are those of `--data`, ``$ADAPTERSTILTS_TEST_DATA`` or ``../shared/data``.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from adapterstilts.errors import AdapterStiltsError
from adapterstilts.files import replace_text
from adapterstilts.report.rows import ResultRow
from adapterstilts.runner.execute import execute
from adapterstilts.runner.prepare import Options, prepare_to_run
from adapterstilts.runner.reporter import Silent
from adapterstilts.search.ranking import rank_adapters, selectors
from benchmarks.material import data_folder

_RECIPE = Path(__file__).with_suffix(".yaml")
_EVERY = ("logme", "neighbours", "similarity", "few_step", "size")
_RANDOM = "random"
_KS = (1, 3)

Scores = Mapping[str, float]
"""Intermediate -> a number."""


@dataclass(frozen=True)
class Quality:
    """How well one selector does on one target.

    Attributes:
        selector: its name.
        target: of the recipe.
        regret: k -> points lost by the best of the first k.
        correlation: Spearman's, with the gains; 0 for a selector that tells nothing apart.
    """

    selector: str
    target: str
    regret: Mapping[int, float]
    correlation: float


def quality(selector: str, target: str, scores: Scores, gains: Scores) -> Quality:
    """Return how well scores choose among gains."""
    order = sorted(gains, key=lambda name: -scores[name])
    best = max(gains.values())
    regret = {k: best - max(gains[name] for name in order[:k]) for k in _KS}
    names = list(gains)
    return Quality(selector, target, regret, spearman([scores[n] for n in names], [gains[n] for n in names]))


def chance(target: str, gains: Scores) -> Quality:
    """Return what a random order does on average."""
    best = max(gains.values())
    regret = {
        k: best - mean(max(chosen) for chosen in itertools.combinations(gains.values(), min(k, len(gains))))
        for k in _KS
    }
    return Quality(_RANDOM, target, regret, 0.0)


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the correlation of ranks, equal values sharing theirs."""
    one, other = _ranks(first), _ranks(second)
    spread = float(one.std() * other.std())
    return 0.0 if spread == 0 else float(((one - one.mean()) * (other - other.mean())).mean()) / spread


def _ranks(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(values, dtype=np.float64)
    below = (array[None] < array[:, None]).sum(1)
    equal = (array[None] == array[:, None]).sum(1)
    return np.asarray(below + (equal - 1) / 2, dtype=np.float64)


def gains_of(rows: Sequence[ResultRow], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return target -> intermediate -> gain over the target adapter alone, in points."""
    scores: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.main and row.value is not None:
            scores.setdefault((row.target, row.method), []).append(100 * row.value)
    targets = dict.fromkeys(target for target, _ in scores)
    return {
        target: {
            name: mean(scores[target, f"stack({name}, target)"]) - mean(scores[target, "target"])
            for name in names
        }
        for target in targets
    }


def measure(recipe: str, overrides: Sequence[str], options: Options, seed: int) -> list[Quality]:
    """Return the quality of every selector on every target.

    Args:
        recipe: path of the recipe.
        overrides: of the recipe.
        options: store, folders, device.
        seed: that the selectors see; none of the recipe's.
    """
    looked_at = prepare_to_run(recipe, [*overrides, f"seeds=[{seed}]"], options)
    scores = rank_adapters(looked_at, selectors(_EVERY), Silent())
    run = execute(prepare_to_run(recipe, overrides, options))
    run.raise_failures()
    names = [section.name for section in looked_at.recipe.file.intermediate]
    found = []
    for target, gains in gains_of(run.rows, names).items():
        found += [quality(selector, target, own, gains) for selector, own in scores[target].items()]
        found.append(chance(target, gains))
    return found


def page(found: Sequence[Quality]) -> str:
    """Return the result for a reader: each target, then the mean over targets."""
    names = dict.fromkeys(one.selector for one in found)
    lines = [f"{'target':20s} {'selector':12s} {'regret@1':>9s} {'regret@3':>9s} {'rank corr.':>11s}"]
    lines += [_line(one.target, one.selector, [one]) for one in found]
    lines += [_line("mean", name, [one for one in found if one.selector == name]) for name in names]
    return "\n".join(lines)


def _line(target: str, selector: str, own: Sequence[Quality]) -> str:
    regrets = (mean(one.regret[k] for one in own) for k in _KS)
    told = " ".join(f"{regret:9.2f}" for regret in regrets)
    return f"{target:20s} {selector:12s} {told} {mean(one.correlation for one in own):11.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selector", description=__doc__.split("\n")[0])
    parser.add_argument("overrides", nargs="*", metavar="k=v", help="of the recipe")
    parser.add_argument("--recipe", default=str(_RECIPE), help="with intermediates and targets")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the data sets")
    parser.add_argument("--store", type=Path, help="folder of what is trained")
    parser.add_argument("--runs", type=Path, help="folder of the run's results")
    parser.add_argument("--seed", type=int, default=1000, help="that the selectors see")
    parser.add_argument("--threads", type=int, help="that compute")
    parser.add_argument("--limit", type=int, help="at most so many examples a split")
    parser.add_argument("--out", type=Path, help="file for the result as JSON")
    chosen = parser.parse_args(arguments)
    options = Options(
        store=chosen.store,
        out=chosen.runs,
        data_dir=chosen.data,
        threads=chosen.threads,
        limit=chosen.limit,
    )
    try:
        found = measure(chosen.recipe, chosen.overrides, options, chosen.seed)
    except AdapterStiltsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(page(found))
    if chosen.out:
        data = {"benchmark": "selector", "result": [dataclasses.asdict(one) for one in found]}
        replace_text(chosen.out, json.dumps(data, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

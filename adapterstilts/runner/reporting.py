"""The report of a recipe's results: which baseline, which labels, what to warn of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapterstilts.backbones import KNOWN
from adapterstilts.errors import Fault, UsageError
from adapterstilts.metrics.files import read_predictions
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.load import load
from adapterstilts.report import write_report
from adapterstilts.report.overlaps import read_overlaps
from adapterstilts.report.rows import ResultRow, read_rows
from adapterstilts.report.studies import read_study
from adapterstilts.report.table import TransferTable
from adapterstilts.runner.consequences import report_lines
from adapterstilts.runner.resolved import RESOLVED_FILE
from adapterstilts.runner.terms import paths_of, terms
from adapterstilts.specs import Precision
from adapterstilts.store.store import Store

RESULTS_FILE = "results.jsonl"


def report(
    recipe: Recipe,
    rows: Sequence[ResultRow],
    store: Store,
    out: Path,
    *,
    baseline: str | None = None,
    samples: int | None = None,
    precision: Precision = "fp32",
) -> TransferTable:
    """Write results and report of a recipe into `out`, and return the transfer table.

    Args:
        recipe: whose results these are.
        rows: the results.
        store: where the predictions are.
        out: the folder.
        baseline: instead of the recipe's.
        samples: resamples, instead of the recipe's.
        precision: what ``auto`` became; a resolved recipe has none.
    """
    model, study = recipe.file.backbone.model, read_study(out)
    known = KNOWN.get(model)
    return write_report(
        out,
        rows,
        lambda key: read_predictions(store.get(key).path),
        recipe=recipe.file.name,
        baseline=baseline or recipe.file.report.baseline,
        samples=samples or recipe.file.report.bootstrap,
        labels={target.name: recipe.tasks[target.task].labels for target in recipe.targets},
        overlaps=read_overlaps(out),
        terms=terms(recipe, precision, study.tuned if study else {}, paths_of(rows, store)),
        study=study,
        notes=[
            *([f"Backbone {model}: {known.note}."] if known and known.note else []),
            *report_lines(rows, store),
        ],
    )


def report_again(folder: Path, store: Store, baseline: str | None, samples: int | None) -> TransferTable:
    """Write the report of a finished run again, from its own files and the stored predictions.

    Raises:
        UsageError: when the folder is not that of a finished run.
    """
    for name in (RESULTS_FILE, RESOLVED_FILE):
        if not (folder / name).is_file():
            raise UsageError(
                Fault(str(folder), f"no {name} there", "give the --out folder of a finished run")
            )
    recipe = load(str(folder / RESOLVED_FILE))
    return report(recipe, read_rows(folder / RESULTS_FILE), store, folder, baseline=baseline, samples=samples)

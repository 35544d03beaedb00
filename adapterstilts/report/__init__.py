"""Evaluation results as tables, plots, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from adapterstilts.files import replace_text
from adapterstilts.report.document import NO_TERMS, document
from adapterstilts.report.html import to_html
from adapterstilts.report.markdown import to_markdown
from adapterstilts.report.overlaps import Met
from adapterstilts.report.parts import scores_by_part
from adapterstilts.report.rows import ResultRow, read_rows, to_frame, write_rows
from adapterstilts.report.studies import StudyFacts
from adapterstilts.report.table import TransferTable
from adapterstilts.report.text import table_text
from adapterstilts.report.transfer import NO_LABELS, Labels, Predictions, transfer_table

__all__ = [
    "ResultRow",
    "TransferTable",
    "read_rows",
    "table_text",
    "to_frame",
    "transfer_table",
    "write_report",
    "write_rows",
]

RESULTS_FILE, MARKDOWN_FILE, HTML_FILE, PLOTS_FOLDER = "results.jsonl", "report.md", "report.html", "plots"


def write_report(
    out: Path,
    rows: Sequence[ResultRow],
    predictions: Predictions,
    *,
    recipe: str,
    baseline: str,
    samples: int = 1000,
    labels: Labels = NO_LABELS,
    notes: Sequence[str] = (),
    overlaps: Sequence[Met] = (),
    terms: Mapping[str, Mapping[str, str]] = NO_TERMS,
    study: StudyFacts | None = None,
) -> TransferTable:
    """Write ``results.jsonl``, ``report.md``, ``report.html`` and ``plots/``, each file as a whole.

    The results come first: they are kept even where no report can be made of them.

    Args:
        out: the folder; made if it is missing.
        rows: all results, of every metric.
        predictions: key of an evaluation's artifact -> its predictions.
        recipe: its name, for the title.
        baseline: the method that gains are measured against.
        samples: replicates behind each interval.
        labels: task -> its label list, for metrics that average over classes.
        notes: sentences that go under the title, for example a warning about the backbone.
        overlaps: what was found of test data in training data.
        terms: method -> setting -> what it was trained with.
        study: that chose settings before these results.

    Returns:
        The transfer table, for example for `table_text`.

    Raises:
        UsageError: there is no such baseline.
        DataError: rows contradict each other or the stored predictions.
    """
    # Here, since the import takes longer than most commands.
    from adapterstilts.report.plots import draw, save_plots

    write_rows(out / RESULTS_FILE, rows)
    table = transfer_table(rows, predictions, baseline=baseline, samples=samples, labels=labels)
    parts = {target.name: scores_by_part(target, rows, predictions) for target in table.targets}
    blocks = document(
        table, rows, recipe=recipe, notes=notes, overlaps=overlaps, parts=parts, terms=terms, study=study
    )
    plots = draw(table)
    images = {name: files["svg"] for name, files in plots.items()}
    save_plots(out / PLOTS_FOLDER, plots)
    replace_text(out / MARKDOWN_FILE, to_markdown(blocks))
    replace_text(out / HTML_FILE, to_html(blocks, images))
    return table

"""Run what a prepared recipe lacks, then write results and report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterstilts.errors import (
    AdapterStiltsError,
    Fault,
    StageFailed,
    UsageError,
)
from adapterstilts.files import replace_text
from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.files import read_predictions
from adapterstilts.recipe.plan import Cell, Plan, Stage
from adapterstilts.report.overlaps import write_overlaps
from adapterstilts.report.rows import ResultRow, to_frame
from adapterstilts.report.studies import StudyFacts, write_study
from adapterstilts.report.table import TransferTable
from adapterstilts.runner.estimate import Throughput
from adapterstilts.runner.missing import release_all
from adapterstilts.runner.overlaps import overlaps
from adapterstilts.runner.planfile import PLAN_FILE, plan_data
from adapterstilts.runner.prepare import Prepared
from adapterstilts.runner.reporter import Reporter, Silent
from adapterstilts.runner.reporting import report
from adapterstilts.runner.resolved import write_resolved
from adapterstilts.runner.results import result_rows
from adapterstilts.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from adapterstilts.runner.executor import Executor
    from adapterstilts.runner.walk import Outcome
    from adapterstilts.stages.context import Context
    from adapterstilts.training.tracking import Tracker


@dataclass
class Run:
    """A recipe that was run.

    Attributes:
        prepared: recipe, plan and store.
        rows: the results.
        table: the transfer table; None when a failure left too little to compare.
        trained: number of stages that were computed now.
        errors: what stages failed with.
    """

    prepared: Prepared
    rows: list[ResultRow]
    table: TransferTable | None
    trained: int = 0
    errors: list[BaseException] = field(default_factory=list)

    @property
    def out(self) -> Path:
        """The folder of results and report."""
        return self.prepared.out

    def results(self) -> pd.DataFrame:
        """Return all results, one row a metric, target, language, method and seed."""
        frame: pd.DataFrame = to_frame(self.rows)
        return frame

    def predictions(
        self, *, target: str, method: str, language: str | None = None, seed: int | None = None
    ) -> pd.DataFrame:
        """Return the stored predictions of a method: id, gold, prediction, and the row's setting, language, seed, draw.

        Raises:
            UsageError: when no result has these names.
        """
        import pandas as pd

        chosen = [
            row
            for row in self.rows
            if row.main
            and row.artifact
            and (row.target, row.method) == (target, method)
            and language in (None, row.language)
            and seed in (None, row.seed)
        ]
        if not chosen:
            known = sorted({f"{row.target}: {row.method}" for row in self.rows if row.artifact})
            raise UsageError(Fault("predictions", f"no result for {target!r}, {method!r}", "; ".join(known)))
        records = [
            {
                "setting": row.setting,
                "language": row.language,
                "seed": row.seed,
                "draw": row.draw,
                **vars(prediction),
            }
            for row in chosen
            for prediction in self.stored(row.artifact or "")
        ]
        frame: pd.DataFrame = pd.DataFrame(records)
        return frame

    def stored(self, artifact: str) -> list[Prediction]:
        """Return the predictions of an evaluation's artifact."""
        return read_predictions(self.prepared.store.get(artifact).path)

    def raise_failures(self) -> None:
        """Raise one error for all stages that failed.

        Raises:
            StageFailed: or an error of a lower exit code that a stage failed with.
        """
        if not self.errors:
            return
        known = [error for error in self.errors if isinstance(error, AdapterStiltsError)]
        kind = min((type(error) for error in known), key=lambda kind: kind.exit_code, default=StageFailed)
        if kind.exit_code > StageFailed.exit_code or len(known) < len(self.errors):
            kind = StageFailed
        faults = [
            fault
            for error in self.errors
            for fault in (
                error.faults
                if isinstance(error, AdapterStiltsError)
                else (
                    Fault("stage", f"{type(error).__name__}: {error}", "run again with -v for the traceback"),
                )
            )
        ]
        raise kind(*dict.fromkeys(faults)) from self.errors[0]


def execute(
    prepared: Prepared,
    reporter: Reporter | None = None,
    *,
    trackers: Sequence[Tracker] = (),
    stop: Callable[[], bool] = lambda: False,
    executor: Executor | None = None,
    study: StudyFacts | None = None,
) -> Run:
    """Run the missing stages and write the results.

    Args:
        prepared: from `prepare_to_run`.
        reporter: told of progress.
        trackers: listeners of training curves.
        stop: asked after every step; True ends the run, resumable.
        executor: from `open_executor` of a recipe with the same surroundings, to be used for several runs; one is made
            for this run by default.
        study: that chose the settings of this recipe.

    Returns:
        The run; stages that failed are in its `errors`.

    Raises:
        Interrupted: when asked to stop.
        AdapterStiltsError: when the data, the backbone, the store or the disk fails.
    """
    reporter = reporter or Silent()
    outcome = _walk(prepared, reporter, trackers, stop, executor)
    # Only now, so that a run refused for its data leaves nothing half-written.
    _write_out(prepared)
    write_study(prepared.out, study)
    if outcome is None or not outcome.errors:
        release_all(prepared.plan, prepared.store)
    rows = result_rows(prepared.recipe.file.name, prepared.plan, prepared.store, dict(prepared.recipe.tasks))
    run = Run(prepared, rows, None)
    if outcome is not None:
        run.trained = outcome.count("done")
        run.errors = list(outcome.errors)
    run.table = _report(run)
    return run


def _walk(
    prepared: Prepared,
    reporter: Reporter,
    trackers: Sequence[Tracker],
    stop: Callable[[], bool],
    executor: Executor | None,
) -> Outcome | None:
    """Run what is missing; None when nothing is, so that torch need not be imported."""
    if not prepared.missing:
        lineage = prepared.lineage
        for stage in prepared.plan.stages.values():
            lineage.note(stage.key)
            reporter.stage_ended(stage, "cached", 0.0, {}, "")
        return None
    from adapterstilts.runner.walk import walk

    context = context_of(prepared, trackers, stop)
    measuring = Measuring(reporter, prepared)
    with ExitStack() as stack:
        if executor is None:
            executor = open_executor(prepared, trackers, context)
            stack.callback(executor.close)
        return walk(
            prepared.plan,
            prepared.missing,
            context,
            measuring,
            keep=prepared.options.keep,
            executor=executor,
        )


def context_of(prepared: Prepared, trackers: Sequence[Tracker], stop: Callable[[], bool]) -> Context:
    """Return what the stages of a recipe share in this process, made ready to run them.

    Args:
        prepared: from `prepare_to_run`.
        trackers: listeners of training curves.
        stop: asked after every step; the time limit of the options is asked as well.

    Raises:
        UsageError: when workers would share cores.
    """
    from adapterstilts.runner.site import Site

    hours = prepared.options.max_hours
    ends = time.monotonic() + hours * 3600 if hours else None
    return Site.of(prepared, trackers).open(lambda: stop() or (ends is not None and time.monotonic() >= ends))


def open_executor(
    prepared: Prepared, trackers: Sequence[Tracker] = (), context: Context | None = None
) -> Executor:
    """Return what runs the stages of a prepared recipe, and of all others with its surroundings; to be closed.

    Args:
        prepared: whose options say where stages run.
        trackers: listeners of training curves.
        context: of this process, where stages run here.

    Raises:
        UsageError: when workers would share cores.
        EnvironmentFault: when Ray is not installed, or no node has room for a stage.
    """
    from adapterstilts.runner.executor import Here
    from adapterstilts.runner.site import Site
    from adapterstilts.runner.workers import Workers

    site = Site.of(prepared, trackers)
    if prepared.options.executor == "ray":
        from adapterstilts.runner.cluster import OnRay

        return OnRay(site)
    # A process of its own can be given a device before it has seen any.
    if prepared.options.workers > 1 or prepared.devices:
        return Workers(site, prepared.options.workers)
    return Here(context or site.open(lambda: False))


class Measuring:
    """A reporter that also remembers this machine's throughput, for the next plan's estimate."""

    def __init__(self, inner: Reporter, prepared: Prepared) -> None:
        self._inner = inner
        self._throughput = Throughput(prepared.store)
        self._device = prepared.computing
        self.stage_started = inner.stage_started
        self.stage_waiting = inner.stage_waiting
        self.step = inner.step

    def stage_ended(self, stage: Stage, status: Any, seconds: float, results: Any, why: str) -> None:
        """Pass it on, and take a finished stage into account."""
        if status == "done":
            self._throughput.add(stage, self._device, int(results.get("tokens_seen", 0)), seconds)
        self._inner.stage_ended(stage, status, seconds, results, why)


def _write_out(prepared: Prepared) -> None:
    read = {use.task.name for stage in prepared.plan.stages.values() for use in stage.reads}
    prepared.store.note_run(prepared.out, read)
    text = json.dumps(plan_data(prepared.plan), ensure_ascii=False, indent=1)
    replace_text(prepared.out / PLAN_FILE, text + "\n")
    write_resolved(prepared)
    write_overlaps(prepared.out, overlaps(prepared.plan, prepared.store, prepared.roots))


def _report(run: Run) -> TransferTable | None:
    """Return the table of what can be compared; None when a failure left nothing, or no baseline."""
    prepared = run.prepared
    rows = run.rows if not run.errors else _complete(run.rows, prepared.plan, prepared.store)
    baseline = prepared.recipe.file.report.baseline
    if not any(row.artifact and row.method == baseline for row in rows):
        return None
    return report(prepared.recipe, rows, prepared.store, prepared.out, precision=prepared.precision)


def _complete(rows: list[ResultRow], plan: Plan, store: Store) -> list[ResultRow]:
    """Return the rows of methods that have all their cells on a target; a failed seed would unpair the rest."""
    broken = {_column(cell) for cell in plan.cells if cell.stage and store.find(cell.stage) is None}
    return [row for row in rows if _column(row) not in broken]


def _column(one: ResultRow | Cell) -> tuple[str, ...]:
    return (one.target, one.setting, one.split, one.method)

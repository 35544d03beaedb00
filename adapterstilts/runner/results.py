"""From a plan and a store to result rows. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterstilts.recipe.plan import Cell, Plan
from adapterstilts.report.rows import ResultRow
from adapterstilts.store.record import Record
from adapterstilts.store.store import Store
from adapterstilts.tasks.spec import TaskSpec


def result_rows(name: str, plan: Plan, store: Store, tasks: dict[str, TaskSpec]) -> list[ResultRow]:
    """Return one row for each metric of each cell that has a result, and one for each cell that can have none.

    A cell whose stage failed or has not run yet has no row.
    """
    return [row for cell in plan.cells for row in _rows(name, cell, store, tasks[cell.task])]


def _rows(name: str, cell: Cell, store: Store, task: TaskSpec) -> Iterator[ResultRow]:
    if cell.stage is None:
        yield _row(name, cell, task.metrics[0], None, main=True, evaluation=None, trained=None)
        return
    evaluation = store.find(cell.stage)
    if evaluation is None:
        return
    trained = store.find(cell.trained_by) if cell.trained_by else None
    for metric, value in evaluation.record.results["scores"].items():
        yield _row(
            name,
            cell,
            metric,
            value,
            main=metric == task.metrics[0],
            evaluation=evaluation.record,
            trained=trained.record if trained else None,
        )


def _row(
    name: str,
    cell: Cell,
    metric: str,
    value: float | None,
    *,
    main: bool,
    evaluation: Record | None,
    trained: Record | None,
) -> ResultRow:
    # A target without training has the costs of none, though an intermediate may stand behind it.
    cost: dict[str, Any] = dict(trained.results) if trained and cell.source else {}
    provenance: dict[str, Any] = dict(evaluation.provenance) if evaluation else {}
    return ResultRow(
        recipe=name,
        method=cell.method,
        composition=_composition(trained or evaluation),
        target=cell.target,
        domain=cell.domain,
        source=cell.source,
        setting=cell.setting,
        language=cell.language,
        split=cell.split,
        metric=metric,
        value=value,
        main=main,
        seed=cell.seed,
        draw=cell.draw,
        n=int(evaluation.results["examples"]) if evaluation else 0,
        parameters=int(cost.get("parameters", 0)),
        examples_seen=int(cost.get("examples_seen", 0)),
        seconds=float(cost.get("seconds", 0.0)),
        peak_bytes=int(cost.get("peak_bytes", 0)),
        relation=cell.relation,
        select_on=cell.select_on,
        device=str(provenance.get("device", "")),
        versions=dict(provenance.get("versions", {})),
        artifact=evaluation.key if evaluation else None,
    )


def _composition(record: Record | None) -> str:
    return str(record.spec.get("composition", "full")) if record else ""

"""From a plan and a store to result rows. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterstilts.recipe.plan import Cell, Plan
from adapterstilts.report.rows import ResultRow
from adapterstilts.runner.costs import ChainCost, Costs
from adapterstilts.specs import MODEL
from adapterstilts.store.record import Record
from adapterstilts.store.store import Store
from adapterstilts.tasks.spec import TaskSpec

# What is composed in stages whose spec does not say it.
_UNCOMPOSED: Mapping[str, str] = {"full_finetune": "full", "train_head": "stack()", "majority": "majority"}


def result_rows(name: str, plan: Plan, store: Store, tasks: dict[str, TaskSpec]) -> list[ResultRow]:
    """Return one row for each metric of each cell that has a result, and one for each cell that can have none.

    A cell whose stage failed or has not run yet has no row.
    """
    costs = Costs(plan, store)
    return [row for cell in plan.cells for row in _rows(name, cell, store, tasks[cell.task], costs)]


def _rows(name: str, cell: Cell, store: Store, task: TaskSpec, costs: Costs) -> Iterator[ResultRow]:
    if cell.stage is None:
        cost = ChainCost()
        yield _row(name, cell, task.metrics[0], None, main=True, evaluation=None, trained=None, chain=cost)
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
            chain=costs.of(cell),
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
    chain: ChainCost,
) -> ResultRow:
    # A target without training has the costs of none, though an intermediate may stand behind it.
    cost: dict[str, Any] = dict(trained.results) if trained and cell.source else {}
    provenance: dict[str, Any] = dict(evaluation.provenance) if evaluation else {}
    return ResultRow(
        recipe=name,
        method=cell.method,
        composition=_composition(trained, evaluation),
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
        chain_examples_seen=chain.examples_seen,
        chain_seconds=chain.seconds,
        shared_examples_seen=chain.shared_examples_seen,
        shared_seconds=chain.shared_seconds,
        disk_bytes=chain.disk_bytes,
        relation=cell.relation,
        select_on=cell.select_on,
        device=str(provenance.get("device", "")),
        versions=dict(provenance.get("versions", {})),
        artifact=evaluation.key if evaluation else None,
    )


def _composition(trained: Record | None, evaluation: Record | None) -> str:
    """Return what was composed: for the evaluation, or by the stage that made the model which it reads."""
    if evaluation is None:
        return ""
    own = str(evaluation.spec["composition"])
    if own != MODEL or trained is None:
        return own
    return _UNCOMPOSED.get(trained.kind) or str(trained.spec["composition"])

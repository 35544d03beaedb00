"""What the data behind results ask: of a plan, result by result, and of a report, in sentences. No torch."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapterstilts.recipe.plan import Plan
from adapterstilts.report.rows import ResultRow
from adapterstilts.runner.lineage import Lineage
from adapterstilts.store.store import Store
from adapterstilts.trust.adapter import AdapterLicence, adapter_licence
from adapterstilts.trust.licences import CONDITIONS
from adapterstilts.trust.origins import Origins, behind, confidential_tasks, joined, noted


@dataclass(frozen=True)
class Consequence:
    """What the data ask of the models of a method on a target.

    Attributes:
        method: canonical expression.
        target: its name.
        licence: that the data leave the models.
        confidential: names of the confidential tasks behind them.
    """

    method: str
    target: str
    licence: AdapterLicence
    confidential: tuple[str, ...]

    @property
    def is_free(self) -> bool:
        """Whether the data ask for nothing."""
        return self.licence.is_free and not self.confidential

    def to_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "method": self.method,
            "target": self.target,
            "licence": self.licence.to_data(),
            "confidential": list(self.confidential),
        }


def consequences(plan: Plan, lineage: Lineage) -> list[Consequence]:
    """Return what the data ask of each kind of result, in the order of the plan; seeds and languages are joined."""
    found: dict[tuple[str, str], Origins] = {}
    for cell in plan.cells:
        if cell.stage is not None:
            place = (cell.method, cell.target)
            found[place] = joined(found.get(place, ()), lineage.model_of(cell))
    return [_consequence(method, target, origins) for (method, target), origins in found.items()]


def _consequence(method: str, target: str, origins: Origins) -> Consequence:
    return Consequence(method, target, adapter_licence(origins), confidential_tasks(origins))


def told_together(found: Iterable[Consequence]) -> dict[tuple[str, str, str], list[Consequence]]:
    """Return licence, confidential tasks and reasons -> the results of which this can be said; free ones left out."""
    groups: dict[tuple[str, str, str], list[Consequence]] = {}
    for one in found:
        if not one.is_free:
            place = (one.licence.name, ", ".join(one.confidential), reasons(one.licence))
            groups.setdefault(place, []).append(one)
    return groups


def reasons(licence: AdapterLicence) -> str:
    """Return each condition with the tasks that ask for it, and what contradicts."""
    tasks: dict[str, dict[str, None]] = {}
    for cause in licence.causes:
        tasks.setdefault(cause.condition, {})[cause.origin.task] = None
    asked = [f"{name}: {', '.join(tasks[name])}" for name in reversed(CONDITIONS) if name in tasks]
    return "; ".join([*asked, *(f"contradiction: {one}" for one in licence.conflicts)])


# ---- of a report


def report_lines(rows: Sequence[ResultRow], store: Store) -> list[str]:
    """Return what a reader of results has to know of the data behind the models, and of those that they are scored on.

    Args:
        rows: the results.
        store: where their records are.
    """
    behind_model = functools.cache(lambda key: behind(store, key) if store.find(key) is not None else ())
    found: dict[str, Origins] = {}
    scored: dict[str, None] = {}
    for row in rows:
        if row.artifact and row.main:
            record = store.get(row.artifact).record
            models = map(behind_model, record.inputs.values())
            found[row.method] = joined(found.get(row.method, ()), *models)
            scored.update(dict.fromkeys(confidential_tasks(noted(record) or ())))
    return [*_licence_lines(found), *_confidential_lines(scored)]


def _licence_lines(found: Mapping[str, Origins]) -> Iterable[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for method, origins in found.items():
        licence = adapter_licence(origins)
        if not licence.is_free:
            groups.setdefault((licence.name, reasons(licence)), []).append(method)
    for (name, why), methods in groups.items():
        yield f"Licence that the data leave the models of {'; '.join(methods)}: {name} ({why}). No legal advice."


def _confidential_lines(scored: Iterable[str]) -> Iterable[str]:
    if names := ", ".join(scored):
        yield f"Confidential data: {names}. Examples are named by row numbers alone."

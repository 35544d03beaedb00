"""What the models of a plan took to train, everything behind them counted, and what they take on a disk. No torch."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from adapterstilts.recipe.plan import Cell, Plan
from adapterstilts.specs import BACKBONE, LONGER, MODEL
from adapterstilts.store.record import Record
from adapterstilts.store.store import Store

_INTERMEDIATE = "intermediate"


@dataclass(frozen=True)
class ChainCost:
    """Of a model with everything behind it; see `adapterstilts.report.rows.ResultRow`."""

    examples_seen: int = 0
    seconds: float = 0.0
    shared_examples_seen: int = 0
    shared_seconds: float = 0.0
    disk_bytes: int = 0


class Costs:
    """The costs of a plan's cells.

    Args:
        plan: what was run.
        store: where the records are.
    """

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan, self._store = plan, store
        self._record = functools.cache(self._find)
        self._users: dict[tuple[str, str, int], set[tuple[str, str]]] = {}
        for cell in plan.cells:
            for key in self._behind(cell.stage) if cell.stage else ():
                users = self._users.setdefault((key, cell.method, cell.seed), set())
                users.add((cell.target, cell.setting))

    def of(self, cell: Cell) -> ChainCost:
        """Return what a cell's model took; nothing for a cell without one."""
        if cell.stage is None:
            return ChainCost()
        examples = shared_examples = seconds = shared_seconds = 0.0
        for key in self._behind(cell.stage):
            results = self._results(key)
            seen, took = float(results.get("examples_seen", 0)), float(results.get("seconds", 0.0))
            users = len(self._users[key, cell.method, cell.seed]) if self._is_intermediate(key) else 1
            examples, seconds = examples + seen, seconds + took
            shared_examples, shared_seconds = shared_examples + seen / users, shared_seconds + took / users
        disk = sum(self._bytes(key) for key in self._needed(cell.stage))
        return ChainCost(round(examples), seconds, round(shared_examples), shared_seconds, disk)

    def _behind(self, evaluation: str) -> dict[str, None]:
        """Return the stages that a model was made by, without what only lends its number of steps."""
        found: dict[str, None] = {}
        waiting = [evaluation]
        while waiting:
            inputs = self._plan.stages[waiting.pop()].inputs
            new = [key for role, key in inputs.items() if role not in (BACKBONE, LONGER) and key not in found]
            found.update(dict.fromkeys(new))
            waiting += new
        return found

    def _needed(self, evaluation: str) -> set[str]:
        """Return the stages whose files predicting reads."""
        own = self._plan.stages[evaluation].inputs
        model = own.get(MODEL)
        trained = {} if model is None else self._plan.stages[model].inputs
        parts = {role: key for role, key in {**trained, **own}.items() if role.startswith("x")}
        return {*parts.values(), *([model] if model is not None else [])}

    def _is_intermediate(self, key: str) -> bool:
        return getattr(self._plan.stages[key].spec, "role", "") == _INTERMEDIATE

    def _find(self, key: str) -> Record | None:
        artifact = self._store.find(key)
        return artifact.record if artifact is not None else None

    def _results(self, key: str) -> dict[str, Any]:
        record = self._record(key)
        return dict(record.results) if record is not None else {}

    def _bytes(self, key: str) -> int:
        record = self._record(key)
        return sum(file.size for file in record.files.values()) if record is not None else 0

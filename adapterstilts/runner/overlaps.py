"""Which test texts the stages of a plan train on. No torch.

Only splits of one language are compared by their text: a text is never met in another language. Figures are kept
in the store's cache, since the same splits meet in run after run.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from adapterstilts.data.overlap import LEVELS, overlap
from adapterstilts.data.sources import DataRoots
from adapterstilts.data.uses import Rows
from adapterstilts.files import replace_text
from adapterstilts.recipe.plan import DataUse, Plan, Stage
from adapterstilts.report.overlaps import Met
from adapterstilts.specs import LONGER, Evaluate
from adapterstilts.store.digest import digest
from adapterstilts.store.store import Store

CACHE = "overlap"
"""Below a store's cache."""


def overlaps(plan: Plan, store: Store, roots: DataRoots) -> list[Met]:
    """Return how many examples of each scored split are met in each split that its models train on.

    Raises:
        DataError: data cannot be read.
    """
    comparer = _Comparer(store, Rows(roots))
    found: dict[tuple[str, str], Met] = {}
    for stage in plan.stages.values():
        tests = stage.data if isinstance(stage.spec, Evaluate) and stage.spec.retrieval is None else ()
        for test in tests:
            for use in _trained_on(plan, stage):
                names = (str(use), str(test))
                if use.language == test.language and names not in found:
                    found[names] = comparer.compare(use, test)
    return list(found.values())


def _trained_on(plan: Plan, stage: Stage) -> Iterator[DataUse]:
    """Yield the training and validation data of every stage behind this one."""
    for role, key in stage.inputs.items():
        if role == LONGER:
            continue  # it lends the number of its steps alone
        parent = plan.stages[key]
        # Texts are met whatever their labels are.
        yield from (dataclasses.replace(use, permuted=None) for use in (*parent.data, *parent.validation))
        yield from _trained_on(plan, parent)


@dataclass
class _Comparer:
    store: Store
    rows: Rows

    def compare(self, training: DataUse, test: DataUse) -> Met:
        if training.confidential or test.confidential:
            return self._counted(training, test)  # not even a digest of them is left behind
        key = digest([self.rows.identity(training), self.rows.identity(test)])
        path = self.store.cache / CACHE / f"{key}.json"
        with suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(path.read_text(encoding="utf-8"))
            return Met(
                str(training), str(test), int(kept["rows"]), {level: kept["met"][level] for level in LEVELS}
            )
        met = self._counted(training, test)
        with suppress(OSError):  # only saves time
            replace_text(path, json.dumps({"rows": met.rows, "met": met.met}))
        return met

    def _counted(self, training: DataUse, test: DataUse) -> Met:
        found = overlap(self.rows.of(training).rows, self.rows.of(test).rows)
        return Met(str(training), str(test), found.rows, {level: found.met[level] for level in LEVELS})

"""The data behind every stage of a plan, as the recipe in hand and the store's records tell. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from adapterstilts.recipe.plan import Cell, DataUse, Plan, Stage
from adapterstilts.specs import LONGER, ImportAdapter
from adapterstilts.store.store import Store
from adapterstilts.trust.origins import Origin, Origins, joined, note, noted, retold, through

Imported = Mapping[str, Origins]
NOTHING_IMPORTED: Imported = MappingProxyType({})


class Lineage:
    """The origins of a plan's stages.

    What a stored artifact's record says of its data joins what the plan says: another recipe may have called the same
    data confidential.

    Args:
        plan: every stage after its inputs.
        store: where records are.
        imported: digest of an adapter's files -> the data behind it, of adapters that were trained elsewhere.
    """

    def __init__(self, plan: Plan, store: Store, imported: Imported = NOTHING_IMPORTED) -> None:
        self._plan, self._store, self._imported = plan, store, imported
        self._found: dict[str, Origins] = {}
        for stage in plan.stages.values():
            self._found[stage.key] = retold(self._stored(stage), self._planned(stage))

    def of(self, key: str) -> Origins:
        """Return the data behind a stage."""
        return self._found[key]

    def all(self) -> Origins:
        """Return the data behind all stages."""
        return joined(*self._found.values())

    def model_of(self, cell: Cell) -> Origins:
        """Return the data behind the model that a cell scores, without those that it is scored on."""
        if cell.stage is None:
            return ()
        inputs = self._plan.stages[cell.stage].inputs
        return joined(*(self._found[key] for key in inputs.values()))

    def note(self, key: str) -> None:
        """Write into a stored artifact's record what this plan knows beyond it."""
        artifact = self._store.find(key)
        if artifact is not None:
            note(self._store, artifact, self._found[key])

    def _planned(self, stage: Stage) -> Origins:
        inputs = [
            through(stage.name, self._found[key]) for role, key in stage.inputs.items() if role != LONGER
        ]
        return joined(self._own(stage), *inputs)

    def _own(self, stage: Stage) -> Iterable[Origin]:
        if isinstance(stage.spec, ImportAdapter):
            unknown = (Origin(stage.name, known=False),)
            return through(stage.name, self._imported.get(stage.spec.content, unknown))
        return [_origin(use, stage) for use in stage.reads]

    def _stored(self, stage: Stage) -> Origins:
        artifact = self._store.find(stage.key)
        return () if artifact is None else noted(artifact.record) or ()


def _origin(use: DataUse, stage: Stage) -> Origin:
    task = use.task
    return Origin(task.name, task.licence, task.confidential, (stage.name,))

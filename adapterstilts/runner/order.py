"""In which order stages may run: each after its inputs, of several the first of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import TopologicalSorter

from adapterstilts.recipe.plan import Plan, Stage


class Order:
    """What of a plan can run now.

    Args:
        plan: all stages.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._place = {key: place for place, key in enumerate(plan.stages)}
        self._sorter = TopologicalSorter(
            {key: set(stage.inputs.values()) for key, stage in plan.stages.items()}
        )
        self._sorter.prepare()
        self._ready: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether a stage has yet to end."""
        return self._sorter.is_active()

    def ready(self) -> Iterator[Stage]:
        """Yield the stages whose inputs have all ended and that were not taken, in the plan's order."""
        self._ready |= set(self._sorter.get_ready())
        for key in sorted(self._ready, key=self._place.__getitem__):
            yield self._plan.stages[key]

    def take(self, stage: Stage) -> None:
        """Note that a stage is being run."""
        self._ready.remove(stage.key)

    def give_back(self, stage: Stage) -> None:
        """Note that a stage is not being run after all."""
        self._ready.add(stage.key)

    def end(self, stage: Stage) -> None:
        """Note that a stage is behind us, however it ended."""
        self._ready.discard(stage.key)
        self._sorter.done(stage.key)

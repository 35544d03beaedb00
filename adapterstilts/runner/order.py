"""In which order stages may run: each after its inputs, of several the first of the plan."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from graphlib import TopologicalSorter

from adapterstilts.recipe.plan import Plan, Stage


class Order:
    """What of a plan can run now.

    Args:
        plan: all stages.
    """

    def __init__(self, plan: Plan) -> None:
        self._stages = list(plan.stages.values())
        self._place = {key: place for place, key in enumerate(plan.stages)}
        self._sorter = TopologicalSorter(
            {key: set(stage.inputs.values()) for key, stage in plan.stages.items()}
        )
        self._sorter.prepare()
        self._ready: list[int] = []

    @property
    def is_open(self) -> bool:
        """Whether a stage has yet to end."""
        return self._sorter.is_active()

    def ready(self) -> Iterator[Stage]:
        """Yield the stages whose inputs have all ended and that were not taken, in the plan's order.

        Whoever takes, gives back or ends a stage begins anew.
        """
        for key in self._sorter.get_ready():
            bisect.insort(self._ready, self._place[key])
        for place in self._ready:
            yield self._stages[place]

    def take(self, stage: Stage) -> None:
        """Note that a stage that is ready is being run."""
        self._ready.remove(self._place[stage.key])

    def give_back(self, stage: Stage) -> None:
        """Note that a stage that was taken is not being run after all."""
        bisect.insort(self._ready, self._place[stage.key])

    def end(self, stage: Stage) -> None:
        """Note that a stage that was taken is behind us, however it ended."""
        self._sorter.done(stage.key)

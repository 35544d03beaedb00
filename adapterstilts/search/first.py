"""The first trials of a study: what anybody would try, before a sampler is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from adapterstilts import compose
from adapterstilts.recipe.space import FORM, SINGLE, Guide, Settings, Space, composition
from adapterstilts.runner.terms import last_training
from adapterstilts.search.budget import Point
from adapterstilts.search.work import Workshop

# At most this share of the trials is given; the sampler has the rest.
_SHARE = 2


@dataclass
class First:
    """The first trials: each with the settings that the recipe has without a study, or the nearest ones.

    Attributes:
        space: that is searched.
        workshop: of the target.
        ranked: returns the adapters of the pool, the most promising first; asked when it is needed.
    """

    space: Space
    workshop: Workshop
    ranked: Callable[[], tuple[str, ...]]

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The adapters of the pool, the most promising first."""
        return self.ranked()

    def __call__(self, family: str) -> Sequence[Point]:
        """Return the first trials of a family, or of the search for an empty one."""
        if family == SINGLE:
            return [self._guided(SINGLE, [name], family) for name in self.order][: self._most]
        if family:
            return [self._answers(family, {}, family)]
        return [self._guided(form, names, "") for form, names in self._obvious()][: self._most]

    @property
    def _most(self) -> int:
        return max(1, self.space.section.trials // _SHARE)

    def _obvious(self) -> list[tuple[str, list[str]]]:
        """Return single adapters, then as many as there is room for, of each kind of composition."""
        single = next((form for form in ("stack", "fuse", "init_from") if form in self.space.forms), "")
        alone = [(single, [name]) for name in self.order] if single else []
        together = [(form, list(self.order[: self.space.slots(form)])) for form in self.space.forms]
        return [*alone, *(one for one in together if one not in alone)]

    def _guided(self, form: str, names: Sequence[str], family: str) -> Point:
        slots = {f"{form}.{slot}": name for slot, name in enumerate(names, 1)}
        method = composition(form, dict.fromkeys(names, 1))
        return self._answers(method, {FORM: form, **slots}, family)

    def _answers(self, method: str, wanted: Mapping[str, Any], family: str) -> Point:
        guide = Guide(wanted, self._usual(method))
        candidate = self.space.propose(guide, family)
        return guide.answers, candidate

    def _usual(self, method: str) -> Settings:
        prepared, expression = self.workshop.prepared, compose.parse(method)
        training = last_training(prepared.recipe, expression, self.workshop.target, prepared.precision)
        adapter = prepared.recipe.settings[compose.unwrap(expression)[0]]
        return Settings(
            learning_rate=training.learning_rate if training else None,
            epochs=training.epochs if training else None,
            skip_layers=adapter.skip_layers,
            reduction_factor=adapter.reduction_factor,
        )

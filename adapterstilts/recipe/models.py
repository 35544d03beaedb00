"""What a method is on a target: the stages that train its model there, and what an evaluation composes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adapterstilts import compose
from adapterstilts.recipe.binding import Bound, bind
from adapterstilts.recipe.lessons import Lesson, target_lesson
from adapterstilts.recipe.parts import TARGET, Chain, Parts
from adapterstilts.recipe.targets import Target
from adapterstilts.specs import (
    INIT,
    LONGER,
    MODEL,
    SELF,
    FewShot,
    Majority,
    TrainFusion,
    TrainHead,
)

MAJORITY = compose.Leaf(compose.MAJORITY)
_HEAD_ONLY = compose.Leaf(compose.HEAD_ONLY)
_ALONE = Bound("stack()", {}, {})


@dataclass(frozen=True)
class Model:
    """What an evaluation composes.

    Attributes:
        composition: see `Evaluate`; None where the method has no meaning on the target.
        inputs: of the evaluation.
        trained_by: key of the stage that made it; None for the bare backbone.
        by_language: position -> expression, of the adapters that change with the language that is read.
    """

    composition: str | None
    inputs: Mapping[str, str] = field(default_factory=dict)
    trained_by: str | None = None
    by_language: Mapping[str, compose.Expression] = field(default_factory=dict)


@dataclass
class Models:
    """Makes the models of targets.

    Attributes:
        parts: makes what stands in methods.
    """

    parts: Parts

    def on(
        self, target: Target, language: str, sample: FewShot | None, method: compose.Expression, seed: int
    ) -> Model:
        """Return the model of a method on a target's language, its stages added."""
        settings, expression = compose.unwrap(method)
        chain = Chain(seed, settings, method=str(method))
        if target.setting == "untrained":
            return self._untrained(expression, chain)
        lesson = target_lesson(self.parts.uses, target, language, sample)
        if expression == MAJORITY:
            return self._majority(target, lesson)
        key, bound = self._train(lesson, expression, chain)
        return Model(MODEL, {MODEL: key}, key, bound.by_language)

    def swapped(self, model: Model, chain: Chain) -> dict[str, str]:
        """Return the adapters of the language that is read, as far as they are not those of the training."""
        if model.trained_by is None:
            return {}
        trained = self.parts.ledger.stages[model.trained_by].inputs
        keys = {position: self.parts.key(part, chain) for position, part in model.by_language.items()}
        return {position: key for position, key in keys.items() if key != trained[position]}

    def _untrained(self, method: compose.Expression, chain: Chain) -> Model:
        untrained = compose.without_target(method)
        if untrained is None:
            return Model(None)
        if isinstance(untrained, compose.Group) and compose.is_full(untrained):
            key = self.parts.whole(untrained.children[0], chain)
            return Model(MODEL, {MODEL: key}, key)
        bound = bind(untrained, lambda part: self.parts.key(part, chain))
        return Model(bound.composition, bound.inputs, next(iter(bound.inputs.values()), None))

    def _majority(self, target: Target, lesson: Lesson) -> Model:
        task = self.parts.recipe.tasks[target.task]
        if task.kind == "span_qa" and not task.unanswerable:
            # No two questions share an answer, and none is not one of them.
            return Model(None)
        ordered = self.parts.materials.ordered(lesson.groups[0])
        spec = Majority((self.parts.materials.task_data(ordered),))
        key = self.parts.ledger.add(f"majority/{lesson.name}", spec, {}, ordered)
        return Model(MODEL, {MODEL: key}, key)

    def _train(self, lesson: Lesson, method: compose.Expression, chain: Chain) -> tuple[str, Bound]:
        """Return the key of the stage that makes a method's model, and what that is composed of."""
        chain = replace(chain, language=lesson.language)
        earlier = replace(chain, method="")
        before = self._train(lesson.before, method, earlier)[0] if lesson.before is not None else None
        name = f"target/{lesson.name}/{chain.named(method)}@{chain.seed}"
        start = {INIT: before} if before is not None else self._start(method, chain)
        if compose.is_full(method):
            going_on = before is not None
            return self.parts.train_model(name, lesson, "target", chain, start, continues=going_on), _ALONE
        if method == _HEAD_ONLY:
            return self._head(name, lesson, chain, start), _ALONE
        bound = self._bound(lesson, method, chain)
        inputs = {**bound.inputs, **start}
        if SELF not in compose.leaves(compose.parse(bound.composition)):
            return self._fusion(lesson, method, chain, bound, inputs), bound
        opened = isinstance(method, compose.Group) and method.function == "init_from"
        spec = self.parts.spec(method, chain) if opened else self.parts.recipe.settings[chain.settings]
        fresh_head = self._fresh_head(method, lesson) if opened and before is None else ""
        key = self.parts.train_adapter(
            name, lesson, "target", chain, bound.composition, inputs, spec, fresh_head
        )
        return key, bound

    def _start(self, method: compose.Expression, chain: Chain) -> dict[str, str]:
        """Return what a method starts from beside its parts."""
        if isinstance(method, compose.Leaf):
            return {}
        part = method.children[0]
        starts = {
            "full_stilts": lambda: {INIT: self.parts.whole(part, chain)},
            "init_from": lambda: {INIT: self.parts.key(part, chain)},
            "longer": lambda: {LONGER: self.parts.key(part, chain)},
        }
        return starts[method.function]() if method.function in starts else {}

    def _bound(self, lesson: Lesson, method: compose.Expression, chain: Chain) -> Bound:
        """Return a method over positions; what goes on, and what is only longer, is in a fresh adapter's place."""
        if isinstance(method, compose.Group) and method.function in ("init_from", "longer"):
            method = TARGET
        fused = compose.fused_target(method)
        # The adapter inside stays as the source made it; the fusion over it is what goes on.
        first = replace(chain, method="")
        target = None if fused is None else self._train(lesson.before or lesson, fused, first)[0]
        return bind(method, lambda part: target if part == TARGET else self.parts.key(part, chain))

    def _fresh_head(self, method: compose.Expression, lesson: Lesson) -> str:
        """Return why the head of what goes on cannot go on as well; empty where it can."""
        assert isinstance(method, compose.Group)
        part = method.children[0]
        adapter = self.parts.recipe.adapter(compose.leaves(part)[0])
        if adapter is None or (isinstance(part, compose.Group) and part.function == "average"):
            return f"{part} has none"
        if adapter.mix is not None:
            return f"{part} has one for each of its tasks"
        there = self.parts.recipe.tasks[adapter.parts[0].task]
        here = lesson.groups[0][0].task
        if there.kind != here.kind:
            return f"that of {part} is for {there.kind}, not for {here.kind}"
        return "" if there.labels == here.labels else f"that of {part} has other labels"

    def _head(self, name: str, lesson: Lesson, chain: Chain, start: Mapping[str, str]) -> str:
        purpose = lesson.purpose("target", config=compose.HEAD_ONLY, method=chain.method)
        material = self.parts.materials.of(lesson, purpose, chain.seed)
        spec = TrainHead(**material.fields, continues=INIT in start)
        return self.parts.ledger.add(name, spec, start, material.data, material.validation)

    def _fusion(
        self,
        lesson: Lesson,
        method: compose.Expression,
        chain: Chain,
        bound: Bound,
        inputs: Mapping[str, str],
    ) -> str:
        purpose = lesson.purpose("fusion", method=chain.method)
        material = self.parts.materials.of(lesson, purpose, chain.seed)
        spec = TrainFusion(**material.fields, composition=bound.composition, continues=INIT in inputs)
        name = f"fusion/{lesson.name}/{chain.named(method)}@{chain.seed}"
        return self.parts.ledger.add(name, spec, inputs, material.data, material.validation)

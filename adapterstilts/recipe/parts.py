"""What stands in a method: the stages that make its intermediates, controls, averages and pretrained adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapterstilts import compose
from adapterstilts.methods import UNSIZED
from adapterstilts.recipe.adapters import Adapter
from adapterstilts.recipe.binding import Bound, bind
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.languages import language_adapters
from adapterstilts.recipe.ledger import Ledger
from adapterstilts.recipe.lessons import Lesson, adapter_lesson
from adapterstilts.recipe.material import Materials, Surroundings
from adapterstilts.recipe.uses import Uses
from adapterstilts.specs import (
    INIT,
    AdapterSpec,
    AverageAdapters,
    FullFinetune,
    ImportAdapter,
    RandomAdapter,
    Role,
    TrainAdapter,
)

TARGET = compose.Leaf(compose.TARGET)
# The configuration of an adapter that was trained elsewhere, which only its own files know.
_FOREIGN = AdapterSpec("pretrained", UNSIZED)


@dataclass(frozen=True)
class Chain:
    """What the stages behind a model have in common.

    Attributes:
        seed: of all of them.
        settings: name of the settings of their adapters.
        language: that is read, and so whose adapter ``<language>`` is; None where there is no such one.
        method: whose last stage on a target is made, canonical; empty for what comes before it.
    """

    seed: int
    settings: str
    language: str | None = None
    method: str = ""

    def named(self, text: object) -> str:
        """Return what a stage makes as its name says it: with its settings, where they are not the recipe's own."""
        return f"with({self.settings}, {text})" if self.settings else str(text)


@dataclass
class Parts:
    """Makes what methods are composed of; every stage once.

    Attributes:
        recipe: checked.
        surroundings: of the machine.
        uses: the splits of the recipe.
        materials: data and settings as parts of specs.
        ledger: takes the stages.
    """

    recipe: Recipe
    surroundings: Surroundings
    uses: Uses
    materials: Materials
    ledger: Ledger
    _made: dict[tuple[object, ...], str] = field(default_factory=dict)

    def key(self, part: compose.Expression, chain: Chain) -> str:
        """Return the key of the stage that makes a single adapter."""
        if isinstance(part, compose.Group):
            return self._placebo(part, chain) if part.function == "placebo" else self._average(part, chain)
        if part.name == compose.RANDOM:
            return self._random(chain)
        if part.name == compose.LANGUAGE:
            assert chain.language is not None  # checked
            part = compose.Leaf(language_adapters(self.recipe.file)[chain.language])
        if part.name in self.surroundings.pretrained:
            spec = ImportAdapter(self.surroundings.backbone, self.surroundings.pretrained[part.name])
            return self.ledger.add(f"pretrained/{part}", spec, {})
        return self._intermediate(part.name, chain)

    def whole(self, part: compose.Expression, chain: Chain) -> str:
        """Return the key of the whole model that is trained in an intermediate's place."""
        place = ("full", str(part), chain.seed)
        if place not in self._made:
            permuted = chain.seed if isinstance(part, compose.Group) else None
            lesson = adapter_lesson(self.uses, self.trained(part), permuted)
            self._made[place] = self.train_model(
                f"intermediate/full({part})@{chain.seed}", lesson, "intermediate", Chain(chain.seed, "")
            )
        return self._made[place]

    def trained(self, part: compose.Expression) -> Adapter:
        """Return the adapter of this recipe that a name stands for, or that a placebo is one of."""
        (name,) = compose.leaves(part)
        adapter = self.recipe.adapter(name)
        assert adapter is not None, name  # checked
        return adapter

    def spec(self, part: compose.Expression, chain: Chain) -> AdapterSpec:
        """Return the settings of a single adapter; those of an average are its parts'."""
        adapter = self.recipe.adapter(compose.leaves(part)[0])
        return _FOREIGN if adapter is None else self.recipe.settings[_settings(adapter, chain)]

    # ---- training

    def train_adapter(
        self,
        name: str,
        lesson: Lesson,
        role: Role,
        chain: Chain,
        composition: str,
        inputs: Mapping[str, str],
        adapter: AdapterSpec,
        fresh_head: str = "",
    ) -> str:
        """Add the stage that trains an adapter; `fresh_head` says why what goes on does so without its head."""
        purpose = lesson.purpose(role, config=adapter.config, settings=chain.settings, method=chain.method)
        material = self.materials.of(lesson, purpose, chain.seed)
        spec = TrainAdapter(
            **material.fields,
            adapter=adapter,
            composition=composition,
            mix=lesson.mix,
            continues=INIT in inputs,
            fresh_head=bool(fresh_head),
        )
        note = (
            f"a fresh head: {fresh_head}"
            if fresh_head
            else "its head goes on as well"
            if spec.continues
            else ""
        )
        return self.ledger.add(name, spec, inputs, material.data, material.validation, note)

    def train_model(
        self,
        name: str,
        lesson: Lesson,
        role: Role,
        chain: Chain,
        inputs: Mapping[str, str] | None = None,
        *,
        continues: bool = False,
    ) -> str:
        """Add the stage that trains a whole model."""
        purpose = lesson.purpose(role, full=True, method=chain.method)
        material = self.materials.of(lesson, purpose, chain.seed)
        spec = FullFinetune(**material.fields, mix=lesson.mix, continues=continues)
        return self.ledger.add(name, spec, inputs or {}, material.data, material.validation)

    # ---- single adapters

    def _intermediate(self, name: str, chain: Chain, permuted: int | None = None) -> str:
        adapter = self.trained(compose.Leaf(name))
        own = Chain(chain.seed, _settings(adapter, chain), None)
        place = (name, own, permuted)
        if place not in self._made:
            lesson = adapter_lesson(self.uses, adapter, permuted)
            text = name if permuted is None else f"placebo({name})"
            # What has settings of its own has them in every method, so that its name says enough.
            shown = text if adapter.settings is not None else own.named(text)
            bound = self._under(adapter, Chain(own.seed, own.settings, lesson.language))
            self._made[place] = self.train_adapter(
                f"intermediate/{shown}@{own.seed}",
                lesson,
                "intermediate",
                own,
                bound.composition,
                bound.inputs,
                self.recipe.settings[own.settings],
            )
        return self._made[place]

    def _under(self, adapter: Adapter, chain: Chain) -> Bound:
        """Return an intermediate over positions: alone, or on the adapter of its language."""
        language = compose.Leaf(compose.LANGUAGE)
        expression = compose.Group("stack", (language, TARGET)) if adapter.on_language else TARGET
        return bind(expression, lambda part: None if part == TARGET else self.key(part, chain))

    def _placebo(self, part: compose.Group, chain: Chain) -> str:
        return self._intermediate(str(part.children[0]), chain, permuted=chain.seed)

    def _random(self, chain: Chain) -> str:
        spec = RandomAdapter(self.surroundings.backbone, self.recipe.settings[chain.settings], chain.seed)
        return self.ledger.add(f"control/{chain.named(compose.RANDOM)}@{chain.seed}", spec, {})

    def _average(self, expression: compose.Group, chain: Chain) -> str:
        weights = expression.weights or (1.0,) * len(expression.children)
        keys = [self.key(child, chain) for child in expression.children]
        parts = sorted(zip(keys, weights, strict=True))
        total = sum(weights)
        spec = AverageAdapters(tuple(weight / total for _, weight in parts))
        language = f".{chain.language}" if compose.LANGUAGE in compose.leaves(expression) else ""
        name = f"average/{chain.named(expression)}{language}@{chain.seed}"
        return self.ledger.add(name, spec, {f"x{i}": key for i, (key, _) in enumerate(parts)})


def _settings(adapter: Adapter, chain: Chain) -> str:
    return chain.settings if adapter.settings is None else adapter.settings

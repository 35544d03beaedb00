"""From a recipe to a plan. Pure: no file is read here."""

from __future__ import annotations

from dataclasses import dataclass

from adapterstilts import compose
from adapterstilts.backbones import KNOWN
from adapterstilts.errors import Fault, RecipeError
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.defaults import Purpose, selects
from adapterstilts.recipe.ledger import Ledger
from adapterstilts.recipe.lessons import variant
from adapterstilts.recipe.material import Materials, Surroundings
from adapterstilts.recipe.models import MAJORITY, Model, Models
from adapterstilts.recipe.parts import Chain, Parts
from adapterstilts.recipe.plan import Cell, Plan
from adapterstilts.recipe.targets import Target
from adapterstilts.recipe.uses import Group, Uses
from adapterstilts.specs import Evaluate, FewShot, RetrievalSpec


def make_plan(recipe: Recipe, surroundings: Surroundings) -> Plan:
    """Return the plan of a recipe.

    Raises:
        RecipeError: when a retrieval target needs a layer that nobody named.
    """
    uses = Uses(recipe, surroundings.limit)
    materials = Materials(recipe, surroundings, uses)
    ledger = Ledger(materials)
    models = Models(Parts(recipe, surroundings, uses, materials, ledger))
    builder = _Builder(recipe, surroundings, uses, materials, ledger, models)
    placed: list[tuple[tuple[int, int, int], Cell]] = []
    # Seeds outermost: the whole intermediate models of one seed can go before those of the next are made.
    for seed in recipe.file.seeds:
        for number, target in enumerate(recipe.targets):
            for place, method in enumerate(recipe.methods):
                cells = builder.cells(target, method, seed)
                placed += [((number, place, seed), cell) for cell in cells]
    return Plan(ledger.stages, tuple(cell for _, cell in sorted(placed, key=lambda one: one[0])))


@dataclass
class _Builder:
    recipe: Recipe
    surroundings: Surroundings
    uses: Uses
    materials: Materials
    ledger: Ledger
    models: Models

    # ---- cells

    def cells(self, target: Target, method: compose.Expression, seed: int) -> list[Cell]:
        """Add a method's stages on a target and its evaluations, and return their cells."""
        found = []
        for sample in target.samples:
            model: Model | None = None
            for language in target.languages:
                if model is None or target.by_language:
                    model = self.models.on(target, language, sample, method, seed)
                key = None
                if model.composition is not None:
                    key = self._evaluate(target, language, sample, method, model, seed)
                found.append(self._cell(target, language, sample, method, seed, key, model.trained_by))
        return found

    def _cell(
        self,
        target: Target,
        language: str,
        sample: FewShot | None,
        method: compose.Expression,
        seed: int,
        stage: str | None,
        trained_by: str | None,
    ) -> Cell:
        task = self.recipe.tasks[target.task]
        return Cell(
            method=str(method),
            target=target.name,
            task=task.name,
            domain=task.domain,
            source=target.source_text,
            setting=target.setting_text,
            language=language,
            split=target.split,
            seed=seed,
            draw=None if sample is None else sample.draw,
            stage=stage,
            trained_by=trained_by,
            relation=self._relation(target, language, method),
            select_on=self._select_on(target, method),
        )

    def _relation(self, target: Target, language: str, method: compose.Expression) -> str:
        _, expression = compose.unwrap(method)
        # What only lends its number of steps is not in the model.
        lent = isinstance(expression, compose.Group) and expression.function == "longer"
        named = () if lent else compose.leaves(expression)
        used = [adapter for adapter in self.recipe.adapters if adapter.name in named]
        if not used:
            return ""
        own = self._contents(self._target_groups(target, language))
        groups = [group for adapter in used for group in self.uses.adapter(adapter, "train")]
        if own & self._contents(groups):
            return "shares training data"
        domain = self.recipe.tasks[target.task].domain
        same = all(use.task.domain == domain for group in groups for use in group)
        return "same domain" if same else "other domain"

    def _target_groups(self, target: Target, language: str) -> list[Group]:
        own = target.setting in ("few_shot", "in_language")
        return [
            self.uses.source(target, "train"),
            *([self.uses.own(target, language, "train")] if own else []),
        ]

    def _contents(self, groups: list[Group]) -> set[str]:
        return {self.materials.content(use) for group in groups for use in group}

    def _select_on(self, target: Target, method: compose.Expression) -> str:
        if target.validation == "none":
            return ""
        kind = self.recipe.tasks[target.task].kind
        purposes = target.purposes(method, kind)
        return target.validation if selects(self.recipe.file.training, purposes) else ""

    # ---- evaluation

    def _evaluate(
        self,
        target: Target,
        language: str,
        sample: FewShot | None,
        method: compose.Expression,
        model: Model,
        seed: int,
    ) -> str:
        task, use = self.recipe.tasks[target.task], self.uses.scored(target, language)
        settings, expression = compose.unwrap(method)
        full, few_shot = compose.is_full(expression), sample is not None
        purpose = Purpose("target", target.names, frozenset({task.kind}), full, few_shot, settings=settings)
        training, numerics = self.materials.training(purpose)
        assert model.composition is not None
        spec = Evaluate(
            backbone=self.surroundings.backbone,
            composition=model.composition,
            data=self.materials.task_data((use,)),
            language=language,
            metrics=task.metrics,
            numerics=numerics,
            tokens_per_batch=training.tokens_per_batch,
            max_length=training.max_length,
            retrieval=self._retrieval(target) if task.kind == "retrieval" else None,
            stride=training.stride,
        )
        inputs = {**model.inputs, **self.models.swapped(model, Chain(seed, settings, language))}
        part = variant(sample) if sample else "in_language" if target.setting == "in_language" else ""
        # What gives the same answer under every seed has a stage that is named without one.
        last = f"{method}@{seed}" if inputs and expression != MAJORITY else str(method)
        name = "/".join(part for part in ("evaluate", str(use), part, last) if part)
        return self.ledger.add(name, spec, inputs, (use,))

    def _retrieval(self, target: Target) -> RetrievalSpec:
        section = self.recipe.file.backbone
        known = KNOWN.get(section.model)
        layer = section.retrieval.layer
        if layer is None and known is not None:
            layer = known.retrieval_layer
        if layer is None:
            what = f"{target.task!r} reads a hidden state, and which one of {section.model} is not known"
            raise RecipeError(Fault(f"{self.recipe.path}: backbone.retrieval.layer", what, "name the layer"))
        return RetrievalSpec(layer, section.retrieval.pooling, section.retrieval.centre)

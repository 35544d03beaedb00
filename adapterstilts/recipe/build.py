"""From a recipe to a plan. Pure: no file is read here."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapterstilts import compose
from adapterstilts.backbones import KNOWN, PACKAGE_PREFIX
from adapterstilts.errors import Fault, RecipeError
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.defaults import Purpose, resolve_training, selects
from adapterstilts.recipe.plan import Cell, DataUse, Plan, Stage
from adapterstilts.recipe.targets import Target
from adapterstilts.recipe.uses import Group, Uses
from adapterstilts.specs import (
    BACKBONE,
    INIT,
    MODEL,
    SELF,
    AdapterSpec,
    AverageAdapters,
    BackboneSpec,
    ConvertBackbone,
    DataPart,
    Evaluate,
    FewShot,
    FullFinetune,
    Mix,
    Numerics,
    Precision,
    RetrievalSpec,
    Role,
    StageSpec,
    TaskData,
    TrainAdapter,
    TrainFusion,
    TrainingSpec,
    stage_key,
)
from adapterstilts.store.digest import digest
from adapterstilts.tasks.spec import Split

UNRESOLVED = "unresolved"
MASKED_LOSS = "loss"
NUMERICS_PATH = "library.1"


@dataclass(frozen=True)
class Surroundings:
    """What planning has to be told about the machine, so that it stays pure.

    Attributes:
        content: split -> digest of its bytes, None while unknown.
        backbone: the resolved backbone.
        auto_precision: what ``precision: auto`` means here.
        limit: at most so many examples a split.
    """

    content: Callable[[Split], str | None]
    backbone: BackboneSpec
    auto_precision: Precision
    limit: int | None = None


def make_plan(recipe: Recipe, surroundings: Surroundings) -> Plan:
    """Return the plan of a recipe.

    Raises:
        RecipeError: when a retrieval target needs a layer that nobody named.
    """
    builder = _Builder(recipe, surroundings, Uses(recipe, surroundings.limit))
    placed: list[tuple[tuple[int, int, int], Cell]] = []
    # Seeds outermost: the whole intermediate models of one seed can go before those of the next are made.
    for seed in recipe.file.seeds:
        for number, target in enumerate(recipe.targets):
            for place, method in enumerate(recipe.methods):
                cells = builder.cells(target, method, seed)
                placed += [((number, place, seed), cell) for cell in cells]
    return Plan(builder.stages, tuple(cell for _, cell in sorted(placed, key=lambda one: one[0])))


@dataclass(frozen=True)
class _Lesson:
    """What a stage trains on, and what selects its best state.

    Attributes:
        name: in names of stages.
        names: what settings may call it.
        groups: the data, one group a task.
        validation: the same tasks' validation data; empty where nothing may select.
        mix: how several tasks share the training.
        few_shot: whether the data are a few examples.
        before: what the same method was trained on first; it goes on from there.
    """

    name: str
    names: tuple[str, ...]
    groups: tuple[Group, ...]
    validation: tuple[Group, ...] = ()
    mix: Mix | None = None
    few_shot: bool = False
    before: _Lesson | None = None

    def purpose(self, role: Role, *, full: bool) -> Purpose:
        """Return what a stage with this lesson trains."""
        kinds = frozenset(use.task.kind for group in self.groups for use in group)
        return Purpose(role, self.names, kinds, full, self.few_shot)


@dataclass(frozen=True)
class _Material:
    """A lesson as the fields that all training specs share, and where the data are."""

    fields: Mapping[str, Any]
    data: Group
    validation: Group


@dataclass
class _Builder:
    recipe: Recipe
    surroundings: Surroundings
    uses: Uses
    stages: dict[str, Stage] = field(default_factory=dict)
    _intermediates: dict[tuple[str, int, bool], str] = field(default_factory=dict)
    _names: Counter[str] = field(default_factory=Counter)

    # ---- cells

    def cells(self, target: Target, method: compose.Expression, seed: int) -> list[Cell]:
        """Add a method's stages on a target and its evaluations, and return their cells."""
        found = []
        for sample in target.samples:
            model: tuple[str | None, dict[str, str], str | None] | None = None
            for language in target.languages:
                if model is None or target.by_language:
                    model = self._model(target, language, sample, method, seed)
                composition, inputs, trained_by = model
                key = None
                if composition is not None:
                    key = self._evaluate(target, language, sample, method, composition, inputs, seed)
                found.append(self._cell(target, language, sample, method, seed, key, trained_by))
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

    def _model(
        self, target: Target, language: str, sample: FewShot | None, method: compose.Expression, seed: int
    ) -> tuple[str | None, dict[str, str], str | None]:
        """Return what an evaluation composes, from which inputs, and which stage trained it."""
        if target.setting != "untrained":
            key = self._train(self._lesson(target, language, sample), method, seed)
            return MODEL, {MODEL: key}, key
        untrained = compose.without_target(method)
        if untrained is None:
            return None, {}, None
        if isinstance(untrained, compose.Group) and untrained.function == "full_stilts":
            key = self._intermediate(str(untrained.children[0]), seed, full=True)
            return MODEL, {MODEL: key}, key
        bound, inputs = self._bind(untrained, seed, target_key=None)
        return str(bound), inputs, next(iter(inputs.values()), None)

    def _relation(self, target: Target, language: str, method: compose.Expression) -> str:
        named = compose.leaves(method)
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
        return {self._content(use) for group in groups for use in group}

    def _select_on(self, target: Target, method: compose.Expression) -> str:
        if target.validation == "none":
            return ""
        kind = self.recipe.tasks[target.task].kind
        purposes = target.purposes(method, kind)
        return target.validation if selects(self.recipe.file.training, purposes) else ""

    # ---- lessons

    def _lesson(self, target: Target, language: str, sample: FewShot | None) -> _Lesson:
        """Return what a target's model in a language trains on."""
        validation: tuple[Group, ...] = ()
        if target.validation == "source":
            validation = (self.uses.source(target, "validation"),)
        elif target.validation == "target":
            validation = (self.uses.own(target, language, "validation"),)
        first = None
        if target.source is not None:
            name = target.source.task + (f".select-{language}" if target.validation == "target" else "")
            first = _Lesson(name, target.names, (self.uses.source(target, "train"),), validation)
        if target.setting == "zero_shot":
            assert first is not None  # checked
            return first
        name = f"{target.task}.{language}"
        groups = (self.uses.own(target, language, "train", sample),)
        if sample is None:
            return _Lesson(name, target.names, groups, validation)
        name = f"{name}.{_variant(sample)}"
        return _Lesson(name, target.names, groups, validation, few_shot=True, before=first)

    def _adapter_lesson(self, name: str) -> _Lesson:
        adapter = next(adapter for adapter in self.recipe.adapters if adapter.name == name)
        validation = self.uses.adapter(adapter, "validation") if adapter.validated else ()
        groups = self.uses.adapter(adapter, "train")
        return _Lesson(name, adapter.names, groups, validation, adapter.mix)

    def _material(self, lesson: _Lesson, role: Role, seed: int, *, full: bool = False) -> _Material:
        training, precision = self._training(lesson.purpose(role, full=full))
        if not lesson.validation:
            training = replace(training, evaluations=0, patience=None)
        validation = lesson.validation if training.evaluations else tuple(() for _ in lesson.groups)
        tasks = [
            (self._task_data(ordered), ordered, self._ordered(checked))
            for group, checked in zip(lesson.groups, validation, strict=True)
            for ordered in [self._ordered(group)]
        ]
        if len(tasks) > 1:
            # The order of a mix means nothing, so it comes from what its tasks are, never from a recipe.
            tasks.sort(key=lambda task: (task[0].kind, task[0].labels, digest(task[0])))
        fields = {
            "backbone": self.surroundings.backbone,
            "data": tuple(data for data, _, _ in tasks),
            "training": training,
            "numerics": Numerics(NUMERICS_PATH, precision),
            "seed": seed,
            "role": role,
            "validation": tuple(self._task_data(checked) for _, _, checked in tasks if checked),
            "selection": tuple(_main_metric(checked) for _, _, checked in tasks if checked),
        }
        return _Material(
            fields,
            tuple(use for _, group, _ in tasks for use in group),
            tuple(use for _, _, checked in tasks for use in checked),
        )

    # ---- training stages

    def _train(self, lesson: _Lesson, method: compose.Expression, seed: int) -> str:
        """Return the key of the stage that makes a method's model on a target."""
        before = self._train(lesson.before, method, seed) if lesson.before is not None else None
        name = f"{lesson.name}/{method}@{seed}"
        if compose.is_full(method):
            inputs = {INIT: before} if before is not None else self._pretrained(method, seed)
            return self._full(f"target/{name}", lesson, "target", seed, inputs, continues=before is not None)
        target_key = None
        if compose.fuses_target(method):
            # The adapter inside stays as the source made it; the fusion over it is what goes on.
            target_key = self._train(lesson.before or lesson, compose.Leaf(compose.TARGET), seed)
        bound, inputs = self._bind(method, seed, target_key)
        if before is not None:
            inputs[INIT] = before
        if SELF in compose.leaves(bound):
            return self._adapter(f"target/{name}", lesson, "target", seed, str(bound), inputs)
        material = self._material(lesson, "fusion", seed)
        spec = TrainFusion(**material.fields, composition=str(bound), continues=before is not None)
        return self._add(f"fusion/{name}", spec, inputs, material.data, material.validation)

    def _adapter(
        self, name: str, lesson: _Lesson, role: Role, seed: int, text: str, inputs: Mapping[str, str]
    ) -> str:
        section = self.recipe.file.adapter
        material = self._material(lesson, role, seed)
        spec = TrainAdapter(
            **material.fields,
            adapter=AdapterSpec(section.config, section.reduction_factor, section.skip_layers),
            composition=text,
            mix=lesson.mix,
            continues=INIT in inputs,
        )
        return self._add(name, spec, inputs, material.data, material.validation)

    def _full(
        self,
        name: str,
        lesson: _Lesson,
        role: Role,
        seed: int,
        inputs: Mapping[str, str],
        *,
        continues: bool = False,
    ) -> str:
        material = self._material(lesson, role, seed, full=True)
        spec = FullFinetune(**material.fields, mix=lesson.mix, continues=continues)
        return self._add(name, spec, inputs, material.data, material.validation)

    def _pretrained(self, method: compose.Expression, seed: int) -> dict[str, str]:
        """Return what a whole model starts from beside the backbone: the intermediate of ``full_stilts``."""
        if isinstance(method, compose.Leaf):
            return {}
        return {INIT: self._intermediate(str(method.children[0]), seed, full=True)}

    def _intermediate(self, name: str, seed: int, *, full: bool = False) -> str:
        place = (name, seed, full)
        if place not in self._intermediates:
            lesson = self._adapter_lesson(name)
            if full:
                key = self._full(f"intermediate/full({name})@{seed}", lesson, "intermediate", seed, {})
            else:
                key = self._adapter(f"intermediate/{name}@{seed}", lesson, "intermediate", seed, SELF, {})
            self._intermediates[place] = key
        return self._intermediates[place]

    def _bind(
        self, expression: compose.Expression, seed: int, target_key: str | None
    ) -> tuple[compose.Expression, dict[str, str]]:
        """Return the expression over positions, and position -> key; averages become inputs."""
        inputs: dict[str, str] = {}
        positions: dict[str, compose.Leaf] = {}

        def key_of(part: compose.Expression) -> str | None:
            if isinstance(part, compose.Leaf):
                return target_key if part.name == compose.TARGET else self._intermediate(part.name, seed)
            return self._average(part, seed) if part.function == "average" else None

        def walk(part: compose.Expression) -> compose.Expression:
            key = key_of(part)
            if key is not None:
                place = positions.setdefault(str(part), compose.Leaf(f"x{len(positions)}"))
                inputs[place.name] = key
                return place
            if isinstance(part, compose.Leaf):
                return compose.Leaf(SELF)
            children = part.children
            if part.function == "fuse":
                # Their order means nothing, so it comes from what they are, never from a recipe's names.
                children = tuple(sorted(children, key=lambda child: key_of(child) or ""))
            return compose.Group(part.function, tuple(walk(child) for child in children))

        return walk(expression), inputs

    def _average(self, expression: compose.Group, seed: int) -> str:
        weights = expression.weights or (1.0,) * len(expression.children)
        keys = [self._intermediate(str(child), seed) for child in expression.children]
        parts = sorted(zip(keys, weights, strict=True))
        total = sum(weights)
        spec = AverageAdapters(tuple(weight / total for _, weight in parts))
        return self._add(
            f"average/{expression}@{seed}", spec, {f"x{i}": key for i, (key, _) in enumerate(parts)}
        )

    # ---- evaluation

    def _evaluate(
        self,
        target: Target,
        language: str,
        sample: FewShot | None,
        method: compose.Expression,
        composition: str,
        inputs: Mapping[str, str],
        seed: int,
    ) -> str:
        task, use = self.recipe.tasks[target.task], self.uses.scored(target, language)
        full, few_shot = compose.is_full(method), sample is not None
        purpose = Purpose("target", target.names, frozenset({task.kind}), full, few_shot)
        training, precision = self._training(purpose)
        spec = Evaluate(
            backbone=self.surroundings.backbone,
            composition=composition,
            data=self._task_data((use,)),
            language=language,
            metrics=task.metrics,
            numerics=Numerics(NUMERICS_PATH, precision),
            tokens_per_batch=training.tokens_per_batch,
            max_length=training.max_length,
            retrieval=self._retrieval(target) if task.kind == "retrieval" else None,
            stride=training.stride,
        )
        variant = _variant(sample) if sample else "in_language" if target.setting == "in_language" else ""
        # The bare backbone gives the same answer under every seed, so its stage is named without one.
        last = f"{method}@{seed}" if inputs else str(method)
        name = "/".join(part for part in ("evaluate", str(use), variant, last) if part)
        return self._add(name, spec, inputs, (use,))

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

    # ---- parts of specs

    def _training(self, purpose: Purpose) -> tuple[TrainingSpec, Precision]:
        return resolve_training(self.recipe.file.training, purpose, self.surroundings.auto_precision)

    def _content(self, use: DataUse) -> str:
        content = self.surroundings.content(use.task.splits[use.language][use.split])
        return content if content is not None else f"{UNRESOLVED}:{use.task.name}.{use.language}.{use.split}"

    def _task_data(self, group: Group) -> TaskData:
        task = group[0].task
        parts = tuple(self._part(use) for use in group)
        return TaskData(task.kind, task.labels, task.label_map, parts, task.unanswerable)

    def _part(self, use: DataUse) -> DataPart:
        declared = use.task.splits[use.language][use.split]
        return DataPart(
            content=self._content(use),
            reader=declared.format.type,
            columns=declared.format.columns,
            options=declared.format.options,
            portion=declared.portion,
            limit=use.limit,
            few_shot=use.few_shot,
            without=self._taken_out if use.without else (),
        )

    @functools.cached_property
    def _taken_out(self) -> tuple[DataPart, ...]:
        parts = {digest(part): part for part in map(self._part, self.uses.taken_out)}
        return tuple(parts[key] for key in sorted(parts))

    def _ordered(self, group: Group) -> Group:
        """Return the parts of a task in the one order that every recipe with the same parts gives them."""
        return group if len(group) < 2 else tuple(sorted(group, key=lambda use: digest(self._part(use))))

    def _add(
        self,
        name: str,
        spec: StageSpec,
        inputs: Mapping[str, str],
        data: Group = (),
        validation: Group = (),
    ) -> str:
        inputs = dict(inputs)
        if not isinstance(spec, (ConvertBackbone, AverageAdapters)) and spec.backbone.model.startswith(
            PACKAGE_PREFIX
        ):
            inputs[BACKBONE] = self._backbone(spec.backbone)
        key = stage_key(spec, inputs)
        if key not in self.stages:
            # Two targets may train on one task in different ways; a name means one stage.
            self._names[name] += 1
            name = f"{name}#{self._names[name]}" if self._names[name] > 1 else name
            stage = Stage(name, spec, inputs, key, data, validation)
            self.stages[key] = replace(stage, resolved=self._is_resolved(stage))
        return key

    def _is_resolved(self, stage: Stage) -> bool:
        known = not any(self._content(use).startswith(UNRESOLVED) for use in stage.reads)
        return known and all(self.stages[key].resolved for key in stage.inputs.values())

    def _backbone(self, spec: BackboneSpec) -> str:
        package = spec.model.removeprefix(PACKAGE_PREFIX)
        return self._add(f"backbone/{package}", ConvertBackbone(package, spec.revision or ""), {})


def _main_metric(group: Group) -> str:
    """Return the score that selects on a task; masked words have none but their loss."""
    metrics = group[0].task.metrics
    return metrics[0] if metrics else MASKED_LOSS


def _variant(sample: FewShot) -> str:
    return f"few-{sample.k}-{sample.draw}"

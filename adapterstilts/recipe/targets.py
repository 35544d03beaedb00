"""Targets: on what their models train, in which setting, and what selects them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from adapterstilts import compose
from adapterstilts.errors import Fault, suggest
from adapterstilts.recipe.adapters import UNTRAINABLE_KIND, lacking
from adapterstilts.recipe.defaults import Purpose, selects
from adapterstilts.recipe.labels import label_faults
from adapterstilts.recipe.methods import trains
from adapterstilts.recipe.schema import FewShotSection, SourceSection, TargetSection, TrainingSection
from adapterstilts.specs import FewShot
from adapterstilts.tasks.spec import TaskSpec

Setting = Literal["untrained", "zero_shot", "target_validation", "few_shot", "in_language"]
# Settings in which nothing of the target is trained on.
ZERO_SHOT = ("zero_shot", "target_validation")
Validation = Literal["source", "target", "none"]
NO_SOURCE = "none"


@dataclass(frozen=True)
class Source:
    """What a target trains on before it is read in its own languages.

    Attributes:
        task: name of a task of the target's kind.
        languages: whose training data are joined.
        labels: label or span type of the source -> that of the target; None drops the row, or tags it O.
    """

    task: str
    languages: tuple[str, ...]
    labels: Mapping[str, str | None]


@dataclass(frozen=True)
class Target:
    """A task that is scored, in one setting.

    Attributes:
        name: in results.
        task: name of the task.
        split: that is scored.
        languages: that are scored.
        limit: at most so many examples a language are scored.
        source: what is trained on first; None where nothing is, or the task's own languages alone.
        setting: ``untrained`` for kinds that are scored without training.
        few_shot: how few examples are chosen, in that setting.
        validation: what selects the best state.
    """

    name: str
    task: str
    split: str
    languages: tuple[str, ...]
    limit: int | None
    source: Source | None
    setting: Setting
    few_shot: FewShotSection | None
    validation: Validation

    @property
    def setting_text(self) -> str:
        """The setting as results name it, with its size."""
        return f"{self.setting} k={self.few_shot.k}" if self.few_shot else self.setting

    @property
    def source_text(self) -> str:
        """The task that is trained on first as results name it; empty where nothing is trained."""
        if self.setting == "untrained":
            return ""
        if self.source is not None:
            return self.source.task
        return self.task if self.setting == "in_language" else NO_SOURCE

    @property
    def samples(self) -> tuple[FewShot | None, ...]:
        """One sample a draw; in other settings a single None."""
        if self.few_shot is None:
            return (None,)
        few = self.few_shot
        return tuple(FewShot(few.k, draw, few.stratify == "label") for draw in range(few.draws))

    @property
    def by_language(self) -> bool:
        """Whether each language has a model of its own."""
        return self.setting in ("few_shot", "in_language") or self.validation == "target"

    @property
    def names(self) -> tuple[str, ...]:
        """What settings may call its stages: the source, the task, the target's own name."""
        first = self.source.task if self.source is not None else self.task
        return tuple(dict.fromkeys((first, self.task, self.name)))

    def purposes(self, method: compose.Expression, kind: str) -> list[Purpose]:
        """Return the stages that a method trains on this target, which is of a kind."""
        if self.setting == "untrained":
            return []
        on_few = [True] if self.few_shot is not None else []
        on_all = [False] if self.source is not None or not on_few else []
        settings, _ = compose.unwrap(method)
        stages = [(role, full, few_shot) for few_shot in (*on_all, *on_few) for role, full in trains(method)]
        return [
            Purpose(
                role,
                self.names,
                frozenset({kind}),
                full,
                few_shot,
                settings=settings if role == "target" else "",
                method=str(method) if number == len(stages) else "",
            )
            for number, (role, full, few_shot) in enumerate(stages, 1)
        ]


def source_task(section: TargetSection, task: TaskSpec) -> str:
    """Return the name of the task that a target trains on unless it says that there is none."""
    given = section.source.task if isinstance(section.source, SourceSection) else None
    return given or task.train_task or task.name


def target_of(
    section: TargetSection,
    tasks: Mapping[str, TaskSpec],
    methods: tuple[compose.Expression, ...],
    training: TrainingSection,
) -> Target:
    """Return what a target's section means.

    Args:
        section: of ``targets:``; where it has faults, so has the result.
        tasks: by name, with the target's and its source's.
        methods: of the recipe.
        training: the recipe's settings.
    """
    task = tasks[section.task]
    source, setting, few_shot = _source(section, task, tasks), _setting(section, task), _few_shot(section)
    target = Target(
        name=section.name or task.name,
        task=task.name,
        split=section.split,
        languages=tuple(section.languages) or task.languages(section.split),
        limit=section.limit,
        source=source,
        setting=setting,
        few_shot=few_shot,
        validation="none",
    )
    if section.validation == "none" or not _selects(target, task.kind, methods, training):
        return target
    validation = section.validation or ("target" if source is None else "source")
    return replace(target, validation=validation)


def _source(section: TargetSection, task: TaskSpec, tasks: Mapping[str, TaskSpec]) -> Source | None:
    if task.kind == UNTRAINABLE_KIND or section.setting == "in_language" or section.source == NO_SOURCE:
        return None
    given = section.source if isinstance(section.source, SourceSection) else SourceSection()
    name = source_task(section, task)
    source = Source(name, tuple(given.languages), given.labels)
    if section.source is None and _few_shot(section) is not None:
        # Nobody asked for a source: where the usual one has no data, the few examples are all there is.
        there = tasks[name].languages("train")
        return source if set(source.languages) <= set(there) else None
    return source


def _setting(section: TargetSection, task: TaskSpec) -> Setting:
    if task.kind == UNTRAINABLE_KIND:
        return "untrained"
    return section.setting if isinstance(section.setting, str) else "few_shot"


def _few_shot(section: TargetSection) -> FewShotSection | None:
    return None if isinstance(section.setting, str) else section.setting.few_shot


def _selects(
    target: Target, kind: str, methods: tuple[compose.Expression, ...], training: TrainingSection
) -> bool:
    return selects(training, target_purposes(target, kind, methods))


def target_purposes(target: Target, kind: str, methods: tuple[compose.Expression, ...]) -> list[Purpose]:
    """Return all stages that methods train on a target, repetitions left out."""
    return list(dict.fromkeys(one for method in methods for one in target.purposes(method, kind)))


def on_validation(target: Target, task: TaskSpec) -> Target | None:
    """Return a target that is scored on its validation data, in place of its test data; None where it has none.

    A language that the target trains on is left out: its validation data are the source's.
    """
    there = set(task.languages("validation"))
    source = target.source
    trained = set(source.languages) if source is not None and source.task == task.name else set()
    languages = tuple(one for one in target.languages if one in there - trained)
    return replace(target, split="validation", languages=languages) if languages else None


# ---- faults


def target_faults(
    where: str,
    section: TargetSection,
    tasks: Mapping[str, TaskSpec],
    methods: tuple[compose.Expression, ...],
    training: TrainingSection,
) -> Iterator[Fault]:
    """Yield what contradicts in a target's section, and which data it lacks.

    Args:
        where: its place in the recipe.
        section: of ``targets:``.
        tasks: by name, with the target's and its source's.
        methods: of the recipe.
        training: the recipe's settings.
    """
    task = tasks[section.task]
    if task.kind == "mlm":
        remedy = "list it under `intermediate:` or `domain:`, or in a mix"
        yield Fault(where, f"{task.name!r} is an mlm task, and masked words are no score", remedy)
        return
    yield from _scored_faults(where, section, task)
    if task.kind == UNTRAINABLE_KIND:
        yield from _untrained_faults(where, section, task)
        return
    target = target_of(section, tasks, methods, training)
    yield from _training_faults(where, section, target, tasks)
    yield from _validation_faults(
        where, section, target, tasks, _selects(target, task.kind, methods, training)
    )


def _scored_faults(where: str, section: TargetSection, task: TaskSpec) -> Iterator[Fault]:
    available = task.languages(section.split)
    if not available:
        yield Fault(where, f"{task.name!r} has no {section.split} split", "set `split`")
    for language in section.languages:
        if language not in available:
            hint = suggest(language, available) or f"it has: {', '.join(available)}"
            yield Fault(where, f"{task.name!r} has no {section.split} data for {language!r}", hint)
    if len(set(section.languages)) < len(section.languages):
        yield Fault(f"{where}.languages", "a language stands twice", "name it once")


def _untrained_faults(where: str, section: TargetSection, task: TaskSpec) -> Iterator[Fault]:
    given = {
        "source": section.source not in (None, NO_SOURCE),
        "setting": section.setting != "zero_shot",
        "validation": section.validation not in (None, "none"),
    }
    for field, is_given in given.items():
        if is_given:
            what = f"{task.name!r} is a {task.kind} task, and nothing is trained on it"
            yield Fault(f"{where}.{field}", what, "leave it out")


def _training_faults(
    where: str, section: TargetSection, target: Target, tasks: Mapping[str, TaskSpec]
) -> Iterator[Fault]:
    task = tasks[target.task]
    if target.setting == "in_language" and isinstance(section.source, SourceSection):
        what = "in_language trains on the target's own data, and on no source"
        yield Fault(f"{where}.source", what, "leave it out; `setting: {few_shot: ...}` trains on both")
    if target.setting in ZERO_SHOT and target.source is None:
        remedy = "name a source, or train on the target's own data by `setting: in_language` or few_shot"
        yield Fault(
            f"{where}.source", f"without a source there is nothing to train on in {target.setting}", remedy
        )
    if target.source is not None:
        yield from _source_faults(where, section, target.source, task, tasks[target.source.task])
    if target.setting in ("in_language", "few_shot"):
        remedy = "; name those in `languages`"
        yield from lacking(where, task, "train", target.languages, remedy)
    if target.few_shot and target.few_shot.stratify and task.kind != "classification":
        what = f"the examples of a {task.kind} task have no single label to take turns"
        yield Fault(f"{where}.setting.few_shot.stratify", what, "leave it out")


def _source_faults(
    where: str, section: TargetSection, source: Source, task: TaskSpec, on: TaskSpec
) -> Iterator[Fault]:
    place = f"{where}.source"
    if on.kind != task.kind:
        what = f"{on.name!r} is a {on.kind} task, {task.name!r} a {task.kind} task"
        yield Fault(place, what, "one head serves both: name a task of the same kind")
        return
    if len(set(source.languages)) < len(source.languages):
        yield Fault(f"{place}.languages", "a language stands twice", "name it once")
    there = on.languages("train")
    if section.source is not None:
        remedy = ""
    elif there:
        remedy = "; name them in `source: {languages: [...]}`, or `setting: in_language`"
    else:
        remedy = "; name another task as `source`"
    yield from lacking(where, on, "train", source.languages, remedy)
    for fault in label_faults(on, task, source.labels):
        yield Fault(f"{place}.labels", fault.what, fault.remedy)


def _validation_faults(
    where: str, section: TargetSection, target: Target, tasks: Mapping[str, TaskSpec], selecting: bool
) -> Iterator[Fault]:
    place = f"{where}.validation"
    if section.validation in ("source", "target") and not selecting:
        remedy = "set `training.target.evaluations`"
        yield Fault(place, "selects nothing, for training has no evaluations", remedy)
    if target.validation == "source":
        if target.source is None:
            yield Fault(
                place, f"there is no source in the setting {target.setting}", "write `validation: target`"
            )
            return
        on, languages = tasks[target.source.task], target.source.languages
    elif target.validation == "target":
        on, languages = tasks[target.task], target.languages
    else:
        return
    remedy = "; set another `validation`, or `none`"
    yield from lacking(place, on, "validation", languages, remedy)
    same = [one for one in languages if one in target.languages and on.name == target.task]
    if target.split == "validation" and same:
        what = f"{on.name!r} would be selected on the data that it is scored on: {', '.join(same)}"
        yield Fault(place, what, "score the test split, or set another `validation`")

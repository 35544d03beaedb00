"""Intermediates and domain adapters: what each is trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adapterstilts import compose
from adapterstilts.errors import Fault
from adapterstilts.recipe.defaults import Purpose, selects
from adapterstilts.recipe.schema import IntermediateSection, RecipeFile, TrainingSection
from adapterstilts.specs import Mix
from adapterstilts.tasks.spec import TaskSpec

UNTRAINABLE_KIND = "retrieval"


@dataclass(frozen=True)
class Part:
    """One task's share of an adapter's training data.

    Attributes:
        task: its name.
        languages: whose training data are joined.
    """

    task: str
    languages: tuple[str, ...]


@dataclass(frozen=True)
class Adapter:
    """What is learned before the target, and has a name in methods.

    Attributes:
        name: in methods.
        parts: its tasks.
        mix: how they share the training; None for one task alone.
        validated: whether its parts' validation data select the best state.
    """

    name: str
    parts: tuple[Part, ...]
    mix: Mix | None
    validated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What settings may call it: a mix by its own name, one task by the task's."""
        return (self.name,) if self.mix is not None else (self.parts[0].task,)


def parts_of(section: IntermediateSection) -> tuple[Part, ...]:
    """Return the tasks of a section with their languages."""
    if section.task is None:
        return tuple(Part(entry.task, tuple(entry.languages)) for entry in section.mix)
    languages = section.languages or [section.language or "en"]
    return (Part(section.task, tuple(languages)),)


def adapter_of(section: IntermediateSection, training: TrainingSection, purposes: list[Purpose]) -> Adapter:
    """Return the adapter of a section without faults.

    Args:
        section: of ``intermediate:`` or ``domain:``.
        training: the recipe's settings.
        purposes: the stages that train it.
    """
    mix = Mix(section.cap, section.temperature) if section.mix else None
    return Adapter(section.name, parts_of(section), mix, selects(training, purposes))


def adapter_purposes(
    section: IntermediateSection,
    methods: tuple[compose.Expression, ...],
    tasks: Mapping[str, TaskSpec],
) -> list[Purpose]:
    """Return the stages that train an adapter: it alone, or a whole model in its place, as methods use it."""
    parts = parts_of(section)
    names = (section.name,) if section.mix else tuple(part.task for part in parts)
    kinds = frozenset(tasks[part.task].kind for part in parts if part.task in tasks)
    users = [method for method in methods if section.name in compose.leaves(method)]
    forms = dict.fromkeys(compose.is_full(method) for method in users)
    return [Purpose("intermediate", names, kinds, full) for full in forms] if names else []


def placed_sections(file: RecipeFile) -> list[tuple[str, IntermediateSection]]:
    """Return the sections of intermediates and domain adapters, each with its place in the recipe."""
    return [
        (f"{place}[{i}]", section)
        for place, sections in (("intermediate", file.intermediate), ("domain", file.domain))
        for i, section in enumerate(sections)
    ]


# ---- faults


def adapter_faults(
    where: str,
    section: IntermediateSection,
    tasks: Mapping[str, TaskSpec],
    training: TrainingSection,
    purposes: list[Purpose],
) -> Iterator[Fault]:
    """Yield what contradicts in a section, and which data it lacks.

    Args:
        where: its place in the recipe.
        section: of ``intermediate:`` or ``domain:``.
        tasks: by name, those that were found.
        training: the recipe's settings.
        purposes: the stages that train it.
    """
    if (section.task is None) == (not section.mix):
        yield Fault(where, "trains on nothing in particular", "give either `task` or `mix`")
        return
    yield from _form_faults(where, section)
    if section.mix and section.name in tasks:
        what = f"{section.name!r} is the name of a task too, and settings by name would reach both"
        yield Fault(where, what, "choose another `name` for the mix")
    for part in parts_of(section):
        task = tasks.get(part.task)
        if task is None:
            continue
        if len(set(part.languages)) < len(part.languages):
            yield Fault(where, f"a language of {task.name!r} stands twice", "name it once")
        if task.kind == UNTRAINABLE_KIND:
            yield Fault(where, f"{task.name!r} is a {task.kind} task, and nothing can be trained on it")
            continue
        yield from lacking(where, task, "train", part.languages)
        if selects(training, purposes):
            remedy = "; set `evaluations: 0` for it"
            yield from lacking(where, task, "validation", part.languages, remedy)


def _form_faults(where: str, section: IntermediateSection) -> Iterator[Fault]:
    if section.language is not None and section.languages:
        yield Fault(where, "gives `language` and `languages`", "give one of them")
    if not section.mix:
        for field in ("cap", "temperature"):
            if field in section.model_fields_set:
                yield Fault(
                    f"{where}.{field}", "belongs to a mix", "list its tasks as `mix`, or leave it out"
                )
        return
    for field in ("language", "languages"):
        if getattr(section, field):
            remedy = "write `mix: [{task: ..., languages: [...]}]`"
            yield Fault(f"{where}.{field}", "a mix names languages task by task", remedy)
    named = [entry.task for entry in section.mix]
    if len(named) < 2:
        yield Fault(f"{where}.mix", "one task is no mix", "name it as `task`, or add another")
    for task in dict.fromkeys(task for task in named if named.count(task) > 1):
        yield Fault(f"{where}.mix", f"{task!r} stands twice", "give all its languages in one entry")


def lacking(
    where: str, task: TaskSpec, split: str, languages: tuple[str, ...], remedy: str = ""
) -> Iterator[Fault]:
    """Yield a fault where a task has no such split in some of the languages, naming what it has."""
    there = task.languages(split)
    gone = [repr(language) for language in languages if language not in there]
    if gone:
        what = f"{task.name!r} has no {split} data for {', '.join(gone)}"
        yield Fault(where, what, f"it has: {', '.join(there) or 'none at all'}{remedy}")

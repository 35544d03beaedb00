"""Intermediates, domain and language adapters: what each is trained on."""

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
        settings: name of its own settings; None for those of the method that uses it.
        language: the language that it is for, of a language adapter.
        on_language: whether it trains on top of the adapter of its training language.
    """

    name: str
    parts: tuple[Part, ...]
    mix: Mix | None
    validated: bool
    settings: str | None = None
    language: str | None = None
    on_language: bool = False

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


@dataclass(frozen=True)
class Placed:
    """A section with its place in the recipe.

    Attributes:
        where: the place.
        section: of ``intermediate:``, ``domain:`` or ``language:``.
        for_language: whether it is one of ``language:``.
    """

    where: str
    section: IntermediateSection
    for_language: bool = False


def placed_sections(file: RecipeFile) -> list[Placed]:
    """Return the sections of intermediates, domain and language adapters."""
    places = (("intermediate", file.intermediate), ("domain", file.domain), ("language", file.language))
    return [
        Placed(f"{place}[{i}]", section, place == "language")
        for place, sections in places
        for i, section in enumerate(sections)
    ]


def adapter_of(placed: Placed, training: TrainingSection, purposes: list[Purpose]) -> Adapter:
    """Return the adapter of a section without faults.

    Args:
        placed: the section.
        training: the recipe's settings.
        purposes: the stages that train it.
    """
    section = placed.section
    return Adapter(
        section.name,
        parts_of(section),
        Mix(section.cap, section.temperature) if section.mix else None,
        selects(training, purposes),
        section.adapter,
        section.language if placed.for_language else None,
        section.on_language,
    )


def adapter_purposes(
    placed: Placed,
    file: RecipeFile,
    methods: tuple[compose.Expression, ...],
    tasks: Mapping[str, TaskSpec],
) -> list[Purpose]:
    """Return the stages that train an adapter: it alone, or a whole model in its place, as methods use it."""
    section = placed.section
    parts = parts_of(section)
    names = (section.name,) if section.mix else tuple(part.task for part in parts)
    kinds = frozenset(tasks[part.task].kind for part in parts if part.task in tasks)
    forms: dict[tuple[bool, str], None] = {}
    for method in methods:
        if _uses(placed, file) & set(compose.leaves(method)):
            settings, expression = compose.unwrap(method)
            full = compose.is_full(expression)
            forms[full, "" if full else section.adapter or settings] = None
    return [Purpose("intermediate", names, kinds, full, settings=own) for full, own in forms] if names else []


def _uses(placed: Placed, file: RecipeFile) -> set[str]:
    """Return what stands for an adapter in methods; those that train on a language adapter bring it with them."""
    if not placed.for_language:
        return {placed.section.name}
    on_it = {one.section.name for one in placed_sections(file) if one.section.on_language}
    return {placed.section.name, compose.LANGUAGE, *on_it}


# ---- faults


def adapter_faults(
    placed: Placed,
    tasks: Mapping[str, TaskSpec],
    training: TrainingSection,
    purposes: list[Purpose],
) -> Iterator[Fault]:
    """Yield what contradicts in a section, and which data it lacks.

    Args:
        placed: the section.
        tasks: by name, those that were found.
        training: the recipe's settings.
        purposes: the stages that train it.
    """
    where, section = placed.where, placed.section
    if (section.task is None) == (not section.mix):
        yield Fault(where, "trains on nothing in particular", "give either `task` or `mix`")
        return
    yield from _form_faults(where, section)
    if placed.for_language:
        yield from _language_faults(where, section, tasks)
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


def _language_faults(
    where: str, section: IntermediateSection, tasks: Mapping[str, TaskSpec]
) -> Iterator[Fault]:
    if section.language is None or section.languages or section.mix:
        what = f"{section.name!r} is for no language in particular"
        yield Fault(where, what, "give one task and its `language`")
    if section.on_language:
        yield Fault(f"{where}.on_language", "a language adapter stands lowest", "leave it out")
    for part in parts_of(section):
        kind = tasks[part.task].kind if part.task in tasks else "mlm"
        if kind != "mlm":
            what = f"{part.task!r} is a {kind} task, and a language is learned from plain text"
            yield Fault(where, what, "name an mlm task, or list it under `intermediate:`")


def lacking(
    where: str, task: TaskSpec, split: str, languages: tuple[str, ...], remedy: str = ""
) -> Iterator[Fault]:
    """Yield a fault where a task has no such split in some of the languages, naming what it has."""
    there = task.languages(split)
    gone = [repr(language) for language in languages if language not in there]
    if gone:
        what = f"{task.name!r} has no {split} data for {', '.join(gone)}"
        yield Fault(where, what, f"it has: {', '.join(there) or 'none at all'}{remedy}")

"""What a well-shaped recipe means: tasks found, methods parsed and expanded, everything that contradicts.

All faults are gathered; nothing is raised one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from adapterstilts import compose
from adapterstilts.errors import Fault, RecipeError, suggest
from adapterstilts.recipe.adapters import (
    Adapter,
    adapter_faults,
    adapter_of,
    adapter_purposes,
    parts_of,
    placed_sections,
)
from adapterstilts.recipe.compositions import composition_faults
from adapterstilts.recipe.defaults import Purpose, training_faults
from adapterstilts.recipe.languages import language_faults
from adapterstilts.recipe.methods import baseline_faults, named_methods, read_methods
from adapterstilts.recipe.own_tasks import own_task, own_task_faults
from adapterstilts.recipe.schema import RecipeFile, SourceSection, TargetSection
from adapterstilts.recipe.search import search_faults, space_of
from adapterstilts.recipe.settings import adapter_settings, settings_faults
from adapterstilts.recipe.space import Space
from adapterstilts.recipe.targets import Target, source_task, target_faults, target_of, target_purposes
from adapterstilts.specs import AdapterSpec
from adapterstilts.tasks import catalogue
from adapterstilts.tasks.spec import TaskSpec


@dataclass(frozen=True)
class Recipe:
    """A recipe that was checked.

    Attributes:
        path: of its file; relative data paths start in its folder.
        file: the content.
        tasks: every task that the recipe names, by name.
        methods: canonical expressions with placeholders expanded, in order, without repetition.
        adapters: intermediates, domain and language adapters, which methods name alike.
        targets: what is scored.
        settings: of adapters, by name; the recipe's own under the empty name.
        space: of the study that goes before the comparison; None without one.
    """

    path: Path
    file: RecipeFile
    tasks: Mapping[str, TaskSpec]
    methods: tuple[compose.Expression, ...]
    adapters: tuple[Adapter, ...]
    targets: tuple[Target, ...]
    settings: Mapping[str, AdapterSpec]
    space: Space | None = None

    def adapter(self, name: str) -> Adapter | None:
        """Return the adapter with a name; None for one that this recipe does not train."""
        return next((adapter for adapter in self.adapters if adapter.name == name), None)


def check(path: Path, file: RecipeFile) -> Recipe:
    """Return the checked recipe.

    Raises:
        RecipeError: with all faults that were found, each with its path in the recipe and a remedy.
    """
    faults: list[Fault] = []
    tasks = _tasks(file, faults)
    method_faults: list[Fault] = []
    placed = read_methods(file, method_faults)
    methods = tuple(placed)
    file = named_methods(file, methods, faults)
    for name, section in file.tasks.items():
        faults += own_task_faults(name, section)
    faults += settings_faults(file)
    for one in placed_sections(file):
        faults += adapter_faults(one, tasks, file.training, adapter_purposes(one, file, methods, tasks))
    faults += _adapter_name_faults(file)
    for where, target in _known_targets(file, tasks):
        faults += target_faults(where, target, tasks, methods, file.training)
    faults += _by_task_faults(file, tasks, methods)
    faults += _repetition_faults(file)
    faults += method_faults
    wrong = {fault.where for fault in method_faults}
    sound = {method: where for method, where in placed.items() if where not in wrong}
    faults += composition_faults(file, tasks, sound)
    faults += language_faults(file, tasks, sound, _targets(file, tasks, methods))
    faults += baseline_faults(file, methods)
    faults += search_faults(file, tasks, methods, _targets(file, tasks, methods))
    faults += training_faults(file.training, _purposes(file, tasks, methods))
    if faults:
        raise RecipeError(*(Fault(f"{path}: {fault.where}", fault.what, fault.remedy) for fault in faults))
    # Results name methods in their canonical form, and the baseline is one of them.
    report = file.report.model_copy(update={"baseline": str(compose.parse(file.report.baseline))})
    return Recipe(
        path=path,
        file=file.model_copy(update={"report": report}),
        tasks=MappingProxyType(tasks),
        methods=methods,
        adapters=tuple(
            adapter_of(one, file.training, adapter_purposes(one, file, methods, tasks))
            for one in placed_sections(file)
        ),
        targets=tuple(target for _, target in _targets(file, tasks, methods)),
        settings=MappingProxyType(adapter_settings(file)),
        space=space_of(file, methods),
    )


# ---- tasks


def _tasks(file: RecipeFile, faults: list[Fault]) -> dict[str, TaskSpec]:
    """Return all tasks that a recipe needs, by name; what is not found is a fault."""
    own = {name: own_task(name, section) for name, section in file.tasks.items()}
    tasks: dict[str, TaskSpec] = {}

    def find(where: str, name: str) -> TaskSpec | None:
        if name in own:
            tasks[name] = own[name]
        elif name in catalogue.names():
            tasks[name] = catalogue.get(name)
        else:
            hint = suggest(name, [*own, *catalogue.names()]) or "`adapterstilts task ls` lists them"
            faults.append(Fault(where, f"{name!r} is not a task", hint))
        return tasks.get(name)

    for placed in placed_sections(file):
        for i, part in enumerate(parts_of(placed.section)):
            find(f"{placed.where}.mix[{i}]" if placed.section.mix else placed.where, part.task)
    for i, target in enumerate(file.targets):
        task = find(f"targets[{i}]", target.task)
        if task is not None:
            # A target may train on another task's data (XNLI on MNLI), which the plan then needs as well.
            find(f"targets[{i}].source", source_task(target, task))
        elif isinstance(target.source, SourceSection) and target.source.task is not None:
            find(f"targets[{i}].source", target.source.task)
    return tasks


def _known_targets(file: RecipeFile, tasks: Mapping[str, TaskSpec]) -> Iterator[tuple[str, TargetSection]]:
    """Yield the targets whose tasks were found, each with its place in the recipe."""
    for i, target in enumerate(file.targets):
        task = tasks.get(target.task)
        if task is not None and source_task(target, task) in tasks:
            yield f"targets[{i}]", target


def _targets(
    file: RecipeFile, tasks: Mapping[str, TaskSpec], methods: tuple[compose.Expression, ...]
) -> list[tuple[str, Target]]:
    """Return what the targets whose tasks were found mean, each with its place in the recipe."""
    return [
        (where, target_of(section, tasks, methods, file.training))
        for where, section in _known_targets(file, tasks)
    ]


def _purposes(
    file: RecipeFile, tasks: Mapping[str, TaskSpec], methods: tuple[compose.Expression, ...]
) -> Iterator[Purpose]:
    for placed in placed_sections(file):
        yield from adapter_purposes(placed, file, methods, tasks)
    for _, target in _targets(file, tasks, methods):
        yield from target_purposes(target, tasks[target.task].kind, methods)


# ---- faults


def _by_task_faults(
    file: RecipeFile, tasks: Mapping[str, TaskSpec], methods: tuple[compose.Expression, ...]
) -> list[Fault]:
    used = {target.task for target in file.targets}
    sections = [placed.section for placed in placed_sections(file)]
    used |= {part.task for section in sections for part in parts_of(section) if not section.mix}
    for _, one in _targets(file, tasks, methods):
        used |= set(one.names)
    # What was not found is no suggestion; the names of mixes and targets are the recipe's own.
    used &= tasks.keys() | {target.name for target in file.targets if target.name}
    used |= {section.name for section in sections if section.mix}
    return [
        Fault(
            f"training.by_task.{name}",
            "the recipe does not use this task",
            suggest(name, used) or "name one that it uses",
        )
        for name in file.training.by_task
        if name not in used
    ]


def _adapter_name_faults(file: RecipeFile) -> list[Fault]:
    faults = []
    seen: set[str] = set()
    named = [(placed.where, placed.section.name) for placed in placed_sections(file)]
    named += [(f"pretrained[{i}]", section.name) for i, section in enumerate(file.pretrained)]
    for where, name in named:
        if name in compose.RESERVED_NAMES:
            faults.append(Fault(where, f"{name!r} is a reserved word", "choose another `name`"))
        if name in seen:
            faults.append(Fault(where, f"the name {name!r} stands twice", "names are unique"))
        seen.add(name)
    reserved = [name for name in file.adapters if name in compose.RESERVED_NAMES]
    faults += [
        Fault(f"adapters.{name}", f"{name!r} is a reserved word", "choose another") for name in reserved
    ]
    return faults


def _repetition_faults(file: RecipeFile) -> list[Fault]:
    """Two targets of one name, split and setting could not be told apart in the results."""
    faults = []
    places = [(target.name or target.task, target.split, _setting(target)) for target in file.targets]
    for name, split, setting in sorted({place for place in places if places.count(place) > 1}):
        what = f"{name!r} ({split}, {setting}) stands twice"
        faults.append(Fault("targets", what, "give one of them another `name`"))
    tasks: dict[str, set[str]] = {}
    for target in file.targets:
        tasks.setdefault(target.name or target.task, set()).add(target.task)
    for name, of_name in tasks.items():
        if len(of_name) > 1:
            what = f"{name!r} names several tasks: {', '.join(sorted(of_name))}"
            faults.append(Fault("targets", what, "give each another `name`"))
    if len(set(file.seeds)) < len(file.seeds):
        faults.append(Fault("seeds", "a seed stands twice", "each seed counts once"))
    return faults


def _setting(target: TargetSection) -> str:
    if isinstance(target.setting, str):
        return target.setting
    return f"few_shot k={target.setting.few_shot.k}"

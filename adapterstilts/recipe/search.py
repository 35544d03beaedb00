"""What a recipe's ``search:`` means, and what is wrong with it: found before a single trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapterstilts import compose
from adapterstilts.errors import Fault, suggest
from adapterstilts.recipe.compositions import composition_faults
from adapterstilts.recipe.defaults import resolve_training
from adapterstilts.recipe.methods import trains
from adapterstilts.recipe.schema import RangeSection, RatesSection, RecipeFile, SearchSection
from adapterstilts.recipe.settings import adapter_settings, settings_faults
from adapterstilts.recipe.space import Endless, Space, composition, points
from adapterstilts.recipe.targets import Target, on_validation
from adapterstilts.tasks.spec import TaskSpec

_PAIRED = ("average", "parallel")


def space_of(file: RecipeFile, methods: Sequence[compose.Expression]) -> Space | None:
    """Return the space of a recipe's study; None without one."""
    if file.search is None:
        return None
    pool = tuple(dict.fromkeys(file.search.pool or _own(file)))
    return Space(file.search, pool, tuple(str(method) for method in methods if trains(method)))


def _own(file: RecipeFile) -> list[str]:
    """Return the adapters of a recipe that are not for a language."""
    trained = [section.name for section in (*file.intermediate, *file.domain)]
    return [*trained, *(section.name for section in file.pretrained)]


def search_faults(
    file: RecipeFile,
    tasks: Mapping[str, TaskSpec],
    methods: Sequence[compose.Expression],
    targets: Sequence[tuple[str, Target]],
) -> list[Fault]:
    """Return what is wrong with a recipe's study, with places inside the recipe.

    Args:
        file: the recipe.
        tasks: by name, those that were found.
        methods: that it has.
        targets: place -> target, of those whose tasks were found.
    """
    space = space_of(file, methods)
    if space is None or file.search is None:
        return []
    faults = [
        *_section_faults(file.search, file.seeds),
        *_pool_faults(file, space),
        *_selection_faults(file.search, tasks, targets),
        *_pruner_faults(file, space, tasks, targets),
        *_size_faults(file),
    ]
    faults += [] if faults else [*_composition_faults(file, tasks, space), *_grid_faults(space)]
    return list(dict.fromkeys(faults))


def _section_faults(section: SearchSection, seeds: Sequence[int]) -> Iterator[Fault]:
    over = section.over
    settings = (over.learning_rate, over.epochs, over.skip_layers, over.reduction_factor)
    if not over.compositions and not any(settings):
        remedy = "name `compositions`, or settings such as `learning_rate: auto`"
        yield Fault("search.over", "the space is empty", remedy)
    if not over.compositions and not section.tune:
        yield Fault(
            "search.tune", "without compositions and without methods nothing is tried", "leave it out"
        )
    used = sorted({*section.seeds} & {*seeds})
    if used:
        what = f"{', '.join(map(str, used))} is among `seeds`, by which the winner is judged"
        yield Fault("search.seeds", what, "choose seeds of their own")
    if "score" not in section.objectives or len(set(section.objectives)) < len(section.objectives):
        yield Fault("search.objectives", "name each once, the score among them")
    if section.pruner != "none" and len(section.objectives) > 1:
        what = "trials of several objectives cannot be ended early"
        yield Fault("search.pruner", what, "write `pruner: none`, or one objective")
    if section.sampler == "grid" and _has_range(section):
        what = "a grid has points, and a range of learning rates has none"
        yield Fault("search.sampler", what, "list the rates: `learning_rate: {adapter: [1e-4, 3e-4]}`")
    yield from _range_faults(section)


def _has_range(section: SearchSection) -> bool:
    return any(isinstance(rates, RangeSection) for _, rates in _rates(section))


def _rates(section: SearchSection) -> list[tuple[str, list[float] | RangeSection]]:
    rates = section.over.learning_rate
    if rates is None:
        return []
    own = rates if isinstance(rates, RatesSection) else RatesSection()
    return [("adapter", own.adapter), ("full", own.full)]


def _range_faults(section: SearchSection) -> Iterator[Fault]:
    for name, rates in _rates(section):
        if isinstance(rates, RangeSection) and rates.low >= rates.high:
            where = f"search.over.learning_rate.{name}"
            yield Fault(where, f"low {rates.low:g} is not below high {rates.high:g}", "swap them")


def _pool_faults(file: RecipeFile, space: Space) -> Iterator[Fault]:
    known = _own(file)
    known += [section.name for section in file.language]
    for i, name in enumerate(space.section.pool):
        if name not in known:
            hint = suggest(name, known) or f"known: {', '.join(sorted(known)) or 'none'}"
            yield Fault(f"search.pool[{i}]", f"{name!r} is not an adapter of this recipe", hint)
    if space.forms and not space.pool:
        remedy = "list adapters under `intermediate:`, `domain:` or `pretrained:`"
        yield Fault("search.pool", "there is no adapter to compose", remedy)
    elif len(space.pool) == 1 or space.section.over.adapters == 1:
        for form in space.forms:
            if form in _PAIRED:
                yield Fault("search.over.compositions", f"{form} takes two adapters at least", "leave it out")


def _selection_faults(
    section: SearchSection, tasks: Mapping[str, TaskSpec], targets: Sequence[tuple[str, Target]]
) -> Iterator[Fault]:
    for where, target in targets:
        if target.setting == "untrained":
            what = f"nothing is trained on {target.name!r}, so that there is nothing to search"
            yield Fault(where, what, "give it a recipe of its own")
        elif section.select_on == "validation" and target.validation != "source":
            yield _unselected(where, target)
        elif section.select_on == "target_validation":
            yield from _target_validation_faults(where, target, tasks[target.task])


def _unselected(where: str, target: Target) -> Fault:
    what = f"no trial has a score on validation data of the source of {target.name!r}"
    if target.validation == "target" or target.source is None:
        return Fault(where, what, "write `search: {select_on: target_validation}`")
    return Fault(where, what, "set `training.target.evaluations` and `training.fusion.evaluations`")


def _target_validation_faults(where: str, target: Target, task: TaskSpec) -> Iterator[Fault]:
    if target.split == "validation":
        what = f"{target.name!r} would be selected on the data that it is scored on"
        yield Fault("search.select_on", what, f"score the test split in {where}")
    elif on_validation(target, task) is None:
        what = f"{task.name!r} has no validation data in its evaluation languages, beside those that it trains on"
        yield Fault("search.select_on", what, "write `select_on: validation`")


def _pruner_faults(
    file: RecipeFile, space: Space, tasks: Mapping[str, TaskSpec], targets: Sequence[tuple[str, Target]]
) -> Iterator[Fault]:
    """Yield where a stage that is searched has fewer scores in its training than a trial needs."""
    least = 1 if space.section.pruner == "none" else 2
    if space.section.pruner == "none" and space.section.select_on == "target_validation":
        return
    searched = [*space.methods, *(composition(form, {"x": 1, "y": 1}) for form in space.forms)]
    for _, target in targets:
        for method in searched:
            text = method if "init_from" not in method else "init_from(x)"
            purposes = target.purposes(compose.parse(text), tasks[target.task].kind)
            for purpose in purposes[-1:]:
                spec, _ = resolve_training(file.training, purpose, "fp32")
                if spec.evaluations < least:
                    what = f"trials need {least} or more evaluations of what trains on {target.name!r}"
                    yield Fault("search", what, f"set `training.{purpose.role}.evaluations`")


def _size_faults(file: RecipeFile) -> Iterator[Fault]:
    """Yield sizes that do not fit the adapters or the backbone."""
    assert file.search is not None
    without = set(settings_faults(file))
    for name in ("skip_layers", "reduction_factor"):
        for value in getattr(file.search.over, name):
            adapter = file.adapter.model_copy(update={name: value})
            for fault in settings_faults(file.model_copy(update={"adapter": adapter})):
                if fault not in without:
                    yield Fault(f"search.over.{name}", f"{value}: {fault.what}", fault.remedy)


def _composition_faults(file: RecipeFile, tasks: Mapping[str, TaskSpec], space: Space) -> list[Fault]:
    """Return why adapters of the pool cannot be composed as the space says."""
    if not adapter_settings(file):
        return []
    faults = []
    for form in space.forms:
        many = space.pool[: 1 if form == "init_from" else 7]
        if len(many) < 2 and form in _PAIRED:
            continue
        method = compose.parse(composition(form, dict.fromkeys(many, 1)))
        faults += composition_faults(file, tasks, {method: "search.over.compositions"})
    return faults


def _grid_faults(space: Space) -> Iterator[Fault]:
    section = space.section
    if section.sampler != "grid":
        return
    try:
        count = max(sum(1 for _ in points(space, family)) for family in _searched(space))
    except Endless:
        return
    if count > section.trials:
        yield Fault(
            "search.trials", f"the grid has {count} points", f"write `trials: {count}`, or a smaller space"
        )


def _searched(space: Space) -> tuple[str, ...]:
    """Return the families whose points a grid lists: any composition, or each method."""
    return ("",) if space.forms else space.families

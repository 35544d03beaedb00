"""Which adapters of a recipe may not be composed, and why: found before a single step is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from adapterstilts import compose
from adapterstilts.errors import Fault
from adapterstilts.methods import METHODS, Family, refusals
from adapterstilts.recipe.adapters import parts_of, placed_sections
from adapterstilts.recipe.languages import language_adapters
from adapterstilts.recipe.schema import IntermediateSection, RecipeFile
from adapterstilts.recipe.settings import adapter_settings
from adapterstilts.specs import AdapterSpec
from adapterstilts.tasks.spec import TaskSpec

_TRAINED_HERE = ("longer", "full_stilts", "placebo")
# Where in a layer bottlenecks stand: behind the attention, behind the feed-forward block.
_BOTTLENECKS: Mapping[str, tuple[str, ...]] = {
    "seq_bn": ("output",),
    "double_seq_bn": ("attention", "output"),
    "compacter": ("attention", "output"),
    "par_bn": ("output",),
}
_NO_FAMILIES: Mapping[str, Family] = MappingProxyType({})


def composition_faults(
    file: RecipeFile, tasks: Mapping[str, TaskSpec], methods: Mapping[compose.Expression, str]
) -> list[Fault]:
    """Return why methods cannot be run with the adapters that a recipe gives them.

    Args:
        file: the recipe.
        tasks: by name, those that were found.
        methods: method -> its place, with names that the recipe has.
    """
    faults = [
        fault
        for method, where in methods.items()
        for fault in (
            *_control_faults(method, file, tasks, where),
            *_average_faults(method, file, where),
            *_uneven_faults(method, file, where),
            *_idle_faults(method, file, where),
        )
    ]
    return list(dict.fromkeys([*faults, *refusal_faults(file, methods)]))


def refusal_faults(
    file: RecipeFile,
    methods: Mapping[compose.Expression, str],
    pretrained: Mapping[str, Family] = _NO_FAMILIES,
) -> list[Fault]:
    """Return why the kinds of adapters in a method do not go together.

    Args:
        file: the recipe.
        methods: method -> its place.
        pretrained: name -> family of adapters that were trained elsewhere; methods with others are passed over.
    """
    faults = []
    for method, where in methods.items():
        settings, expression = compose.unwrap(method)
        families = {**_families(file, settings), **pretrained}
        for bound in _in_each_language(expression, file):
            names = compose.leaves(bound)
            if set(names) <= families.keys():
                faults += [Fault(where, reason) for reason in refusals(bound, families.__getitem__)]
    return list(dict.fromkeys(faults))


def _families(file: RecipeFile, settings: str) -> dict[str, Family]:
    """Return the family of each name that stands for an adapter which a recipe makes."""
    specs = adapter_settings(file)
    own = {name: spec for name, spec in _specs(file, settings, specs).items() if spec is not None}
    return {name: METHODS[spec.config].family for name, spec in own.items()}


def _specs(
    file: RecipeFile, settings: str, specs: Mapping[str, AdapterSpec]
) -> dict[str, AdapterSpec | None]:
    sections = [placed.section for placed in placed_sections(file)]
    named = {section.name: specs.get(section.adapter or settings) for section in sections}
    return {**named, compose.TARGET: specs.get(settings), compose.RANDOM: specs.get(settings)}


def _in_each_language(expression: compose.Expression, file: RecipeFile) -> Iterator[compose.Expression]:
    """Yield an expression with each language adapter in its place."""
    if compose.LANGUAGE not in compose.leaves(expression):
        yield expression
        return
    for name in language_adapters(file).values():
        yield compose.rename(expression, _putting(name))


def _putting(name: str) -> Callable[[str], str]:
    return lambda leaf: name if leaf == compose.LANGUAGE else leaf


def _groups(expression: compose.Expression) -> Iterator[compose.Group]:
    if isinstance(expression, compose.Group):
        yield expression
        for child in expression.children:
            yield from _groups(child)


def _control_faults(
    method: compose.Expression, file: RecipeFile, tasks: Mapping[str, TaskSpec], where: str
) -> Iterator[Fault]:
    """Yield where a control, or a whole model, needs what an adapter has not got."""
    foreign = {section.name for section in file.pretrained}
    sections = {placed.section.name: placed.section for placed in placed_sections(file)}
    for group in _groups(compose.unwrap(method)[1]):
        if group.function not in _TRAINED_HERE:
            continue
        for name in compose.leaves(group):
            if name in foreign:
                what = f"{method}: {name} was trained elsewhere, and {group.function} needs its training"
                yield Fault(where, what, "name an intermediate of this recipe")
            elif group.function == "placebo" and (task := _unlabelled(sections[name], tasks)):
                what = f"{method}: {task!r} is plain text, which has no labels to permute"
                yield Fault(where, what, "leave it out")


def _unlabelled(section: IntermediateSection, tasks: Mapping[str, TaskSpec]) -> str:
    named = [part.task for part in parts_of(section)]
    return next((name for name in named if name in tasks and tasks[name].kind == "mlm"), "")


def _average_faults(method: compose.Expression, file: RecipeFile, where: str) -> Iterator[Fault]:
    settings, expression = compose.unwrap(method)
    specs = _specs(file, settings, adapter_settings(file))
    for group in _groups(expression):
        if group.function != "average":
            continue
        own = {name: specs[name] for name in compose.leaves(group) if specs.get(name) is not None}
        first = next(iter(own), "")
        other = next((name for name, spec in own.items() if spec != own[first]), "")
        if other:
            what = (
                f"{method}: {first} and {other} have different settings, so that their weights have no mean"
            )
            yield Fault(where, what, "give them the same `adapter`")


def _uneven_faults(method: compose.Expression, file: RecipeFile, where: str) -> Iterator[Fault]:
    """Yield where adapters of one kind stand side by side but not in the same places of the same layers."""
    settings, expression = compose.unwrap(method)
    specs = {name: spec for name, spec in _specs(file, settings, adapter_settings(file)).items() if spec}
    for bound in _in_each_language(expression, file):
        for group in _groups(bound):
            if group.function not in ("fuse", "parallel"):
                continue
            known = [child for child in group.children if set(compose.leaves(child)) <= specs.keys()]
            kinds = {METHODS[specs[name].config].family for child in known for name in compose.leaves(child)}
            places = [_places([specs[name] for name in compose.leaves(child)]) for child in known]
            other = next((i for i, place in enumerate(places) if place != places[0]), 0)
            if other and len(kinds) == 1:
                what = (
                    f"{method}: {known[0]} and {known[other]} work in different layers, or places of a layer"
                )
                yield Fault(where, what, "give them the same `config` and `skip_layers`")


def _places(specs: Sequence[AdapterSpec]) -> dict[str, int]:
    """Return place in a layer -> the lowest layer in which one of the adapters works there."""
    found: dict[str, int] = {}
    for spec in specs:
        for place in _places_of(spec):
            found[place] = min(spec.skip_layers, found.get(place, spec.skip_layers))
    return found


def _places_of(spec: AdapterSpec) -> Sequence[str]:
    if spec.config != "lora":
        return _BOTTLENECKS.get(spec.config, (spec.config,))
    options = {name: option.default for name, option in METHODS["lora"].options.items()} | dict(spec.options)
    matrices = options["attn_matrices"]
    assert isinstance(matrices, list)
    blocks = [name for name in ("intermediate_lora", "output_lora") if options[name]]
    return [*map(str, matrices), *blocks]


def _idle_faults(method: compose.Expression, file: RecipeFile, where: str) -> Iterator[Fault]:
    spec = adapter_settings(file).get(compose.unwrap(method)[0])
    if compose.RANDOM in compose.leaves(method) and spec is not None and METHODS[spec.config].idle:
        what = f"{method}: a {spec.config} that was never trained changes nothing, so it is no control"
        yield Fault(where, what, "leave it out, or give it other settings by with(...)")

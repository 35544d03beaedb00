"""Language adapters: which one ``<language>`` stands for, and where there is none (Pfeiffer et al. 2020, MAD-X)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapterstilts import compose
from adapterstilts.errors import Fault
from adapterstilts.recipe.adapters import parts_of, placed_sections
from adapterstilts.recipe.schema import RecipeFile
from adapterstilts.recipe.targets import Target
from adapterstilts.tasks.spec import TaskSpec

_REMEDY = "add one under `language:` or `pretrained:`"


def language_adapters(file: RecipeFile) -> dict[str, str]:
    """Return language -> name of its adapter."""
    return dict(_for_languages(file))


def _for_languages(file: RecipeFile) -> list[tuple[str, str]]:
    trained = [(section.language, section.name) for section in file.language]
    foreign = [(section.language, section.name) for section in file.pretrained]
    return [(language, name) for language, name in (*trained, *foreign) if language is not None]


def language_faults(
    file: RecipeFile,
    tasks: Mapping[str, TaskSpec],
    methods: Mapping[compose.Expression, str],
    targets: Sequence[tuple[str, Target]],
) -> list[Fault]:
    """Return where ``<language>`` would stand for nothing, or for several adapters.

    Args:
        file: the recipe.
        tasks: by name, those that were found.
        methods: method -> its place, with names that the recipe has.
        targets: what is scored, each with its place.
    """
    there = language_adapters(file)
    users = [
        (method, where) for method, where in methods.items() if compose.LANGUAGE in compose.leaves(method)
    ]
    return list(
        dict.fromkeys(
            [
                *_repeated(file),
                *_sections_on_none(file, there),
                *(
                    fault
                    for method, where in users
                    for place, target in targets
                    if tasks[target.task].kind != "retrieval"
                    for fault in _target_faults(method, where, place, target, there)
                ),
            ]
        )
    )


def _repeated(file: RecipeFile) -> Iterator[Fault]:
    languages = [language for language, _ in _for_languages(file)]
    for language in dict.fromkeys(languages):
        if languages.count(language) > 1:
            what = f"there are several adapters for {language!r}, and `<language>` stands for one"
            yield Fault("language", what, "keep one of them")


def _sections_on_none(file: RecipeFile, there: Mapping[str, str]) -> Iterator[Fault]:
    """Yield intermediates that are to train on a language adapter which is not there."""
    for placed in placed_sections(file):
        if not placed.section.on_language or placed.for_language:
            continue
        where = f"{placed.where}.on_language"
        languages = dict.fromkeys(one for part in parts_of(placed.section) for one in part.languages)
        if len(languages) > 1:
            what = f"{placed.section.name!r} trains on several languages at once: {', '.join(languages)}"
            yield Fault(where, what, "name one language, or leave it out")
        else:
            yield from (
                Fault(where, f"there is no language adapter for {one!r}", _REMEDY)
                for one in languages
                if one not in there
            )


def _target_faults(
    method: compose.Expression, where: str, place: str, target: Target, there: Mapping[str, str]
) -> Iterator[Fault]:
    sources = target.source.languages if target.source is not None else ()
    if len(sources) > 1:
        what = f"{method}: {place} trains on several languages at once, and <language> stands for one"
        yield Fault(where, what, "name one language as its source")
    if target.validation == "target" and target.source is not None:
        what = f"{method}: {place} selects on each language's data, but trains on the adapter of its source's language"
        yield Fault(where, what, "write `validation: source` for it")
    lacking = [one for one in dict.fromkeys((*sources, *target.languages)) if one not in there]
    if lacking:
        what = f"{method}: {place} needs language adapters for {', '.join(map(repr, lacking))}"
        yield Fault(where, what, _REMEDY)

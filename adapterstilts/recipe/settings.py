"""Settings of adapters: the recipe's own and those by name, as specs, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapterstilts.backbones import KNOWN
from adapterstilts.errors import Fault, suggest
from adapterstilts.methods import (
    METHODS,
    UNSIZED,
    MethodError,
    canonical_options,
    method,
    option_faults,
    size_faults,
)
from adapterstilts.recipe.schema import AdapterSection, RecipeFile
from adapterstilts.specs import AdapterSpec

# The name of the recipe's own settings, which no user can give.
OWN = ""


def adapter_settings(file: RecipeFile) -> dict[str, AdapterSpec]:
    """Return the settings of a recipe by name; the recipe's own are called `OWN`. Those with faults are left out."""
    return {
        name: _spec(section)
        for name, where, section in _placed(file)
        if not list(_section_faults(where, section))
    }


def _placed(file: RecipeFile) -> list[tuple[str, str, AdapterSection]]:
    """Return the name, the place and the section of all settings."""
    return [
        (OWN, "adapter", file.adapter),
        *((name, f"adapters.{name}", section) for name, section in file.adapters.items()),
    ]


def _spec(section: AdapterSection) -> AdapterSpec:
    published = METHODS[section.config].reduction_factor or UNSIZED
    options = canonical_options(section.config, section.options)
    return AdapterSpec(section.config, section.reduction_factor or published, section.skip_layers, options)


def settings_faults(file: RecipeFile) -> list[Fault]:
    """Return what is wrong with the settings, and where one is named that is not there."""
    faults = [
        fault
        for _, where, section in _placed(file)
        for fault in (*_section_faults(where, section), *_size_faults(where, section, file.backbone.model))
    ]
    faults += _missing(file, {f"training.by_adapter.{name}": name for name in file.training.by_adapter})
    return faults + _missing(
        file,
        {
            f"{place}[{i}].adapter": section.adapter
            for place in ("intermediate", "domain", "language")
            for i, section in enumerate(getattr(file, place))
            if section.adapter is not None
        },
    )


def _missing(file: RecipeFile, named: Mapping[str, str]) -> list[Fault]:
    return [
        Fault(where, f"{name!r} is not among `adapters:`", suggest(name, file.adapters) or "name it there")
        for where, name in named.items()
        if name not in file.adapters
    ]


def _section_faults(where: str, section: AdapterSection) -> Iterator[Fault]:
    try:
        known = method(section.config)
    except MethodError as error:
        yield Fault(f"{where}.config", str(error))
        return
    for text in option_faults(section.config, section.options):
        yield Fault(f"{where}.options", text)
    if section.reduction_factor is not None and known.reduction_factor is None:
        yield Fault(f"{where}.reduction_factor", f"{section.config} has no bottleneck", "leave it out")


def _size_faults(where: str, section: AdapterSection, model: str) -> Iterator[Fault]:
    """Yield why settings without other faults do not fit a backbone whose sizes are known."""
    known = KNOWN.get(model)
    if known is None or list(_section_faults(where, section)):
        return
    spec = _spec(section)
    for text in size_faults(spec.config, spec.reduction_factor, spec.options, known.hidden):
        yield Fault(where, text)
    if spec.skip_layers >= known.layers:
        what = f"{model} has {known.layers} layers, so that none would carry an adapter"
        yield Fault(f"{where}.skip_layers", what)

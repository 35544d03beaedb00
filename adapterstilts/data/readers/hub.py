"""Splits of data sets on the Hugging Face Hub. The only place that imports `datasets`, and only when used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from adapterstilts.data.readers.base import Option, Reader, Record, Tally, filled
from adapterstilts.errors import DataError, Fault
from adapterstilts.tasks.spec import Format, HubSource

Load = Callable[..., Any]
_OPTIONS = {"column": Option(""), "starts_with": Option("")}


def read_hub(source: HubSource, format: Format, tally: Tally, load: Load | None = None) -> Iterator[Record]:
    """Return the records of a hub split, class numbers turned into their names.

    Args:
        source: repository, configuration, split and revision.
        format: type ``hub``; its options ``column`` and ``starts_with`` keep the records whose column starts
            so (TyDiQA mixes its languages and tells them apart by the ids).
        tally: unused; every reader has one.
        load: stands in for ``datasets.load_dataset``.

    Raises:
        DataError: it cannot be loaded.
    """
    del tally
    if format.type != "hub":
        raise DataError(Fault(source.repo, f"format {format.type!r} reads files", "write `type: hub`"))
    options = Reader(lambda *_: iter(()), _OPTIONS).settings(format.options, "hub")
    if load is None:
        from datasets import load_dataset

        load = load_dataset
    try:
        data = load(source.repo, source.config, split=source.split, revision=source.revision or source.ref)
    except Exception as error:  # the library raises anything from OSError to RuntimeError
        raise DataError(_unreachable(source, error)) from error
    where = f"{source.repo} {source.config or ''} {source.split}".replace("  ", " ")
    decoders = {name: _decoder(feature) for name, feature in data.features.items()}
    records = _records(_chosen(data, options["column"], options["starts_with"]), where, decoders)
    return filled(records, where, "holds no records, or none that the options choose")


def _chosen(data: Iterable[dict[str, Any]], column: str, start: str) -> Iterator[dict[str, Any]]:
    return (item for item in data if not column or str(item.get(column, "")).startswith(start))


def _unreachable(source: HubSource, error: Exception) -> Fault:
    untried = "" if source.verified else "; nobody of this project has loaded it yet, its id may be wrong"
    what = f"cannot be loaded from the hub: {type(error).__name__}: {error}{untried}"
    remedy = "go online, or declare the same data as files under `tasks:` of the recipe"
    return Fault(f"{source.repo} ({source.config or 'default'}, {source.split})", what, remedy)


def _records(
    data: Iterable[dict[str, Any]], where: str, decoders: Mapping[str, Callable[[Any], Any]]
) -> Iterator[Record]:
    for number, item in enumerate(data, start=1):
        fields = {name: decoders[name](value) if name in decoders else value for name, value in item.items()}
        yield Record(where, f"record {number}", fields)


def _decoder(feature: Any) -> Callable[[Any], Any]:
    """Return what turns class numbers into names; one without a name (-1) becomes text, for `label_map`."""
    names = getattr(feature, "names", None)
    if names:
        return lambda value: _name(names, value)
    inner = getattr(feature, "feature", None)
    if inner is not None and getattr(inner, "names", None):
        return lambda values: values and [_name(inner.names, value) for value in values]
    return lambda value: value


def _name(names: Sequence[str], value: Any) -> str | None:
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return None if value is None else str(value)

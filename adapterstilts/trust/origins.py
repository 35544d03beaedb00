"""The data behind an artifact: which tasks, under which licences, confidential or not, and by which path.

An artifact's record holds them under ``provenance.data``, beside the key and never in it. The same artifact may come
out of several recipes, which may call its data by different names: what any of them has said is kept. Records of
older runs say nothing, which is not the same as no data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapterstilts.specs import LONGER
from adapterstilts.store.record import Record
from adapterstilts.store.store import Artifact, Store

DATA = "data"
"""Where a record's provenance has its origins."""

_IMPORTED = "import_adapter"


@dataclass(frozen=True)
class Origin:
    """One task whose data an artifact was made of, or a unit with a licence of its own.

    Attributes:
        task: its name; where `known` is False, the name of the artifact whose data nobody noted.
        licence: as the task says it; empty when it does not.
        confidential: whether a recipe has said that it is.
        path: names of the stages from the artifact to the one that read the data.
        known: whether the data are known at all.
    """

    task: str
    licence: str = ""
    confidential: bool = False
    path: tuple[str, ...] = ()
    known: bool = True

    def __str__(self) -> str:
        licence = f" ({self.licence or 'no licence said'})" if self.known else " (data unknown)"
        return " -> ".join((*self.path, self.task)) + licence


Origins = tuple[Origin, ...]


def joined(*groups: Iterable[Origin]) -> Origins:
    """Return each origin once, by task and licence: confidential if any is, with the path that was found first."""
    found: dict[tuple[str, str, bool], Origin] = {}
    for origin in (origin for group in groups for origin in group):
        name = (origin.task, origin.licence, origin.known)
        first = found.setdefault(name, origin)
        if origin.confidential and not first.confidential:
            found[name] = dataclasses.replace(first, confidential=True)
    return tuple(found.values())


def retold(before: Origins, now: Origins) -> Origins:
    """Return what is known of an artifact's data when they are spoken of again.

    Nothing that was said is lost. A licence that one side does not say is filled in from the other, and what nobody
    knew is known once all is.
    """
    complete = all(origin.known for origin in now)
    told = (*(origin for origin in before if origin.known or not complete), *now)
    said = {origin.task: origin.licence for origin in told if origin.licence}
    return joined(
        dataclasses.replace(origin, licence=origin.licence or said.get(origin.task, "")) for origin in told
    )


def through(stage: str, origins: Iterable[Origin]) -> Origins:
    """Return the origins of an input as those of the stage that reads it."""
    return tuple(dataclasses.replace(origin, path=(stage, *origin.path)) for origin in origins)


def is_confidential(origins: Iterable[Origin]) -> bool:
    """Return whether any of the data is confidential."""
    return any(origin.confidential for origin in origins)


def confidential_tasks(origins: Iterable[Origin]) -> tuple[str, ...]:
    """Return the names of the confidential tasks, each once."""
    return tuple(dict.fromkeys(origin.task for origin in origins if origin.confidential))


# ---- in records


def as_data(origins: Iterable[Origin]) -> list[dict[str, Any]]:
    """Return origins as JSON data."""
    return [{**dataclasses.asdict(origin), "path": list(origin.path)} for origin in origins]


def from_data(data: Sequence[Mapping[str, Any]]) -> Origins:
    """Return what `as_data` wrote."""
    return tuple(Origin(**{**one, "path": tuple(one["path"])}) for one in data)


def noted(record: Record) -> Origins | None:
    """Return what a record says of its data; None for a record of an older run."""
    data = record.provenance.get(DATA)
    return None if data is None else from_data(data)


def behind(store: Store, key: str) -> Origins:
    """Return all data behind a stored artifact, from its record and those of its inputs.

    What was learned of an input after the artifact was made counts too. Data that nobody noted are one origin that is
    not known.

    Raises:
        StoreError: when there is no such artifact.
    """
    record = store.get(key).record
    own = noted(record)
    inputs = [
        through(record.name, behind(store, parent))
        for role, parent in record.inputs.items()
        # The stage that lends its number of steps lends nothing else.
        if role != LONGER and store.find(parent) is not None
    ]
    if own is not None:
        # The note is complete; an input without one adds nothing to it.
        return joined(own, (origin for group in inputs for origin in group if origin.known))
    if record.kind == _IMPORTED or "data" in record.spec or len(inputs) < len(record.inputs):
        own = (Origin(record.name, known=False),)
    return joined(own or (), *inputs)


def note(store: Store, artifact: Artifact, origins: Iterable[Origin]) -> None:
    """Add origins to what a stored artifact's record says, and close its folder if any of them is confidential."""
    before = noted(artifact.record)
    now = retold(before or (), tuple(origins))
    if now != before:
        store.annotate(artifact.record.key, {DATA: as_data(now)})
    if is_confidential(now):
        store.protect(artifact.record.key)

"""What stands against showing an artifact to others, and what a user has to type to do it all the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from adapterstilts.errors import Fault, suggest
from adapterstilts.trust.licences import read_licences
from adapterstilts.trust.origins import Origin

OPTION = "--allow"


@dataclass(frozen=True)
class Obstacle:
    """A reason that forbids a push.

    Attributes:
        what: the reason, with the path to the data.
        override: what has to be allowed by name, ``confidential:TASK``.
    """

    what: str
    override: str


def obstacles(origins: Iterable[Origin]) -> tuple[Obstacle, ...]:
    """Return what forbids a push of an artifact with these data behind it, each override once."""
    found: dict[str, Obstacle] = {}
    for origin in origins:
        for obstacle in _of(origin):
            found.setdefault(obstacle.override, obstacle)
    return tuple(found.values())


def _of(origin: Origin) -> Iterable[Obstacle]:
    if not origin.known:
        yield Obstacle(f"nobody noted its data: {origin}", f"unknown-data:{origin.task}")
        return
    if origin.confidential:
        yield Obstacle(f"confidential data are behind it: {origin}", f"confidential:{origin.task}")
    conditions = {condition for licence in read_licences(origin.licence) for condition in licence.conditions}
    if "unknown" in conditions:
        yield Obstacle(f"a licence behind it is not known: {origin}", f"unknown-licence:{origin.task}")
    if "no-derivatives" in conditions:
        what = f"a licence behind it lets no adaptation be shared: {origin}"
        yield Obstacle(what, f"no-derivatives:{origin.task}")


def push_faults(where: str, origins: Iterable[Origin], allowed: Collection[str] = ()) -> tuple[Fault, ...]:
    """Return what still forbids a push, and overrides that allow nothing; empty where it may go ahead.

    Args:
        where: what is pushed, for the faults.
        origins: the data behind it, from `adapterstilts.trust.origins.behind`.
        allowed: the overrides that a user typed.
    """
    found = obstacles(origins)
    known = [one.override for one in found]
    refused = [
        Fault(where, one.what, f"`{OPTION} {one.override}` if you may and want to")
        for one in found
        if one.override not in allowed
    ]
    idle = [
        Fault(f"{OPTION} {one}", "nothing forbids this", suggest(one, known) or "leave it out")
        for one in allowed
        if one not in known
    ]
    return (*refused, *idle)

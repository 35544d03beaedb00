"""What stands against showing an artifact to others, what a user has to type to do it all the same, and its licence."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from adapterstilts.errors import Fault, UsageError, suggest
from adapterstilts.trust.adapter import AdapterLicence, adapter_licence
from adapterstilts.trust.licences import read_licences
from adapterstilts.trust.origins import Origin, Origins

OPTION = "--allow"


@dataclass(frozen=True)
class Terms:
    """What the maker of an artifact says when it goes out.

    Attributes:
        licence: that they name, an SPDX id; None for the one that is computed.
        allowed: the overrides that they typed.
    """

    licence: str | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Obstacle:
    """A reason that forbids a push.

    Attributes:
        what: the reason, with the path to the data.
        override: what has to be allowed by name, ``confidential:TASK``.
        instead: what would do without the override; empty where nothing would.
    """

    what: str
    override: str
    instead: str = ""

    @property
    def remedy(self) -> str:
        """What a user can do about it."""
        allow = f"`{OPTION} {self.override}` if you may and want to"
        return f"{self.instead}, or {allow}" if self.instead else allow


def obstacles(origins: Iterable[Origin], licence: str | None = None) -> tuple[Obstacle, ...]:
    """Return what forbids a push of an artifact with these data behind it, each override once.

    Args:
        origins: the data behind it.
        licence: that it is to be under; None where it has none yet.
    """
    known = tuple(origins)
    every = [obstacle for origin in known for obstacle in _of(origin)]
    if licence:
        every += _of_licence(licence, adapter_licence(known))
    found: dict[str, Obstacle] = {}
    for obstacle in every:
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


def _of_licence(named: str, computed: AdapterLicence) -> Iterable[Obstacle]:
    unheeded: dict[Origin, list[str]] = {}
    for cause in computed.unheeded(named):
        unheeded.setdefault(cause.origin, []).append(cause.condition)
    instead = f"leave --licence out for {computed.identifier}" if computed.identifier else ""
    for origin, conditions in unheeded.items():
        what = f"{named} is not what its data ask for ({', '.join(conditions)}): {origin}"
        yield Obstacle(what, f"other-licence:{origin.task}", instead)


def push_faults(
    where: str, origins: Iterable[Origin], allowed: Collection[str] = (), licence: str | None = None
) -> tuple[Fault, ...]:
    """Return what still forbids a push, and overrides that allow nothing; empty where it may go ahead.

    Args:
        where: what is pushed, for the faults.
        origins: the data behind it, from `adapterstilts.trust.origins.behind`.
        allowed: the overrides that a user typed.
        licence: that it is to be under; None where it has none yet.
    """
    found = obstacles(origins, licence)
    return (*_refused(where, found, allowed), *_idle(found, allowed))


def _refused(where: str, found: Iterable[Obstacle], allowed: Collection[str]) -> list[Fault]:
    return [Fault(where, one.what, one.remedy) for one in found if one.override not in allowed]


def _idle(found: Iterable[Obstacle], allowed: Collection[str]) -> list[Fault]:
    known = [one.override for one in found]
    return [
        Fault(f"{OPTION} {one}", "nothing forbids this", suggest(one, known) or "leave it out")
        for one in allowed
        if one not in known
    ]


@dataclass(frozen=True)
class Leaving:
    """A unit that goes out as it is.

    Attributes:
        where: its reference, for the faults.
        origins: the data behind it.
        licence: that its maker gave it.
    """

    where: str
    origins: Origins
    licence: str


def check_leaving(units: Iterable[Leaving], allowed: Collection[str]) -> None:
    """Check that some units may go out together.

    Args:
        units: of which each has its reasons against it.
        allowed: the overrides that a user typed, for all of them.

    Raises:
        UsageError: with all reasons against any; an override that none of them asks for is one.
    """
    found = [(unit.where, obstacles(unit.origins, unit.licence)) for unit in units]
    refused = [fault for where, own in found for fault in _refused(where, own, allowed)]
    faults = [*refused, *_idle([one for _, own in found for one in own], allowed)]
    if faults:
        raise UsageError(*faults)


def cleared(where: str, origins: Iterable[Origin], terms: Terms) -> str:
    """Return the licence under which an artifact goes out: the one that its maker names, else the computed one.

    Args:
        where: what is pushed, for the faults.
        origins: the data behind it.
        terms: of its maker.

    Raises:
        UsageError: it may not go out, or no licence can be computed and none is named; with all reasons.
    """
    known = tuple(origins)
    computed = adapter_licence(known)
    licence = terms.licence or computed.identifier
    faults = push_faults(where, known, terms.allowed, licence)
    if not licence:
        why = "leave the choice" if computed.is_free else f"leave none to compute ({computed.strictest})"
        unnamed = Fault(where, f"no licence is named for it, and its data {why}", "name one with --licence")
        faults = (*faults, unnamed)
    if faults or not licence:
        raise UsageError(*faults)
    return licence

"""The licence that the data leave an adapter, with what causes it and what contradicts in it. No legal advice.

Whether trained weights are an adaptation of their data is an open question; here the careful answer is taken, that
they are. The rules, each as the licences state it:

- Attribution, share-alike and non-commercial use add up to the Creative Commons licence that asks for all of them.
- A share-alike licence lets adaptations be under itself alone, so that data which ask for more contradict it.
- A licence without derivatives lets no adaptation be shared.
- Research only, or an unknown licence, is no licence that could be named: there is no identifier then.
- Permissive data ask for nothing but their notices: the licence is the maker's choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adapterstilts.trust.licences import (
    CONDITIONS,
    PERMISSIVE,
    Condition,
    Licence,
    creative_commons,
    read_licences,
    strictest,
)
from adapterstilts.trust.origins import Origin

_UNNAMED: frozenset[Condition] = frozenset({"no-derivatives", "research-only", "unknown"})
# No licence of the adapter could satisfy these.
_BEYOND_LICENCES: frozenset[Condition] = frozenset({"no-derivatives", "unknown"})


@dataclass(frozen=True)
class Cause:
    """A condition with the data that ask for it."""

    condition: Condition
    origin: Origin

    def __str__(self) -> str:
        return f"{self.condition}: {self.origin}"


@dataclass(frozen=True)
class AdapterLicence:
    """What the data behind an adapter ask of it.

    Attributes:
        identifier: SPDX id of the freest licence that suits all data; None where any licence does, and where none
            that could be named does.
        causes: every condition with every task that asks for it, the strictest first.
        conflicts: what no licence could satisfy, one sentence each.
    """

    identifier: str | None
    causes: tuple[Cause, ...]
    conflicts: tuple[str, ...] = ()

    @property
    def strictest(self) -> str:
        """The strictest condition, or ``permissive``."""
        return strictest(cause.condition for cause in self.causes)

    @property
    def name(self) -> str:
        """The identifier, or in its place the strictest condition."""
        return self.identifier or self.strictest

    @property
    def is_free(self) -> bool:
        """Whether the data ask for no condition."""
        return self.strictest == PERMISSIVE

    def unheeded(self, named: str) -> tuple[Cause, ...]:
        """Return what the data ask for and a licence that somebody names does not; empty for the identifier.

        Conditions that no licence could satisfy are left out: whoever goes on in spite of them has other grounds.
        """
        if named.casefold() == (self.identifier or "").casefold():
            return ()
        given = frozenset.intersection(*(licence.conditions for licence in read_licences(named)))
        return tuple(cause for cause in self.causes if not _heeds(named, given, cause))

    def to_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "name": self.name,
            "identifier": self.identifier,
            "strictest": self.strictest,
            "causes": [str(cause) for cause in self.causes],
            "conflicts": list(self.conflicts),
        }


def adapter_licence(origins: Iterable[Origin]) -> AdapterLicence:
    """Return the licence that the data leave what was made of them; see the module for the rules."""
    named = [(origin, licence) for origin in origins for licence in _licences(origin)]
    causes = {Cause(condition, origin): None for origin, licence in named for condition in licence.conditions}
    asked = {cause.condition for cause in causes}
    ordered = sorted(causes, key=lambda cause: -CONDITIONS.index(cause.condition))
    alike = {licence.alike for _, licence in named if licence.alike}
    return AdapterLicence(_identifier(asked, alike), tuple(ordered), tuple(_conflicts(named, asked, alike)))


def _heeds(named: str, given: frozenset[Condition], cause: Cause) -> bool:
    if cause.condition in _BEYOND_LICENCES:
        return True
    if cause.condition != "share-alike":
        return cause.condition in given
    # Its own version, and the later one that it lets adaptations be under.
    alike = [licence for licence in _licences(cause.origin) if licence.alike]
    return named.casefold() in {text.casefold() for one in alike for text in (one.text, one.alike)}


def _licences(origin: Origin) -> tuple[Licence, ...]:
    return read_licences(origin.licence if origin.known else "")


def _identifier(asked: set[Condition], alike: set[str]) -> str | None:
    if not asked or asked & _UNNAMED:
        return None
    combined = creative_commons(asked)
    others = {one for one in alike if not one.startswith("CC-")}
    if not others:
        return combined
    return others.pop() if len(alike) == 1 and "non-commercial" not in asked else None


def _conflicts(
    named: list[tuple[Origin, Licence]], asked: set[Condition], alike: set[str]
) -> dict[str, None]:
    found: dict[str, None] = {}
    for origin, licence in named:
        if "no-derivatives" in licence.conditions:
            found[f"{origin.task} ({licence.text}) lets no adaptation be shared"] = None
        more = asked - licence.conditions - {"unknown"}
        if licence.alike and (more or alike - {licence.alike}):
            why = (
                f"and other data ask for more: {', '.join(sorted(more))}"
                if more
                else "and other data under another"
            )
            found[f"{origin.task} ({licence.text}) wants adaptations under {licence.alike} alone, {why}"] = (
                None
            )
    return found

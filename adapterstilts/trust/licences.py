"""The licence of a task's data, read into conditions. Nothing is guessed: what cannot be read is ``unknown``.

Only facts that the licences state are used. A text may name several licences, parted by commas, semicolons, slashes,
``and`` or ``or``; what stands in brackets says what a licence is for. All that are named count, those too that leave
a choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Condition = Literal[
    "attribution", "share-alike", "non-commercial", "no-derivatives", "research-only", "unknown"
]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
"""From the mildest to the strictest."""

PERMISSIVE = "permissive"

_CREATIVE_COMMONS = re.compile(
    r"cc-by(?P<nc>-nc)?(?:-(?P<last>sa|nd))?(?:-(?:2\.0|2\.1|2\.5|3\.0|4\.0)(?:-(?:igo|[a-z]{2}))?)?"
)
_NO_CONDITION: frozenset[Condition] = frozenset()
# Written as SPDX does, in small letters.
_KNOWN: Mapping[str, frozenset[Condition]] = {
    **dict.fromkeys(("mit", "mit-0", "bsd-2-clause", "bsd-3-clause", "apache-2.0", "isc"), _NO_CONDITION),
    **dict.fromkeys(("cc0-1.0", "cc0", "pddl-1.0", "unlicense", "0bsd"), _NO_CONDITION),
    **dict.fromkeys(("public-domain", "unrestricted"), _NO_CONDITION),
    **dict.fromkeys(("odc-by", "odc-by-1.0"), frozenset({"attribution"})),
    "free-use-with-attribution-to-google": frozenset({"attribution"}),
    "odbl-1.0": frozenset({"attribution", "share-alike"}),
    "non-commercial": frozenset({"non-commercial"}),
    "non-commercial-use": frozenset({"non-commercial"}),
    **dict.fromkeys(("research-use", "research-only", "research-use-only"), frozenset({"research-only"})),
    "non-commercial-research": frozenset({"non-commercial", "research-only"}),
}
_OPEN_DATABASE = "ODbL-1.0"
_BRACKETS = re.compile(r"\(([^()]*)\)")
_PARTED = re.compile(r"[;,/]|\b(?:and|or)\b")
# Brackets say what a licence is for, unless one of these words is in them.
_RESTRICTING = re.compile(r"commercial|research|academic|deriv|share.?alike|only|except|restrict|\bnot\b")


@dataclass(frozen=True)
class Licence:
    """What a licence asks.

    Attributes:
        text: as the task says it.
        conditions: none for a permissive licence, which asks for its notice at most.
        alike: the licence that adaptations have to be under, of a share-alike one; empty where there is none.
    """

    text: str
    conditions: frozenset[Condition]
    alike: str = ""

    @property
    def strictest(self) -> str:
        """The class of the licence: its strictest condition, or ``permissive``."""
        return strictest(self.conditions)


def strictest(conditions: Iterable[Condition]) -> str:
    """Return the strictest of some conditions, ``permissive`` where there is none."""
    return max(conditions, key=CONDITIONS.index, default=PERMISSIVE)


def read_licences(text: str) -> tuple[Licence, ...]:
    """Return the licences that a text names, one or more; ``unknown`` for every part that cannot be read."""
    return tuple(_read(part) for part in _parts(text)) or (Licence(text, frozenset({"unknown"})),)


def class_of(text: str) -> str:
    """Return the class of a licence's text: the strictest condition of all licences that it names."""
    return strictest({condition for one in read_licences(text) for condition in one.conditions})


def _parts(text: str) -> Iterator[str]:
    remarks = [remark for remark in _BRACKETS.findall(text) if _RESTRICTING.search(remark.casefold())]
    for part in (*_PARTED.split(_BRACKETS.sub(" ", text)), *remarks):
        if part.strip():
            yield part.strip()


def _read(text: str) -> Licence:
    name = "-".join(text.casefold().replace("-", " ").split())
    if match := _CREATIVE_COMMONS.fullmatch(name):
        return _creative_commons(text, bool(match["nc"]), match["last"])
    conditions = _KNOWN.get(name, frozenset[Condition]({"unknown"}))
    return Licence(text, conditions, _OPEN_DATABASE if "share-alike" in conditions else "")


def _creative_commons(text: str, non_commercial: bool, last: str | None) -> Licence:
    conditions: set[Condition] = {"attribution"}
    if non_commercial:
        conditions.add("non-commercial")
    if last == "nd":
        conditions.add("no-derivatives")
    if last != "sa":
        return Licence(text, frozenset(conditions))
    conditions.add("share-alike")
    # Share-alike licences from version 2.0 on let adaptations be under a later version of the same licence.
    return Licence(text, frozenset(conditions), creative_commons(conditions))


def creative_commons(conditions: Iterable[Condition]) -> str:
    """Return the Creative Commons licence, version 4.0, that asks for attribution and for these conditions."""
    asked = set(conditions)
    names = {"non-commercial": "-NC", "share-alike": "-SA"}
    return f"CC-BY{''.join(part for name, part in names.items() if name in asked)}-4.0"

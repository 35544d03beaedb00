"""May this go out, and under which licence? Asked once, before anything is written. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapterstilts.errors import Fault, UsageError


@dataclass(frozen=True)
class DataBehind:
    """The data of one task that a unit was trained on.

    Attributes:
        task: its name.
        uses: ``task.language.split`` of each part that was read.
        languages: of these parts.
        licence: as the task says it; empty when nobody knows.
        citation: where the data come from.
        repos: of the Hugging Face Hub that hold them.
        confidential: whether nothing of it may leave.
    """

    task: str
    uses: tuple[str, ...]
    languages: tuple[str, ...]
    licence: str
    citation: str
    repos: tuple[str, ...]
    confidential: bool


def clear(where: str, data: Sequence[DataBehind], licence: str | None) -> str:
    """Return the licence under which a unit goes out.

    Args:
        where: the unit, for the error.
        data: all that it was trained on.
        licence: that its author names for it, an SPDX id.

    Raises:
        UsageError: it may not go out, or nobody has named a licence; with all reasons.
    """
    faults = [
        Fault(where, f"{one.task!r} is confidential, and stands behind it", "keep it here")
        for one in data
        if one.confidential
    ]
    if not licence:
        behind = "; ".join(f"{one.task}: {one.licence or 'unknown'}" for one in data) or "no data of ours"
        faults.append(Fault(where, f"no licence is named for it ({behind})", "name one with --licence"))
    if faults or not licence:
        raise UsageError(*faults)
    return licence

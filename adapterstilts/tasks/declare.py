"""Short ways to declare a split, for the families of `adapterstilts.tasks.library`."""

from __future__ import annotations

from collections.abc import Mapping

from adapterstilts.tasks.spec import EMPTY, FileSource, Format, HubSource, Json, Split

PARQUET = "refs/convert/parquet"
"""The hub's own conversion of data sets that were a script; it moves: a place, not a pin."""


def files(
    paths: str | tuple[str, ...],
    type: str,
    examples: int | None = None,
    columns: Mapping[str, str] = EMPTY,
    portion: tuple[int, int] = (0, 100),
    **options: Json,
) -> Split:
    """Return a split of files.

    Args:
        paths: below ``--data-dir`` or beside the recipe.
        type: the reader.
        examples: rows that are left; None for data that nobody of this project has counted.
        columns: field of the kind -> column.
        portion: percent range of the rows.
        **options: of the reader.
    """
    source = FileSource((paths,) if isinstance(paths, str) else paths)
    return Split(source, Format(type, columns, options), portion, examples)


def hub(
    repo: str,
    config: str | None,
    split: str,
    examples: int | None = None,
    columns: Mapping[str, str] = EMPTY,
    ref: str | None = None,
) -> Split:
    """Return a split of the hub, which nobody of this project has loaded yet.

    Args:
        repo: ``namespace/name``.
        config: the configuration, where there are some.
        split: the hub's own name of the split.
        examples: as the data set's card says; None where that is not known.
        columns: field of the kind -> column.
        ref: a branch other than main.
    """
    return Split(HubSource(repo, config, split, ref=ref), Format("hub", columns), examples=examples)


def iob(*types: str) -> tuple[str, ...]:
    """Return the tags of IOB2 for span types: O, then B- and I- of each."""
    return ("O", *(f"{prefix}-{kind}" for kind in types for prefix in "BI"))


def numbered(*labels: str) -> dict[str, str]:
    """Return the label map of data that numbers its labels from 0."""
    return {str(number): label for number, label in enumerate(labels)}

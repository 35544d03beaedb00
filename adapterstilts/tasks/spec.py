"""What a task is: data, declared. Nothing here reads a file.

A `TaskSpec` names where each split of each language lives (`Split`: a source and the format
to read it with), which labels there are, and which metrics score it, the main one first. Catalogue
entries (`adapterstilts.tasks.library`) and the ``tasks:`` section of a recipe both become one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Union, get_args

Kind = Literal[
    "classification",
    "multilabel",
    "regression",
    "multiple_choice",
    "multi_select",
    "tagging",
    "span_qa",
    "retrieval",
    "mlm",
]
KINDS: tuple[str, ...] = get_args(Kind)

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[str, ...] = get_args(SplitName)

Json = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]
EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class FileSource:
    """Files beside the recipe or below ``--data-dir``.

    Attributes:
        paths: portable relative or absolute paths; a ``*`` is expanded, sorted.
    """

    paths: tuple[str, ...]


@dataclass(frozen=True)
class PackageSource:
    """Files that an installed registry package carries.

    Attributes:
        package: import name, for example ``chatterbot_corpus``.
        paths: portable paths below the package's folder; a ``*`` is expanded, sorted.
        extra: the extra of ours that installs the package.
    """

    package: str
    paths: tuple[str, ...]
    extra: str = "quickstart"


@dataclass(frozen=True)
class HubSource:
    """A split of a data set on the Hugging Face Hub.

    Attributes:
        repo: ``namespace/name``.
        config: the configuration, where the data set has some.
        split: the hub's own name of the split.
        revision: a commit SHA, or None where none is known (then `plan` says ``unresolved``).
        verified: whether anyone of this project has ever loaded it.
        ref: a branch to read while `revision` is None. It moves: a place, not a pin.
    """

    repo: str
    config: str | None
    split: str
    revision: str | None = None
    verified: bool = False
    ref: str | None = None


Source = FileSource | PackageSource | HubSource


@dataclass(frozen=True)
class Format:
    """How a source's bytes become records.

    Attributes:
        type: a reader's name (`adapterstilts.data.readers`).
        columns: field of the task's kind (`adapterstilts.data.parse` lists them) -> column of the
            record; fields not named here map to themselves. A column may be a dotted path into nested
            records; the empty text says that the data has no such field.
        options: the reader's own options (quoting, header, encoding ...).
    """

    type: str
    columns: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    options: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Split:
    """One split of one language.

    Attributes:
        source: where the bytes are.
        format: how to read them.
        portion: percent range ``(from, to)`` of the rows, chosen by a hash of each row's group,
            so that rows of one group never fall on two sides; for sources without splits.
        examples: the catalogue's size, of all parts, for estimates before anything is loaded.
        also: further parts whose rows follow, each with its own source and format (ANLI, MNLI and SNLI
            under one head); parts of parts are not looked at.
    """

    source: Source
    format: Format
    portion: tuple[int, int] = (0, 100)
    examples: int | None = None
    also: tuple[Split, ...] = ()


@dataclass(frozen=True)
class TaskSpec:
    """A task: kind, data, labels, scores, and what a reader has to know about it.

    Attributes:
        name: the id in recipes and results.
        kind: the shape of input and output; decides head, loss and decoding.
        domain: ``general``, ``biomedical``, ``social`` ... in results.
        splits: language (BCP 47 or ISO 639-3 code) -> split name -> `Split`.
        metrics: names in `adapterstilts.metrics`, the main metric first.
        labels: the label list in its order; empty for kinds without one.
        label_map: value in the data -> label; None drops the row, counted. Values not named here
            map to themselves.
        train_task: the task whose training data serves this one (XNLI trains on MNLI).
        unanswerable: for span_qa, whether a passage may hold no answer; the empty answer is then a prediction.
        tokens_per_example: typical subwords an example, for estimates before data is loaded.
        licence: SPDX id or the licence's name; empty when unknown.
        citation: author, year, venue or URL.
        note: what a user should know before trusting a score on it.
        confidential: whether nothing of its text may leave the data, and all that is derived from it is marked.
    """

    name: str
    kind: Kind
    domain: str
    splits: Mapping[str, Mapping[str, Split]]
    metrics: tuple[str, ...]
    labels: tuple[str, ...] = ()
    label_map: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    train_task: str | None = None
    unanswerable: bool = False
    tokens_per_example: int = 64
    licence: str = ""
    citation: str = ""
    note: str = ""
    confidential: bool = False

    def languages(self, split: str) -> tuple[str, ...]:
        """Return the languages that have the split, in declared order."""
        return tuple(language for language, splits in self.splits.items() if split in splits)

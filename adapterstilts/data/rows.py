"""Rows: one typed record an example, one dataclass a shape. No tensor, no tokenizer.

Every row has an ``id``, unique within its split, and a ``group``: what a bootstrap has to resample together.
The group is the one that the data declares, and for `SpanRow` always the passage; empty where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TextRow:
    """A text or a pair of texts with a label.

    Attributes:
        id: unique within the split.
        text: first text.
        text_pair: second text, for pair tasks.
        label: a label of the task; a tuple of them for multilabel; a number for regression; None
            when the data has none.
        group: what a bootstrap has to resample together.
    """

    id: str
    text: str
    text_pair: str | None = None
    label: str | float | tuple[str, ...] | None = None
    group: str = ""


@dataclass(frozen=True)
class ChoiceRow:
    """A context (and question) with options.

    Attributes:
        id: unique within the split.
        context: what all options share.
        choices: the options, in order; their number may differ from row to row.
        label: index of the right option; a tuple of indices for multi-select; None when unlabelled.
        group: what a bootstrap has to resample together.
    """

    id: str
    context: str
    choices: tuple[str, ...]
    label: int | tuple[int, ...] | None = None
    group: str = ""


@dataclass(frozen=True)
class TaggingRow:
    """A tokenised sentence with one tag a token.

    Where the data says how sentences lie in documents, `document`, `starts` and `spans` do; token i ends at
    ``starts[i] + len(tokens[i])``. All offsets count characters of the untouched document (after a byte order
    mark), ends exclusive.

    Attributes:
        id: unique within the split.
        tokens: the words.
        tags: one a token; None when unlabelled.
        group: what a bootstrap has to resample together: the document, where there is one.
        document: name of the document, unique within the split; empty when there is none.
        starts: offset of each token.
        spans: ``(start, end, type)`` of the gold entities that begin in this sentence, those too that flat
            tags cannot hold (nested or overlapping ones).
    """

    id: str
    tokens: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    group: str = ""
    document: str = ""
    starts: tuple[int, ...] = ()
    spans: tuple[tuple[int, int, str], ...] = ()


@dataclass(frozen=True)
class SpanRow:
    """A question on a context, with character answers.

    Attributes:
        id: unique within the split.
        question: the question.
        context: the passage.
        answers: ``(start, text)`` with character offsets into `context`; empty and `answerable`
            False for an unanswerable question; None when the data has no answers.
        answerable: whether the passage answers the question.
        group: a digest of the passage.
    """

    id: str
    question: str
    context: str
    answers: tuple[tuple[int, str], ...] | None
    answerable: bool = True
    group: str = ""


@dataclass(frozen=True)
class PairRow:
    """Two sentences that translate each other, or one without a partner; for retrieval without training.

    Attributes:
        id: unique within the split.
        source: sentence of the one language; None for a target without partner.
        target: sentence of the other; None for a source without partner, never both.
        source_id: of the sentence, where the data has one: a sentence in several pairs has it in each row.
        target_id: the same for the target.
        group: what a bootstrap has to resample together.
    """

    id: str
    source: str | None
    target: str | None
    source_id: str = ""
    target_id: str = ""
    group: str = ""


Row = TextRow | ChoiceRow | TaggingRow | SpanRow | PairRow


@dataclass(frozen=True)
class LoadedSplit:
    """The rows of one split and what happened on the way.

    Attributes:
        rows: in the order of the data.
        dropped: reason -> number of records left out.
        repaired: reason -> number of records changed.
    """

    rows: tuple[Row, ...]
    dropped: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)

"""Metrics by name, as tasks declare them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from adapterstilts.errors import Fault, UsageError, suggest
from adapterstilts.metrics import (
    answers,
    breakdown,
    calibration,
    classification,
    exams,
    multilabel,
    regression,
    retrieval,
    sets,
    tagging,
)
from adapterstilts.metrics.core import Metric


@dataclass(frozen=True)
class Entry:
    """A metric that can be had by name.

    Attributes:
        make: (language, labels) -> the metric.
        kinds: the kinds of task whose predictions it scores.
    """

    make: Callable[[str | None, Sequence[str]], Metric]
    kinds: tuple[str, ...]


def _plain(make: Callable[[], Metric], *kinds: str) -> Entry:
    return Entry(lambda _language, _labels: make(), kinds)


def _by_class(make: Callable[[Sequence[str]], Metric], *kinds: str) -> Entry:
    return Entry(lambda _language, labels: make(labels), kinds)


def _by_language(make: Callable[[str | None], Metric], *kinds: str) -> Entry:
    return Entry(lambda language, _labels: make(language), kinds)


# Within a kind, the usual main metric comes first.
_ENTRIES: dict[str, Entry] = {
    "accuracy": _plain(classification.accuracy, "classification", "multiple_choice"),
    "macro_f1": _by_class(classification.macro_f1, "classification", "multilabel"),
    "micro_f1": _by_class(classification.micro_f1, "classification", "multilabel"),
    "weighted_f1": _by_class(classification.weighted_f1, "classification", "multilabel"),
    "macro_recall": _by_class(classification.macro_recall, "classification"),
    "accuracy_by_part": _plain(lambda: breakdown.averaged(classification.accuracy(), 2), "classification"),
    "ece": _plain(calibration.expected_calibration_error, "classification"),
    "exact_match": _plain(multilabel.exact_match, "multi_select", "multilabel"),
    "hamming_score": _plain(multilabel.hamming_score, "multi_select", "multilabel"),
    "hamming_loss": _by_class(multilabel.hamming_loss, "multilabel"),
    "pearson": _plain(regression.pearson, "regression"),
    "rmse": _plain(regression.rmse, "regression"),
    "mae": _plain(regression.mae, "regression"),
    "headqa_points": _plain(exams.headqa_points, "multiple_choice"),
    "span_f1": _plain(tagging.span_f1, "tagging"),
    "strict_span_f1": _plain(tagging.strict_span_f1, "tagging"),
    "udpos_f1": _plain(tagging.udpos_f1, "tagging"),
    "token_accuracy": _plain(tagging.token_accuracy, "tagging"),
    "entity_f1": _plain(sets.entity_f1, "tagging"),
    "squad_f1": _plain(answers.squad_f1, "span_qa"),
    "squad_em": _plain(answers.squad_em, "span_qa"),
    "squad_em_f1": _plain(answers.squad_em_f1, "span_qa"),
    "squad2_f1": _plain(answers.squad2_f1, "span_qa"),
    "squad2_em": _plain(answers.squad2_em, "span_qa"),
    "mlqa_f1": _by_language(answers.mlqa_f1, "span_qa"),
    "mlqa_em": _by_language(answers.mlqa_em, "span_qa"),
    "mlqa_em_f1": _by_language(answers.mlqa_em_f1, "span_qa"),
    "retrieval_accuracy": _plain(retrieval.retrieval_accuracy, "retrieval"),
    "mrr": _plain(retrieval.mrr, "retrieval"),
    "recall@5": _plain(lambda: retrieval.recall_at(5), "retrieval"),
    "recall@10": _plain(lambda: retrieval.recall_at(10), "retrieval"),
    "bitext_f1": _plain(sets.bitext_f1, "retrieval"),
}


def get(name: str, *, language: str | None = None, labels: Sequence[str] = ()) -> Metric:
    """Return a metric by name.

    Beside the names of `names` there are three families: ``recall@<k>`` for any k, ``f1@<label>``, the F1 of
    one label, and ``macro_f1@<label>+<label>``, the mean F1 of some labels.

    Args:
        name: as in a task's `metrics`.
        language: BCP 47 code of the examples; only metrics that normalise by language need it.
        labels: the task's labels; class scores average over these (empty: over the classes seen).

    Raises:
        UsageError: there is no such metric, or it lacks the language or labels that it needs.
    """
    entry = _ENTRIES.get(name)
    if entry is not None:
        return entry.make(language, labels)
    if match := re.fullmatch(r"recall@(\d+)", name):
        return retrieval.recall_at(int(match[1]))
    family, _, chosen = name.partition("@")
    if family == "f1" and chosen and (not labels or chosen in labels):
        return classification.class_f1(chosen)
    some = chosen.split("+")
    if family == "macro_f1" and all(some) and (not labels or set(some) <= set(labels)):
        return replace(classification.macro_f1(some), name=name)
    known = [*_ENTRIES, *(f"f1@{label}" for label in labels)]
    remedy = suggest(name, known) or ", ".join(known)
    raise UsageError(Fault("metrics", f"{name!r} is not a metric", remedy))


def names(kind: str | None = None) -> tuple[str, ...]:
    """Return the names of all metrics, or of those for a kind of task, the usual main metric first."""
    return tuple(name for name, entry in _ENTRIES.items() if kind is None or kind in entry.kinds)

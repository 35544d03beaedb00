"""Scores of plain lists, one function a metric; without torch.

``gold`` and ``predicted`` hold one answer an example, in the same order. A missing answer is None and scores
as a wrong one. Scores are fractions, not percentages. Every function raises `DataError` when the lists differ
in length or are empty, or when an answer has another form than the docstring says.

>>> from adapterstilts import metrics
>>> metrics.udpos_f1([["NOUN", "NOUN", "VERB"]], [["NOUN", "ADJ", "VERB"]])
0.4

A task names its metrics as these functions are called (`adapterstilts.metrics.registry`; ``f1@irony`` is
`class_f1` of the label irony, ``recall@5`` is `recall_at` 5). Intervals and paired tests are in
`adapterstilts.metrics.intervals` and `adapterstilts.metrics.significance`, XTREME's means over languages and
tasks in `adapterstilts.metrics.xtreme`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from adapterstilts.metrics import (
    answers,
    bitext,
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
from adapterstilts.metrics.build import score_lists
from adapterstilts.metrics.spans import Entity

Labels = Sequence[Hashable]
Tags = Sequence[Sequence[str]]


# ---- one label or one option an example


def accuracy(gold: Labels, predicted: Labels) -> float:
    """Return the share of equal answers: XNLI, PAWS-X, multiple choice."""
    return score_lists(classification.accuracy(), gold, predicted)


def accuracy_by_part(gold: Labels, predicted: Labels, parts: Sequence[str]) -> float:
    """Return the unweighted mean over parts of accuracy (HateCheck's functionalities).

    Args:
        gold: labels.
        predicted: labels.
        parts: the name of each example's part.
    """
    metric = breakdown.averaged(classification.accuracy(), 2)
    return score_lists(metric, gold, predicted, groups=parts)


def macro_f1(gold: Sequence[Any], predicted: Sequence[Any], labels: Labels = ()) -> float:
    """Return the unweighted mean over classes of F1.

    Args:
        gold: labels, or collections of labels (multilabel).
        predicted: the same.
        labels: the classes to average; empty: all that occur.
    """
    return score_lists(classification.macro_f1(labels), gold, predicted)


def micro_f1(gold: Sequence[Any], predicted: Sequence[Any], labels: Labels = ()) -> float:
    """Return F1 of the counts summed over classes; arguments as of `macro_f1`."""
    return score_lists(classification.micro_f1(labels), gold, predicted)


def weighted_f1(gold: Sequence[Any], predicted: Sequence[Any], labels: Labels = ()) -> float:
    """Return the mean over classes of F1, weighted by gold examples (AfriSenti); arguments as of `macro_f1`."""
    return score_lists(classification.weighted_f1(labels), gold, predicted)


def macro_recall(gold: Labels, predicted: Labels, labels: Labels = ()) -> float:
    """Return the unweighted mean over classes with gold examples of recall (TweetEval's sentiment)."""
    return score_lists(classification.macro_recall(labels), gold, predicted)


def class_f1(gold: Sequence[Any], predicted: Sequence[Any], label: Hashable) -> float:
    """Return F1 of one class (TweetEval's irony)."""
    return score_lists(classification.class_f1(label), gold, predicted)


def ece(
    gold: Labels, predicted: Labels, probabilities: Sequence[Mapping[Any, float]], bins: int = 15
) -> float:
    """Return the expected calibration error (Guo et al., 2017); lower is better.

    Args:
        gold: labels.
        predicted: labels.
        probabilities: label -> probability, for each example.
        bins: number of equal-width bins of the predicted label's probability.
    """
    metric = calibration.expected_calibration_error(bins)
    return score_lists(metric, gold, predicted, probabilities=probabilities)


def headqa_points(gold: Sequence[int], predicted: Sequence[int | None]) -> float:
    """Return HEAD-QA's points a question: 3 for a right option, -1 for a wrong one, 0 for None."""
    return score_lists(exams.headqa_points(), gold, predicted)


# ---- a set of labels or options an example


def exact_match(gold: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Return the share of examples whose predicted set equals the gold set (FrenchMedMCQA)."""
    return score_lists(multilabel.exact_match(), gold, predicted)


def hamming_score(gold: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Return the mean of what both sets share over what either holds (FrenchMedMCQA's Hamming score)."""
    return score_lists(multilabel.hamming_score(), gold, predicted)


def hamming_loss(gold: Sequence[Any], predicted: Sequence[Any], labels: Labels) -> float:
    """Return the share of wrong yes/no decisions, one for each example and label; lower is better."""
    return score_lists(multilabel.hamming_loss(labels), gold, predicted)


# ---- a number an example


def pearson(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Return Pearson's correlation; 0 when one side does not vary."""
    return score_lists(regression.pearson(), gold, predicted)


def rmse(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Return the root of the mean squared error; lower is better."""
    return score_lists(regression.rmse(), gold, predicted)


def mae(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Return the mean absolute error; lower is better."""
    return score_lists(regression.mae(), gold, predicted)


# ---- a list of tags a sentence


def udpos_f1(gold: Tags, predicted: Tags) -> float:
    """Return XTREME's score of part-of-speech tags: F1 of runs of equal tags, as seqeval 0.0.12 reads them."""
    return score_lists(tagging.udpos_f1(), gold, predicted)


def token_accuracy(gold: Tags, predicted: Tags) -> float:
    """Return the share of tokens with the right tag."""
    return score_lists(tagging.token_accuracy(), gold, predicted)


def span_f1(gold: Tags, predicted: Tags) -> float:
    """Return F1 of exact spans and types, where ``I-`` may open a span (XTREME's PAN-X, conlleval)."""
    return score_lists(tagging.span_f1(), gold, predicted)


def strict_span_f1(gold: Tags, predicted: Tags) -> float:
    """Return F1 of exact spans and types of IOB2, where a stray ``I-`` is no span."""
    return score_lists(tagging.strict_span_f1(), gold, predicted)


# ---- the entities of a document


def entity_f1(gold: Sequence[Iterable[Entity]], predicted: Sequence[Iterable[Entity]]) -> float:
    """Return micro F1 of ``(start, end, type)`` by character offsets (PharmaCoNER, CANTEMIST).

    Args:
        gold: the entities of each document.
        predicted: the entities of the same documents.
    """
    return score_lists(sets.entity_f1(), gold, predicted)


# ---- an answer text a question; gold is the list of accepted answers


def squad_em(gold: Sequence[Sequence[str]], predicted: Sequence[str | None]) -> float:
    """Return exact match after SQuAD's English normaliser: XQuAD, TyDiQA-GoldP."""
    return score_lists(answers.squad_em(), gold, predicted)


def squad_f1(gold: Sequence[Sequence[str]], predicted: Sequence[str | None]) -> float:
    """Return word F1 after SQuAD's English normaliser: XQuAD, TyDiQA-GoldP."""
    return score_lists(answers.squad_f1(), gold, predicted)


def squad_em_f1(gold: Sequence[Sequence[str]], predicted: Sequence[str | None]) -> float:
    """Return the mean of `squad_em` and `squad_f1`, XTREME's score."""
    return score_lists(answers.squad_em_f1(), gold, predicted)


def squad2_em(gold: Sequence[Sequence[str]], predicted: Sequence[str | None]) -> float:
    """Return exact match of SQuAD v2: no accepted answer asks for the empty text."""
    return score_lists(answers.squad2_em(), gold, predicted)


def squad2_f1(gold: Sequence[Sequence[str]], predicted: Sequence[str | None]) -> float:
    """Return word F1 of SQuAD v2: no accepted answer asks for the empty text."""
    return score_lists(answers.squad2_f1(), gold, predicted)


def mlqa_em(gold: Sequence[Sequence[str]], predicted: Sequence[str | None], language: str) -> float:
    """Return exact match after MLQA's normaliser of the language of context and answer."""
    return score_lists(answers.mlqa_em(language), gold, predicted)


def mlqa_f1(gold: Sequence[Sequence[str]], predicted: Sequence[str | None], language: str) -> float:
    """Return word F1 after MLQA's normaliser of the language of context and answer."""
    return score_lists(answers.mlqa_f1(language), gold, predicted)


def mlqa_em_f1(gold: Sequence[Sequence[str]], predicted: Sequence[str | None], language: str) -> float:
    """Return the mean of `mlqa_em` and `mlqa_f1`, XTREME's score."""
    return score_lists(answers.mlqa_em_f1(language), gold, predicted)


# ---- the right candidate of a query, beside candidates best first


def retrieval_accuracy(gold: Labels, predicted: Sequence[Sequence[Any] | None]) -> float:
    """Return the share of queries whose best candidate is right (Tatoeba)."""
    return score_lists(retrieval.retrieval_accuracy(), gold, predicted)


def mrr(gold: Labels, predicted: Sequence[Sequence[Any] | None]) -> float:
    """Return the mean over queries of 1 / rank of the right candidate, 0 where it is not listed."""
    return score_lists(retrieval.mrr(), gold, predicted)


def recall_at(gold: Labels, predicted: Sequence[Sequence[Any] | None], k: int) -> float:
    """Return the share of queries with the right candidate among the first `k`."""
    return score_lists(retrieval.recall_at(k), gold, predicted)


# ---- pairs of sentences


def bitext_f1(gold: Iterable[bitext.Pair], predicted: Iterable[bitext.Pair]) -> float:
    """Return F1 of ``(source id, target id)`` pairs (BUCC); the two lists need not be as long as each other."""
    return sets.bitext_f1()(bitext.pair_predictions(gold, predicted))

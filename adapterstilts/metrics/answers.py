"""Exact match and F1 of answer texts, as the scripts of SQuAD, SQuAD v2 and MLQA compute them.

Gold is the list of accepted answers, the prediction one text; the best accepted answer counts. A
prediction of None (a missing id) scores 0. Scores are between 0 and 1.

XTREME scores XQuAD and TyDiQA-GoldP with the English normaliser of SQuAD v1.1 in every language
(`squad_em`, `squad_f1`), and MLQA with its own by language (`mlqa_em`, `mlqa_f1`).
"""

from __future__ import annotations

import dataclasses
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from adapterstilts.errors import DataError, Fault, UsageError
from adapterstilts.metrics.build import mean_metric
from adapterstilts.metrics.core import Metric, Prediction

Normalise = Callable[[str], str]

_ENGLISH_ARTICLES = r"\b(?:a|an|the)\b"
_MLQA_ARTICLES = {
    "en": _ENGLISH_ARTICLES,
    "es": r"\b(?:un|una|unos|unas|el|la|los|las)\b",
    "hi": None,
    "vi": r"\b(?:của|là|cái|chiếc|những)\b",
    "de": r"\b(?:ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    # The reference pattern has a second branch that cannot match; what is left removes the article
    # wherever its two letters stand, within words too.
    "ar": "ال",
    "zh": None,
}
_CHINESE = re.compile("([\u4e00-\u9fa5])")


def normalise_squad(text: str) -> str:
    """Lower, drop ASCII punctuation and English articles, squeeze spaces (Rajpurkar et al., 2016)."""
    kept = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(_ENGLISH_ARTICLES, " ", kept).split())


def normalise_mlqa(text: str, language: str) -> str:
    """Lower, drop Unicode punctuation and the language's articles, squeeze spaces (Lewis et al., 2020).

    Chinese is cut into single ideographs (U+4E00 to U+9FA5); other runs of characters stay whole.

    Args:
        text: an answer.
        language: language of the answer, a BCP 47 code of which the first part counts.

    Raises:
        UsageError: MLQA does not have the language.
    """
    code = mlqa_language(language)
    kept = "".join(char for char in text.lower() if not _is_punctuation(char))
    articles = _MLQA_ARTICLES[code]
    if articles is not None:
        kept = re.sub(articles, " ", kept)
    if code == "zh":
        kept = _CHINESE.sub(r" \1 ", kept)
    return " ".join(kept.split())


def mlqa_language(language: str | None) -> str:
    """Return the two-letter code under which MLQA knows the language.

    Raises:
        UsageError: none given, or not one of MLQA's seven.
    """
    code = (language or "").replace("_", "-").split("-")[0].lower()
    if code not in _MLQA_ARTICLES:
        what = f"MLQA has no normaliser for language {language!r}" if language else "MLQA needs the language"
        raise UsageError(Fault("metrics", what, f"one of {', '.join(_MLQA_ARTICLES)}"))
    return code


def token_f1(gold: str, answer: str) -> float:
    """Return F1 of the two bags of words, 0 when they share none (so also when both are empty).

    Args:
        gold: normalised gold answer.
        answer: normalised prediction.
    """
    right, found = gold.split(), answer.split()
    common = sum((Counter(right) & Counter(found)).values())
    return 2 * common / (len(right) + len(found)) if common else 0.0


def squad_em() -> Metric:
    """Return exact match after `normalise_squad`; 1 when both normalise to nothing."""
    return _metric("squad_em", normalise_squad, _same)


def squad_f1() -> Metric:
    """Return word F1 after `normalise_squad`; 0 when both normalise to nothing."""
    return _metric("squad_f1", normalise_squad, token_f1)


def squad_em_f1() -> Metric:
    """Return the mean of `squad_em` and `squad_f1`, XTREME's score of XQuAD and TyDiQA-GoldP."""
    return _metric("squad_em_f1", normalise_squad, _em_f1)


def mlqa_em(language: str | None) -> Metric:
    """Return exact match after `normalise_mlqa`; the language is that of context and answer."""
    code = mlqa_language(language)
    return _metric("mlqa_em", _mlqa(code), _same)


def mlqa_f1(language: str | None) -> Metric:
    """Return word F1 after `normalise_mlqa`; the language is that of context and answer."""
    code = mlqa_language(language)
    return _metric("mlqa_f1", _mlqa(code), token_f1)


def mlqa_em_f1(language: str | None) -> Metric:
    """Return the mean of `mlqa_em` and `mlqa_f1`, XTREME's score of MLQA."""
    code = mlqa_language(language)
    return _metric("mlqa_em_f1", _mlqa(code), _em_f1)


def squad2_em() -> Metric:
    """Return exact match of SQuAD v2: an empty gold list asks for an empty answer."""
    return mean_metric("squad2_em", lambda gold, answer: _best_squad2(gold, answer, _same))


def squad2_f1() -> Metric:
    """Return word F1 of SQuAD v2, where no answer beside no answer is 1 (Rajpurkar et al., 2018).

    The reference script leaves missing ids out of the mean; here they score 0, as in its v1.1.
    """

    def f1(gold: str, answer: str) -> float:
        return token_f1(gold, answer) if gold and answer else _same(gold, answer)

    return mean_metric("squad2_f1", lambda gold, answer: _best_squad2(gold, answer, f1))


def veiled(predictions: Iterable[Prediction], metric: str, language: str) -> list[Prediction]:
    """Return predictions whose words are numbered within each example: the metric's score is the same, no word is left.

    Args:
        predictions: gold texts and a text.
        metric: name of the score that has to stay; it says which words are the same.
        language: language of the answers.
    """
    code = mlqa_language(language) if metric.startswith("mlqa") else None
    return [_veiled(one, normalise_squad if code is None else _mlqa(code)) for one in predictions]


def _veiled(prediction: Prediction, normalise: Normalise) -> Prediction:
    numbers: dict[str, str] = {}

    def veil(text: str) -> str:
        # No normaliser changes such a word, or drops it as an article.
        return " ".join(numbers.setdefault(word, f"w{len(numbers)}") for word in normalise(text).split())

    gold = None if prediction.gold is None else [veil(text) for text in _texts(prediction.gold)]
    answer = None if prediction.prediction is None else veil(prediction.prediction)
    return dataclasses.replace(prediction, gold=gold, prediction=answer)


def _mlqa(code: str) -> Normalise:
    return lambda text: normalise_mlqa(text, code)


def _metric(name: str, normalise: Normalise, compare: Callable[[str, str], float]) -> Metric:
    def best(golds: Any, answer: str) -> float:
        texts = _texts(golds)
        if not texts:
            remedy = "score unanswerable questions with squad2_em and squad2_f1"
            raise DataError(Fault(name, "a question has no accepted answer", remedy))
        answer = normalise(answer)
        return max(compare(normalise(gold), answer) for gold in texts)

    return mean_metric(name, best)


def _best_squad2(golds: Any, answer: str, compare: Callable[[str, str], float]) -> float:
    # As the reference: accepted answers that normalise to nothing count only when there are no others.
    texts = [text for text in map(normalise_squad, _texts(golds)) if text] or [""]
    return max(compare(text, normalise_squad(answer)) for text in texts)


def _texts(golds: Any) -> Sequence[str]:
    return (golds,) if isinstance(golds, str) else tuple(golds)


def _same(gold: str, answer: str) -> float:
    return float(gold == answer)


def _em_f1(gold: str, answer: str) -> float:
    return (_same(gold, answer) + token_f1(gold, answer)) / 2


def _is_punctuation(char: str) -> bool:
    # ASCII's list holds symbols ($ + < = > ^ ` | ~) that Unicode files elsewhere.
    return char in string.punctuation or unicodedata.category(char).startswith("P")

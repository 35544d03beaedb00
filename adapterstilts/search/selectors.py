"""How promising an adapter looks for a target, from numbers alone: centroids, evidence of a linear model, neighbours.

Every selector is higher for what looks better; values of different selectors have nothing in common.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROUNDS = 100
_TOLERANCE = 1e-3
_NEIGHBOURS = 5


def centroid_similarity(first: Floats, second: Floats) -> float:
    """Return the cosine of two mean vectors (Vu et al. 2020; Poth et al. 2021 call it SEmb).

    Args:
        first: ``(examples, hidden)``, of one task's texts.
        second: the same of the other's.
    """
    one, other = first.mean(0), second.mean(0)
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12))


def logme(features: Floats, answers: Floats) -> float:
    """Return the log evidence of a Bayesian linear model, for one example and one column of answers (You et al. 2021).

    Prior and noise are those of highest evidence, found by fixed-point iteration (You et al. 2022).

    Args:
        features: ``(examples, hidden)``.
        answers: ``(examples, columns)``; of classes one column each, 1 for the examples of the class.
    """
    left, values, _ = np.linalg.svd(features, full_matrices=False)
    squares = values**2
    return float(np.mean([_evidence(left, squares, column, features.shape[1]) for column in answers.T]))


def _evidence(left: Floats, squares: Floats, answers: Floats, width: int) -> float:
    """Return the evidence for one column; `left` and `squares` are of the features' singular values."""
    count = len(answers)
    inside = (left.T @ answers) ** 2
    outside = max(float(answers @ answers - inside.sum()), 0.0)
    prior = noise = 1.0
    for _ in range(_ROUNDS):
        ratio = prior / noise
        used = float((squares / (squares + ratio)).sum())
        weight = float((squares * inside / (squares + ratio) ** 2).sum())
        rest = float((inside / (1 + squares / ratio) ** 2).sum()) + outside
        prior, noise = used / max(weight, 1e-12), max(count - used, 1e-6) / max(rest, 1e-12)
        if abs(prior / noise - ratio) <= _TOLERANCE * ratio:
            break
    spread = float(np.log(prior + noise * squares).sum()) + (width - len(squares)) * math.log(prior)
    terms = width * math.log(prior) + count * math.log(noise) - spread
    fit = noise * rest + prior * weight + count * math.log(2 * math.pi)
    return 0.5 * (terms - fit) / count


def neighbours(features: Floats, answers: Floats, *, classes: bool) -> float:
    """Return how well each example's nearest others answer for it.

    Args:
        features: ``(examples, hidden)``; neighbours are near by cosine.
        answers: ``(examples, columns)``.
        classes: whether the answer is the column with the highest mean; the score is then the accuracy, else the
            negative mean squared error.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    count = min(_NEIGHBOURS, len(features) - 1)
    places = np.argpartition(-near, count - 1, axis=1)[:, :count]
    told = answers[places].mean(1)
    if classes:
        return float((told.argmax(1) == answers.argmax(1)).mean())
    return -float(((told - answers) ** 2).mean())

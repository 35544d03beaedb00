"""Selectors, against what is known of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adapterstilts.search.selectors import centroid_similarity, logme, neighbours


def made(spread: float, *, count: int = 120, width: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return features of three classes, the more apart the smaller the spread, and one column a class."""
    chance = np.random.default_rng(3)
    classes = np.arange(count) % 3
    centres = chance.normal(size=(3, width))
    return centres[classes] + spread * chance.normal(size=(count, width)), np.eye(3)[classes]


def evidence_by_grid(features: np.ndarray, answers: np.ndarray) -> float:
    """Return the highest log evidence an example, from the Gaussian of the answers itself."""
    count = len(answers)
    best = -math.inf
    for prior in np.geomspace(1e-3, 1e3, 61):
        for noise in np.geomspace(1e-2, 1e3, 51):
            covariance = np.eye(count) / noise + features @ features.T / prior
            _, logdet = np.linalg.slogdet(covariance)
            value = -0.5 * (
                count * math.log(2 * math.pi) + logdet + answers @ np.linalg.solve(covariance, answers)
            )
            best = max(best, value / count)
    return best


@pytest.mark.parametrize("width", [5, 40])
def test_logme_is_the_highest_evidence_of_a_linear_model(width: int) -> None:
    features, answers = made(0.8, count=24, width=width)
    column = answers[:, :1]
    exact = evidence_by_grid(features, column[:, 0])
    assert logme(features, column) == pytest.approx(exact, abs=0.01)


def test_what_tells_classes_apart_has_more_evidence_and_better_neighbours() -> None:
    clear, answers = made(0.3)
    blurred, _ = made(3.0)
    assert logme(clear, answers) > logme(blurred, answers) + 0.1
    assert neighbours(clear, answers, classes=True) > neighbours(blurred, answers, classes=True) + 0.2


def test_neighbours_leave_the_example_itself_out() -> None:
    features = np.array([[1.0, 0.0], [0.99, 0.01], [0.0, 1.0], [0.01, 0.99]])
    assert neighbours(features, np.eye(4), classes=True) == 0.0
    same = np.array([[1.0], [1.0], [1.0], [1.0]])
    assert neighbours(features, same, classes=False) == 0.0


def test_similarity_is_the_cosine_of_the_means() -> None:
    one = np.array([[2.0, 0.0], [0.0, 2.0]])
    other = np.array([[3.0, 0.0]])
    assert centroid_similarity(one, one) == pytest.approx(1.0)
    assert centroid_similarity(one, other) == pytest.approx(math.sqrt(0.5))

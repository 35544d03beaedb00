"""Overlaps that are known of real data sets, found again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from adapterstilts.data.load import load_split
from adapterstilts.data.overlap import overlap, without_overlap
from adapterstilts.data.rows import Row, TaggingRow
from adapterstilts.data.sources import DataRoots
from adapterstilts.tasks import catalogue

pytestmark = pytest.mark.real_data

PROJECT = Path(__file__).resolve().parents[2]

Load = Callable[[str, str, str], tuple[Row, ...]]


@pytest.fixture(scope="module")
def load() -> Load:
    folder = Path(os.environ.get("ADAPTERSTILTS_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set ADAPTERSTILTS_TEST_DATA to the folder of the data sets")
    roots = DataRoots(recipe=PROJECT, data=folder)
    return lambda task, language, split: load_split(catalogue.get(task), language, split, roots).rows


def _long(rows: tuple[Row, ...]) -> list[Row]:
    """Return the sentences of eight tokens or more, each once."""
    distinct = {row.tokens: row for row in rows if isinstance(row, TaggingRow) and len(row.tokens) >= 8}
    return list(distinct.values())


@pytest.mark.parametrize(
    ("split", "met"),
    [
        # The two corpora part some tokens otherwise: a third of the sentences shows without spaces only.
        ("test", {"exact": 187, "normalised": 225, "ngram": 232, "ids": 0}),
        ("validation", {"exact": 22, "normalised": 26, "ngram": 33, "ids": 0}),
    ],
)
def test_spanish_e3c_sentences_are_pharmaconer_sentences(load: Load, split: str, met: dict[str, int]) -> None:
    test = _long(load("e3c", "es", "test"))
    assert len(test) == 618
    assert overlap(_long(load("pharmaconer", "es", split)), test).met == met


def test_e3c_without_pharmaconer_is_apart_from_it(load: Load) -> None:
    e3c, pharmaconer = load("e3c", "es", "train"), load("pharmaconer", "es", "test")
    kept, removed = without_overlap(e3c, pharmaconer)
    assert (len(kept), removed) == (385, 70)
    assert overlap(kept, pharmaconer).met["normalised"] == 0


@pytest.mark.parametrize(
    ("task", "language", "split"),
    [
        ("xnli-files", "en", "test"),
        ("xnli-files", "th", "test"),
        ("copa", "en", "train"),
        ("xquad-files", "zh", "test"),
    ],
)
def test_a_split_meets_all_of_itself(load: Load, task: str, language: str, split: str) -> None:
    rows = load(task, language, split)
    met = overlap(rows, rows).met
    assert (met["exact"], met["normalised"], met["ngram"]) == (len(rows),) * 3
    assert without_overlap(rows, rows) == ((), len(rows))


def test_a_translation_shows_by_ids_that_the_data_gave(load: Load) -> None:
    english, spanish = load("xquad-files", "en", "test"), load("xquad-files", "es", "test")
    # The passages of 45 questions share eight words: names.
    assert overlap(english, spanish).met == {"exact": 0, "normalised": 0, "ngram": 45, "ids": 1190}


def test_running_numbers_do_not_show_a_translation(load: Load) -> None:
    """Both are the same exams, but their ids begin again in each; only questions that are all numbers show."""
    english, spanish = load("headqa", "en", "validation"), load("headqa", "es", "validation")
    assert [row.id for row in english] == [row.id for row in spanish]
    assert overlap(english, spanish).met == {"exact": 0, "normalised": 0, "ngram": 35, "ids": 0}


@pytest.mark.parametrize(
    ("task", "language", "training", "met"),
    [
        ("tweet-hate", "en", "train", {"exact": 231, "normalised": 246, "ngram": 382}),
        ("umsab-files", "fr", "train", {"exact": 2, "normalised": 11, "ngram": 102}),
        ("afrisenti", "pcm", "validation", {"exact": 256, "normalised": 256, "ngram": 271}),
        ("panx-files", "en", "train", {"exact": 325, "normalised": 342, "ngram": 375}),
        ("copa", "th", "validation", {"exact": 0, "normalised": 0, "ngram": 0}),
        ("pubmedqa", "en", "train", {"exact": 0, "normalised": 0, "ngram": 47}),
    ],
)
def test_overlaps_inside_a_data_set(
    load: Load, task: str, language: str, training: str, met: dict[str, int]
) -> None:
    found = overlap(load(task, language, training), load(task, language, "test"))
    assert found.met == {**met, "ids": 0}


def test_portions_of_passages_share_no_passage(load: Load) -> None:
    """Papers of one journal share its notices, so n-grams tell nothing about whole papers."""
    found = overlap(load("covid-qa", "en", "train"), load("covid-qa", "en", "validation"))
    assert (found.rows, found.met["exact"], found.met["normalised"]) == (412, 0, 0)
    assert found.met["ngram"] == 356

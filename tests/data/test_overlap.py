"""Test text that was met in training: each level, each shape of row, and removal."""

from __future__ import annotations

import random
import weakref
from collections.abc import Iterator, Sequence
from itertools import groupby

import pytest

import adapterstilts.data.overlap as package
from adapterstilts.data.overlap import EXAMPLES, LEVELS, Level, Overlap, overlap, without_overlap
from adapterstilts.data.overlap.identity import own_id, texts_of
from adapterstilts.data.overlap.ngrams import NgramIndex
from adapterstilts.data.overlap.words import words_of
from adapterstilts.data.rows import ChoiceRow, PairRow, Row, SpanRow, TaggingRow, TextRow
from adapterstilts.errors import UsageError

EIGHT = "one two three four five six seven eight"


def rows_of(*texts: str) -> list[TextRow]:
    return [TextRow(str(number), text) for number, text in enumerate(texts)]


def levels(training: str, test: str) -> set[Level]:
    """Return the levels at which one text meets another."""
    found = overlap(rows_of(training), rows_of(test))
    return {level for level in LEVELS if found.met[level]}


TEXT: set[Level] = {"exact", "normalised", "ngram"}
FORM: set[Level] = {"normalised", "ngram"}
PART: set[Level] = {"ngram"}


@pytest.mark.parametrize(
    ("training", "test", "expected"),
    [
        ("Take two daily.", "Take two daily.", TEXT),
        ("Take two daily.", "take TWO daily", FORM),
        ("Take two daily.", "Take two dai-ly .", FORM),
        ("x", "y", set()),
        ("Strasse ﬁn Ａ１", "straße fin a1", FORM),
        ("caf\u00e9", "cafe\u0301", FORM),
        ("caf\u00e9", "cafe", set()),
        ("می\u200cخواهم", "میخواهم", FORM),
        ("हिन्दी में", "हिन्दी, में", FORM),
        ("की", "का", set()),
        ("में", "मे", set()),
        ("good \U0001f602", "Good \U0001f62d", FORM),
        (f"before {EIGHT} after", f"Something else: {EIGHT.upper()}!", PART),
        (f"before {EIGHT}", EIGHT.replace("five", "fife"), set()),
        (EIGHT[4:], f"before {EIGHT} after", set()),
        (f"before {EIGHT} after", EIGHT[4:], set()),
        ("foot ball", "football", FORM),
    ],
)
def test_levels(training: str, test: str, expected: set[Level]) -> None:
    assert levels(training, test) == expected


@pytest.mark.parametrize("symbol", ["!!!", "\U0001f602", "\u2764\ufe0f", ":-)"])
def test_a_text_without_words_is_met_as_it_is_and_no_other(symbol: str) -> None:
    assert levels(symbol, symbol) == TEXT
    assert levels(symbol, "\U0001f44d\ufe0f") == set()


@pytest.mark.parametrize(("first", "length"), [("一", 16), ("あ", 16), ("ก", 32), ("က", 32)])
def test_characters_are_the_words_of_scripts_without_spaces(first: str, length: int) -> None:
    script = "".join(chr(ord(first) + number) for number in range(length))
    assert levels(f"a {script}b", f"c{script} d") == PART
    assert levels(f"a {script[:-1]}b", f"c{script[:-1]} d") == set()


def test_a_mixed_text_has_ngrams_of_the_weight_of_eight_words() -> None:
    mixed = (
        "東京 one 大阪 two 京都 three 神戸 four 奈良 five six"  # 10 characters and 6 words: 11 words' weight
    )
    assert levels(f"a {mixed} b", f"c {mixed} d") == PART
    light = "one two three four five six 東京"  # 8 units, but 7 words' weight
    assert levels(f"a {light} b", f"c {light} d") == set()


def test_ngrams_of_different_scripts_are_told_apart() -> None:
    characters = "".join(chr(ord("一") + number) for number in range(16))
    found = overlap(rows_of(f"{EIGHT} nine"), rows_of(EIGHT, characters))
    assert (found.met["ngram"], found.examples["ngram"]) == (1, ("0",))


def test_a_word_that_follows_itself_counts_once() -> None:
    assert levels("user " * 20 + "a", "user " * 20 + "b") == set()
    twice = EIGHT.replace("two", "two two two")
    assert levels(f"a {twice} b", f"c {EIGHT} d") == PART


def test_no_ngram_goes_from_one_text_to_the_next() -> None:
    half, other = EIGHT[:18], EIGHT[19:]
    assert f"{half} {other}" == EIGHT
    found = overlap(rows_of(EIGHT), rows_of(half, other))
    assert found.met["ngram"] == 0
    assert overlap(rows_of(half, other), rows_of(EIGHT)).met["ngram"] == 0


def _grams(text: str) -> set[tuple[str, ...]]:
    words = [word for word, _ in groupby(words_of(text))]
    return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}


def test_the_index_finds_what_comparing_all_ngrams_finds() -> None:
    chance = random.Random(0)
    texts = [" ".join(chance.choices("abc", k=chance.randrange(20))) + f" {n}" for n in range(120)]
    known, looked_up = texts[:60], texts[60:]
    index = NgramIndex({text: words_of(text) for text in known})
    here, there = index.find({text: words_of(text) for text in looked_up})
    assert here == {one for one in looked_up if any(_grams(one) & _grams(other) for other in known)}
    assert there == {one for one in known if any(_grams(one) & _grams(other) for other in looked_up)}
    assert 0 < len(here) < 60
    assert 0 < len(there) < 60


# ---- rows


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        (TextRow("0", "a"), ("a",)),
        (TextRow("0", "a", "b", "x"), ("a b",)),
        (ChoiceRow("0", "c", ("x", "y"), 1), ("c x y",)),
        (TaggingRow("0", ("a", "b"), ("O", "O")), ("a b",)),
        (SpanRow("0", "which?", "passage", ((0, "p"),)), ("passage",)),
        (PairRow("0", "s", "t"), ("s", "t")),
        (PairRow("0", "s", None), ("s",)),  # type: ignore[arg-type,unused-ignore]
        (PairRow("0", None, "t"), ("t",)),  # type: ignore[arg-type,unused-ignore]
    ],
)
def test_texts_of_each_shape(row: Row, texts: tuple[str, ...]) -> None:
    assert texts_of(row) == texts


def test_rows_of_different_shapes_meet() -> None:
    training: list[Row] = [TaggingRow("0", ("The", "dose", "."))]
    test: list[Row] = [
        TextRow("a", "The dose ."),
        SpanRow("b", "what?", "the dose", None),
        PairRow("c", "x", "dose"),
    ]
    found = overlap(training, test)
    assert found.met == {"exact": 1, "normalised": 2, "ngram": 2, "ids": 0}
    assert found.examples["normalised"] == ("a", "b")
    assert overlap([PairRow("0", "une dose", "a dose")], [TextRow("a", "A dose!")]).met["normalised"] == 1


def test_every_test_row_counts_and_the_first_are_named() -> None:
    test = [TextRow(f"row {number}", "same") for number in range(EXAMPLES + 2)] + [TextRow("last", "other")]
    found = overlap(rows_of("same", "same"), test)
    assert (found.rows, found.met["exact"]) == (EXAMPLES + 3, EXAMPLES + 2)
    assert found.share("exact") == (EXAMPLES + 2) / (EXAMPLES + 3)
    assert found.examples["exact"] == tuple(f"row {number}" for number in range(EXAMPLES))


def test_no_text_is_kept() -> None:
    assert "secret" not in repr(overlap(rows_of("the secret"), rows_of("the secret")))


def test_nothing_meets_nothing() -> None:
    nothing = Overlap(0, dict.fromkeys(LEVELS, 0), dict.fromkeys(LEVELS, ()))
    assert overlap(rows_of("a"), []) == nothing
    assert nothing.share("exact") == 0.0
    assert overlap([], rows_of("a", EIGHT)).met == dict.fromkeys(LEVELS, 0)


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ("56be4db0acb8001400a502ec", "56be4db0acb8001400a502ec"),
        ("10808977", "10808977"),
        ("n01001011", "n01001011"),
        ("2:10808977", "10808977"),
        ("10808977#2", None),
        ("7", None),
        ("2:392702", None),
        ("1234567", None),
        ("test-s123", None),
        ("conversations-3-1", None),
        ("👍", None),
    ],
)
def test_only_ids_that_mean_something_elsewhere_count(given: str, own: str | None) -> None:
    assert own_id(TextRow(given, "text")) == own
    met = overlap([TextRow(given, "a text")], [TextRow(given, "its translation")]).met
    assert met == {"exact": 0, "normalised": 0, "ngram": 0, "ids": 0 if own is None else 1}


# ---- portions


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "_CHARACTERS", 1)


def _mixed(count: int, seed: int) -> list[TextRow]:
    chance = random.Random(seed)
    words = EIGHT.split()
    return rows_of(*(" ".join(chance.choices(words, k=chance.choice((2, 3, 30)))) for _ in range(count)))


def test_the_result_does_not_depend_on_portions(request: pytest.FixtureRequest) -> None:
    training, test = _mixed(300, seed=1), _mixed(60, seed=2)
    found = overlap(training, test), without_overlap(training, test, "ngram")
    assert 0 < found[0].met["exact"] < found[0].met["ngram"] < 60
    request.getfixturevalue("one_by_one")
    assert (overlap(training, test), without_overlap(training, test, "ngram")) == found


def test_training_rows_are_let_go(one_by_one: None) -> None:
    alive: weakref.WeakSet[TextRow] = weakref.WeakSet()
    most = 0

    def draw() -> Iterator[TextRow]:
        nonlocal most
        for number in range(50):
            row = TextRow(str(number), f"text {number}")
            alive.add(row)
            most = max(most, len(alive))
            yield row
            del row

    assert overlap(draw(), rows_of("text 7")).met["exact"] == 1
    assert most < 5


# ---- removal


def _left(level: Level, training: Sequence[str], *tests: str) -> tuple[list[str], int]:
    kept, removed = without_overlap(iter(rows_of(*training)), iter(rows_of(*tests)), level)
    return [row.text for row in kept], removed


def test_rows_that_meet_a_test_row_are_removed_at_the_asked_level() -> None:
    training = ["b", "Test text", "test text!", f"x {EIGHT} y", "a", "Test text"]
    tests = ("Test text", f"z {EIGHT}")
    assert _left("exact", training, *tests) == (["b", "test text!", f"x {EIGHT} y", "a"], 2)
    assert _left("normalised", training, *tests) == (["b", f"x {EIGHT} y", "a"], 3)
    assert _left("ngram", training, *tests) == (["b", "a"], 4)
    assert _left("ids", training, *tests) == (training, 0)
    assert without_overlap(rows_of(*training), rows_of(*tests)) == without_overlap(
        rows_of(*training), rows_of(*tests), "normalised"
    )


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_is_left_to_meet_after_removal(level: Level) -> None:
    training, test = _mixed(300, seed=1), _mixed(60, seed=2)
    training += [TextRow(f"tweet-{number:08}", f"tweet {number}") for number in range(30)]
    test += [TextRow(f"tweet-{number:08}", f"other {number}") for number in range(20, 40)]
    kept, removed = without_overlap(training, test, level)
    assert removed == len(training) - len(kept) > 0
    assert list(kept) == [row for row in training if row in set(kept)]
    assert overlap(training, test).met[level] > overlap(kept, test).met[level] == 0


def test_a_level_that_is_none() -> None:
    with pytest.raises(UsageError, match="'ngrams' is not a level; did you mean 'ngram'"):
        without_overlap([], [], "ngrams")  # type: ignore[arg-type]

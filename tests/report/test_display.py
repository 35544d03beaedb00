from __future__ import annotations

import pytest

from adapterstilts.metrics.intervals import Interval
from adapterstilts.report import display
from adapterstilts.report.table import Target


def target(**changes: object) -> Target:
    fields: dict[str, object] = {
        "name": "xnli",
        "task": "xnli",
        "split": "test",
        "domain": "general",
        "source": "mnli",
        "setting": "",
        "select_on": "",
        "metric": "accuracy",
        "higher_is_better": True,
        "scale": 100.0,
        "languages": ("en",),
    }
    return Target(**{**fields, **changes})  # type: ignore[arg-type]


POINTS = target()
RAW = target(metric="rmse", scale=1.0, higher_is_better=False)


def test_points_have_one_decimal_and_other_units_three():
    assert display.score_text(0.71549, POINTS) == "71.5"
    assert display.score_text(0.71549, RAW) == "0.715"


@pytest.mark.parametrize(
    ("gain", "text"), [(0.0123, "+1.2"), (-0.0123, "-1.2"), (0.0, "0.0"), (-0.0004, "0.0"), (0.0004, "0.0")]
)
def test_a_gain_has_a_sign_unless_it_shows_as_zero(gain, text):
    assert display.gain_text(gain, POINTS) == text


def test_bounds_of_scores_have_no_sign():
    interval = Interval(0.5, 0.4, 0.6, 0.95, ("examples",))

    assert display.bounds_text(interval, POINTS, signed=False) == "[40.0, 60.0]"
    assert display.bounds_text(interval, POINTS, signed=True) == "[+40.0, +60.0]"


def test_a_metric_says_when_lower_is_better():
    assert display.metric_text(POINTS) == "accuracy"
    assert display.metric_text(RAW) == "rmse, lower is better"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (950, "950"),
        (999, "999"),
        (1000, "1 k"),
        (999_600, "1 M"),
        (1_250_000, "1.25 M"),
        (277_999_999, "278 M"),
        (3_480_000_000, "3.48 G"),
    ],
)
def test_counts_have_three_digits_and_a_unit(count, text):
    assert display.count_text(count) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "-"), (2**19, "512.0 KiB"), (2**28, "256.0 MiB"), (3 * 2**29, "1.5 GiB")]
)
def test_sizes(size, text):
    assert display.bytes_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (42.4, "42 s"),
        (59.6, "1 min 0 s"),
        (723, "12 min 3 s"),
        (7500, "2 h 5 min"),
        (3599.7, "1 h 0 min"),
    ],
)
def test_times(seconds, text):
    assert display.seconds_text(seconds) == text


def test_superscripts():
    assert display.superscript(10) == "¹⁰"


def test_names_break_after_commas_and_brackets_and_keep_their_characters():
    name = "stack(average(dialogue-reply, emoji-alias), target)"

    lines = display.wrap_name(name, 30)

    assert lines == ["stack(average(dialogue-reply,", "emoji-alias), target)"]
    assert " ".join(lines) == name


def test_a_name_that_fits_is_one_line():
    assert display.wrap_name("fuse(mnli, squad, target)", 25) == ["fuse(mnli, squad, target)"]


def test_a_part_too_long_is_broken_after_hyphens():
    lines = display.wrap_name("stack(a-task-with-a-very-long-name, target)", 16)

    assert max(map(len, lines)) <= 16
    assert "".join(lines) == "stack(a-task-with-a-very-long-name,target)"

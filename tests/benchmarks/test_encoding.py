"""The benchmark of encoding: real texts or none, equal work on both sides, and a result for people and programs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from handmade import splitting_tokenizer

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PROJECT)
    return importlib.import_module("benchmarks.encoding")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, lines in (("umsab/english", "ba ko\n\n ri mu \n"), ("tweeteval/irony", "tan\nba ko\n")):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "train_text.txt").write_text(lines, encoding="utf-8")
        (folder / "train_labels.txt").write_text("0\n1\n", encoding="utf-8")
    return tmp_path


def test_no_tweet_occurs_twice(benchmark: Any, data: Path) -> None:
    assert benchmark.tweets(data, 2) == ["tan", "ba ko"]
    assert benchmark.tweets(data, 8) == [
        *("tan", "ba ko", "ri mu"),
        *("tan 1", "ba ko 1", "ri mu 1"),
        *("tan 2", "ba ko 2"),
    ]


def test_both_ways_give_the_same_subwords(benchmark: Any, data: Path) -> None:
    result = benchmark.measure(benchmark.tweets(data, 2500), splitting_tokenizer(), 2)
    assert (result.texts, result.repetitions) == (2500, 2)
    # The first pass has 3 + 4 + 4 subwords; what stands for a number is a piece and an unknown one.
    expected = 11 * (2500 // 3) + 3 + 2 * (2500 - 3)
    assert result.subwords == expected
    assert result.usual_megabytes >= 2500 * 128 * 8 * 2 / 1e6
    assert 0.02 < result.megabytes < 1
    assert result.ratio == pytest.approx(result.usual / result.tokenising)
    assert result.rate == pytest.approx(2500 / (result.tokenising + result.saving))
    assert min(result.tokenising, result.saving, result.loading, result.usual) > 0


def test_unequal_work_is_no_comparison(benchmark: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "_usual_way", lambda texts, tokenizer: (7, 0))
    assert benchmark_fault(benchmark, data) == "11 subwords in one way, 7 in the other"


def test_a_disk_that_takes_nothing_is_said(
    benchmark: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark.files, "save", lambda encoded, folder: None)
    assert benchmark_fault(benchmark, data) == "what was saved did not come back"


def benchmark_fault(benchmark: Any, data: Path) -> str:
    with pytest.raises(benchmark.DataError) as caught:
        benchmark.measure(benchmark.tweets(data, 3), splitting_tokenizer(), 1)
    return str(caught.value.faults[0].what)


def run(benchmark: Any, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(benchmark, "load_tokenizer", lambda model: splitting_tokenizer())
    return int(benchmark.main(arguments))


def test_the_page_says_what_was_measured(
    benchmark: Any, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(benchmark, monkeypatch, "--data", str(data), "--texts", "1200", "--repetitions", "1") == 0
    text = capsys.readouterr().out
    for part in ("1,200 tweets", "median of 1", "cores, load", "tokenising", "loading, mapped", "tweets/s"):
        assert part in text


def test_a_program_gets_one_object(
    benchmark: Any, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ADAPTERSTILTS_TEST_DATA", str(data))
    out = tmp_path / "results" / "encoding.json"
    assert run(benchmark, monkeypatch, "--texts", "3", "--repetitions", "1", "--out", str(out)) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["benchmark"] == "encoding"
    assert set(found["ratios"]) == {"texts_per_s", "vs_usual"}
    assert found["ratios"]["texts_per_s"] > 0
    assert (found["result"]["texts"], found["result"]["subwords"]) == (3, 11)


def test_without_data_it_says_what_to_set(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(benchmark, monkeypatch, "--data", str(tmp_path)) == 3
    streams = capsys.readouterr()
    assert streams.out == ""
    assert f"{tmp_path}: holds no tweets" in streams.err
    assert "set ADAPTERSTILTS_TEST_DATA or --data" in streams.err

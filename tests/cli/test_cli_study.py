"""Studies on the command line: what is printed, what is drawn, and every exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import studies
from conftest import Answer, Command

pytestmark = pytest.mark.usefixtures("home", "_keep_signals")


@pytest.fixture(scope="module")
def finished(
    backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[object, ...]]:
    """A recipe whose study was run, and the options that it was run with."""
    from adapterstilts.cli import main

    folder = tmp_path_factory.mktemp("study")
    search = "  objectives: [score, parameters]\n  tune: false"
    recipe = studies.write_recipe(folder, backbone_folder, trials=5, search=search)
    options = ("--store", folder / "store", "--out", folder / "out", "--threads", 1)
    assert main.run(["recipe", "run", str(recipe), *map(str, options)]) == 0
    return recipe, options


def test_a_study_is_run_joined_and_told(finished: tuple[Path, tuple[object, ...]], cli: Command) -> None:
    recipe, options = finished
    again = cli("recipe", "run", recipe, *options)
    assert again.code == 0
    assert "nothing to do: every stage is in the store" in again.out
    more = cli("recipe", "run", recipe, "search.trials=6", *options, "--json")
    assert more.code == 0
    assert more.json["recipe"] == "tiny"
    (line,) = [line for line in more.err.splitlines() if line.startswith("trial ")]
    assert line.startswith("trial 5: ")
    assert "; best " in line


def test_studies_are_listed_and_shown(finished: tuple[Path, tuple[object, ...]], cli: Command) -> None:
    _, options = finished
    store = options[:2]
    listed = cli("study", "ls", *store)
    assert listed.code == 0
    assert listed.out.splitlines()[0].split() == ["STUDY", "TARGET", "TRIALS", "BEST", "OF"]
    assert "tiny" in listed.out and "topics" in listed.out and "complete" in listed.out
    shown = cli("study", "show", "tiny", *store)
    assert shown.out.splitlines()[0].split() == ["TRIAL", "STATE", "SCORE", "PARAMETERS", "TIME", "WHAT"]
    assert any(line.startswith("0") and "stack(reply, target)" in line for line in shown.out.splitlines())
    data = cli("study", "show", "tiny", *store, "--json").json
    assert data["target"] == "topics"
    assert data["best"] in data["front"]
    marked = {int(line.split("*")[0]) for line in shown.out.splitlines() if "*" in line.split(" ")[0]}
    assert marked == set(data["front"])
    assert cli("study", "ls", *store, "--json").json[0]["trials"] == data["trials"]


def test_a_study_is_drawn(finished: tuple[Path, tuple[object, ...]], cli: Command, tmp_path: Path) -> None:
    _, options = finished
    done = cli("study", "plot", "tiny", *options[:2], "--out", tmp_path / "plots")
    assert done.code == 0
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {"history-tiny.png", "importance-tiny.svg", "front-tiny-parameters.png"} <= names
    assert all((tmp_path / "plots" / name).stat().st_size > 1000 for name in names)


def test_adapters_are_ranked(finished: tuple[Path, tuple[object, ...]], cli: Command) -> None:
    recipe, options = finished
    done = cli("study", "rank", recipe, "--by", "size", "--by", "similarity", *options)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "topics, by size:"
    assert lines[1].split() == ["ADAPTER", "SIZE", "SIMILARITY"]
    assert [line.split()[0] for line in lines[2:]] == ["pairs", "reply"]
    data = cli("study", "rank", recipe, "--by", "size", *options, "--json").json
    assert data == {"topics": {"size": {"reply": 24.0, "pairs": 40.0}}}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("study", "show", "tinny"), 2, "there is no study 'tinny'; did you mean 'tiny'?"),
        (("study", "ls", "--storage", "nowhere"), 2, "'nowhere' is no storage"),
        (("study", "ls", "--storage", "postgresql://me@127.0.0.1:9/none"), 6, "the study's storage failed"),
        (("study", "rank", "RECIPE", "--by", "luck"), 2, "'luck' is not a selector"),
        (("recipe", "run", "RECIPE", "search.over.adapters=1"), 2, "search.over.adapters: 2, now 1"),
        (
            ("recipe", "check", "RECIPE", "search.pool=[nobody]"),
            2,
            "'nobody' is not an adapter of this recipe",
        ),
        (
            ("recipe", "check", "RECIPE", "search.pruner=median"),
            2,
            "trials of several objectives cannot be ended early",
        ),
    ],
)
def test_what_is_wrong_has_its_exit_code(
    words: tuple[str, ...], code: int, said: str, finished: tuple[Path, tuple[object, ...]], cli: Command
) -> None:
    recipe, options = finished
    needed: tuple[Any, ...] = options if "RECIPE" in words else options[:2]
    answer: Answer = cli(*(recipe if word == "RECIPE" else word for word in words), *needed)
    assert answer.code == code
    assert said in answer.err


def test_all_trials_failed_is_5_and_some_is_0(
    backbone_folder: Path, tmp_path: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapterstilts.stages import STAGES

    def broken(stage: Any, context: Any, workspace: Path) -> dict[str, Any]:
        raise ValueError("no fusion today")

    monkeypatch.setitem(STAGES, "train_fusion", broken)  # type: ignore[arg-type]
    for compositions, code in (("[fuse]", 5), ("[stack, fuse]", 0)):
        folder = tmp_path / str(code)
        recipe = studies.write_recipe(
            folder, backbone_folder, trials=8, compositions=compositions, search="  tune: false"
        )
        answer = cli(
            "recipe", "run", recipe, "--store", folder / "store", "--out", folder / "out", "--threads", 1
        )
        assert answer.code == code
        assert "failed: ValueError: no fusion today" in answer.err

"""Every command of the README is run, here or by CI; the documented recipe loads; the reference is up to date."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from adapterstilts.cli.main import run
from adapterstilts.recipe.load import load
from adapterstilts.recipe.reference import reference
from adapterstilts.recipe.yaml_text import read_yaml

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
# These train; CI runs the same commands on the quickstart.
IN_CI = ("recipe run", "report quickstart")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("  #")[0].strip() for block in blocks(README, "bash") for line in block.splitlines()]
    return [line for line in lines if line.startswith("adapterstilts")]


def test_ci_runs_the_two_commands_word_for_word() -> None:
    two = [block.strip() for block in blocks(README, "bash") if block.startswith("python3")]
    script = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    assert len(two) == 2
    for command in two:
        assert command in script


def test_the_other_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAPTERSTILTS_STORE", str(tmp_path / "store"))
    tried = [command for command in commands() if not any(part in command for part in IN_CI)]
    assert len(tried) >= 8
    for command in tried:
        assert run(shlex.split(command)[1:]) == 0, command


def test_commands_left_to_ci_are_there() -> None:
    script = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    for part in IN_CI:
        assert any(part in command for command in commands())
        assert f"adapterstilts {part}" in script


def test_the_reference_is_generated_from_the_schema() -> None:
    assert (PROJECT / "docs" / "reference.md").read_text(encoding="utf-8") == reference()


def test_the_section_of_the_page_about_studies_is_sound(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "studies.md").read_text(encoding="utf-8")
    (block,) = blocks(page, "yaml")
    study = (PROJECT / "recipes" / "study.yaml").read_text(encoding="utf-8")
    before = study[: study.index("search:")]
    (tmp_path / "mine.yaml").write_text(before + block + "seeds: [0]\n", encoding="utf-8")
    recipe = load(str(tmp_path / "mine.yaml"))
    assert recipe.space is not None
    assert recipe.space.forms == ("stack", "fuse", "average", "init_from")


def test_the_recipe_of_the_how_to_is_a_recipe(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "own-data.md").read_text(encoding="utf-8")
    whole, licensed, part = blocks(text, "yaml")
    path = tmp_path / "reviews.yaml"
    path.write_text(whole, encoding="utf-8")
    assert load(str(path)).file.name == "reviews"
    # The second block is to stand in the first one's place, with the names that it uses.
    changed = {
        **read_yaml(whole, "whole"),
        **read_yaml(part, "part"),
        "methods": ["target", "stack(all, target)"],
    }
    path.write_text(json.dumps(changed), encoding="utf-8")
    assert [target.setting for target in load(str(path)).targets] == ["zero_shot", "few_shot"]
    (tmp_path / "ccg").mkdir()
    (tmp_path / "ccg" / "labels.txt").write_text("N\nNP\nN/N\n", encoding="utf-8")
    tasks = {**changed["tasks"], **read_yaml(licensed, "licensed")["tasks"]}
    path.write_text(json.dumps({**changed, "tasks": tasks, "intermediate": ["ccg"], "methods": ["target"]}))
    assert load(str(path)).tasks["ccg"].labels == ("N", "NP", "N/N")


@pytest.mark.parametrize("path", sorted((PROJECT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_says_what_it_is(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert read_yaml(path.read_text(encoding="utf-8"), path.name)["name"] == path.stem


def test_links_lead_somewhere() -> None:
    for document in (PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"

"""Recipes by name and by path."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterstilts.errors import RecipeError
from adapterstilts.recipe.files import find, shipped


def test_shipped_recipes_are_found_by_name() -> None:
    assert {"quickstart", "cross-domain", "study", "tweet-study"} <= set(shipped())
    for name, path in shipped().items():
        assert find(name) == path
        assert path.stem == name


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("", encoding="utf-8")
    assert find(str(path)) == path


def test_a_file_wins_over_a_shipped_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart").write_text("", encoding="utf-8")
    assert find("quickstart") == Path("quickstart")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("quikstart", "quikstart: not a recipe's name and not a file; did you mean 'quickstart'?"),
        ("zzz", "zzz: not a recipe's name and not a file; shipped recipes: cross-domain"),
        ("mni.yaml", "mni.yaml: no such file; did you mean 'mine.yaml'?"),
        ("zzz.yaml", "zzz.yaml: no such file; give the path of a recipe file"),
        ("no/such/folder/x.yaml", "no such file; give the path"),
        ("folder/mine", "folder/mine: no such file"),
        (".", "not a recipe's name and not a file"),
    ],
)
def test_what_is_no_recipe_gets_a_suggestion(
    reference: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        find(reference)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2

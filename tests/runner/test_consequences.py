"""What the data behind results ask is told by the plan and by the report, where they ask for anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
from conftest import Command

from adapterstilts.runner.consequences import consequences, report_lines
from adapterstilts.runner.execute import execute
from adapterstilts.runner.prepare import Options, prepare

pytestmark = pytest.mark.usefixtures("home")
FREE = {"tasks.topics.licence": "MIT", "tasks.pairs.licence": "MIT", "tasks.reply.licence": "CC0-1.0"}
STRICT = {
    "tasks.topics.licence": "CC-BY-SA-4.0",
    "tasks.pairs.licence": "CC-BY-NC-4.0",
    "tasks.reply.licence": "MIT",
}


@pytest.fixture
def recipe(backbone_folder: Path, tmp_path: Path) -> Path:
    return tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=["target", "stack(pairs, target)", "stack(reply, target)", "longer(pairs)"],
        languages=["en"],
        more_targets=("match",),
        seeds=[0],
        steps=2,
    )


def overridden(values: dict[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in values.items()]


def asked(recipe: Path, values: dict[str, Any]) -> dict[tuple[str, str], Any]:
    prepared = prepare(str(recipe), values, Options(store=recipe.parent / "store"))
    found = consequences(prepared.plan, prepared.lineage)
    return {(one.method, one.target): one for one in found}


def test_each_kind_of_result_has_the_licence_that_its_data_leave_it(recipe: Path) -> None:
    found = asked(recipe, STRICT)
    licences = {place: one.licence.identifier for place, one in found.items()}
    assert licences == {
        ("target", "topics"): "CC-BY-SA-4.0",
        ("stack(pairs, target)", "topics"): "CC-BY-NC-SA-4.0",
        ("stack(reply, target)", "topics"): "CC-BY-SA-4.0",
        # The stage that lends its number of steps lends nothing else.
        ("longer(pairs)", "topics"): "CC-BY-SA-4.0",
        # What is only scored binds no model.
        ("target", "match"): None,
        ("stack(pairs, target)", "match"): "CC-BY-NC-4.0",
        ("stack(reply, target)", "match"): None,
    }
    both = found["stack(pairs, target)", "topics"].licence
    assert both.conflicts == (
        "topics (CC-BY-SA-4.0) wants adaptations under CC-BY-SA-4.0 alone, and other data ask for more:"
        " non-commercial",
    )
    assert (
        "non-commercial: target/topics/stack(pairs, target)@0 -> intermediate/pairs@0 -> pairs (CC-BY-NC-4.0)"
    ) in map(str, both.causes)


def test_the_plan_shows_only_what_asks_for_something(cli: Command, recipe: Path) -> None:
    rest = ("--store", recipe.parent / "store")
    assert "What the data" not in cli("recipe", "plan", recipe, *overridden(FREE), *rest).out
    shown = cli("recipe", "plan", recipe, *overridden(STRICT), "tasks.pairs.confidential=true", *rest)
    assert shown.code == 0, shown.err
    section = shown.out.partition("What the data behind the models ask")[2]
    assert "CC-BY-NC-SA-4.0" in section
    assert "stack(pairs, target) on topics" in section
    assert "non-commercial: pairs; share-alike: topics" in section
    lines = section.splitlines()
    assert all("pairs" in line.split("stack")[0] for line in lines if "stack(pairs" in line)
    assert "target on match" not in section


def test_the_plan_tells_machines_everything(cli: Command, recipe: Path) -> None:
    rest = (*overridden(FREE), "tasks.pairs.confidential=true", "--store", recipe.parent / "store", "--json")
    results = cli("recipe", "plan", recipe, *rest).json["results"]
    tainted = {(one["method"], one["target"]) for one in results if one["confidential"]}
    assert tainted == {("stack(pairs, target)", "topics"), ("stack(pairs, target)", "match")}
    assert {one["licence"]["name"] for one in results} == {"permissive"}


def test_the_report_says_it_in_a_line_where_it_matters(recipe: Path) -> None:
    def report(values: dict[str, Any]) -> tuple[str, list[str]]:
        options = Options(store=recipe.parent / "store", out=recipe.parent / "out", threads=1)
        done = execute(prepare(str(recipe), {**values, "targets": ["topics"]}, options))
        done.raise_failures()
        text = (done.out / "report.md").read_text(encoding="utf-8")
        return text, report_lines(done.rows, done.prepared.store)

    text, lines = report(FREE)
    assert lines == []
    assert "Licence that" not in text
    text, lines = report({**STRICT, "tasks.topics.confidential": True})
    assert lines[-1] == "Confidential data: topics. Examples are named by row numbers alone."
    assert any("stack(pairs, target): CC-BY-NC-SA-4.0" in line for line in lines)
    assert "No legal advice" in text
    assert "Confidential data: topics" in text

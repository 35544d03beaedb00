from __future__ import annotations

from dataclasses import replace

import pytest

from adapterstilts.report.document import Bullets, Command, Grid, Heading, Paragraph, document, figures, slug
from adapterstilts.report.transfer import transfer_table

from .examples import Results


@pytest.fixture
def results() -> Results:
    found = Results()
    for language in ("en", "de"):
        found.add("target", "10" * 8, language=language)
        found.add("init_from(mnli)", "1" * 16, language=language, relation="shares training data")
        found.add_na("full_finetune", language=language)
    return found


def build(results: Results):
    return transfer_table(results.rows, results.predictions, baseline="target", samples=50)


def blocks(results: Results, **options):
    return document(build(results), results.rows, recipe="demo", **options)


def texts(grid: Grid) -> list[list[str]]:
    return [["".join(span.text for span in line) for line in row] for row in grid.rows]


def after(found, heading: str) -> Grid:
    start = next(i for i, b in enumerate(found) if isinstance(b, Heading) and b.text == heading)
    return next(block for block in found[start:] if isinstance(block, Grid))


def test_the_title_comes_first_and_notes_right_after_it(results):
    found = blocks(results, notes=("The backbone knows the test data.",))

    assert found[0] == Heading("Transfer gains of demo", 1)
    assert found[1] == Paragraph("The backbone knows the test data.", warning=True)


def test_the_heat_map_comes_before_any_table(results):
    kinds = [type(block).__name__ for block in blocks(results)]

    assert kinds.index("Figure") < kinds.index("Grid")


def test_the_gains_table(results):
    grid = after(blocks(results), "Gains over the baseline, target")
    rows = texts(grid)

    assert grid.header == ("method", "xnli (accuracy)")
    assert rows[0] == ["target", "baseline"]
    assert rows[1][1].startswith("+50.0 [+")
    assert rows[1][1].endswith("] †")
    assert grid.rows[1][1][0].style == "strong"
    assert rows[2] == ["full_finetune", "n/a"]


def test_the_scores_table(results):
    assert texts(after(blocks(results), "Scores"))[1] == ["init_from(mnli)", "100.0 [100.0, 100.0] †"]


def test_tables_by_language(results):
    found = blocks(results)
    gains, scores = (after(found, f"xnli: {what} by language") for what in ("gains", "scores"))

    assert gains.header == scores.header == ("method", "en", "de")
    assert [row[0] for row in texts(gains)] == ["init_from(mnli)", "full_finetune"]
    assert texts(scores)[0] == ["target", "50.0", "50.0"]
    assert texts(scores)[2] == ["full_finetune", "n/a", "n/a"]


def test_many_languages_are_spread_over_tables():
    results = Results()
    for number in range(13):
        results.add("target", "1100", language=f"l{number}")
        results.add("init_from(mnli)", "1100", language=f"l{number}")

    grids = [
        block for block in blocks(results) if isinstance(block, Grid) and block.header[1].startswith("l")
    ]

    assert [len(grid.header) - 1 for grid in grids] == [5, 5, 3, 12, 1]


def test_the_cost_table(results):
    assert texts(after(blocks(results), "xnli: cost")) == [
        ["target", "50.0", "1 k", "256.0 MiB", "5.0 MiB"],
        ["init_from(mnli)", "100.0", "1 k", "256.0 MiB", "5.0 MiB"],
        ["full_finetune", "n/a", "-", "-", "-"],
    ]


def test_training_is_told_alone_with_all_before_it_and_shared(results):
    grid = after(blocks(results), "xnli: training")

    assert grid.header[2:5] == ("examples, last stage", "examples, all", "examples, shared")
    assert texts(grid) == [
        ["target", "50.0", "4 k", "9 k", "6 k", "12 s", "30 s", "20 s"],
        ["init_from(mnli)", "100.0", "4 k", "9 k", "6 k", "12 s", "30 s", "20 s"],
        ["full_finetune", "n/a", "-", "-", "-", "-", "-", "-"],
    ]


def test_a_target_without_training_still_has_the_costs_of_its_intermediates():
    results = Results()
    results.add("target", "1100", parameters=0, seconds=0.0)

    headings = [block.text for block in blocks(results) if isinstance(block, Heading)]
    assert "xnli: training" in headings
    assert "xnli: cost" not in headings


def test_the_terms_are_told_where_they_are_known(results):
    terms = {
        "target": {"settings": "untuned", "learning rate": "1e-4"},
        "full_finetune": {"settings": "untuned", "learning rate": "2e-5"},
    }
    found = blocks(results, terms=terms)
    grid = after(found, "Terms")

    assert grid.header == ("method", "settings", "learning rate")
    assert texts(grid) == [
        ["target", "untuned", "1e-4"],
        ["init_from(mnli)", "-", "-"],
        ["full_finetune", "untuned", "2e-5"],
    ]
    told = found[found.index(grid) + 1]
    assert isinstance(told, Paragraph)
    assert told.text.endswith(
        "no study chose them on equal terms. Not the same for all methods: learning rate."
    )
    assert Heading("Terms", 2) not in blocks(results)


def test_a_target_without_training_has_no_cost_section():
    results = Results()
    results.add("target", "1100", parameters=0, seconds=0.0, chain_seconds=0.0)

    assert not any(isinstance(block, Heading) and "cost" in block.text for block in blocks(results))


def test_other_metrics_have_a_table_where_there_are_some(results):
    assert not any(isinstance(b, Heading) and "other metrics" in b.text for b in blocks(results))
    results.rows.append(replace(results.rows[0], metric="ece", main=False, value=0.125))

    rows = texts(after(blocks(results), "xnli: other metrics"))

    assert rows == [["target", "0.1250"], ["init_from(mnli)", "-"], ["full_finetune", "-"]]


def test_footnotes_intervals_and_the_way_to_repeat_it_are_told(results):
    found = blocks(results)
    items = [item for block in found if isinstance(block, Bullets) for item in block.items]

    assert any(item.startswith("† ") for item in items)
    assert "Intervals of gains cover examples only (xnli)." in items
    assert "Versions: adapters 1.3.0, torch 2.13.0" in items
    assert Command("adapterstilts recipe run recipe.resolved.yaml") in found


def test_plots_are_those_that_show_something(results):
    assert [figure.name for figure in figures(build(results))] == ["gains", "languages-xnli", "cost-xnli"]

    alone = Results()
    alone.add("target", "1100", parameters=0, seconds=0.0)
    assert [figure.name for figure in figures(build(alone))] == ["gains"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("xnli (validation)", "xnli__validation"),
        ("../x", "x"),
        ("größe", "gr__e"),
        ("...", "_"),
        ("a-b_c", "a-b_c"),
    ],
)
def test_a_slug_is_safe_in_a_files_name(name, part):
    assert slug(name) == part

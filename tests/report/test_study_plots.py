"""Plots of studies: drawn where there are numbers, and the same for the same numbers."""

from __future__ import annotations

from pathlib import Path

from adapterstilts.report.study_plots import draw_study, draw_transfer, save

POINTS = [(0, (0.5, 100.0)), (1, (0.7, 300.0)), (2, (0.6, 50.0))]
HISTORY = [(0, 0.5, 0.5), (1, 0.7, 0.7), (2, 0.6, 0.7)]


def test_a_study_is_drawn_as_far_as_it_has_numbers() -> None:
    assert draw_study("s", ["score"], [], [], {}, []) == {}
    plots = draw_study(
        "my study", ["score", "parameters"], POINTS, HISTORY, {"form": 0.8, "fuse.1": 0.2}, [1, 2]
    )
    assert set(plots) == {"history-my_study", "importance-my_study", "front-my_study-parameters"}
    for files in plots.values():
        assert files["png"].startswith(b"\x89PNG")
        assert b"<svg" in files["svg"]
    again = draw_study(
        "my study", ["score", "parameters"], POINTS, HISTORY, {"form": 0.8, "fuse.1": 0.2}, [1, 2]
    )
    assert again == plots


def test_the_transfer_matrix_has_a_cell_for_each_adapter_and_target(tmp_path: Path) -> None:
    assert draw_transfer("r", {"one": {}}) == {}
    plots = draw_transfer("r", {"one": {"a": 0.1, "b": -0.05}, "two": {"a": 0.0}})
    (files,) = plots.values()
    text = files["svg"].decode()
    for word in ("+0.100", "-0.050", "+0.000", "one", "two"):
        assert f"<!-- {word} -->" in text.replace("−", "-"), word
    assert [path.name for path in save(tmp_path, plots)] == ["transfer-r.png", "transfer-r.svg"]

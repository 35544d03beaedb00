"""Adapters ranked for a target: through the ordinary stages, without a look at test data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import studies
import tiny
from conftest import tiny_package

from adapterstilts.errors import UsageError
from adapterstilts.runner.execute import context_of
from adapterstilts.runner.prepare import Options, Prepared, prepare
from adapterstilts.runner.reporter import Silent
from adapterstilts.search.ranking import Ranking, rank_adapters, selectors
from adapterstilts.search.work import Workshop

EVERY = ("similarity", "logme", "neighbours", "few_step", "size")


def prepared_in(folder: Path, backbone: Path | str, **changes: object) -> Prepared:
    recipe = studies.write_recipe(folder, backbone, trials=2, **changes)  # type: ignore[arg-type]
    return prepare(str(recipe), options=Options(store=folder / "store", out=folder / "out", threads=1))


def test_every_selector_ranks_every_adapter(backbone_folder: Path, tmp_path: Path) -> None:
    listener = tiny.Listener()
    prepared = prepared_in(tmp_path, backbone_folder)
    scores = rank_adapters(prepared, selectors(EVERY), listener)
    assert set(scores) == {"topics"}
    assert set(scores["topics"]) == set(EVERY)
    assert all(set(own) == {"reply", "pairs"} for own in scores["topics"].values())
    assert scores["topics"]["size"] == {"reply": 24.0, "pairs": 40.0}
    assert scores["topics"]["similarity"]["reply"] != scores["topics"]["similarity"]["pairs"]
    assert not any("test" in name for name in listener.ended)
    again = tiny.Listener()
    assert rank_adapters(prepared, selectors(EVERY), again) == scores
    assert set(again.ended.values()) == {"cached"}


@pytest.mark.parametrize("selector", ["logme", "similarity"])
def test_a_backbone_out_of_a_package_is_converted_first(
    backbone_folder: Path, tmp_path: Path, selector: str
) -> None:
    listener = tiny.Listener()
    with tiny_package(backbone_folder):
        prepared = prepared_in(tmp_path, "package:tiny")
        scores = rank_adapters(prepared, [selector], listener)
    assert set(scores["topics"][selector]) == {"reply", "pairs"}
    assert next(iter(listener.ended)).startswith("backbone")


def test_the_engine_ranks_as_the_library_does(backbone_folder: Path, tmp_path: Path) -> None:
    recipe = studies.write_recipe(tmp_path, backbone_folder, trials=2)
    scores: dict[str, dict[str, Mapping[str, float]]] = {}
    for path in ("auto", "library"):
        options = Options(store=tmp_path / path, threads=1)
        prepared = prepare(str(recipe), {"training.default.path": path}, options)
        ranking = Ranking(Workshop(prepared, 0), context_of(prepared, (), lambda: False), Silent())
        scores[path] = {name: ranking.by(name) for name in ("logme", "similarity")}
        assert bool(ranking.context._encoders) == (path == "auto")
    for name, expected in scores["library"].items():
        assert scores["auto"][name] == pytest.approx(expected, abs=1e-3)
        order = sorted(expected, key=lambda one: expected[one])
        assert sorted(expected, key=lambda one: scores["auto"][name][one]) == order


def test_what_is_ranked_is_what_a_study_goes_on_with(backbone_folder: Path, tmp_path: Path) -> None:
    prepared = prepared_in(
        tmp_path, backbone_folder, search="  rank: size\n  tune: false", compositions="[stack]"
    )
    from adapterstilts.search.run import open_search

    loop = open_search(prepared)
    (answers, first), *_ = loop.budget.first("")
    assert first.method == "stack(pairs, target)"
    assert answers["stack.1"] == "pairs"


def test_a_selector_that_is_none_is_told(backbone_folder: Path) -> None:
    with pytest.raises(UsageError, match="'logmee' is not a selector; did you mean 'logme'"):
        selectors(["logmee"])
    assert selectors() == ("logme", "neighbours", "similarity", "size")


def test_a_recipe_without_adapters_or_training_cannot_be_ranked(
    backbone_folder: Path, tmp_path: Path
) -> None:
    recipe = tiny.write_recipe(tmp_path, backbone_folder, methods=["target"], more_targets=())
    text = recipe.read_text(encoding="utf-8").replace("intermediate: [reply, pairs]", "")
    recipe.write_text(text, encoding="utf-8")
    options = Options(store=tmp_path / "store", threads=1)
    with pytest.raises(UsageError, match="there is no adapter to rank"):
        rank_adapters(prepare(str(recipe), options=options), ["size"], tiny.Listener())

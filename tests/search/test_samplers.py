"""Samplers and pruners: what a recipe's words become, and that a trial's number alone decides what is proposed."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler

from adapterstilts.recipe.schema import SearchSection
from adapterstilts.search.samplers import make_pruner, make_sampler


def section(**search: Any) -> SearchSection:
    return SearchSection.model_validate({"over": {"compositions": ["stack"]}, **search})


@pytest.mark.parametrize(
    ("name", "kind"),
    [("tpe", TPESampler), ("nsga2", NSGAIISampler), ("random", RandomSampler), ("grid", RandomSampler)],
)
def test_a_name_is_a_sampler(name: str, kind: type[Any]) -> None:
    assert isinstance(make_sampler(section(sampler=name), 0), kind)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("none", NopPruner),
        ("median", MedianPruner),
        ("halving", SuccessiveHalvingPruner),
        ("hyperband", HyperbandPruner),
    ],
)
def test_a_name_is_a_pruner(name: str, kind: type[Any]) -> None:
    assert isinstance(make_pruner(section(pruner=name), 4), kind)


def objective(trial: optuna.Trial) -> float:
    """A conditional space, in which the rate of fusions matters most."""
    form = trial.suggest_categorical("form", ["stack", "fuse"])
    rate = trial.suggest_float(f"{form}.learning_rate", 1e-5, 1e-2, log=True)
    return float((form == "fuse") - abs(rate - 1e-3) * 100)


def study(name: str, trials: int, *, interrupted: bool = False) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(direction="maximize")
    for number in range(trials):
        made.sampler = make_sampler(section(sampler=name, trials=trials), number)
        if interrupted:
            # What another process would have done in between changes nothing.
            made.sampler.reseed_rng()
            made.sampler = make_sampler(section(sampler=name, trials=trials), number)
        trial = made.ask()
        made.tell(trial, objective(trial))
    return made


@pytest.mark.parametrize("name", ["tpe", "nsga2", "random"])
def test_equal_histories_have_equal_proposals(name: str) -> None:
    first, second = study(name, 12), study(name, 12, interrupted=True)
    assert [trial.params for trial in first.trials] == [trial.params for trial in second.trials]
    assert len({str(trial.params) for trial in first.trials}) == 12


def test_tpe_finds_what_matters_in_a_conditional_space() -> None:
    told = study("tpe", 40)
    late = [trial.params["form"] for trial in told.trials[20:]]
    assert late.count("fuse") > 15

"""Optuna's samplers and pruners as recipes name them."""

from __future__ import annotations

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from adapterstilts.recipe.schema import SearchSection
from adapterstilts.search.storage import quietly

# Of the trials, before a model of the space is trusted; Optuna's own figure is 10.
_STARTUP_SHARE, _STARTUP_MOST = 4, 10
_SMALLEST_GENERATION, _LARGEST_GENERATION = 4, 50


def make_sampler(section: SearchSection, number: int) -> BaseSampler:
    """Return what answers the questions of a trial.

    Its seed comes from the trial's number, so that a study that was killed proposes what it would have proposed, and
    that processes side by side do not propose the same.

    Args:
        section: of the recipe.
        number: of the trial.
    """
    seed = section.seed * 100_003 + number
    if section.sampler == "tpe":
        startup = min(_STARTUP_MOST, max(1, section.trials // _STARTUP_SHARE))
        with quietly():
            return TPESampler(
                n_startup_trials=startup, multivariate=True, group=True, constant_liar=True, seed=seed
            )
    if section.sampler == "nsga2":
        size = section.trials // _STARTUP_SHARE
        population = min(_LARGEST_GENERATION, max(_SMALLEST_GENERATION, size))
        return NSGAIISampler(population_size=population, seed=seed)
    # A grid gives all answers itself.
    return RandomSampler(seed=seed)


def make_pruner(section: SearchSection, reports: int) -> BasePruner:
    """Return what ends trials early.

    Args:
        section: of the recipe.
        reports: how often a trial is scored while it trains.
    """
    if section.pruner == "median":
        return MedianPruner(n_startup_trials=min(5, max(1, section.trials // _STARTUP_SHARE)))
    if section.pruner == "halving":
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    if section.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=max(1, reports), reduction_factor=2)
    return NopPruner()

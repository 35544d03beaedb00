"""Which trial comes next, told by plain records of trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from adapterstilts.recipe.schema import SearchSection
from adapterstilts.recipe.space import SINGLE, Candidate, Settings, Space
from adapterstilts.search.budget import Budget, Due, Point, Waiting
from adapterstilts.search.compare import front, regret
from adapterstilts.search.records import Phase, Tried, best, same_work

FIRST = Candidate("target", "target", Settings(1e-4))


def trial(
    number: int, phase: Phase, family: str, *values: float, state: str = "complete", **notes: Any
) -> Tried:
    candidate = Candidate(family, f"{family} {number}", Settings())
    given: dict[str, Any] = {"work": str(number), "other": None, "error": "", "same_as": None, "seconds": 1.0}
    return Tried(number, state, phase, family, candidate, values, **{**given, **notes})


def budget(*, trials: int = 4, methods: Sequence[str] = ("target",), first: int = 1, **search: Any) -> Budget:
    over = search.pop("over", {"compositions": ["stack", "fuse"], "learning_rate": "auto"})
    section = SearchSection.model_validate({"trials": trials, "over": over, **search})
    given: list[Point] = [({"n": n}, FIRST) for n in range(first)]
    return Budget(Space(section, ("a", "b"), tuple(methods)), 0, lambda family: given)


BASELINES = [trial(0, "tune", "target", 0.5), trial(1, "tune", SINGLE, 0.5)]


def test_baselines_come_first_and_no_pruner_ends_them() -> None:
    due = budget().due([])
    assert due == Due("tune", "target", ({"n": 0}, FIRST), whole=True)
    assert budget().due(BASELINES[:1]) == Due("tune", SINGLE, ({"n": 0}, FIRST), whole=True)


def test_the_search_has_its_given_trials_then_the_samplers() -> None:
    assert budget().due(BASELINES) == Due("search", "", ({"n": 0}, FIRST), whole=True)
    assert budget().due([*BASELINES, trial(2, "search", "fuse", 0.4)]) == Due("search", "", None)


def test_families_get_as_many_trials_as_the_winners() -> None:
    searched = [trial(2, "search", "fuse", 0.9), trial(3, "search", "fuse", state="pruned")]
    searched += [trial(4, "search", "stack", 0.8), trial(5, "search", "fuse", state="failed", error="no")]
    told = [*BASELINES, *searched]
    assert budget().share(told) == 3
    assert budget().due(told) == Due("tune", "target", None)
    told += [trial(6, "tune", "target", 0.1), trial(7, "tune", "target", state="failed", error="no")]
    assert budget().due(told) == Due("tune", SINGLE, None)
    assert budget().is_spent("target", told)
    assert not budget().is_spent(SINGLE, told)
    told += [trial(8, "tune", SINGLE, 0.1), trial(9, "tune", SINGLE, 0.1)]
    assert budget().due(told) is None


def test_a_trial_that_died_counts_through_its_copy_alone() -> None:
    dead = trial(2, "search", "fuse", state="failed")
    copy = trial(3, "search", "fuse", state="waiting")
    assert budget(trials=1, tune=False).due([dead]) == Due("search", "", ({"n": 0}, FIRST), whole=True)
    assert budget(trials=1, tune=False).due([dead, copy]) is None


def test_tuning_waits_for_the_search_of_other_processes() -> None:
    running = trial(3, "search", "", state="running")
    assert isinstance(budget(trials=2).due([*BASELINES, trial(2, "search", "fuse", 0.9), running]), Waiting)


def test_methods_alone_have_the_recipes_number_each() -> None:
    alone = budget(trials=2, methods=("target", "full_finetune"), over={"learning_rate": "auto"})
    told = [trial(0, "tune", "target", 0.5), trial(1, "tune", "target", 0.5)]
    assert alone.due(told) == Due("tune", "full_finetune", ({"n": 0}, FIRST), whole=True)
    told += [trial(2, "tune", "full_finetune", 0.5), trial(3, "tune", "full_finetune", 0.5)]
    assert alone.due(told) is None


def test_a_small_space_is_tried_as_a_whole_and_no_point_twice() -> None:
    small = budget(over={"compositions": ["fuse"], "adapters": 2}, tune=False)
    told: list[Tried] = []
    while (due := small.due(told)) is not None:
        assert isinstance(due, Due) and due.point is not None
        one = trial(len(told), "search", "fuse", 0.5)
        told.append(replace(one, candidate=due.point[1]))
    methods = [one.candidate.method for one in told if one.candidate]
    assert sorted(methods) == ["fuse(a, b, target)", "fuse(a, target)", "fuse(b, target)"]


def test_a_larger_space_is_left_to_the_sampler() -> None:
    large = budget(trials=2, over={"compositions": ["fuse"], "adapters": 2}, tune=False, first=0)
    assert large.due([]) == Due("search", "", None)


# ---- what is made of trials


def test_the_earliest_of_equal_trials_is_the_best() -> None:
    told = [trial(0, "search", "a", 0.5), trial(1, "search", "b", 0.7), trial(2, "search", "c", 0.7)]
    found = best([*told, trial(3, "search", "d", state="pruned")], 0)
    assert found is not None and found.number == 1
    assert best([trial(0, "search", "a", state="failed")], 0) is None


def test_equal_work_is_found_among_earlier_trials_that_ended() -> None:
    told = [
        trial(0, "search", "a", state="failed", error="x", work="w"),
        trial(1, "search", "a", state="pruned", work="w"),
    ]
    told += [trial(2, "search", "a", 0.5, work="w")]
    found = same_work(told, "w", 2)
    assert found is not None and found.number == 1
    assert same_work(told, "w", 1) is None
    assert same_work(told, "v", 3) is None


def test_the_front_holds_what_no_other_trial_beats() -> None:
    told = [
        trial(0, "search", "a", 0.9, 100),
        trial(1, "search", "a", 0.8, 50),
        trial(2, "search", "a", 0.7, 60),
    ]
    told += [trial(3, "search", "a", 0.9, 100, same_as=0)]
    assert [one.number for one in front(told, (1, -1))] == [0, 1]
    assert front(told, (1,)) == []


@pytest.mark.parametrize(("select_on", "loss"), [("validation", 0.3), ("target_validation", 0.2)])
def test_regret_is_measured_on_the_targets_data(select_on: str, loss: float) -> None:
    told = [trial(0, "search", "a", 0.9, other=0.4), trial(1, "search", "b", 0.7, other=0.7)]
    found = regret([*told, trial(2, "search", "c", 0.95)], 0, select_on)
    assert found is not None
    assert found.trials == 2
    assert found.loss == pytest.approx(loss)
    assert regret(told[2:], 0, select_on) is None

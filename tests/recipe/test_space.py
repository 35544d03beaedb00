"""The space of a study: questions, answers, and equal work under one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from adapterstilts import compose
from adapterstilts.recipe.schema import SearchSection
from adapterstilts.recipe.space import (
    NOTHING,
    SINGLE,
    Candidate,
    Endless,
    Guide,
    Settings,
    Space,
    composition,
    points,
)


def space(*pool: str, methods: Sequence[str] = (), **over: Any) -> Space:
    section = SearchSection.model_validate({"over": over})
    return Space(section, pool, tuple(methods))


class Told:
    """Answers by name; fails for a question that nobody expects."""

    def __init__(self, **answers: Any) -> None:
        self._answers = {name.replace("__", "."): answer for name, answer in answers.items()}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        assert self._answers[name] in choices
        return self._answers[name]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        assert log
        assert low <= self._answers[name] <= high
        return float(self._answers[name])


@pytest.mark.parametrize(
    ("form", "names", "text"),
    [
        ("stack", ("a", "b"), "stack(a, b, target)"),
        ("stack", ("b", "a"), "stack(b, a, target)"),
        ("stack", ("b", "b"), "stack(b, target)"),
        ("fuse", ("b", "a"), "fuse(a, b, target)"),
        ("fuse", ("a", NOTHING), "fuse(a, target)"),
        ("average", ("b", "a"), "stack(average(a, b), target)"),
        ("average", ("a", "a"), "stack(a, target)"),
        ("parallel", ("b", "a"), "stack(parallel(a, b), target)"),
        ("parallel", ("a", NOTHING), "stack(a, target)"),
    ],
)
def test_slots_are_compositions_in_their_canonical_form(form: str, names: tuple[str, str], text: str) -> None:
    over = space("a", "b", compositions=[form], adapters=2)
    candidate = over.propose(Told(**{f"{form}__1": names[0], f"{form}__2": names[1]}))
    assert candidate == Candidate(form, text, Settings())
    assert str(compose.parse(text)) == text


def test_weights_are_shares_and_asked_of_averages_alone() -> None:
    over = space("a", "b", compositions=["average", "init_from"], adapters=2, weights=[1, 2, 4])
    asked = Told(form="average", average__1="b", average__weight__1=4, average__2="a", average__weight__2=2)
    assert over.propose(asked).method == "stack(average(a, b, weights=[1, 2]), target)"
    equal = Told(form="average", average__1="b", average__weight__1=4, average__2="a", average__weight__2=4)
    assert over.propose(equal).method == "stack(average(a, b), target)"
    assert over.propose(Told(form="init_from", init_from__1="a")).method == "init_from(a)"


def test_whole_models_have_rates_of_their_own_and_no_sizes() -> None:
    over = space(methods=["target", "full_finetune", "head_only"], learning_rate="auto", skip_layers=[0, 4])
    adapter = over.propose(Told(target__learning_rate=1e-3, target__skip_layers=4), "target")
    assert adapter.settings == Settings(learning_rate=1e-3, skip_layers=4)
    whole = over.propose(Told(full_finetune__learning_rate=5e-5), "full_finetune")
    assert whole.settings == Settings(learning_rate=5e-5)
    assert over.propose(Told(head_only__learning_rate=1e-4), "head_only").settings.skip_layers is None


def test_a_space_without_ranges_lists_each_candidate_once() -> None:
    over = space("a", "b", compositions=["stack", "average", "init_from"], adapters=2, epochs=[1, 2])
    found = [candidate for _, candidate in points(over)]
    assert len(found) == len({(one.method, one.settings) for one in found})
    methods = {one.method for one in found}
    assert methods == {
        *("stack(a, target)", "stack(b, target)", "stack(a, b, target)", "stack(b, a, target)"),
        *("stack(average(a, b), target)", "init_from(a)", "init_from(b)"),
    }
    assert len(found) == 2 * len(methods)
    for answers, candidate in points(over):
        assert over.propose(
            Told(**{name.replace(".", "__"): value for name, value in answers.items()})
        ).method == (candidate.method)


def test_a_range_has_no_list_of_points() -> None:
    with pytest.raises(Endless):
        list(points(space("a", compositions=["stack"], learning_rate="auto")))


def test_a_guide_answers_what_is_wanted_and_stays_near_the_usual_settings() -> None:
    over = space(
        "a", "b", compositions=["stack", "fuse"], learning_rate="auto", epochs=[1, 4], skip_layers=[0, 2]
    )
    guide = Guide({"form": "fuse", "fuse.1": "b"}, Settings(1e-2, 3.5, 2, 16))
    candidate = over.propose(guide)
    assert candidate.method == "fuse(b, target)"
    assert candidate.settings == Settings(1e-3, 4, 2)
    assert guide.answers["fuse.2"] == NOTHING


def test_a_composition_holds_no_more_adapters_than_its_kind_can() -> None:
    wide = space(*(f"a{n}" for n in range(20)), compositions=["stack", "fuse", "parallel"], adapters=20)
    assert [wide.slots(form) for form in ("stack", "fuse", "parallel", "init_from", SINGLE)] == [
        7,
        20,
        8,
        1,
        1,
    ]
    for form in wide.forms:
        names = dict.fromkeys(wide.pool[: wide.slots(form)], 1)
        compose.parse(composition(form, names))

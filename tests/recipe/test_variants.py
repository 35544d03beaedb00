"""Recipes made from a recipe: equal work has equal keys, whatever stands beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapterstilts.recipe.build import make_plan
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.load import load
from adapterstilts.recipe.material import Surroundings
from adapterstilts.recipe.plan import Plan
from adapterstilts.recipe.space import Candidate, Settings
from adapterstilts.recipe.targets import on_validation
from adapterstilts.recipe.variants import arrange, for_target, method_of
from adapterstilts.specs import TrainAdapter, TrainFusion, TrainingSpec

from .examples import BACKBONE, by_name, keys, plan_of, recipe_data, write
from .test_search import EVALUATED, tasks

FUSED = "fuse(pairs, reply, target)"


def recipe(folder: Path, **changes: Any) -> Recipe:
    given: dict[str, Any] = {"training": EVALUATED, "tasks": tasks(held_out=True), **changes}
    return load(str(write(folder, recipe_data(**given))))


def plan(arranged: Recipe) -> Plan:
    return make_plan(arranged, Surroundings(by_name, BACKBONE, "fp32"))


def training(made: Plan, name: str) -> TrainingSpec:
    (spec,) = (stage.spec for stage in made.stages.values() if stage.name == name)
    assert isinstance(spec, TrainAdapter | TrainFusion)
    return spec.training


def test_the_recipes_own_settings_have_the_recipes_own_keys(tmp_path: Path) -> None:
    own = plan(recipe(tmp_path))
    arranged = arrange(
        recipe(tmp_path), [Candidate("", "target", Settings()), Candidate("", FUSED, Settings())], [0]
    )
    assert [str(method) for method in arranged.methods] == ["target", FUSED]
    assert keys(plan(arranged)).items() <= keys(own).items()


def test_a_chosen_rate_reaches_the_last_stage_alone(tmp_path: Path) -> None:
    own = recipe(tmp_path)
    made = plan(arrange(own, [Candidate("", FUSED, Settings(learning_rate=3e-4, epochs=2))], [0]))
    fusion = training(made, f"fusion/topics/{FUSED}@0")
    assert (fusion.learning_rate, fusion.epochs, fusion.steps) == (3e-4, 2, None)
    unchanged = {
        name: key
        for name, key in keys(plan(own)).items()
        if name.startswith(("intermediate", "target/topics/target@"))
    }
    assert {name: keys(made)[name] for name in unchanged if name in keys(made)}.items() <= unchanged.items()
    assert "target/topics/target@0" in keys(made)


def test_methods_side_by_side_keep_their_own_settings(tmp_path: Path) -> None:
    own = recipe(tmp_path)
    tuned, fused = Candidate("", "target", Settings(5e-4)), Candidate("", FUSED, Settings(3e-4))
    alone, together = plan(arrange(own, [fused], [0])), plan(arrange(own, [tuned, fused], [0]))
    scored = {cell.method: cell.trained_by for cell in together.cells}
    assert scored[FUSED] == {cell.method: cell.trained_by for cell in alone.cells}[FUSED]
    assert scored["target"] == plan(arrange(own, [tuned], [0])).cells[0].trained_by
    # The fusion stands on the target adapter as the recipe has it, which is another than the tuned one.
    assert scored["target"] not in together.stages[str(scored[FUSED])].inputs.values()


def test_sizes_reach_all_adapters_under_a_name_that_says_them(tmp_path: Path) -> None:
    own = recipe(tmp_path)
    small = Candidate("", FUSED, Settings(learning_rate=3e-4, reduction_factor=32, skip_layers=2))
    arranged = arrange(own, [Candidate("", "target", Settings()), small], [0], baseline=1)
    method = f"with(reduction32-skip2, {FUSED})"
    assert method_of(own, small) == method
    assert arranged.file.report.baseline == method
    made = plan(arranged)
    cell = next(cell for cell in made.cells if cell.method == method)
    inputs = [made.stages[key].spec for key in made.stages[str(cell.trained_by)].inputs.values()]
    assert len(inputs) == 3
    for spec in inputs:
        assert isinstance(spec, TrainAdapter)
        assert (spec.adapter.reduction_factor, spec.adapter.skip_layers) == (32, 2)
    assert training(made, f"fusion/topics/{method}@0").learning_rate == 3e-4


def test_sizes_that_the_recipe_has_anyway_change_nothing(tmp_path: Path) -> None:
    own = recipe(tmp_path, adapter={"reduction_factor": 8})
    assert method_of(own, Candidate("", "target", Settings(reduction_factor=8, skip_layers=0))) == "target"


def test_settings_of_named_adapters_are_changed_under_another_name(tmp_path: Path) -> None:
    training = {**EVALUATED, "by_adapter": {"upper": {"learning_rate": 7e-4}}}
    own = recipe(
        tmp_path,
        adapters={"upper": {"skip_layers": 1}},
        training=training,
        methods=["target", "with(upper, target)"],
    )
    arranged = arrange(own, [Candidate("", "with(upper, target)", Settings(reduction_factor=4))], [0])
    assert [str(method) for method in arranged.methods] == ["with(upper-reduction4, target)"]
    section = arranged.file.adapters["upper-reduction4"]
    assert (section.reduction_factor, section.skip_layers) == (4, 1)
    assert arranged.file.training.by_adapter["upper-reduction4"].learning_rate == 7e-4


def test_a_target_is_read_on_validation_data_that_it_does_not_train_on(tmp_path: Path) -> None:
    own = recipe(tmp_path)
    (target,) = own.targets
    held_out = on_validation(target, own.tasks["topics"])
    assert held_out is not None
    assert (held_out.split, held_out.languages) == ("validation", ("sw",))
    made = plan(for_target(own, held_out))
    assert {cell.language for cell in made.cells} == {"sw"}
    assert not any(".test" in stage.name for stage in made.stages.values())
    (without,) = recipe(tmp_path, tasks=tasks()).targets
    assert on_validation(without, recipe(tmp_path, tasks=tasks()).tasks["topics"]) is None


def test_by_method_stands_in_ordinary_recipes_too(tmp_path: Path) -> None:
    training = {
        "default": {"steps": 10},
        "by_method": {
            "stack(<intermediate>, target)": {"steps": 3},
            "fuse(reply, pairs, target)": {"steps": 4},
        },
    }
    made = plan_of(tmp_path, training=training)
    steps = {
        stage.name: stage.spec.training.steps
        for stage in made.stages.values()
        if hasattr(stage.spec, "training")
    }
    assert steps["target/topics/stack(pairs, target)@0"] == steps["target/topics/stack(reply, target)@0"] == 3
    assert steps[f"fusion/topics/{FUSED}@0"] == 4
    assert steps["target/topics/target@0"] == steps["intermediate/pairs@0"] == 10
    assert steps["target/topics/full_stilts(pairs)@0"] == 10

"""Plans of controls, floors, named settings, language adapters, and what else goes on from an intermediate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterstilts.methods import UNSIZED
from adapterstilts.recipe.build import make_plan
from adapterstilts.recipe.load import load
from adapterstilts.recipe.material import Surroundings
from adapterstilts.recipe.plan import Cell, Plan, Stage
from adapterstilts.specs import (
    INIT,
    LONGER,
    MODEL,
    AdapterSpec,
    AverageAdapters,
    Evaluate,
    FullFinetune,
    ImportAdapter,
    Majority,
    RandomAdapter,
    TrainAdapter,
    TrainFusion,
    TrainHead,
    changed_fields,
)
from adapterstilts.store.digest import canonical

from .examples import BACKBONE, by_name, keys, plan_of, recipe_data, write
from .test_compositions import ALL

TOPICS = {"task": "topics", "languages": ["en", "sw"]}


def plan(folder: Path, *methods: str, **changes: Any) -> Plan:
    given = {**ALL, "targets": [TOPICS], "methods": ["target", *methods], **changes}
    return plan_of(folder, **given)


def stage(plan: Plan, name: str) -> Stage:
    return plan.stages[keys(plan)[name]]


def spec(plan: Plan, name: str) -> Any:
    return stage(plan, name).spec


def named(plan: Plan, one: Stage) -> dict[str, str]:
    """Return role -> name of a stage's inputs."""
    return {role: plan.stages[key].name for role, key in one.inputs.items()}


def trained(plan: Plan) -> list[str]:
    return [one.name for one in plan.stages.values() if not isinstance(one.spec, Evaluate)]


def cell(plan: Plan, method: str, language: str = "sw") -> Cell:
    (found,) = [one for one in plan.cells if (one.method, one.language) == (method, language)]
    return found


def changed(old: Stage, new: Stage) -> list[str]:
    return changed_fields(canonical(old.spec), canonical(new.spec))


# ---- going on


def test_what_goes_on_starts_from_the_intermediate_with_its_head_where_that_fits(tmp_path: Path) -> None:
    same = {"name": "same", "task": "topics"}
    found = plan(tmp_path, "init_from(pairs)", "init_from(same)", intermediate=["pairs", "reply", same])
    for name, fresh, note in (
        ("pairs", True, "a fresh head: that of pairs has other labels"),
        ("same", False, "its head goes on as well"),
    ):
        one = stage(found, f"target/topics/init_from({name})@0")
        assert isinstance(one.spec, TrainAdapter)
        assert (one.spec.composition, one.spec.continues, one.spec.fresh_head) == ("self", True, fresh)
        assert named(found, one) == {INIT: f"intermediate/{name}@0"}
        assert one.note == note
        assert one.spec.adapter == AdapterSpec("seq_bn", 16)
    assert stage(found, "target/topics/target@0").note == ""


@pytest.mark.parametrize(
    ("method", "note"),
    [
        ("init_from(reply)", "that of reply is for multiple_choice, not for classification"),
        ("init_from(average(pairs, reply))", "average(pairs, reply) has none"),
        ("init_from(all)", "all has one for each of its tasks"),
        ("init_from(placebo(pairs))", "that of placebo(pairs) has other labels"),
        ("init_from(old)", "old has none"),
    ],
)
def test_the_plan_says_why_a_head_is_fresh(method: str, note: str, tmp_path: Path) -> None:
    mix = {"name": "all", "mix": ["pairs", "reply"]}
    found = plan_with_old(tmp_path, method, intermediate=["pairs", "reply", mix])
    one = stage(found, f"target/topics/{method}@0")
    assert one.note == f"a fresh head: {note}"
    assert one.spec.fresh_head  # type: ignore[union-attr]


def test_a_few_examples_go_on_from_the_source_with_its_head(tmp_path: Path) -> None:
    tasks = {**ALL["tasks"]}
    languages = {**tasks["topics"]["languages"], "sw": {"train": "t.sw", "test": "topics.sw.jsonl"}}
    tasks["topics"] = {**tasks["topics"], "languages": languages}
    target = {"task": "topics", "languages": ["sw"], "setting": {"few_shot": {"k": 5}}}
    methods = ("init_from(pairs)", "longer(pairs)", "head_only", "majority", "stack(<language>, target)")
    found = plan(tmp_path, *methods, tasks=tasks, targets=[target])
    for method in ("init_from(pairs)", "longer(pairs)", "head_only"):
        first, then = f"target/topics/{method}@0", f"target/topics.sw.few-5-0/{method}@0"
        assert named(found, stage(found, then)) == {INIT: first}
        assert spec(found, then).continues
        assert not getattr(spec(found, then), "fresh_head", False)
    assert LONGER in stage(found, "target/topics/longer(pairs)@0").inputs
    assert trained(found).count("majority/topics.sw.few-5-0") == 1
    assert "majority/topics" not in trained(found)
    # Each stage stands on the adapter of the language that it reads.
    method = "stack(<language>, target)"
    assert named(found, stage(found, f"target/topics/{method}@0")) == {"x0": "intermediate/wiki-en@0"}
    then = stage(found, f"target/topics.sw.few-5-0/{method}@0")
    assert named(found, then) == {"x0": "intermediate/wiki-sw@0", INIT: f"target/topics/{method}@0"}
    assert stage(found, f"evaluate/topics.sw.test/few-5-0/{method}@0").inputs == {MODEL: then.key}


# ---- controls and floors


def test_a_placebo_differs_from_what_it_is_one_of_in_its_labels_alone(tmp_path: Path) -> None:
    found = plan(tmp_path, "stack(pairs, target)", "stack(placebo(pairs), target)", seeds=[4, 5])
    for seed in (4, 5):
        real, control = (stage(found, f"intermediate/{one}@{seed}") for one in ("pairs", "placebo(pairs)"))
        assert changed(real, control) == ["data[0].permuted"]
        assert spec(found, control.name).data[0].permuted == seed
        assert [use.permuted for use in control.data] == [seed]
        assert str(control.data[0]) == "pairs.en.train (labels permuted)"
        top = stage(found, f"target/topics/stack(placebo(pairs), target)@{seed}")
        assert named(found, top) == {"x0": control.name}
    assert cell_relation(found, "stack(placebo(pairs), target)") == "other domain"


def cell_relation(found: Plan, method: str) -> str:
    return {one.relation for one in found.cells if one.method == method}.pop()


def test_a_placebo_stands_wherever_its_name_does(tmp_path: Path) -> None:
    methods = (
        "fuse(placebo(pairs), reply, target)",
        "stack(average(placebo(pairs), reply), target)",
        "full_stilts(placebo(pairs))",
        "init_from(placebo(pairs))",
    )
    found = plan(tmp_path, *methods)
    assert trained(found).count("intermediate/placebo(pairs)@0") == 1
    control = "intermediate/placebo(pairs)@0"
    assert (
        control in named(found, stage(found, "fusion/topics/fuse(placebo(pairs), reply, target)@0")).values()
    )
    averaged = stage(found, "average/average(placebo(pairs), reply)@0")
    assert isinstance(averaged.spec, AverageAdapters)
    assert control in named(found, averaged).values()
    whole = stage(found, "intermediate/full(placebo(pairs))@0")
    assert isinstance(whole.spec, FullFinetune)
    assert whole.spec.data[0].permuted == 0
    assert named(found, stage(found, "target/topics/full_stilts(placebo(pairs))@0")) == {INIT: whole.name}


def test_nothing_selects_a_placebo(tmp_path: Path) -> None:
    tasks = {**ALL["tasks"]}
    tasks["pairs"] = {
        **tasks["pairs"],
        "languages": {"en": {"train": "pairs.jsonl", "validation": "pairs.dev.jsonl"}},
    }
    found = plan(
        tmp_path,
        "stack(pairs, target)",
        "stack(placebo(pairs), target)",
        tasks=tasks,
        training={"default": {"steps": 10}, "intermediate": {"evaluations": 2, "patience": 1}},
    )
    assert spec(found, "intermediate/pairs@0").training.evaluations == 2
    control = spec(found, "intermediate/placebo(pairs)@0")
    assert (control.training.evaluations, control.validation) == (0, ())


def test_a_random_adapter_is_of_equal_size_and_never_trained(tmp_path: Path) -> None:
    found = plan(tmp_path, "stack(random, target)", "with(small, stack(random, target))", seeds=[0, 3])
    for name, factor in (("random", 16), ("with(small, random)", 64)):
        one = stage(found, f"control/{name}@3")
        assert one.spec == RandomAdapter(BACKBONE, AdapterSpec("seq_bn", factor), 3)
        assert one.inputs == {}
    assert named(found, stage(found, "target/topics/stack(random, target)@3")) == {"x0": "control/random@3"}
    assert cell_relation(found, "stack(random, target)") == ""


def test_longer_is_the_target_with_the_steps_of_another(tmp_path: Path) -> None:
    found = plan(tmp_path, "longer(pairs)")
    one, plain = (stage(found, f"target/topics/{name}@0") for name in ("longer(pairs)", "target"))
    assert named(found, one) == {LONGER: "intermediate/pairs@0"}
    assert changed(plain, one) == []
    assert one.key != plain.key
    assert cell_relation(found, "longer(pairs)") == ""


def test_a_head_alone_is_paired_with_the_target(tmp_path: Path) -> None:
    found = plan(tmp_path, "head_only")
    one, plain = spec(found, "target/topics/head_only@0"), spec(found, "target/topics/target@0")
    assert isinstance(one, TrainHead)
    assert (one.seed, one.role, one.data) == (plain.seed, plain.role, plain.data)
    assert (one.training.learning_rate, plain.training.learning_rate) == (1e-3, 1e-4)
    scored = stage(found, "evaluate/topics.sw.test/head_only@0")
    assert scored.inputs == {MODEL: keys(found)["target/topics/head_only@0"]}


def test_the_majority_is_the_same_under_every_seed(tmp_path: Path) -> None:
    found = plan(tmp_path, "majority", seeds=[0, 1])
    one = stage(found, "majority/topics")
    assert isinstance(one.spec, Majority)
    assert one.inputs == {}
    assert [str(use) for use in one.data] == ["topics.en.train"]
    cells = [one for one in found.cells if one.method == "majority"]
    assert len(cells) == 4
    assert {c.stage for c in cells if c.language == "sw"} == {keys(found)["evaluate/topics.sw.test/majority"]}


@pytest.mark.parametrize("unanswerable", [True, False])
def test_the_majority_of_passages_is_no_answer_where_that_is_one(tmp_path: Path, unanswerable: bool) -> None:
    spans = {
        "kind": "span_qa",
        "unanswerable": unanswerable,
        "languages": {"en": {"train": "s.jsonl", "test": "s.test.jsonl"}},
        "format": {"type": "jsonl"},
    }
    found = plan(tmp_path, "majority", tasks={**ALL["tasks"], "spans": spans}, targets=["spans"])
    assert (cell(found, "majority", "en").stage is not None) == unanswerable


def test_controls_on_a_target_without_training(tmp_path: Path) -> None:
    methods = (
        "stack(random, target)",
        "stack(placebo(pairs), target)",
        "init_from(pairs)",
        "head_only",
        "majority",
        "longer(pairs)",
        "stack(<language>, pairs, target)",
        "with(small, target)",
        "stack(parallel(pairs, reply), target)",
    )
    found = plan(tmp_path, *methods, targets=[{"task": "match", "languages": ["sw"]}])

    def inputs(method: str) -> dict[str, str] | None:
        key = cell(found, method).stage
        return None if key is None else named(found, found.stages[key])

    assert inputs("stack(random, target)") == {"x0": "control/random@0"}
    assert inputs("stack(placebo(pairs), target)") == {"x0": "intermediate/placebo(pairs)@0"}
    assert inputs("init_from(pairs)") == {"x0": "intermediate/pairs@0"}
    assert inputs("with(small, target)") == {}
    both = cell(found, "stack(parallel(pairs, reply), target)").stage or ""
    assert found.stages[both].spec.composition == "parallel(x0, x1)"  # type: ignore[union-attr]
    for method in ("head_only", "majority", "longer(pairs)", "stack(<language>, pairs, target)"):
        assert inputs(method) is None


# ---- named settings


def test_settings_of_a_method_are_those_of_all_its_adapters(tmp_path: Path) -> None:
    methods = ("stack(pairs, target)", "with(lora, stack(pairs, target))", "with(lora, target)")
    found = plan(tmp_path, *methods)
    lora = AdapterSpec("lora", UNSIZED)
    top = stage(found, "target/topics/with(lora, stack(pairs, target))@0")
    below = stage(found, "intermediate/with(lora, pairs)@0")
    assert named(found, top) == {"x0": below.name}
    for one in (top, below, stage(found, "target/topics/with(lora, target)@0")):
        assert one.spec.adapter == lora  # type: ignore[union-attr]
        assert one.spec.training.learning_rate == 3e-4  # type: ignore[union-attr]
    assert spec(found, "intermediate/pairs@0").adapter == AdapterSpec("seq_bn", 16)
    assert {c.method for c in found.cells} >= set(methods)


def test_equal_settings_under_two_names_are_one_stage(tmp_path: Path) -> None:
    found = plan(tmp_path, "with(same, target)", adapters={"same": {"reduction_factor": 16}})
    assert cell(found, "with(same, target)").stage == cell(found, "target").stage


def test_settings_by_name_reach_what_has_them(tmp_path: Path) -> None:
    training = {"default": {"steps": 10}, "by_adapter": {"lora": {"steps": 7}}}
    found = plan(tmp_path, "with(lora, stack(pairs, target))", "with(small, target)", training=training)
    steps = {
        one.name: one.spec.training.steps for one in found.stages.values() if hasattr(one.spec, "training")
    }
    assert steps == {
        "target/topics/target@0": 10,
        "intermediate/with(lora, pairs)@0": 7,
        "target/topics/with(lora, stack(pairs, target))@0": 7,
        "target/topics/with(small, target)@0": 10,
    }


def test_an_intermediate_keeps_its_own_settings_in_every_method(tmp_path: Path) -> None:
    own = {"name": "pairs", "task": "pairs", "adapter": "small"}
    methods = ("stack(pairs, target)", "with(compact, stack(pairs, target))", "init_from(pairs)")
    found = plan(tmp_path, *methods, intermediate=[own, "reply"])
    assert trained(found).count("intermediate/pairs@0") == 1
    assert spec(found, "intermediate/pairs@0").adapter == AdapterSpec("seq_bn", 64)
    assert spec(found, "target/topics/init_from(pairs)@0").adapter == AdapterSpec("seq_bn", 64)
    assert spec(found, "target/topics/stack(pairs, target)@0").adapter == AdapterSpec("seq_bn", 16)
    assert spec(found, "target/topics/with(compact, stack(pairs, target))@0").adapter.config == "compacter"


# ---- languages


def test_the_language_adapter_is_that_of_the_data_that_is_read(tmp_path: Path) -> None:
    found = plan(tmp_path, "stack(<language>, target)")
    model = stage(found, "target/topics/stack(<language>, target)@0")
    assert spec(found, model.name).composition == "stack(x0, self)"
    assert named(found, model) == {"x0": "intermediate/wiki-en@0"}
    english, swahili = (
        stage(found, f"evaluate/topics.{language}.test/stack(<language>, target)@0")
        for language in ("en", "sw")
    )
    assert english.inputs == {MODEL: model.key}
    assert named(found, swahili) == {MODEL: model.name, "x0": "intermediate/wiki-sw@0"}
    assert swahili.spec.composition == MODEL  # type: ignore[union-attr]
    assert [str(use) for use in stage(found, "intermediate/wiki-sw@0").data] == ["wiki.sw.train"]
    assert "intermediate/wiki-no@0" not in keys(found)


def test_a_new_language_trains_its_adapter_alone(tmp_path: Path) -> None:
    method = "stack(<language>, target)"
    few = plan(tmp_path, method, targets=[{"task": "topics", "languages": ["en"]}])
    more = plan(tmp_path, method)
    assert few.stages.keys() < more.stages.keys()
    new = {one.name for key, one in more.stages.items() if key not in few.stages}
    assert new == {
        "intermediate/wiki-sw@0",
        f"evaluate/topics.sw.test/{method}@0",
        "evaluate/topics.sw.test/target@0",
    }


def test_stacks_in_a_fusion_share_their_language_adapter(tmp_path: Path) -> None:
    method = "fuse(stack(<language>, pairs), stack(<language>, reply))"
    found = plan(tmp_path, method)
    one = stage(found, f"fusion/topics/{method}@0")
    assert isinstance(one.spec, TrainFusion)
    assert one.spec.composition == "fuse(stack(x0, x1), stack(x0, x2))"
    assert named(found, one)["x0"] == "intermediate/wiki-en@0"
    assert len(one.inputs) == 3
    scored = stage(found, f"evaluate/topics.sw.test/{method}@0")
    assert named(found, scored) == {MODEL: one.name, "x0": "intermediate/wiki-sw@0"}


def test_what_holds_the_target_in_a_fusion_is_trained_alone_first(tmp_path: Path) -> None:
    found = plan(tmp_path, "fuse(pairs, stack(<language>, target))")
    alone = stage(found, "target/topics/stack(<language>, target)@0")
    fused = stage(found, "fusion/topics/fuse(pairs, stack(<language>, target))@0")
    assert alone.key in fused.inputs.values()
    assert "intermediate/wiki-en@0" in named(found, fused).values()
    baseline = plan(tmp_path, "stack(<language>, target)")
    assert keys(baseline)[alone.name] == alone.key


def test_an_average_with_a_language_is_one_a_language(tmp_path: Path) -> None:
    method = "stack(average(<language>, pairs), target)"
    found = plan(tmp_path, method)
    model = stage(found, f"target/topics/{method}@0")
    assert named(found, model) == {"x0": "average/average(<language>, pairs).en@0"}
    scored = stage(found, f"evaluate/topics.sw.test/{method}@0")
    assert named(found, scored) == {MODEL: model.name, "x0": "average/average(<language>, pairs).sw@0"}


def test_an_intermediate_may_be_trained_on_its_language_adapter(tmp_path: Path) -> None:
    on = {"name": "pairs", "task": "pairs", "on_language": True}
    found = plan(tmp_path, "stack(<language>, pairs, target)", intermediate=[on, "reply"])
    one = stage(found, "intermediate/pairs@0")
    assert spec(found, one.name).composition == "stack(x0, self)"
    assert named(found, one) == {"x0": "intermediate/wiki-en@0"}


# ---- trained elsewhere


def plan_with_old(folder: Path, *methods: str, **changes: Any) -> Plan:
    old = [{"name": "old", "path": "old", "language": "sw"}]
    given = {**ALL, "targets": [TOPICS], "methods": ["target", *methods], "pretrained": old, **changes}
    given["language"] = [one for one in given["language"] if one["language"] != "sw"]
    recipe = load(str(write(folder, recipe_data(**given))))
    return make_plan(recipe, Surroundings(by_name, BACKBONE, "fp32", None, {"old": "f" * 64}))


def test_a_pretrained_adapter_is_imported_once_and_known_by_its_content(tmp_path: Path) -> None:
    methods = ("stack(old, target)", "fuse(old, target)", "with(small, stack(old, target))")
    found = plan_with_old(tmp_path, *methods, seeds=[0, 1])
    one = stage(found, "pretrained/old")
    assert one.spec == ImportAdapter(BACKBONE, "f" * 64)
    assert named(found, stage(found, "target/topics/stack(old, target)@1")) == {"x0": "pretrained/old"}
    assert trained(found).count("pretrained/old") == 1


def test_a_pretrained_adapter_may_be_that_of_a_language(tmp_path: Path) -> None:
    found = plan_with_old(tmp_path, "stack(<language>, target)")
    scored = stage(found, "evaluate/topics.sw.test/stack(<language>, target)@0")
    assert named(found, scored)["x0"] == "pretrained/old"


def test_what_goes_on_from_elsewhere_has_settings_that_only_its_files_know(tmp_path: Path) -> None:
    found = plan_with_old(tmp_path, "init_from(old)")
    one = spec(found, "target/topics/init_from(old)@0")
    assert one.adapter == AdapterSpec("pretrained", UNSIZED)
    assert named(found, stage(found, "target/topics/init_from(old)@0")) == {INIT: "pretrained/old"}


# ---- keys


def test_keys_do_not_depend_on_names(tmp_path: Path) -> None:
    methods = (
        "stack(placebo(pairs), target)",
        "fuse(stack(<language>, pairs), stack(<language>, reply))",
        "stack(parallel(pairs, stack(tweets, reply)), target)",
        "with(small, stack(pairs, target))",
    )
    first = plan(tmp_path / "a", *methods)
    renamed = [
        method.replace("pairs", "zz").replace("reply", "aa").replace("tweets", "mm").replace("small", "tiny")
        for method in methods
    ]
    second = plan(
        tmp_path / "b",
        *renamed,
        intermediate=[{"name": "aa", "task": "reply"}, {"name": "zz", "task": "pairs"}],
        domain=[{"name": "mm", "task": "wiki"}],
        language=[{**one, "name": f"other-{one['language']}"} for one in reversed(ALL["language"])],
        adapters={"tiny": ALL["adapters"]["small"]},
    )
    assert set(first.stages) == set(second.stages)

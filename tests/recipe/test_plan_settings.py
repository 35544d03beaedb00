"""Plans beyond one task in one language: mixes, sources, settings, validation, overlap."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.recipe.plan import Cell, DataUse, Plan, Stage
from adapterstilts.specs import (
    INIT,
    DataPart,
    Evaluate,
    FewShot,
    FullFinetune,
    Mix,
    TrainAdapter,
    TrainFusion,
    changed_fields,
)
from adapterstilts.store.digest import canonical
from adapterstilts.tasks.spec import FileSource, Split

from .examples import TASKS as SIMPLE
from .examples import by_name, keys, plan_of
from .test_targets import TASKS as LABELLED

WIKI = {
    "kind": "mlm",
    "languages": {code: {"train": f"wiki.{code}", "validation": f"wiki.{code}.dev"} for code in ("en", "de")},
    "format": {"type": "jsonl"},
}
TASKS: dict[str, Any] = {**SIMPLE, **LABELLED, "wiki": WIKI}
MIX = {"name": "all", "mix": ["pairs", "reply", {"task": "wiki", "languages": ["en", "de"]}]}
MOOD = {"task": "mood", "languages": ["en", "sw"]}
FEW = {"few_shot": {"k": 5, "draws": 2}}
SELECTING = {"default": {"steps": 10}, "target": {"evaluations": 3}}


def plan(folder: Path, **changes: Any) -> Plan:
    return plan_of(
        folder, **{"tasks": TASKS, "intermediate": [], "methods": ["target"], "targets": [MOOD], **changes}
    )


def stage(plan: Plan, name: str) -> Stage:
    return plan.stages[keys(plan)[name]]


def trained(plan: Plan) -> list[str]:
    return [one.name for one in plan.stages.values() if not isinstance(one.spec, Evaluate)]


def spec(plan: Plan, name: str) -> Any:
    return stage(plan, name).spec


def uses(one: Stage) -> list[str]:
    return [str(use) for use in one.data]


def changed(old: Plan, new: Plan, name: str) -> list[str]:
    return changed_fields(canonical(spec(old, name)), canonical(spec(new, name)))


# ---- several languages, several tasks


def test_languages_of_one_task_are_parts_of_one_data(tmp_path: Path) -> None:
    section = {"name": "wiki", "task": "wiki", "languages": ["en", "de"]}
    one = stage(
        plan(tmp_path, intermediate=[section], methods=["target", "stack(wiki, target)"]),
        "intermediate/wiki@0",
    )
    assert isinstance(one.spec, TrainAdapter)
    (data,) = one.spec.data
    assert len(data.parts) == 2
    assert Counter(uses(one)) == Counter(["wiki.en.train", "wiki.de.train"])
    contents = [by_name(use.task.splits[use.language][use.split]) for use in one.data]
    assert [part.content for part in data.parts] == contents
    assert one.spec.mix is None


def test_a_mix_has_the_data_of_every_task(tmp_path: Path) -> None:
    found = plan(tmp_path, intermediate=[MIX], methods=["target", "stack(all, target)", "full_stilts(all)"])
    for name in ("intermediate/all@0", "intermediate/full(all)@0"):
        one = stage(found, name)
        assert isinstance(one.spec, TrainAdapter | FullFinetune)
        assert one.spec.mix == Mix(131072, 1.0)
        assert Counter(data.kind for data in one.spec.data) == Counter(
            ["classification", "multiple_choice", "mlm"]
        )
        # Where the data are comes in the order of what they are: task after task, part after part.
        places = iter(one.data)
        for data in one.spec.data:
            own = list(itertools.islice(places, len(data.parts)))
            assert {use.task.kind for use in own} == {data.kind}
            assert [part.content for part in data.parts] == [
                by_name(use.task.splits[use.language][use.split]) for use in own
            ]
        assert list(places) == []


def test_the_order_of_tasks_and_languages_is_in_no_key(tmp_path: Path) -> None:
    turned = {"name": "all", "mix": [{"task": "wiki", "languages": ["de", "en"]}, "reply", "pairs"]}
    methods = ["target", "stack(all, target)"]
    old = plan(tmp_path, intermediate=[MIX], methods=methods)
    new = plan(tmp_path, intermediate=[turned], methods=methods)
    assert set(old.stages) == set(new.stages)
    assert uses(stage(old, "intermediate/all@0")) == uses(stage(new, "intermediate/all@0"))


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"cap": None}, ["mix.cap"]),
        ({"cap": 7}, ["mix.cap"]),
        ({"temperature": 2}, ["mix.temperature"]),
        ({"mix": ["pairs", "reply"]}, ["data"]),
    ],
)
def test_what_a_mix_is_is_in_its_key(change: dict[str, Any], fields: list[str], tmp_path: Path) -> None:
    methods = ["target", "stack(all, target)"]
    old = plan(tmp_path, intermediate=[MIX], methods=methods)
    new = plan(tmp_path, intermediate=[{**MIX, **change}], methods=methods)
    found = changed(old, new, "intermediate/all@0")
    assert [field for field in found if not field.startswith("data[")] == fields


def test_settings_of_a_mix_go_by_its_name(tmp_path: Path) -> None:
    training = {"default": {"steps": 10}, "by_task": {"all": {"steps": 99}}}
    methods = ["target", "stack(all, target)"]
    found = spec(plan(tmp_path, intermediate=[MIX], methods=methods, training=training), "intermediate/all@0")
    assert found.training.steps == 99


# ---- sources


def test_a_source_is_trained_on_with_the_targets_labels(tmp_path: Path) -> None:
    source = {"task": "drugs", "labels": {"Drug": "NORM", "Dose": None}}
    found = plan(tmp_path, targets=[{"task": "pharma", "source": source}])
    one = stage(found, "target/drugs/target@0")
    (data,) = one.spec.data  # type: ignore[union-attr]
    assert data.labels == ("O", "B-NORM", "I-NORM")
    assert data.label_map == {"B-Drug": "B-NORM", "I-Drug": "I-NORM", "B-Dose": "O", "I-Dose": "O"}
    assert [(use.task.name, use.task.labels, use.task.label_map) for use in one.data] == [
        ("drugs", data.labels, data.label_map)
    ]
    assert {c.source for c in found.cells} == {"drugs"}
    # The same source for its own labels is another stage.
    own = plan(tmp_path, targets=["drugs"])
    assert keys(own)["target/drugs/target@0"] != one.key


def test_a_source_of_several_languages_is_one_training(tmp_path: Path) -> None:
    found = plan(tmp_path, targets=[{**MOOD, "source": {"languages": ["sw", "en"]}}])
    assert trained(found) == ["target/mood/target@0"]
    assert Counter(uses(stage(found, "target/mood/target@0"))) == Counter(["mood.en.train", "mood.sw.train"])


# ---- in the language itself


def test_in_language_trains_one_model_a_language(tmp_path: Path) -> None:
    found = plan(tmp_path, targets=[{**MOOD, "setting": "in_language"}], methods=["target", "full_finetune"])
    assert [(name, uses(stage(found, name))) for name in trained(found)] == [
        ("target/mood.en/target@0", ["mood.en.train"]),
        ("target/mood.sw/target@0", ["mood.sw.train"]),
        ("target/mood.en/full_finetune@0", ["mood.en.train"]),
        ("target/mood.sw/full_finetune@0", ["mood.sw.train"]),
    ]
    for cell in found.cells:
        one = found.stages[cell.stage or ""]
        (model,) = one.inputs.values()
        assert found.stages[model].name.startswith(f"target/mood.{cell.language}/")
        assert cell.trained_by == model
        assert (cell.setting, cell.source, cell.draw) == ("in_language", "mood", None)


def test_training_is_keyed_by_data_not_by_setting(tmp_path: Path) -> None:
    both = plan(tmp_path, targets=[MOOD, {**MOOD, "setting": "in_language"}])
    assert trained(both) == ["target/mood/target@0", "target/mood.sw/target@0"]


# ---- a few examples


def test_a_few_examples_go_on_from_the_source(tmp_path: Path) -> None:
    found = plan(
        tmp_path,
        targets=[{**MOOD, "setting": FEW}],
        intermediate=["pairs"],
        methods=[
            "target",
            "stack(pairs, target)",
            "fuse(pairs, target)",
            "full_finetune",
            "full_stilts(pairs)",
        ],
    )
    for method, first, kind in (
        ("target", "target/mood/target@0", TrainAdapter),
        ("stack(pairs, target)", "target/mood/stack(pairs, target)@0", TrainAdapter),
        ("fuse(pairs, target)", "fusion/mood/fuse(pairs, target)@0", TrainFusion),
        ("full_finetune", "target/mood/full_finetune@0", FullFinetune),
        ("full_stilts(pairs)", "target/mood/full_stilts(pairs)@0", FullFinetune),
    ):
        before = stage(found, first)
        place = first.split("/")[0]
        for language, draw in itertools.product(("en", "sw"), (0, 1)):
            after = stage(found, f"{place}/mood.{language}.few-5-{draw}/{method}@0")
            assert isinstance(before.spec, kind)
            assert isinstance(after.spec, kind)
            assert (before.spec.continues, after.spec.continues) == (False, True)
            assert uses(after) == [f"mood.{language}.train (5, draw {draw})"]
            assert after.spec.data[0].parts[0].few_shot == FewShot(5, draw)
            # It starts from the model that the source made, in the same arrangement.
            assert after.inputs[INIT] == before.key
            positions = {role: key for role, key in before.inputs.items() if role != INIT}
            assert {role: key for role, key in after.inputs.items() if role != INIT} == positions
            assert getattr(after.spec, "composition", "") == getattr(before.spec, "composition", "")
            assert (after.spec.role, after.spec.seed) == (before.spec.role, before.spec.seed)
            assert (after.spec.training.epochs, after.spec.training.steps) == (20.0, None)
    # The target inside a fusion stays as the source made it.
    fused = stage(found, "fusion/mood.sw.few-5-1/fuse(pairs, target)@0")
    assert keys(found)["target/mood/target@0"] in fused.inputs.values()


def test_without_a_source_the_few_examples_are_all(tmp_path: Path) -> None:
    target = {**MOOD, "setting": FEW, "source": "none"}
    found = plan(
        tmp_path, targets=[target], intermediate=["pairs"], methods=["target", "fuse(pairs, target)"]
    )
    names = [f"target/mood.{code}.few-5-{draw}/target@0" for draw in (0, 1) for code in ("en", "sw")]
    assert [name for name in trained(found) if name.startswith("target/")] == names
    for name in trained(found):
        assert not spec(found, name).continues
        assert INIT not in stage(found, name).inputs
    fused = stage(found, "fusion/mood.sw.few-5-1/fuse(pairs, target)@0")
    assert keys(found)["target/mood.sw.few-5-1/target@0"] in fused.inputs.values()
    assert fused.spec.training.epochs == 20  # type: ignore[union-attr]
    assert {c.source for c in found.cells} == {"none"}


def test_every_draw_has_its_cells(tmp_path: Path) -> None:
    found = plan(
        tmp_path, targets=[{**MOOD, "setting": FEW}], methods=["target", "full_finetune"], seeds=[3, 1]
    )
    places = [(c.method, c.seed, c.draw, c.language) for c in found.cells]
    assert places == list(itertools.product(["target", "full_finetune"], [1, 3], [0, 1], ["en", "sw"]))
    assert {c.setting for c in found.cells} == {"few_shot k=5"}
    assert len({c.stage for c in found.cells}) == len(found.cells)
    for cell in found.cells:
        model = found.stages[found.stages[cell.stage or ""].inputs["model"]]
        assert model.data[0].few_shot == FewShot(5, cell.draw or 0)
        assert (model.data[0].language, model.spec.seed) == (cell.language, cell.seed)  # type: ignore[union-attr]


def test_samples_are_the_same_for_every_method_and_seed_and_nested_in_k(tmp_path: Path) -> None:
    def part(k: int, **changes: Any) -> DataPart:
        target = {**MOOD, "setting": {"few_shot": {"k": k}}}
        found = plan(tmp_path, targets=[target], methods=["target", "full_finetune"], **changes)
        specs: list[Any] = [
            one.spec for one in found.stages.values() if str(one.data[0]).startswith("mood.sw.train")
        ]
        parts = [spec.data[0].parts[0] for spec in specs]
        assert len(parts) == 2 * len(changes.get("seeds", [0]))
        assert all(one == parts[0] for one in parts)
        return parts[0]

    small, large = part(5, seeds=[0, 1]), part(50)
    assert replace(small, few_shot=None) == replace(large, few_shot=None)
    assert (small.few_shot, large.few_shot) == (FewShot(5, 0), FewShot(50, 0))


def test_a_few_examples_are_scored_with_their_own_settings(tmp_path: Path) -> None:
    training = {"default": {"steps": 10}, "few_shot": {"max_length": 64, "epochs": 3}}
    found = plan(tmp_path, targets=[MOOD, {**MOOD, "setting": FEW}], training=training)
    assert spec(found, "evaluate/mood.sw.test/target@0").max_length == 128
    assert spec(found, "evaluate/mood.sw.test/few-5-1/target@0").max_length == 64
    few = spec(found, "target/mood.sw.few-5-1/target@0").training
    assert (few.max_length, few.epochs, few.steps) == (64, 3.0, None)


# ---- validation


def validation(one: Stage) -> tuple[list[str], list[str]]:
    data: Any = one.spec
    assert [len(task.parts) for task in data.validation] == [1] * len(one.validation) or len(
        data.validation
    ) == 1
    return [str(use) for use in one.validation], list(data.selection)


def test_the_source_validates_unless_told_otherwise(tmp_path: Path) -> None:
    found = plan(tmp_path, targets=[MOOD], training=SELECTING)
    one = stage(found, "target/mood/target@0")
    assert validation(one) == (["mood.en.validation"], ["accuracy"])
    assert one.spec.training.evaluations == 3  # type: ignore[union-attr]
    assert {c.select_on for c in found.cells} == {"source"}


def test_a_mapped_source_is_scored_as_the_target_is(tmp_path: Path) -> None:
    source = {"task": "drugs", "labels": {"Drug": "NORM", "Dose": None}}
    tasks = {**TASKS, "pharma": {**TASKS["pharma"], "metrics": ["strict_span_f1"]}}
    found = plan(tmp_path, tasks=tasks, targets=[{"task": "pharma", "source": source}], training=SELECTING)
    one: Any = stage(found, "target/drugs/target@0")
    assert validation(one) == (["drugs.en.validation"], ["strict_span_f1"])
    assert one.spec.validation[0].label_map == one.spec.data[0].label_map


def test_the_targets_own_language_may_validate(tmp_path: Path) -> None:
    found = plan(tmp_path, targets=[{**MOOD, "validation": "target"}], training=SELECTING)
    assert [(name, validation(stage(found, name))[0]) for name in trained(found)] == [
        (f"target/mood.select-{code}/target@0", [f"mood.{code}.validation"]) for code in ("en", "sw")
    ]
    assert {tuple(uses(stage(found, name))) for name in trained(found)} == {("mood.en.train",)}
    assert {c.select_on for c in found.cells} == {"target"}


def test_nothing_validates_where_nothing_is_to_select(tmp_path: Path) -> None:
    selecting = {**SELECTING, "target": {"evaluations": 3, "patience": 2}}
    none = plan(tmp_path, targets=[{**MOOD, "validation": "none"}], training=selecting)
    assert set(none.stages) == set(plan(tmp_path, training={"default": {"steps": 10}}).stages)
    assert {c.select_on for c in none.cells} == {""}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({}, ["mood.en.validation", "mood.en.validation"]),
        ({"validation": "target"}, ["mood.sw.validation", "mood.sw.validation"]),
        ({"source": "none"}, ["mood.sw.validation"]),
    ],
)
def test_both_trainings_of_a_few_shot_target_are_validated(
    target: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    few = {**MOOD, "languages": ["sw"], "setting": {"few_shot": {"k": 5}}, **target}
    found = plan(tmp_path, targets=[few], training=SELECTING)
    assert [validation(stage(found, name))[0] for name in trained(found)] == [[one] for one in expected]


def test_only_stages_that_are_evaluated_read_validation_data(tmp_path: Path) -> None:
    training = {"default": {"steps": 10}, "fusion": {"evaluations": 2}}
    found = plan(
        tmp_path, intermediate=["pairs"], methods=["target", "fuse(pairs, target)"], training=training
    )
    assert {name: len(stage(found, name).validation) for name in trained(found)} == {
        "target/mood/target@0": 0,
        "intermediate/pairs@0": 0,
        "fusion/mood/fuse(pairs, target)@0": 1,
    }
    assert {(c.method, c.select_on) for c in found.cells} == {
        ("target", ""),
        ("fuse(pairs, target)", "source"),
    }


def test_intermediates_validate_on_their_own_data_task_by_task(tmp_path: Path) -> None:
    mix = {"name": "all", "mix": ["mood", {"task": "wiki", "languages": ["en", "de"]}, "drugs"]}
    training = {"default": {"steps": 10}, "intermediate": {"evaluations": 2}}
    found = plan(tmp_path, intermediate=[mix], methods=["target", "stack(all, target)"], training=training)
    one: Any = stage(found, "intermediate/all@0")
    metrics = {"classification": "accuracy", "mlm": "loss", "tagging": "span_f1"}
    # The tasks of the validation are those of the data, in the same order, for each has its head.
    assert [task.kind for task in one.spec.validation] == [task.kind for task in one.spec.data]
    assert one.spec.selection == tuple(metrics[task.kind] for task in one.spec.data)
    assert Counter(str(use) for use in one.validation) == Counter(
        ["mood.en.validation", "wiki.en.validation", "wiki.de.validation", "drugs.en.validation"]
    )
    assert {c.select_on for c in found.cells} == {""}


# ---- test texts in training data


def test_scored_texts_are_taken_out_of_all_training_data(tmp_path: Path) -> None:
    targets = [MOOD, {"task": "match"}, {"task": "pharma", "setting": "in_language", "languages": ["es"]}]
    changes: dict[str, Any] = {
        "targets": targets,
        "intermediate": ["pairs"],
        "methods": ["target", "stack(pairs, target)", "full_finetune"],
        "training": SELECTING,
    }
    plain, found = plan(tmp_path, **changes), plan(tmp_path, **changes, remove_overlap=True)
    assert keys(plain).keys() == keys(found).keys()
    scored = {"mood.en.test", "mood.sw.test", "match.sw.test", "pharma.es.test"}
    for name in trained(found):
        one: Any = stage(found, name)
        assert all({str(other) for other in use.without} == scored for use in one.data)
        assert all(len(part.without) == len(scored) for task in one.spec.data for part in task.parts)
        assert all(use.without == () for use in one.validation)
        assert {field.split(".without")[0] for field in changed(plain, found, name)} == {"data[0].parts[0]"}
    assert all(one.data[0].without == () for one in found.stages.values() if isinstance(one.spec, Evaluate))


def test_what_is_taken_out_depends_on_no_order_name_or_limit(tmp_path: Path) -> None:
    def key(*targets: Any) -> str:
        return keys(plan(tmp_path, targets=list(targets), remove_overlap=True))["target/mood/target@0"]

    first = key(MOOD, "asked")
    assert key("asked", {**MOOD, "languages": ["sw", "en"], "limit": 3}) == first
    assert key({**MOOD, "name": "moods"}, "asked", {**MOOD, "split": "validation"}) != first
    assert key(MOOD) != first


def test_a_sample_is_drawn_from_what_is_left(tmp_path: Path) -> None:
    found = plan(tmp_path, targets=[{**MOOD, "setting": FEW}], remove_overlap=True)
    (part,) = spec(found, "target/mood.sw.few-5-0/target@0").data[0].parts
    assert part.few_shot == FewShot(5, 0)
    assert len(part.without) == 2


# ---- evaluation


def test_question_answering_is_read_in_windows(tmp_path: Path) -> None:
    tasks = {**TASKS, "asked": {**TASKS["asked"], "unanswerable": True}}
    found = plan(tmp_path, tasks=tasks, targets=["asked"])
    scored, training = spec(found, "evaluate/asked.en.test/target@0"), spec(found, "target/asked/target@0")
    assert (scored.max_length, scored.stride, scored.metrics) == (384, 128, ("squad2_f1", "squad2_em"))
    assert (training.training.max_length, training.training.stride) == (384, 128)
    assert scored.data.unanswerable
    assert training.data[0].unanswerable
    mood = spec(plan(tmp_path), "evaluate/mood.en.test/target@0")
    assert (mood.max_length, mood.stride, mood.data.unanswerable) == (128, None, False)


# ---- cells


def cell(found: Plan, **wanted: Any) -> Cell:
    (one,) = [c for c in found.cells if all(getattr(c, name) == value for name, value in wanted.items())]
    return one


def test_cells_tell_the_targets_of_one_task_apart(tmp_path: Path) -> None:
    source = {"task": "stars", "labels": {"low": "bad", "high": "good"}}
    found = plan(
        tmp_path,
        targets=[
            {"task": "mood", "languages": ["sw"], "setting": "in_language"},
            {"task": "mood", "languages": ["sw"], "name": "from-stars", "source": source},
            "match",
        ],
    )
    assert [(c.target, c.task, c.source, c.setting, c.language) for c in found.cells] == [
        ("mood", "mood", "mood", "in_language", "sw"),
        ("from-stars", "mood", "stars", "zero_shot", "sw"),
        ("match", "match", "", "untrained", "sw"),
    ]


def test_relations_look_at_all_that_a_target_trains_on(tmp_path: Path) -> None:
    swahili = {"name": "swahili", "task": "mood", "language": "sw"}
    mix = {"name": "both", "mix": ["pairs", {"task": "mood", "languages": ["en"]}]}
    found = plan(
        tmp_path,
        intermediate=[swahili, mix, "pairs"],
        methods=["target", "stack(<intermediate>, target)"],
        targets=[{**MOOD, "setting": "in_language"}, {**MOOD, "setting": FEW, "languages": ["sw"]}],
    )

    def relation(name: str, setting: str, language: str) -> str:
        method = f"stack({name}, target)"
        return {
            c.relation
            for c in found.cells
            if (c.method, c.setting, c.language) == (method, setting, language)
        }.pop()

    shares, same = "shares training data", "same domain"
    assert relation("swahili", "in_language", "sw") == shares
    assert relation("swahili", "in_language", "en") == same
    assert relation("both", "in_language", "en") == shares
    assert relation("both", "in_language", "sw") == same
    # A few-shot target trains on its source in English and on Swahili.
    assert relation("swahili", "few_shot k=5", "sw") == relation("both", "few_shot k=5", "sw") == shares
    assert relation("pairs", "few_shot k=5", "sw") == same


# ---- data whose content nobody knows yet


@pytest.mark.parametrize(
    ("unknown", "changes", "names"),
    [
        ("classification.en.validation", {"training": SELECTING}, {"target/mood/target@0"}),
        ("classification.sw.test", {"remove_overlap": True}, {"target/mood/target@0"}),
        (
            "classification.sw.train",
            {"targets": [{**MOOD, "setting": "in_language"}]},
            {"target/mood.sw/target@0"},
        ),
    ],
)
def test_a_stage_is_unresolved_while_anything_that_it_reads_is(
    unknown: str, changes: dict[str, Any], names: set[str], tmp_path: Path
) -> None:
    def content(split: Split) -> str | None:
        assert isinstance(split.source, FileSource)
        return None if split.source.paths == (unknown,) else by_name(split)

    found = plan(tmp_path, content=content, **changes)
    assert {name for name in trained(found) if not stage(found, name).resolved} == names
    reads: list[DataUse] = [use for name in names for use in stage(found, name).reads]
    assert any(unknown.endswith(f"{use.language}.{use.split}") for use in reads)


def test_names_of_stages_are_unique_in_a_plan_of_everything(tmp_path: Path) -> None:
    found = plan(
        tmp_path,
        intermediate=["pairs", MIX],
        methods=["target", "stack(<intermediate>, target)", "fuse(pairs, all, target)", "full_stilts(all)"],
        targets=[
            MOOD,
            {**MOOD, "setting": "in_language"},
            {**MOOD, "setting": FEW},
            {**MOOD, "name": "alone", "setting": FEW, "source": "none"},
            {**MOOD, "name": "chosen", "validation": "target"},
            "match",
            "asked",
        ],
        seeds=[0, 1],
        training={"default": {"steps": 10}, "by_task": {"chosen": {"evaluations": 2}}},
    )
    names = [one.name for one in found.stages.values()]
    assert len(set(names)) == len(names)
    seen: set[str] = set()
    for key, one in found.stages.items():
        assert set(one.inputs.values()) <= seen
        seen.add(key)

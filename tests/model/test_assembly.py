"""What is put on the backbone: the right function, the right trainable set, and nothing left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import state_of
from handmade import encoded
from references import setups
from references.setups import BATCH, CPU, HEAD, LAYERS, SEQUENCES, logits, made, scramble
from references.xlmr import Reference
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapterstilts.data.tensors import collate
from adapterstilts.errors import StoreError
from adapterstilts.model.assembly import (
    Blueprint,
    HeadSpec,
    assembled,
    trainable_size,
    unfreeze,
    without_backbone_dropout,
)
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.blocks import library_composition, memory_name
from adapterstilts.model.faults import AssemblyError
from adapterstilts.model.full import load_full, save_full
from adapterstilts.specs import AdapterSpec

ADAPTER = setups.SPECS["seq_bn"]
CHOICE = HeadSpec("multiple_choice", ())
COMPOSITIONS = ("self", "stack(x0, self)", "fuse(x0, x1)", "stack(fuse(x0, x1), self)", "stack(x0, x1, self)")


@pytest.fixture(scope="module")
def saved(shared_backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three saved adapters that do something; tests change none of them."""
    return setups.write_inputs(shared_backbone, ADAPTER, tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def inputs(saved: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Copies of the three, for a test to do with what it likes."""
    return {name: shutil.copytree(folder, tmp_path / name / "adapter") for name, folder in saved.items()}


def blueprint_of(composition: str, inputs: Mapping[str, Path], **changes: Any) -> Blueprint:
    return setups.blueprint_of(composition, inputs, ADAPTER, **changes)


# ---- what trains


def adapter_names(name: str = "trained", layers: Any = LAYERS) -> set[str]:
    parts = ("adapter_down.0.weight", "adapter_down.0.bias", "adapter_up.weight", "adapter_up.bias")
    return {f"roberta.encoder.layer.{i}.output.adapters.{name}.{part}" for i in layers for part in parts}


def fusion_names(*names: str) -> set[str]:
    parts = ("query.weight", "query.bias", "key.weight", "key.bias", "value.weight")
    place = "output.adapter_fusion_layer." + ",".join(names)
    return {f"roberta.encoder.layer.{i}.{place}.{part}" for i in LAYERS for part in parts}


HEAD_NAMES = {f"heads.trained.{part}" for part in ("1.weight", "1.bias", "4.weight", "4.bias")}
TRAINABLE = {
    "self": adapter_names() | HEAD_NAMES,
    "stack(x0, self)": adapter_names() | HEAD_NAMES,
    "fuse(x0, x1)": fusion_names("x0_", "x1_") | HEAD_NAMES,
    "stack(fuse(x0, x1), self)": fusion_names("x0_", "x1_") | adapter_names() | HEAD_NAMES,
    "stack(x0, x1, self)": adapter_names() | HEAD_NAMES,
}


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_exactly_the_right_parameters_train(
    backbone: Backbone, inputs: dict[str, Path], composition: str
) -> None:
    with assembled(backbone, blueprint_of(composition, inputs)) as assembly:
        assert not any(parameter.requires_grad for parameter in assembly.model.parameters())
        parameters = unfreeze(assembly, full=False)
        named = dict(assembly.model.named_parameters())
        assert set(parameters) == TRAINABLE[composition]
        assert all(parameters[name] is named[name] for name in parameters)
        assert {name for name, parameter in named.items() if parameter.requires_grad} == set(parameters)
        assert assembly.model.training
        assert trainable_size(parameters) == sum(named[name].numel() for name in TRAINABLE[composition])


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_all_that_trains_gets_a_gradient(
    backbone: Backbone, inputs: dict[str, Path], composition: str
) -> None:
    with assembled(backbone, blueprint_of(composition, inputs)) as assembly:
        parameters = unfreeze(assembly, full=False)
        scramble(parameters, 3)
        assembly.loss(BATCH).backward()
        assert all(
            parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in parameters.values()
        )
        others = [p for name, p in assembly.model.named_parameters() if name not in parameters]
        assert all(parameter.grad is None for parameter in others)
        for parameter in parameters.values():
            parameter.grad = None


def test_a_whole_model_trains_all_but_the_pooler(backbone: Backbone, backbone_folder: Path) -> None:
    pretrained = load_file(str(backbone_folder / "model.safetensors"))
    with assembled(backbone, Blueprint("stack()", heads=(HEAD,))) as assembly:
        assert set(unfreeze(assembly, full=True)) == set(pretrained) | HEAD_NAMES


def test_the_lowest_layers_can_go_without(backbone: Backbone) -> None:
    blueprint = Blueprint("self", adapter=AdapterSpec("seq_bn", 4, skip_layers=2), heads=(HEAD,))
    with assembled(backbone, blueprint) as assembly:
        assert set(unfreeze(assembly, full=False)) == adapter_names(layers=[2]) | HEAD_NAMES


def test_the_bottleneck_has_the_size_that_was_asked_for(backbone: Backbone) -> None:
    for factor, size in ((4, 8), (16, 2)):
        with assembled(
            backbone, Blueprint("self", adapter=AdapterSpec("seq_bn", factor), heads=(HEAD,))
        ) as assembly:
            down = unfreeze(assembly, full=False)[
                "roberta.encoder.layer.0.output.adapters.trained.adapter_down.0.weight"
            ]
            assert down.shape == (size, 32)


def test_nothing_to_train_is_refused(backbone: Backbone) -> None:
    with (
        assembled(backbone, Blueprint("stack()")) as assembly,
        pytest.raises(AssemblyError, match="nothing to train"),
    ):
        unfreeze(assembly, full=False)


# ---- what is fresh


def initial(backbone: Backbone, blueprint: Blueprint) -> dict[str, Tensor]:
    torch.manual_seed(torch.seed())
    with assembled(backbone, blueprint) as assembly:
        return {name: value.detach().clone() for name, value in unfreeze(assembly, full=False).items()}


@pytest.mark.parametrize(
    "composition", ["stack(x0, self)", "stack(x0, x1, self)", "stack(fuse(x0, x1), self)"]
)
def test_methods_are_paired(backbone: Backbone, inputs: dict[str, Path], composition: str) -> None:
    alone = initial(backbone, blueprint_of("self", {}, seed=4))
    other = initial(backbone, blueprint_of(composition, inputs, seed=4))
    assert set(alone) <= set(other)
    assert all(torch.equal(alone[name], other[name]) for name in alone)


def test_a_fusion_starts_with_the_head_of_its_seed_and_role(
    backbone: Backbone, inputs: dict[str, Path]
) -> None:
    alone = initial(backbone, blueprint_of("self", {}, seed=4, role="fusion"))
    fused = initial(backbone, blueprint_of("fuse(x0, x1)", inputs, seed=4, role="fusion"))
    assert all(torch.equal(alone[name], fused[name]) for name in HEAD_NAMES)


@pytest.mark.parametrize("change", [{"seed": 5}, {"role": "intermediate"}])
def test_seed_and_role_decide_what_is_fresh(backbone: Backbone, change: dict[str, Any]) -> None:
    first = initial(backbone, blueprint_of("self", {}, seed=4, role="target"))
    second = initial(backbone, blueprint_of("self", {}, **{"seed": 4, "role": "target", **change}))
    for name in (
        "heads.trained.4.weight",
        "roberta.encoder.layer.1.output.adapters.trained.adapter_up.weight",
    ):
        assert not torch.equal(first[name], second[name])


def test_layers_start_differently(backbone: Backbone) -> None:
    fresh = initial(backbone, blueprint_of("self", {}))
    ups = [fresh[f"roberta.encoder.layer.{i}.output.adapters.trained.adapter_up.weight"] for i in LAYERS]
    assert not torch.equal(ups[0], ups[1])


def test_a_whole_models_head_is_paired_too(backbone: Backbone) -> None:
    alone = initial(backbone, blueprint_of("self", {}, seed=4))
    with assembled(backbone, Blueprint("stack()", heads=(HEAD,), seed=4)) as assembly:
        whole = unfreeze(assembly, full=True)
        assert all(torch.equal(alone[name], whole[name]) for name in HEAD_NAMES)


# ---- nothing stays


def test_training_leaves_no_trace(backbone: Backbone, inputs: dict[str, Path]) -> None:
    before = state_of(backbone)
    for composition in COMPOSITIONS:
        with assembled(backbone, blueprint_of(composition, inputs)) as assembly:
            parameters = unfreeze(assembly, full=False)
            with without_backbone_dropout(assembly):
                optimiser = torch.optim.SGD(parameters.values(), lr=0.1)
                assembly.loss(BATCH).backward()
                optimiser.step()
        assert state_of(backbone) == before


def test_an_error_inside_leaves_no_trace(backbone: Backbone, inputs: dict[str, Path]) -> None:
    before = state_of(backbone)
    with (
        pytest.raises(ZeroDivisionError),
        assembled(backbone, blueprint_of("fuse(x0, x1)", inputs)) as assembly,
    ):
        unfreeze(assembly, full=False)
        with without_backbone_dropout(assembly):
            raise ZeroDivisionError
    assert state_of(backbone) == before


@pytest.mark.parametrize("part", ["adapter", "fusion", "head"])
def test_an_assembly_that_fails_half_way_leaves_no_trace(
    backbone: Backbone, inputs: dict[str, Path], tmp_path: Path, part: str
) -> None:
    before = state_of(backbone)
    blueprint = blueprint_of("stack(fuse(x0, x1), self)", inputs)
    made(backbone, blueprint, tmp_path / "own")
    (tmp_path / "own" / part).rename(tmp_path / "gone")
    with (
        pytest.raises(AssemblyError, match=f"{part}: holds no {part}; run `adapterstilts store verify`"),
        assembled(backbone, replace(blueprint, trained=tmp_path / "own")),
    ):
        pass
    assert state_of(backbone) == before


def test_dropout_of_the_backbone_alone_is_switched_off(backbone: Backbone, inputs: dict[str, Path]) -> None:
    with assembled(backbone, blueprint_of("fuse(x0, x1)", inputs)) as assembly:
        unfreeze(assembly, full=False)
        rates = {n: m.p for n, m in assembly.model.named_modules() if isinstance(m, torch.nn.Dropout)}
        with without_backbone_dropout(assembly):
            now = {n: m.p for n, m in assembly.model.named_modules() if isinstance(m, torch.nn.Dropout)}
        own = {n for n in rates if n.startswith("heads.") or "adapter" in n}
        assert {n for n in now if now[n] != 0} == {n for n in own if rates[n] != 0} != set()
        assert all(now[n] == 0 for n in rates if n not in own)
        assert any(rates[n] == 0.1 for n in rates if n not in own)
        after = {n: m.p for n, m in assembly.model.named_modules() if isinstance(m, torch.nn.Dropout)}
        assert after == rates


# ---- saving and loading


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_a_reloaded_model_answers_to_the_bit(
    backbone: Backbone, inputs: dict[str, Path], tmp_path: Path, composition: str
) -> None:
    blueprint = blueprint_of(composition, inputs)
    saved = made(backbone, blueprint, tmp_path / "own")
    with assembled(backbone, blueprint) as assembly:
        assert not torch.equal(logits(assembly), saved)
    torch.manual_seed(1)
    with assembled(backbone, replace(blueprint, trained=tmp_path / "own", seed=99)) as assembly:
        assert torch.equal(logits(assembly), saved)
        assert not any(parameter.requires_grad for parameter in assembly.model.parameters())
        assert not assembly.model.training


def test_a_reloaded_choice_model_answers_to_the_bit(backbone: Backbone, tmp_path: Path) -> None:
    blueprint = Blueprint("self", adapter=ADAPTER, heads=(CHOICE,))
    saved = made(backbone, blueprint, tmp_path)
    assert saved.shape == (3, 1)
    with assembled(backbone, replace(blueprint, trained=tmp_path)) as assembly:
        assert torch.equal(logits(assembly), saved)


def test_a_reloaded_whole_model_answers_to_the_bit(backbone: Backbone, tmp_path: Path) -> None:
    import copy

    trained = replace(backbone, model=copy.deepcopy(backbone.model))
    with assembled(trained, Blueprint("stack()", heads=(HEAD,))) as assembly:
        scramble(unfreeze(assembly, full=True), 5)
        assembly.model.eval().requires_grad_(False)
        saved = logits(assembly)
        assembly.save(tmp_path)
    save_full(trained, tmp_path)
    assert not (tmp_path / "adapter").exists()
    again = replace(backbone, model=copy.deepcopy(backbone.model))
    load_full(again, tmp_path)
    with assembled(again, Blueprint("stack()", trained=tmp_path, heads=(HEAD,))) as assembly:
        assert torch.equal(logits(assembly), saved)
    with assembled(backbone, Blueprint("stack()", trained=tmp_path, heads=(HEAD,))) as assembly:
        assert not torch.equal(logits(assembly), saved)


def test_weights_of_another_model_are_refused(backbone: Backbone, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not kept; run its recipe with --keep --force STAGE"):
        load_full(backbone, tmp_path)
    save_full(backbone, tmp_path)
    path = str(tmp_path / "model.safetensors")
    weights = load_file(path)
    for damaged in (
        {name: value for name, value in weights.items() if "layer.2." not in name},
        {**weights, "embeddings.LayerNorm.bias": torch.zeros(5)},
        {**weights, "extra": torch.zeros(1)},
    ):
        save_file(damaged, path)
        with pytest.raises(StoreError, match="another architecture"):
            load_full(backbone, tmp_path)


def test_only_what_trains_is_saved(backbone: Backbone, inputs: dict[str, Path], tmp_path: Path) -> None:
    for composition, parts in (
        ("stack(x0, self)", {"adapter", "head"}),
        ("fuse(x0, x1)", {"fusion", "head"}),
        ("stack(fuse(x0, x1), self)", {"adapter", "fusion", "head"}),
    ):
        folder = tmp_path / composition
        made(backbone, blueprint_of(composition, inputs), folder)
        assert {path.name for path in folder.iterdir()} == parts
        names = {name for path in folder.rglob("*.safetensors") for name in load_file(str(path))}
        assert names == TRAINABLE[composition]
        assert not list(folder.rglob("*.bin"))


def test_positions_are_told_apart_beyond_ten() -> None:
    assert memory_name("x1") == "x1_"
    assert not memory_name("x10").startswith(memory_name("x1"))
    assert str(library_composition("stack(fuse(x0, x1), self)")) == "Stack[Fuse[x0_, x1_], trained]"
    assert library_composition("stack()") is None


# ---- wrong files


def damage(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    path = str(folder / "adapter.safetensors")
    save_file(change(load_file(path)), path)


def with_backbone_weight(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**tensors, "roberta.encoder.layer.0.output.dense.bias": torch.zeros(32)}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (with_backbone_weight, "something else than one adapter"),
        (lambda tensors: {name: t for name, t in tensors.items() if "layer.2" not in name}, "does not fit"),
        (lambda tensors: {name: t for name, t in tensors.items() if "up.bias" not in name}, "does not fit"),
        (
            lambda tensors: {
                **tensors,
                **{n.replace("layer.0", "layer.7"): t.clone() for n, t in tensors.items()},
            },
            "does not fit",
        ),
        (lambda tensors: {name: torch.zeros(*t.shape, 2) for name, t in tensors.items()}, "another shape"),
        (lambda tensors: {}, "something else than one adapter"),
    ],
)
def test_a_wrong_adapter_is_refused(
    backbone: Backbone,
    inputs: dict[str, Path],
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    what: str,
) -> None:
    damage(inputs["x0"], change)
    with (
        pytest.raises(AssemblyError, match=f"x0/adapter: .*{what}.*store verify"),
        assembled(backbone, blueprint_of("stack(x0, self)", inputs)),
    ):
        pass


def test_a_missing_adapter_is_not_looked_for_elsewhere(backbone: Backbone, tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", Path("someone/adapter")):
        with (
            pytest.raises(AssemblyError, match="holds no adapter"),
            assembled(backbone, blueprint_of("stack(x0, self)", {"x0": folder})),
        ):
            pass


# ---- against plain torch; all compositions are in `test_compositions`


def test_hidden_states_are_those_of_each_layer(
    backbone: Backbone, backbone_folder: Path, inputs: dict[str, Path]
) -> None:
    reference = Reference(backbone_folder)
    reference.add(inputs["x0"], "x0")
    real = BATCH.attention_mask.bool()
    for composition in ("stack()", "x0"):
        expected = reference.hidden(BATCH, composition)
        with assembled(backbone, replace(blueprint_of(composition, inputs), heads=())) as assembly:
            for ours, theirs in zip(setups.states(assembly), expected, strict=True):
                assert torch.allclose(ours.double(), theirs[real], atol=1e-5, rtol=0)


def test_padding_does_not_change_an_answer(backbone: Backbone, inputs: dict[str, Path]) -> None:
    with assembled(backbone, blueprint_of("stack(fuse(x0, x1), self)", inputs)) as assembly:
        together = logits(assembly)
        for i, ids in enumerate(SEQUENCES):
            alone = logits(assembly, collate(encoded([[ids]]), [0], CPU))
            assert torch.allclose(alone[0], together[i], atol=1e-5)


# ---- loss and regulariser


def test_the_loss_is_the_mean_over_examples(backbone: Backbone) -> None:
    with assembled(backbone, Blueprint("self", adapter=ADAPTER, heads=(HEAD,))) as assembly:
        scores = logits(assembly)
        expected = -torch.stack([scores[i].log_softmax(0)[i] for i in range(3)]).mean()
        assert torch.allclose(assembly.loss(BATCH), expected)
        assert torch.allclose(torch.stack(assembly.head().answers(scores, BATCH)), scores.softmax(-1))


def test_choices_of_any_number_share_a_batch(backbone: Backbone) -> None:
    units = [
        ((0, 5, 2), (0, 6, 7, 2)),
        ((0, 8, 2), (0, 9, 2), (0, 10, 2)),
        ((0, 11, 12, 13, 2), (0, 14, 2)),
    ]
    labels = (1, 0, 0)
    batch = collate(encoded(units, labels), range(3), CPU)
    with assembled(backbone, Blueprint("self", adapter=ADAPTER, heads=(CHOICE,))) as assembly:
        scramble(unfreeze(assembly, full=False), 1)
        assembly.model.eval()
        scores = logits(assembly, batch)
        parts = [scores[0:2, 0], scores[2:5, 0], scores[5:7, 0]]
        expected = -torch.stack(
            [part.log_softmax(0)[label] for part, label in zip(parts, labels, strict=True)]
        ).mean()
        assert torch.allclose(assembly.loss(batch), expected)
        found = assembly.head().answers(scores, batch)
        assert [len(one) for one in found] == [2, 3, 2]
        assert all(torch.allclose(one, part.softmax(0)) for one, part in zip(found, parts, strict=True))


def test_the_value_matrix_is_held_at_the_identity(backbone: Backbone, inputs: dict[str, Path]) -> None:
    with assembled(backbone, blueprint_of("fuse(x0, x1)", inputs)) as assembly:
        parameters = unfreeze(assembly, full=False)
        values = [value for name, value in parameters.items() if name.endswith(".value.weight")]
        assert all(torch.allclose(value, torch.eye(32), atol=1e-5) for value in values)
        scramble(parameters, 2)
        expected = 0.01 * sum((torch.eye(32) - value).pow(2).sum() for value in values)
        regulariser = assembly.regulariser()
        assert regulariser is not None
        assert torch.allclose(regulariser, torch.as_tensor(expected))
        assert regulariser > 0.1
    with assembled(backbone, blueprint_of("stack(x0, self)", inputs)) as assembly:
        unfreeze(assembly, full=False)
        assert assembly.regulariser() is None


def test_an_assembly_without_a_head_says_so(backbone: Backbone) -> None:
    with (
        assembled(backbone, Blueprint("stack()")) as assembly,
        pytest.raises(AssemblyError, match="has no head"),
    ):
        assembly.head()

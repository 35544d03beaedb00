"""The assembly that computes with the engine: every kind of head, hidden states, given prefixes, whole trainings."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from toys import KINDS, head_of, toy

from adapterstilts.data.batches import Schedule
from adapterstilts.data.tensors import Batch, collate
from adapterstilts.engine.adapters import adapter_free, blocks_of
from adapterstilts.engine.assembly import FIRST_TOKEN_KINDS, EngineAssembly, EngineError
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.engine.prefix import Prefix, canonical_states
from adapterstilts.model.assembly import (
    Assembly,
    Blueprint,
    assembled,
    unfreeze,
    without_backbone_dropout,
)
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.heads import HEADS, MASKED
from adapterstilts.specs import AdapterSpec, Numerics, TrainingSpec
from adapterstilts.stages.training import _Model
from adapterstilts.training.loop import Control, fit

from .examples import CLASSES, CPU, Pair, assert_same_gradients, batch_of, difference, paired, save_adapter

ADAPTER = AdapterSpec("seq_bn", 4)
UPPER = AdapterSpec("seq_bn", 4, skip_layers=2)
BATCH = batch_of([5, 3, 9, 2, 17, 4])


def whole(kind: str, count: int = 8) -> Batch:
    return collate(toy(kind, count), range(count), CPU)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_task_trains_as_in_the_library(backbone: Backbone, kind: str) -> None:
    with paired(backbone, Blueprint("self", adapter=ADAPTER, heads=(head_of(kind),))) as pair:
        loss, ours = pair.gradients(pair.engine, whole(kind))
        expected, theirs = pair.gradients(pair.library, whole(kind))
        assert abs(loss - expected) < 1e-5
        assert_same_gradients(ours, theirs)


@pytest.mark.parametrize("kind", HEADS)
def test_every_kind_of_task_is_answered_as_in_the_library(backbone: Backbone, kind: str) -> None:
    batch = whole(kind)
    blueprint = Blueprint("self", adapter=ADAPTER, heads=(head_of(kind),))
    with paired(backbone, blueprint) as pair, torch.inference_mode():
        head = pair.library.head()
        ours, theirs = (head.answers(one.logits(batch), batch) for one in (pair.engine, pair.library))
        assert [one.shape for one in ours] == [one.shape for one in theirs]
        assert all(difference(mine, own) < 1e-5 for mine, own in zip(ours, theirs, strict=True))


def test_heads_that_read_the_first_token_are_known(backbone: Backbone) -> None:
    """What the last layer says of other tokens matters to exactly those heads that are not listed."""
    reading = set()
    for kind in HEADS:
        with paired(backbone, Blueprint("self", adapter=ADAPTER, heads=(head_of(kind),))) as pair:
            module = pair.library.model.heads["trained"]
            states = torch.randn(2, 5, 32)
            other = torch.cat([states[:, :1], torch.randn(2, 4, 32)], 1)
            first, second = (_scores(pair, module, one) for one in (states, other))
            if torch.equal(first, second):
                reading.add(kind)
    assert reading == FIRST_TOKEN_KINDS
    assert MASKED not in FIRST_TOKEN_KINDS


def _scores(pair: Pair, module: torch.nn.Module, states: Tensor) -> Tensor:
    from transformers.modeling_outputs import BaseModelOutput

    return pair.library.head().logits(module(BaseModelOutput(states), return_dict=True))


def test_several_tasks_have_a_head_each(backbone: Backbone) -> None:
    kinds = ("classification", "tagging", MASKED)
    blueprint = Blueprint("self", adapter=ADAPTER, heads=tuple(head_of(kind) for kind in kinds))
    with paired(backbone, blueprint) as pair:
        for task, kind in enumerate(kinds):
            _, ours = pair.gradients(pair.engine, whole(kind), task)
            _, theirs = pair.gradients(pair.library, whole(kind), task)
            assert_same_gradients(ours, theirs)


def test_what_it_saves_is_what_the_library_loads(backbone: Backbone, tmp_path: Path) -> None:
    blueprint = Blueprint("self", adapter=ADAPTER, heads=(CLASSES,))
    with paired(backbone, blueprint) as pair, torch.inference_mode():
        pair.engine.save(tmp_path)
        ours = pair.engine.logits(BATCH)
    with (
        assembled(backbone, Blueprint("self", trained=tmp_path, heads=(CLASSES,))) as again,
        torch.inference_mode(),
    ):
        assert difference(ours, again.logits(BATCH)) < 1e-5


def test_an_encoder_of_another_backbone_is_refused(backbone: Backbone) -> None:
    other = FrozenEncoder(copy.deepcopy(backbone.model), "fp32")
    with (
        assembled(backbone, Blueprint("stack()")) as assembly,
        pytest.raises(EngineError, match="the weights of another"),
    ):
        EngineAssembly.of(assembly, other)


# ---- hidden states, and starting from them


@pytest.mark.parametrize("layer", range(4))
@pytest.mark.parametrize("composition", ["stack()", "x0"])
def test_hidden_states_are_the_librarys(
    backbone: Backbone, tmp_path: Path, composition: str, layer: int
) -> None:
    inputs = {"x0": save_adapter(backbone, tmp_path, ADAPTER, 1)} if composition == "x0" else {}
    with paired(backbone, Blueprint(composition, inputs)) as pair, torch.inference_mode():
        real = BATCH.attention_mask.bool()
        ours, theirs = pair.engine.hidden(BATCH, layer), pair.library.hidden(BATCH, layer)
        assert ours.shape == theirs.shape
        assert difference(ours[real], theirs[real]) < 1e-5
        assert not ours[~real].any()


def test_layers_above_the_one_that_is_read_are_not_computed(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapterstilts.engine.encoder import FrozenLayer

    calls = []
    plain = FrozenLayer.__call__
    monkeypatch.setattr(FrozenLayer, "__call__", lambda *args: calls.append(1) or plain(*args))
    with paired(backbone, Blueprint("stack()")) as pair, torch.inference_mode():
        pair.engine.hidden(BATCH, 1)
    assert len(calls) == 1


@pytest.mark.parametrize("kind", ["classification", "multiple_choice", "tagging"])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_given_states_of_the_lowest_layers_change_nothing(backbone: Backbone, kind: str, layers: int) -> None:
    split, positions = toy(kind, 12), [7, 2, 11, 3]
    batch = collate(split, positions, CPU)
    encoder = FrozenEncoder(backbone.model, "fp32")
    kept = torch.zeros(len(split.tokens), 32)
    for places, states in canonical_states(encoder, split, layers):
        assert not kept[places].any()
        kept[places] = states
    own = np.concatenate(
        [np.arange(*split.bounds[[split.firsts[place], split.firsts[place + 1]]]) for place in positions]
    )
    with paired(backbone, Blueprint("self", adapter=UPPER, heads=(head_of(kind),))) as pair:
        start = EngineAssembly.of(pair.library, encoder, Prefix(layers, lambda _: kept[own]))
        assert difference(start.logits(batch), pair.engine.logits(batch)) < 1e-5
        _, ours = pair.gradients(start, batch)
        _, theirs = pair.gradients(pair.library, batch)
        assert_same_gradients(ours, theirs)
        changed = EngineAssembly.of(pair.library, encoder, Prefix(layers, lambda _: kept[own].roll(1, 1)))
        assert difference(changed.logits(batch), pair.engine.logits(batch)) > 1e-3


def test_states_are_kept_without_a_gradient_in_the_encoders_precision(backbone: Backbone) -> None:
    encoder = FrozenEncoder(backbone.model, "bf16")
    parts = [states for _, states in canonical_states(encoder, toy("tagging"), 2)]
    assert all(states.dtype == torch.bfloat16 and not states.requires_grad for states in parts)


def test_given_states_are_not_used_below_them(backbone: Backbone) -> None:
    """A state that lies lower is computed, and so is a text of which subwords are hidden."""
    blueprint = Blueprint("self", adapter=UPPER, heads=(head_of(MASKED),))
    with paired(backbone, blueprint) as pair:
        encoder = FrozenEncoder(backbone.model, "fp32")
        start = EngineAssembly.of(pair.library, encoder, Prefix(2, lambda _: torch.zeros(0, 0)))
        assert torch.equal(start.hidden(BATCH, 1), pair.engine.hidden(BATCH, 1))
        assert torch.equal(start.loss(whole(MASKED)), pair.engine.loss(whole(MASKED)))


def test_states_above_an_adapter_cannot_be_given(backbone: Backbone) -> None:
    with assembled(backbone, Blueprint("self", adapter=UPPER, heads=(CLASSES,))) as assembly:
        assert adapter_free(blocks_of(assembly)) == 2
        encoder = FrozenEncoder(backbone.model, "fp32")
        with pytest.raises(EngineError, match="an adapter in the lowest 3 layers"):
            EngineAssembly.of(assembly, encoder, Prefix(3, lambda batch: batch.input_ids))


def test_the_bare_backbone_is_free_of_adapters(backbone: Backbone) -> None:
    with assembled(backbone, Blueprint("stack()")) as assembly:
        assert adapter_free(blocks_of(assembly)) == 3


# ---- training


@pytest.mark.parametrize("composition", ["self", "fuse(x0, x1)"])
def test_a_whole_training_follows_the_librarys(backbone: Backbone, tmp_path: Path, composition: str) -> None:
    inputs = {f"x{i}": save_adapter(backbone, tmp_path / f"x{i}", ADAPTER, i) for i in range(2)}
    used = {name: folder for name, folder in inputs.items() if name in composition}
    blueprint = Blueprint(
        composition, used, adapter=ADAPTER if composition == "self" else None, heads=(CLASSES,)
    )
    encoder = FrozenEncoder(backbone.model, "fp32")
    curves = []
    for number, of in enumerate((lambda one: one, lambda one: EngineAssembly.of(one, encoder))):
        with assembled(backbone, blueprint) as assembly:
            curves.append(_curve(of(assembly), tmp_path / str(number)))
    ours, theirs = curves
    assert max(abs(mine - own) for mine, own in zip(ours, theirs, strict=True)) < 1e-5
    assert min(theirs) < 0.9 * theirs[0]
    assert len(theirs) == 50


def _curve(assembly: Assembly, folder: Path) -> list[float]:
    training = TrainingSpec(50, None, 96, 16, 3e-3, 0.1, 0.01, 1.0, backbone_dropout=False)
    parameters = unfreeze(assembly, full=False)
    assembly.model.eval()
    progress = fit(
        _Model(assembly, parameters),
        Schedule([toy("classification", 48)], 96, 0, "target"),
        training,
        Numerics("engine.1", "fp32"),
        CPU,
        Control(folder),
    )
    return [point["loss"] for point in progress.curve]


def test_an_evaluation_before_a_training_does_not_spoil_it(backbone: Backbone) -> None:
    """What is laid out in inference mode has to be of use outside it."""
    with paired(backbone, Blueprint("self", adapter=ADAPTER, heads=(CLASSES,))) as pair:
        with torch.inference_mode():
            pair.engine.logits(BATCH)
        _, ours = pair.gradients(pair.engine, BATCH)
        _, theirs = pair.gradients(pair.library, BATCH)
        assert_same_gradients(ours, theirs)


def test_the_same_step_twice_has_the_same_bits(backbone: Backbone) -> None:
    with paired(backbone, Blueprint("self", adapter=ADAPTER, heads=(CLASSES,)), "bf16") as pair:
        _, first = pair.gradients(pair.engine, BATCH)
        _, second = pair.gradients(pair.engine, BATCH)
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_checkpointing_gives_the_same_gradients_to_the_bit(backbone: Backbone, tmp_path: Path) -> None:
    """A fusion draws what it drops, which has to be dropped again where a layer is computed again."""
    inputs = {f"x{i}": save_adapter(backbone, tmp_path / f"x{i}", ADAPTER, i) for i in range(2)}
    blueprint = Blueprint("fuse(x0, x1)", inputs, heads=(CLASSES,))
    encoder, found = FrozenEncoder(backbone.model, "bf16"), []
    for checkpointing in (False, True):
        with assembled(backbone, blueprint, checkpointing=checkpointing) as assembly:
            parameters = unfreeze(assembly, full=False)
            with without_backbone_dropout(assembly):
                torch.manual_seed(4)
                EngineAssembly.of(assembly, encoder).loss(BATCH).backward()
            found.append({name: parameter.grad for name, parameter in parameters.items()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_an_adapter_drops_what_its_settings_say_while_it_trains(backbone: Backbone) -> None:
    adapter = AdapterSpec("seq_bn", 4, options={"dropout": 0.5})
    with paired(backbone, Blueprint("self", adapter=adapter, heads=(CLASSES,))) as pair:
        whole = pair.engine.logits(BATCH)
        assert difference(whole, pair.library.logits(BATCH)) < 1e-5
        for layer in backbone.model.roberta.encoder.layer:
            layer.output.adapters["trained"].train()
        assert difference(pair.engine.logits(BATCH), whole) > 1e-4


def test_backbone_weights_are_neither_changed_nor_given_gradients(backbone: Backbone) -> None:
    with paired(backbone, Blueprint("self", adapter=ADAPTER, heads=(CLASSES,))) as pair:
        pair.engine.loss(BATCH).backward()
        own = {id(parameter) for parameter in pair.parameters.values()}
        others = [p for p in backbone.model.parameters() if id(p) not in own]
        assert all(parameter.grad is None for parameter in others)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["classification", "tagging"])
def test_on_a_gpu_it_trains_as_on_a_cpu(backbone: Backbone, kind: str) -> None:
    device = torch.device("cuda")
    model = copy.deepcopy(backbone.model).to(device)
    there = replace(backbone, model=model, device=device)
    blueprint = Blueprint("self", adapter=ADAPTER, heads=(head_of(kind),))
    with paired(backbone, blueprint) as pair:
        _, expected = pair.gradients(pair.engine, whole(kind))
    with paired(there, blueprint) as pair:
        _, found = pair.gradients(pair.engine, collate(toy(kind, 8), range(8), device))
    assert_same_gradients({name: gradient.cpu() for name, gradient in found.items()}, expected, 1e-3)

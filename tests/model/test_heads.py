"""Output layers of every kind: they learn, padding does not matter, and what is saved is the library's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import state_of
from handmade import encoded
from safetensors.torch import load_file
from torch import Tensor
from toys import KINDS, TOPICS, head_of, toy

from adapterstilts.data.encoding import CODECS
from adapterstilts.data.encoding.columns import IGNORED, Encoded
from adapterstilts.data.masking import TOLD, mask
from adapterstilts.data.tensors import PAD_ID, Batch, collate
from adapterstilts.model import heads
from adapterstilts.model.assembly import (
    Assembly,
    Blueprint,
    HeadSpec,
    assembled,
    unfreeze,
    without_backbone_dropout,
)
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.heads import HEADS, MASKED
from adapterstilts.specs import AdapterSpec

CPU = torch.device("cpu")
ANSWERING = tuple(HEADS)
MASK_ID = 106


def whole(of: Encoded) -> Batch:
    return collate(of, range(len(of)), CPU)


def blueprint(*kinds: str, **changes: Any) -> Blueprint:
    specs = tuple(head_of(kind) for kind in kinds)
    return Blueprint("self", adapter=AdapterSpec("seq_bn", 4), heads=specs, **changes)


def scramble(parameters: Mapping[str, Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))


def ready(assembly: Assembly, seed: int = 7) -> Assembly:
    """Move what trains away from its start, and stop training."""
    scramble(unfreeze(assembly, full=False), seed)
    assembly.model.eval().requires_grad_(False)
    return assembly


def test_every_kind_has_rows_answers_and_a_head() -> None:
    assert {*HEADS, MASKED} == set(CODECS) == set(KINDS)
    assert {kind for kind, codec in CODECS.items() if codec.decode is None} == {MASKED}


# ---- learning


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns(backbone: Backbone, kind: str) -> None:
    batch = whole(toy(kind, 8))
    losses = []
    with assembled(backbone, blueprint(kind)) as assembly, without_backbone_dropout(assembly):
        parameters = unfreeze(assembly, full=False)
        optimiser = torch.optim.AdamW(parameters.values(), lr=0.02)
        for step in range(60):
            loss = assembly.loss(batch, seed=step)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    assert sum(losses[-6:]) < 0.4 * sum(losses[:6])


# ---- parts of a batch


@pytest.mark.parametrize("full", [False, True], ids=["adapter", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_a_batch_add_up_to_the_whole(backbone: Backbone, kind: str, full: bool) -> None:
    batch = whole(toy(kind, 9))
    plan = Blueprint("stack()", heads=(head_of(kind),)) if full else blueprint(kind)
    with assembled(backbone, plan) as assembly:
        parameters = unfreeze(assembly, full=full)
        scramble({name: p for name, p in parameters.items() if "roberta" not in name or not full}, 4)
        assembly.model.eval()
        whole_loss, gradients = gradients_of(assembly, parameters, batch, None)
        parts = [
            gradients_of(assembly, parameters, batch, units) for units in ([0, 3, 4, 5, 6, 7, 8], [2, 1], [])
        ]
    assert sum(loss for loss, _ in parts) == pytest.approx(whole_loss, abs=1e-6)
    for name, gradient in gradients.items():
        summed = torch.stack([own[name] for _, own in parts]).sum(0)
        assert torch.allclose(summed, gradient, atol=1e-6, rtol=1e-4), name


def gradients_of(
    assembly: Assembly, parameters: Mapping[str, Any], batch: Batch, units: list[int] | None
) -> tuple[float, dict[str, Tensor]]:
    for parameter in parameters.values():
        parameter.grad = None
    loss = assembly.loss(batch, seed=3, units=units)
    if loss.requires_grad:
        loss.backward()
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in parameters.items()}
    for parameter in parameters.values():
        parameter.grad = None
    return float(loss.detach()), found


def test_a_batch_without_a_label_is_no_number_for_any_part(backbone: Backbone) -> None:
    batch = whole(toy("tagging", 4))
    blank = dataclasses.replace(
        batch, per_token={"label": torch.full_like(batch.per_token["label"], IGNORED)}
    )
    with assembled(backbone, blueprint("tagging")) as assembly:
        losses = [float(assembly.loss(blank, units=units)) for units in ([0, 1, 2, 3], [])]
        half = assembly.loss(
            dataclasses.replace(batch, per_token={"label": _without(batch.per_token["label"], 0)}), units=[0]
        )
    assert all(loss != loss for loss in losses)
    assert float(half) == 0 and not half.requires_grad


def _without(labels: Tensor, unit: int) -> Tensor:
    labels = labels.clone()
    labels[unit] = IGNORED
    return labels


# ---- padding


def padded_further(batch: Batch, more: int) -> Batch:
    def longer(values: Tensor, filler: int) -> Tensor:
        return F.pad(values, (0, more), value=filler)

    return dataclasses.replace(
        batch,
        input_ids=longer(batch.input_ids, PAD_ID),
        attention_mask=longer(batch.attention_mask, 0),
        per_token={name: longer(values, IGNORED) for name, values in batch.per_token.items()},
    )


@pytest.mark.parametrize("kind", ANSWERING)
def test_padding_changes_neither_loss_nor_answers(backbone: Backbone, kind: str) -> None:
    batch = whole(toy(kind, 9))
    assert (batch.attention_mask == 0).any()
    with assembled(backbone, blueprint(kind)) as assembly:
        ready(assembly)
        wider = padded_further(batch, 5)
        assert float(assembly.loss(wider)) == pytest.approx(float(assembly.loss(batch)), rel=1e-4)
        for ours, theirs in zip(answers(assembly, batch), answers(assembly, wider), strict=True):
            assert ours.shape == theirs.shape
            assert torch.allclose(ours.float(), theirs.float(), atol=1e-4)


@pytest.mark.parametrize("kind", ANSWERING)
def test_a_unit_is_answered_as_if_it_were_alone(backbone: Backbone, kind: str) -> None:
    of = toy(kind, 9)
    with assembled(backbone, blueprint(kind)) as assembly:
        ready(assembly)
        together = answers(assembly, collate(of, [5, 2, 8], CPU))
        for position, answer in zip((5, 2, 8), together, strict=True):
            (alone,) = answers(assembly, collate(of, [position], CPU))
            assert torch.allclose(alone.float(), answer.float(), atol=1e-4)


# ---- answers


def answers(assembly: Assembly, batch: Batch) -> list[Tensor]:
    return assembly.head().answers(assembly.logits(batch), batch)


@pytest.mark.parametrize("kind", ANSWERING)
def test_answers_have_the_form_that_is_decoded(backbone: Backbone, kind: str) -> None:
    of = toy(kind, 9)
    with assembled(backbone, blueprint(kind)) as assembly:
        found = answers(ready(assembly), whole(of))
    shapes = {
        "classification": lambda unit: (3,),
        "multilabel": lambda unit: (3,),
        "regression": lambda unit: (),
        "multiple_choice": lambda unit: (of.counts[unit],),
        "multi_select": lambda unit: (of.counts[unit],),
        "tagging": lambda unit: (of.longest[unit],),
        "span_qa": lambda unit: (of.longest[unit], 2),
    }
    assert [tuple(answer.shape) for answer in found] == [shapes[kind](unit) for unit in range(9)]
    if kind in ("classification", "multiple_choice"):
        assert all(float(answer.sum()) == pytest.approx(1, abs=1e-5) for answer in found)
    if kind in ("multilabel", "multi_select"):
        assert all(0 < float(p) < 1 for answer in found for p in answer)
    if kind == "tagging":
        assert {int(tag) for answer in found for tag in answer} <= set(range(4))
        assert not found[0].is_floating_point()


# Each loss once more, written as it is said: ``(scores, batch)``.


def class_loss(scores: Tensor, batch: Batch) -> Tensor:
    return -scores.log_softmax(1)[range(len(scores)), batch.per_unit["label"]].mean()


def either_loss(scores: Tensor, right: Tensor) -> Tensor:
    p = scores.sigmoid()
    return -torch.where(right == 1, p, 1 - p).log().mean()


def tag_loss(scores: Tensor, batch: Batch) -> Tensor:
    labels = batch.per_token["label"]
    counted = (labels != IGNORED).nonzero().tolist()
    return -torch.stack([scores[n, t].log_softmax(0)[labels[n, t]] for n, t in counted]).mean()


def span_loss(scores: Tensor, batch: Batch) -> Tensor:
    lengths = batch.attention_mask.sum(1).tolist()
    ends = [batch.per_unit["start"].tolist(), batch.per_unit["end"].tolist()]
    told = [
        scores[n, :length, column].log_softmax(0)[ends[column][n]]
        for n, length in enumerate(lengths)
        for column in (0, 1)
    ]
    return -torch.stack(told).mean()


LOSSES: dict[str, Callable[[Tensor, Batch], Tensor]] = {
    "classification": class_loss,
    "multilabel": lambda scores, batch: either_loss(scores, batch.per_unit["label"]),
    "regression": lambda scores, batch: (scores[:, 0] - batch.per_unit["label"]).pow(2).mean(),
    "multi_select": lambda scores, batch: either_loss(scores[:, 0], batch.per_sequence["label"]),
    "tagging": tag_loss,
    "span_qa": span_loss,
}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_is_what_it_says(backbone: Backbone, kind: str) -> None:
    batch = whole(toy(kind, 9))
    with assembled(backbone, blueprint(kind)) as assembly:
        ready(assembly)
        scores = assembly.logits(batch)
        assert torch.allclose(assembly.loss(batch), LOSSES[kind](scores, batch), rtol=1e-5)


# Of choices see `test_assembly`.
@pytest.mark.parametrize(
    ("kind", "labels", "answer"),
    [
        ("classification", [1, 2], lambda pooled: pooled.softmax(1)),
        ("multilabel", [[1, 0, 1], [0, 0, 1]], Tensor.sigmoid),
        ("regression", [0.5, 2.0], lambda pooled: pooled[:, 0]),
    ],
)
def test_windows_of_a_text_are_averaged(
    backbone: Backbone, kind: str, labels: list[Any], answer: Callable[[Tensor], Tensor]
) -> None:
    windows = [[[0, 20, 4, 2], [0, 21, 9, 22, 2], [0, 13, 2]], [[0, 23, 2]]]
    batch = whole(encoded(windows, labels))
    with assembled(backbone, blueprint(kind)) as assembly:
        ready(assembly)
        scores = assembly.logits(batch)
        pooled = torch.stack([scores[:3].mean(0), scores[3]])
        assert torch.allclose(torch.stack(answers(assembly, batch)), answer(pooled), atol=1e-6)
        # The loss is that of the means, not the mean of the windows' losses.
        alone = dataclasses.replace(batch, sizes=(1, 1))
        assert torch.allclose(assembly.loss(batch), HEADS[kind].loss(pooled, alone))


# ---- saved in the library's layout


@pytest.mark.parametrize("kind", ANSWERING)
def test_plain_adapters_loads_what_is_saved(
    backbone: Backbone, backbone_folder: Path, tmp_path: Path, kind: str
) -> None:
    from adapters import AutoAdapterModel

    batch = whole(toy(kind, 6))
    with assembled(backbone, blueprint(kind)) as assembly:
        expected = ready(assembly).logits(batch)
        assembly.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter", "head"}
    model = AutoAdapterModel.from_pretrained(str(backbone_folder), attn_implementation="eager")
    name = model.load_adapter(str(tmp_path / "adapter"), with_head=False, use_safetensors=True)
    model.set_active_adapters(name)
    head = model.load_head(str(tmp_path / "head"), use_safetensors=True)[1]
    model.active_head = head
    model.eval()
    with torch.no_grad():
        output = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
    assert torch.equal(HEADS[kind].logits(output), expected)
    labels = head_of(kind).labels
    if labels:
        assert tuple(model.get_labels_dict(head).values()) == labels


@pytest.mark.parametrize("kind", ANSWERING)
def test_a_saved_head_comes_back_to_the_bit(backbone: Backbone, tmp_path: Path, kind: str) -> None:
    batch = whole(toy(kind, 6))
    with assembled(backbone, blueprint(kind)) as assembly:
        expected = ready(assembly).logits(batch)
        assembly.save(tmp_path)
    with assembled(backbone, blueprint(kind, trained=tmp_path, seed=9)) as assembly:
        assert torch.equal(assembly.logits(batch), expected)


# ---- several heads

SEVERAL = ("classification", "tagging", "multiple_choice", "mlm", "span_qa")


def head_names(number: int, parts: tuple[str, ...]) -> set[str]:
    return {f"heads.task{number}_.{part}.{end}" for part in parts for end in ("weight", "bias")}


HEAD_NAMES = (
    head_names(0, ("1", "4")),
    head_names(1, ("1",)),
    head_names(2, ("1", "4")),
    head_names(3, ("0", "2")) | {"heads.task3_.3.bias"},
    head_names(4, ("1",)),
)


def test_every_head_trains_and_nothing_else(backbone: Backbone) -> None:
    with assembled(backbone, blueprint(*SEVERAL)) as assembly:
        parameters = unfreeze(assembly, full=False)
        own = {name for name in parameters if name.startswith("heads.")}
        assert own == set().union(*HEAD_NAMES)
        assert all(".adapters.trained." in name for name in set(parameters) - own)
        assert len(parameters) - len(own) == 12


@pytest.mark.parametrize("task", range(len(SEVERAL)))
def test_only_the_head_in_use_has_a_gradient(backbone: Backbone, task: int) -> None:
    with assembled(backbone, blueprint(*SEVERAL)) as assembly:
        parameters = unfreeze(assembly, full=False)
        assembly.loss(whole(toy(SEVERAL[task], 6)), task).backward()
        touched = {name for name, value in parameters.items() if value.grad is not None}
        assert {name for name in touched if name.startswith("heads.")} == HEAD_NAMES[task]
        assert sum(".adapters." in name for name in touched) == 12


def test_each_head_is_its_own(backbone: Backbone) -> None:
    batch = whole(toy("classification", 6))
    with assembled(backbone, blueprint("classification", "classification", "classification")) as assembly:
        first, second, third = (assembly.logits(batch, task) for task in range(3))
        assert not torch.equal(first, second)
        assert not torch.equal(second, third)
    # The first head starts as one that is alone does, so that methods are paired.
    with assembled(backbone, blueprint("classification")) as assembly:
        assert torch.equal(assembly.logits(batch), first)


def test_several_heads_come_back_to_the_bit(backbone: Backbone, tmp_path: Path) -> None:
    batches = [whole(toy(kind, 6)) for kind in SEVERAL]
    answering = [task for task, kind in enumerate(SEVERAL) if kind != MASKED]
    with assembled(backbone, blueprint(*SEVERAL)) as assembly:
        ready(assembly)
        expected = {task: assembly.logits(batches[task], task) for task in answering}
        assembly.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter", "heads"}
    assert {path.name for path in (tmp_path / "heads").iterdir()} == {str(task) for task in answering}
    for task in answering:
        (file,) = (tmp_path / "heads" / str(task)).glob("*.safetensors")
        assert set(load_file(str(file))) == HEAD_NAMES[task]
    with assembled(backbone, blueprint(*SEVERAL, trained=tmp_path, seed=9)) as assembly:
        for task in answering:
            assert torch.equal(assembly.logits(batches[task], task), expected[task])


def test_heads_beyond_ten_are_told_apart(backbone: Backbone, tmp_path: Path) -> None:
    kinds = ["classification"] * 12
    with assembled(backbone, blueprint(*kinds)) as assembly:
        assembly.save(tmp_path)
    for task in range(12):
        (file,) = (tmp_path / "heads" / str(task)).glob("*.safetensors")
        assert set(load_file(str(file))) == head_names(task, ("1", "4"))


# ---- masked language modelling

DECODER = "heads.trained.3"


@pytest.mark.parametrize("tied", [True, False])
def test_output_weights_are_the_embeddings_and_stay_frozen(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch, tied: bool
) -> None:
    # A published configuration may say otherwise, and the library would obey it.
    monkeypatch.setattr(backbone.model.config, "tie_word_embeddings", tied)
    embeddings = backbone.model.get_input_embeddings().weight
    before = state_of(backbone)
    with assembled(backbone, blueprint(MASKED)) as assembly:
        decoder = assembly.model.heads["trained"].get_output_embeddings()
        assert decoder.weight is embeddings
        parameters = unfreeze(assembly, full=False)
        assert not embeddings.requires_grad
        assert f"{DECODER}.bias" in parameters
        assert not any(value is embeddings for value in parameters.values())
        optimiser = torch.optim.AdamW(parameters.values(), lr=0.1)
        assembly.loss(whole(toy(MASKED))).backward()
        assert embeddings.grad is None
        optimiser.step()
    assert state_of(backbone) == before


def test_output_weights_of_a_whole_model_train_as_embeddings(backbone: Backbone) -> None:
    embeddings = backbone.model.get_input_embeddings().weight
    with assembled(backbone, Blueprint("stack()", heads=(head_of(MASKED),))) as assembly:
        parameters = unfreeze(assembly, full=True)
        assert sum(value is embeddings for value in parameters.values()) == 1
        assembly.loss(whole(toy(MASKED))).backward()
        assert embeddings.grad is not None
        assert embeddings.grad[60:].abs().sum() > 0, "subwords that are not in the batch compete, too"
        for parameter in parameters.values():
            parameter.grad = None


@pytest.mark.parametrize("at_once", [1, 4, 128])
def test_the_blockwise_loss_is_the_plain_one(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(heads, "_TOLD_AT_ONCE", at_once)
    batch = whole(toy(MASKED))
    with assembled(backbone, blueprint(MASKED)) as assembly:
        parameters = unfreeze(assembly, full=False)
        scramble(parameters, 4)
        assembly.model.eval()
        masked = mask(batch, MASK_ID, MASK_ID, seed=3)
        chosen = masked.per_token[TOLD] != IGNORED
        assert chosen.sum() > 20
        scores = assembly.model(
            input_ids=masked.input_ids, attention_mask=batch.attention_mask, head="trained"
        ).logits
        assert scores.shape == (*batch.input_ids.shape, 107)
        expected = F.cross_entropy(scores[chosen], masked.per_token[TOLD][chosen])
        found = assembly.loss(batch, seed=3)
        assert torch.allclose(found, expected, rtol=1e-5)
        wanted = torch.autograd.grad(expected, list(parameters.values()))
        for ours, theirs in zip(torch.autograd.grad(found, list(parameters.values())), wanted, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_seed_decides_what_is_masked(backbone: Backbone) -> None:
    batch = whole(toy(MASKED))
    with assembled(backbone, blueprint(MASKED)) as assembly:
        losses = [float(assembly.loss(batch, seed=seed)) for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_a_masking_head_is_not_saved(backbone: Backbone, tmp_path: Path) -> None:
    with assembled(backbone, blueprint(MASKED)) as assembly:
        ready(assembly)
        assembly.save(tmp_path)
        before = assembly.hidden(whole(toy(MASKED)), 3)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}
    with assembled(backbone, blueprint(MASKED, trained=tmp_path)) as assembly:
        assert torch.equal(assembly.hidden(whole(toy(MASKED)), 3), before)


# ---- nothing stays


@pytest.mark.parametrize("kinds", [*((kind,) for kind in KINDS), SEVERAL])
def test_heads_leave_no_trace(backbone: Backbone, kinds: tuple[str, ...]) -> None:
    before = state_of(backbone)
    with assembled(backbone, blueprint(*kinds)) as assembly:
        optimiser = torch.optim.SGD(unfreeze(assembly, full=False).values(), lr=0.1)
        for task, kind in enumerate(kinds):
            assembly.loss(whole(toy(kind, 6)), task).backward()
        optimiser.step()
    assert state_of(backbone) == before


def test_labels_are_in_the_saved_head(backbone: Backbone, tmp_path: Path) -> None:
    spec = HeadSpec("classification", TOPICS[::-1])
    with assembled(backbone, Blueprint("stack()", heads=(spec,))) as assembly:
        assembly.save_head(tmp_path)
    assert '"west": 0' in (tmp_path / "head" / "head_config.json").read_text(encoding="utf-8")

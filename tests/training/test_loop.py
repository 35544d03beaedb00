"""The training loop: it learns, it repeats itself to the bit, and it survives being stopped and killed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from handmade import encoded
from torch import Tensor, nn

from adapterstilts.data.batches import Schedule, derive_seed
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.tensors import Batch
from adapterstilts.errors import DataError, Interrupted
from adapterstilts.model.assembly import Blueprint, HeadSpec, assembled, unfreeze, without_backbone_dropout
from adapterstilts.model.backbone import Backbone
from adapterstilts.runner.prepare import Options
from adapterstilts.specs import AdapterSpec, Numerics, TrainingSpec
from adapterstilts.stages.training import _Model
from adapterstilts.store.store import Store
from adapterstilts.training.checkpoint import Progress
from adapterstilts.training.loop import Control, Trainable, fit, make_optimiser, rate

CPU = torch.device("cpu")
FP32 = Numerics("library.1", "fp32")
SPEC = TrainingSpec(
    steps=12,
    epochs=1,
    tokens_per_batch=24,
    max_length=16,
    learning_rate=0.05,
    warmup=0.25,
    weight_decay=0.01,
    max_grad_norm=1.0,
    backbone_dropout=False,
)


HEAD = HeadSpec("classification", ("a", "b"))


class Toy(Trainable):
    """A bag of words with dropout."""

    def __init__(self, wrong: float = 0.0) -> None:
        torch.manual_seed(0)
        self.words = nn.Parameter(torch.randn(12, 2) * 0.1)
        self.bias = nn.Parameter(torch.zeros(2))
        self.parameters = {"words": self.words, "bias": self.bias}
        self.wrong = wrong
        self.seen: list[tuple[str, ...]] = []
        self.tasks: list[int] = []
        self.seeds: list[int] = []

    def loss(self, batch: Batch, task: int, seed: int, units: Sequence[int] | None = None) -> Tensor:
        self.seen.append(batch.ids)
        self.tasks.append(task)
        self.seeds.append(seed)
        vectors = F.dropout(self.words[batch.input_ids], 0.1) * batch.attention_mask[..., None]
        if "e7" in batch.ids:
            vectors = vectors / (1 - self.wrong)
        return F.cross_entropy(vectors.sum(1) + self.bias, batch.per_unit["label"])


EXAMPLES = encoded(
    [[(0, 4 + n % 2, 6 + n % 5, 2)[: 3 + n % 2]] for n in range(30)],
    [n % 2 for n in range(30)],
    [f"e{n}" for n in range(30)],
)


def schedule_of(spec: TrainingSpec, *tasks: Encoded, seed: int = 0, shares: tuple[int, ...] = ()) -> Schedule:
    return Schedule(
        tasks or (EXAMPLES,), spec.tokens_per_batch, seed, "target", shares, accumulate=spec.accumulate
    )


def train(
    folder: Path, model: Trainable, spec: TrainingSpec = SPEC, seed: int = 0, **control: Any
) -> Progress:
    return fit(model, schedule_of(spec, seed=seed), spec, FP32, CPU, Control(folder, **control))


def bits(model: Toy) -> list[float]:
    return [*model.words.detach().flatten().tolist(), *model.bias.detach().tolist()]


# ---- learning


def test_the_loss_goes_down(tmp_path: Path) -> None:
    curve = train(tmp_path, Toy(), replace(SPEC, steps=60)).curve
    assert sum(point["loss"] for point in curve[-5:]) < 0.3 * sum(point["loss"] for point in curve[:5])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_loss_of_an_adapter_goes_down(backbone: Backbone, tmp_path: Path, precision: Any) -> None:
    # North words against south words, in the ids of the tiny tokenizer.
    units = [[(0, 20 + n % 9, (4 if n % 2 else 8) + n % 4, 40 + n % 7, 2)] for n in range(40)]
    examples = encoded(units, [n % 2 for n in range(40)])
    spec = replace(SPEC, steps=40, tokens_per_batch=100, learning_rate=0.02)
    blueprint = Blueprint("self", adapter=AdapterSpec("seq_bn", 4), heads=(HEAD,))
    with assembled(backbone, blueprint) as assembly, without_backbone_dropout(assembly):
        model = _Model(assembly, unfreeze(assembly, full=False))
        numerics = Numerics("library.1", precision)
        curve = fit(model, schedule_of(spec, examples), spec, numerics, CPU, Control(tmp_path)).curve
        assert {parameter.dtype for parameter in model.parameters.values()} == {torch.float32}
    assert sum(point["loss"] for point in curve[-5:]) < 0.6 * sum(point["loss"] for point in curve[:5])


def test_bf16_computes_something_else(backbone: Backbone, tmp_path: Path) -> None:
    blueprint = Blueprint("self", adapter=AdapterSpec("seq_bn", 4), heads=(HEAD,))
    losses = {}
    for precision in ("fp32", "bf16"):
        with assembled(backbone, blueprint) as assembly:
            model = _Model(assembly, unfreeze(assembly, full=False))
            numerics = Numerics("library.1", precision)  # type: ignore[arg-type]
            spec = replace(SPEC, steps=1)
            progress = fit(model, schedule_of(spec), spec, numerics, CPU, Control(tmp_path / precision))
            losses[precision] = progress.curve[0]["loss"]
    assert losses["fp32"] != losses["bf16"]
    assert losses["fp32"] == pytest.approx(losses["bf16"], rel=0.05)


# ---- the same again


def test_two_runs_are_equal_to_the_bit(tmp_path: Path) -> None:
    first, second = Toy(), Toy()
    one = train(tmp_path / "a", first)
    torch.manual_seed(123)
    torch.rand(7)
    two = train(tmp_path / "b", second)
    assert bits(first) == bits(second)
    assert one.curve == two.curve
    assert first.seen == second.seen


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    first, second = Toy(), Toy()
    train(tmp_path / "a", first)
    train(tmp_path / "b", second, seed=1)
    assert first.seen != second.seen


@pytest.mark.parametrize("after", [1, 4, 11])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path, after: int) -> None:
    whole, broken, resumed = Toy(), Toy(), Toy()
    expected = train(tmp_path / "whole", whole)
    calls = iter([False] * (after - 1) + [True])
    with pytest.raises(Interrupted, match=f"step {after} of 12: stopped on request"):
        train(tmp_path / "broken", broken, stop=lambda: next(calls))
    assert len(broken.seen) == after
    progress = train(tmp_path / "broken", resumed)
    assert broken.seen + resumed.seen == whole.seen
    assert broken.seeds + resumed.seeds == whole.seeds
    assert bits(resumed) == bits(whole)
    assert progress.curve == expected.curve
    assert (progress.step, progress.examples, progress.tokens) == (12, expected.examples, expected.tokens)


def test_a_request_at_the_last_step_changes_nothing(tmp_path: Path) -> None:
    model = Toy()
    assert train(tmp_path, model, stop=lambda: len(model.seen) == 12).step == 12


def test_a_finished_checkpoint_trains_no_more(tmp_path: Path) -> None:
    train(tmp_path, Toy(), checkpoint_seconds=0.0)
    again = Toy()
    train(tmp_path, again, checkpoint_seconds=0.0)
    # The last checkpoint is that of the step before the last one.
    assert len(again.seen) == 1


def test_checkpoints_come_by_the_clock(tmp_path: Path) -> None:
    train(tmp_path / "never", Toy(), checkpoint_seconds=3600.0)
    assert not (tmp_path / "never").exists()
    train(tmp_path / "always", Toy(), checkpoint_seconds=0.0)
    assert [path.name for path in (tmp_path / "always").iterdir()] == ["checkpoint.pt"]


# ---- what is counted


def test_progress_counts_examples_and_subwords(tmp_path: Path) -> None:
    model = Toy()
    steps: list[tuple[int, int]] = []
    progress = train(tmp_path, model, progress=lambda step, count, loss, speed: steps.append((step, count)))
    ids = [id_ for batch in model.seen for id_ in batch]
    length = dict(zip(EXAMPLES.ids, EXAMPLES.longest, strict=True))
    assert steps == [(n, 12) for n in range(1, 13)]
    assert progress.examples == len(ids)
    assert progress.tokens == sum(length[id_] for id_ in ids)
    assert progress.seconds > 0


def test_the_curve_of_a_long_run_stays_short(tmp_path: Path) -> None:
    curve = train(tmp_path, Toy(), replace(SPEC, steps=401)).curve
    assert [point["step"] for point in curve] == [*range(2, 401, 2), 401]


def test_the_curve_says_what_happened(tmp_path: Path) -> None:
    model = Toy()
    curve = train(tmp_path, model).curve
    assert [point["step"] for point in curve] == list(range(1, 13))
    assert curve[0]["examples"] == len(model.seen[0])
    rates = [SPEC.learning_rate * rate(step, 12, SPEC.warmup) for step in range(12)]
    assert [point["learning_rate"] for point in curve] == rates
    epochs = [int(point["epoch"]) for point in curve]
    for number in (0, 1):
        seen = [
            id_ for epoch, batch in zip(epochs, model.seen, strict=True) if epoch == number for id_ in batch
        ]
        assert sorted(seen) == sorted(EXAMPLES.ids)


def test_every_step_has_a_seed_of_its_own(tmp_path: Path) -> None:
    model = Toy()
    train(tmp_path, model, seed=4)
    assert model.seeds == [derive_seed(4, "target", f"step {step}") for step in range(12)]


# ---- several batches a step


class Plain(Toy):
    """Without dropout, so that one large batch and several small ones can be compared."""

    def loss(self, batch: Batch, task: int, seed: int, units: Sequence[int] | None = None) -> Tensor:
        self.seen.append(batch.ids)
        self.seeds.append(seed)
        vectors = self.words[batch.input_ids] * batch.attention_mask[..., None]
        return F.cross_entropy(vectors.sum(1) + self.bias, batch.per_unit["label"])


def test_several_batches_make_the_gradient_of_one_that_holds_them_all(tmp_path: Path) -> None:
    spec = replace(SPEC, steps=1, max_grad_norm=1e9)
    small, large = Plain(), Plain()
    count = len(schedule_of(spec).epoch(0))
    found = train(tmp_path / "small", small, replace(spec, accumulate=count))
    expected = train(tmp_path / "large", large, replace(spec, tokens_per_batch=10**6))
    assert (len(small.seen), len(large.seen)) == (count, 1)
    assert len({len(ids) for ids in small.seen}) > 1, "all batches have one size"
    for ours, theirs in zip(small.parameters.values(), large.parameters.values(), strict=True):
        assert ours.grad is not None and theirs.grad is not None
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-7)
    assert found.curve[0]["loss"] == pytest.approx(expected.curve[0]["loss"])
    assert (found.step, found.examples, found.tokens) == (1, expected.examples, expected.tokens)


def test_progress_counts_steps_and_not_their_batches(tmp_path: Path) -> None:
    model = Toy()
    steps: list[int] = []
    spec = replace(SPEC, steps=None, epochs=2, accumulate=3)
    batches = schedule_of(replace(spec, accumulate=1)).steps(None, 2)
    progress = train(tmp_path, model, spec, progress=lambda step, *_: steps.append(step))
    assert steps == list(range(1, -(-batches // 3) + 1))
    assert len(model.seen) == 3 * len(steps)
    assert progress.examples == sum(map(len, model.seen))
    assert len(set(model.seeds)) == len(model.seeds)
    assert model.seeds[::3] == [derive_seed(0, "target", f"step {step}") for step in range(len(steps))]


@pytest.mark.parametrize("after", [1, 5])
def test_accumulated_steps_go_on_to_the_same_bits(tmp_path: Path, after: int) -> None:
    spec = replace(SPEC, accumulate=2)
    whole, broken, resumed = Toy(), Toy(), Toy()
    expected = train(tmp_path / "whole", whole, spec)
    with pytest.raises(Interrupted, match=f"step {after} of 12"):
        train(tmp_path / "broken", broken, spec, stop=lambda: len(broken.seen) == 2 * after)
    found = train(tmp_path / "broken", resumed, spec)
    assert broken.seen + resumed.seen == whole.seen
    assert bits(resumed) == bits(whole)
    assert found.curve == expected.curve


def test_the_regulariser_counts_once_a_step(tmp_path: Path) -> None:
    one, several = Regularised(), Regularised()
    train(tmp_path / "one", one, replace(SPEC, steps=3))
    train(tmp_path / "several", several, replace(SPEC, steps=3, accumulate=4))
    assert bits(one) == bits(several)


# ---- several tasks


def test_a_batch_comes_with_its_task(tmp_path: Path) -> None:
    other = encoded([[(0, 5, 6, 2)]] * 20, [1] * 20, [f"o{n}" for n in range(20)])
    model = Toy()
    schedule = schedule_of(SPEC, EXAMPLES, other, shares=(15, 10))
    fit(model, schedule, replace(SPEC, steps=None, epochs=2), FP32, CPU, Control(tmp_path))
    assert set(model.tasks) == {0, 1}
    for task, ids in zip(model.tasks, model.seen, strict=True):
        assert {id_[0] for id_ in ids} == {"eo"[task]}
    assert sum(len(ids) for ids in model.seen) == 50


@pytest.mark.parametrize("after", [1, 6])
def test_a_mixed_run_goes_on_to_the_same_bits(tmp_path: Path, after: int) -> None:
    other = encoded([[(0, 5, 6, 2)]] * 20, [1] * 20, [f"o{n}" for n in range(20)])
    schedule = schedule_of(SPEC, EXAMPLES, other, shares=(15, 10))
    whole, broken, resumed = Toy(), Toy(), Toy()
    fit(whole, schedule, SPEC, FP32, CPU, Control(tmp_path / "whole"))
    stop = Control(tmp_path / "broken", stop=lambda: len(broken.seen) == after)
    with pytest.raises(Interrupted):
        fit(broken, schedule, SPEC, FP32, CPU, stop)
    fit(resumed, schedule, SPEC, FP32, CPU, Control(tmp_path / "broken"))
    assert (broken.seen + resumed.seen, broken.tasks + resumed.tasks) == (whole.seen, whole.tasks)
    assert bits(resumed) == bits(whole)


# ---- steered by validation


class Steered(Toy):
    """A model whose scores are written beforehand."""

    def __init__(self, *scores: float) -> None:
        super().__init__()
        self.scores = scores
        self.scored: dict[int, list[float]] = {}

    def score(self) -> float:
        self.scored[len(self.seen)] = bits(self)
        return self.scores[len(self.scored) - 1]


def steered(evaluations: int, patience: int | None = None, **changes: Any) -> TrainingSpec:
    return replace(SPEC, evaluations=evaluations, patience=patience, **changes)


@pytest.mark.parametrize(
    ("evaluations", "steps"),
    [
        (1, [12]),
        (2, [6, 12]),
        (3, [4, 8, 12]),
        (5, [3, 5, 8, 10, 12]),
        (12, list(range(1, 13))),
        (99, list(range(1, 13))),
    ],
)
def test_evaluations_are_evenly_spread_and_the_last_one_ends(
    tmp_path: Path, evaluations: int, steps: list[int]
) -> None:
    model = Steered(*range(20))
    train(tmp_path, model, steered(evaluations))
    assert list(model.scored) == steps


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ((0.1, 0.5, 0.3, 0.2), 6),
        ((0.9, 0.5, 0.3, 0.2), 3),
        ((0.1, 0.2, 0.3, 0.4), 12),
        ((-4.0, -2.0, -1.0, -3.0), 9),
        # Of equals the first.
        ((0.1, 0.5, 0.5, 0.5), 6),
        ((float("nan"), 0.2, float("nan"), 0.1), 6),
    ],
)
def test_the_best_state_is_kept(tmp_path: Path, scores: tuple[float, ...], best: int) -> None:
    model = Steered(*scores)
    progress = train(tmp_path, model, steered(4))
    assert bits(model) == model.scored[best]
    assert len({str(state) for state in model.scored.values()}) == 4
    assert progress.best is not None
    assert (progress.best.step, progress.best.score) == (
        best,
        max(score for score in scores if score == score),
    )
    assert progress.step == len(model.seen) == 12
    assert all(parameter.requires_grad for parameter in model.parameters.values())
    assert model.parameters["words"] is model.words


@pytest.mark.parametrize(("patience", "steps", "best"), [(1, 4, 2), (2, 8, 4), (3, 12, 10), (None, 12, 10)])
def test_patience_ends_the_training(tmp_path: Path, patience: int | None, steps: int, best: int) -> None:
    # Evaluations after the steps 2, 4 ... 12; with one to wait the second is the last.
    scores = {1: (5.0, 4.0), 2: (1.0, 2.0, 0.0, 2.0), 3: (1.0, 2.0, 0.0, 0.0, 3.0, 1.0)}
    model = Steered(*scores[patience or 3])
    progress = train(tmp_path, model, steered(6, patience))
    assert (progress.step, len(model.seen)) == (steps, steps)
    assert bits(model) == model.scored[best]
    assert progress.curve[-1] == {
        "step": steps,
        "epoch": pytest.approx(0, abs=9),
        "validation": model.scores[-1],
    }


def test_a_better_score_starts_the_patience_anew(tmp_path: Path) -> None:
    model = Steered(1.0, 0.0, 2.0, 0.0, 3.0, 0.0)
    assert train(tmp_path, model, steered(6, 2)).step == 12


def test_without_evaluations_nothing_is_scored(tmp_path: Path) -> None:
    model = Steered()
    progress = train(tmp_path, model)
    assert progress.best is None
    assert not model.scored
    assert all("validation" not in point for point in progress.curve)


def test_evaluations_change_nothing_of_the_training(tmp_path: Path) -> None:
    plain, often = Toy(), Steered(*range(12))
    expected = train(tmp_path / "plain", plain)
    found = train(tmp_path / "often", often, steered(12))
    assert bits(often) == bits(plain)
    assert [point for point in found.curve if "loss" in point] == expected.curve


class Remember:
    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []

    def start(self, stage: str, settings: Any) -> None: ...

    def log(self, step: int, values: Any) -> None:
        self.points.append({"step": step, **values})

    def finish(self) -> None: ...


def test_trackers_and_the_curve_see_the_scores(tmp_path: Path) -> None:
    tracker = Remember()
    progress = train(tmp_path, Steered(0.5, 0.25, 0.75), steered(3), trackers=[tracker])
    assert tracker.points == [
        {name: value for name, value in point.items() if "validation" not in point or name != "epoch"}
        for point in progress.curve
    ]
    scores = [(point["step"], point["validation"]) for point in progress.curve if "validation" in point]
    assert scores == [(4, 0.5), (8, 0.25), (12, 0.75)]


class ByWeights(Steered):
    """A model whose score is a number of its own, so that a resumed run needs no script; it peaks half-way."""

    def score(self) -> float:
        self.scored[len(self.seen)] = bits(self)
        return -abs(float(self.words.detach().abs().sum()) - 2.5)


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("after", [1, 5, 6, 7, 8, 9])
def test_a_stopped_steered_run_goes_on_to_the_same_bits(
    tmp_path: Path, after: int, patience: int | None
) -> None:
    spec = steered(6, patience)
    whole, broken, resumed = ByWeights(), ByWeights(), ByWeights()
    expected = train(tmp_path / "whole", whole, spec)
    assert expected.best is not None
    assert (expected.best.step, expected.step) == (6, 12 if patience is None else 10)
    with pytest.raises(Interrupted):
        train(tmp_path / "broken", broken, spec, stop=lambda: len(broken.seen) == after)
    found = train(tmp_path / "broken", resumed, spec)
    assert bits(resumed) == bits(whole)
    assert found.best is not None
    assert (found.best.step, found.best.score, found.best.since) == (
        expected.best.step,
        expected.best.score,
        expected.best.since,
    )
    assert (found.step, found.curve) == (expected.step, expected.curve)


def train_steered(folder: Path) -> None:
    """Train in a child that may be killed, and write what came out."""
    model = ByWeights()
    progress = train(folder / "checkpoint", model, steered(6), checkpoint_seconds=0.0)
    torch.save([bits(model), progress.curve], folder / "bits.pt")


@pytest.mark.parametrize("kill_at", ["optimiser_step:7", "optimiser_step:11", "checkpoint_write:6"])
def test_a_killed_steered_run_goes_on_to_the_same_bits(tmp_path: Path, kill_at: str) -> None:
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    train_steered(tmp_path / "whole")
    assert tiny.run_in_child(train_steered, tmp_path / "broken", kill_at=kill_at) == -signal.SIGKILL
    assert (tmp_path / "broken" / "checkpoint" / "checkpoint.pt").exists()
    train_steered(tmp_path / "broken")
    whole, broken = (torch.load(tmp_path / name / "bits.pt") for name in ("whole", "broken"))
    assert broken == whole


# ---- what is wrong


def test_a_loss_that_is_no_number_names_its_rows(tmp_path: Path) -> None:
    model = Toy(wrong=1.0)
    with pytest.raises(DataError) as caught:
        train(tmp_path, model)
    (fault,) = caught.value.faults
    assert fault.where == "rows " + ", ".join(model.seen[-1][:8])
    assert "e7" in model.seen[-1]
    assert fault.what in ("the loss is nan", "the loss is inf")
    # Nothing of the bad step has reached the weights.
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters.values())


# ---- learning rate, decay, clipping


def test_the_learning_rate_rises_and_falls() -> None:
    values = [rate(step, 10, 0.4) for step in range(10)]
    assert values == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert rate(10, 10, 0.4) == 0


def test_the_learning_rate_without_warm_up_only_falls() -> None:
    assert [rate(step, 4, 0.0) for step in range(4)] == pytest.approx([1.0, 0.75, 0.5, 0.25])
    assert rate(0, 1, 0.1) == pytest.approx(1.0, abs=0.2)


def test_the_first_step_is_never_idle() -> None:
    assert all(rate(0, steps, warmup) > 0 for steps in (1, 2, 7, 100) for warmup in (0.0, 0.1, 0.5, 0.9))


def decayed(parameters: dict[str, nn.Parameter]) -> dict[str, float]:
    optimiser = make_optimiser(parameters, SPEC)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert len(decay) == len(parameters)
    return {name: decay[id(parameter)] for name, parameter in parameters.items()}


def test_only_matrices_decay_and_the_value_matrix_does_not(backbone: Backbone, done: Any) -> None:
    inputs = {
        f"x{i}": done.path(f"intermediate/{name}@0") / "adapter" for i, name in enumerate(("pairs", "reply"))
    }
    blueprint = Blueprint(
        "stack(fuse(x0, x1), self)", inputs, adapter=AdapterSpec("seq_bn", 4), heads=(HEAD,)
    )
    with assembled(backbone, blueprint) as assembly:
        decay = decayed(unfreeze(assembly, full=False))
        for name, value in decay.items():
            free = name.endswith((".bias", "fusion_layer.x0_,x1_.value.weight"))
            assert value == (0.0 if free else SPEC.weight_decay), name
        assert sum(value == 0 for value in decay.values()) == 3 * (2 + 2 + 1) + 2


@pytest.mark.parametrize(("config", "decays"), [("ia3", False), ("lora", True)])
def test_the_scales_of_ia3_do_not_decay_but_the_matrices_of_lora_do(
    backbone: Backbone, config: str, decays: bool
) -> None:
    with assembled(backbone, Blueprint("self", adapter=AdapterSpec(config, 1), heads=(HEAD,))) as assembly:
        decay = decayed(unfreeze(assembly, full=False))
    inserts = {name: value for name, value in decay.items() if ".lora_" in name}
    assert inserts and set(inserts.values()) == {SPEC.weight_decay if decays else 0.0}


def test_a_whole_models_norms_do_not_decay_but_its_attention_does(backbone: Backbone) -> None:
    with assembled(backbone, Blueprint("stack()", heads=(HEAD,))) as assembly:
        decay = decayed(unfreeze(assembly, full=True))
    assert decay["roberta.encoder.layer.0.output.LayerNorm.weight"] == 0
    assert decay["roberta.encoder.layer.0.attention.self.value.weight"] == SPEC.weight_decay
    assert decay["roberta.encoder.layer.0.attention.self.value.bias"] == 0


class Still(Toy):
    """A loss that gives no gradient worth mentioning."""

    def loss(self, batch: Batch, task: int, seed: int, units: Sequence[int] | None = None) -> Tensor:
        return (self.words * 0).sum() + (self.bias * 0).sum()


def test_decay_shrinks_what_nothing_pulls_at(tmp_path: Path) -> None:
    model = Still()
    model.bias.data.fill_(1.0)
    before = model.words.detach().clone()
    train(tmp_path, model, replace(SPEC, weight_decay=0.5))
    total = 1.0
    for step in range(12):
        total *= 1 - 0.5 * SPEC.learning_rate * rate(step, 12, SPEC.warmup)
    assert torch.allclose(model.words, before * total, rtol=1e-4)
    assert torch.equal(model.bias, torch.ones(2))


class Steep(Toy):
    """A loss whose gradient is far too large."""

    def loss(self, batch: Batch, task: int, seed: int, units: Sequence[int] | None = None) -> Tensor:
        return 1e6 * super().loss(batch, task, seed, units)


def test_gradients_are_clipped_to_the_norm(tmp_path: Path) -> None:
    norms: list[float] = []
    model = Steep()

    def note(*_: Any) -> None:
        gradients = [parameter.grad for parameter in model.parameters.values()]
        norms.append(float(torch.stack([g.norm() for g in gradients if g is not None]).norm()))

    train(tmp_path, model, replace(SPEC, max_grad_norm=0.5), progress=note)
    assert norms == pytest.approx([0.5] * 12, rel=1e-3)


class Regularised(Toy):
    """A regulariser that pulls all words to 1."""

    def loss(self, batch: Batch, task: int, seed: int, units: Sequence[int] | None = None) -> Tensor:
        return (self.words * 0).sum() + (self.bias * 0).sum()

    def regulariser(self) -> Tensor:
        return (self.words - 1).pow(2).sum()


def test_the_regulariser_trains_but_is_not_the_reported_loss(tmp_path: Path) -> None:
    model = Regularised()
    before = (model.words - 1).abs().mean().item()
    curve = train(tmp_path, model, replace(SPEC, steps=40)).curve
    assert (model.words - 1).abs().mean().item() < 0.5 * before
    assert [point["loss"] for point in curve] == [0.0] * 40


# ---- killed

STEPS = 8
# Stages train in this order, one checkpoint after each step but the last one.
ORDER = (
    "target/topics/target@0",
    "intermediate/pairs@0",
    "intermediate/reply@0",
    "fusion/topics/fuse(pairs, reply, target)@0",
    "target/topics/full_finetune@0",
)
METHODS = ("target", "fuse(reply, pairs, target)", "full_finetune")


@pytest.fixture(scope="module")
def unbroken(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("unbroken")
    recipe = tiny.write_recipe(
        folder, backbone_folder, methods=METHODS, languages=["en"], more_targets=(), seeds=[0], steps=STEPS
    )
    torch.set_num_threads(1)
    tiny.train(str(recipe), Options(store=folder / "store", keep=True))
    return recipe, tiny.digests(Store(folder / "store"))


@pytest.mark.parametrize("number", [0, 3, 4], ids=["adapter", "fusion", "full"])
@pytest.mark.parametrize(
    ("point", "at", "first"),
    [
        # Killed after the fifth step and before its checkpoint, in the middle of one, after the very first step.
        ("optimiser_step", lambda number: number * STEPS + 5, 5),
        ("checkpoint_write", lambda number: number * (STEPS - 1) + 4, 4),
        ("optimiser_step", lambda number: number * STEPS + 1, 1),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bits(
    unbroken: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    number: int,
    point: str,
    at: Callable[[int], int],
    first: int,
) -> None:
    recipe, expected = unbroken
    options = Options(store=tmp_path, keep=True, checkpoint_seconds=0.0)
    code = tiny.run_in_child(tiny.train, str(recipe), options, kill_at=f"{point}:{at(number)}")
    assert code == -signal.SIGKILL
    store = Store(tmp_path)
    trained = [name for name in ORDER if name in tiny.digests(store)]
    assert trained == list(ORDER[:number])
    listener = tiny.Listener()
    tiny.train(str(recipe), options, listener)
    assert tiny.digests(store) == expected
    assert listener.first[ORDER[number]] == first
    assert all(listener.ended[name] == "cached" for name in ORDER[:number])
    assert not list((tmp_path / "checkpoints").iterdir())
    # Only the workspace of the killed process is left, for `store gc`.
    assert len(list((tmp_path / "staging").iterdir())) == 1
    store.collect_garbage()
    assert not list((tmp_path / "staging").iterdir())

"""Several processes train one model: as one process would, up to the order of sums, and to the bit the same again."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from handmade import encoded
from torch import Tensor, nn

from adapterstilts.data.batches import Schedule
from adapterstilts.data.tensors import Batch
from adapterstilts.errors import AdapterStiltsError
from adapterstilts.specs import Numerics, TrainingSpec
from adapterstilts.training.loop import Control, Trainable, fit
from adapterstilts.training.team import ALONE, Left, joined

CPU = torch.device("cpu")
SPEC = TrainingSpec(
    steps=10,
    epochs=1,
    tokens_per_batch=24,
    max_length=16,
    learning_rate=0.05,
    warmup=0.25,
    # So much that a head shrinks visibly when it decays in steps that are not its own.
    weight_decay=0.5,
    max_grad_norm=0.2,
    backbone_dropout=False,
)


def task(seed: int) -> Any:
    """Return units of 3 to 24 subwords, so that a batch has from one to eight of them."""
    lengths = [3 + (seed + 5 * n) % 7 if n % 6 else 20 + n % 5 for n in range(40)]
    units = [[[0, *(4 + (n + i) % 8 for i in range(length - 2)), 2]] for n, length in enumerate(lengths)]
    return encoded(units, [n % 2 for n in range(40)], [f"e{n}" for n in range(40)])


SCHEDULE = Schedule((task(1), task(3)), SPEC.tokens_per_batch, 0, "target")


class Bag(Trainable):
    """A bag of words with a head a task; a score that only the first process is asked for."""

    def __init__(self, dropout: float, wrong: str = "") -> None:
        torch.manual_seed(0)
        self.words = nn.Parameter(torch.randn(12, 4) * 0.1)
        self.heads = [nn.Parameter(torch.randn(4, 2)) for _ in range(2)]
        self.parameters = {"words": self.words, "head 0": self.heads[0], "head 1": self.heads[1]}
        self.dropout, self.wrong = dropout, wrong
        self.computed: list[int] = []
        self.asked = 0

    def loss(self, batch: Batch, task: int, seed: int, units: Sequence[int] | None = None) -> Tensor:
        own = batch if units is None else batch.part(units)
        self.computed.append(len(own.sizes))
        if not own.sizes:
            return torch.zeros(())
        vectors = F.dropout(self.words[own.input_ids], self.dropout) * own.attention_mask[..., None]
        if self.wrong in own.ids:
            vectors = vectors / 0
        scores = vectors.sum(1) @ self.heads[task]
        return F.cross_entropy(scores, own.per_unit["label"], reduction="sum") / len(batch.sizes)

    def score(self) -> float:
        self.asked += 1
        return -abs(float(self.words.detach().abs().sum()) - 2.5)


def member(rank: int, size: int, folder: Path, spec: TrainingSpec, work: dict[str, Any]) -> None:
    """Be one of the processes, and write what came of it."""
    model = Bag(work.get("dropout", 0.0), work.get("wrong", ""))
    seen: list[int] = []
    control = Control(
        folder / "checkpoint",
        checkpoint_seconds=work.get("checkpoint_seconds", 1e9),
        # Only the first process may be asked.
        stop=(lambda: len(seen) == work.get("stop_after")) if rank == 0 else _never,
        progress=lambda step, steps, loss, rate: seen.append(step),
    )
    outcome: dict[str, Any] = {"error": ""}
    numerics = Numerics("library.1", "fp32")
    try:
        if size == 1:
            progress = fit(model, SCHEDULE, spec, numerics, CPU, control, ALONE)
        else:
            with joined(folder / "meeting", rank, size, CPU) as team:
                progress = fit(model, SCHEDULE, spec, numerics, CPU, control, team)
        outcome |= {"curve": progress.curve, "counts": [progress.examples, progress.tokens, progress.step]}
    except (AdapterStiltsError, Left) as error:
        outcome["error"] = f"{type(error).__name__}: {error}"
    outcome |= {"parameters": dict(model.parameters), "computed": model.computed, "asked": model.asked}
    torch.save({**outcome, "first": seen[:1]}, folder / f"{rank}.pt")


def _never() -> bool:
    raise AssertionError("asked to stop")


def train(
    folder: Path, size: int, spec: TrainingSpec = SPEC, kill_at: str | None = None, **work: Any
) -> list[dict[str, Any]]:
    """Return the outcomes by rank, empty for a process that did not get as far."""
    folder.mkdir(exist_ok=True)
    for left in (folder / "meeting", *folder.glob("?.pt")):
        left.unlink(missing_ok=True)
    if size == 1:
        member(0, 1, folder, spec, work)
    else:
        with ExitStack() as stack:
            processes = [
                stack.enter_context(
                    tiny.child(member, rank, size, folder, spec, work, kill_at=None if rank else kill_at)
                )
                for rank in range(size)
            ]
            for rank, process in enumerate(processes):
                process.join(120)
                assert process.exitcode == (-signal.SIGKILL if kill_at and rank == 0 else 0)
    return [torch.load(path) if path.exists() else {} for path in (folder / f"{r}.pt" for r in range(size))]


def near(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.allclose(first[name], second[name], rtol=0, atol=1e-5) for name in first)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def losses(outcome: dict[str, Any]) -> list[float]:
    return [point["loss"] for point in outcome["curve"] if "loss" in point]


# ---- the same as one process


@pytest.mark.parametrize(
    ("size", "spec"),
    [
        (2, SPEC),
        pytest.param(3, replace(SPEC, accumulate=2), marks=pytest.mark.distributed),
        pytest.param(2, replace(SPEC, evaluations=5, patience=2, steps=20), marks=pytest.mark.distributed),
    ],
    ids=["two", "three", "validated"],
)
def test_several_processes_do_what_one_does(tmp_path: Path, size: int, spec: TrainingSpec) -> None:
    (alone,) = train(tmp_path / "alone", 1, spec)
    team = train(tmp_path / "team", size, spec)
    assert near(team[0]["parameters"], alone["parameters"])
    assert losses(team[0]) == pytest.approx(losses(alone), abs=1e-5)
    for one in team:
        assert not one["error"]
        assert same(one["parameters"], team[0]["parameters"])
        assert (one["curve"], one["counts"]) == (team[0]["curve"], alone["counts"])
    # Each unit is computed once, a batch of one by one process.
    shares = list(zip(*(one["computed"] for one in team), strict=True))
    assert [sum(share) for share in shares] == alone["computed"]
    assert any(0 in share for share in shares) and any(len(set(share)) > 1 for share in shares)
    assert [one["asked"] for one in team] == [alone["asked"], *[0] * (size - 1)]
    assert [point.get("validation") for point in team[0]["curve"]] == pytest.approx(
        [point.get("validation") for point in alone["curve"]], abs=1e-5
    )


# ---- again to the bit


@pytest.fixture
def unbroken(tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    yield train(tmp_path / "unbroken", 2, dropout=0.3)


@pytest.mark.distributed
def test_stopped_processes_go_on_to_the_same_bits(tmp_path: Path, unbroken: list[dict[str, Any]]) -> None:
    stopped = train(tmp_path / "stopped", 2, dropout=0.3, stop_after=4)
    errors = {one["error"] for one in stopped}
    assert errors == {
        "Interrupted: step 4 of 10: stopped on request; run the same command again to go on from here"
    }
    assert [path.name for path in (tmp_path / "stopped" / "checkpoint").iterdir()] == ["checkpoint.pt"]
    resumed = train(tmp_path / "stopped", 2, dropout=0.3)
    for one, whole in zip(resumed, unbroken, strict=True):
        assert one["first"] == [5]
        assert same(one["parameters"], whole["parameters"])
        assert (one["curve"], one["counts"]) == (whole["curve"], whole["counts"])
    # Which it would not be if both drew the same.
    assert not near(unbroken[0]["parameters"], train(tmp_path / "alone", 1, dropout=0.3)[0]["parameters"])


@pytest.mark.distributed
@pytest.mark.parametrize("kill_at", ["optimiser_step:6", "checkpoint_write:4"])
def test_a_killed_process_ends_the_others_and_all_go_on_to_the_same_bits(
    tmp_path: Path, unbroken: list[dict[str, Any]], kill_at: str
) -> None:
    work = {"dropout": 0.3, "checkpoint_seconds": 0.0}
    gone, other = train(tmp_path / "killed", 2, kill_at=kill_at, **work)
    assert not gone
    assert other["error"] == "Left: another process of this stage is gone"
    resumed = train(tmp_path / "killed", 2, **work)
    assert resumed[0]["first"] == [6 if kill_at.startswith("optimiser") else 4]
    assert all(
        same(one["parameters"], whole["parameters"]) for one, whole in zip(resumed, unbroken, strict=True)
    )


@pytest.mark.distributed
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_another_number_of_processes_may_go_on(tmp_path: Path, before: int, after: int) -> None:
    (alone,) = train(tmp_path / "alone", 1)
    train(tmp_path / "changed", before, stop_after=4)
    for one in train(tmp_path / "changed", after):
        assert one["first"] == [5]
        assert near(one["parameters"], alone["parameters"])


# ---- what is wrong


@pytest.mark.distributed
def test_a_loss_that_is_no_number_ends_all_and_names_its_rows(tmp_path: Path) -> None:
    (alone,) = train(tmp_path / "alone", 1, wrong="e7")
    assert alone["error"].startswith("DataError: rows e") and "e7" in alone["error"]
    for one in train(tmp_path / "team", 2, wrong="e7"):
        assert one["error"] == alone["error"]
        assert near(one["parameters"], alone["parameters"])

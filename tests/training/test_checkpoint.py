"""Mid-stage state: whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from adapterstilts.training.checkpoint import Best, Progress, load_checkpoint, save_checkpoint

PROGRESS = Progress(3, 1.5, 20, 100, [{"step": 1, "loss": 0.5}])


def trained(steps: int) -> tuple[dict[str, nn.Parameter], torch.optim.AdamW]:
    torch.manual_seed(0)
    parameters = {"a": nn.Parameter(torch.randn(3, 2)), "b": nn.Parameter(torch.randn(2))}
    optimiser = torch.optim.AdamW(
        [{"params": [parameters["a"]], "weight_decay": 0.1}, {"params": [parameters["b"]]}], lr=0.1
    )
    for _ in range(steps):
        step(parameters, optimiser)
    return parameters, optimiser


def step(parameters: dict[str, nn.Parameter], optimiser: torch.optim.AdamW) -> None:
    optimiser.zero_grad()
    noise = torch.rand(2)
    (parameters["a"].pow(2).sum() + (parameters["b"] * noise).sum()).backward()
    optimiser.step()


def test_everything_comes_back(tmp_path: Path) -> None:
    parameters, optimiser = trained(3)
    save_checkpoint(tmp_path / "deep" / "er", parameters, optimiser, PROGRESS)
    step(parameters, optimiser)
    step(parameters, optimiser)
    expected = [value.detach().clone() for value in parameters.values()]
    fresh, other = trained(0)
    torch.manual_seed(999)
    assert load_checkpoint(tmp_path / "deep" / "er", fresh, other) == PROGRESS
    step(fresh, other)
    step(fresh, other)
    # Weights, both moments, step count, decay of each group and the generator: one of them missing, and this differs.
    assert all(torch.equal(value, wanted) for value, wanted in zip(fresh.values(), expected, strict=True))


def test_the_best_state_comes_back(tmp_path: Path) -> None:
    parameters, optimiser = trained(1)
    kept = {name: value.detach().clone() for name, value in parameters.items()}
    progress = Progress(3, 1.5, 20, 100, [], Best(0.75, 2, 1, kept))
    save_checkpoint(tmp_path, parameters, optimiser, progress)
    found = load_checkpoint(tmp_path, *trained(0))
    assert found is not None
    assert found.best is not None
    assert (found.best.score, found.best.step, found.best.since) == (0.75, 2, 1)
    assert list(found.best.parameters) == ["a", "b"]
    assert all(torch.equal(found.best.parameters[name], kept[name]) for name in kept)


def test_parameters_stay_the_same_objects(tmp_path: Path) -> None:
    parameters, optimiser = trained(1)
    save_checkpoint(tmp_path, parameters, optimiser, PROGRESS)
    fresh, other = trained(0)
    before = dict(fresh)
    load_checkpoint(tmp_path, fresh, other)
    assert all(fresh[name] is before[name] for name in before)
    assert all(parameter.requires_grad for parameter in fresh.values())


def test_without_a_checkpoint_nothing_changes(tmp_path: Path) -> None:
    parameters, optimiser = trained(1)
    before = parameters["a"].detach().clone()
    assert load_checkpoint(tmp_path / "nowhere", parameters, optimiser) is None
    (tmp_path / "checkpoint.pt.part").write_bytes(b"half of a checkpoint")
    assert load_checkpoint(tmp_path, parameters, optimiser) is None
    assert torch.equal(parameters["a"], before)


def test_a_write_that_dies_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters, optimiser = trained(1)
    save_checkpoint(tmp_path, parameters, optimiser, PROGRESS)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, parameters, optimiser, Progress(4, 2.0, 30, 150, []))
    found = load_checkpoint(tmp_path, *trained(0))
    assert found is not None
    assert found.step == 3


def test_a_checkpoint_is_read_without_running_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"parameters": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(Exception, match=r"(?i)weights_only|unsupported"):
        load_checkpoint(tmp_path, *trained(0))
    assert not (tmp_path / "ran").exists()

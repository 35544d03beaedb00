"""Mid-stage state: everything that the next step depends on, in one file, replaced atomically."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapterstilts import killpoints
from adapterstilts.training.team import ALONE, Team

_FILE = "checkpoint.pt"


@dataclass
class Best:
    """The best evaluation so far.

    Attributes:
        score: on the validation data.
        step: after which it was reached.
        since: evaluations after it.
        parameters: name -> value, on the CPU.
    """

    score: float
    step: int
    since: int
    parameters: dict[str, Tensor]


@dataclass
class Progress:
    """What is known about a stage besides weights and optimiser.

    Attributes:
        step: optimiser steps done.
        seconds: time spent training, over all processes that took part.
        examples: examples seen.
        tokens: subwords seen, without padding.
        curve: the lines of the training curve so far.
        best: where validation steers.
    """

    step: int = 0
    seconds: float = 0.0
    examples: int = 0
    tokens: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    best: Best | None = None


def save_checkpoint(
    folder: Path,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    team: Team = ALONE,
) -> None:
    """Write the state of training to `folder`, replacing the one before only when it is complete.

    Of a team the first process writes; the generators are those of all.
    """
    generators = team.gathered(_generators())
    if team.rank:
        return
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "parameters": {name: parameter.detach() for name, parameter in parameters.items()},
        "optimiser": optimiser.state_dict(),
        "generators": generators,
        "progress": {**vars(progress), "best": None if progress.best is None else vars(progress.best)},
    }
    # A name of its own: a process that was given up and goes on after all may still be at an older one.
    temporary = folder / f"{_FILE}.{uuid.uuid4().hex[:8]}.part"
    torch.save(state, temporary)
    killpoints.reach("checkpoint_write")
    os.replace(temporary, folder / _FILE)


def load_checkpoint(
    folder: Path,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    team: Team = ALONE,
) -> Progress | None:
    """Put a saved state back in place; None when there is none to go on from. What was left half-written goes.

    A team of another size may go on from it: a process without a generator there keeps its own.
    """
    for left in folder.glob(f"{_FILE}*.part"):
        left.unlink(missing_ok=True)
    path = folder / _FILE
    if not path.is_file():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state["parameters"][name])
    optimiser.load_state_dict(state["optimiser"])
    if team.rank < len(state["generators"]):
        _restore_generators(state["generators"][team.rank])
    best = state["progress"].pop("best")
    return Progress(**state["progress"], best=None if best is None else Best(**best))


def _generators() -> dict[str, Any]:
    states: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def _restore_generators(states: Mapping[str, Any]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])

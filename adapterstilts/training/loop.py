"""The training loop: one for adapters, fusions, heads and whole models.

AdamW with linear warm-up and decay, gradient clipping, bf16 autocast over fp32 parameters. A run that is
killed goes on from its last checkpoint to the same bits: parameters, optimiser, generators and the place in
the data are all restored, and the regulariser of a fusion is part of the loss, not of a later hook.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapterstilts import killpoints
from adapterstilts.data.batches import Schedule, Step, derive_seed
from adapterstilts.data.tensors import Batch, collate
from adapterstilts.errors import DataError, Fault, Interrupted
from adapterstilts.specs import Numerics, TrainingSpec
from adapterstilts.training.checkpoint import Best, Progress, load_checkpoint, save_checkpoint
from adapterstilts.training.team import ALONE, Team
from adapterstilts.training.tracking import Tracker

RESUME = "run the same command again to go on from here"
_CURVE_POINTS = 200

OnStep = Callable[[int, int, float, float], None]
"""Told ``(step, steps, loss, examples a second)`` after every step."""


class Trainable:
    """What the loop needs of a model; see `adapterstilts.stages.training` for the real one."""

    parameters: Mapping[str, nn.Parameter]

    def loss(self, batch: Batch, task: int, seed: int, units: Sequence[int] | None = None) -> Tensor:
        """Return the mean loss over a batch of a task, a scalar.

        Args:
            batch: of the task.
            task: which of the stage's tasks.
            seed: of this step, for what is drawn in it.
            units: places in the batch; what they add to its mean loss is returned, without a gradient where that is
                nothing.
        """
        raise NotImplementedError

    def score(self) -> float:
        """Return how well the model does on its validation data; higher is better."""
        raise NotImplementedError

    def regulariser(self) -> Tensor | None:
        """Return what is added to the loss, or None."""
        return None


@dataclass
class Control:
    """What surrounds a training run and does not change its result.

    Attributes:
        checkpoint: folder for mid-stage state.
        checkpoint_seconds: time between two checkpoints.
        stop: asked after every step; True ends the run at once, resumable.
        progress: called after every step with ``(step, steps, loss, examples a second)``.
        trackers: listeners of the training curve.
    """

    checkpoint: Path
    checkpoint_seconds: float = 60.0
    stop: Callable[[], bool] = lambda: False
    progress: OnStep = lambda step, steps, loss, rate: None
    trackers: Sequence[Tracker] = field(default_factory=tuple)


def fit(
    model: Trainable,
    schedule: Schedule,
    training: TrainingSpec,
    numerics: Numerics,
    device: torch.device,
    control: Control,
    team: Team = ALONE,
) -> Progress:
    """Train until the last step, or until validation says that there is nothing to gain.

    Args:
        model: its `parameters` train; the rest is frozen.
        schedule: the batches; its seed and role decide about dropout and masks, too.
        training: how.
        numerics: precision of the matrix products.
        device: where the model is.
        control: checkpoints, progress, stopping.
        team: the processes that train this model together, each with a copy of its own.

    Returns:
        The final progress; its curve holds at most a few hundred points. With `training.evaluations` the
        parameters are those of the best evaluation.

    Raises:
        Interrupted: when asked to stop; a checkpoint was written.
        DataError: when a loss is not finite; names the rows of the batch.
        Left: when another process of the team ends meanwhile.
    """
    steps = schedule.steps(training.steps, training.epochs)
    optimiser = make_optimiser(model.parameters, training)
    purpose = f"dropout {team.rank}" if team.rank else "dropout"
    torch.manual_seed(derive_seed(schedule.seed, schedule.role, purpose))
    progress = load_checkpoint(control.checkpoint, model.parameters, optimiser, team) or Progress()
    run = _Run(model, schedule, training, numerics, device, control, team, optimiser, steps, progress)
    if progress.step < steps:
        run.go()
    if progress.best is not None:
        _restore(model.parameters, progress.best.parameters)
    return progress


@dataclass
class _Run:
    model: Trainable
    schedule: Schedule
    training: TrainingSpec
    numerics: Numerics
    device: torch.device
    control: Control
    team: Team
    optimiser: torch.optim.Optimizer
    steps: int
    progress: Progress

    def go(self) -> None:
        """Step from where `progress` is to the end."""
        saved = last = time.monotonic()
        every = max(1, self.steps // _CURVE_POINTS)
        for parts in self.schedule.by_step(self.progress.step):
            epoch, loss = parts[0].epoch, self._step(parts)
            now = time.monotonic()
            self.progress.step += 1
            self.progress.seconds += now - last
            last = now
            if self.progress.step % every == 0 or self.progress.step == self.steps:
                self._record(epoch, loss)
            self.control.progress(
                self.progress.step,
                self.steps,
                loss,
                self.progress.examples / max(self.progress.seconds, 1e-9),
            )
            if self._is_due() and self._evaluate(epoch):
                return
            killpoints.reach("optimiser_step")
            if self.progress.step == self.steps:
                return
            stop, due = self.team.first(functools.partial(self._wishes, now - saved))
            if stop or due:
                save_checkpoint(
                    self.control.checkpoint, self.model.parameters, self.optimiser, self.progress, self.team
                )
                saved = time.monotonic()
            if stop:
                where = f"step {self.progress.step} of {self.steps}"
                raise Interrupted(Fault(where, "stopped on request", RESUME))

    def _wishes(self, age: float) -> tuple[bool, bool]:
        """Return whether to stop, and whether a checkpoint is due after `age` seconds without one."""
        return self.control.stop(), age >= self.control.checkpoint_seconds

    def _step(self, parts: Sequence[Step]) -> float:
        """Take one optimiser step over the batches, each by its share of the examples, and return the mean loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.training.learning_rate * rate(
                self.progress.step, self.steps, self.training.warmup
            )
        self.optimiser.zero_grad(set_to_none=True)
        examples = sum(len(part.positions) for part in parts)
        shares = [len(part.positions) / examples for part in parts]
        own = [
            self._backward(part, place, share, last=place == len(parts) - 1)
            for place, (part, share) in enumerate(zip(parts, shares, strict=True))
        ]
        losses = self.team.sum(own)
        for part, loss in zip(parts, losses, strict=True):
            self._check(part, loss)
        self.team.add_gradients(self.model.parameters.values())
        nn.utils.clip_grad_norm_(self.model.parameters.values(), self.training.max_grad_norm)
        self.optimiser.step()
        return sum(share * loss for share, loss in zip(shares, losses, strict=True))

    def _backward(self, part: Step, place: int, share: float, *, last: bool) -> float:
        """Add this process's gradients of a batch, and with the last one the regulariser's; return its loss."""
        batch = collate(self.schedule.tasks[part.task], part.positions, self.device)
        purpose = f"step {self.progress.step}" + (f" batch {place}" if place else "")
        with autocast(self.device, self.numerics):
            loss = self.model.loss(
                batch,
                part.task,
                derive_seed(self.schedule.seed, self.schedule.role, purpose),
                self.team.share(self.schedule.tasks[part.task], part.positions),
            )
        # It belongs to no process's units, and is added once.
        extra = self.model.regulariser() if last and self.team.rank == 0 else None
        total = loss * share if extra is None else loss * share + extra
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
        self.progress.examples += len(batch.sizes)
        self.progress.tokens += batch.tokens
        return float(loss.detach())

    def _check(self, part: Step, loss: float) -> None:
        """Refuse a loss that is not finite, before its gradients have reached a weight."""
        if math.isfinite(loss):
            return
        task = self.schedule.tasks[part.task]
        rows = ", ".join(task.ids[task.rows[position]] for position in part.positions[:8])
        raise DataError(
            Fault(f"rows {rows}", f"the loss is {loss}", "look at the rows, or lower learning_rate")
        )

    def _is_due(self) -> bool:
        """Whether an evaluation comes after the step that was just done; the last one ends the training."""
        wanted, step = self.training.evaluations, self.progress.step
        return step * wanted // self.steps > (step - 1) * wanted // self.steps

    def _evaluate(self, epoch: int) -> bool:
        """Score the model, keep it if it is the best so far, and return whether patience has ended."""
        (score,) = self.team.first(lambda: (self.model.score(),))
        self.progress.curve.append({"step": self.progress.step, "epoch": epoch, "validation": score})
        for tracker in self.control.trackers:
            tracker.log(self.progress.step, {"validation": score})
        best = self.progress.best
        # A score that is no number beats nothing, and everything beats it.
        if best is None or score > best.score or math.isnan(best.score):
            kept = {
                name: parameter.detach().cpu().clone() for name, parameter in self.model.parameters.items()
            }
            self.progress.best = Best(score, self.progress.step, 0, kept)
            return False
        best.since += 1
        return self.training.patience is not None and best.since >= self.training.patience

    def _record(self, epoch: int, loss: float) -> None:
        values: dict[str, float] = {
            "epoch": epoch,
            "loss": loss,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "examples": self.progress.examples,
        }
        self.progress.curve.append({"step": self.progress.step, **values})
        for tracker in self.control.trackers:
            tracker.log(self.progress.step, values)


@torch.no_grad()
def _restore(parameters: Mapping[str, nn.Parameter], kept: Mapping[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(kept[name])


def rate(step: int, steps: int, warmup: float) -> float:
    """Return the share of the peak learning rate for the step after `step` done ones.

    It rises linearly over the first ``warmup * steps`` steps and falls linearly to 0 after them.
    """
    rising = warmup * steps
    if step + 1 <= rising:
        return (step + 1) / rising
    return max(0.0, (steps - step) / max(1.0, steps - rising))


def autocast(device: torch.device, numerics: Numerics) -> Any:
    """Return the context in which matrix products have the stage's precision."""
    if numerics.precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def make_optimiser(parameters: Mapping[str, nn.Parameter], training: TrainingSpec) -> torch.optim.AdamW:
    """Return AdamW; biases, layer norms, IA3's scales and a fusion's value matrix are not decayed.

    Scales and value matrix start as one and the identity, which decay would pull to zero; the value matrix is held
    there by its own regulariser.
    """
    kept: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    for name, parameter in parameters.items():
        value_matrix = ".adapter_fusion_layer." in name and name.endswith(".value.weight")
        # IA3 keeps its scales, of shape (outputs, 1), where LoRA keeps the second of its two matrices.
        scales = name.endswith(".lora_B") and f"{name.removesuffix('B')}A" not in parameters
        exempt = parameter.ndim < 2 or value_matrix or scales
        (kept if exempt else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    # One fused pass over a whole model's state: 13 times faster than the plain loop on a CPU.
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=training.learning_rate, fused=True
    )

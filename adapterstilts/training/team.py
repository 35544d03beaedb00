"""The processes that compute a training stage together, one a device; most stages have one.

Each holds the whole model and walks the same schedule. Of a batch it computes its own units; what they add to the loss
and to the gradients is summed over all, so that clipping, optimiser and scheduler do the same everywhere. The first one
speaks to the world: it asks whether to stop, validates, and writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
import torch.distributed as dist
from torch import nn

from adapterstilts.data.batches import shared_out
from adapterstilts.data.encoding.columns import Encoded

T = TypeVar("T")

# The others wait while the first validates or computes the lowest layers of all data; one that died is noticed at once.
_PATIENCE = timedelta(hours=12)
_GRADIENT_PATIENCE = timedelta(minutes=10)


class Left(RuntimeError):
    """Another process of the team is gone; the reason is to be found there."""


class Team:
    """One process that computes a stage alone.

    Attributes:
        rank: number of this process; 0 is the first.
        size: number of processes.
    """

    rank = 0
    size = 1

    def share(self, encoded: Encoded, positions: Sequence[int]) -> list[int] | None:
        """Return the places in a batch of the units that this process computes, None for all.

        Args:
            encoded: what the positions mean.
            positions: units of the batch.
        """
        return None if self.size == 1 else shared_out(encoded, positions, self.size)[self.rank]

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return each value summed over the processes.

        Raises:
            Left: as all that asks the others.
        """
        return list(values)

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give each parameter the sum of its gradients; one that has none anywhere stays without."""

    def first(self, ask: Callable[[], Sequence[float]]) -> list[float]:
        """Return what the first process answers; the others do not ask."""
        return list(ask())

    def gathered(self, value: T) -> list[T]:
        """Return the values of all processes by rank."""
        return [value]

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process do it before the others, who find on the disk what it has kept."""
        yield


ALONE = Team()


class _Group(Team):
    """One of several processes.

    Args:
        rank: see `Team`.
        size: see `Team`.
        gradients: the process group that sums gradients where they are; words go by the default group.
    """

    def __init__(self, rank: int, size: int, gradients: dist.ProcessGroup | None) -> None:
        self.rank, self.size = rank, size
        self._gradients = gradients

    def sum(self, values: Sequence[float]) -> list[float]:
        total = torch.tensor(values, dtype=torch.float64)
        with _noticing():
            dist.all_reduce(total)
        summed: list[float] = total.tolist()
        return summed

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        own = list(parameters)
        holders = self.sum([float(parameter.grad is not None) for parameter in own])
        used = [parameter for parameter, count in zip(own, holders, strict=True) if count]
        if not used:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in used]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with _noticing():
            dist.all_reduce(flat, group=self._gradients)
        for parameter, gradient in zip(used, torch.split(flat, [p.numel() for p in used]), strict=True):
            parameter.grad = gradient.view_as(parameter)

    def first(self, ask: Callable[[], Sequence[float]]) -> list[float]:
        values = list(ask()) if self.rank == 0 else []
        told: list[Any] = [values]
        with _noticing():
            dist.broadcast_object_list(told)
        found: list[float] = told[0]
        return found

    def gathered(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.size
        with _noticing():
            dist.all_gather_object(values, value)
        return values

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        if self.rank:
            self.sum([])
        yield
        if not self.rank:
            self.sum([])


@contextmanager
def _noticing() -> Iterator[None]:
    """Tell an end of another process from all else that may go wrong."""
    try:
        yield
    except RuntimeError as error:
        raise Left("another process of this stage is gone") from error


@contextmanager
def joined(meeting: Path, rank: int, size: int, device: torch.device) -> Iterator[Team]:
    """Yield the team that all processes with the same meeting place make up.

    Args:
        meeting: a file that no other team uses; made here.
        rank: of this process, from 0.
        size: number of processes; each has to come.
        device: of this process, where its gradients are.

    Raises:
        Left: when another process ends meanwhile.
    """
    _stay_on_this_machine()
    with _noticing():
        store = dist.FileStore(str(meeting), size)  # type: ignore[attr-defined]
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    try:
        gradients = None
        if device.type == "cuda":
            gradients = dist.new_group(backend="nccl", timeout=_GRADIENT_PATIENCE)
        yield _Group(rank, size, gradients)
    finally:
        dist.destroy_process_group()


def _stay_on_this_machine() -> None:
    """Let gloo listen where no other machine can reach it."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == "127.0.0.1" for address in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)

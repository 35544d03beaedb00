"""What a process needs to run stages, as plain data that can be sent to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from adapterstilts.data.sources import DataRoots
from adapterstilts.errors import Fault, UsageError
from adapterstilts.machine import cores, keep_few_kernels, reuse_freed_memory
from adapterstilts.runner.prepare import Options, Prepared, local_backbone
from adapterstilts.runner.pretrained import imported
from adapterstilts.stages.context import Context
from adapterstilts.store.mirror import open_store
from adapterstilts.training.tracking import Tracker
from adapterstilts.trust.origins import Origins


@dataclass(frozen=True)
class Site:
    """The surroundings of stages, the same in all processes of a run.

    Attributes:
        store: the store's root.
        mirror: URL of the store's second home.
        lease_seconds: see `Store`.
        roots: where relative data paths start.
        device: ``cpu`` or ``cuda``.
        devices: those that were named, to be shared out among the workers; see `Devices`.
        threads: torch's threads.
        backbone_folder: see `Context`, as for all that follow.
        pretrained: see there.
        imported: see there.
        trusted: see there.
        checkpointing: see there.
        offline: see there.
        checkpoint_seconds: see there.
        trackers: see there.
    """

    store: Path
    mirror: str | None
    lease_seconds: float
    roots: DataRoots
    device: str
    threads: int
    backbone_folder: Path | None = None
    pretrained: Mapping[str, Path] = field(default_factory=dict)
    imported: Mapping[str, Origins] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    checkpointing: bool = False
    offline: bool = False
    checkpoint_seconds: float = 60.0
    trackers: tuple[Tracker, ...] = ()
    devices: tuple[str, ...] = ()

    @classmethod
    def of(cls, prepared: Prepared, trackers: Sequence[Tracker] = ()) -> Site:
        """Return the surroundings of a prepared recipe's stages.

        Raises:
            UsageError: when its processes would share cores.
        """
        options = prepared.options
        return cls(
            store=prepared.store.root.absolute(),
            mirror=options.mirror,
            lease_seconds=options.lease_seconds,
            roots=prepared.roots,
            device=prepared.device,
            threads=compute_threads(options, prepared.processes),
            backbone_folder=local_backbone(prepared.recipe),
            pretrained={one.content: one.folder for one in prepared.pretrained.values()},
            imported=imported(prepared.pretrained.values()),
            trusted=tuple(one.content for one in prepared.pretrained.values() if one.allow_pickle),
            checkpointing=options.checkpointing,
            offline=options.offline,
            checkpoint_seconds=options.checkpoint_seconds,
            trackers=tuple(trackers),
            devices=prepared.devices,
        )

    @property
    def torch_device(self) -> torch.device:
        """Where a process computes that sees its own device alone."""
        return torch.device(self.device)

    def open(self, stop: Callable[[], bool]) -> Context:
        """Make this process ready to run stages, and return their context.

        Args:
            stop: asked after every step.
        """
        torch.set_num_threads(self.threads)
        reuse_freed_memory()
        keep_few_kernels()
        return Context(
            store=open_store(self.store, self.mirror, self.lease_seconds),
            roots=self.roots,
            device=self.torch_device,
            threads=self.threads,
            backbone_folder=self.backbone_folder,
            pretrained=self.pretrained,
            imported=self.imported,
            trusted=self.trusted,
            checkpointing=self.checkpointing,
            offline=self.offline,
            checkpoint_seconds=self.checkpoint_seconds,
            stop=stop,
            trackers=self.trackers,
        )


def compute_threads(options: Options, processes: int = 1) -> int:
    """Return the threads of every process that computes: as asked for, else each one's part of the cores.

    Args:
        options: of the run.
        processes: that train one stage together.

    Raises:
        UsageError: when the processes of this machine would share cores, or the workers are those of a cluster.
    """
    if options.executor == "ray" and options.workers > 1:
        remedy = "leave it out: a cluster runs as many stages as it has room for"
        raise UsageError(Fault("--workers", "is for this machine alone", remedy))
    there, workers = cores(), options.workers
    computing = workers * processes
    threads = options.threads or max(1, there // computing)
    if computing > 1 and computing * threads > there:
        each = f" of {processes} processes" if processes > 1 else ""
        what = f"{workers} workers{each} of {threads} threads on {there} cores"
        remedy = (
            "give fewer workers or --threads"
            if processes == 1
            else "give fewer workers, devices or --threads"
        )
        raise UsageError(Fault("--workers" if workers > 1 else "--device", what, remedy))
    return threads

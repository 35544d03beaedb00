"""What stages share in one process: the store, the backbone, rows and encoded examples, and the run's controls."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from adapterstilts.data.encoding import encode, files
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.rows import LoadedSplit
from adapterstilts.data.sources import DataRoots
from adapterstilts.data.uses import Rows
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.engine.kept import Keeping
from adapterstilts.errors import Fault, Interrupted
from adapterstilts.machine import return_freed_memory
from adapterstilts.model.backbone import Backbone, load_backbone
from adapterstilts.recipe.plan import DataUse, Stage
from adapterstilts.specs import BACKBONE, BackboneSpec, Numerics, Precision, TrainingStage
from adapterstilts.store.bounded import cache_bound
from adapterstilts.store.digest import canonical, digest
from adapterstilts.store.store import Artifact, Store
from adapterstilts.tasks.spec import Json
from adapterstilts.training.loop import RESUME, OnStep
from adapterstilts.training.team import ALONE, Team
from adapterstilts.training.tracking import Tracker
from adapterstilts.trust.origins import Origins


@dataclass
class Context:
    """Everything around a stage that does not enter its key.

    Attributes:
        store: where artifacts are.
        roots: where relative data paths start.
        device: where models compute.
        threads: torch's threads, the same for every stage.
        backbone_folder: of a local backbone, None for one from the hub or the store.
        pretrained: digest of an adapter's files -> their folder, of adapters that were trained elsewhere.
        imported: digest of such an adapter's files -> the data behind it, where they are known.
        trusted: of these, the ones whose pickles may be read.
        checkpointing: whether a layer's inside is computed again for its gradient, in place of keeping it.
        offline: whether no hub may be asked.
        cache_bytes: that hidden states may take in the store's cache, between two stages.
        checkpoint_seconds: time between two checkpoints.
        stop: asked after every step.
        progress: called with ``(step, steps, loss, examples a second)``.
        trackers: listeners of training curves.
        together: gives the processes that train a stage; this one alone by default.
        processes: how many these are.
    """

    store: Store
    roots: DataRoots
    device: torch.device
    threads: int
    backbone_folder: Path | None = None
    pretrained: Mapping[str, Path] = field(default_factory=dict)
    imported: Mapping[str, Origins] = field(default_factory=dict)
    trusted: Collection[str] = ()
    checkpointing: bool = False
    offline: bool = False
    cache_bytes: int = field(default_factory=cache_bound)
    checkpoint_seconds: float = 60.0
    stop: Callable[[], bool] = lambda: False
    progress: OnStep = lambda step, steps, loss, rate: None
    trackers: Sequence[Tracker] = field(default_factory=tuple)
    together: Callable[[Stage], AbstractContextManager[Team]] = lambda stage: nullcontext(ALONE)
    processes: int = 1
    _backbone: Backbone | None = None
    _encoders: dict[Precision, FrozenEncoder] = field(default_factory=dict)
    _full: tuple[str, Backbone] | None = None
    _rows: Rows = field(init=False)
    _encoded: dict[str, Encoded] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rows = Rows(self.roots)

    def backbone(self, spec: BackboneSpec, inputs: Mapping[str, str]) -> Backbone:
        """Return the frozen backbone; it is loaded once in a process."""
        if self._backbone is None or self._backbone.spec != spec:
            folder = self.store.get(inputs[BACKBONE]).path if BACKBONE in inputs else self.backbone_folder
            self._backbone = load_backbone(spec, folder, self.device, offline=self.offline)
            self._encoders.clear()
        return self._backbone

    def encoder(self, backbone: Backbone, precision: Precision) -> FrozenEncoder:
        """Return the engine's encoder of the frozen backbone; it is prepared once in a process."""
        assert backbone is self._backbone
        if precision not in self._encoders:
            self._encoders[precision] = FrozenEncoder(backbone.model, precision)
        return self._encoders[precision]

    def keeping(self, numerics: Numerics) -> Keeping:
        """Return where hidden states of the frozen backbone are kept, and what their bits depend on."""
        from adapterstilts.machine import cpu_name, versions

        assert self._backbone is not None
        identity: dict[str, Json] = {
            **canonical(self._backbone.spec),
            **canonical(numerics),
            "device": str(self.device),
            "cpu": cpu_name(),
            "threads": self.threads,
            "torch": versions()["torch"],
        }
        return Keeping(self.store.cache / "prefix", self.cache_bytes, identity, self._part_done)

    def _part_done(self, tokens: int, total: int) -> None:
        if self.stop():
            where = f"{tokens} of {total} subwords of the lowest layers"
            raise Interrupted(Fault(where, "stopped on request", RESUME))
        self.progress(tokens, total, float("nan"), 0.0)

    def fresh_backbone(self, spec: BackboneSpec, inputs: Mapping[str, str]) -> Backbone:
        """Return a copy of the pretrained backbone that may be changed; the whole model in memory goes for it."""
        self._full = None
        return_freed_memory()
        shared = self.backbone(spec, inputs)
        return dataclasses.replace(shared, model=copy.deepcopy(shared.model))

    def keep_full(self, key: str, backbone: Backbone) -> None:
        """Keep the whole model that was just trained in memory, in place of the one before."""
        self._full = (key, backbone)

    def full_model(self, key: str) -> Backbone | None:
        """Return the whole model of a stage if it is the one in memory."""
        return self._full[1] if self._full is not None and self._full[0] == key else None

    def rows(self, use: DataUse) -> LoadedSplit:
        """Return the rows of a split; read once in a process.

        Raises:
            DataError: see `Rows.of`.
        """
        return self._rows.of(use)

    def encoded(self, use: DataUse, backbone: Backbone, settings: Settings) -> Encoded:
        """Return the encoding of a split: from this process, from the store's cache, or made now."""
        model = (backbone.spec.model, backbone.spec.revision)
        key = digest([files.VERSION, self._rows.identity(use), list(model), settings])
        if key not in self._encoded:
            # What is confidential leaves no copy behind.
            folder = None if use.confidential else self.store.cache / files.CACHE / key
            found = files.load(folder) if folder is not None else None
            if found is None:
                found = encode(use.task.kind, self.rows(use).rows, backbone.tokenizer, settings)
                if folder is not None:
                    files.save(found, folder)
            self._encoded[key] = found
        return self._encoded[key]

    def artifact(self, key: str) -> Artifact:
        """Return a published artifact.

        Raises:
            StoreError: when it is not in the store.
        """
        return self.store.get(key)

    def provenance(self, stage: Stage) -> dict[str, Any]:
        """Return the facts about a stage's processes that a record keeps beside the key."""
        from adapterstilts.machine import cpu_name, versions

        numerics: Numerics | None = getattr(stage.spec, "numerics", None)
        return {
            "versions": dict(versions()),
            "device": str(self.device),
            "cpu": cpu_name(),
            "threads": self.threads,
            "processes": self.processes if isinstance(stage.spec, TrainingStage) else 1,
            "precision": numerics.precision if numerics else None,
            "backbone_folder": str(self.backbone_folder.resolve()) if self.backbone_folder else None,
        }

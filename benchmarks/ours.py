"""What a recipe's stages take: the real ones, with their data from files, run again and again beside a finished run."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapterstilts.backbones import FILES_PREFIX
from adapterstilts.machine import keep_few_kernels, reuse_freed_memory
from adapterstilts.model.assembly import assembled
from adapterstilts.model.backbone import load_backbone
from adapterstilts.model.control import write_random_adapter
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.prepare import Options, Prepared, local_backbone, prepare
from adapterstilts.runner.reporter import Silent
from adapterstilts.runner.walk import walk
from adapterstilts.specs import AdapterSpec, BackboneSpec, Evaluate, Precision
from adapterstilts.stages import STAGES
from adapterstilts.stages.computing import computing
from adapterstilts.stages.context import Context
from adapterstilts.stages.evaluate import model_of

CLASSES = ("north", "south", "west")
MAX_LENGTH = 128
# Texts in a batch of those who count texts.
BATCH = 32


@dataclass(frozen=True)
class Job:
    """One recipe on one target: what trains and is scored on which texts.

    Attributes:
        folder: of the recipe, its data and its store; empty.
        backbone: folder of the backbone.
        train: texts that are trained on.
        test: texts that are scored.
        methods: of the recipe.
        precision: of all stages.
        tokens_per_batch: of all stages.
        skip_layers: of the named settings ``n6``, ``n9`` ...: name -> layers.
        pretrained: name -> folder of an adapter.
        quantize: of the backbone.
        training: settings of all stages beside these.
        options: of the run.
    """

    folder: Path
    backbone: Path
    train: Sequence[str]
    test: Sequence[str]
    methods: Sequence[str]
    precision: Precision
    tokens_per_batch: int
    skip_layers: Mapping[str, int] = field(default_factory=dict)
    pretrained: Mapping[str, Path] = field(default_factory=dict)
    quantize: str = "none"
    training: Mapping[str, Any] = field(default_factory=dict)
    options: Options = field(default_factory=Options)

    def again(self, folder: Path, precision: Precision, methods: Sequence[str]) -> Job:
        """Return the same job elsewhere, in another precision, of some of its methods."""
        return replace(self, folder=folder, precision=precision, methods=methods)

    def prepared(self) -> Prepared:
        """Return the recipe, written and planned."""
        self.folder.mkdir(parents=True)
        for split in ("train", "test"):
            lines = [
                json.dumps({"id": str(number), "text": text, "label": CLASSES[number % len(CLASSES)]})
                for number, text in enumerate(getattr(self, split))
            ]
            (self.folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        path = self.folder / "recipe.yaml"
        path.write_text(json.dumps(self._recipe()), encoding="utf-8")
        return prepare(str(path), options=replace(self.options, store=self.folder / "store"))

    def _recipe(self) -> dict[str, Any]:
        files = {split: f"{split}.jsonl" for split in ("train", "test")}
        training = {
            "precision": self.precision,
            "tokens_per_batch": self.tokens_per_batch,
            "max_length": MAX_LENGTH,
            **({} if "steps" in self.training else {"epochs": 1}),
            **self.training,
        }
        return {
            "version": 1,
            "name": "benchmark",
            "backbone": {"model": str(self.backbone.resolve()), "quantize": self.quantize},
            "training": {"default": training},
            "adapters": {name: {"skip_layers": layers} for name, layers in self.skip_layers.items()},
            "tasks": {
                "topics": {
                    "kind": "classification",
                    "labels": list(CLASSES),
                    "languages": {"en": files},
                    "format": {"type": "jsonl"},
                }
            },
            "pretrained": [{"name": name, "path": str(path)} for name, path in self.pretrained.items()],
            "targets": ["topics"],
            "methods": list(self.methods),
            "report": {"baseline": self.methods[0]},
        }


@dataclass
class Ours:
    """A job that has run once, whose stages can be run again.

    Attributes:
        prepared: the recipe.
        context: one process for all stages.
    """

    prepared: Prepared
    context: Context

    @classmethod
    def of(cls, job: Job, threads: int) -> Ours:
        """Run a job, so that all is warm."""
        import torch

        # As every run does; whoever is measured in this process has the good of it.
        reuse_freed_memory()
        keep_few_kernels()
        prepared = job.prepared()
        context = Context(
            prepared.store,
            prepared.roots,
            torch.device("cpu"),
            threads,
            backbone_folder=local_backbone(prepared.recipe),
            pretrained={one.content: one.folder for one in prepared.pretrained.values()},
            offline=True,
            checkpoint_seconds=math.inf,
        )
        outcome = walk(prepared.plan, prepared.missing, context, Silent())
        for error in outcome.errors:
            raise error
        return cls(prepared, context)

    def train(self, method: str) -> float:
        """Train a method's model again; return seconds an example, all steps and their batches."""
        results = self._again(self._stage(method, training=True))
        return float(results["seconds"]) / int(results["examples_seen"])

    def score(self, method: str) -> float:
        """Score a method's model again; return seconds an example, from rows to scores."""
        results = self._again(self._stage(method, training=False))
        return float(results["seconds"]) / int(results["examples"])

    def switch(self, method: str) -> float:
        """Put a method's adapters on the backbone; return milliseconds."""
        stage = self._stage(method, training=False)
        assert isinstance(stage.spec, Evaluate)
        backbone, blueprint = model_of(stage, stage.spec, self.context)
        started = time.perf_counter()
        with (
            assembled(backbone, blueprint) as assembly,
            computing(assembly, stage.spec.numerics, self.context),
        ):
            return (time.perf_counter() - started) * 1e3

    def _stage(self, method: str, *, training: bool) -> Stage:
        for cell in self.prepared.plan.cells:
            if cell.method == method:
                key = cell.trained_by if training else cell.stage
                assert key is not None
                return self.prepared.plan.stages[key]
        raise KeyError(method)

    def _again(self, stage: Stage) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            return STAGES[stage.spec.kind](stage, self.context, Path(folder))


def batch_budget(lengths: Sequence[int]) -> int:
    """Return the subwords of a batch that holds `BATCH` texts on average."""
    return max(MAX_LENGTH, round(BATCH * sum(lengths) / len(lengths)))


def random_adapters(backbone: Path, folder: Path, count: int, skip_layers: int = 0) -> dict[str, Path]:
    """Write adapters that nobody has trained; return name -> folder."""
    import torch

    spec = BackboneSpec(FILES_PREFIX + "benchmark", None)
    loaded = load_backbone(spec, backbone, torch.device("cpu"), offline=True)
    found = {}
    for seed in range(count):
        name = f"n{skip_layers}-{seed}"
        write_random_adapter(loaded, AdapterSpec("seq_bn", 16, skip_layers), seed, folder / name)
        found[name] = folder / name / "adapter"
    return found

"""A trained model from the store, or a unit of others, for text that nobody has labelled."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch

from adapterstilts.backbones import FILES_PREFIX, PACKAGE_PREFIX, local_model
from adapterstilts.data.documents import sentences_of
from adapterstilts.data.encoding import encode
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.inputs import Input, row_of
from adapterstilts.data.rows import Row
from adapterstilts.data.sources import DataRoots
from adapterstilts.errors import EnvironmentFault, Fault, StoreError, UsageError
from adapterstilts.hub.bundle import carried_backbone
from adapterstilts.hub.provenance import read_provenance
from adapterstilts.hub.references import is_reference
from adapterstilts.hub.registry import Placed
from adapterstilts.hub.shelf import Shelf
from adapterstilts.machine import cores, find_device
from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.spans import Entity
from adapterstilts.model.assembly import Blueprint, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.heads import MASKED
from adapterstilts.model.shapes import shape_of
from adapterstilts.model.shipping import read_unit
from adapterstilts.specs import BACKBONE, WEIGHTS_FILE, BackboneSpec, Numerics
from adapterstilts.stages.computing import computing
from adapterstilts.stages.context import Context
from adapterstilts.stages.convert import converted
from adapterstilts.stages.evaluate import trained_model
from adapterstilts.stages.inference import predict
from adapterstilts.store.store import Artifact, Store, default_root

_TRAINED_KINDS = ("train_adapter", "train_fusion", "train_head", "full_finetune")


@dataclass(frozen=True)
class Reading:
    """How a trained model reads examples and answers.

    Attributes:
        name: for errors.
        kind: of its task.
        labels: of its head.
        unanswerable: of span_qa, whether a passage may hold no answer.
        max_length: subwords of an example, or of a window of it.
        stride: between windows; None for the kind's own way.
        tokens_per_batch: subwords in a batch.
        numerics: the arithmetic.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    unanswerable: bool
    max_length: int
    stride: int | None
    tokens_per_batch: int
    numerics: Numerics


class Predictor:
    """A trained model with its head.

    Args:
        reading: how it reads examples.
        backbone: in memory.
        blueprint: what stands on it.
        context: in which the backbone was loaded.
    """

    def __init__(self, reading: Reading, backbone: Backbone, blueprint: Blueprint, context: Context) -> None:
        self.kind = reading.kind
        self.labels = reading.labels
        self._reading = reading
        self._backbone = backbone
        self._blueprint = blueprint
        self._context = context

    @classmethod
    def load(
        cls,
        reference: str,
        *,
        store: Path | None = None,
        device: str = "auto",
        offline: bool = False,
        backbone: Path | None = None,
    ) -> Predictor:
        """Load a trained model from a store, or a unit that is on this machine.

        Args:
            reference: key of a training stage's artifact, or a unique prefix; or a reference to a unit
                (`adapterstilts.hub.references`).
            store: root of the store; default as on the command line.
            device: ``auto``, ``cpu`` or ``cuda``.
            offline: whether the backbone may not be asked for on the hub.
            backbone: folder of a local backbone that is not where the model was trained.

        Raises:
            UsageError: when the reference is unknown or not a trained model.
            StoreError: when a whole model's weights were not kept, or a unit is not here or not sound.
            EnvironmentFault: when the backbone cannot be had.
        """
        opened = Store(store or default_root())
        torch.set_num_threads(cores())
        context = Context(
            opened,
            DataRoots(Path.cwd()),
            torch.device(find_device(device)),
            cores(),
            offline=offline,
        )
        if is_reference(reference):
            return cls._of_unit(Shelf(opened.root).find(reference), context, backbone)
        return cls._of_artifact(opened.resolve(reference), context, backbone)

    @classmethod
    def _of_artifact(cls, artifact: Artifact, context: Context, backbone: Path | None) -> Predictor:
        _check(artifact)
        context.backbone_folder = backbone_folder(artifact, backbone)
        spec = artifact.record.spec
        task, training = spec["data"][0], spec["training"]
        reading = Reading(
            artifact.record.name,
            task["kind"],
            tuple(task["labels"]),
            task.get("unanswerable", False),
            training["max_length"],
            training.get("stride"),
            training["tokens_per_batch"],
            Numerics(**spec["numerics"]),
        )
        on = SimpleNamespace(backbone=BackboneSpec(**spec["backbone"]))
        return cls(reading, *trained_model(artifact, on, context, artifact.record.inputs), context)

    @classmethod
    def _of_unit(cls, placed: Placed, context: Context, backbone: Path | None) -> Predictor:
        said = read_provenance(placed.folder)
        head = said.unit.head
        if head is None or said.numerics is None:
            what = f"{said.name} has no head to answer with"
            raise UsageError(Fault(str(placed.reference), what, "train a target on it, under `pretrained:`"))
        inputs: dict[str, str] = {}
        if said.backbone.model.startswith(PACKAGE_PREFIX):
            inputs[BACKBONE] = converted(said.backbone, context.store)
        else:
            carried = carried_backbone(context.store.root, said.backbone.model)
            there = backbone or (carried if carried.is_dir() else None)
            context.backbone_folder = _local_folder(str(placed.reference), said.backbone.model, there)
        loaded = context.backbone(said.backbone, inputs)
        own = context.store.cache / "units"
        own.mkdir(exist_ok=True)
        parts = Path(tempfile.mkdtemp(dir=own))
        reading = Reading(
            said.name,
            head.kind,
            head.labels,
            bool(said.reading.get("unanswerable")),
            said.reading["max_length"],
            said.reading.get("stride"),
            said.reading["tokens_per_batch"],
            said.numerics,
        )
        try:
            blueprint = read_unit(placed.folder, said.unit, shape_of(loaded), parts)
            model = cls(reading, loaded, blueprint, context)
        except BaseException:
            shutil.rmtree(parts, ignore_errors=True)
            raise
        weakref.finalize(model, shutil.rmtree, parts, ignore_errors=True)
        return model

    def predict(self, inputs: Sequence[Input]) -> list[Prediction]:
        """Return one prediction an input, in order.

        Args:
            inputs: texts, pairs of texts, or mappings with the fields of the model's kind (see
                `adapterstilts.data.inputs.row_of`).

        Raises:
            UsageError: when an input does not fit the kind.
        """
        return self.predict_rows([row_of(self.kind, number, one) for number, one in enumerate(inputs)])

    def predict_documents(self, documents: Mapping[str, Path]) -> dict[str, list[Entity]]:
        """Return the entities of each document, by offsets into its text, in the order of the text.

        Args:
            documents: name -> text file (`adapterstilts.data.documents.documents_in`).

        Raises:
            UsageError: the model does not tag entities.
            DataError: a file cannot be read.
        """
        if self.kind != "tagging" or not any(label.startswith("B-") for label in self.labels):
            what = f"finds no entities: it is a {self.kind} model" + (
                " of plain tags" if self.kind == "tagging" else ""
            )
            raise UsageError(Fault(self._reading.name, what, "take a model of a task with B- and I- tags"))
        rows = sentences_of(documents)
        found: dict[str, list[Entity]] = {name: [] for name in documents}
        for row, answer in zip(rows, self.predict_rows(rows), strict=True):
            if answer.entities is not None:
                found[row.document] += [
                    (int(start), int(end), str(kind)) for start, end, kind in answer.entities["prediction"]
                ]
        return found

    def predict_rows(self, rows: Sequence[Row]) -> list[Prediction]:
        """Return one prediction a row, in order; the rows are of the model's kind."""
        if not rows:
            return []
        own = self._reading
        settings = Settings(own.labels, own.max_length, own.stride, own.unanswerable)
        encoded = encode(self.kind, rows, self._backbone.tokenizer, settings)
        with (
            assembled(self._backbone, self._blueprint) as assembly,
            computing(assembly, own.numerics, self._context) as work,
        ):
            # Nobody's own texts leave a copy behind.
            placed = work.placed([encoded], keep=False)
            return predict(work.assembly, rows, placed, settings, own.tokens_per_batch, own.numerics)


def _check(artifact: Artifact) -> None:
    record = artifact.record
    if record.kind not in _TRAINED_KINDS:
        what = f"{record.name} is a {record.kind}, not a trained model"
        raise UsageError(Fault(record.key[:12], what, "`adapterstilts adapter ls` lists what can predict"))
    if len(record.spec["data"]) > 1 or record.spec["data"][0]["kind"] == MASKED:
        what = f"{record.name} has no single head to answer with"
        raise UsageError(
            Fault(record.key[:12], what, "predict with a model of a target that was trained on it")
        )
    if WEIGHTS_FILE in record.dropped:
        raise StoreError(
            Fault(
                record.name,
                "the whole model's weights were not kept",
                f"run its recipe with --keep --force {record.name!r}",
            )
        )


def backbone_folder(artifact: Artifact, moved: Path | None = None) -> Path | None:
    """Return the folder of the local backbone that a model was trained on; None for another backbone.

    Args:
        artifact: of a training stage.
        moved: where it is now, when it is not where it was.

    Raises:
        EnvironmentFault: the folder does not hold the same files.
    """
    there = artifact.record.provenance.get("backbone_folder")
    folder = moved or (Path(there) if there else None)
    return _local_folder(artifact.record.name, artifact.record.spec["backbone"]["model"], folder)


def _local_folder(where: str, model: str, folder: Path | None) -> Path | None:
    if not model.startswith(FILES_PREFIX):
        return None
    if folder is None:
        raise EnvironmentFault(
            Fault(where, "it stands on a local backbone", "name its folder with --backbone")
        )
    if not (folder / "config.json").is_file() or local_model(folder) != model:
        what = f"its local backbone is not in {folder} any more, or has changed"
        raise EnvironmentFault(Fault(where, what, "put the folder back, or name it with --backbone"))
    return folder

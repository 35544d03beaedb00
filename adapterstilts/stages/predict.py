"""A trained model from the store, for text that nobody has labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import torch

from adapterstilts.backbones import FILES_PREFIX, local_model
from adapterstilts.data.documents import sentences_of
from adapterstilts.data.encoding import encode
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.inputs import Input, row_of
from adapterstilts.data.rows import Row
from adapterstilts.data.sources import DataRoots
from adapterstilts.errors import EnvironmentFault, Fault, StoreError, UsageError
from adapterstilts.machine import cores, find_device
from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.spans import Entity
from adapterstilts.model.assembly import assembled
from adapterstilts.model.heads import MASKED
from adapterstilts.specs import WEIGHTS_FILE, BackboneSpec, Numerics
from adapterstilts.stages.computing import computing
from adapterstilts.stages.context import Context
from adapterstilts.stages.evaluate import trained_model
from adapterstilts.stages.inference import predict
from adapterstilts.store.store import Artifact, Store, default_root

_TRAINED_KINDS = ("train_adapter", "train_fusion", "train_head", "full_finetune")


class Predictor:
    """A trained model with its head.

    Args:
        artifact: of a training stage.
        context: the process.
    """

    def __init__(self, artifact: Artifact, context: Context) -> None:
        self._artifact = artifact
        self._context = context
        spec = artifact.record.spec
        self.kind: str = spec["data"][0]["kind"]
        self._unanswerable: bool = spec["data"][0].get("unanswerable", False)
        self.labels: tuple[str, ...] = tuple(spec["data"][0]["labels"])
        self._numerics = Numerics(**spec["numerics"])
        self._training = spec["training"]
        self._backbone, self._blueprint = trained_model(
            artifact,
            SimpleNamespace(backbone=BackboneSpec(**spec["backbone"])),
            context,
            artifact.record.inputs,
        )

    @classmethod
    def load(
        cls, reference: str, *, store: Path | None = None, device: str = "auto", offline: bool = False
    ) -> Predictor:
        """Load a trained model from a store.

        Args:
            reference: key of a training stage's artifact, or a unique prefix.
            store: root of the store; default as on the command line.
            device: ``auto``, ``cpu`` or ``cuda``.
            offline: whether the backbone may not be asked for on the hub.

        Raises:
            UsageError: when the reference is unknown or not a trained model.
            StoreError: when a whole model's weights were not kept.
        """
        opened = Store(store or default_root())
        artifact = opened.resolve(reference)
        _check(artifact)
        torch.set_num_threads(cores())
        context = Context(
            opened,
            DataRoots(Path.cwd()),
            torch.device(find_device(device)),
            cores(),
            backbone_folder=_backbone_folder(artifact),
            offline=offline,
        )
        return cls(artifact, context)

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
            raise UsageError(
                Fault(self._artifact.record.name, what, "take a model of a task with B- and I- tags")
            )
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
        settings = Settings(
            self.labels, self._training["max_length"], self._training.get("stride"), self._unanswerable
        )
        encoded = encode(self.kind, rows, self._backbone.tokenizer, settings)
        with (
            assembled(self._backbone, self._blueprint) as assembly,
            computing(assembly, self._numerics, self._context) as work,
        ):
            # Nobody's own texts leave a copy behind.
            placed, budget = work.placed([encoded], keep=False), self._training["tokens_per_batch"]
            return predict(work.assembly, rows, placed, settings, budget, self._numerics)


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


def _backbone_folder(artifact: Artifact) -> Path | None:
    """Return the folder of the local backbone that a model was trained on, if it still holds the same files."""
    model = artifact.record.spec["backbone"]["model"]
    if not model.startswith(FILES_PREFIX):
        return None
    folder = Path(artifact.record.provenance.get("backbone_folder") or "")
    if not (folder / "config.json").is_file() or local_model(folder) != model:
        what = f"its local backbone is not in {folder} any more, or has changed"
        raise EnvironmentFault(Fault(artifact.record.name, what, "put the folder back"))
    return folder

"""What users would pick instead: `adapters`, `peft`, and the whole model, each with its Trainer and usual settings."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ours import BATCH, CLASSES, MAX_LENGTH

_RATE = 1e-4


class Peer:
    """A model with its Trainer.

    Args:
        model: the library's; what trains is set.
        trainer: class of the Trainer.
        tokenizer: of the backbone.
        texts: that are trained on and scored.
    """

    def __init__(self, model: Any, trainer: Any, tokenizer: Any, texts: Sequence[str]) -> None:
        self._model, self._trainer, self._tokenizer = model, trainer, tokenizer
        found = tokenizer(list(texts), truncation=True, max_length=MAX_LENGTH)
        self._rows = [
            {"input_ids": ids, "attention_mask": mask, "labels": number % len(CLASSES)}
            for number, (ids, mask) in enumerate(
                zip(found["input_ids"], found["attention_mask"], strict=True)
            )
        ]

    def on(self, texts: Sequence[str]) -> Peer:
        """Return the same model with other texts."""
        return Peer(self._model, self._trainer, self._tokenizer, texts)

    def train(self, *, pad: bool) -> float:
        """Train over the texts once; return seconds an example.

        Args:
            pad: whether every batch is as long as the longest text allowed; else as its own longest.
        """
        clock = _clock()
        with tempfile.TemporaryDirectory() as folder:
            trainer = self._made(folder, pad, callbacks=[clock])
            trainer.train()
        return float(clock.seconds) / len(self._rows)

    def score(self, *, pad: bool) -> float:
        """Answer all texts, in their order; return seconds an example."""
        with tempfile.TemporaryDirectory() as folder:
            trainer = self._made(folder, pad)
            started = time.perf_counter()
            trainer.predict(self._rows)
            return (time.perf_counter() - started) / len(self._rows)

    def _made(self, folder: str, pad: bool, **more: Any) -> Any:
        from transformers import DataCollatorWithPadding, PrinterCallback, TrainingArguments

        arguments = TrainingArguments(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
            learning_rate=_RATE,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        padding: Mapping[str, Any] = {"padding": "max_length", "max_length": MAX_LENGTH} if pad else {}
        trainer = self._trainer(
            self._model,
            arguments,
            train_dataset=self._rows,
            data_collator=DataCollatorWithPadding(self._tokenizer, **padding),
            **more,
        )
        # What it prints would stand between the lines of the table.
        trainer.remove_callback(PrinterCallback)
        return trainer


def _clock() -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):  # type: ignore[misc]
        seconds = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self._started = time.perf_counter()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.seconds = time.perf_counter() - self._started

    return Clock()


def adapter_trainer(backbone: Path, texts: Sequence[str], fused: Sequence[Path] = ()) -> Peer:
    """Return `adapters` with one bottleneck adapter, or with a fusion of some that are frozen."""
    from adapters import AdapterTrainer, AutoAdapterModel
    from adapters.composition import Fuse

    model = AutoAdapterModel.from_pretrained(str(backbone))
    model.add_classification_head("topics", num_labels=len(CLASSES))
    if fused:
        names = [
            model.load_adapter(str(path), load_as=f"own{i}_", use_safetensors=True)
            for i, path in enumerate(fused)
        ]
        model.add_adapter_fusion(names)
        model.train_adapter_fusion(Fuse(*names))
    else:
        model.add_adapter("topics", config="seq_bn")
        model.train_adapter("topics")
    model.active_head = "topics"
    return Peer(model, AdapterTrainer, _tokenizer(backbone), texts)


def lora(backbone: Path, texts: Sequence[str]) -> Peer:
    """Return `peft` with LoRA of rank 8 in queries and values."""
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import Trainer

    config = LoraConfig(task_type=TaskType.SEQ_CLS, r=8, lora_alpha=8, target_modules=["query", "value"])
    return Peer(get_peft_model(_whole_model(backbone), config), Trainer, _tokenizer(backbone), texts)


def whole(backbone: Path, texts: Sequence[str]) -> Peer:
    """Return the whole model."""
    from transformers import Trainer

    return Peer(_whole_model(backbone), Trainer, _tokenizer(backbone), texts)


def _whole_model(backbone: Path) -> Any:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(str(backbone), num_labels=len(CLASSES))


def _tokenizer(backbone: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(backbone), use_fast=True)

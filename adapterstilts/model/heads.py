"""Output layers by task kind: how one is added, its loss, and its answers.

The modules are the library's own heads, so that what is saved loads in plain ``adapters``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from adapterstilts.data.encoding.columns import IGNORED
from adapterstilts.data.masking import TOLD
from adapterstilts.data.tensors import Batch

# Hidden subwords that are compared with the whole vocabulary at once: 250k scores each.
_TOLD_AT_ONCE = 128


@dataclass(frozen=True)
class HeadKind:
    """What a task kind needs of an output layer.

    Attributes:
        add: ``(model, name, labels)`` puts a fresh head on the model.
        logits: the library's output -> scores; the first axis is sequences.
        loss: ``(logits, batch)`` -> mean loss over the batch, a scalar.
        answers: ``(logits, batch)`` -> one tensor a unit, as `adapterstilts.data.encoding` decodes it.
        counted: batch -> how many items its loss is the mean of.
    """

    add: Callable[[Any, str, Sequence[str]], None]
    logits: Callable[[Any], Tensor]
    loss: Callable[[Tensor, Batch], Tensor]
    answers: Callable[[Tensor, Batch], list[Tensor]]
    counted: Callable[[Batch], int]


def _plain_logits(output: Any) -> Tensor:
    logits: Tensor = output.logits
    return logits


def _by_unit(logits: Tensor, batch: Batch) -> list[Tensor]:
    """Return the scores of each unit's sequences."""
    return list(torch.split(logits.float(), list(batch.sizes)))


def _cut(scores: Tensor, batch: Batch) -> list[Tensor]:
    """Return each sequence's scores without those of its padding."""
    lengths = batch.attention_mask.sum(1).tolist()
    return [own[:length] for own, length in zip(scores, lengths, strict=True)]


def _units(batch: Batch) -> int:
    return len(batch.sizes)


# ---- texts: (sequences, classes); windows of one text are averaged


def _add_classes(model: Any, name: str, labels: Sequence[str]) -> None:
    model.add_classification_head(name, num_labels=len(labels), id2label=dict(enumerate(labels)))


def _add_number(model: Any, name: str, _labels: Sequence[str]) -> None:
    model.add_classification_head(name, num_labels=1)


def _pooled(logits: Tensor, batch: Batch) -> Tensor:
    """Return ``(units, classes)``: the mean over each text's windows."""
    if len(logits) == len(batch.sizes):
        return logits.float()
    return torch.stack([own.mean(0) for own in _by_unit(logits, batch)])


def _class_loss(logits: Tensor, batch: Batch) -> Tensor:
    return _weighted(_pooled(logits, batch), batch.per_unit["label"], batch)


def _weighted(scores: Tensor, labels: Tensor, batch: Batch) -> Tensor:
    """Return the mean over labels of their loss, each times its class's weight.

    Divided by the number of labels, not by their weights as the built-in mean is: in a batch of one class alone that
    would take the weight out again.
    """
    if batch.class_weights is None:
        return F.cross_entropy(scores, labels, ignore_index=IGNORED)
    total = F.cross_entropy(scores, labels, weight=batch.class_weights, ignore_index=IGNORED, reduction="sum")
    return total / (labels != IGNORED).sum()


def _class_answers(logits: Tensor, batch: Batch) -> list[Tensor]:
    return list(_pooled(logits, batch).softmax(-1))


def _set_loss(logits: Tensor, batch: Batch) -> Tensor:
    return F.binary_cross_entropy_with_logits(_pooled(logits, batch), batch.per_unit["label"].float())


def _set_answers(logits: Tensor, batch: Batch) -> list[Tensor]:
    return list(_pooled(logits, batch).sigmoid())


def _number_loss(logits: Tensor, batch: Batch) -> Tensor:
    return F.mse_loss(_pooled(logits, batch)[:, 0], batch.per_unit["label"])


def _number_answers(logits: Tensor, batch: Batch) -> list[Tensor]:
    return list(_pooled(logits, batch)[:, 0])


# ---- choices: (sequences, 1), a sequence an option


def _add_choice(model: Any, name: str, _labels: Sequence[str]) -> None:
    # One choice a row makes the library's head return one score a sequence; it would otherwise reshape any
    # number of options silently to the declared one. Grouping them is `_option_scores`' work.
    model.add_multiple_choice_head(name, num_choices=1)


def _option_scores(logits: Tensor, batch: Batch) -> Tensor:
    """Return ``(units, most options)``: each unit's scores, minus infinity where it has no such option."""
    return torch.nn.utils.rnn.pad_sequence(
        _by_unit(logits.flatten(), batch), batch_first=True, padding_value=float("-inf")
    )


def _choice_loss(logits: Tensor, batch: Batch) -> Tensor:
    return F.cross_entropy(_option_scores(logits, batch), batch.per_unit["label"])


def _choice_answers(logits: Tensor, batch: Batch) -> list[Tensor]:
    return [scores.softmax(-1) for scores in _by_unit(logits.flatten(), batch)]


def _select_loss(logits: Tensor, batch: Batch) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.flatten().float(), batch.per_sequence["label"].float())


def _sequences(batch: Batch) -> int:
    return len(batch.input_ids)


def _select_answers(logits: Tensor, batch: Batch) -> list[Tensor]:
    return [scores.sigmoid() for scores in _by_unit(logits.flatten(), batch)]


# ---- tagging: (sequences, length, tags)


def _add_tags(model: Any, name: str, labels: Sequence[str]) -> None:
    model.add_tagging_head(name, num_labels=len(labels), id2label=dict(enumerate(labels)))


def _tag_loss(logits: Tensor, batch: Batch) -> Tensor:
    return _weighted(logits.float().flatten(0, 1), batch.per_token["label"].flatten(), batch)


def _tagged(batch: Batch) -> int:
    return int((batch.per_token["label"] != IGNORED).sum())


def _tag_answers(logits: Tensor, batch: Batch) -> list[Tensor]:
    return _cut(logits.argmax(-1), batch)


# ---- span_qa: (sequences, length, 2)


def _add_spans(model: Any, name: str, _labels: Sequence[str]) -> None:
    model.add_qa_head(name, num_labels=2)


def _span_logits(output: Any) -> Tensor:
    return torch.stack([output.start_logits, output.end_logits], dim=-1)


def _span_loss(logits: Tensor, batch: Batch) -> Tensor:
    # Padding may not take part, or the loss would depend on a batch's longest window.
    scores = logits.float().masked_fill((batch.attention_mask == 0)[..., None], float("-inf"))
    starts = F.cross_entropy(scores[..., 0], batch.per_unit["start"])
    return (starts + F.cross_entropy(scores[..., 1], batch.per_unit["end"])) / 2


def _span_answers(logits: Tensor, batch: Batch) -> list[Tensor]:
    return _cut(logits.float(), batch)


# ---- masked language modelling


def add_masked_head(model: Any, name: str) -> None:
    """Put a fresh language modelling head on the model, its output weights tied to the word embeddings."""
    model.add_masked_lm_head(name)
    model.heads[name].get_output_embeddings().weight = model.get_input_embeddings().weight


def told(batch: Batch) -> int:
    """Return how many hidden subwords a masked batch has to tell."""
    return int((batch.per_token[TOLD] != IGNORED).sum())


def masked_loss(head: Any, states: Tensor, answers: Tensor) -> Tensor:
    """Return the mean loss of telling hidden subwords, 0 where there are none.

    The scores over the vocabulary are made block by block, and made again for the gradient: all at once they would
    need gigabytes.

    Args:
        head: from `add_masked_head`.
        states: ``(told, hidden)``, the encoder's states at the hidden subwords.
        answers: ``(told,)``, what was there.
    """

    def total(part: Tensor, right: Tensor) -> Tensor:
        return F.cross_entropy(head[len(head) - 1](part).float(), right, reduction="sum")

    if not len(answers):
        # A batch of unknown subwords alone has nothing to tell; the mean of nothing would not be a number.
        return states.sum() * 0.0
    for place in range(len(head) - 1):
        states = head[place](states)
    blocks = zip(torch.split(states, _TOLD_AT_ONCE), torch.split(answers, _TOLD_AT_ONCE), strict=True)
    losses = [checkpoint(total, part, right, use_reentrant=False) for part, right in blocks]
    return torch.stack(losses).sum() / len(answers)


HEADS: Mapping[str, HeadKind] = {
    "classification": HeadKind(_add_classes, _plain_logits, _class_loss, _class_answers, _units),
    "multilabel": HeadKind(_add_classes, _plain_logits, _set_loss, _set_answers, _units),
    "regression": HeadKind(_add_number, _plain_logits, _number_loss, _number_answers, _units),
    "multiple_choice": HeadKind(_add_choice, _plain_logits, _choice_loss, _choice_answers, _units),
    "multi_select": HeadKind(_add_choice, _plain_logits, _select_loss, _select_answers, _sequences),
    "tagging": HeadKind(_add_tags, _plain_logits, _tag_loss, _tag_answers, _tagged),
    "span_qa": HeadKind(_add_spans, _span_logits, _span_loss, _span_answers, _units),
}
MASKED = "mlm"

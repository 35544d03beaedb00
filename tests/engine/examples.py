"""Batches of every shape, and what stands on a backbone, computed by the library and by the engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from handmade import encoded
from torch import Tensor

from adapterstilts.data.tensors import Batch, collate
from adapterstilts.engine.assembly import EngineAssembly
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.model.assembly import Assembly, Blueprint, HeadSpec, assembled, unfreeze
from adapterstilts.model.backbone import Backbone, load_backbone
from adapterstilts.specs import AdapterSpec, BackboneSpec, Precision

CPU = torch.device("cpu")
CLASSES = HeadSpec("classification", ("north", "south", "west"))
# Ids of the tiny world's words; the specials are 0 to 3.
WORDS = range(4, 100)
_ROUNDING = 1e-6


def load(folder: Path) -> Backbone:
    """Return a backbone as it is loaded for a stage."""
    backbone = load_backbone(BackboneSpec("files:tiny", None), folder, CPU, offline=True)
    backbone.model.requires_grad_(False)
    return backbone


def sequence(length: int, seed: int) -> list[int]:
    """Return a text of so many subwords, its two specials included."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(WORDS.start, WORDS.stop, (length - 2,), generator=generator)
    return [0, *words.tolist(), 2]


def batch_of(lengths: Sequence[int], classes: int = 3) -> Batch:
    """Return a batch of texts with these lengths, labelled in turn."""
    units = [[sequence(length, place)] for place, length in enumerate(lengths)]
    labels = list(itertools.islice(itertools.cycle(range(classes)), len(units)))
    return collate(encoded(units, labels), range(len(units)), CPU)


# ---- what stands on the backbone


def scramble(parameters: Mapping[str, Tensor], seed: int, size: float = 0.2) -> None:
    """Move all weights away from what they start as; fresh up-projections are nearly zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator).to(parameter.device))


def save_adapter(backbone: Backbone, folder: Path, adapter: AdapterSpec, seed: int) -> Path:
    """Save an adapter that does something; return its folder."""
    with assembled(backbone, Blueprint("self", adapter=adapter, heads=(CLASSES,), seed=seed)) as assembly:
        scramble(unfreeze(assembly, full=False), seed, size=0.1)
        assembly.save(folder)
    return folder / "adapter"


@dataclass
class Pair:
    """The same weights twice: computed by the library and by the engine.

    Attributes:
        library: the reference.
        engine: what is tested.
        parameters: what trains.
    """

    library: Assembly
    engine: EngineAssembly
    parameters: dict[str, Any]

    def gradients(self, assembly: Assembly, batch: Batch, task: int = 0) -> tuple[float, dict[str, Tensor]]:
        """Return the loss and each parameter's gradient, the regulariser's part included."""
        for parameter in self.parameters.values():
            parameter.grad = None
        loss = assembly.loss(batch, task, seed=3)
        extra = assembly.regulariser()
        (loss if extra is None else loss + extra).backward()
        found = {name: p.grad.clone() for name, p in self.parameters.items() if p.grad is not None}
        for parameter in self.parameters.values():
            parameter.grad = None
        return float(loss.detach()), found


@contextmanager
def paired(
    backbone: Backbone,
    blueprint: Blueprint,
    precision: Precision = "fp32",
    encoder: FrozenEncoder | None = None,
) -> Iterator[Pair]:
    """Put a blueprint on the backbone, its parts trainable and moved away from their start, without any dropout."""
    with assembled(backbone, blueprint) as assembly:
        parameters = unfreeze(assembly, full=False) if blueprint.heads else {}
        # Little, or a fusion's softmax is so sure of itself that its gradients are rounding in the library, too.
        scramble(parameters, 11, size=0.05)
        assembly.model.eval()
        yield Pair(
            assembly,
            EngineAssembly.of(assembly, encoder or FrozenEncoder(backbone.model, precision)),
            parameters,
        )


def assert_same_gradients(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], share: float = 1e-4
) -> None:
    """Check each gradient against the library's, relative to its size."""
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        size, off = float(expected.norm()), float((ours[name] - expected).norm())
        # What moves all that a softmax compares alike (a key's bias, a choice's) has no gradient but rounding.
        assert off <= (share * size if size > _ROUNDING else 2 * _ROUNDING), (name, off, size)


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference of two tensors of one shape."""
    assert ours.shape == theirs.shape
    return float((ours.detach().float() - theirs.detach().float()).abs().max())

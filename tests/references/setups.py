"""Every method, every composition, and saved adapters that do something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from handmade import encoded
from tiny import CONFIG
from torch import Tensor

from adapterstilts.data.tensors import Batch, collate
from adapterstilts.methods import METHODS, UNSIZED
from adapterstilts.model.assembly import Assembly, Blueprint, HeadSpec, assembled, unfreeze
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import AdapterSpec

LAYERS = range(CONFIG["num_hidden_layers"])
CPU = torch.device("cpu")
HEAD = HeadSpec("classification", ("north", "south", "west"))
SEQUENCES = ((0, 8, 20, 30, 2), (0, 9, 2), (0, 14, 40, 41, 42, 43, 15, 2))
BATCH = collate(encoded([[ids] for ids in SEQUENCES], labels=range(3)), range(3), CPU)

# Every method, small; a second form where options change what is computed.
SPECS: Mapping[str, AdapterSpec] = {
    "seq_bn": AdapterSpec("seq_bn", 4),
    "double_seq_bn": AdapterSpec("double_seq_bn", 4),
    "compacter": AdapterSpec("compacter", 4),
    "par_bn": AdapterSpec("par_bn", 4),
    "lora": AdapterSpec("lora", UNSIZED),
    "ia3": AdapterSpec("ia3", UNSIZED),
    "prefix_tuning": AdapterSpec(
        "prefix_tuning", UNSIZED, options={"prefix_length": 3, "bottleneck_size": 8}
    ),
    "mam": AdapterSpec("mam", 4, options={"prefix_length": 3, "bottleneck_size": 8}),
}
OTHER_FORMS: Mapping[str, AdapterSpec] = {
    "seq_bn": AdapterSpec("seq_bn", 8, 1, {"non_linearity": "tanh"}),
    "double_seq_bn": AdapterSpec("double_seq_bn", 2, 1, {"non_linearity": "gelu"}),
    "compacter": AdapterSpec("compacter", 2, 1, {"phm_dim": 2, "phm_rank": 3}),
    "par_bn": AdapterSpec("par_bn", 8, 1, {"scaling": "learned"}),
    "lora": AdapterSpec(
        "lora",
        UNSIZED,
        1,
        {"r": 3, "alpha": 7, "attn_matrices": ["k"], "intermediate_lora": True, "output_lora": True},
    ),
    "ia3": AdapterSpec("ia3", UNSIZED, 1),
    "prefix_tuning": AdapterSpec("prefix_tuning", UNSIZED, 1, {"prefix_length": 2, "flat": True}),
    "mam": AdapterSpec("mam", 8, 1, {"prefix_length": 2, "bottleneck_size": 4, "scaling": 2}),
}
assert set(SPECS) == set(OTHER_FORMS) == set(METHODS)

COMPOSITIONS = (
    "self",
    "x0",
    "stack(x0, self)",
    "stack(x0, x1, self)",
    "parallel(x0, x1)",
    "stack(parallel(x0, x1), self)",
    "stack(x0, parallel(x1, x2), self)",
    "parallel(stack(x0, x1), x2)",
    "stack(parallel(stack(x0, x1), x2), self)",
    "fuse(x0, x1)",
    "fuse(x0, x1, x2)",
    "stack(fuse(x0, x1), self)",
    "stack(x0, fuse(x1, x2), self)",
    "fuse(stack(x0, x1), stack(x0, x2))",
    "fuse(stack(x0, x1), x2)",
    "stack(fuse(stack(x0, x1), stack(x0, x2)), self)",
)


def refused(method: str, composition: str) -> bool:
    """Whether the table refuses a cell, said once more in short."""
    fused = "fuse" in composition and method in ("lora", "ia3", "prefix_tuning", "mam")
    return fused or ("parallel" in composition and method in ("prefix_tuning", "mam"))


CELLS = tuple((method, text) for method in SPECS for text in COMPOSITIONS)
ALLOWED = tuple(cell for cell in CELLS if not refused(*cell))
# What holds of their parts nearly holds of these; without a slow tier they are tried with one method.
_DEEP = (
    "x0",
    "stack(x0, x1, self)",
    "stack(x0, parallel(x1, x2), self)",
    "stack(parallel(stack(x0, x1), x2), self)",
    "fuse(x0, x1, x2)",
    "fuse(stack(x0, x1), x2)",
    "stack(fuse(stack(x0, x1), stack(x0, x2)), self)",
)
VERIFIED = tuple(
    pytest.param(*cell, marks=[pytest.mark.slow] if cell[1] in _DEEP and cell[0] != "seq_bn" else [])
    for cell in ALLOWED
)


def scramble(parameters: Mapping[str, Tensor], seed: int) -> None:
    """Move all weights away from what they start as; fresh up-projections are nearly zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def write_inputs(backbone: Backbone, spec: AdapterSpec, folder: Path) -> dict[str, Path]:
    """Write three adapters that do something; return position -> folder."""
    for i in range(3):
        with assembled(backbone, Blueprint("self", adapter=spec, seed=i)) as assembly:
            scramble(unfreeze(assembly, full=False), i)
            assembly.save(folder / f"x{i}")
    return {f"x{i}": folder / f"x{i}" / "adapter" for i in range(3)}


def blueprint_of(
    composition: str, inputs: Mapping[str, Path], spec: AdapterSpec, **changes: Any
) -> Blueprint:
    used = {position: folder for position, folder in inputs.items() if position in composition}
    adapter = spec if "self" in composition else None
    return replace(Blueprint(composition, used, adapter=adapter, heads=(HEAD,)), **changes)


def logits(assembly: Assembly, batch: Batch = BATCH) -> Tensor:
    with torch.inference_mode():
        return assembly.logits(batch).clone()


def states(assembly: Assembly, batch: Batch = BATCH) -> list[Tensor]:
    """Return all hidden states of real tokens."""
    with torch.inference_mode():
        return [
            assembly.hidden(batch, layer)[batch.attention_mask.bool()].clone()
            for layer in range(len(LAYERS) + 1)
        ]


def made(backbone: Backbone, blueprint: Blueprint, folder: Path) -> Tensor:
    """Assemble, scramble what trains, save it, and return the logits."""
    with assembled(backbone, blueprint) as assembly:
        scramble(unfreeze(assembly, full=False), 77)
        # As an evaluation has it: torch picks another matrix product for weights that train.
        assembly.model.eval().requires_grad_(False)
        assembly.save(folder)
        return logits(assembly)


def answer_again(backbone_folder: str, blueprints: Mapping[str, Blueprint], answers: str) -> None:
    """Load saved models and write their logits by name, for use in a child."""
    from safetensors.torch import save_file

    from adapterstilts.model.backbone import load_backbone
    from adapterstilts.specs import BackboneSpec

    backbone = load_backbone(BackboneSpec("files:tiny", None), Path(backbone_folder), CPU, offline=True)
    found = {}
    for name, blueprint in blueprints.items():
        with assembled(backbone, blueprint) as assembly:
            found[name] = logits(assembly)
    save_file(found, answers)

"""Training on a device: what stands where, what is learned, what stays as it was; the same on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toys import head_of, toy

from adapterstilts.data.tensors import Batch, collate
from adapterstilts.engine.assembly import EngineAssembly
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.model.assembly import Assembly, Blueprint, assembled, unfreeze, without_backbone_dropout
from adapterstilts.model.backbone import Backbone, load_backbone
from adapterstilts.specs import AdapterSpec, BackboneSpec, Numerics, Precision, TrainingSpec
from adapterstilts.stages.peak import PeakMemory
from adapterstilts.training.loop import autocast, make_optimiser

ADAPTER = AdapterSpec("seq_bn", 4)
HEAD = head_of("classification")
TRAINING = TrainingSpec(60, None, 4096, 16, 5e-3, 0.0, 0.0, 1.0, False)
GPU = pytest.mark.gpu
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]
# In 4 bits a CPU does not train.
WAYS = [
    ("cpu", "none", "fp32"),
    ("cpu", "none", "bf16"),
    ("cpu", "8bit", "fp32"),
    *(
        pytest.param("cuda", quantize, precision, marks=GPU)
        for quantize in ("none", "8bit", "4bit")
        for precision in ("fp32", "bf16")
    ),
]


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device that a test asks for, if there is one."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device is visible")
    return torch.device(request.param)


def load(folder: Path, device: torch.device, quantize: str = "none") -> Backbone:
    if quantize != "none":
        pytest.importorskip("bitsandbytes", reason="the extra `quantize` is not installed")
    backbone = load_backbone(BackboneSpec("files:tiny", None, quantize), folder, device, offline=True)
    backbone.model.requires_grad_(False)
    return backbone


def batch_on(device: torch.device) -> Batch:
    return collate(toy("classification"), range(24), device)


def bits(backbone: Backbone) -> Mapping[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in backbone.model.named_parameters()}


def train(assembly: Assembly, precision: Precision, steps: int = 60) -> list[float]:
    """Train as the loop does; return the losses."""
    device = assembly.backbone.device
    parameters = unfreeze(assembly, full=False)
    optimiser = make_optimiser(parameters, TRAINING)
    work = assembly
    losses = []
    with without_backbone_dropout(assembly):
        if not getattr(assembly.model, "is_quantized", False):
            work = EngineAssembly.of(assembly, FrozenEncoder(assembly.model, precision))
        for _ in range(steps):
            optimiser.zero_grad()
            with autocast(device, Numerics("any", precision)):
                loss = work.loss(batch_on(device))
            extra = work.regulariser()
            (loss if extra is None else loss + extra).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
    assert {parameter.device.type for parameter in parameters.values()} == {device.type}
    assert {parameter.dtype for parameter in parameters.values()} == {torch.float32}
    assembly.model.eval()
    return losses


def answers(backbone: Backbone, blueprint: Blueprint) -> Tensor:
    with assembled(backbone, blueprint) as assembly, torch.no_grad():
        return assembly.logits(batch_on(backbone.device)).float().cpu()


@pytest.mark.parametrize(("device", "quantize", "precision"), WAYS, indirect=["device"])
def test_an_adapter_learns_and_loads_on_a_cpu(
    backbone_folder: Path, tmp_path: Path, device: torch.device, quantize: str, precision: Precision
) -> None:
    backbone = load(backbone_folder, device, quantize)
    before = bits(backbone)
    with assembled(backbone, Blueprint("self", adapter=ADAPTER, heads=(HEAD,))) as assembly:
        losses = train(assembly, precision)
        assembly.save(tmp_path)
    assert min(losses) < 0.7 * losses[0]
    after = bits(backbone)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    saved = Blueprint("self", trained=tmp_path, heads=(HEAD,))
    here, there = answers(backbone, saved), answers(load(backbone_folder, torch.device("cpu")), saved)
    assert (here.argmax(-1) == there.argmax(-1)).float().mean() > 0.9


@pytest.mark.parametrize(("device", "quantize", "precision"), WAYS, indirect=["device"])
def test_a_fusion_learns(
    backbone_folder: Path, tmp_path: Path, device: torch.device, quantize: str, precision: Precision
) -> None:
    backbone = load(backbone_folder, device, quantize)
    inputs = {}
    for seed, name in enumerate(("x0", "x1")):
        with assembled(backbone, Blueprint("self", adapter=ADAPTER, heads=(HEAD,), seed=seed)) as assembly:
            train(assembly, precision, 3)
            assembly.save(tmp_path / name)
        inputs[name] = tmp_path / name / "adapter"
    with assembled(backbone, Blueprint("fuse(x0, x1)", inputs, heads=(HEAD,))) as assembly:
        losses = train(assembly, precision)
    assert min(losses) < 0.85 * losses[0]


@pytest.mark.parametrize("device", DEVICES, indirect=True)
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.05)])
def test_the_engine_computes_what_the_library_does(
    backbone_folder: Path, device: torch.device, precision: Precision, tolerance: float
) -> None:
    backbone = load(backbone_folder, device)
    found = {}
    with assembled(backbone, Blueprint("self", adapter=ADAPTER, heads=(HEAD,))) as assembly:
        parameters = unfreeze(assembly, full=False)
        assembly.model.eval()
        with without_backbone_dropout(assembly):
            engine = EngineAssembly.of(assembly, FrozenEncoder(assembly.model, precision))
            for name, work in (("library", assembly), ("engine", engine)):
                assembly.model.zero_grad()
                with autocast(device, Numerics("any", precision)):
                    loss = work.loss(batch_on(device))
                loss.backward()  # type: ignore[no-untyped-call]
                gradients = [p.grad.flatten() for p in parameters.values() if p.grad is not None]
                found[name] = (float(loss.detach()), torch.cat(gradients).cpu())
    assert found["engine"][0] == pytest.approx(found["library"][0], rel=tolerance)
    difference = (found["engine"][1] - found["library"][1]).norm()
    assert difference <= tolerance * found["library"][1].norm()


@GPU
@pytest.mark.parametrize("device", ["cuda"], indirect=True)
def test_the_device_tells_its_peak(device: torch.device) -> None:
    memory = PeakMemory(device)
    before = memory.bytes
    taken = torch.ones(32 << 20, device=device)
    memory.sample()
    del taken
    assert memory.bytes - before > 64 << 20

"""Backbones in 8 bits: what is quantised, what trains on them, what is refused, and what may not be fetched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
import torch
from conftest import state_of
from torch import Tensor, nn
from toys import head_of, toy

from adapterstilts.data.tensors import Batch, collate
from adapterstilts.errors import EnvironmentFault
from adapterstilts.machine import quantization_fault
from adapterstilts.model import quantized
from adapterstilts.model.assembly import Assembly, Blueprint, assembled, unfreeze, without_backbone_dropout
from adapterstilts.model.backbone import Backbone, load_backbone
from adapterstilts.model.faults import AssemblyError
from adapterstilts.specs import AdapterSpec, BackboneSpec

pytest.importorskip("bitsandbytes", reason="the extra `quantize` is not installed")

CPU = torch.device("cpu")
HEAD = head_of("classification")
EXAMPLES = toy("classification")


@pytest.fixture(scope="module")
def plain(backbone_folder: Path) -> Backbone:
    return load_backbone(BackboneSpec("files:tiny", None), backbone_folder, CPU, offline=True)


@pytest.fixture(scope="module")
def loaded(backbone_folder: Path) -> Backbone:
    return load_backbone(BackboneSpec("files:tiny", None, "8bit"), backbone_folder, CPU, offline=True)


@pytest.fixture
def backbone(loaded: Backbone) -> Iterator[Backbone]:
    """The quantised backbone; fails the test that leaves anything on it, or changes a bit of it."""
    loaded.model.requires_grad_(False)
    before = state_of(loaded)
    yield loaded
    assert state_of(loaded) == before


def batch() -> Batch:
    return collate(EXAMPLES, range(24), CPU)


def train(assembly: Assembly, steps: int = 60, *, bf16: bool = False) -> list[float]:
    parameters = unfreeze(assembly, full=False)
    optimiser = torch.optim.AdamW(parameters.values(), lr=5e-3)
    losses = []
    with without_backbone_dropout(assembly):
        for _ in range(steps):
            optimiser.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                loss = assembly.loss(batch())
            extra = assembly.regulariser()
            (loss if extra is None else loss + extra).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
    assembly.model.eval()
    return losses


def logits(assembly: Assembly) -> Tensor:
    with torch.no_grad():
        return assembly.logits(batch())


# ---- what is quantised


def test_the_layers_matrices_are_in_8_bits_and_nothing_else(loaded: Backbone) -> None:
    kinds = {name: parameter.dtype for name, parameter in loaded.model.named_parameters()}
    eight = {name for name, dtype in kinds.items() if dtype == torch.int8}
    assert len(eight) == 3 * 6
    assert all(".encoder.layer." in name and name.endswith(".weight") for name in eight)
    assert {dtype for name, dtype in kinds.items() if name not in eight} == {torch.float32}


def test_it_answers_nearly_as_it_does_unquantised(loaded: Backbone, plain: Backbone) -> None:
    states = []
    for one in (loaded, plain):
        with assembled(one, Blueprint("stack()")) as assembly, torch.no_grad():
            states.append(assembly.hidden(batch(), 3).flatten())
    assert 0.99 < float(torch.cosine_similarity(*states, dim=0)) < 1 - 1e-7


def test_a_quantised_checkpoint_is_refused(backbone_folder: Path, tmp_path: Path) -> None:
    changed = tiny.write_backbone(tmp_path / "model", quantization_config={"load_in_8bit": True})
    with pytest.raises(EnvironmentFault, match="quantised already"):
        load_backbone(BackboneSpec("files:changed", None), changed, CPU, offline=True)


# ---- what trains


@pytest.mark.parametrize("config", ["seq_bn", "double_seq_bn", "par_bn", "compacter", "prefix_tuning", "mam"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_adapters_train_on_it(backbone: Backbone, config: str, precision: str) -> None:
    spec = AdapterSpec(config, 1 if config == "prefix_tuning" else 4)
    blueprint = Blueprint("self", adapter=spec, heads=(HEAD,))
    with assembled(backbone, blueprint) as assembly:
        losses = train(assembly, bf16=precision == "bf16")
        trained = [p for n, p in assembly.model.named_parameters() if "trained" in n and "heads" not in n]
        assert {parameter.dtype for parameter in trained} == {torch.float32}
        assert any(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in trained)
    assert min(losses) < 0.85 * losses[0]


def test_a_stack_and_a_fusion_train_on_it(backbone: Backbone, tmp_path: Path) -> None:
    for name in ("x0", "x1"):
        blueprint = Blueprint("self", adapter=AdapterSpec("seq_bn", 4), heads=(HEAD,), seed=int(name[1]))
        with assembled(backbone, blueprint) as assembly:
            train(assembly, 3)
            assembly.save(tmp_path / name)
    inputs = {name: tmp_path / name / "adapter" for name in ("x0", "x1")}
    for composition in ("stack(x0, self)", "stack(fuse(x0, x1), self)"):
        used = {name: path for name, path in inputs.items() if name in composition}
        blueprint = Blueprint(composition, used, adapter=AdapterSpec("seq_bn", 4), heads=(HEAD,))
        with assembled(backbone, blueprint) as assembly:
            losses = train(assembly)
        assert min(losses) < 0.85 * losses[0]


def test_what_was_trained_on_it_stands_on_the_unquantised_backbone(
    backbone: Backbone, plain: Backbone, tmp_path: Path
) -> None:
    with assembled(backbone, Blueprint("self", adapter=AdapterSpec("seq_bn", 4), heads=(HEAD,))) as assembly:
        train(assembly)
        assembly.save(tmp_path)
        here = logits(assembly)
    saved = Blueprint("self", trained=tmp_path, heads=(HEAD,))
    with assembled(backbone, saved) as assembly:
        assert torch.equal(logits(assembly), here)
    with assembled(plain, saved) as assembly:
        there = logits(assembly)
    assert (here.argmax(-1) == there.argmax(-1)).float().mean() > 0.9
    assert float(torch.cosine_similarity(here.flatten(), there.flatten(), dim=0)) > 0.99


# ---- what is refused


@pytest.mark.parametrize("config", ["lora", "ia3"])
def test_what_would_train_nothing_is_refused(backbone: Backbone, config: str) -> None:
    blueprint = Blueprint("self", adapter=AdapterSpec(config, 1), heads=(HEAD,))
    with (
        pytest.raises(AssemblyError, match=f"{config} changes matrix products"),
        assembled(backbone, blueprint),
    ):
        pass


def test_four_bits_on_a_cpu_are_refused_with_the_reason(backbone_folder: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"back to training.*use 8bit"):
        load_backbone(BackboneSpec("files:tiny", None, "4bit"), backbone_folder, CPU, offline=True)
    assert quantization_fault("4bit", "cuda") is None


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapterstilts.machine.QUANTIZING", ("no_such_package",))
    fault = quantization_fault("8bit", "cpu")
    assert fault is not None
    assert fault.what == "no_such_package is missing"
    assert fault.remedy == "pip install 'adapterstilts[quantize]'"
    assert quantization_fault("none", "cpu") is None


def test_no_code_is_fetched_from_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """While bitsandbytes is imported `kernels` cannot be, and afterwards it can again."""
    seen: list[object] = []
    monkeypatch.setattr(
        quantized.importlib, "import_module", lambda name: seen.append(sys.modules["kernels"])
    )
    monkeypatch.delitem(sys.modules, "kernels", raising=False)
    quantized.import_bitsandbytes()
    assert seen == [None]
    assert "kernels" not in sys.modules
    kernels = type(sys)("kernels")
    monkeypatch.setitem(sys.modules, "kernels", kernels)
    quantized.import_bitsandbytes()
    assert seen == [None, None]
    assert sys.modules["kernels"] is kernels


# ---- moving


def test_only_what_is_new_is_moved() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].to("meta")
    before = model[1].weight
    quantized.settle(model, torch.device("meta"))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert model[1].weight is before

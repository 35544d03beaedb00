"""The plan's estimate of memory: what layers keep against what they do keep, and how it follows the settings."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from adapterstilts.backbones import DEFAULT_MODEL, KNOWN, Sizes, sizes_of
from adapterstilts.data.tensors import Batch
from adapterstilts.engine.assembly import EngineAssembly
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.model.assembly import (
    Assembly,
    Blueprint,
    HeadSpec,
    assembled,
    unfreeze,
    without_backbone_dropout,
)
from adapterstilts.model.backbone import load_backbone
from adapterstilts.paths import ENGINE, LIBRARY
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.memory import Memory, memory_of
from adapterstilts.specs import (
    INIT,
    MODEL,
    AdapterSpec,
    BackboneSpec,
    Evaluate,
    FullFinetune,
    Numerics,
    Precision,
    TaskData,
    TrainAdapter,
    TrainFusion,
    TrainingSpec,
)

LARGE = KNOWN[DEFAULT_MODEL].sizes
ADAPTER = AdapterSpec("seq_bn", 16)
INPUT = {"kind": "train_adapter", "adapter": {"config": "seq_bn", "reduction_factor": 16, "skip_layers": 0}}
LABELS = ("north", "south", "west")
TEXTS, LENGTH = 16, 32


def stage(
    kind: str = "adapter",
    *,
    composition: str = "self",
    path: str = ENGINE,
    precision: Precision = "fp32",
    adapter: AdapterSpec = ADAPTER,
    quantize: str = "none",
    task: str = "classification",
    tokens: int = TEXTS * LENGTH,
    length: int = LENGTH,
    dropout: bool = False,
    inputs: dict[str, str] | None = None,
    **more: Any,
) -> Stage:
    training = TrainingSpec(1, None, tokens, length, 1e-4, 0.1, 0.01, 1.0, dropout, **more)
    common: dict[str, Any] = {
        "backbone": BackboneSpec("files:tiny", None, quantize),
        "data": (TaskData(task, LABELS, {}, ()),),
        "training": training,
        "numerics": Numerics(path, precision),
        "seed": 0,
        "role": "target",
    }
    spec: Any
    if kind == "adapter":
        spec = TrainAdapter(composition=composition, adapter=adapter, **common)
    elif kind == "fusion":
        spec = TrainFusion(composition=composition, **common)
    else:
        spec = FullFinetune(**common)
    return Stage(kind, spec, inputs or {name: name for name in ("x0", "x1") if name in composition}, "key")


def scored(inputs: dict[str, str], path: str = LIBRARY) -> Stage:
    data = TaskData("classification", LABELS, {}, ())
    numerics = Numerics(path, "fp32")
    spec = Evaluate(BackboneSpec("x", None), MODEL, data, "en", ("accuracy",), numerics, 4096, 128)
    return Stage("evaluate", spec, inputs, "key")


def of(one: Stage, sizes: Sizes = LARGE, device: str = "cuda", made: Any = INPUT, **more: Any) -> Memory:
    found = memory_of(one, lambda key: made, sizes, device, **more)
    assert found is not None
    return found


# ---- what the layers keep


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone that is wide enough for its adapters to be small beside it."""
    sizes = {"hidden_size": 64, "num_hidden_layers": 4, "intermediate_size": 256}
    return tiny.write_backbone(tmp_path_factory.mktemp("memory") / "model", **sizes)


def kept(folder: Path, one: Stage, blueprint: Blueprint, *, full: bool, length: int) -> int:
    """Return the bytes that a loss keeps for its gradient, beside the weights."""
    spec: Any = one.spec
    backbone = load_backbone(spec.backbone, folder, torch.device("cpu"), offline=True)
    ids = torch.randint(5, 100, (TEXTS * LENGTH // length, length))
    batch = Batch(
        ids,
        torch.ones_like(ids),
        (1,) * len(ids),
        ("",) * len(ids),
        per_unit={"label": torch.zeros(len(ids), dtype=torch.long)},
        per_token={"label": torch.zeros_like(ids)},
    )
    seen: dict[int, torch.Tensor] = {}
    weights = {tuple(p.shape) for p in backbone.model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        # Weights that are rounded or laid out anew have the shape of the weight, or of its transpose.
        shape = tuple(tensor.shape)
        if shape not in weights and shape[::-1] not in weights:
            seen[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with assembled(backbone, blueprint) as plain:
        unfreeze(plain, full=full)
        assembly: Assembly = plain
        with nullcontext() if spec.training.backbone_dropout else without_backbone_dropout(plain):
            if one.path == ENGINE:
                assembly = EngineAssembly.of(plain, FrozenEncoder(backbone.model, spec.numerics.precision))
            bf16 = spec.numerics.precision == "bf16"
            with (
                torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
                torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16),
            ):
                assembly.loss(batch)
    return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())


@pytest.mark.parametrize("path", [ENGINE, LIBRARY])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("composition", ["self", "stack(x0, self)", "fuse(x0, x1)"])
def test_what_layers_keep_is_what_is_counted(
    folder: Path, tmp_path: Path, path: str, precision: Precision, composition: str
) -> None:
    kind = "fusion" if "fuse" in composition else "adapter"
    check(folder, tmp_path, stage(kind, composition=composition, path=path, precision=precision))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("adapter", {"task": "tagging"}),
        ("adapter", {"length": 128}),
        ("adapter", {"adapter": AdapterSpec("seq_bn", 16, skip_layers=1)}),
        ("adapter", {"path": LIBRARY, "adapter": AdapterSpec("double_seq_bn", 16)}),
        ("adapter", {"path": LIBRARY, "adapter": AdapterSpec("compacter", 16)}),
        ("full", {"path": LIBRARY}),
        ("full", {"path": LIBRARY, "precision": "bf16"}),
        ("full", {"path": LIBRARY, "dropout": True}),
        ("full", {"path": LIBRARY, "dropout": True, "precision": "bf16"}),
    ],
)
def test_so_it_is_for_other_settings(
    folder: Path, tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    check(folder, tmp_path, stage(kind, **settings))


def check(folder: Path, tmp_path: Path, one: Stage) -> None:
    spec: Any = one.spec
    full, heads = one.spec.kind == "full_finetune", (HeadSpec(spec.data[0].kind, LABELS),)
    composition = getattr(spec, "composition", "stack()")
    backbone = load_backbone(BackboneSpec("files:tiny", None), folder, torch.device("cpu"), offline=True)
    inputs = {}
    for name in one.inputs:
        with assembled(backbone, Blueprint("self", adapter=ADAPTER, heads=heads)) as assembly:
            assembly.save(tmp_path / name)
        inputs[name] = tmp_path / name / "adapter"
    blueprint = Blueprint(composition, inputs, adapter=getattr(spec, "adapter", None), heads=heads)
    expected = of(one, sizes=sizes_of("files:tiny", folder) or LARGE, device="cpu").kept
    found = kept(folder, one, blueprint, full=full, length=spec.training.max_length)
    assert expected == pytest.approx(found, rel=0.12)


# ---- how it follows the settings


def test_large_on_a_gpu_takes_what_its_parts_do() -> None:
    adapter, whole = (
        of(stage(tokens=4096, length=128)),
        of(stage("full", path=LIBRARY, tokens=4096, length=128)),
    )
    parameters = LARGE.matrices + LARGE.others
    assert parameters == pytest.approx(KNOWN[DEFAULT_MODEL].parameters, rel=0.003)
    # Held once, laid out for products, and for all but one layer's gradients.
    assert adapter.weights == pytest.approx(4 * (parameters + 2 * LARGE.matrices), rel=0.02)
    assert adapter.state < 0.1e9
    # The pretrained weights, those that train, their gradients and two moments.
    assert whole.weights + whole.state == pytest.approx(20 * parameters, rel=0.01)
    assert adapter.process == adapter.loading == 0
    assert adapter.host > 4 * parameters


def test_memory_follows_every_setting() -> None:
    plain = of(stage(tokens=4096, length=128))
    smaller = {
        "bf16": of(stage(tokens=4096, length=128, precision="bf16")),
        "fewer subwords": of(stage(tokens=1024, length=128)),
        "checkpointing": of(stage(tokens=4096, length=128), checkpointing=True),
        "skip_layers": of(stage(tokens=4096, length=128, adapter=replace(ADAPTER, skip_layers=12))),
    }
    assert all(one.peak < 0.9 * plain.peak for one in smaller.values())
    library = of(stage(tokens=4096, length=128, path=LIBRARY))
    eight, four = (
        of(stage(tokens=4096, length=128, path=LIBRARY, quantize=bits)) for bits in ("8bit", "4bit")
    )
    assert four.weights < eight.weights < 0.7 * library.weights
    assert of(stage(tokens=4096, length=512, path=LIBRARY)).kept > 1.3 * library.kept
    steered = of(stage(tokens=4096, length=128, evaluations=2), device="cpu")
    assert steered.state > of(stage(tokens=4096, length=128), device="cpu").state


def test_hidden_words_are_told_over_the_whole_vocabulary() -> None:
    masked, plain = (of(stage(tokens=4096, length=128, task=task)) for task in ("mlm", "tagging"))
    assert masked.work - plain.work == 128 * LARGE.vocabulary * 16


def test_what_is_read_counts_by_what_made_it() -> None:
    adapter, whole = {"kind": "train_adapter"}, {"kind": "full_finetune"}
    frozen, full = (of(scored({MODEL: "m"}), made=made, device="cpu") for made in (adapter, whole))
    assert full.weights == pytest.approx(2 * frozen.weights, rel=0.01)
    assert full.loading - full.weights > frozen.loading - frozen.weights
    longer = stage("full", path=LIBRARY, inputs={INIT: "m"})
    longer = replace(longer, spec=replace(longer.spec, continues=True))
    assert of(longer).host > of(stage("full", path=LIBRARY)).host


def test_gaps_between_blocks_grow_until_every_size_has_been_seen() -> None:
    one, two, many, unknown = (of(stage(), device="cpu", batches=n).gaps for n in (1, 2, 1000, None))
    assert 0 < one < two < many == unknown
    assert of(stage(), device="cuda").gaps == 0
    made = {"kind": "train_adapter"}
    first, last = (of(scored({MODEL: "m"}), made=made, device="cpu", batches=n) for n in (1, 1000))
    assert 0 < first.gaps < last.gaps


def test_what_is_not_known_is_not_guessed() -> None:
    assert memory_of(stage(), lambda key: INPUT, None, "cpu") is None
    assert sizes_of("someone/else", None) is None


def test_sizes_come_from_a_local_configuration(folder: Path, tmp_path: Path) -> None:
    assert sizes_of("files:x", folder) == Sizes(4, 64, 4, 256, tiny.CONFIG["vocab_size"], 130)
    (tmp_path / "config.json").write_text("{}")
    assert sizes_of("files:x", tmp_path) is None

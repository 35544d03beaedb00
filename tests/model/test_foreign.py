"""Adapters of others: what the library alone wrote comes in whole, and nothing else does."""

from __future__ import annotations

import json
import pickle
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from references.setups import BATCH, SPECS, states
from references.xlmr import Reference
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapterstilts.errors import StoreError
from adapterstilts.model.assembly import Blueprint, HeadSpec, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.configs import library_config
from adapterstilts.model.faults import AssemblyError
from adapterstilts.model.foreign import import_adapter
from adapterstilts.model.shapes import BackboneShape, shape_of

SHAPE = BackboneShape(hidden=32, layers=3, heads=4, intermediate=48)
Change = Callable[[dict[str, Any]], Any]


def library_model(backbone_folder: Path) -> Any:
    from adapters import AutoAdapterModel

    return AutoAdapterModel.from_pretrained(str(backbone_folder), attn_implementation="eager")


def write_foreign(
    model: Any, folder: Path, config: Any, name: str = "sentiment", *, old_format: bool = False
) -> Path:
    """Write an adapter with the library alone, and leave it active on the model."""
    model.add_adapter(name, config=config)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if f".{name}." in f".{key}":
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.save_adapter(str(folder), name, use_safetensors=not old_format)
    model.set_active_adapters(name)
    model.eval()
    return folder


@pytest.fixture(scope="module")
def sound(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound adapter folder of the library's."""
    return write_foreign(library_model(backbone_folder), tmp_path_factory.mktemp("sound") / "a", "seq_bn")


@pytest.fixture
def foreign(sound: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may break."""
    return shutil.copytree(sound, tmp_path / "foreign")


def plain_states(model: Any) -> Tensor:
    with torch.no_grad():
        out = model.base_model(input_ids=BATCH.input_ids, attention_mask=BATCH.attention_mask)
    found: Tensor = out.last_hidden_state[BATCH.attention_mask.bool()]
    return found


# ---- sound ones


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("method", [*SPECS, "seq_bn_inv", "compacter++"])
def test_what_the_library_wrote_answers_here_to_the_bit(
    backbone: Backbone, backbone_folder: Path, tmp_path: Path, method: str, old_format: bool
) -> None:
    if not old_format and method in ("prefix_tuning", "mam"):
        return  # the library cannot write these so
    from adapters import AdapterConfig

    shape = shape_of(backbone)
    assert shape == SHAPE
    config = (
        library_config(SPECS[method], 32)
        if method in SPECS
        else AdapterConfig.load(method, reduction_factor=4)
    )
    model = library_model(backbone_folder)
    source = write_foreign(model, tmp_path / "foreign", config, old_format=old_format)
    target = tmp_path / "new" / "ours"
    size = import_adapter(source, target, shape, allow_pickle=old_format)
    assert {path.name for path in target.iterdir()} == {"adapter_config.json", "adapter.safetensors"}
    assert size == sum(tensor.numel() for tensor in load_file(str(target / "adapter.safetensors")).values())
    with assembled(backbone, Blueprint("x0", {"x0": target})) as assembly:
        assert torch.equal(states(assembly)[-1], plain_states(model))
    # And it is a folder as the library's.
    again = library_model(backbone_folder)
    again.set_active_adapters(again.load_adapter(str(target), use_safetensors=True))
    assert torch.equal(plain_states(again.eval()), plain_states(model))


def test_a_language_adapter_stands_under_tasks_and_nowhere_else(
    backbone: Backbone, backbone_folder: Path, tmp_path: Path
) -> None:
    language = tmp_path / "language"
    source = write_foreign(library_model(backbone_folder), tmp_path / "foreign", "seq_bn_inv", "sw")
    import_adapter(source, language, SHAPE)
    tasks = {}
    for i in (1, 2):
        written = write_foreign(library_model(backbone_folder), tmp_path / f"task{i}", "seq_bn")
        tasks[f"x{i}"] = tmp_path / f"x{i}"
        import_adapter(written, tasks[f"x{i}"], SHAPE)
    reference = Reference(backbone_folder)
    for position, folder in {"x0": language, **tasks}.items():
        reference.add(folder, position)
    real = BATCH.attention_mask.bool()
    for composition in (
        "x0",
        "stack(x0, x1)",
        "stack(x0, parallel(x1, x2))",
        "parallel(stack(x0, x1), stack(x0, x2))",
    ):
        with assembled(backbone, Blueprint(composition, {"x0": language, **tasks})) as assembly:
            for ours, theirs in zip(states(assembly), reference.hidden(BATCH, composition), strict=True):
                assert (ours - theirs[real]).abs().max() < 1e-5
    for composition in ("stack(x1, x0)", "fuse(x0, x1)"):
        with (
            pytest.raises(AssemblyError, match="lowest"),
            assembled(backbone, Blueprint(composition, {"x0": language, **tasks})),
        ):
            pass
    words = Blueprint("x0", {"x0": language}, heads=(HeadSpec("mlm", ()),))
    with pytest.raises(AssemblyError, match="masked words"), assembled(backbone, words):
        pass


def test_a_model_without_heads_names_its_adapters_otherwise(
    backbone: Backbone, backbone_folder: Path, tmp_path: Path
) -> None:
    import adapters
    from transformers import XLMRobertaModel

    bare = XLMRobertaModel.from_pretrained(str(backbone_folder), attn_implementation="eager")
    adapters.init(bare)
    source = write_foreign(bare, tmp_path / "foreign", "lora")
    assert not any(key.startswith("roberta.") for key in load_file(str(source / "adapter.safetensors")))
    import_adapter(source, tmp_path / "ours", SHAPE)
    with assembled(backbone, Blueprint("x0", {"x0": tmp_path / "ours"})) as assembly:
        assert torch.equal(states(assembly)[-1], plain_states(bare))


# ---- early versions


def rewrite_config(folder: Path, change: Change) -> None:
    path = folder / "adapter_config.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    change(described)
    path.write_text(json.dumps(described), encoding="utf-8")


def rewrite_tensors(folder: Path, change: Change) -> None:
    path = str(folder / "adapter.safetensors")
    save_file(change(load_file(path)), path)


@pytest.mark.parametrize("kind", ["text_task", "text_lang"])
def test_an_early_version_is_read_as_the_library_reads_it(
    backbone: Backbone, backbone_folder: Path, tmp_path: Path, kind: str
) -> None:
    """A folder as the first versions wrote it: a pickle, other names, a nested configuration, no version."""
    config = "seq_bn_inv" if kind == "text_lang" else "seq_bn"
    source = write_foreign(library_model(backbone_folder), tmp_path / "foreign", config)
    short = kind.removeprefix("text_")
    weights = {
        name.replace(".output.adapters.", f".output.layer_text_{short}_adapters.").replace(
            "invertible_adapters", "invertible_lang_adapters"
        ): tensor
        for name, tensor in load_file(str(source / "adapter.safetensors")).items()
    }
    (source / "adapter.safetensors").unlink()
    torch.save(weights, source / "pytorch_adapter.bin")

    def age(described: dict[str, Any]) -> None:
        del described["version"]
        kept = ("original_ln_before", "original_ln_after", "residual_before_ln", "adapter_residual_before_ln")
        old = {name: described["config"][name] for name in (*kept, "ln_before", "ln_after", "mh_adapter")}
        nested = {"block_type": "nice", "non_linearity": "gelu", "reduction_factor": 2}
        described["config"] = {
            **old,
            "output_adapter": True,
            "non_linearity": "gelu",
            "reduction_factor": 16,
            "invertible_adapter": nested,
            "attention_type": "sent-lvl-dynamic",
            "new_attention_norm": False,
        }
        described["type"] = kind

    rewrite_config(source, age)
    model = library_model(backbone_folder)
    name = model.load_adapter(str(source))
    model.set_active_adapters(name)
    model.eval()
    import_adapter(source, tmp_path / "ours", SHAPE, allow_pickle=True)
    with assembled(backbone, Blueprint("x0", {"x0": tmp_path / "ours"})) as assembly:
        assert torch.equal(states(assembly)[-1], plain_states(model))


def test_a_lora_of_an_early_version_keeps_the_scale_it_was_trained_with(
    backbone: Backbone, backbone_folder: Path, tmp_path: Path
) -> None:
    from adapters import LoRAConfig

    source = write_foreign(library_model(backbone_folder), tmp_path / "foreign", LoRAConfig(r=4, alpha=16))
    for version, alpha in (("adapters.1.0.1", 4), ("adapters.1.1.0", 16), ("3.2.1", 16)):
        rewrite_config(source, lambda described, version=version: described.update(version=version))
        target = tmp_path / version
        import_adapter(source, target, SHAPE)
        written = json.loads((target / "adapter_config.json").read_text(encoding="utf-8"))
        assert written["config"]["alpha"] == alpha
        model = library_model(backbone_folder)
        model.set_active_adapters(model.load_adapter(str(source), use_safetensors=True))
        with assembled(backbone, Blueprint("x0", {"x0": target})) as assembly:
            assert torch.equal(states(assembly)[-1], plain_states(model.eval()))


def test_a_seed_of_others_does_not_reach_our_generator(
    backbone: Backbone, backbone_folder: Path, tmp_path: Path
) -> None:
    from adapters import SeqBnConfig

    config = SeqBnConfig(init_weights_seed=7)
    source = write_foreign(library_model(backbone_folder), tmp_path / "foreign", config)
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    import_adapter(source, tmp_path / "ours", SHAPE)
    assert torch.equal(torch.random.get_rng_state(), before)
    written = json.loads((tmp_path / "ours" / "adapter_config.json").read_text(encoding="utf-8"))
    assert "init_weights_seed" not in written["config"]


def test_half_precision_is_read_as_it_is(foreign: Path, tmp_path: Path) -> None:
    rewrite_tensors(foreign, lambda tensors: {name: tensor.half() for name, tensor in tensors.items()})
    import_adapter(foreign, tmp_path / "ours", SHAPE)
    halves = load_file(str(foreign / "adapter.safetensors"))
    ours = load_file(str(tmp_path / "ours" / "adapter.safetensors"))
    for name, tensor in halves.items():
        assert torch.equal(ours[name.replace(".sentiment.", ".adapter.")], tensor.float())


# ---- broken ones


def refusal(source: Path, target: Path, shape: BackboneShape = SHAPE, **options: Any) -> str:
    with pytest.raises(StoreError) as caught:
        import_adapter(source, target, shape, **options)
    assert not target.exists()
    assert all(fault.where.startswith(str(source)) and fault.remedy for fault in caught.value.faults)
    return str(caught.value)


def put(name: str, value: Any) -> Change:
    return lambda described: described.update({name: value})


def setting(name: str, value: Any) -> Change:
    return lambda described: described["config"].update({name: value})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (put("model_type", "bert"), "its model_type is 'bert', the backbone's is 'xlm-roberta'"),
        (put("hidden_size", 768), "its hidden_size is 768, the backbone's is 32"),
        (put("config", "pfeiffer"), "does not say config as the library does"),
        (lambda described: described.pop("name"), "does not say name"),
        (setting("architecture", "prompt_tuning"), "'prompt_tuning' is not supported"),
        (setting("original_ln_after", False), "original_ln_after: False"),
        (setting("teleport", 1), "unknown settings: teleport"),
        (setting("reduction_factor", 8), r"adapter_down.0.bias is \(2,\), not \(4,\)"),
        (setting("reduction_factor", "many"), "cannot be built"),
        (setting("non_linearity", "sine"), "cannot be built"),
        (setting("mh_adapter", True), "lacks roberta.encoder.layer.0.attention.output.adapters"),
        (setting("leave_out", [0]), "it works in layers 0-2, and .* in 1-2 of 3"),
        (setting("invertible_adapter", {"kind": 1}), "malformed: KeyError"),
        (put("config", {"architecture": "union", "configs": 3}), "malformed: TypeError"),
        (put("config", {"architecture": "union", "configs": []}), "a union of nothing"),
    ],
)
def test_what_it_says_of_itself_has_to_fit(foreign: Path, tmp_path: Path, change: Change, what: str) -> None:
    rewrite_config(foreign, change)
    assert re.search(what, refusal(foreign, tmp_path / "ours"))


def with_nan(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    first = next(iter(tensors))
    return {**tensors, first: tensors[first] * float("nan")}


def with_another(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    other = {
        name.replace(".sentiment.", ".sentiment_de."): tensor.clone() for name, tensor in tensors.items()
    }
    return tensors | other


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            lambda t: {**t, "roberta.encoder.layer.0.output.dense.bias": torch.zeros(32)},
            "holds roberta.encoder.layer.0.output.dense.bias, which is no part of the adapter 'sentiment'; "
            "do not use it; it would change the backbone",
        ),
        (lambda t: {**t, "heads.sentiment.1.bias": torch.zeros(3)}, "which is no part of the adapter"),
        (with_another, "sentiment_de"),
        (
            lambda t: {name: tensor for name, tensor in t.items() if ".layer.2." not in name},
            "it works in layers 0-1, and its configuration on this backbone in 0-2 of 3",
        ),
        (lambda t: {name: x for name, x in t.items() if "layer.1" not in name}, "works in layers 0, 2, and"),
        (
            lambda t: {n: x for n, x in t.items() if "0.output.adapters.sentiment.adapter_up.bias" not in n},
            "lacks",
        ),
        (
            lambda t: {**t, "roberta.encoder.layer.0.output.adapters.sentiment.gate": torch.zeros(1)},
            "too many",
        ),
        (lambda t: {name: torch.zeros(*tensor.shape, 2) for name, tensor in t.items()}, "2), not ("),
        (with_nan, "has values that are no numbers"),
        (lambda t: {}, "it works in layers none"),
    ],
)
def test_what_it_holds_has_to_fit(foreign: Path, tmp_path: Path, change: Change, what: str) -> None:
    rewrite_tensors(foreign, change)
    assert what in refusal(foreign, tmp_path / "ours")


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (
            BackboneShape(hidden=32, layers=6, heads=4, intermediate=48),
            "it works in layers 0-2, and .* in 0-5 of 6",
        ),
        (BackboneShape(hidden=64, layers=3, heads=4, intermediate=48), "its hidden_size is 32"),
    ],
)
def test_another_backbones_adapter_is_refused(
    foreign: Path, tmp_path: Path, shape: BackboneShape, what: str
) -> None:
    assert re.search(what, refusal(foreign, tmp_path / "ours", shape))


def test_a_folder_without_an_adapter_is_refused(foreign: Path, tmp_path: Path) -> None:
    assert "cannot be read as JSON; name an adapter's folder" in refusal(
        tmp_path / "nowhere", tmp_path / "ours"
    )
    (foreign / "adapter.safetensors").write_bytes(b"nothing")
    assert "its weights cannot be read" in refusal(foreign, tmp_path / "ours")
    (foreign / "adapter.safetensors").unlink()
    assert "its weights cannot be read" in refusal(foreign, tmp_path / "ours")
    (foreign / "adapter_config.json").write_text("{", encoding="utf-8")
    assert "cannot be read as JSON" in refusal(foreign, tmp_path / "ours")
    (foreign / "adapter_config.json").write_text("[]", encoding="utf-8")
    assert "does not say name, config, model_type" in refusal(foreign, tmp_path / "ours")


# ---- pickles


class Payload:
    """Runs when it is unpickled by something that trusts it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def as_pickle(folder: Path, content: Any) -> None:
    (folder / "adapter.safetensors").unlink(missing_ok=True)
    torch.save(content, folder / "pytorch_adapter.bin")


def test_a_pickle_is_read_on_request_only(foreign: Path, tmp_path: Path) -> None:
    as_pickle(foreign, load_file(str(foreign / "adapter.safetensors")))
    said = refusal(foreign, tmp_path / "ours")
    assert "is a pickle, the old format, in which code can hide; allow it explicitly" in said
    assert import_adapter(foreign, tmp_path / "ours", SHAPE, allow_pickle=True) > 0


@pytest.mark.parametrize("wrap", [lambda payload: payload, lambda payload: {"weights": payload}])
@pytest.mark.parametrize("bare", [False, True])
def test_code_in_a_pickle_does_not_run(foreign: Path, tmp_path: Path, wrap: Any, bare: bool) -> None:
    mark, path = tmp_path / "it-ran", foreign / "pytorch_adapter.bin"
    as_pickle(foreign, wrap(Payload(mark)))
    if bare:
        path.write_bytes(pickle.dumps(wrap(Payload(mark))))
    assert "its weights cannot be read" in refusal(foreign, tmp_path / "ours", allow_pickle=True)
    assert not mark.exists()
    # It would have run for who trusts the file.
    if bare:
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert mark.exists()


def test_a_damaged_pickle_is_refused(foreign: Path, tmp_path: Path) -> None:
    as_pickle(foreign, load_file(str(foreign / "adapter.safetensors")))
    path = foreign / "pytorch_adapter.bin"
    whole, chance = path.read_bytes(), random.Random(2)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(len(damaged) // 2)] = chance.randrange(256)
        path.write_bytes(bytes(damaged[: chance.choice([len(whole), 200, 0])]))
        try:
            import_adapter(foreign, tmp_path / "ours", SHAPE, allow_pickle=True)
        except StoreError:
            continue


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"a": 1}, {1: torch.zeros(1)}])
def test_a_pickle_of_something_else_is_refused(foreign: Path, tmp_path: Path, content: Any) -> None:
    as_pickle(foreign, content)
    said = refusal(foreign, tmp_path / "ours", allow_pickle=True)
    assert "holds something else than tensors by name" in said


def test_safetensors_win_over_a_pickle_beside_them(foreign: Path, tmp_path: Path) -> None:
    (foreign / "pytorch_adapter.bin").write_bytes(b"whatever")
    assert import_adapter(foreign, tmp_path / "ours", SHAPE, allow_pickle=True) > 0


def test_contradicting_copies_of_a_prefix_are_refused(backbone_folder: Path, tmp_path: Path) -> None:
    config = library_config(SPECS["prefix_tuning"], 32)
    source = write_foreign(library_model(backbone_folder), tmp_path / "foreign", config, old_format=True)
    weights = torch.load(source / "pytorch_adapter.bin", weights_only=True)
    copies = [name for name in weights if ".pool." in name and name.endswith("wte.weight")]
    assert len(copies) == 3
    torch.save({**weights, copies[1]: weights[copies[1]] + 1}, source / "pytorch_adapter.bin")
    assert "twice, and differently" in refusal(source, tmp_path / "ours", allow_pickle=True)

"""What a unit's folder may hold: every way to smuggle something in is refused, with what and where."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapterstilts.errors import AdapterStiltsError, StoreError
from adapterstilts.hub.exchange import check_folder
from adapterstilts.hub.manifest import MANIFEST_FILE, verified, write_manifest
from adapterstilts.hub.provenance import PROVENANCE_FILE, read_provenance
from adapterstilts.trust.origins import Origin

ADAPTER, CONFIG = "adapter.safetensors", "adapter_config.json"
HEAD, HEAD_CONFIG = "model_head.safetensors", "head_config.json"

Change = Callable[[Path], Any]


def refusal(folder: Path, *, sealed: bool = True) -> str:
    """Return why a folder is refused, its manifest true again where `sealed`."""
    if sealed:
        write_manifest(folder)
    with pytest.raises(StoreError) as caught:
        check_folder(folder)
    return str(caught.value)


def tensors(change: Callable[[dict[str, Any]], Any], file: str = ADAPTER) -> Change:
    def apply(folder: Path) -> None:
        found = load_file(str(folder / file))
        change(found)
        save_file(found, str(folder / file))

    return apply


def edited(change: Callable[[dict[str, Any]], Any], file: str) -> Change:
    def apply(folder: Path) -> None:
        data = json.loads((folder / file).read_text(encoding="utf-8"))
        change(data)
        (folder / file).write_text(json.dumps(data), encoding="utf-8")

    return apply


def first(found: dict[str, Any]) -> str:
    return sorted(found)[0]


def no_number(found: dict[str, Any]) -> None:
    found[first(found)].view(-1)[0] = float("nan")


def narrower(found: dict[str, Any]) -> None:
    found[first(found)] = found[first(found)][..., :-1].contiguous()


def header_of(length: int) -> Change:
    def apply(folder: Path) -> None:
        raw = (folder / ADAPTER).read_bytes()
        (folder / ADAPTER).write_bytes(struct.pack("<Q", length) + raw[8:])

    return apply


SEALED: dict[str, tuple[Change, str]] = {
    "pickle beside": (
        lambda f: (f / "pytorch_adapter.bin").write_bytes(pickle.dumps(1)),
        "holds pytorch_adapter.bin",
    ),
    "pickle instead": (
        lambda f: ((f / "pytorch_adapter.bin").write_bytes(pickle.dumps(1)), (f / ADAPTER).unlink()),
        "lacks adapter.safetensors",
    ),
    "pickle in disguise": (lambda f: (f / ADAPTER).write_bytes(pickle.dumps({"a": 1})), "cannot be read"),
    "code": (lambda f: (f / "modeling.py").write_text("x"), "holds modeling.py"),
    "backbone's tensor": (
        tensors(lambda t: t.update({"roberta.encoder.layer.0.output.dense.weight": torch.zeros(32, 48)})),
        "which is no part of the adapter",
    ),
    "another head's tensor": (
        tensors(lambda t: t.update({"heads.other.1.weight": torch.zeros(2, 2)}), HEAD),
        "which is no part of it",
    ),
    "a tensor less": (tensors(lambda t: t.pop(first(t))), "lacks"),
    "no number": (tensors(no_number), "values that are no numbers"),
    "no number in the head": (tensors(no_number, HEAD), "values that are no numbers"),
    "another shape": (tensors(narrower), "not ("),
    "another shape of the head": (tensors(narrower, HEAD), "another shape"),
    "a header of gigabytes": (header_of(1 << 40), "its header says"),
    "a header longer than the file": (header_of(1 << 20), "its header says"),
    "another model": (edited(lambda d: d.update(model_type="bert"), CONFIG), "model_type is 'bert'"),
    "another width": (edited(lambda d: d.update(hidden_size=64), CONFIG), "hidden_size is 64"),
    "another head": (
        edited(lambda d: d["config"].update(num_labels=7), HEAD_CONFIG),
        "another one: num_labels",
    ),
    "an unknown kind of head": (
        edited(lambda d: d["unit"]["head"].update(kind="spell"), PROVENANCE_FILE),
        "there is no head for 'spell'",
    ),
    "a composition of others": (
        edited(lambda d: d["unit"].update(composition="stack(x0, self)"), PROVENANCE_FILE),
        "its composition and its adapters differ",
    ),
    "a name that climbs": (
        edited(lambda d: d["unit"].update(adapters={"self": "../../etc"}), PROVENANCE_FILE),
        "outside the rules",
    ),
    "a backbone of any size": (
        edited(lambda d: d["shape"].update(layers=10**9), PROVENANCE_FILE),
        "no sizes that can be meant",
    ),
    "a configuration nested without end": (
        lambda f: (f / CONFIG).write_text("[" * 100_000, encoding="utf-8"),
        "cannot be read as JSON",
    ),
    "data without a name": (
        edited(lambda d: d["origins"][0].update(task=1), PROVENANCE_FILE),
        "it names data in a way that nothing here does",
    ),
    "data whose name moves the cursor": (
        edited(lambda d: d["origins"][0].update(path=["\x1b[2J"]), PROVENANCE_FILE),
        "it names data in a way that nothing here does",
    ),
    "no licence": (
        edited(lambda d: d["licence"].update(unit=None), PROVENANCE_FILE),
        "it has no licence",
    ),
    "provenance of another version": (
        edited(lambda d: d.update(format=9), PROVENANCE_FILE),
        "another version",
    ),
    "provenance with something more": (
        edited(lambda d: d.update(run="rm"), PROVENANCE_FILE),
        "cannot be understood",
    ),
}


@pytest.mark.parametrize("name", SEALED)
def test_what_is_hidden_behind_a_true_manifest_is_refused(unit: Path, name: str) -> None:
    change, expected = SEALED[name]
    change(unit)
    assert expected in refusal(unit)


BROKEN: dict[str, tuple[Change, str]] = {
    "a flipped byte": (
        lambda f: (f / "README.md").write_bytes(b"X" + (f / "README.md").read_bytes()[1:]),
        "bytes",
    ),
    "a file more": (lambda f: (f / "more.txt").write_text("x"), "more.txt: is not in the manifest"),
    "a file less": (lambda f: (f / "README.md").unlink(), "README.md: is missing"),
    "a link": (
        lambda f: ((f / ADAPTER).rename(f.parent / "away"), (f / ADAPTER).symlink_to(f.parent / "away")),
        "is a link",
    ),
    "a folder that is a link": (lambda f: (f / "sub").symlink_to(f.parent), "is a link"),
    "a pipe": (lambda f: os.mkfifo(f / "pipe"), "no ordinary file"),
    "a hidden file": (lambda f: (f / ".bashrc").write_text("x"), "outside the rules"),
    "a climbing manifest": (
        edited(lambda d: d["files"].update({"../x": d["files"]["README.md"]}), MANIFEST_FILE),
        "outside the rules of names",
    ),
    "an absolute manifest": (
        edited(lambda d: d["files"].update({"/etc/x": d["files"]["README.md"]}), MANIFEST_FILE),
        "outside the rules of names",
    ),
    "no manifest": (lambda f: (f / MANIFEST_FILE).unlink(), "is not a manifest"),
    "a manifest that is a list": (lambda f: (f / MANIFEST_FILE).write_text("[]"), "is not a manifest"),
    "a linked manifest": (
        lambda f: (
            (f / MANIFEST_FILE).rename(f.parent / "m"),
            (f / MANIFEST_FILE).symlink_to(f.parent / "m"),
        ),
        "is not a manifest",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_differs_from_its_manifest_is_refused(unit: Path, name: str) -> None:
    change, expected = BROKEN[name]
    change(unit)
    assert expected in refusal(unit, sealed=False)


def test_a_fusion_of_other_shapes_or_settings_is_refused(fused: Path) -> None:
    place = next(fused.glob("*,*"))
    path = f"{place.name}/adapter_fusion_config.json"
    edited(lambda data: data["config"].update(temperature=True), path)(fused)
    assert "temperature set" in refusal(fused)
    edited(lambda data: data["config"].update(temperature=False), path)(fused)
    tensors(narrower, f"{place.name}/model_adapter_fusion.safetensors")(fused)
    assert "another shape" in refusal(fused)


def test_a_sound_unit_is_let_in_and_says_what_it_is(unit: Path, fused: Path) -> None:
    assert check_folder(unit).unit.single
    assert sorted(check_folder(fused).unit.adapters) == ["x0", "x1", "x2"]


def test_what_is_behind_a_unit_goes_with_its_own_licence_and_silence_is_not_innocence(unit: Path) -> None:
    data = Origin("topics", "MIT", path=("target/topics/target@0",))
    own = Origin("alice/one@1.0.0", "apache-2.0")
    assert read_provenance(unit).behind_derived == (data, own)
    edited(lambda found: found.pop("origins"), PROVENANCE_FILE)(unit)
    assert read_provenance(unit).behind_derived == (Origin("alice/one@1.0.0", known=False), own)


def test_equal_folders_have_equal_digests_and_others_have_not(unit: Path, fused: Path) -> None:
    before = verified(unit).digest
    assert write_manifest(unit).digest == before != verified(fused).digest
    (unit / "README.md").write_text("x", encoding="utf-8")
    assert write_manifest(unit).digest != before


def test_all_that_differs_is_told_at_once(unit: Path) -> None:
    (unit / "more.txt").write_text("x", encoding="utf-8")
    (unit / "README.md").unlink()
    with pytest.raises(AdapterStiltsError) as caught:
        check_folder(unit)
    assert len(caught.value.faults) == 2

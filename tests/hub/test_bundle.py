"""A bundle: what leaves a site with a network works at one without."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Command, Done

from adapterstilts.errors import StoreError, UsageError
from adapterstilts.hub.bundle import carried_backbone, export_bundle, import_bundle
from adapterstilts.hub.manifest import MANIFEST_FILE, verified, write_manifest
from adapterstilts.hub.shelf import Shelf
from adapterstilts.model.backbone import load_backbone
from adapterstilts.specs import BackboneSpec
from adapterstilts.store.store import Store

REFERENCE = "local:alice/one@1.0.0"


@pytest.fixture
def here(done: Done, unit: Path, tmp_path: Path) -> tuple[Shelf, Store]:
    """The store of the tiny run, with a registry that holds a unit."""
    shelf = Shelf(done.options.store_root, tmp_path / "registry")
    shelf.registry.publish(unit, "alice/one", "1.0.0")
    return shelf, Store(done.options.store_root)


@pytest.fixture
def bundle(here: tuple[Shelf, Store], backbone_folder: Path, tmp_path: Path) -> Path:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "thing-1.0+cpu-py3-none-any.whl").write_bytes(b"wheel")
    file = tmp_path / "site.tar"
    export_bundle(file, [REFERENCE], *here, backbones=[backbone_folder], encoded=True, wheels=wheels)
    return file


def test_everything_arrives_and_predicts(
    bundle: Path,
    here: tuple[Shelf, Store],
    unit: Path,
    tmp_path: Path,
    cli: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, registry = tmp_path / "there", tmp_path / "registry-there"
    answer = cli("hub", "bundle", "import", bundle, "--store", there, "--registry", registry, "--json").json
    assert answer["units"][0]["references"] == [REFERENCE]
    assert answer["units"][0]["digest"] == verified(unit).digest
    entries = {path.name for path in (here[1].cache / "encoded").iterdir()}
    assert answer["encoded"] == len(entries) > 0
    assert {path.name for path in (there / "cache" / "encoded").iterdir()} == entries
    assert [path.name for path in (there / "wheels").iterdir()] == ["thing-1.0+cpu-py3-none-any.whl"]
    assert carried_backbone(there, answer["backbones"][0]).is_dir()
    monkeypatch.setenv("ADAPTERSTILTS_REGISTRY", str(registry))
    # Nobody says where the backbone is: it came along.
    predicted = cli("adapter", "predict", REFERENCE, "--text", "north1", "--store", there, "--offline")
    assert predicted.code == 0, predicted.err
    assert predicted.out.split("\t")[0] in ("north", "south", "west")
    assert not list((there / "hub" / "staging").iterdir())


def test_equal_contents_make_equal_files(
    here: tuple[Shelf, Store], backbone_folder: Path, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("a.tar", "b.tar")]
    digests = [export_bundle(file, [REFERENCE], *here, backbones=[backbone_folder]) for file in files]
    assert digests[0] == digests[1]
    assert files[0].read_bytes() == files[1].read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        export_bundle(files[0], [REFERENCE], *here, backbones=[backbone_folder])


def test_what_a_unit_needs_has_to_go_along(here: tuple[Shelf, Store], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name its folder with --backbone"):
        export_bundle(tmp_path / "x.tar", [REFERENCE], *here)
    with pytest.raises(UsageError, match="holds no wheels"):
        export_bundle(tmp_path / "x.tar", [], *here, wheels=tmp_path)
    with pytest.raises(StoreError, match="there is no such unit"):
        export_bundle(tmp_path / "x.tar", ["local:alice/none"], *here)
    assert not (tmp_path / "x.tar").exists()


def test_what_may_not_be_pushed_may_not_leave_in_a_bundle(
    here: tuple[Shelf, Store], unit: Path, backbone_folder: Path, tmp_path: Path, cli: Command
) -> None:
    data = json.loads((unit / "provenance.json").read_text(encoding="utf-8"))
    data["name"] = "alice/wards"
    data["origins"] = [{**data["origins"][0], "task": "wards", "licence": "", "confidential": True}]
    (unit / "provenance.json").write_text(json.dumps(data), encoding="utf-8")
    write_manifest(unit)
    here[0].registry.publish(unit, "alice/wards", "1.0.0")
    file = tmp_path / "wards.tar"
    where = ("--store", here[1].root, "--registry", here[0].registry.root, "--backbone", backbone_folder)
    command = ("hub", "bundle", "export", file, REFERENCE, "local:alice/wards@1.0.0", *where)
    refused = cli(*command)
    assert refused.code == 2
    for override in ("confidential:wards", "unknown-licence:wards"):
        assert (
            f"local:alice/wards@1.0.0: {'confidential data are' if 'conf' in override else 'a licence'}"
            in refused.err
        )
        assert f"`--allow {override}`" in refused.err
    assert not file.exists()
    assert cli(*command, "--allow", "confidential:wards").code == 2
    allowed = ("--allow", "confidential:wards", "--allow", "unknown-licence:wards")
    assert cli(*command, *allowed).code == 0
    assert file.exists()


def repacked(bundle: Path, change: Callable[[Path], object], folder: Path, *, sealed: bool) -> Path:
    """Return a bundle with other contents."""
    with tarfile.open(bundle) as archive:
        archive.extractall(folder, filter="data")
    change(folder)
    if sealed:
        write_manifest(folder)
    with tarfile.open(folder.with_suffix(".tar"), "w") as archive:
        archive.add(folder, arcname=".")
    return folder.with_suffix(".tar")


def _unit(folder: Path) -> Path:
    return next((folder / "units").iterdir())


@pytest.mark.parametrize(
    ("change", "sealed", "message"),
    [
        (lambda f: (f / "more").write_text("x"), False, "more: is not in the manifest"),
        (lambda f: (f / "bundle.json").write_text("{}"), True, "cannot be understood"),
        (lambda f: (_unit(f) / "README.md").write_text("x"), True, "bytes are not those of the manifest"),
        (lambda f: (_unit(f) / "evil.bin").write_text("x"), True, "evil.bin: is not in the manifest"),
        (
            lambda f: (next((f / "backbones").iterdir()) / "config.json").write_text("{}"),
            True,
            "its files are others",
        ),
        (lambda f: (f / MANIFEST_FILE).unlink(), False, "is not a manifest"),
    ],
)
def test_a_bundle_that_was_changed_is_refused(
    bundle: Path, tmp_path: Path, change: Callable[[Path], object], sealed: bool, message: str
) -> None:
    file = repacked(bundle, change, tmp_path / "changed", sealed=sealed)
    with pytest.raises(StoreError) as caught:
        import_bundle(file, Shelf(tmp_path / "there", tmp_path / "r"), Store(tmp_path / "there"))
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "link"])
def test_a_bundle_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = 1
    if name == "link":
        member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(StoreError):
        import_bundle(tmp_path / "bad.tar", Shelf(tmp_path / "there"), Store(tmp_path / "there"))
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "there" / "hub" / "staging").iterdir())


def test_a_backbone_of_the_hub_goes_into_the_hubs_cache(
    here: tuple[Shelf, Store], backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found there by name and revision, without any connection."""
    import shutil

    commit, caches = "ab" * 20, [tmp_path / "cache-here", tmp_path / "cache-there"]
    snapshot = caches[0] / "models--ns--tiny" / "snapshots" / commit
    shutil.copytree(backbone_folder, snapshot)
    unit = shutil.copytree(here[0].find(REFERENCE).folder, tmp_path / "other")
    data = json.loads((unit / "provenance.json").read_text(encoding="utf-8"))
    data |= {"backbone": {"model": "ns/tiny", "revision": commit, "quantize": "none"}, "name": "alice/two"}
    (unit / "provenance.json").write_text(json.dumps(data), encoding="utf-8")
    write_manifest(unit)
    here[0].registry.publish(unit, "alice/two", "1.0.0")
    for module in (
        "huggingface_hub.constants",
        "huggingface_hub.file_download.constants",
        "transformers.utils.hub",
    ):
        name = "TRANSFORMERS_CACHE" if module.startswith("transformers") else "HF_HUB_CACHE"
        monkeypatch.setattr(f"{module}.{name}", str(caches[0]), raising=False)
    export_bundle(tmp_path / "hub.tar", ["local:alice/two"], *here)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(caches[1]))
    there = Shelf(tmp_path / "there", tmp_path / "r")
    brought = import_bundle(tmp_path / "hub.tar", there, Store(tmp_path / "there"))
    assert brought.backbones == ["ns/tiny"]
    arrived = caches[1] / "models--ns--tiny" / "snapshots" / commit
    assert {path.name for path in arrived.iterdir()} == {path.name for path in backbone_folder.iterdir()}
    import torch

    loaded = load_backbone(BackboneSpec("files:x", None), arrived, torch.device("cpu"), offline=True)
    assert loaded.layers == 3

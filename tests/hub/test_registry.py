"""A registry folder: versions that never change, whoever publishes at the same time."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
import tiny

from adapterstilts.errors import StoreError, UsageError
from adapterstilts.hub.manifest import verified, write_manifest
from adapterstilts.hub.references import parse_reference
from adapterstilts.hub.registry import Registry
from adapterstilts.hub.shelf import Shelf


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def other(unit: Path, text: str) -> Path:
    (unit / "README.md").write_text(text, encoding="utf-8")
    write_manifest(unit)
    return unit


def publish(root: str, folder: str, version: str) -> None:
    """Publish, for use in a child."""
    Registry(Path(root)).publish(Path(folder), "alice/one", version)


def test_a_version_is_found_by_number_digest_and_as_the_latest(registry: Registry, unit: Path) -> None:
    first = registry.publish(unit, "alice/one", "1.9.0")
    second = registry.publish(other(unit, "x"), "alice/one", "1.10.0")
    third = registry.publish(other(unit, "y"), "alice/one", "1.2.0")
    found = {
        "local:alice/one": second,
        "local:alice/one@1.9.0": first,
        "local:alice/one@1.2.0": third,
        f"local:alice/one@sha256:{first.digest[:12]}": first,
    }
    for text, wanted in found.items():
        assert registry.find(parse_reference(text)) == wanted
    latest = json.loads((registry.root / "alice/one/refs/latest").read_text(encoding="utf-8"))
    assert latest == {"version": "1.10.0", "manifest": second.digest}
    assert [one.reference.version for one in registry.all()] == ["1.2.0", "1.9.0", "1.10.0"]


def test_what_is_published_is_the_folder_to_the_byte(registry: Registry, unit: Path) -> None:
    placed = registry.publish(unit, "alice/one", "1.0.0")
    assert {p.name: p.read_bytes() for p in placed.folder.iterdir()} == {
        p.name: p.read_bytes() for p in unit.iterdir()
    }


def test_the_same_bytes_may_come_again_and_others_never(registry: Registry, unit: Path) -> None:
    first = registry.publish(unit, "alice/one", "1.0.0")
    inode = first.folder.stat().st_ino
    assert registry.publish(unit, "alice/one", "1.0.0") == first
    assert first.folder.stat().st_ino == inode
    with pytest.raises(StoreError, match="versions never change"):
        registry.publish(other(unit, "x"), "alice/one", "1.0.0")
    assert verified(first.folder).digest == first.digest
    assert not list((registry.root / "alice/one/.staging").iterdir())


@pytest.mark.parametrize("point", ["before_rename:1"])
def test_a_publisher_that_dies_leaves_no_version(registry: Registry, unit: Path, point: str) -> None:
    assert tiny.run_in_child(publish, str(registry.root), str(unit), "1.0.0", kill_at=point) < 0
    assert list(registry.all()) == []
    registry.publish(unit, "alice/one", "1.0.0")
    assert len(list(registry.all())) == 1


def test_of_several_publishers_of_one_version_one_wins_and_latest_is_the_highest(
    registry: Registry, unit: Path, tmp_path: Path
) -> None:
    folders = [other(shutil.copytree(unit, tmp_path / f"own{n}"), f"number {n}") for n in range(4)]
    lost: list[StoreError] = []
    start = threading.Barrier(len(folders))

    def work(number: int) -> None:
        start.wait()
        registry.publish(folders[number], "alice/one", f"2.0.{number}")
        try:
            registry.publish(folders[number], "alice/one", "1.0.0")
        except StoreError as error:
            lost.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(folders))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lost) == len(folders) - 1
    for one in registry.all():
        assert verified(one.folder).digest == one.digest
    latest = json.loads((registry.root / "alice/one/refs/latest").read_text(encoding="utf-8"))
    assert latest["version"] == "2.0.3"


def test_what_is_not_there_is_said_with_what_is(registry: Registry, unit: Path) -> None:
    registry.publish(unit, "alice/one", "1.0.0")
    for text, message in {
        "local:alice/on": "did you mean 'local:alice/one'?",
        "local:alice/one@2.0.0": "there are 1.0.0",
        "local:alice/one@sha256:00000000": "there are 1.0.0",
    }.items():
        with pytest.raises(StoreError) as caught:
            registry.find(parse_reference(text))
        assert message in str(caught.value)


def test_a_folder_that_is_not_its_manifest_is_never_published(registry: Registry, unit: Path) -> None:
    (unit / "README.md").write_text("changed", encoding="utf-8")
    with pytest.raises(StoreError, match="bytes"):
        registry.publish(unit, "alice/one", "1.0.0")
    assert not registry.root.exists()


@pytest.mark.parametrize(
    ("repo", "version"), [("one", "1.0.0"), ("a/../b", "1.0.0"), ("a/b", "1.0"), ("a/b", "01.0.0")]
)
def test_names_and_versions_follow_the_rules(registry: Registry, unit: Path, repo: str, version: str) -> None:
    with pytest.raises(UsageError):
        registry.publish(unit, repo, version)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_written_is_an_error(registry: Registry, unit: Path) -> None:
    registry.root.mkdir()
    registry.root.chmod(0o500)
    with pytest.raises(StoreError, match="--registry"):
        registry.publish(unit, "alice/one", "1.0.0")


def test_a_version_changed_behind_our_back_is_not_used(unit: Path, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "store", tmp_path / "registry")
    placed = shelf.registry.publish(unit, "alice/one", "1.0.0")
    (placed.folder / "README.md").write_text("changed", encoding="utf-8")
    with pytest.raises(StoreError, match="bytes"):
        shelf.find("local:alice/one")


def test_a_digest_finds_a_unit_wherever_it_is(unit: Path, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "store", tmp_path / "registry")
    placed = shelf.registry.publish(unit, "alice/one", "1.0.0")
    assert shelf.find(f"sha256:{placed.digest[:10]}").folder == placed.folder
    with pytest.raises(StoreError, match="no unit here"):
        shelf.find("sha256:00000000")
    with pytest.raises(StoreError, match=r"run `adapterstilts hub pull hf:alice/one@main --unpinned`"):
        shelf.find("hf:alice/one@main")

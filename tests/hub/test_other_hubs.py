"""Servers that speak the hub's protocol otherwise: states are compared, so the same comes out on each of them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from adapterstilts.errors import AdapterStiltsError, EnvironmentFault, StoreError, UsageError
from adapterstilts.hub.exchange import pull, verify_remote
from adapterstilts.hub.manifest import MANIFEST_FILE, verified, write_manifest
from adapterstilts.hub.references import Reference
from adapterstilts.hub.remote import Remote
from adapterstilts.hub.shelf import Shelf

from . import other_server
from .server import Server, hub_script, running

pytestmark = pytest.mark.hub

REPO = "alice/one"
WAYS = ["none", *(way for way in other_server.WAYS if way != "open"), "parents,tags,ids,revisions"]


@pytest.fixture(params=WAYS)
def hub(request: pytest.FixtureRequest, tmp_path: Path, _as_alice: None) -> Iterator[Server]:
    """A hub with ways of its own."""
    with other_hub(request.param, tmp_path) as server:
        yield server


def other_hub(ways: str, folder: Path) -> AbstractContextManager[Server]:
    return running(folder / "hub", str(Path(other_server.__file__)), ways, str(hub_script()))


@pytest.fixture
def remote(hub: Server) -> Remote:
    return Remote(hub.url, lambda seconds: None)


def changed(unit: Path, folder: Path, line: str) -> Path:
    """Return another unit: a copy with a line more in its card."""
    own = shutil.copytree(unit, folder)
    card = own / "README.md"
    card.write_text(f"{card.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    write_manifest(own)
    return own


def test_versions_come_and_go_as_on_any_hub(
    hub: Server, remote: Remote, unit: Path, fused: Path, tmp_path: Path
) -> None:
    first = remote.push(unit, REPO, "1.0.0")
    hub.forget()
    assert remote.push(unit, REPO, "1.0.0") == first
    assert not [one for one in hub.log() if one["method"] == "PUT" or "/commit/" in one["path"]]
    with pytest.raises(StoreError, match="versions never change"):
        remote.push(fused, REPO, "1.0.0")
    second = remote.push(fused, REPO, "1.0.1")
    assert remote.tags(REPO) == {"v1.0.0": first, "v1.0.1": second}
    assert remote.tree(REPO, second).keys() == {*verified(fused).files, MANIFEST_FILE}
    for commit, own in ((first, unit), (second, fused)):
        pinned = Reference("hf", REPO, commit)
        assert pinned.pinned
        shelf = Shelf(tmp_path / commit)
        assert pull(pinned, shelf, remote).digest == verified(own).digest
        assert verify_remote(pinned, remote, own, full=False).digest == verified(own).digest


def test_what_nobody_knows_is_an_error_of_the_same_kind(remote: Remote, unit: Path, tmp_path: Path) -> None:
    remote.push(unit, REPO, "1.0.0")
    for revision in ("v9.9.9", "ab" * 20):
        with pytest.raises(EnvironmentFault, match="check the name and the revision"):
            pull(Reference("hf", REPO, revision), Shelf(tmp_path / "store"), remote, unpinned=True)


def test_a_lost_answer_is_found_to_be_done(hub: Server, remote: Remote, unit: Path) -> None:
    for path in ("/commit/", "/tag/"):
        hub.fault(method="POST", path=path, kind="lost")
    commit = remote.push(unit, REPO, "1.0.0")
    assert remote.tags(REPO) == {"v1.0.0": commit}
    assert len([one for one in hub.log() if "/commit/" in one["path"]]) == 1


def test_a_tag_that_somebody_else_sets_in_between_is_told(
    remote: Remote, unit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote._api.create_repo(REPO, private=True)
    theirs, make = remote.commit_of(REPO), remote._api.create_tag

    def overtaken(repo: str, *, tag: str, revision: str) -> None:
        make(repo, tag=tag, revision=theirs)
        make(repo, tag=tag, revision=revision)

    monkeypatch.setattr(remote._api, "create_tag", overtaken)
    with pytest.raises(StoreError, match=r"the tag v1\.0\.0 stands at another commit"):
        remote.push(unit, REPO, "1.0.0")
    assert remote.tags(REPO) == {"v1.0.0": theirs}


def test_of_several_pushes_at_once_each_tag_holds_one_of_them_whole(
    hub: Server, remote: Remote, unit: Path, tmp_path: Path
) -> None:
    units = {f"2.0.{number}": changed(unit, tmp_path / f"own{number}", f"{number}.") for number in range(3)}
    remote.push(unit, REPO, "1.0.0")
    lost: dict[str, AdapterStiltsError] = {}
    start = threading.Barrier(len(units))

    def push(version: str) -> None:
        start.wait()
        try:
            Remote(hub.url, lambda seconds: None).push(units[version], REPO, version)
        except AdapterStiltsError as error:
            lost[version] = error

    threads = [threading.Thread(target=push, args=(version,)) for version in units]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tags = {tag: commit for tag, commit in remote.tags(REPO).items() if tag != "v1.0.0"}
    assert {f"v{version}" for version in units} - {f"v{version}" for version in lost} == tags.keys()
    for tag, commit in tags.items():
        own = units[tag.removeprefix("v")]
        assert verify_remote(Reference("hf", REPO, commit), remote, own, full=False)
    # Whoever lost pushes again, and is heard.
    for version in sorted(lost):
        commit = remote.push(units[version], REPO, version)
        assert verify_remote(Reference("hf", REPO, commit), remote, units[version], full=False)


def test_what_should_be_private_is_not_sent_to_a_hub_that_shows_it(
    unit: Path, tmp_path: Path, _as_alice: None
) -> None:
    with other_hub("open", tmp_path) as hub:
        remote = Remote(hub.url, lambda seconds: None)
        with pytest.raises(UsageError, match="give --public if all may read it"):
            remote.push(unit, REPO, "1.0.0")
        assert not [one for one in hub.log() if "/commit/" in one["path"] or one["method"] == "PUT"]
        assert remote.push(unit, REPO, "1.0.0", private=False)

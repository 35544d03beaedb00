"""A unit on a hub that misbehaves: what arrives is what was sent, or nothing is said to have arrived."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.errors import AdapterStiltsError, EnvironmentFault, StoreError, UsageError
from adapterstilts.hub.exchange import pull, verify_remote
from adapterstilts.hub.manifest import MANIFEST_FILE, verified, write_manifest
from adapterstilts.hub.references import parse_reference
from adapterstilts.hub.registry import Placed
from adapterstilts.hub.remote import Remote
from adapterstilts.hub.shelf import Shelf

from .server import Server

pytestmark = pytest.mark.hub

REPO = "alice/one"
COMMIT, UPLOAD, DOWNLOAD = r"/commit/", r"/_lfs/", r"/_cdn/"


@pytest.fixture
def waits() -> list[float]:
    """How long the client would have slept."""
    return []


@pytest.fixture
def remote(hub: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> Remote:
    """A client of the hub that does not sleep."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    return Remote(hub.url, waits.append)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "store")


def pulled(commit: str, shelf: Shelf, remote: Remote) -> Placed:
    return pull(parse_reference(f"hf:{REPO}@{commit}"), shelf, remote)


def refused(call: Callable[[], Any], kind: type[AdapterStiltsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def change(unit: Path) -> Path:
    """Make another unit of a unit."""
    path = unit / "README.md"
    path.write_text(path.read_text(encoding="utf-8") + "\nOne more line.\n", encoding="utf-8")
    write_manifest(unit)
    return unit


# ---- without faults


def test_what_is_pulled_is_what_was_pushed(hub: Server, remote: Remote, unit: Path, shelf: Shelf) -> None:
    commit = remote.push(unit, REPO, "1.0.0")
    assert remote.tags(REPO) == {"v1.0.0": commit}
    placed = pulled(commit, shelf, remote)
    assert placed.digest == verified(unit).digest
    assert {path.name for path in placed.folder.iterdir()} == {path.name for path in unit.iterdir()}
    assert shelf.taken()[f"hf:{REPO}@{commit}"] == {
        "commit": commit,
        "endpoint": hub.url,
        "manifest": placed.digest,
    }
    assert shelf.find(f"hf:{REPO}@{commit}").folder == placed.folder
    assert (
        verify_remote(parse_reference(f"hf:{REPO}@{commit}"), remote, unit, full=True).digest == placed.digest
    )
    assert not list((shelf.root / "staging").glob("*[!k]"))


def test_one_commit_makes_a_version_and_the_tag_comes_last(hub: Server, remote: Remote, unit: Path) -> None:
    remote.push(unit, REPO, "1.0.0")
    written = [
        one["path"].split("/")[-2] for one in hub.log() if one["method"] == "POST" and one["status"] == 200
    ]
    assert written.count("commit") == 1
    assert written[-1] == "tag"


def test_pushing_again_sends_nothing(hub: Server, remote: Remote, unit: Path) -> None:
    commit = remote.push(unit, REPO, "1.0.0")
    hub.forget()
    assert remote.push(unit, REPO, "1.0.0") == commit
    assert not [one for one in hub.log() if one["method"] == "PUT" or "/commit/" in one["path"]]


def test_a_version_never_changes_and_the_next_one_holds_nothing_of_it(
    remote: Remote, unit: Path, fused: Path
) -> None:
    first = remote.push(unit, REPO, "1.0.0")
    assert "versions never change" in refused(lambda: remote.push(fused, REPO, "1.0.0"), StoreError)
    second = remote.push(fused, REPO, "1.0.1")
    assert remote.tags(REPO) == {"v1.0.0": first, "v1.0.1": second}
    assert remote.tree(REPO, second).keys() == {*verified(fused).files, MANIFEST_FILE}
    assert remote.latest(REPO) == ("1.0.1", verified(fused).digest)


def test_a_repository_is_private_unless_said_otherwise(
    remote: Remote, unit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.push(unit, REPO, "1.0.0")
    remote.push(unit, "alice/open", "1.0.0", private=False)
    monkeypatch.setenv("HF_TOKEN", "hf_bob")
    assert "Repository Not Found" in refused(lambda: remote.commit_of(REPO), EnvironmentFault)
    assert remote.commit_of("alice/open")


@pytest.mark.parametrize(
    ("token", "what"), [("hf_alice_ro", "Forbidden|rights"), ("hf_bob", "rights"), ("", "401")]
)
def test_who_may_not_write_is_told_so_without_the_token(
    remote: Remote, unit: Path, token: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere")
    with pytest.raises(EnvironmentFault, match=what) as caught:
        remote.push(unit, REPO, "1.0.0")
    assert not token or token not in str(caught.value)


def test_a_branch_or_tag_is_taken_on_request_alone_and_noted(
    remote: Remote, unit: Path, shelf: Shelf
) -> None:
    commit = remote.push(unit, REPO, "1.0.0")
    reference = parse_reference(f"hf:{REPO}@v1.0.0")
    assert "--unpinned" in refused(lambda: pull(reference, shelf, remote), UsageError)
    placed = pull(reference, shelf, remote, unpinned=True)
    assert shelf.taken()[str(reference)]["commit"] == commit
    remote.push(change(unit), REPO, "1.0.1")
    # What was noted stays, until it is pulled again.
    assert shelf.find(str(reference)).digest == placed.digest


# ---- faults; `test_faults` has all of them


def test_a_lost_answer_makes_no_second_commit(hub: Server, remote: Remote, unit: Path) -> None:
    hub.fault(method="POST", path=COMMIT, kind="lost")
    remote.push(unit, REPO, "1.0.0")
    assert len([one for one in hub.log() if COMMIT in one["path"]]) == 1


def test_a_hub_that_stays_away_is_left_after_five_tries(
    hub: Server, remote: Remote, unit: Path, waits: list[float]
) -> None:
    hub.fault(method="POST", path=COMMIT, kind="status", status=503, times=99)
    assert "503" in refused(lambda: remote.push(unit, REPO, "1.0.0"), EnvironmentFault)
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert remote.tags(REPO) == {}


def test_a_hub_says_how_long_to_wait(hub: Server, remote: Remote, unit: Path, waits: list[float]) -> None:
    hub.fault(method="POST", path=COMMIT, kind="status", status=429, retry_after=7)
    remote.push(unit, REPO, "1.0.0")
    assert waits == [7.0]


def test_an_interrupted_upload_goes_on_without_what_has_arrived(
    hub: Server, remote: Remote, fused: Path
) -> None:
    weights = len(list(fused.rglob("*.safetensors")))
    # Three files arrive, the rest is refused for good.
    hub.fault(method="PUT", path=UPLOAD, kind="status", status=403, times=99, skip=3)
    refused(lambda: remote.push(fused, "alice/fused", "1.0.0"), EnvironmentFault)
    assert len(hub.uploads()) == 3
    hub._call("DELETE", "/_fault")
    first = set(hub.uploads())
    hub.forget()
    remote.push(fused, "alice/fused", "1.0.0")
    second = hub.uploads()
    assert len(second) == weights - 3
    assert not first & set(second)


def test_of_several_pushes_at_once_one_wins_and_the_others_say_so(
    hub: Server, remote: Remote, unit: Path, tmp_path: Path
) -> None:
    remote.push(unit, REPO, "1.0.0")
    outcomes: dict[str, str] = {}
    start = threading.Barrier(4)

    def push(number: int) -> None:
        own = shutil.copytree(unit, tmp_path / f"own{number}")
        for _ in range(number + 1):
            change(own)
        start.wait()
        try:
            outcomes[f"v2.0.{number}"] = Remote(hub.url, lambda seconds: None).push(
                own, REPO, f"2.0.{number}"
            )
        except AdapterStiltsError as error:
            outcomes[f"v2.0.{number}"] = f"error: {error}"

    threads = [threading.Thread(target=push, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = {tag: commit for tag, commit in outcomes.items() if not commit.startswith("error")}
    assert won, outcomes
    assert {tag: commit for tag, commit in remote.tags(REPO).items() if tag != "v1.0.0"} == won
    assert all("at the same time" in text for tag, text in outcomes.items() if tag not in won), outcomes
    for number in range(4):
        if f"v2.0.{number}" in won:
            reference = parse_reference(f"hf:{REPO}@{won[f'v2.0.{number}']}")
            assert verify_remote(reference, remote, tmp_path / f"own{number}", full=False)


def test_a_hub_that_is_slower_than_anybody_waits_is_asked_again(
    hub: Server, remote: Remote, unit: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = remote.push(unit, REPO, "1.0.0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 1)
    hub.fault(method="GET", path=DOWNLOAD, kind="slow", delay=60)
    assert pulled(commit, shelf, remote).digest == verified(unit).digest
    assert not hub.met(), "the slow answer was waited for"


def test_bytes_that_stay_wrong_are_never_installed(
    hub: Server, remote: Remote, unit: Path, shelf: Shelf
) -> None:
    commit = remote.push(unit, REPO, "1.0.0")
    hub.fault(method="GET", path=DOWNLOAD, kind="corrupt", times=99)
    assert "arrived damaged 3 times" in refused(lambda: pulled(commit, shelf, remote), StoreError)
    assert not list(shelf.pulled())
    assert shelf.taken() == {}


def test_a_pull_goes_on_from_what_is_sound_and_trusts_nothing_else(
    hub: Server, remote: Remote, fused: Path, shelf: Shelf
) -> None:
    commit = remote.push(fused, REPO, "1.0.0")
    hub.fault(method="GET", path=DOWNLOAD, kind="status", status=403, times=99, skip=2)
    refused(lambda: pulled(commit, shelf, remote), EnvironmentFault)
    kept = sorted(shelf.staging(commit).rglob("*.safetensors"))
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:-1] + b"?")
    hub._call("DELETE", "/_fault")
    hub.forget()
    assert pulled(commit, shelf, remote).digest == verified(fused).digest
    asked = [one for one in hub.log() if one["path"].startswith("/_cdn/") and one["method"] == "GET"]
    assert len(asked) == len(list(fused.rglob("*.safetensors"))) - 1


def test_a_hub_without_an_answer_says_so_although_it_was_pulled_before(
    hub: Server, remote: Remote, unit: Path, shelf: Shelf
) -> None:
    commit = remote.push(unit, REPO, "1.0.0")
    pulled(commit, shelf, remote)
    hub.fault(method="GET", path=".", kind="status", status=503, times=99)
    assert "503" in refused(lambda: pulled(commit, shelf, remote), EnvironmentFault)


# ---- hubs that lie


def publish(remote: Remote, folder: Path) -> str:
    """Put a folder on the hub as it is, past all of our checks."""
    remote._api.create_repo(REPO, exist_ok=True)
    # The client cannot read the address of a commit on another endpoint than its default.
    with suppress(ValueError):
        remote._api.upload_folder(repo_id=REPO, folder_path=folder)
    return remote.commit_of(REPO)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("pytorch_adapter.bin", "its manifest and its tree differ in pytorch_adapter.bin"),
        ("sub/.hidden", "outside the rules of names"),
        ("code.py", "differ in code.py"),
    ],
)
def test_a_file_that_no_unit_has_is_refused_before_it_is_downloaded(
    hub: Server, remote: Remote, unit: Path, shelf: Shelf, name: str, what: str
) -> None:
    (unit / name).parent.mkdir(exist_ok=True)
    (unit / name).write_bytes(b"anything")
    commit = publish(remote, unit)
    hub.forget()
    assert what in refused(lambda: pulled(commit, shelf, remote), StoreError)
    assert not [one for one in hub.log() if name in one["path"]]


def test_a_manifest_of_other_files_is_refused(remote: Remote, unit: Path, shelf: Shelf) -> None:
    data = json.loads((unit / MANIFEST_FILE).read_text(encoding="utf-8"))
    data["files"]["README.md"]["sha256"] = "0" * 64
    data["files"]["README.md"]["git_sha1"] = "0" * 40
    (unit / MANIFEST_FILE).write_text(json.dumps(data), encoding="utf-8")
    commit = publish(remote, unit)
    assert "differ in README.md" in refused(lambda: pulled(commit, shelf, remote), StoreError)


def test_a_repository_that_is_no_unit_is_refused(remote: Remote, unit: Path, shelf: Shelf) -> None:
    (unit / MANIFEST_FILE).unlink()
    commit = publish(remote, unit)
    assert f"has no {MANIFEST_FILE}" in refused(lambda: pulled(commit, shelf, remote), StoreError)


def test_no_token_is_in_anything_that_is_written_or_said(
    hub: Server, remote: Remote, unit: Path, shelf: Shelf, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.fault(method="PUT", path=UPLOAD, kind="status", status=403, message="no, hf_alice, never")
    message = refused(lambda: remote.push(unit, REPO, "1.0.0"), EnvironmentFault)
    commit = remote.push(unit, REPO, "1.0.0")
    pulled(commit, shelf, remote)
    said = message + "".join(capfd.readouterr())
    assert "hf_alice" not in said
    assert "sig=" not in said
    for path in shelf.root.rglob("*"):
        assert not path.is_file() or b"hf_alice" not in path.read_bytes()

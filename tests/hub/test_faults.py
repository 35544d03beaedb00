"""Every fault of the hub server at every request: a push or a pull ends as the table says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from adapterstilts.errors import AdapterStiltsError, EnvironmentFault, StoreError
from adapterstilts.hub.exchange import pull, verify_remote
from adapterstilts.hub.manifest import verified, write_manifest
from adapterstilts.hub.references import Reference
from adapterstilts.hub.remote import Remote
from adapterstilts.hub.shelf import Shelf

from .conftest import SINGLE
from .faults import CASES, Case
from .server import Server, running

pytestmark = pytest.mark.hub

PUSHES = [case for case in CASES if case.way == "push"]
PULLS = [case for case in CASES if case.way == "pull"]


class Standing:
    """A hub that outlives its own death: the same folder, another process."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self._root, self._stack = root, stack
        self.server = stack.enter_context(running(root))

    def calm(self) -> None:
        """Take faults back and clear the log; start anew if the process has died."""
        if self.server.process.poll() is not None:
            self.server = self._stack.enter_context(running(self._root))
        self.server.calm()
        self.server.forget()

    def has_died(self, case: Case) -> bool:
        """Whether a case ends the process; its end is waited for, as it comes a moment after the cut connection."""
        if case.fault["kind"] != "exit":
            return False
        self.server.process.wait(30)
        return True

    def client(self) -> Remote:
        """Return a client that does not sleep."""
        return Remote(self.server.url, lambda seconds: None)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """One hub for all cases; each has a repository of its own."""
    with ExitStack() as stack:
        yield Standing(tmp_path_factory.mktemp("standing"), stack)


@pytest.fixture
def place(standing: Standing, _as_alice: None, monkeypatch: pytest.MonkeyPatch) -> Standing:
    """The hub without faults, and a client that may talk to it."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    standing.calm()
    return standing


def with_own_weights(unit: Path, folder: Path, number: int) -> Path:
    """Return a copy of a unit whose large files no repository of the hub has yet."""
    own = shutil.copytree(unit, folder)
    for path in own.glob("*.safetensors"):
        path.write_bytes(path.read_bytes() + f"case {number}".encode())
    write_manifest(own)
    return own


@pytest.mark.parametrize("case", PUSHES, ids=str)
def test_a_push_ends_as_the_table_says(
    place: Standing, built: dict[str, Path], tmp_path: Path, case: Case
) -> None:
    number = CASES.index(case)
    unit, repo = with_own_weights(built[SINGLE], tmp_path / "unit", number), f"alice/case{number}"
    arrived: list[str] = []
    place.server.fault(**case.fault)
    if case.stops:
        with pytest.raises(EnvironmentFault) as caught:
            place.client().push(unit, repo, "1.0.0")
        assert_told(caught.value)
        if not place.has_died(case):
            arrived = place.server.uploads()
        place.calm()
        remote = place.client()
        assert not remote._api.repo_exists(repo) or remote.tags(repo) == {}
    remote = place.client()
    commit = remote.push(unit, repo, "1.0.0")
    assert case.stops or place.server.met(), "the fault was never met"
    assert not {*arrived} & {*place.server.uploads()}, "what has arrived is not sent again"
    assert remote.tags(repo) == {"v1.0.0": commit}
    assert len(remote._api.list_repo_commits(repo)) == 2, "the hub's first one, and ours"
    pinned = Reference("hf", repo, commit)
    assert verify_remote(pinned, remote, unit, full=False).digest == verified(unit).digest


@pytest.fixture(scope="module")
def published(standing: Standing, built: dict[str, Path]) -> str:
    """The commit of a unit that all pulls ask for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_alice")
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        standing.calm()
        return standing.client().push(built[SINGLE], "alice/pulled", "1.0.0")


@pytest.mark.parametrize("case", PULLS, ids=str)
def test_a_pull_ends_as_the_table_says(
    published: str, place: Standing, built: dict[str, Path], tmp_path: Path, case: Case
) -> None:
    reference, shelf = Reference("hf", "alice/pulled", published), Shelf(tmp_path / "store")
    kept: set[str] = set()
    place.server.fault(**case.fault)
    if case.stops:
        with pytest.raises((EnvironmentFault, StoreError)) as caught:
            pull(reference, shelf, place.client())
        assert_told(caught.value)
        assert not list(shelf.pulled())
        assert shelf.taken() == {}
        kept = {path.name for path in shelf.staging(published).glob("*")}
        place.has_died(case)
        place.calm()
    placed = pull(reference, shelf, place.client())
    assert case.stops or place.server.met(), "the fault was never met"
    asked = {one["path"].rpartition("/")[2] for one in place.server.log() if one["method"] == "HEAD"}
    assert not kept & asked, "what has arrived is not asked for again"
    assert placed.digest == verified(built[SINGLE]).digest == verified(placed.folder).digest
    assert shelf.taken()[str(reference)]["manifest"] == placed.digest


def assert_told(error: AdapterStiltsError) -> None:
    """Check that an error says what to do, and nothing secret."""
    assert all(fault.what and fault.remedy for fault in error.faults)
    assert not any(secret in str(error) for secret in ("hf_alice", "sig="))


# ---- the client dies

PUSH_AND_DIE = (
    "import sys; from pathlib import Path; from adapterstilts.hub.remote import Remote\n"
    "url, folder = sys.argv[1:]\n"
    "Remote(url).push(Path(folder), 'alice/died', '1.0.0')"
)
PULL_AND_DIE = (
    "import sys; from pathlib import Path; from adapterstilts.hub.remote import Remote\n"
    "url, commit, folder = sys.argv[1:]\n"
    "Remote(url).fetch('alice/fused', commit, Path(folder))"
)


def killed_after(hub: Server, code: str, *arguments: str, method: str, count: int) -> None:
    """Run a client that is killed once so many large files have passed, and the next ones hang."""
    hub.fault(method=method, path="/_lfs/|/_cdn/", kind="slow", delay=60, times=99, skip=count)
    environment = {**os.environ, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", code, hub.url, *arguments]
    with subprocess.Popen(command, env=environment) as process:
        end = time.monotonic() + 60
        while len(hub.passed(method)) < count and time.monotonic() < end:
            time.sleep(0.05)
        process.kill()
    assert len(hub.passed(method)) == count
    hub.calm()


def test_a_push_that_was_killed_goes_on_without_what_has_arrived(hub: Server, fused: Path) -> None:
    killed_after(hub, PUSH_AND_DIE, str(fused), method="PUT", count=3)
    first = {*hub.uploads()}
    hub.forget()
    remote = Remote(hub.url)
    assert remote.tags("alice/died") == {}
    remote.push(fused, "alice/died", "1.0.0")
    assert len(hub.uploads()) == len(list(fused.rglob("*.safetensors"))) - 3
    assert not first & {*hub.uploads()}


def test_a_pull_that_was_killed_goes_on_without_what_has_arrived(
    hub: Server, fused: Path, tmp_path: Path
) -> None:
    remote, shelf = Remote(hub.url), Shelf(tmp_path / "store")
    commit = remote.push(fused, "alice/fused", "1.0.0")
    staging = shelf.staging(commit)
    killed_after(hub, PULL_AND_DIE, commit, str(staging), method="GET", count=2)
    assert not list(shelf.pulled())
    kept = len(list(staging.rglob("*.safetensors")))
    hub.forget()
    placed = pull(Reference("hf", "alice/fused", commit), shelf, remote)
    assert placed.digest == verified(fused).digest
    assert kept >= 1
    assert len(hub.passed("GET")) == len(list(fused.rglob("*.safetensors"))) - kept

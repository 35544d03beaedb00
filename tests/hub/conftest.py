"""Units made of the tiny run, and a hub server as a process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Done

from .server import Server, running

SINGLE, FUSED = "target/topics/target@0", "fusion/topics/fuse(pairs, reply, target)@0"
AVERAGE = "average/average(pairs, reply)@0"


@pytest.fixture(scope="session")
def built(done: Done, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name of a stage -> folder of its unit, ``alice/one``, ``alice/fused`` and ``alice/mean``; tests change copies."""
    from adapterstilts.runner.shipping import build, find_shipment
    from adapterstilts.store.store import Store
    from adapterstilts.trust.push import Terms

    folder = tmp_path_factory.mktemp("units")
    found = {}
    for stage, name in ((SINGLE, "one"), (FUSED, "fused"), (AVERAGE, "mean")):
        shipment = find_shipment(done.keys[stage], Store(done.options.store_root), done.options.out)
        build(shipment, folder / name, f"alice/{name}", "1.0.0", Terms("apache-2.0"))
        found[stage] = folder / name
    return found


@pytest.fixture
def unit(built: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a single adapter's unit."""
    return shutil.copytree(built[SINGLE], tmp_path / "unit")


@pytest.fixture
def fused(built: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a fusion's unit."""
    return shutil.copytree(built[FUSED], tmp_path / "fused")


@pytest.fixture
def _as_alice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the client open connections, as alice."""
    from huggingface_hub import constants
    from huggingface_hub.utils import reset_sessions

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    reset_sessions()
    yield
    reset_sessions()


@pytest.fixture
def hub(tmp_path: Path, _as_alice: None) -> Iterator[Server]:
    """A hub of alice and bob, empty, and a client that may talk to it as alice."""
    with running(tmp_path / "hub") as server:
        yield server

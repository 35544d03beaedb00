"""Units made of the tiny run, and a hub server as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Done

from .server import Server

PROJECT = Path(__file__).resolve().parents[2]
SINGLE, FUSED = "target/topics/target@0", "fusion/topics/fuse(pairs, reply, target)@0"


@pytest.fixture(scope="session")
def built(done: Done, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name of a stage -> folder of its unit, ``alice/one`` and ``alice/fused``; tests change copies only."""
    from adapterstilts.runner.shipping import build, find_shipment
    from adapterstilts.store.store import Store
    from adapterstilts.trust.push import Terms

    folder = tmp_path_factory.mktemp("units")
    found = {}
    for stage, name in ((SINGLE, "one"), (FUSED, "fused")):
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


def hub_script() -> Path:
    """Return the server's file, beside the data of the tests."""
    data = Path(os.environ.get("ADAPTERSTILTS_TEST_DATA", PROJECT.parent / "shared" / "data"))
    script = data.parent / "tools" / "hub_server.py"
    if not script.is_file():
        pytest.skip(f"no hub server at {script}; set ADAPTERSTILTS_TEST_DATA to the folder beside its own")
    return script


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A hub of alice and bob, empty, and a client that may talk to it as alice."""
    from huggingface_hub import constants
    from huggingface_hub.utils import reset_sessions

    command = [sys.executable, str(hub_script()), "--port", "0", "--root", str(tmp_path / "hub")]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    reset_sessions()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield Server(process.stdout.readline().strip(), process)
        process.kill()
    reset_sessions()

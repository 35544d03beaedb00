"""Servers on this machine that several test folders need: a Ray cluster of several nodes, and an S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="ray is not installed; pip install 'adapterstilts[ray]'"
)
_MEMORY = 80 * 1024 * 1024


@contextmanager
def ray_cluster() -> Iterator[Any]:
    """A head that computes nothing, and two nodes with one CPU each, to which this process is connected."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": _MEMORY, "include_dashboard": False},
    )
    made.nodes_beside = [made.add_node(num_cpus=1, object_store_memory=_MEMORY) for _ in range(2)]
    ray.init(address=made.address, log_to_driver=False)
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def node_of(cluster: Any, store: Any, key: str) -> Any:
    """Return the node on which a stage runs."""
    import psutil

    newest = max((store.root / "leases" / key).iterdir(), key=lambda path: path.name)
    pid = int(json.loads(newest.read_text(encoding="utf-8"))["pid"])
    raylets = {process.pid for process in psutil.Process(pid).parents()}
    for node in cluster.nodes_beside:
        if any(info.process.pid in raylets for infos in node.all_processes.values() for info in infos):
            return node
    raise AssertionError("no node has the process")


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of an S3 server's endpoint."""
    for package in ("s3fs", "moto", "flask"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed; pip install 'adapterstilts[distributed]'")
    port = 5500 + os.getpid() % 400
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            endpoint = f"http://127.0.0.1:{port}"
            _wait_for(endpoint)
            yield endpoint
        finally:
            server.kill()


def _wait_for(endpoint: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=1):
                return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.2)

"""A hub server as a process, and what is said to it beside its protocol: faults, log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A running server: its address, and its process."""

    url: str
    process: subprocess.Popen[str]

    def fault(self, **fault: Any) -> None:
        """Let the next matching requests misbehave."""
        self._call("POST", "/_fault", fault)

    def met(self) -> bool:
        """Whether any request since the log was cleared has met a fault."""
        return any(one["fault"] for one in self.log())

    def calm(self) -> None:
        """Take all faults back."""
        self._call("DELETE", "/_fault")

    def log(self) -> list[Mapping[str, Any]]:
        """Return all requests so far."""
        found: list[Mapping[str, Any]] = self._call("GET", "/_log")
        return found

    def forget(self) -> None:
        """Clear the log."""
        self._call("DELETE", "/_log")

    def passed(self, method: str) -> list[str]:
        """Return the large files that arrived whole here (PUT) or there (GET), by digest."""
        return [
            one["path"].split("?")[0]
            for one in self.log()
            if one["method"] == method
            and one["status"] == 200
            and one["path"].startswith(("/_lfs/", "/_cdn/"))
        ]

    def uploads(self) -> list[str]:
        """Return the large files that arrived whole, by digest."""
        return self.passed("PUT")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}{path}", data, headers, method=method)) as answer:
            return json.loads(answer.read())


def hub_script() -> Path:
    """Return the server's file, beside the data of the tests."""
    data = Path(os.environ.get("ADAPTERSTILTS_TEST_DATA", PROJECT.parent / "shared" / "data"))
    script = data.parent / "tools" / "hub_server.py"
    if not script.is_file():
        pytest.skip(f"no hub server at {script}; set ADAPTERSTILTS_TEST_DATA to the folder beside its own")
    return script


@contextmanager
def running(root: Path, *words: str) -> Iterator[Server]:
    """Run a hub of alice and bob.

    Args:
        root: its folder; one that is there already is gone on with.
        words: what runs in place of the server's file, with arguments of its own.
    """
    command = [sys.executable, *(words or [str(hub_script())]), "--port", "0", "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process.stdout.readline().strip(), process)
        finally:
            process.kill()

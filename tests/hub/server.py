"""Talk to the hub server beside its protocol: faults, log."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen


@dataclass
class Server:
    """A running server: its address, and its process."""

    url: str
    process: subprocess.Popen[str]

    def fault(self, **fault: Any) -> None:
        """Let the next matching requests misbehave."""
        self._call("POST", "/_fault", fault)

    def log(self) -> list[Mapping[str, Any]]:
        """Return all requests so far."""
        found: list[Mapping[str, Any]] = self._call("GET", "/_log")
        return found

    def forget(self) -> None:
        """Clear the log."""
        self._call("DELETE", "/_log")

    def uploads(self) -> list[str]:
        """Return the large files that arrived whole, by digest."""
        return [
            one["path"].split("?")[0] for one in self.log() if one["method"] == "PUT" and one["status"] == 200
        ]

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}{path}", data, headers, method=method)) as answer:
            return json.loads(answer.read())

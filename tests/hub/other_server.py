"""The hub server with the ways of other servers that speak its protocol; runs as a process.

``python other_server.py WAYS SCRIPT --port 0 --root DIR``: some of `WAYS`, parted by commas, and the server's file.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WAYS = {
    "parents": "the parent of a commit is ignored",
    "tags": "a tag that is there is answered with 500",
    "ids": "commits have names of 64 digits",
    "revisions": "an unknown revision is an unknown file",
    "open": "every repository is open to all",
}
_COMMITS = ("sha", "commitOid", "targetCommit")
_LONGER = "0" * 24


def other(server: Any, ways: set[str]) -> type[Any]:
    """Return the server's handler with other ways."""
    base: type[Any] = server.H

    class Other(base):
        def read_body(self) -> bytes:
            body: bytes = super().read_body()
            return _without_parent(body) if "parents" in ways and "/commit/" in self.raw else body

        def payload(self) -> Any:
            found = super().payload()
            if "open" in ways and self.raw == "/api/repos/create":
                found |= {"private": False, "visibility": "public"}
            return found

        def json(self, obj: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
            given = dict(headers or {})
            if "tags" in ways and status == 409 and "/tag/" in self.raw:
                status = 500
            if "revisions" in ways and given.get("X-Error-Code") == "RevisionNotFound":
                given["X-Error-Code"] = "EntryNotFound"
            super().json(_longer(obj) if "ids" in ways else obj, status, given)

        def head(self, status: int, headers: Mapping[str, str]) -> None:
            if "ids" in ways and "X-Repo-Commit" in headers:
                headers = {**headers, "X-Repo-Commit": headers["X-Repo-Commit"] + _LONGER}
            super().head(status, headers)

    return Other


def _without_parent(body: bytes) -> bytes:
    lines = [json.loads(line) for line in body.splitlines() if line.strip()]
    for line in lines:
        if line["key"] == "header":
            line["value"].pop("parentCommit", None)
    return b"\n".join(json.dumps(line).encode() for line in lines)


def _longer(value: Any) -> Any:
    if isinstance(value, list):
        return [_longer(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: one + _LONGER if key in _COMMITS else _longer(one) for key, one in value.items()}


def main() -> None:
    ways, script = set(sys.argv.pop(1).split(",")), sys.argv.pop(1)
    spec = importlib.util.spec_from_file_location("hub_server", Path(script))
    assert spec is not None
    assert spec.loader is not None
    server: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(server)
    server.H = other(server, ways)
    found = server.Git.rev
    server.Git.rev = lambda git, revision: found(git, revision.removesuffix(_LONGER))
    server.main()


if __name__ == "__main__":
    main()

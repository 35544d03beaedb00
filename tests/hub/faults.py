"""What a hub can do wrong, when, and what becomes of a push or a pull then: `test_faults` holds each row true.

``python -m tests.hub.faults`` prints the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Fault -> what the server is told, and how a reader calls it.
BUSY = {"kind": "status", "status": 503, "times": 2}, "503, twice"
LIMITED = {"kind": "status", "status": 429, "retry_after": 1}, "429 with Retry-After"
CUT = {"kind": "drop", "after": 10}, "connection cut after 10 bytes"
LOST = {"kind": "lost"}, "done, but the answer is lost"
SLOW = {"kind": "slow", "delay": 0.2}, "slow"
FLIPPED = {"kind": "corrupt"}, "one byte flipped, no error"
DOWN = {"kind": "status", "status": 503, "times": 999}, "503, for good"
REFUSED = {"kind": "status", "status": 403, "times": 999}, "403"
DAMAGED = {"kind": "corrupt", "times": 999}, "one byte flipped, every time"
DEATH = {"kind": "exit"}, "the server dies, and is started again"

# Request -> its method and path.
PUSH: Mapping[str, tuple[str, str]] = {
    "making the repository": ("POST", r"/repos/create"),
    "reading the branch": ("GET", r"/revision/main"),
    "reading the tags": ("GET", r"/refs"),
    "reading the tree": ("GET", r"/tree/"),
    "announcing files": ("POST", r"/preupload/"),
    "asking for places": ("POST", r"/objects/batch"),
    "sending a large file": ("PUT", r"/_lfs/"),
    "having it checked": ("POST", r"/objects/verify"),
    "committing": ("POST", r"/commit/"),
    "tagging": ("POST", r"/tag/"),
}
PULL: Mapping[str, tuple[str, str]] = {
    "reading the commit": ("GET", r"/revision/"),
    "reading the tree": ("GET", r"/tree/"),
    "asking for a file": ("HEAD", r"/resolve/"),
    "receiving the manifest": ("GET", r"/resolve-cache/.*MANIFEST"),
    "receiving a small file": ("GET", r"/resolve-cache/.*provenance"),
    "receiving a large file": ("GET", r"/_cdn/"),
}

OUTLIVED = "outlived: the same call ends well, every byte as it was sent"
STOPPED = {
    "push": "an error that says what; nothing is tagged; the same command later goes on from what has arrived",
    "pull": "an error that says what; nothing is installed or noted; the same command later goes on from what is sound",
}


@dataclass(frozen=True)
class Case:
    """One fault at one request.

    Attributes:
        way: ``push`` or ``pull``.
        during: the request.
        said: the fault, for readers.
        fault: the same, as the server is told.
        stops: whether the call ends in an error.
    """

    way: str
    during: str
    said: str
    fault: Mapping[str, Any]
    stops: bool

    def __str__(self) -> str:
        return f"{self.way}, {self.during}: {self.said}"


def _cases() -> Iterator[Case]:
    reading = (BUSY, LIMITED, LOST, SLOW)
    sending = (BUSY, CUT, SLOW)
    for during, (method, _) in PUSH.items():
        passing = {"GET": reading, "PUT": sending}.get(method, (BUSY, LIMITED, CUT, LOST, SLOW))
        yield from (_case("push", during, one, stops=False) for one in passing)
        # A file that was not checked is there all the same, and the next try hears so when it asks for places.
        yield _case("push", during, DOWN, stops=during != "having it checked")
        yield from (_case("push", during, one, stops=True) for one in (REFUSED, DEATH))
    for during in PULL:
        asking = during == "asking for a file"
        receiving = during.startswith("receiving")
        passing = (BUSY, CUT, FLIPPED, SLOW) if receiving else (BUSY, SLOW) if asking else reading
        yield from (_case("pull", during, one, stops=False) for one in passing)
        lasting = (DOWN, REFUSED, DEATH, *((DAMAGED,) if receiving else ()))
        yield from (_case("pull", during, one, stops=True) for one in lasting)


def _case(way: str, during: str, one: tuple[Mapping[str, Any], str], *, stops: bool) -> Case:
    method, path = (PUSH if way == "push" else PULL)[during]
    return Case(way, during, one[1], {"method": method, "path": path, **one[0]}, stops)


CASES = tuple(_cases())


def table() -> str:
    """Return the cases as a table of Markdown, a line a fault and outcome."""
    rows: dict[tuple[str, str, bool], list[str]] = {}
    for case in CASES:
        rows.setdefault((case.way, case.said, case.stops), []).append(case.during)
    lines = ["| | fault | while | outcome |", "| --- | --- | --- | --- |"]
    for (way, said, stops), during in rows.items():
        lines.append(f"| {way} | {said} | {', '.join(during)} | {STOPPED[way] if stops else OUTLIVED} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201

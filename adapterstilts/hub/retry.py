"""Bounded retries of what a hub may answer better the next time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from adapterstilts.errors import EnvironmentFault, Fault

T = TypeVar("T")
Wait = Callable[[float], None]

TRIES = 5
_PASSING = frozenset({408, 429, *range(500, 600)})
_LONGEST_WAIT = 60.0
_URL_SECRETS = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]*")
_TOKENS = re.compile(r"\b(hf_|api_org_)\w+|(?<=Bearer )\S+")


def persistently(call: Callable[[], T], wait: Wait, *, between: Callable[[], T | None] = lambda: None) -> T:
    """Call until it succeeds, or fails in a way that will not pass, or has failed five times.

    Args:
        call: asks the hub.
        wait: sleeps so many seconds.
        between: looks before each further try whether there is nothing left to do, and returns the result then: an
            answer may be lost after the work was done.

    Raises:
        Exception: what the last call raised.
    """
    for number in range(1, TRIES + 1):
        try:
            return call()
        except Exception as error:
            if number == TRIES or not passes(error):
                raise
            wait(_pause(error, number))
        if (done := between()) is not None:
            return done
    raise AssertionError("the last try returns or raises")


def passes(error: BaseException) -> bool:
    """Whether an error is one of the moment; the client wraps some in a RuntimeError."""
    from requests import exceptions

    moment = (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError)
    return any(isinstance(one, moment) or status(one) in _PASSING for one in _chain(error))


def status(error: BaseException) -> int | None:
    """Return the HTTP status behind an error, None where there is none."""
    return getattr(getattr(error, "response", None), "status_code", None)


def hub_fault(where: str, error: BaseException) -> EnvironmentFault:
    """Return an error of ours for one of the client's, without tokens and without the signatures in addresses."""
    code = next((found for one in _chain(error) if (found := status(one)) is not None), None)
    remedy = _REMEDIES.get(
        code or 0, "check the network, the name and the endpoint, then run the same command again"
    )
    return EnvironmentFault(Fault(where, redacted(error), remedy))


_REMEDIES = {
    401: "log in with `hf auth login`, or set HF_TOKEN; a private name also looks like this",
    403: "use a token that may write there",
    404: "check the name and the revision; a private one looks like this to others",
    412: "somebody else pushed at the same time; look at what is there, then push again",
}


def redacted(error: BaseException) -> str:
    """Return the first lines of an error's text, without what is secret."""
    text = " ".join(line.strip() for line in str(error).strip().splitlines() if line.strip())
    return _TOKENS.sub("***", _URL_SECRETS.sub(r"\1", text))[:300] or type(error).__name__


def _pause(error: BaseException, number: int) -> float:
    asked = next((found for one in _chain(error) if (found := _retry_after(one)) is not None), None)
    return min(_LONGEST_WAIT, float(2 ** (number - 1)) if asked is None else asked)


def _retry_after(error: BaseException) -> float | None:
    text = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__

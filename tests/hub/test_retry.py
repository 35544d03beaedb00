"""Which errors pass, how long is waited, and what is never said."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from requests.exceptions import ChunkedEncodingError, ConnectionError, HTTPError

from adapterstilts.hub.retry import TRIES, hub_fault, passes, persistently


def answered(status: int, **headers: str) -> HTTPError:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    return HTTPError(f"{status} for https://cdn/x?sig=abc&exp=1 Bearer hf_secret", response=response)


def wrapped(error: Exception) -> RuntimeError:
    outer = RuntimeError("the client says nothing")
    outer.__cause__ = error
    return outer


class Flaky:
    """Fails with each error in turn, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        *((answered(code), True) for code in (408, 429, 500, 502, 503, 504)),
        *((answered(code), False) for code in (400, 401, 403, 404, 409, 412, 416)),
        *((kind(), True) for kind in (ConnectionError, ChunkedEncodingError, requests.Timeout)),
        (wrapped(answered(503)), True),
        (wrapped(answered(403)), False),
        (ValueError("x"), False),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(error: Exception, expected: bool) -> None:
    assert passes(error) is expected
    call = Flaky(error)
    waits: list[float] = []
    if expected:
        assert persistently(call, waits.append) == "done"
    else:
        with pytest.raises(type(error)):
            persistently(call, waits.append)
    assert (call.calls, len(waits)) == ((2, 1) if expected else (1, 0))


def test_tries_are_bounded_and_waits_grow() -> None:
    call, waits = Flaky(*(answered(503) for _ in range(99))), list[float]()
    with pytest.raises(HTTPError):
        persistently(call, waits.append)
    assert (call.calls, waits) == (TRIES, [1.0, 2.0, 4.0, 8.0])


def test_the_hub_says_how_long_within_reason() -> None:
    waits: list[float] = []
    headers: list[dict[str, str]] = [{"Retry-After": "7"}, {"Retry-After": "9999"}, {"Retry-After": "soon"}]
    persistently(Flaky(*(answered(429, **one) for one in headers)), waits.append)
    assert waits == [7.0, 60.0, 4.0]


def test_work_whose_answer_was_lost_is_not_done_twice() -> None:
    call = Flaky(ConnectionError())
    assert persistently(call, lambda seconds: None, between=lambda: "found") == "found"
    assert call.calls == 1


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (answered(401), "HF_TOKEN"),
        (answered(403), "token that may write"),
        (wrapped(answered(412)), "pushed at the same"),
    ],
)
def test_an_error_says_what_to_do_and_nothing_secret(error: Any, remedy: str) -> None:
    said = str(hub_fault("ns/name", error))
    assert remedy in said
    for secret in ("hf_secret", "sig=", "exp="):
        assert secret not in said

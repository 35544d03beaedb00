"""References: what they mean, and what is none."""

from __future__ import annotations

import pytest

from adapterstilts.errors import UsageError
from adapterstilts.hub.references import (
    Reference,
    is_reference,
    next_version,
    parse_reference,
    version_number,
)

COMMIT = "c23d21b0620b635a76227c604d44e43a9f0ee389"


@pytest.mark.parametrize(
    ("text", "meant", "pinned"),
    [
        ("local:ns/mnli@1.0.0", Reference("local", "ns/mnli", "1.0.0"), True),
        ("local:ns/mnli", Reference("local", "ns/mnli", None), True),
        ("local:ns/mnli@sha256:0123abcd", Reference("local", "ns/mnli", "sha256:0123abcd"), True),
        (f"hf:ns/mnli@{COMMIT}", Reference("hf", "ns/mnli", COMMIT), True),
        (f"hf:ns/mnli@{COMMIT}{COMMIT[:24]}", Reference("hf", "ns/mnli", COMMIT + COMMIT[:24]), True),
        ("hf:ns/mnli@v1.0.0", Reference("hf", "ns/mnli", "v1.0.0"), False),
        ("hf:ns/mnli", Reference("hf", "ns/mnli", None), False),
        ("sha256:0123abcd", Reference("sha256", "", "0123abcd"), True),
    ],
)
def test_a_reference_is_read_and_written_alike(text: str, meant: Reference, pinned: bool) -> None:
    assert parse_reference(text) == meant
    assert (str(meant), meant.pinned) == (text, pinned)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "ns/mnli",
            "git:ns/mnli",
            "local:mnli",
            "local:a/b/c",
            "local:../mnli",
            "local:ns/..",
            "local:ns/a..b",
        ),
        *(
            "local:ns/a--b",
            "local:ns/.a",
            "local:ns/a.git",
            f"local:ns/{'a' * 97}",
            "local:ns/ä",
            "local:ns/a b",
        ),
        *(
            "local:ns/a@1.0",
            "local:ns/a@1.0.0-rc",
            "local:ns/a@../1",
            "local:ns/a@",
            "hf:ns/a@",
            "hf:ns/a@../x",
        ),
        *("hf:ns/a@refs/pr/1", "sha256:xyz", "sha256:0123", "local:ns/a\n", "hf:ns/a@v1\n"),
    ],
)
def test_what_is_outside_the_rules_is_no_reference(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)


@pytest.mark.parametrize(
    ("default", "text", "meant"),
    [
        (None, "hub:ns/mnli@1.0.0", Reference("local", "ns/mnli", "1.0.0")),
        ("", "hub:ns/mnli", Reference("local", "ns/mnli", None)),
        ("local", "hub:ns/mnli", Reference("local", "ns/mnli", None)),
        ("hf", "hub:ns/mnli@1.0.0", Reference("hf", "ns/mnli", "v1.0.0")),
        ("hf", f"hub:ns/mnli@{COMMIT}", Reference("hf", "ns/mnli", COMMIT)),
        ("hf", "hub:ns/mnli", Reference("hf", "ns/mnli", None)),
    ],
)
def test_the_default_hub_is_the_registry_unless_set_otherwise(
    default: str | None, text: str, meant: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADAPTERSTILTS_HUB", raising=False)
    if default is not None:
        monkeypatch.setenv("ADAPTERSTILTS_HUB", default)
    assert is_reference(text)
    assert parse_reference(text) == meant


def test_a_default_that_is_no_hub_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTERSTILTS_HUB", "huggingface")
    with pytest.raises(
        UsageError, match=r"\$ADAPTERSTILTS_HUB: 'huggingface' is no hub; set it to local or hf"
    ):
        parse_reference("hub:ns/mnli")
    assert parse_reference("local:ns/mnli").scheme == "local"


def test_versions_are_numbers() -> None:
    assert sorted(["1.10.0", "1.9.9", "0.1.0"], key=version_number) == ["0.1.0", "1.9.9", "1.10.0"]
    assert next_version("1.2.9") == "1.2.10"

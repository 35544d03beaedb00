"""The licence that data leave an adapter: identifier, causes with their paths, contradictions."""

from __future__ import annotations

import pytest

from adapterstilts.trust.adapter import adapter_licence
from adapterstilts.trust.origins import Origin


def data(*licences: str) -> list[Origin]:
    return [Origin(f"t{n}", text, path=("target@0", f"train/t{n}@0")) for n, text in enumerate(licences)]


@pytest.mark.parametrize(
    ("licences", "identifier", "strictest"),
    [
        ((), None, "permissive"),
        (("MIT", "Apache-2.0"), None, "permissive"),
        (("MIT", "CC-BY-4.0"), "CC-BY-4.0", "attribution"),
        (("CC-BY-SA-3.0", "CC-BY-4.0"), "CC-BY-SA-4.0", "share-alike"),
        (("CC-BY-NC-2.0", "MIT"), "CC-BY-NC-4.0", "non-commercial"),
        (("CC-BY-NC-SA-3.0", "CC-BY-NC-4.0"), "CC-BY-NC-SA-4.0", "non-commercial"),
        (("CC-BY-SA-4.0", "CC-BY-NC-4.0"), "CC-BY-NC-SA-4.0", "non-commercial"),
        (("ODbL-1.0", "CC-BY-4.0"), "ODbL-1.0", "share-alike"),
        (("ODbL-1.0", "CC-BY-SA-4.0"), None, "share-alike"),
        (("ODbL-1.0", "CC-BY-NC-4.0"), None, "non-commercial"),
        (("CC-BY-ND-4.0",), None, "no-derivatives"),
        (("research use", "CC-BY-4.0"), None, "research-only"),
        (("who knows", "CC-BY-4.0"), None, "unknown"),
    ],
)
def test_conditions_add_up(licences: tuple[str, ...], identifier: str | None, strictest: str) -> None:
    found = adapter_licence(data(*licences))
    assert (found.identifier, found.strictest) == (identifier, strictest)
    assert found.name == (identifier or strictest)
    assert found.is_free == (strictest == "permissive")


def test_the_path_to_each_cause_is_told_the_strictest_first() -> None:
    found = adapter_licence(data("CC-BY-4.0", "CC-BY-NC-4.0"))
    assert found.to_data()["causes"] == [
        "non-commercial: target@0 -> train/t1@0 -> t1 (CC-BY-NC-4.0)",
        "attribution: target@0 -> train/t0@0 -> t0 (CC-BY-4.0)",
        "attribution: target@0 -> train/t1@0 -> t1 (CC-BY-NC-4.0)",
    ]


@pytest.mark.parametrize(
    ("licences", "said"),
    [
        (
            ("CC-BY-SA-4.0", "CC-BY-NC-4.0"),
            [
                "t0 (CC-BY-SA-4.0) wants adaptations under CC-BY-SA-4.0 alone, and other data ask for more:"
                " non-commercial"
            ],
        ),
        (
            ("CC-BY-SA-4.0", "ODbL-1.0"),
            [
                "t0 (CC-BY-SA-4.0) wants adaptations under CC-BY-SA-4.0 alone, and other data under another",
                "t1 (ODbL-1.0) wants adaptations under ODbL-1.0 alone, and other data under another",
            ],
        ),
        (("CC-BY-ND-4.0", "MIT"), ["t0 (CC-BY-ND-4.0) lets no adaptation be shared"]),
        (("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", "CC-BY-4.0"), []),
        (("CC-BY-SA-2.0", "CC-BY-SA-4.0", "CC-BY-4.0", "MIT"), []),
        (("CC-BY-SA-4.0", "who knows"), []),
    ],
)
def test_what_contradicts_is_said(licences: tuple[str, ...], said: list[str]) -> None:
    assert list(adapter_licence(data(*licences)).conflicts) == said


def test_data_that_nobody_noted_have_no_licence() -> None:
    found = adapter_licence([Origin("train/old@0", "MIT", known=False)])
    assert (found.identifier, found.strictest) == (None, "unknown")
    assert str(found.causes[0]) == "unknown: train/old@0 (data unknown)"


@pytest.mark.parametrize(
    ("licences", "named", "unheeded"),
    [
        (("MIT",), "proprietary", []),
        (("CC-BY-4.0",), "apache-2.0", ["attribution"]),
        (("CC-BY-4.0",), "cc-by-nc-nd-4.0", []),
        (("CC-BY-SA-3.0",), "cc-by-sa-3.0", []),
        (("CC-BY-SA-3.0",), "cc-by-sa-4.0", []),
        (("CC-BY-SA-3.0",), "cc-by-nc-sa-4.0", ["share-alike"]),
        (("CC-BY-SA-4.0",), "odbl-1.0", ["share-alike"]),
        (("ODC-By (annotation), CC-BY-SA (text)",), "cc-by-sa-4.0", []),
        (("CC-BY-SA-4.0", "CC-BY-NC-4.0"), "cc-by-nc-sa-4.0", []),
        (("CC-BY-NC-4.0",), "mit or cc-by-nc-4.0", ["non-commercial", "attribution"]),
        (("CC-BY-ND-4.0", "who knows"), "cc-by-4.0", []),
        (("CC-BY-NC-4.0",), "of my own", ["non-commercial", "attribution"]),
    ],
)
def test_a_named_licence_has_to_ask_for_all_that_the_data_do(
    licences: tuple[str, ...], named: str, unheeded: list[str]
) -> None:
    found = adapter_licence(data(*licences)).unheeded(named)
    assert [cause.condition for cause in found] == unheeded

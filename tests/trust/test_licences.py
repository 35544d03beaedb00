"""Licences as data under test: every text of the catalogue has one class, and nothing is guessed."""

from __future__ import annotations

from collections import defaultdict

import pytest

from adapterstilts.tasks import catalogue
from adapterstilts.trust.licences import CONDITIONS, PERMISSIVE, class_of, read_licences

# Class -> the texts of the catalogue that are read so. A new text is a visible change here.
CLASSES: dict[str, set[str]] = {
    "permissive": {
        "Apache-2.0",
        "BSD-3-Clause",
        "MIT",
    },
    "attribution": {
        "BSD-2-Clause (COPA), CC-BY-4.0 (XCOPA)",
        "CC-BY-2.0-FR",
        "CC-BY-4.0",
        "ODC-By-1.0",
        "free use with attribution to Google",
    },
    "share-alike": {
        "Apache-2.0; CC-BY-SA-4.0 (SNLI)",
        "CC-BY-SA-3.0",
        "CC-BY-SA-4.0",
        "ODC-By (annotation), CC-BY-SA (text)",
    },
    "non-commercial": {
        "CC-BY-NC-2.0",
        "CC-BY-NC-4.0",
        "CC-BY-NC-4.0 (my, sw), CC-BY-SA-4.0 (ko)",
        "CC-BY-NC-SA-3.0",
        "CC-BY-NC-SA-4.0",
        "CC-BY-NC-SA-4.0 (repository)",
        "CC-BY-SA-4.0 (EWT, GSD, VTB, YTB), CC-BY-SA-3.0 (PUD), CC-BY-NC-SA (IMST, TTB)",
        "MIT (PubMedQA), CC-BY-4.0 (BC5CDR, NCBI), CC-BY-NC-4.0 (E3C)",
    },
    "research-only": {
        "research use (BUCC shared task)",
        "research use (GLUE)",
        "research use; MIT (repository)",
    },
    "unknown": {
        "Apache-2.0 (repository); tweets under Twitter's terms",
        "CC-BY-NC-4.0 and those of mnli and snli",
        "MIT (repository); text from Wikipedia, SNLI and MultiNLI",
        "MIT (repository); tweets under Twitter's terms",
        "Microsoft Research data licence",
        "OANC and others (see the data set's card)",
        "Quora's terms of service, non-commercial",
        "Universal Dependencies 2.5, one licence a treebank",
        "unrestricted; tweets under Twitter's terms",
    },
}


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("MIT", set()),
        ("Apache-2.0", set()),
        ("CC0-1.0", set()),
        ("CC-BY-4.0", {"attribution"}),
        ("cc by 4.0", {"attribution"}),
        ("CC-BY-2.0-FR", {"attribution"}),
        ("ODC-By-1.0", {"attribution"}),
        ("CC-BY-SA-3.0", {"attribution", "share-alike"}),
        ("CC-BY-NC-2.0", {"attribution", "non-commercial"}),
        ("CC-BY-NC-SA-4.0 (repository)", {"attribution", "non-commercial", "share-alike"}),
        ("CC-BY-NC-ND-4.0", {"attribution", "non-commercial", "no-derivatives"}),
        ("ODbL-1.0", {"attribution", "share-alike"}),
        ("research use (GLUE)", {"research-only"}),
        ("non-commercial research", {"non-commercial", "research-only"}),
    ],
)
def test_a_known_licence_is_read(text: str, conditions: set[str]) -> None:
    (found,) = read_licences(text)
    assert found.conditions == conditions


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "see the card",
        "CC-BY",
        "CC-BY-5.0",
        "CC-BY-SA-1.0",  # it lets adaptations be under itself alone, not under a later version
        "CC-BY-SA-NC-4.0",
        "MIT-ish",
        "Apache",
        "tweets under Twitter's terms",
        "permissive",
    ],
)
def test_what_cannot_be_read_is_never_guessed(text: str) -> None:
    assert class_of(text) == ("attribution" if text == "CC-BY" else "unknown")


@pytest.mark.parametrize(
    ("text", "strictest"),
    [
        ("MIT (PubMedQA), CC-BY-4.0 (BC5CDR, NCBI), CC-BY-NC-4.0 (E3C)", "non-commercial"),
        ("ODC-By (annotation), CC-BY-SA (text)", "share-alike"),
        ("MIT or CC-BY-NC-4.0", "non-commercial"),
        ("unrestricted; tweets under Twitter's terms", "unknown"),
        ("MIT (for non-commercial use)", "unknown"),
        ("MIT (code only)", "unknown"),
        ("CC-BY-4.0 (no, sw)", "attribution"),
        ("MIT/Apache-2.0", PERMISSIVE),
    ],
)
def test_of_several_the_strictest_counts(text: str, strictest: str) -> None:
    assert class_of(text) == strictest


def test_share_alike_names_the_licence_of_adaptations() -> None:
    alike = [
        read_licences(text)[0].alike for text in ("CC-BY-SA-3.0", "CC-BY-NC-SA-4.0", "ODbL-1.0", "CC-BY-4.0")
    ]
    assert alike == ["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", "ODbL-1.0", ""]


def test_every_licence_of_the_catalogue_has_its_class() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for name in catalogue.names():
        found[class_of(licence := catalogue.get(name).licence)].add(licence)
    assert dict(found) == CLASSES
    assert set(CLASSES) <= {PERMISSIVE, *CONDITIONS}

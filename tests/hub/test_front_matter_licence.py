"""Our names of licences in the hub's words: the hub refuses a card with any other."""

from __future__ import annotations

import pytest
import yaml

from adapterstilts.hub.licences import front_matter_licence
from adapterstilts.tasks import catalogue
from adapterstilts.trust.licences import creative_commons, read_licences


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("MIT", "mit"),
        ("Apache-2.0", "apache-2.0"),
        ("Apache 2.0", "apache-2.0"),
        ("CC-BY-4.0", "cc-by-4.0"),
        ("CC BY-SA 4.0", "cc-by-sa-4.0"),
        ("CC-BY-NC-4.0", "cc-by-nc-4.0"),
        ("CC-BY-NC-SA-4.0", "cc-by-nc-sa-4.0"),
        ("CC0-1.0", "cc0-1.0"),
        ("ODbL-1.0", "odbl"),
        ("ODC-By-1.0", "odc-by"),
        ("PDDL-1.0", "pddl"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        ("LGPL-2.1-only", "lgpl-2.1"),
    ],
)
def test_what_the_hub_knows_has_its_identifier(text: str, identifier: str) -> None:
    assert front_matter_licence(text) == {"license": identifier}


@pytest.mark.parametrize(
    ("text", "name", "link"),
    [
        ("CC-BY-2.0-FR", "cc-by-2.0-fr", "https://creativecommons.org/licenses/by/2.0/fr/"),
        ("CC-BY-SA-2.0", "cc-by-sa-2.0", "https://creativecommons.org/licenses/by-sa/2.0/"),
        ("CC-BY-NC-ND-2.5", "cc-by-nc-nd-2.5", "https://creativecommons.org/licenses/by-nc-nd/2.5/"),
        ("MIT-0", "mit-0", None),
        ("research use", "research-use", None),
        ("tweets: under *their* terms", "tweets-under-their-terms", None),
    ],
)
def test_what_it_does_not_know_is_other_with_a_name(text: str, name: str, link: str | None) -> None:
    fields = front_matter_licence(text)
    assert (fields.pop("license"), fields.pop("license_name"), fields.pop("license_link", None)) == (
        "other",
        name,
        link,
    )
    assert fields == {}


def test_every_licence_that_is_computed_has_the_hubs_identifier() -> None:
    conditions = [("attribution",), ("share-alike",), ("non-commercial",), ("share-alike", "non-commercial")]
    computed = {creative_commons(asked) for asked in conditions}  # type: ignore[arg-type]
    alike = {
        one.alike
        for name in catalogue.names()
        for one in read_licences(catalogue.get(name).licence)
        if one.alike
    }
    for identifier in {*computed, *alike, "ODbL-1.0"}:
        assert front_matter_licence(identifier).keys() == {"license"}, identifier


def test_it_is_plain_yaml() -> None:
    fields = front_matter_licence("No: 'quotes' #nor marks")
    assert yaml.safe_load(yaml.safe_dump(fields)) == fields
    assert fields["license_name"] == "no-quotes-nor-marks"

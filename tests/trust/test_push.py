"""What stands against a push, and the words that allow it all the same."""

from __future__ import annotations

import pytest

from adapterstilts.trust.origins import Origin
from adapterstilts.trust.push import obstacles, push_faults

FREE = Origin("mnli", "CC-BY-NC-4.0", path=("train/mnli@0",))
SECRET = Origin("wards", "", confidential=True, path=("target@0", "train/wards@0"))
FROZEN = Origin("poems", "CC-BY-ND-4.0")
FOREIGN = Origin("pretrained/old", known=False)


@pytest.mark.parametrize(
    ("origin", "overrides"),
    [
        (FREE, []),
        (SECRET, ["confidential:wards", "unknown-licence:wards"]),
        (Origin("wards", "MIT", confidential=True), ["confidential:wards"]),
        (FROZEN, ["no-derivatives:poems"]),
        (FOREIGN, ["unknown-data:pretrained/old"]),
    ],
)
def test_each_reason_has_its_own_override(origin: Origin, overrides: list[str]) -> None:
    assert [one.override for one in obstacles([FREE, origin])] == overrides


def test_a_reason_tells_the_path_and_is_told_once() -> None:
    (first, second) = obstacles([SECRET, SECRET])
    assert first.what == (
        "confidential data are behind it: target@0 -> train/wards@0 -> wards (no licence said)"
    )
    assert second.override == "unknown-licence:wards"


def test_only_what_was_named_is_allowed() -> None:
    faults = push_faults("local:me/x", [SECRET, FROZEN], ["confidential:wards"])
    assert [fault.remedy for fault in faults] == [
        "`--allow unknown-licence:wards` if you may and want to",
        "`--allow no-derivatives:poems` if you may and want to",
    ]
    assert {fault.where for fault in faults} == {"local:me/x"}
    assert push_faults("x", [SECRET], ["confidential:wards", "unknown-licence:wards"]) == ()


def test_an_override_that_allows_nothing_is_a_fault() -> None:
    (_, _, idle) = push_faults("x", [SECRET], ["confidential:ward"])
    assert str(idle) == "--allow confidential:ward: nothing forbids this; did you mean 'confidential:wards'?"
    (alone,) = push_faults("x", [FREE], ["confidential:mnli"])
    assert str(alone) == "--allow confidential:mnli: nothing forbids this; leave it out"

"""What stands against a push, and the words that allow it all the same."""

from __future__ import annotations

import pytest

from adapterstilts.errors import UsageError
from adapterstilts.trust.origins import Origin
from adapterstilts.trust.push import Leaving, Terms, check_leaving, cleared, obstacles, push_faults

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


def test_a_named_licence_that_is_not_what_the_data_ask_for_is_an_obstacle() -> None:
    (one,) = obstacles([FREE], "mit")
    assert one.what == (
        "mit is not what its data ask for (non-commercial, attribution): train/mnli@0 -> mnli (CC-BY-NC-4.0)"
    )
    assert one.override == "other-licence:mnli"
    assert one.remedy == (
        "leave --licence out for CC-BY-NC-4.0, or `--allow other-licence:mnli` if you may and want to"
    )
    assert obstacles([FREE], "cc-by-nc-4.0") == ()


@pytest.mark.parametrize(
    ("origins", "terms", "licence"),
    [
        ([FREE], Terms(), "CC-BY-NC-4.0"),
        ([FREE], Terms("cc-by-nc-sa-4.0"), "cc-by-nc-sa-4.0"),
        ([FREE], Terms("mit", ("other-licence:mnli",)), "mit"),
        ([Origin("a", "MIT")], Terms("gpl-3.0-only"), "gpl-3.0-only"),
        ([FROZEN], Terms("cc-by-4.0", ("no-derivatives:poems",)), "cc-by-4.0"),
    ],
)
def test_the_makers_licence_counts_and_the_computed_one_without_it(
    origins: list[Origin], terms: Terms, licence: str
) -> None:
    assert cleared("x", origins, terms) == licence


@pytest.mark.parametrize(
    ("origins", "terms", "said"),
    [
        (
            [Origin("a", "MIT")],
            Terms(),
            ["no licence is named for it, and its data leave the choice"],
        ),
        (
            [Origin("a", "research use")],
            Terms(),
            ["no licence is named for it, and its data leave none to compute (research-only)"],
        ),
        (
            [SECRET],
            Terms(allowed=("confidential:ward",)),
            ["confidential data", "a licence behind it", "nothing forbids this", "no licence is named"],
        ),
        ([FREE, SECRET], Terms("mit"), ["confidential data", "a licence behind it", "mit is not"]),
    ],
)
def test_all_that_is_against_it_is_told_at_once(origins: list[Origin], terms: Terms, said: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        cleared("x", origins, terms)
    assert len(caught.value.faults) == len(said)
    for fault, start in zip(caught.value.faults, said, strict=True):
        assert fault.what.startswith(start)


UNITS = [Leaving("local:a/free", (FREE,), "CC-BY-NC-4.0"), Leaving("local:a/wards", (SECRET,), "mit")]


def test_units_that_leave_together_have_each_their_own_reasons() -> None:
    with pytest.raises(UsageError) as caught:
        check_leaving([*UNITS, Leaving("local:a/mit", (FREE,), "mit")], ["confidential:wards"])
    assert [(fault.where, fault.what.split(":")[0]) for fault in caught.value.faults] == [
        ("local:a/wards", "a licence behind it is not known"),
        ("local:a/mit", "mit is not what its data ask for (non-commercial, attribution)"),
    ]


def test_an_override_is_for_all_that_leave_and_idle_only_where_none_needs_it() -> None:
    needed = ["confidential:wards", "unknown-licence:wards"]
    check_leaving(UNITS, needed)
    with pytest.raises(UsageError) as caught:
        check_leaving(UNITS, [*needed, "confidential:mnli"])
    assert [fault.where for fault in caught.value.faults] == ["--allow confidential:mnli"]

"""Readers of dialogues and emoji names, and the choices they make by hash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterstilts.data import readers
from adapterstilts.data.readers.base import Record, Tally
from adapterstilts.data.readers.choose import bucket, draw, tenth
from adapterstilts.errors import DataError
from adapterstilts.tasks.spec import Format


def read(paths: list[Path], type: str, **options: Any) -> tuple[list[Record], Tally]:
    tally = Tally()
    return list(readers.read(paths, Format(type, options=options), tally)), tally


def test_buckets_are_stable_for_ever() -> None:
    assert [bucket(text) for text in ("What is AI?", "привет", "")] == [27, 7, 1]
    assert bucket("  what IS\tai?") == bucket("What is AI?")
    assert tenth("What is AI?") == 2


def test_buckets_are_even() -> None:
    counts = [0] * 100
    for number in range(20_000):
        counts[bucket(f"group {number}")] += 1
    assert 140 < min(counts) <= max(counts) < 260


@given(st.text(), st.lists(st.text(), unique=True), st.integers(0, 8), st.sets(st.text()))
def test_a_draw_takes_what_is_allowed_and_as_much_as_there_is(
    seed: str, pool: list[str], count: int, refused: set[str]
) -> None:
    drawn = draw(seed, pool, count, refused)
    allowed = [item for item in pool if item not in refused]
    assert len(drawn) == len(set(drawn)) == min(count, len(allowed))
    assert set(drawn) <= set(allowed)
    assert drawn == draw(seed, pool, count, refused)


def test_a_draw_is_stable_for_ever_and_depends_on_its_seed() -> None:
    pool = [str(number) for number in range(50)]
    assert draw("a", pool, 4, ()) == ["28", "15", "2", "39"]
    assert draw("b", pool, 4, ()) == ["31", "48", "15", "32"]


DIALOGUES = """
categories:
- Zahlen
conversations:
- - How many?
  - 22
  - yes
  - 3.5
  -
- - How many?
  - 22
- just a text
- - alone
-
- - ''
  - no prompt
"""


def test_dialogues_pair_the_first_statement_with_each_other(tmp_path: Path) -> None:
    path = tmp_path / "numbers.yml"
    path.write_text(DIALOGUES, encoding="utf-8")
    records, tally = read([path], "dialogues")
    assert [record.fields for record in records] == [
        {"topic": "numbers", "prompt": "How many?", "reply": "22", "id": "numbers-1-1"},
        {"topic": "numbers", "prompt": "How many?", "reply": "Yes", "id": "numbers-1-2"},
        {"topic": "numbers", "prompt": "How many?", "reply": "3.5", "id": "numbers-1-3"},
    ]
    assert records[0].place == "conversation 1"
    assert tally.dropped == {
        "empty reply": 1,
        "exchange repeated in its topic": 1,
        "conversation is not a list": 2,
        "conversation of one statement": 1,
        "conversation without a prompt": 1,
    }
    assert read([path], "dialogues", topic="category")[0][0].fields["topic"] == "Zahlen"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [1\nb", "is not YAML"),
        ("- a", "has no list `conversations`"),
        ("conversations: 3", "has no list"),
    ],
)
def test_broken_dialogues(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.yml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read([path], "dialogues")


def many(folder: Path) -> Path:
    path = folder / "many.yml"
    talks = [[f"Prompt {n}?", f"Reply {n}.", "Same."] for n in range(300)]
    path.write_text(json.dumps({"conversations": talks}), encoding="utf-8")
    return path


def test_choices_hold_the_true_reply_once_and_no_other_true_one(tmp_path: Path) -> None:
    records, _ = read([many(tmp_path)], "dialogues", choices=4)
    assert len(records) == 600
    true = {(record.fields["prompt"], record.fields["reply"]) for record in records}
    for record in records:
        choices, label = record.fields["choices"], record.fields["label"]
        assert len(set(choices)) == 4
        assert choices[label] == record.fields["reply"]
        assert sum((record.fields["prompt"], choice) in true for choice in choices) == 1
    labels = [record.fields["label"] for record in records]
    assert min(labels.count(label) for label in range(4)) > 100


def test_wrong_choices_come_from_the_same_tenth_of_prompts(tmp_path: Path) -> None:
    records, _ = read([many(tmp_path)], "dialogues", choices=3)
    owner = {f"Reply {n}.": f"Prompt {n}?" for n in range(300)}
    for record in records:
        tenths = {tenth(owner[choice]) for choice in record.fields["choices"] if choice in owner}
        assert tenths <= {tenth(record.fields["prompt"])}


def test_choices_are_stable_for_ever(tmp_path: Path) -> None:
    records, _ = read([many(tmp_path)], "dialogues", choices=4)
    assert [(record.fields["choices"], record.fields["label"]) for record in records[:2]] == [
        (["Reply 253.", "Reply 0.", "Reply 64.", "Reply 177."], 1),
        (["Reply 112.", "Same.", "Reply 114.", "Reply 116."], 1),
    ]


def test_too_few_replies_to_choose_from_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "few.yml"
    path.write_text(json.dumps({"conversations": [["a", "b"], ["c", "d"]]}), encoding="utf-8")
    records, tally = read([path], "dialogues", choices=4)
    assert records == []
    assert tally.dropped == {"too few other replies to choose from": 2}


def emoji(folder: Path, entries: dict[str, Any], **translations: dict[str, str]) -> list[Path]:
    paths = [folder / "emoji.json", *(folder / f"emoji_{language}.json" for language in translations)]
    for path, content in zip(paths, (entries, *translations.values()), strict=True):
        path.write_text(json.dumps(content), encoding="utf-8")
    return paths


def test_emoji_names(tmp_path: Path) -> None:
    entries = {
        "❤": {"en": ":red_heart:", "status": 2, "alias": [":heart:"]},
        "❥": {"en": ":half_qualified:", "status": 3},
        "👍🏽": {"en": ":thumbs_up_medium_skin_tone:", "status": 2},
        "☕": {"en": ":hot_beverage:", "status": 2},
    }
    paths = emoji(tmp_path, entries, de={"❤": ":rotes_herz:"})
    records, tally = read(paths, "emoji_names", language="de")
    assert [record.fields for record in records] == [
        {"name": "red heart", "alias": ["heart"], "emoji": "❤", "id": "❤", "translation": "rotes herz"}
    ]
    assert tally.dropped == {
        "emoji not fully qualified": 1,
        "emoji with a skin tone": 1,
        "emoji without a translation": 1,
    }
    assert [record.fields["name"] for record in read(paths, "emoji_names")[0]] == [
        "red heart",
        "hot beverage",
    ]


def test_emoji_pairs_are_balanced_and_stay_in_their_tenth(tmp_path: Path) -> None:
    entries = {
        chr(0x4E00 + n): {"en": f":n_{n}:", "status": 2, "alias": [f":a_{n}:", f":N-{n}:"]}
        for n in range(400)
    }
    records, tally = read(emoji(tmp_path, entries), "emoji_names", pairs=True)
    assert [record.fields["label"] for record in records] == ["same", "different"] * 400
    assert not tally.dropped
    for record in records:
        own, other = record.fields["emoji"], chr(0x4E00 + int(record.fields["text_pair"].split()[1]))
        assert (own == other) == (record.fields["label"] == "same")
        assert tenth(own) == tenth(other)
        # `N-3` is the name in another spelling: no pair worth asking about.
        assert record.fields["text_pair"].startswith("a ")


def test_aliases_of_several_emoji_are_not_used(tmp_path: Path) -> None:
    entries = {char: {"en": f":{char}:", "status": 2, "alias": [":cat:"]} for char in "ab"}
    records, tally = read(emoji(tmp_path, entries), "emoji_names", pairs=True)
    assert records == []
    assert tally.dropped == {"emoji without an alias of its own": 2}


@pytest.mark.parametrize("content", ["[]", "{", '{"x": "name"}', '{"x": {"status": 2}}'])
def test_broken_emoji_files(tmp_path: Path, content: str) -> None:
    path = tmp_path / "emoji.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError):
        read([path], "emoji_names")


def test_missing_emoji_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file 'emoji\.json'"):
        read([], "emoji_names")
    with pytest.raises(DataError, match=r"no file 'emoji_xx\.json'"):
        read(emoji(tmp_path, {"a": {"en": ":a:", "status": 2}}), "emoji_names", language="xx")

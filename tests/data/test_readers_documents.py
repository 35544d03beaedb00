"""Tokens and sentences of annotated documents come from the text alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterstilts.data.readers import read
from adapterstilts.data.readers.base import Tally
from adapterstilts.tasks.spec import Format

TEXT = "Dr. Bell saw beta-blockers fail. Hypertension stayed.\n"
INEXACT = "annotation that does not begin and end with tokens of a sentence"


def sentences(folder: Path, annotations: str | None) -> tuple[list[dict[str, object]], Tally]:
    (folder / "a.txt").write_text(TEXT, encoding="utf-8")
    (folder / "a.ann").write_text(annotations or "", encoding="utf-8")
    options = {} if annotations is not None else {"annotations": "none"}
    tally = Tally()
    paths = (folder / "a.txt", folder / "a.ann")
    return [record.fields for record in read(paths, Format("brat", options=options), tally)], tally


def line(text: str) -> str:
    start = TEXT.index(text)
    return f"T1\tX {start} {start + len(text)}\t{text}\n"


@pytest.mark.parametrize(
    ("text", "tagged", "inexact"),
    [
        ("beta", ["beta"], 0),
        ("beta-blockers", ["beta", "-", "blockers"], 0),
        ("block", ["blockers"], 1),
        ("tension", ["Hypertension"], 1),
        ("fail. Hypertension", ["fail", ".", "Hypertension"], 1),
    ],
)
def test_no_annotation_moves_a_token_or_a_sentence(
    tmp_path: Path, text: str, tagged: list[str], inexact: int
) -> None:
    plain, _ = sentences(tmp_path, None)
    annotated, tally = sentences(tmp_path, line(text))
    for name in ("tokens", "starts", "id"):
        assert [one[name] for one in annotated] == [one[name] for one in plain]
    pairs = [
        (token, tag)
        for one in annotated
        for token, tag in zip(one["tokens"], one["tags"], strict=True)  # type: ignore[call-overload]
    ]
    assert [token for token, tag in pairs if tag != "O"] == tagged
    assert next(tag for _, tag in pairs if tag != "O") == "B-X"
    assert tally.repaired[INEXACT] == inexact
    start = TEXT.index(text)
    assert [span for one in annotated for span in one["spans"]] == [(start, start + len(text), "X")]  # type: ignore[attr-defined]

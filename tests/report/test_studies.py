"""A study on disk, and in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapterstilts.errors import DataError
from adapterstilts.report.studies import (
    STUDY_FILE,
    Choice,
    Regret,
    Spending,
    StudyFacts,
    read_study,
    study_lines,
    write_study,
)

FACTS = StudyFacts(
    name="mine",
    storage="sqlite:///studies.db",
    select_on="validation",
    metric="accuracy",
    states={"complete": 3, "pruned": 1},
    families={"fuse": 2, "target": 2},
    winner=Choice("fuse(a, b, target)", "learning_rate 0.0003", 2, 0.75, 1234.0, 99.0),
    single=Choice("stack(a, target)", "", 1, 0.7),
    tuned={"target": "untuned"},
    regret=Regret("fuse(a, b, target)", "stack(a, target)", 0.0125, 4),
    front=(Choice("target", "", 0, 0.5, 12.0),),
    spending=Spending(3, 4, 8.0, 7, 90.0),
)


@pytest.mark.parametrize("facts", [FACTS, replace(FACTS, single=None, regret=None, front=(), spending=None)])
def test_a_study_is_read_as_it_was_written(facts: StudyFacts, tmp_path: Path) -> None:
    write_study(tmp_path, facts)
    assert read_study(tmp_path) == facts
    write_study(tmp_path, None)
    assert read_study(tmp_path) is None
    write_study(tmp_path, None)


def test_a_file_of_a_study_before_spending_was_told_is_read(tmp_path: Path) -> None:
    write_study(tmp_path, FACTS)
    data = json.loads((tmp_path / STUDY_FILE).read_text(encoding="utf-8"))
    del data["spending"]
    (tmp_path / STUDY_FILE).write_text(json.dumps(data), encoding="utf-8")
    assert read_study(tmp_path) == replace(FACTS, spending=None)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / STUDY_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"study\.json: cannot be read"):
        read_study(tmp_path)


def test_a_study_is_told_in_words() -> None:
    lines = study_lines(FACTS)
    assert lines[0] == "Study mine: 4 trials (3 complete, 1 pruned), by kind: fuse 2, target 2."
    assert lines[1].startswith("accuracy on the source's validation data decided")
    assert "(trial 2: 0.7500, 1,234 parameters, 99 bytes)" in lines[2]
    assert lines[3] == "Best single adapter: stack(a, target) (trial 1: 0.7000)."
    assert (
        "the target's would take stack(a, target). On the target's validation data that costs 0.0125"
        in lines[4]
    )
    assert lines[5] == (
        "Training for the 3 complete trials: 4 models in 8.0 s; each trial from nothing: 7 models in 1 min 30 s."
    )
    assert lines[6] == "No trial is better in all objectives than: target (trial 0: 0.5000, 12 parameters)."
    without = replace(FACTS, single=None, regret=None, front=(), spending=None)
    other = study_lines(replace(without, select_on="target_validation"))
    assert other[1].startswith("accuracy on the target's validation data decided")
    assert len(other) == 3

"""Tasks that a recipe declares: what they become, and every fault of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterstilts.metrics import registry
from adapterstilts.recipe.load import load
from adapterstilts.recipe.own_tasks import own_task, usual_metrics
from adapterstilts.recipe.schema import TaskSection
from adapterstilts.tasks.spec import KINDS, FileSource, Format, HubSource, Split, TaskSpec

from .examples import TASKS, recipe_data, write
from .test_load import faults

LABELS = {
    "classification": ["no", "yes"],
    "multilabel": ["joy"],
    "tagging": ["O", "B-Drug", "I-Drug"],
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def task_data(kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "labels": LABELS.get(kind, []),
        "languages": {"en": {"train": "en.jsonl"}},
        "format": {"type": "jsonl"},
        **changes,
    }


def task(kind: str, **changes: Any) -> TaskSpec:
    return own_task("mine", TaskSection.model_validate(task_data(kind, **changes)))


def task_faults(folder: Path, kind: str, **changes: Any) -> list[str]:
    found = faults(folder, tasks={**TASKS, "mine": task_data(kind, **changes)})
    assert all(fault.startswith("tasks.mine.") for fault in found)
    return [fault.removeprefix("tasks.mine.") for fault in found]


# ---- kinds


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_declared_and_has_usual_scores(kind: str, tmp_path: Path) -> None:
    load(str(write(tmp_path, recipe_data(tasks={**TASKS, "mine": task_data(kind)}))))
    metrics = task(kind).metrics
    assert (metrics == ()) == (kind == "mlm")
    assert metrics[:1] == registry.names(kind)[:1]
    assert set(metrics) <= set(registry.names(kind))


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("classification", {}, ("accuracy", "macro_f1")),
        ("multiple_choice", {}, ("accuracy",)),
        ("retrieval", {}, ("retrieval_accuracy", "mrr")),
        ("span_qa", {}, ("squad_f1", "squad_em")),
        ("span_qa", {"unanswerable": True}, ("squad2_f1", "squad2_em")),
        ("tagging", {}, ("span_f1", "token_accuracy")),
        ("tagging", {"labels": ["O", "PERSON"]}, ("span_f1", "token_accuracy")),
        ("tagging", {"labels": ["NOUN", "VERB"]}, ("token_accuracy",)),
    ],
)
def test_usual_scores(kind: str, changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert usual_metrics(TaskSection.model_validate(task_data(kind, **changes))) == expected
    assert task(kind, **changes, metrics=["token_accuracy"]).metrics == ("token_accuracy",)


def test_what_a_task_says_of_itself_reaches_its_spec() -> None:
    found = task("span_qa", unanswerable=True, confidential=True, domain="legal", licence="CC0-1.0")
    assert (found.name, found.kind, found.domain, found.licence) == ("mine", "span_qa", "legal", "CC0-1.0")
    assert found.unanswerable
    assert found.confidential
    assert not task("span_qa").confidential


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        (
            "classification",
            {"labels": ["a"]},
            "labels: a classification task has at least two labels; list them in the order of the head",
        ),
        ("multilabel", {"labels": []}, "labels: a multilabel task has at least one label; list them"),
        ("tagging", {"labels": []}, "labels: a tagging task has at least one label; list them"),
        ("regression", {"labels": ["a"]}, "labels: regression has no labels; leave them out"),
        ("span_qa", {"labels": ["a"]}, "labels: span_qa has no labels; leave them out"),
        ("retrieval", {"labels": ["a"]}, "labels: retrieval has no labels; leave them out"),
        ("mlm", {"labels": ["a"]}, "labels: mlm has no labels; leave them out"),
        ("classification", {"labels": ["a", "a"]}, "labels: a label stands twice; name it once"),
        (
            "tagging",
            {"labels": ["O", "B-X", "I-X", "I-Y"]},
            "labels: 'I-Y' has no 'B-Y' that opens its spans; add it",
        ),
        ("mlm", {"label_map": {"1": "a"}}, "label_map: mlm has no labels to map to; leave it out"),
        (
            "classification",
            {"label_map": {"1": "yess", "0": None}},
            "label_map: 'yess' is not a label of this task; did you mean 'yes'?",
        ),
        (
            "tagging",
            {"label_map": {"DRUG": "Dose"}},
            "label_map: 'Dose' is not a label of this task; labels: O",
        ),
        (
            "multiple_choice",
            {"label_map": {"A": "first"}},
            "label_map: 'first' is not the position of an option; count from '0', or declare `labels`",
        ),
        (
            "multiple_choice",
            {"labels": ["A", "B"], "label_map": {"1": "C"}},
            "label_map: 'C' is not a label of this task; labels: A, B",
        ),
        ("tagging", {"unanswerable": True}, "unanswerable: a tagging task asks for no passage"),
        (
            "classification",
            {"metrics": ["acuracy"]},
            "metrics: 'acuracy' is not a metric; did you mean 'accuracy'?",
        ),
        (
            "classification",
            {"metrics": ["mrr"]},
            "metrics: 'mrr' does not score a classification task; known: acc",
        ),
        ("mlm", {"metrics": ["accuracy"]}, "metrics: mlm is never scored; leave them out"),
        (
            "mlm",
            {"languages": {"en": {"train": "a"}, "de": {}}},
            "languages.de: names no split; give train, validation or test",
        ),
    ],
)
def test_a_task_that_contradicts_itself(
    kind: str, changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    (fault,) = task_faults(tmp_path, kind, **changes)
    assert fault.startswith(expected)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("multiple_choice", {"labels": ["A", "B"], "label_map": {"1": "A"}}),
        ("multiple_choice", {"label_map": {"a": "0", "?": None}}),
        ("multi_select", {"label_map": {"a": "0"}}),
        ("tagging", {"labels": ["PERSON", "O"]}),
        ("tagging", {"label_map": {"DRUG": "Drug", "B-D": "B-Drug", "dose": "O"}}),
        ("tagging", {"labels": ["O", "B-X"]}),
        ("classification", {"metrics": ["accuracy", "f1@yes"]}),
        ("retrieval", {"metrics": ["recall@7"]}),
    ],
)
def test_what_a_kind_allows(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    load(str(write(tmp_path, recipe_data(tasks={**TASKS, "mine": task_data(kind, **changes)}))))


# ---- splits


def split(declared: Any, **changes: Any) -> Split:
    return task("classification", languages={"en": {"test": declared}}, **changes).splits["en"]["test"]


JSONL, TSV, HUB = Format("jsonl"), Format("tsv", {"text": "tweet"}, {"quoting": "none"}), Format("hub")
TSV_SECTION = {"type": "tsv", "columns": {"text": "tweet"}, "options": {"quoting": "none"}}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("a.jsonl", Split(FileSource(("a.jsonl",)), JSONL)),
        (["a.jsonl", "b/*.jsonl"], Split(FileSource(("a.jsonl", "b/*.jsonl")), JSONL)),
        ({"files": "a.jsonl", "portion": [0, 80]}, Split(FileSource(("a.jsonl",)), JSONL, (0, 80))),
        ({"files": ["a.tsv"], "format": TSV_SECTION}, Split(FileSource(("a.tsv",)), TSV)),
        (
            {"hub": "someone/data", "split": "dev", "format": {"type": "hub"}},
            Split(HubSource("someone/data", None, "dev"), HUB),
        ),
        (
            {
                "hub": "someone/data",
                "config": "de",
                "split": "train",
                "revision": COMMIT,
                "portion": [90, 100],
                "format": {"type": "hub", "columns": {"text": "sentence"}},
            },
            Split(
                HubSource("someone/data", "de", "train", COMMIT),
                Format("hub", {"text": "sentence"}),
                (90, 100),
            ),
        ),
        (
            {"hub": "a/b", "split": "x", "ref": "refs/convert/parquet", "format": {"type": "hub"}},
            Split(HubSource("a/b", None, "x", ref="refs/convert/parquet"), HUB),
        ),
    ],
)
def test_a_split_is_files_or_a_place_on_the_hub(declared: Any, expected: Split) -> None:
    assert split(declared) == expected


def test_a_format_may_be_each_splits_own(tmp_path: Path) -> None:
    languages = {
        "en": {"train": {"files": "a.tsv", "format": TSV_SECTION}, "test": {"hub": "a/b", "split": "test"}}
    }
    found = task("classification", languages=languages, format=None).splits["en"]
    assert (found["train"].format, found["test"].format) == (TSV, HUB)
    tasks = {**TASKS, "mine": task_data("classification", languages=languages, format=None)}
    load(str(write(tmp_path, recipe_data(tasks=tasks))))


@pytest.mark.parametrize(
    ("declared", "format", "expected"),
    [
        ({"portion": [0, 80]}, "jsonl", "test: is no place of data; give either `files` or `hub`"),
        ({"files": "a", "hub": "a/b", "split": "x"}, "jsonl", "test: is no place of data; give either"),
        ({"files": "a", "portion": [80, 80]}, "jsonl", "test.portion: [80, 80] is empty; write [from, to]"),
        (
            {"files": "a", "split": "x"},
            "jsonl",
            "test.split: belongs to a split on the hub; name it as `hub`",
        ),
        ({"files": "a", "revision": COMMIT}, "jsonl", "test.revision: belongs to a split on the hub"),
        ("a.jsonl", None, "test.format: is missing; say how to read the files, here or for the whole task"),
        ("a.jsonl", "hub", "test.format: 'hub' reads no files; name a reader of files"),
        ({"hub": "a/b"}, "hub", "test.split: is missing; name the hub's split, for example train"),
        (
            {"hub": "a/b", "split": "x"},
            "tsv",
            "test.format: 'tsv' reads files; give this split `format: {type:",
        ),
    ],
)
def test_a_split_that_cannot_be_meant(
    declared: Any, format: str | None, expected: str, tmp_path: Path
) -> None:
    section = {"type": format} if format else None
    (fault,) = task_faults(tmp_path, "classification", languages={"en": {"test": declared}}, format=section)
    assert fault.startswith(f"languages.en.{expected}")


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"files": []}, "files: value should have at least 1 item"),
        ({"hub": "data", "split": "x"}, "hub: string should match pattern"),
        ({"hub": "a/b", "split": "x", "revision": "main"}, "revision: string should match pattern"),
        ({"files": "a", "portion": [0, 101]}, "portion[1]: input should be less than or equal to 100"),
    ],
)
def test_a_split_of_the_wrong_shape(declared: Any, expected: str, tmp_path: Path) -> None:
    (fault,) = task_faults(tmp_path, "classification", languages={"en": {"test": declared}})
    assert fault.startswith(f"languages.en.test.{expected}")

"""The catalogue is data under test: every task complete, unique, cited, and honest about what is unproven."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from adapterstilts.data import readers
from adapterstilts.errors import UsageError
from adapterstilts.metrics import registry, xtreme
from adapterstilts.tasks import catalogue
from adapterstilts.tasks.declare import files, hub, iob, numbered
from adapterstilts.tasks.spec import KINDS, SPLITS, FileSource, Format, HubSource, Split, TaskSpec

TASKS = [catalogue.get(name) for name in catalogue.names()]
LABELLED = ("classification", "multilabel", "tagging")
# Tasks without a licence that could be found; the list may only shrink.
UNLICENSED: set[str] = set()


def splits(task: TaskSpec) -> list[Split]:
    declared = [split for parts in task.splits.values() for split in parts.values()]
    return [part for split in declared for part in (split, *split.also)]


def test_a_task_is_found_by_name_and_a_typo_gets_a_suggestion() -> None:
    assert catalogue.get("dialogue-topics").kind == "classification"
    with pytest.raises(
        UsageError, match="'dialog-topics' is not in the catalogue; did you mean 'dialogue-topics'"
    ):
        catalogue.get("dialog-topics")
    with pytest.raises(UsageError, match="task ls"):
        catalogue.get("zzzzzzzz")


def test_names_are_sorted_and_may_be_written_in_a_recipe() -> None:
    names = catalogue.names()
    assert list(names) == sorted(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{0,63}", name) for name in names)


def test_short_ways_to_declare() -> None:
    assert iob("PER", "LOC") == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    assert numbered("no", "yes") == {"0": "no", "1": "yes"}
    split = files("a.tsv", "tsv", 3, {"text": "x"}, (0, 50), quoting="none")
    assert split == Split(
        FileSource(("a.tsv",)), Format("tsv", {"text": "x"}, {"quoting": "none"}), (0, 50), 3
    )
    assert not hub("a/b", None, "train").source.verified  # type: ignore[union-attr]


def test_two_tasks_of_one_name_are_refused() -> None:
    task = TASKS[0]
    with pytest.raises(ValueError, match=f"'{task.name}' is declared in a and in b"):
        catalogue.collect([("a", [task]), ("b", [task])])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_is_complete(task: TaskSpec) -> None:
    assert task.kind in KINDS
    assert task.domain
    assert task.citation
    assert bool(task.licence) != (task.name in UNLICENSED)
    assert task.metrics or task.kind == "mlm"
    assert bool(task.labels) or task.kind not in LABELLED
    assert len(set(task.labels)) == len(task.labels)
    assert task.splits
    assert task.tokens_per_example > 0
    for language, parts in task.splits.items():
        assert re.fullmatch(r"[a-z]{2,3}(-[A-Za-z]+)?", language)
        assert parts
        assert set(parts) <= set(SPLITS)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_formats_and_options_exist(task: TaskSpec) -> None:
    for split in splits(task):
        assert isinstance(split.source, HubSource) == (split.format.type == "hub")
        if split.format.type != "hub":
            readers.get(split.format.type).settings(split.format.options, split.format.type)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_sizes_are_known(task: TaskSpec) -> None:
    assert all(split.examples is None or split.examples > 0 for split in splits(task))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_label_maps_lead_to_labels(task: TaskSpec) -> None:
    allowed = set(task.labels) if task.labels else {str(number) for number in range(10)}
    kinds = {label[2:] for label in task.labels if label[1:2] == "-"}
    assert {label for label in task.label_map.values() if label is not None} <= allowed | kinds


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_training_tasks_exist_and_fit(task: TaskSpec) -> None:
    if task.train_task is not None:
        other = catalogue.get(task.train_task)
        assert (other.kind, other.labels) == (task.kind, task.labels)
        assert other.languages("train")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_pin_is_a_commit_and_nothing_unpinned_is_called_verified(task: TaskSpec) -> None:
    for split in splits(task):
        if isinstance(split.source, HubSource):
            assert split.source.repo.count("/") == 1
            assert split.source.revision is None or re.fullmatch(r"[0-9a-f]{40}", split.source.revision)
            assert not (split.source.verified and split.source.revision is None)


@pytest.mark.parametrize("name", xtreme.LANGUAGES)
def test_xtreme_is_whole(name: str) -> None:
    assert sorted(catalogue.get(name).languages("test")) == sorted(xtreme.LANGUAGES[name])


def test_the_official_metric_comes_first_and_the_plain_one_beside_it() -> None:
    official = {
        "xnli": ("accuracy",),
        "paws-x": ("accuracy",),
        "udpos": ("udpos_f1", "token_accuracy"),
        "panx": ("span_f1",),
        "xquad": ("squad_em_f1", "squad_f1", "squad_em"),
        "mlqa": ("mlqa_em_f1", "mlqa_f1", "mlqa_em"),
        "tydiqa": ("squad_em_f1", "squad_f1", "squad_em"),
        "bucc": ("bitext_f1",),
        "tatoeba": ("retrieval_accuracy", "mrr"),
        "umsab": ("macro_f1",),
        "tweet-emotion": ("macro_f1",),
        "tweet-hate": ("macro_f1",),
        "tweet-irony": ("f1@irony",),
        "tweet-offensive": ("macro_f1",),
        "tweet-sentiment": ("macro_recall",),
        "tweet-stance": ("macro_f1@against+favor",),
        "tweet-emoji": ("macro_f1",),
        "hatecheck": ("macro_f1", "accuracy", "accuracy_by_part"),
        "afrisenti": ("weighted_f1",),
        "dreaddit": ("f1@stress",),
        "headqa": ("accuracy", "headqa_points"),
        "frenchmedmcqa": ("exact_match", "hamming_score"),
        "cantemist": ("entity_f1", "span_f1"),
        "pharmaconer-brat": ("entity_f1", "span_f1"),
        "squad2": ("squad2_f1", "squad2_em"),
        "masakhane-pos": ("token_accuracy",),
    }
    found = {name: catalogue.get(name).metrics[: len(metrics)] for name, metrics in official.items()}
    assert found == official


@pytest.mark.parametrize(
    "task", [task for task in TASKS if task.kind == "classification"], ids=lambda task: task.name
)
def test_calibration_is_measured_where_there_are_labels(task: TaskSpec) -> None:
    assert "ece" in task.metrics


def test_questions_without_an_answer_are_declared() -> None:
    assert {task.name for task in TASKS if task.unanswerable} == {"squad2"}
    assert all(task.unanswerable == ("squad2_f1" in task.metrics) for task in TASKS)


def test_the_intermediate_tasks_have_training_data() -> None:
    # CCG is missing: its data and its tag list are licensed.
    for name in ("anli-plus", "mnli", "qqp", "squad", "squad2", "hellaswag", "cosmosqa", "commonsenseqa"):
        assert catalogue.get(name).languages("train") == ("en",)


def test_translated_training_data_is_there_for_every_language_and_says_so() -> None:
    for name in ("xnli", "paws-x"):
        task = catalogue.get(name)
        assert set(task.languages("train")) == set(task.splits)
        assert "machine translations" in task.note
    assert catalogue.get("xnli").train_task == "mnli"


@pytest.mark.parametrize("task", [task for task in TASKS if task.kind == "mlm"], ids=lambda task: task.name)
def test_text_to_model_has_no_labels_and_no_test_part(task: TaskSpec) -> None:
    assert not task.labels
    assert not task.metrics
    assert not task.languages("test")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_metrics_exist_and_fit(task: TaskSpec) -> None:
    for metric in task.metrics:
        assert registry.get(metric, language="en", labels=task.labels)
        assert metric.partition("@")[0] in ("f1", *registry.names(task.kind))


def test_listing_tasks_imports_nothing_heavy() -> None:
    code = (
        "import sys; from adapterstilts.tasks import catalogue; import adapterstilts.data.load;"
        "from adapterstilts.data import readers; catalogue.names(); readers.names();"
        "print(sorted({'torch', 'datasets', 'yaml', 'pyarrow', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

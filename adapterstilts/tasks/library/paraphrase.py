"""Paraphrase identification: QQP, and PAWS-X of XTREME."""

from __future__ import annotations

from adapterstilts.tasks.spec import Format, HubSource, Split, TaskSpec

_PAWS = Format("hub", {"text": "sentence1", "text_pair": "sentence2"})
_PAWS_LANGUAGES = ("en", "de", "es", "fr", "ja", "ko", "zh")


def _qqp(split: str, examples: int) -> Split:
    columns = {"text": "question1", "text_pair": "question2", "id": "idx"}
    return Split(HubSource("nyu-mll/glue", "qqp", split), Format("hub", columns), examples=examples)


def _paws(language: str, split: str, examples: int) -> Split:
    source = HubSource("google-research-datasets/paws-x", language, split)
    return Split(source, _PAWS, examples=examples)


def _paws_splits(language: str) -> dict[str, Split]:
    return {
        "train": _paws(language, "train", 49_401),
        "validation": _paws(language, "validation", 2_000),
        "test": _paws(language, "test", 2_000),
    }


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="qqp",
        kind="classification",
        domain="general",
        splits={"en": {"train": _qqp("train", 363_846), "validation": _qqp("validation", 40_430)}},
        metrics=("accuracy", "f1@duplicate", "ece"),
        labels=("not_duplicate", "duplicate"),
        tokens_per_example=33,
        licence="Quora's terms of service, non-commercial",
        citation="Iyer et al. 2017, First Quora Dataset Release: Question Pairs",
    ),
    TaskSpec(
        name="paws-x",
        kind="classification",
        domain="general",
        splits={language: _paws_splits(language) for language in _PAWS_LANGUAGES},
        metrics=("accuracy", "f1@same", "ece"),
        labels=("different", "same"),
        label_map={"0": "different", "1": "same"},
        tokens_per_example=62,
        licence="free use with attribution to Google",
        citation="Yang et al. 2019, PAWS-X: A Cross-lingual Adversarial Dataset",
        note=(
            "Some rows hold the placeholder NS, always labelled different. Validation and test are translations of "
            "one English text, by people. The training parts but the English one are machine translations: "
            "translate-train, not zero-shot. A target of XTREME."
        ),
    ),
)

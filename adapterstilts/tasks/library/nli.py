"""Natural language inference: the English intermediate tasks and XNLI."""

from __future__ import annotations

from adapterstilts.tasks.spec import Format, HubSource, Split, TaskSpec

NLI_LABELS = ("entailment", "neutral", "contradiction")

# A premise has three hypotheses: they are one unit of a resample.
_PAIR = Format("hub", {"text": "premise", "text_pair": "hypothesis", "group": "premise"})
_METRICS = ("accuracy", "macro_f1", "ece")
_XNLI = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")


def _glue(split: str, examples: int) -> Split:
    return Split(HubSource("nyu-mll/glue", "mnli", split), _PAIR, examples=examples)


def _snli(split: str, examples: int) -> Split:
    return Split(HubSource("stanfordnlp/snli", None, split), _PAIR, examples=examples)


def _anli(split: str, examples: int) -> Split:
    rounds = "+".join(f"{split}_r{number}" for number in (1, 2, 3))
    columns = {**_PAIR.columns, "id": "uid"}
    return Split(HubSource("facebook/anli", None, rounds), Format("hub", columns), examples=examples)


def _xnli(language: str, split: str, examples: int) -> Split:
    return Split(HubSource("facebook/xnli", language, split), _PAIR, examples=examples)


def _joined(first: Split, *others: Split) -> Split:
    examples = sum(part.examples or 0 for part in (first, *others))
    return Split(first.source, first.format, first.portion, examples, others)


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="mnli",
        kind="classification",
        domain="general",
        splits={
            "en": {
                "train": _glue("train", 392_702),
                "validation": _glue("validation_matched", 9_815),
                "test": _glue("validation_mismatched", 9_832),
            }
        },
        metrics=_METRICS,
        labels=NLI_LABELS,
        tokens_per_example=42,
        licence="OANC and others (see the data set's card)",
        citation="Williams et al. 2018, A Broad-Coverage Challenge Corpus for Sentence Understanding",
        note="`test` is the mismatched validation part: the real test labels are not public.",
    ),
    TaskSpec(
        name="snli",
        kind="classification",
        domain="general",
        splits={
            "en": {
                "train": _snli("train", 549_367),
                "validation": _snli("validation", 9_842),
                "test": _snli("test", 9_824),
            }
        },
        metrics=_METRICS,
        labels=NLI_LABELS,
        label_map={"-1": None},
        tokens_per_example=28,
        licence="CC-BY-SA-4.0",
        citation="Bowman et al. 2015, A large annotated corpus for learning natural language inference",
        note="Rows without a majority label are left out.",
    ),
    TaskSpec(
        name="anli",
        kind="classification",
        domain="general",
        splits={
            "en": {
                "train": _anli("train", 162_865),
                "validation": _anli("dev", 3_200),
                "test": _anli("test", 3_200),
            }
        },
        metrics=_METRICS,
        labels=NLI_LABELS,
        tokens_per_example=95,
        licence="CC-BY-NC-4.0",
        citation="Nie et al. 2020, Adversarial NLI",
        note="Rounds 1 to 3 together.",
    ),
    TaskSpec(
        name="anli-plus",
        kind="classification",
        domain="general",
        splits={
            "en": {
                "train": _joined(_anli("train", 162_865), _glue("train", 392_702), _snli("train", 549_367)),
                "validation": _joined(
                    _anli("dev", 3_200), _glue("validation_matched", 9_815), _snli("validation", 9_842)
                ),
            }
        },
        metrics=_METRICS,
        labels=NLI_LABELS,
        label_map={"-1": None},
        tokens_per_example=43,
        licence="CC-BY-NC-4.0 and those of mnli and snli",
        citation="Phang et al. 2020, English Intermediate-Task Training Improves Zero-Shot Transfer Too",
        note="ANLI rounds 1 to 3, MNLI and SNLI under one head. It holds the whole of mnli and snli.",
    ),
    TaskSpec(
        name="xnli",
        kind="classification",
        domain="general",
        splits={
            language: {
                "train": _xnli(language, "train", 392_702),
                "validation": _xnli(language, "validation", 2_490),
                "test": _xnli(language, "test", 5_010),
            }
            for language in _XNLI
        },
        metrics=_METRICS,
        labels=NLI_LABELS,
        train_task="mnli",
        tokens_per_example=46,
        licence="CC-BY-NC-4.0",
        citation="Conneau et al. 2018, XNLI: Evaluating Cross-lingual Sentence Representations",
        note=(
            "Validation and test are translations of one English text, by people; rows of a number belong together. "
            "The training parts but the English one are machine translations of MNLI: translate-train, not zero-shot; "
            "as intermediates they are MNLI in another language. A target of XTREME."
        ),
    ),
)

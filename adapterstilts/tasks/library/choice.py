"""Multiple choice: commonsense and reading, the English intermediate tasks; XCOPA."""

from __future__ import annotations

from adapterstilts.tasks.declare import PARQUET, hub
from adapterstilts.tasks.spec import Format, HubSource, Split, TaskSpec


def _hellaswag(split: str, examples: int) -> Split:
    # Several examples come from one video or one article.
    format = Format("hub", {"context": "ctx", "choices": "endings", "id": "ind", "group": "source_id"})
    return Split(HubSource("Rowan/hellaswag", None, split), format, examples=examples)


def _cosmos(split: str, examples: int) -> Split:
    columns = {"choices": "answer0,answer1,answer2,answer3", "group": "context"}
    return hub("allenai/cosmos_qa", None, split, examples, columns, ref=PARQUET)


def _commonsense(split: str, examples: int) -> Split:
    format = Format("hub", {"choices": "choices.text", "label": "answerKey"})
    return Split(HubSource("tau/commonsense_qa", None, split), format, examples=examples)


def _xcopa(language: str, split: str, examples: int) -> Split:
    columns = {"context": "premise", "choices": "choice1,choice2", "id": "idx"}
    return hub("cambridgeltl/xcopa", language, split, examples, columns)


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="hellaswag",
        kind="multiple_choice",
        domain="general",
        splits={"en": {"train": _hellaswag("train", 39_905), "validation": _hellaswag("validation", 10_042)}},
        metrics=("accuracy",),
        tokens_per_example=420,
        licence="MIT",
        citation="Zellers et al. 2019, HellaSwag: Can a Machine Really Finish Your Sentence?",
    ),
    TaskSpec(
        name="cosmosqa",
        kind="multiple_choice",
        domain="general",
        splits={"en": {"train": _cosmos("train", 25_262), "validation": _cosmos("validation", 2_985)}},
        metrics=("accuracy",),
        tokens_per_example=480,
        licence="CC-BY-4.0",
        citation="Huang et al. 2019, Cosmos QA: Reading Comprehension with Commonsense Reasoning",
    ),
    TaskSpec(
        name="commonsenseqa",
        kind="multiple_choice",
        domain="general",
        splits={
            "en": {"train": _commonsense("train", 9_741), "validation": _commonsense("validation", 1_221)}
        },
        metrics=("accuracy",),
        label_map={"A": "0", "B": "1", "C": "2", "D": "3", "E": "4"},
        tokens_per_example=110,
        licence="MIT",
        citation="Talmor et al. 2019, CommonsenseQA: A Challenge Targeting Commonsense Knowledge",
    ),
    TaskSpec(
        name="xcopa",
        kind="multiple_choice",
        domain="general",
        splits={
            language: {
                "validation": _xcopa(language, "validation", 100),
                "test": _xcopa(language, "test", 500),
            }
            for language in ("et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh")
        },
        metrics=("accuracy",),
        train_task="copa",
        tokens_per_example=50,
        licence="CC-BY-4.0",
        citation="Ponti et al. 2020, XCOPA: A Multilingual Dataset for Causal Commonsense Reasoning",
        note="Translations of COPA's validation and test parts. The question is the word cause or effect.",
    ),
)

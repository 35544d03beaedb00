"""Extractive question answering: SQuAD, and the three targets of XTREME."""

from __future__ import annotations

from adapterstilts.tasks.declare import PARQUET, hub
from adapterstilts.tasks.spec import Format, HubSource, Split, TaskSpec

_HUB = Format("hub")
_SQUAD = ("squad_em_f1", "squad_f1", "squad_em")
_XQUAD = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
# language: (validation, test)
_MLQA = {
    "ar": (517, 5_335),
    "de": (512, 4_517),
    "en": (1_148, 11_590),
    "es": (500, 5_253),
    "hi": (507, 4_918),
    "vi": (511, 5_495),
    "zh": (504, 5_137),
}
# language: (train, validation) of SQuAD translated by machine
_TRANSLATED = {
    "ar": (78_058, 9_512),
    "de": (80_069, 9_927),
    "es": (81_810, 10_123),
    "hi": (82_451, 10_253),
    "vi": (84_816, 10_356),
    "zh": (76_285, 9_568),
}
# language: (prefix of the ids, size of the training part, size of the dev part, which XTREME tests on)
_TYDIQA = {
    "ar": ("arabic", 14_805, 921),
    "bn": ("bengali", 2_390, 113),
    "en": ("english", 3_696, 440),
    "fi": ("finnish", 6_855, 782),
    "id": ("indonesian", 5_702, 565),
    "ko": ("korean", 1_625, 276),
    "ru": ("russian", 6_490, 812),
    "sw": ("swahili", 2_755, 499),
    "te": ("telugu", 5_563, 669),
}


def _squad(repo: str, split: str, examples: int) -> Split:
    return Split(HubSource(f"rajpurkar/{repo}", None, split), _HUB, examples=examples)


def _mlqa(language: str, split: str, examples: int) -> Split:
    source = HubSource("google/xtreme", f"MLQA.{language}.{language}", split)
    return Split(source, _HUB, examples=examples)


def _tydiqa(prefix: str, split: str, examples: int) -> Split:
    format = Format("hub", options={"column": "id", "starts_with": f"{prefix}-"})
    return Split(HubSource("google/xtreme", "tydiqa", split), format, examples=examples)


def _tydiqa_splits(language: str) -> dict[str, Split]:
    prefix, train, dev = _TYDIQA[language]
    return {"train": _tydiqa(prefix, "train", train), "test": _tydiqa(prefix, "validation", dev)}


def _translated(language: str) -> dict[str, Split]:
    config, sizes = f"mlqa-translate-train.{language}", _TRANSLATED[language]
    return {
        "train": hub("facebook/mlqa", config, "train", sizes[0], ref=PARQUET),
        "validation": hub("facebook/mlqa", config, "validation", sizes[1], ref=PARQUET),
    }


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="squad",
        kind="span_qa",
        domain="general",
        splits={
            "en": {
                "train": _squad("squad", "train", 87_599),
                "validation": _squad("squad", "validation", 10_570),
            }
        },
        metrics=_SQUAD,
        tokens_per_example=180,
        licence="CC-BY-SA-4.0",
        citation="Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text",
        note="Version 1.1: every question has an answer.",
    ),
    TaskSpec(
        name="squad2",
        kind="span_qa",
        domain="general",
        splits={
            "en": {
                "train": _squad("squad_v2", "train", 130_319),
                "validation": _squad("squad_v2", "validation", 11_873),
            }
        },
        metrics=("squad2_f1", "squad2_em"),
        unanswerable=True,
        tokens_per_example=180,
        licence="CC-BY-SA-4.0",
        citation="Rajpurkar et al. 2018, Know What You Don't Know: Unanswerable Questions for SQuAD",
        note="Version 2.0: a third of the questions has no answer. It holds the questions of squad.",
    ),
    TaskSpec(
        name="squad-translated",
        kind="span_qa",
        domain="general",
        splits={language: _translated(language) for language in _TRANSLATED},
        metrics=_SQUAD,
        tokens_per_example=180,
        licence="CC-BY-SA-3.0",
        citation="Lewis et al. 2020, MLQA; Rajpurkar et al. 2016, SQuAD",
        note=(
            "SQuAD 1.1 as MLQA's authors translated it by machine; questions whose answer was lost on the way are not "
            "in it. Translated intermediate data, or translate-train: not zero-shot."
        ),
    ),
    TaskSpec(
        name="xquad",
        kind="span_qa",
        domain="general",
        splits={
            language: {
                "test": Split(
                    HubSource("google/xquad", f"xquad.{language}", "validation"), _HUB, examples=1_190
                )
            }
            for language in _XQUAD
        },
        metrics=_SQUAD,
        train_task="squad",
        tokens_per_example=210,
        licence="CC-BY-SA-4.0",
        citation="Artetxe et al. 2020, On the Cross-lingual Transferability of Representations",
        note=(
            "Translations from SQuAD's validation data: validate on something else. The scores take the English "
            "normaliser in every language, as XTREME does. A target of XTREME."
        ),
    ),
    TaskSpec(
        name="mlqa",
        kind="span_qa",
        domain="general",
        splits={
            language: {
                "validation": _mlqa(language, "validation", dev),
                "test": _mlqa(language, "test", test),
            }
            for language, (dev, test) in _MLQA.items()
        },
        metrics=("mlqa_em_f1", "mlqa_f1", "mlqa_em"),
        train_task="squad",
        tokens_per_example=230,
        licence="CC-BY-SA-3.0",
        citation="Lewis et al. 2020, MLQA: Evaluating Cross-lingual Extractive Question Answering",
        note=(
            "Question and passage in the same language. Equal ids in several languages are translations. The scores "
            "normalise by language, unlike those of xquad. A target of XTREME."
        ),
    ),
    TaskSpec(
        name="tydiqa",
        kind="span_qa",
        domain="general",
        splits={language: _tydiqa_splits(language) for language in _TYDIQA},
        metrics=_SQUAD,
        tokens_per_example=180,
        licence="Apache-2.0",
        citation="Clark et al. 2020, TyDi QA: A Benchmark for Information-Seeking Question Answering",
        note=(
            "The gold passage task. As in XTREME, `test` is the dev part, and zero-shot training is English. "
            "Questions are not translations."
        ),
    ),
)

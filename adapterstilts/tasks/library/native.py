"""Text of the language itself: tasks that are no translations of English ones.

Files are looked up beside the recipe and below ``--data-dir``.
"""

from __future__ import annotations

from adapterstilts.tasks.declare import PARQUET, files, hub, iob
from adapterstilts.tasks.library.nli import NLI_LABELS
from adapterstilts.tasks.library.tagging import UPOS, WIKIANN
from adapterstilts.tasks.spec import Split, TaskSpec

_SPAN_METRICS = ("span_f1", "strict_span_f1")
_NLI_METRICS = ("accuracy", "macro_f1", "ece")
# language: the code that Masakhane uses
_MASAKHANE = {
    "bbj": "bbj",
    "bm": "bam",
    "ee": "ewe",
    "fon": "fon",
    "ha": "hau",
    "ig": "ibo",
    "lg": "lug",
    "luo": "luo",
    "mos": "mos",
    "ny": "nya",
    "pcm": "pcm",
    "rw": "kin",
    "sn": "sna",
    "sw": "swa",
    "tn": "tsn",
    "tw": "twi",
    "wo": "wol",
    "xh": "xho",
    "yo": "yor",
    "zu": "zul",
}


def _masakhane(repo: str, language: str, tags: str) -> dict[str, Split]:
    return {
        split: hub(f"masakhane/{repo}", _MASAKHANE[language], split, columns={"tags": tags}, ref=PARQUET)
        for split in ("train", "validation", "test")
    }


def _uner(name: str, examples: int) -> Split:
    return files(f"uner/{name}.iob2", "conll", examples, token=1, tag=2, comment="# ")


def _swahili(part: str, examples: int) -> Split:
    return files(f"masakhane-pos/swa/{part}.txt", "conll", examples, separator=" ")


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="ocnli",
        kind="classification",
        domain="general",
        splits={
            "zh": {
                "test": files(
                    "ocnli/dev.json",
                    "jsonl",
                    2_950,
                    {"text": "sentence1", "text_pair": "sentence2", "group": "prem_id"},
                )
            }
        },
        metrics=_NLI_METRICS,
        labels=NLI_LABELS,
        label_map={"-": None},
        train_task="sick",
        tokens_per_example=40,
        licence="CC-BY-NC-2.0",
        citation="Hu et al. 2020, OCNLI: Original Chinese Natural Language Inference",
        note="The validation part; 50 pairs without a majority label are left out.",
    ),
    TaskSpec(
        name="jnli",
        kind="classification",
        domain="general",
        splits={
            "ja": {
                "test": files(
                    "jglue/jnli-v1.3/valid-v1.3.json",
                    "jsonl",
                    2_434,
                    {"text": "sentence1", "text_pair": "sentence2", "id": "sentence_pair_id"},
                )
            }
        },
        metrics=_NLI_METRICS,
        labels=NLI_LABELS,
        train_task="sick",
        tokens_per_example=44,
        licence="CC-BY-SA-4.0",
        citation="Kurihara et al. 2022, JGLUE: Japanese General Language Understanding Evaluation",
        note="The validation part. Sentences are captions of images.",
    ),
    TaskSpec(
        name="jsquad",
        kind="span_qa",
        domain="general",
        splits={"ja": {"test": files("jglue/jsquad-v1.3/valid-v1.3.json", "squad", 4_442)}},
        metrics=("squad_em_f1", "squad_f1", "squad_em"),
        train_task="squad-files",
        tokens_per_example=200,
        licence="CC-BY-SA-4.0",
        citation="Kurihara et al. 2022, JGLUE: Japanese General Language Understanding Evaluation",
        note="The validation part. SQuAD's scores count a Japanese answer as one word; JGLUE's count characters.",
    ),
    TaskSpec(
        name="jcommonsenseqa",
        kind="multiple_choice",
        domain="general",
        splits={
            "ja": {
                "test": files(
                    "jglue/jcommonsenseqa-v1.3/valid-v1.3.json",
                    "jsonl",
                    1_119,
                    {"choices": "choice0,choice1,choice2,choice3,choice4", "id": "q_id"},
                )
            }
        },
        metrics=("accuracy",),
        train_task="codah",
        tokens_per_example=110,
        licence="CC-BY-SA-4.0",
        citation="Kurihara et al. 2022, JGLUE: Japanese General Language Understanding Evaluation",
        note="The validation part.",
    ),
    TaskSpec(
        name="uner",
        kind="tagging",
        domain="general",
        splits={
            "en": {"validation": _uner("en_ewt-ud-dev", 2_001), "test": _uner("en_ewt-ud-test", 2_077)},
            "pt": {"test": _uner("pt_bosque-ud-test", 1_167)},
            "zh": {"validation": _uner("zh_gsd-ud-dev", 500), "test": _uner("zh_gsd-ud-test", 500)},
        },
        metrics=_SPAN_METRICS,
        labels=WIKIANN,
        train_task="panx-files",
        tokens_per_example=32,
        licence="CC-BY-SA-4.0",
        citation="Mayhew et al. 2024, Universal NER: A Gold-Standard Multilingual NER Benchmark",
        note="Names on Universal Dependencies, tagged by people. Its English is that of udpos-files.",
    ),
    TaskSpec(
        name="masakhane-pos",
        kind="tagging",
        domain="general",
        splits={
            "sw": {
                "validation": _swahili("dev", 138),
                "test": _swahili("test", 553),
            }
        },
        metrics=("token_accuracy", "udpos_f1"),
        labels=UPOS,
        train_task="udpos",
        tokens_per_example=46,
        licence="CC-BY-NC-4.0",
        citation="Dione et al. 2023, MasakhaPOS: Part-of-Speech Tagging for African Languages",
        note="Swahili alone, from files; masakhapos-hub has all languages.",
    ),
    TaskSpec(
        name="masakhapos-hub",
        kind="tagging",
        domain="general",
        splits={language: _masakhane("masakhapos", language, "upos") for language in _MASAKHANE},
        metrics=("token_accuracy", "udpos_f1"),
        labels=UPOS,
        train_task="udpos",
        tokens_per_example=46,
        licence="CC-BY-NC-4.0",
        citation="Dione et al. 2023, MasakhaPOS: Part-of-Speech Tagging for African Languages",
        note="Twenty African languages. The official score is accuracy.",
    ),
    TaskSpec(
        name="masakhaner2",
        kind="tagging",
        domain="general",
        splits={language: _masakhane("masakhaner2", language, "ner_tags") for language in _MASAKHANE},
        metrics=_SPAN_METRICS,
        labels=iob("PER", "ORG", "LOC", "DATE"),
        tokens_per_example=36,
        licence="CC-BY-NC-4.0",
        citation="Adelani et al. 2022, MasakhaNER 2.0: Africa-centric Transfer Learning for Named Entity Recognition",
        note="Twenty African languages, none of them English: no other task has its DATE, so map it or leave it out.",
    ),
)

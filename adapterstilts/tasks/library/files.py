"""Small English tasks that need no network, from the files of their repositories; XCOPA's files.

The paths are looked up beside the recipe and below ``--data-dir``: a folder for each data set, in it the
files as its repository has them.
"""

from __future__ import annotations

from adapterstilts.tasks.declare import files
from adapterstilts.tasks.library.nli import NLI_LABELS
from adapterstilts.tasks.spec import Json, Split, TaskSpec

_METRICS = ("accuracy", "macro_f1", "ece")
_XCOPA = ("id", "it", "sw", "th", "tr", "vi", "zh")


def _sick(part: str, examples: int) -> Split:
    columns = {
        "text": "sentence_A",
        "text_pair": "sentence_B",
        "label": "entailment_judgment",
        "id": "pair_ID",
    }
    return files(f"sick2014/SICK_{part}.txt", "tsv", examples, columns)


def _rte(part: str, examples: int) -> Split:
    columns = {"text": "sentence1", "text_pair": "sentence2", "id": "index"}
    return files(f"rte/{part}.tsv", "tsv", examples, columns, quoting="none")


def _conj(part: str, examples: int) -> Split:
    columns = {"text": "Premise", "text_pair": "Hypothesis", "label": "Label"}
    return files(f"conjnli/{part}.tsv", "tsv", examples, columns)


def _revised(part: str, examples: int) -> Split:
    columns = {"text": "sentence1", "text_pair": "sentence2", "label": "gold_label"}
    return files(f"counterfactual-nli/all_combined/{part}.tsv", "tsv", examples, columns, quoting="csv")


def _mrpc(part: str, examples: int) -> Split:
    columns = {"text": "#1 String", "text_pair": "#2 String", "label": "Quality"}
    return files(f"mrpc/msr-para-{part}.tsv", "tsv", examples, columns, quoting="none")


def _codah(part: str, examples: int) -> Split:
    columns = {"context": "prompt", "choices": "a0,a1,a2,a3"}
    header: Json = ["category", "prompt", "a0", "a1", "a2", "a3", "label"]
    return files(f"codah/cv_split/fold_0/{part}.tsv", "tsv", examples, columns, header=header)


def _copa(path: str, examples: int) -> Split:
    columns = {"context": "premise", "choices": "choice1,choice2", "id": "idx"}
    return files(path, "jsonl", examples, columns)


def _xcopa(language: str) -> dict[str, Split]:
    sizes = {"validation": ("val", 100), "test": ("test", 500)}
    return {
        split: _copa(f"xcopa/{language}/{part}.{language}.jsonl", size)
        for split, (part, size) in sizes.items()
    }


def _cosmos(portion: tuple[int, int], examples: int) -> Split:
    columns = {"choices": "answer0,answer1,answer2,answer3", "group": "context"}
    return files("cosmosqa/valid.csv", "csv", examples, columns, portion)


def _squad(part: str, examples: int) -> Split:
    paths = tuple(f"squad-cs224n/{part}.{kind}" for kind in ("context", "question", "answer", "span"))
    return files(paths, "squad_tokens", examples)


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="sick",
        kind="classification",
        domain="general",
        splits={
            "en": {
                "train": _sick("train", 4_500),
                "validation": _sick("trial", 500),
                "test": _sick("test_annotated", 4_927),
            }
        },
        metrics=_METRICS,
        labels=NLI_LABELS,
        label_map={label.upper(): label for label in NLI_LABELS},
        tokens_per_example=28,
        licence="CC-BY-NC-SA-3.0",
        citation="Marelli et al. 2014, A SICK cure for the evaluation of distributional models",
    ),
    TaskSpec(
        name="rte",
        kind="classification",
        domain="general",
        splits={"en": {"train": _rte("train", 2_490), "validation": _rte("dev", 277)}},
        metrics=("accuracy", "ece"),
        labels=("entailment", "not_entailment"),
        tokens_per_example=80,
        licence="research use (GLUE)",
        citation="Dagan et al. 2005, Recognising Textual Entailment; Wang et al. 2019, GLUE",
    ),
    TaskSpec(
        name="conjnli",
        kind="classification",
        domain="general",
        splits={
            "en": {"train": _conj("adversarial_train_15k", 15_000), "validation": _conj("conj_dev", 623)}
        },
        metrics=_METRICS,
        labels=NLI_LABELS,
        tokens_per_example=54,
        licence="MIT (repository); text from Wikipedia, SNLI and MultiNLI",
        citation="Saha et al. 2020, ConjNLI: Natural Language Inference Over Conjunctive Sentences",
        note="The training part is made by rules, the validation part by people.",
    ),
    TaskSpec(
        name="counterfactual-nli",
        kind="classification",
        domain="general",
        splits={
            "en": {
                "train": _revised("train", 8_330),
                "validation": _revised("dev", 1_000),
                "test": _revised("test", 2_000),
            }
        },
        metrics=_METRICS,
        labels=NLI_LABELS,
        tokens_per_example=30,
        licence="Apache-2.0; CC-BY-SA-4.0 (SNLI)",
        citation="Kaushik et al. 2020, Learning the Difference that Makes a Difference with Counterfactual Data",
        note="Pairs of SNLI and four revisions of each, which change its label. A part of snli is in it.",
    ),
    TaskSpec(
        name="mrpc",
        kind="classification",
        domain="general",
        splits={
            "en": {
                "train": _mrpc("train", 3_576),
                "validation": _mrpc("val", 500),
                "test": _mrpc("test", 1_725),
            }
        },
        metrics=("accuracy", "f1@same", "ece"),
        labels=("different", "same"),
        label_map={"0": "different", "1": "same"},
        tokens_per_example=56,
        licence="Microsoft Research data licence",
        citation="Dolan and Brockett 2005, Automatically Constructing a Corpus of Sentential Paraphrases",
    ),
    TaskSpec(
        name="codah",
        kind="multiple_choice",
        domain="general",
        splits={
            "en": {
                "train": _codah("train", 1_665),
                "validation": _codah("dev", 556),
                "test": _codah("test", 555),
            }
        },
        metrics=("accuracy",),
        tokens_per_example=110,
        licence="ODC-By-1.0",
        citation="Chen et al. 2019, CODAH: An Adversarially-Authored Dataset for Common Sense",
        note="Fold 0 of the authors' cross-validation.",
    ),
    TaskSpec(
        name="copa",
        kind="multiple_choice",
        domain="general",
        splits={
            "en": {
                "train": _copa("copa/train-en.jsonl", 400),
                "validation": _copa("copa/val-en.jsonl", 100),
            },
            **{language: _xcopa(language) for language in _XCOPA},
        },
        metrics=("accuracy",),
        tokens_per_example=50,
        licence="BSD-2-Clause (COPA), CC-BY-4.0 (XCOPA)",
        citation="Roemmele et al. 2011, Choice of Plausible Alternatives; Ponti et al. 2020, XCOPA",
        note="COPA in English, seven languages of XCOPA elsewhere. The question is the word cause or effect.",
    ),
    TaskSpec(
        name="cosmosqa-files",
        kind="multiple_choice",
        domain="general",
        splits={"en": {"train": _cosmos((0, 80), 2_412), "validation": _cosmos((80, 100), 573)}},
        metrics=("accuracy",),
        tokens_per_example=480,
        licence="CC-BY-4.0",
        citation="Huang et al. 2019, Cosmos QA: Reading Comprehension with Commonsense Reasoning",
        note="The validation part of cosmosqa, cut 80 to 20 by passage: not comparable with cosmosqa.",
    ),
    TaskSpec(
        name="squad-files",
        kind="span_qa",
        domain="general",
        splits={
            "en": {"train": _squad("all_val/val", 4_284), "validation": _squad("small_train/train", 600)}
        },
        metrics=("squad_em_f1", "squad_f1", "squad_em"),
        tokens_per_example=180,
        licence="CC-BY-SA-4.0",
        citation="Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text",
        note="Tokenised questions of SQuAD's training part, as in the assignments of Stanford's CS224n.",
    ),
)

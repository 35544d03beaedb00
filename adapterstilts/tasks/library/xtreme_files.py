"""XTREME without a network: its targets from the files of their repositories.

XTREME strips the labels of its test files, so that ``-files`` tasks test on what is labelled, and say so. The
paths are looked up beside the recipe and below ``--data-dir``.
"""

from __future__ import annotations

from adapterstilts.tasks.declare import files
from adapterstilts.tasks.library.nli import NLI_LABELS
from adapterstilts.tasks.library.retrieval import TATOEBA
from adapterstilts.tasks.library.tagging import UPOS, WIKIANN
from adapterstilts.tasks.spec import Json, Split, TaskSpec

_EM_F1 = ("squad_em_f1", "squad_f1", "squad_em")
_SPAN_METRICS = ("span_f1", "strict_span_f1")
_NLI_METRICS = ("accuracy", "macro_f1", "ece")
_XNLI = ("ar", "de", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "vi", "zh")
_PAWS = ("en", "de", "es", "fr", "ja", "zh")
_PANX = ("ar", "de", "es", "fr", "hi", "ru", "sw", "tr", "vi", "zh")
_XQUAD = ("ar", "de", "en", "es", "hi", "th", "vi", "zh")
_MLQA = {"de": 512, "en": 1_148, "es": 500, "vi": 511, "zh": 504}
_TATOEBA = (
    *("af", "ar", "bg", "bn", "de", "el", "es", "et", "eu", "fa", "fi", "fr", "he", "hi", "hu", "id", "it"),
    *("ja", "ka", "kk", "ko", "nl", "pt", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
)
_SMALLER = {"ka": 746, "kk": 575, "sw": 390, "th": 548}
# language: (treebank, file, sentences)
_TREEBANKS = {
    "ar": ("Arabic-PUD", "ar_pud", 1_000),
    "de": ("German-GSD", "de_gsd", 977),
    "es": ("Spanish-GSD", "es_gsd", 427),
    "fr": ("French-GSD", "fr_gsd", 416),
    "hi": ("Hindi-PUD", "hi_pud", 1_000),
    "ja": ("Japanese-GSD", "ja_gsd", 543),
    "ko": ("Korean-GSD", "ko_gsd", 989),
    "ru": ("Russian-GSD", "ru_gsd", 601),
    "ta": ("Tamil-TTB", "ta_ttb", 120),
    "tr": ("Turkish-IMST", "tr_imst", 1_100),
    "vi": ("Vietnamese-VTB", "vi_vtb", 800),
    "yo": ("Yoruba-YTB", "yo_ytb", 317),
    "zh": ("Chinese-GSD", "zh_gsd", 500),
}


def _xnli(language: str) -> dict[str, Split]:
    columns = {"text": "premise", "text_pair": "hypothesis", "group": "premise"}
    header: Json = ["premise", "hypothesis", "label"]
    return {"test": files(f"xnli/dev-{language}.tsv", "tsv", 2_490, columns, header=header)}


def _gold_xnli(path: str, first: str, second: str, label: str) -> dict[str, Split]:
    columns = {"text": first, "text_pair": second, "label": label, "group": first}
    return {"test": files(path, "tsv", 5_010, columns, quoting="none")}


def _paws(language: str) -> dict[str, Split]:
    columns = {"text": "sentence1", "text_pair": "sentence2"}
    header: Json = ["sentence1", "sentence2", "label"]
    path = f"pawsx/dev-{language}.tsv"
    return {"test": files(path, "tsv", 2_000, columns, header=header, quoting="csv")}


def _panx(name: str, examples: int) -> Split:
    return files(f"panx/{name}.tsv", "conll", examples)


def _ud(treebank: str, file: str, examples: int) -> Split:
    return files(f"ud/UD_{treebank}/{file}.conllu", "conllu", examples)


def _squad(path: str, examples: int) -> Split:
    return files(path, "squad", examples)


def _mlqa(language: str) -> dict[str, Split]:
    path = f"mlqa/MLQA_V1/dev/dev-context-{language}-question-{language}.json"
    return {"test": _squad(path, _MLQA[language])}


def _tatoeba(language: str) -> dict[str, Split]:
    stem = f"tatoeba/tatoeba.{TATOEBA[language]}-eng"
    paths = (f"{stem}.eng", f"{stem}.{TATOEBA[language]}")
    return {"test": files(paths, "parallel", _SMALLER.get(language, 1_000), names=["source", "target"])}


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="xnli-files",
        kind="classification",
        domain="general",
        splits={language: _xnli(language) for language in _XNLI},
        metrics=_NLI_METRICS,
        labels=NLI_LABELS,
        train_task="sick",
        tokens_per_example=46,
        licence="CC-BY-NC-4.0",
        citation="Conneau et al. 2018, XNLI: Evaluating Cross-lingual Sentence Representations",
        note="Tests on the validation part in XTREME's layout, and trains on SICK: not comparable with xnli.",
    ),
    TaskSpec(
        name="xnli-gold-files",
        kind="classification",
        domain="general",
        splits={
            "ko": _gold_xnli("kornli/xnli.test.ko.tsv", "sentence1", "sentence2", "gold_label"),
            "my": _gold_xnli("myxnli/my.genre.test.tsv", "sentence1_my", "sentence2_my", "label"),
            "sw": _gold_xnli("myxnli/sw.genre.test.tsv", "sentence1_sw", "sentence2_sw", "label"),
        },
        metrics=_NLI_METRICS,
        labels=NLI_LABELS,
        train_task="sick",
        tokens_per_example=46,
        licence="CC-BY-NC-4.0 (my, sw), CC-BY-SA-4.0 (ko)",
        citation="Conneau et al. 2018, XNLI; Ham et al. 2020, KorNLI; Htet and Dras 2024, myXNLI",
        note="XNLI's test part where its labels are public as files: Swahili, and the later Burmese and Korean.",
    ),
    TaskSpec(
        name="paws-x-files",
        kind="classification",
        domain="general",
        splits={language: _paws(language) for language in _PAWS},
        metrics=("accuracy", "f1@same", "ece"),
        labels=("different", "same"),
        label_map={"0": "different", "1": "same"},
        train_task="mrpc",
        tokens_per_example=62,
        licence="free use with attribution to Google",
        citation="Yang et al. 2019, PAWS-X: A Cross-lingual Adversarial Dataset",
        note="Tests on the validation part, and trains on MRPC: not comparable with paws-x.",
    ),
    TaskSpec(
        name="udpos-files",
        kind="tagging",
        domain="general",
        splits={
            "en": {
                "train": _ud("English-EWT", "en_ewt-ud-train", 3_500),
                "test": _ud("English-EWT", "en_ewt-ud-dev", 2_001),
            },
            **{
                language: {"test": _ud(treebank, f"{stem}-ud-test", examples)}
                for language, (treebank, stem, examples) in _TREEBANKS.items()
            },
        },
        metrics=("udpos_f1", "token_accuracy"),
        labels=UPOS,
        tokens_per_example=32,
        licence="CC-BY-SA-4.0 (EWT, GSD, VTB, YTB), CC-BY-SA-3.0 (PUD), CC-BY-NC-SA (IMST, TTB)",
        citation="Nivre et al. 2020, Universal Dependencies v2",
        note="One treebank a language, of a later release, and a part of the English one: not comparable with udpos.",
    ),
    TaskSpec(
        name="panx-files",
        kind="tagging",
        domain="general",
        splits={
            "en": {"train": _panx("train-en", 20_000), "test": _panx("dev-en", 10_000)},
            **{
                language: {"test": _panx(f"dev-{language}", 1_000 if language in ("hi", "sw") else 10_000)}
                for language in _PANX
            },
        },
        metrics=_SPAN_METRICS,
        labels=WIKIANN,
        tokens_per_example=16,
        licence="ODC-By (annotation), CC-BY-SA (text)",
        citation="Pan et al. 2017, Cross-lingual Name Tagging; split of Rahimi et al. 2019",
        note="Tests on the validation part in XTREME's layout: not comparable with panx.",
    ),
    TaskSpec(
        name="panx-gold-files",
        kind="tagging",
        domain="general",
        splits={
            language: {
                "test": files(f"wikiann-babelscape/{language}/test.conllu", "conll", 10_000, token=1, tag=2)
            }
            for language in ("de", "es")
        },
        metrics=_SPAN_METRICS,
        labels=WIKIANN,
        train_task="panx-files",
        tokens_per_example=16,
        licence="CC-BY-NC-SA-4.0 (repository)",
        citation="Pan et al. 2017, Cross-lingual Name Tagging; split of Rahimi et al. 2019",
        note="PAN-X's test part with its labels, from the repository of WikiNEuRal.",
    ),
    TaskSpec(
        name="tydiqa-files",
        kind="span_qa",
        domain="general",
        splits={
            "en": {"train": _squad("tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.en.train.json", 3_696)},
            "sw": {"test": _squad("tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.sw.train.json", 2_755)},
        },
        metrics=_EM_F1,
        tokens_per_example=180,
        licence="Apache-2.0",
        citation="Clark et al. 2020, TyDi QA: A Benchmark for Information-Seeking Question Answering",
        note="Tests on the Swahili training part, the one with answers: not comparable with tydiqa.",
    ),
    TaskSpec(
        name="xquad-files",
        kind="span_qa",
        domain="general",
        splits={language: {"test": _squad(f"xquad/xquad.{language}.json", 1_190)} for language in _XQUAD},
        metrics=_EM_F1,
        train_task="tydiqa-files",
        tokens_per_example=210,
        licence="CC-BY-SA-4.0",
        citation="Artetxe et al. 2020, On the Cross-lingual Transferability of Representations",
        note="Trains on the English part of TyDiQA, not on SQuAD: not comparable with xquad.",
    ),
    TaskSpec(
        name="mlqa-files",
        kind="span_qa",
        domain="general",
        splits={language: _mlqa(language) for language in _MLQA},
        metrics=("mlqa_em_f1", "mlqa_f1", "mlqa_em"),
        train_task="squad-files",
        tokens_per_example=230,
        licence="CC-BY-SA-3.0",
        citation="Lewis et al. 2020, MLQA: Evaluating Cross-lingual Extractive Question Answering",
        note="Tests on the validation part, and trains on a part of SQuAD: not comparable with mlqa.",
    ),
    TaskSpec(
        name="tatoeba-files",
        kind="retrieval",
        domain="general",
        splits={language: _tatoeba(language) for language in _TATOEBA},
        metrics=("retrieval_accuracy", "mrr"),
        tokens_per_example=22,
        licence="CC-BY-2.0-FR",
        citation="Artetxe and Schwenk 2019, Massively Multilingual Sentence Embeddings (LASER); tatoeba.org",
        note="As tatoeba, in 30 of its 36 languages. English sentences differ between languages.",
    ),
)

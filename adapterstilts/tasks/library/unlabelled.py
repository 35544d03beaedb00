"""Text to go on with masked language modelling on: domain adapters need no labels.

Training parts of labelled tasks of a domain, without their labels and without their validation and test texts.
"""

from __future__ import annotations

from dataclasses import replace

from adapterstilts.tasks.declare import files
from adapterstilts.tasks.spec import Split, TaskSpec

_UMSAB = {"en": "english", "de": "german", "es": "spanish", "fr": "french", "hi": "hindi"}
_E3C = {"en": ("English", 669), "es": ("Spanish", 455), "fr": ("French", 504), "it": ("Italian", 451)}


def _lines(path: str, examples: int) -> Split:
    return files(path, "parallel", examples, names=["text"])


def _tokens(path: str, examples: int, separator: str = "\t") -> Split:
    """Return sentences of tokens, joined by spaces."""
    return files(path, "conll", examples, {"text": "tokens"}, tag=None, separator=separator)


def _joined(first: Split, *others: Split) -> Split:
    examples = sum(part.examples or 0 for part in (first, *others))
    return replace(first, examples=examples, also=others)


def _tweets(language: str) -> dict[str, Split]:
    folder = f"umsab/{_UMSAB[language]}"
    train, validation = _lines(f"{folder}/train_text.txt", 1_839), _lines(f"{folder}/val_text.txt", 324)
    if language == "en":
        others = (("emotion", 3_257), ("hate", 8_993), ("irony", 2_862))
        train = _joined(train, *(_lines(f"tweeteval/{name}/train_text.txt", size) for name, size in others))
    return {"train": train, "validation": validation}


def _clinical(language: str) -> dict[str, Split]:
    folder, examples = _E3C[language]
    train = _tokens(f"e3c/layer1/{folder}/train.txt", examples, " ")
    if language != "en":
        return {"train": train}
    abstracts = files(
        ("pubmedqa/ori_pqal.json", "pubmedqa/test_ground_truth.json"),
        "json",
        500,
        {"text": "CONTEXTS"},
        records="*",
        key="id",
        drop_keys="test_ground_truth.json",
    )
    corpora = "mtl-bioinformatics"
    sentences = (
        _tokens(f"{corpora}/BC5CDR-IOB/train.tsv", 4_560),
        _tokens(f"{corpora}/NCBI-disease-IOB/train.tsv", 5_424),
    )
    return {
        "train": _joined(abstracts, train, *sentences),
        "validation": _tokens(f"{corpora}/NCBI-disease-IOB/devel.tsv", 923),
    }


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="tweet-mlm",
        kind="mlm",
        domain="social",
        splits={language: _tweets(language) for language in _UMSAB},
        metrics=(),
        tokens_per_example=32,
        licence="Apache-2.0 (repository); tweets under Twitter's terms",
        citation="Barbieri et al. 2022, XLM-T; Barbieri et al. 2020, TweetEval",
        note="Training parts of umsab-files, in English also of tweet-emotion, tweet-hate and tweet-irony.",
    ),
    TaskSpec(
        name="biomedical-mlm",
        kind="mlm",
        domain="biomedical",
        splits={language: _clinical(language) for language in _E3C},
        metrics=(),
        tokens_per_example=60,
        licence="MIT (PubMedQA), CC-BY-4.0 (BC5CDR, NCBI), CC-BY-NC-4.0 (E3C)",
        citation="Jin et al. 2019, PubMedQA; Li et al. 2016, BC5CDR; Dogan et al. 2014, NCBI; Magnini et al. 2020, E3C",
        note=(
            "Training parts of pubmedqa (abstracts), bc5cdr and ncbi-disease in English, of e3c in all languages. "
            "Sentences of tagged corpora are tokens with spaces between them."
        ),
    ),
)

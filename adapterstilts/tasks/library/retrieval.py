"""Sentence retrieval of XTREME: no training; one sentence of a pair is English."""

from __future__ import annotations

from adapterstilts.tasks.declare import files, hub
from adapterstilts.tasks.spec import Format, HubSource, Split, TaskSpec

# In both data sets the English sentence is the hub's `target_sentence`.
_ENGLISH_FIRST = Format("hub", {"source": "target_sentence", "target": "source_sentence"})

# ISO 639-1 code: the code of Tatoeba
TATOEBA = {
    "af": "afr",
    "ar": "ara",
    "bg": "bul",
    "bn": "ben",
    "de": "deu",
    "el": "ell",
    "es": "spa",
    "et": "est",
    "eu": "eus",
    "fa": "pes",
    "fi": "fin",
    "fr": "fra",
    "he": "heb",
    "hi": "hin",
    "hu": "hun",
    "id": "ind",
    "it": "ita",
    "ja": "jpn",
    "jv": "jav",
    "ka": "kat",
    "kk": "kaz",
    "ko": "kor",
    "ml": "mal",
    "mr": "mar",
    "nl": "nld",
    "pt": "por",
    "ru": "rus",
    "sw": "swh",
    "ta": "tam",
    "te": "tel",
    "th": "tha",
    "tl": "tgl",
    "tr": "tur",
    "ur": "urd",
    "vi": "vie",
    "zh": "cmn",
}
# language: gold pairs of (dev part, test part)
_BUCC = {"de": (1_038, 9_580), "fr": (929, 9_086), "ru": (1_374, 14_435), "zh": (257, 1_899)}
# (language, split): gold pairs and sentences without a partner
_BUCC_SENTENCES = {("zh", "validation"): 21_956}
_SMALLER = {"jv": 205, "ka": 746, "kk": 575, "ml": 687, "sw": 390, "ta": 307, "te": 234, "th": 548}


def _tatoeba(language: str) -> Split:
    source = HubSource("google/xtreme", f"tatoeba.{TATOEBA[language]}", "validation")
    return Split(source, _ENGLISH_FIRST, examples=_SMALLER.get(language, 1_000))


def _bucc(language: str) -> dict[str, Split]:
    columns = {
        "source": "first",
        "source_id": "first_id",
        "target": "second",
        "target_id": "second_id",
    }
    # The reader wants the pairs, then the sentences of the language, then the English ones.
    stems = {"validation": f"bucc2018/{language}-en.dev", "test": f"bucc2018/{language}-en.test"}
    return {
        split: files(
            (f"{stem}.gold", f"{stem}.{language}", f"{stem}.en"),
            "id_pairs",
            _BUCC_SENTENCES.get((language, split)),
            columns,
            unpaired="keep",
        )
        for split, stem in stems.items()
    }


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="tatoeba",
        kind="retrieval",
        domain="general",
        splits={language: {"test": _tatoeba(language)} for language in TATOEBA},
        metrics=("retrieval_accuracy", "mrr"),
        tokens_per_example=22,
        licence="CC-BY-2.0-FR",
        citation="Artetxe and Schwenk 2019, Massively Multilingual Sentence Embeddings (LASER); tatoeba.org",
        note="English sentences differ between languages: scores of two languages are not comparable.",
    ),
    TaskSpec(
        name="bucc",
        kind="retrieval",
        domain="general",
        splits={language: _bucc(language) for language in _BUCC},
        metrics=("bitext_f1",),
        tokens_per_example=60,
        licence="research use (BUCC shared task)",
        citation="Zweigenbaum et al. 2018, Overview of the Third BUCC Shared Task",
        note=(
            "The files of XTREME: all sentences of both sides and the gold pairs, which XTREME has for the dev part "
            "only; its test part is the shared task's training part, whose gold is `bucc2018-*-en.training-gold`. "
            "A target of XTREME."
        ),
    ),
    TaskSpec(
        name="bucc2018-pairs",
        kind="retrieval",
        domain="general",
        splits={
            language: {
                split: hub("google/xtreme", f"bucc18.{language}", split, examples, _ENGLISH_FIRST.columns)
                for split, examples in zip(("validation", "test"), sizes, strict=True)
            }
            for language, sizes in _BUCC.items()
        },
        metrics=("retrieval_accuracy", "mrr"),
        tokens_per_example=60,
        licence="research use (BUCC shared task)",
        citation="Zweigenbaum et al. 2018, Overview of the Third BUCC Shared Task",
        note="Gold pairs only, ranked among themselves: not XTREME's task, which is bucc.",
    ),
)

r"""Sequence labelling of XTREME: parts of speech and names.

CCG supertagging, an intermediate task of the paper, is not here: CCGbank is licensed, and its tag list, which a
task has to declare, comes with it. It is a task of a user's own recipe, from files of one token and its category
a line, a tab between them and an empty line after each sentence::

    tasks:
      ccg:
        kind: tagging
        labels: ccg/labels.txt      # every category of the training part, one a line
        metrics: [token_accuracy]
        languages: {en: {train: ccg/train.tsv, validation: ccg/dev.tsv}}
        format: {type: conll}
"""

from __future__ import annotations

from adapterstilts.tasks.declare import hub
from adapterstilts.tasks.spec import Split, TaskSpec

UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT"),
    *("SCONJ", "SYM", "VERB", "X"),
)
WIKIANN = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")

# language: (the hub's name, its train, validation and test sentences; 0: no such part)
_TREEBANKS = {
    "af": ("Afrikaans", 1_315, 194, 425),
    "ar": ("Arabic", 6_075, 909, 1_680),
    "bg": ("Bulgarian", 8_907, 1_115, 1_116),
    "de": ("German", 166_849, 19_233, 22_458),
    "el": ("Greek", 28_152, 2_559, 2_809),
    "en": ("English", 21_253, 3_974, 5_440),
    "es": ("Spanish", 28_492, 3_054, 3_147),
    "et": ("Estonian", 25_749, 3_125, 3_214),
    "eu": ("Basque", 5_396, 1_798, 1_799),
    "fa": ("Persian", 4_798, 599, 600),
    "fi": ("Finnish", 27_198, 3_239, 4_422),
    "fr": ("French", 47_308, 5_979, 9_465),
    "he": ("Hebrew", 5_241, 484, 491),
    "hi": ("Hindi", 13_304, 1_659, 2_684),
    "hu": ("Hungarian", 910, 441, 449),
    "id": ("Indonesian", 4_477, 559, 1_557),
    "it": ("Italian", 29_685, 2_278, 3_518),
    "ja": ("Japanese", 47_926, 8_938, 10_253),
    "kk": ("Kazakh", 31, 0, 1_047),
    "ko": ("Korean", 27_410, 3_016, 4_276),
    "mr": ("Marathi", 373, 46, 47),
    "nl": ("Dutch", 18_051, 1_394, 1_471),
    "pt": ("Portuguese", 17_992, 1_770, 2_681),
    "ru": ("Russian", 67_435, 9_960, 11_336),
    "ta": ("Tamil", 400, 80, 120),
    "te": ("Telugu", 1_051, 131, 146),
    "th": ("Thai", 0, 0, 1_000),
    "tl": ("Tagalog", 0, 0, 55),
    "tr": ("Turkish", 3_664, 988, 4_785),
    "ur": ("Urdu", 4_043, 552, 535),
    "vi": ("Vietnamese", 1_400, 800, 800),
    "yo": ("Yoruba", 0, 0, 100),
    "zh": ("Chinese", 18_998, 3_038, 5_528),
}
# language: training sentences; validation and test have 10,000 each beside 10,000 and more, else as many,
# but 1,000 where `_SHORT` says so.
_WIKIPEDIAS = {
    **dict.fromkeys(("ar", "bg", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hu", "id", "it"), 20_000),
    **dict.fromkeys(("ja", "ko", "ms", "nl", "pt", "ru", "th", "tr", "ur", "vi", "zh"), 20_000),
    **dict.fromkeys(("et", "ta"), 15_000),
    **dict.fromkeys(("bn", "eu", "ka", "ml", "tl"), 10_000),
    **dict.fromkeys(("af", "hi", "mr"), 5_000),
    **dict.fromkeys(("kk", "sw", "te"), 1_000),
    **dict.fromkeys(("jv", "my", "yo"), 100),
}
_SHORT = ("af", "bn", "hi", "ml", "mr", "ms", "ta", "tl", "ur")


def _udpos(language: str) -> dict[str, Split]:
    name, *sizes = _TREEBANKS[language]
    parts = zip(("train", "validation", "test"), sizes, strict=True)
    columns = {"tags": "pos_tags"}
    return {
        split: hub("google/xtreme", f"udpos.{name}", split, size, columns) for split, size in parts if size
    }


def _panx(language: str) -> dict[str, Split]:
    train = _WIKIPEDIAS[language]
    held_out = 1_000 if language in _SHORT else min(train, 10_000)
    sizes = {"train": train, "validation": held_out, "test": held_out}
    return {
        split: hub("google/xtreme", f"PAN-X.{language}", split, size, {"tags": "ner_tags"})
        for split, size in sizes.items()
    }


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="udpos",
        kind="tagging",
        domain="general",
        splits={language: _udpos(language) for language in sorted(_TREEBANKS)},
        metrics=("udpos_f1", "token_accuracy"),
        labels=UPOS,
        tokens_per_example=32,
        licence="Universal Dependencies 2.5, one licence a treebank",
        citation="Nivre et al. 2020, Universal Dependencies v2",
        note=(
            "The main score is XTREME's: an F1 of merged neighbours, not an accuracy. XTREME trains on English. "
            "The hub's words are the syntactic ones, where XTREME's own script joins them (French du, not de le). By "
            "their sizes, its de, el, fr, ru and zh also hold treebanks of Swiss German, Ancient Greek, Old French, "
            "Old Russian and Classical Chinese, and its it those of postwita. A target of XTREME."
        ),
    ),
    TaskSpec(
        name="panx",
        kind="tagging",
        domain="general",
        splits={language: _panx(language) for language in sorted(_WIKIPEDIAS)},
        metrics=("span_f1", "strict_span_f1"),
        labels=WIKIANN,
        tokens_per_example=16,
        licence="ODC-By (annotation), CC-BY-SA (text)",
        citation="Pan et al. 2017, Cross-lingual Name Tagging; split of Rahimi et al. 2019",
        note="Silver tags from links of Wikipedia. XTREME trains on English. A target of XTREME.",
    ),
)

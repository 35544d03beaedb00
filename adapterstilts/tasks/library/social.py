"""Social media: sentiment, hate speech, stress, and names in tweets, from the files of their repositories.

The paths are looked up beside the recipe and below ``--data-dir``. Several of these data sets hold hateful or
distressing text.
"""

from __future__ import annotations

from dataclasses import replace

from adapterstilts.tasks.declare import PARQUET, files, hub, iob, numbered
from adapterstilts.tasks.library.tagging import UPOS
from adapterstilts.tasks.spec import FileSource, Format, HubSource, Split, TaskSpec

_POLARITY = ("negative", "neutral", "positive")
_DIGITS = {"0": "negative", "1": "neutral", "2": "positive"}
_CONLL = Format("conll")
_SPAN_METRICS = ("span_f1", "strict_span_f1")
_PARTS = {"train": "train", "validation": "val", "test": "test"}
_UMSAB_FILES = {"en": "english", "de": "german", "es": "spanish", "fr": "french", "hi": "hindi"}
_UMSAB_HUB = {"ar": "arabic", **_UMSAB_FILES, "it": "italian", "pt": "portuguese"}
_STANCES = {
    "abortion": {"train": 587, "validation": 66, "test": 280},
    "atheism": {"train": 461, "validation": 52, "test": 220},
    "climate": {"train": 355, "validation": 40, "test": 169},
    "feminist": {"train": 597, "validation": 67, "test": 285},
    "hillary": {"train": 620, "validation": 69, "test": 295},
}
_EMOJI = (
    *("❤", "😍", "😂", "💕", "🔥", "😊", "😎", "✨", "💙", "😘"),
    *("📷", "🇺🇸", "☀", "💜", "😉", "💯", "😁", "🎄", "📸", "😜"),
)
_HATECHECKS = {
    "ar": "arabic",
    "de": "german",
    "es": "spanish",
    "fr": "french",
    "hi": "hindi",
    "it": "italian",
    "nl": "dutch",
    "pl": "polish",
    "pt": "portuguese",
    "zh": "mandarin",
}
_AFRISENTI = {
    "am": "amh",
    "arq": "arq",
    "ary": "ary",
    "ha": "hau",
    "ig": "ibo",
    "om": "orm",
    "pcm": "pcm",
    "pt": "por",
    "rw": "kin",
    "sw": "swa",
    "ti": "tir",
    "ts": "tso",
    "tw": "twi",
    "yo": "yor",
}
_UMSAB_SIZES = {"train": 1_839, "validation": 324, "test": 870}


def _lines(folder: str, split: str, examples: int) -> Split:
    """Return texts and labels in line-parallel files, as the Cardiff repositories have them."""
    stem = f"{folder}/{_PARTS[split]}"
    return Split(
        FileSource((f"{stem}_text.txt", f"{stem}_labels.txt")), Format("parallel"), examples=examples
    )


def _umsab(language: str) -> dict[str, Split]:
    repo, ref = "cardiffnlp/tweet_sentiment_multilingual", "refs/convert/parquet"
    source = {split: HubSource(repo, _UMSAB_HUB[language], split, ref=ref) for split in _UMSAB_SIZES}
    return {split: Split(source[split], Format("hub"), examples=size) for split, size in _UMSAB_SIZES.items()}


def _umsab_files(language: str) -> dict[str, Split]:
    folder = f"umsab/{_UMSAB_FILES[language]}"
    return {split: _lines(folder, split, size) for split, size in _UMSAB_SIZES.items()}


def _umsab_task(name: str, splits: dict[str, dict[str, Split]]) -> TaskSpec:
    return TaskSpec(
        name=name,
        kind="classification",
        domain="social",
        splits=splits,
        metrics=("macro_f1", "accuracy", "ece"),
        labels=_POLARITY,
        label_map=_DIGITS,
        tokens_per_example=32,
        licence="Apache-2.0 (repository); tweets under Twitter's terms",
        citation="Barbieri et al. 2022, XLM-T: Multilingual Language Models in Twitter",
        note="The paper's score is macro-F1. The English part is the twin of the others.",
    )


def _tweeteval(name: str, train: int, validation: int, test: int) -> dict[str, dict[str, Split]]:
    sizes = {"train": train, "validation": validation, "test": test}
    return {"en": {split: _lines(f"tweeteval/{name}", split, size) for split, size in sizes.items()}}


def _cases(id: str) -> dict[str, str]:
    return {"text": "test_case", "label": "label_gold", "group": "functionality,templ_id", "id": id}


def _hatecheck(language: str, examples: int) -> dict[str, Split]:
    path = f"multilingual-hatecheck/hatecheck_cases_final_{language}.csv"
    return {"test": files(path, "csv", examples, _cases("mhc_case_id"))}


def _hatecheck_task(name: str, splits: dict[str, dict[str, Split]]) -> TaskSpec:
    return TaskSpec(
        name=name,
        kind="classification",
        domain="social",
        splits=splits,
        metrics=("macro_f1", "accuracy", "accuracy_by_part", "ece"),
        labels=("not-hate", "hate"),
        label_map={"non-hateful": "not-hate", "hateful": "hate"},
        train_task="tweet-hate",
        tokens_per_example=18,
        licence="CC-BY-4.0",
        citation="Roettger et al. 2021, HateCheck; Roettger et al. 2022, Multilingual HateCheck",
        note=(
            "Functional tests from templates; the paper reports accuracy for each functionality, which is the part of "
            "an example here. The English part is the twin of the others."
        ),
    )


def _stance(split: str) -> Split:
    """Return all five topics: TweetEval scores them together."""
    parts = [
        hub("cardiffnlp/tweet_eval", f"stance_{topic}", split, sizes[split])
        for topic, sizes in _STANCES.items()
    ]
    total = sum(part.examples or 0 for part in parts)
    return replace(parts[0], examples=total, also=tuple(parts[1:]))


def _tweeteval_hub(name: str, train: int, validation: int, test: int) -> dict[str, dict[str, Split]]:
    sizes = {"train": train, "validation": validation, "test": test}
    return {"en": {split: hub("cardiffnlp/tweet_eval", name, split, size) for split, size in sizes.items()}}


def _conll(path: str, examples: int, format: Format = _CONLL) -> Split:
    return Split(FileSource((path,)), format, examples=examples)


def _broad(examples: int, portion: tuple[int, int]) -> Split:
    return Split(FileSource(("broad-twitter/h.conll",)), _CONLL, portion, examples)


def _xlime_sentiment(folder: str, examples: int) -> dict[str, Split]:
    format = Format("tsv", options={"quoting": "none"})
    return {"test": Split(FileSource((f"xlime/{folder}_sentiment.tsv",)), format, examples=examples)}


def _afrisenti(path: str, examples: int) -> Split:
    format = Format("tsv", {"text": "tweet"}, {"quoting": "csv"})
    return Split(FileSource((f"afrisenti/{path}.tsv",)), format, examples=examples)


def _dreaddit(part: str, portion: tuple[int, int], examples: int) -> Split:
    # Several segments come from one post; they stay on one side.
    format = Format("csv", {"group": "post_id"}, {"encoding": "cp1252"})
    return Split(FileSource((f"dreaddit/dreaddit-{part}.csv",)), format, portion, examples)


def _afrisenti_hub(language: str) -> dict[str, Split]:
    names = ("validation", "test") if language in ("om", "ti") else ("train", "validation", "test")
    repo, columns = "shmuhammad/AfriSenti-twitter-sentiment", {"text": "tweet"}
    return {split: hub(repo, _AFRISENTI[language], split, columns=columns, ref=PARQUET) for split in names}


_AFRISENTI_METRICS = ("weighted_f1", "accuracy", "ece")
_AFRISENTI_PAPER = "Muhammad et al. 2023, AfriSenti: A Sentiment Benchmark for African Languages"
_BARE = Format("conll", options={"separator": " ", "scheme": "bare"})

TASKS: tuple[TaskSpec, ...] = (
    _umsab_task("umsab", {language: _umsab(language) for language in _UMSAB_HUB}),
    _umsab_task("umsab-files", {language: _umsab_files(language) for language in _UMSAB_FILES}),
    TaskSpec(
        name="tweet-emotion",
        kind="classification",
        domain="social",
        splits=_tweeteval("emotion", 3_257, 374, 1_421),
        metrics=("macro_f1", "accuracy", "ece"),
        labels=("anger", "joy", "optimism", "sadness"),
        label_map=numbered("anger", "joy", "optimism", "sadness"),
        tokens_per_example=28,
        licence="unrestricted; tweets under Twitter's terms",
        citation="Barbieri et al. 2020, TweetEval; Mohammad et al. 2018, SemEval-2018 Task 1",
    ),
    TaskSpec(
        name="tweet-hate",
        kind="classification",
        domain="social",
        splits=_tweeteval("hate", 8_993, 999, 2_970),
        metrics=("macro_f1", "accuracy", "ece"),
        labels=("not-hate", "hate"),
        label_map=numbered("not-hate", "hate"),
        tokens_per_example=36,
        licence="unrestricted; tweets under Twitter's terms",
        citation="Barbieri et al. 2020, TweetEval; Basile et al. 2019, SemEval-2019 Task 5",
        note="Eight rows without text are left out.",
    ),
    TaskSpec(
        name="tweet-irony",
        kind="classification",
        domain="social",
        splits=_tweeteval("irony", 2_862, 955, 784),
        metrics=("f1@irony", "accuracy", "ece"),
        labels=("not-irony", "irony"),
        label_map=numbered("not-irony", "irony"),
        tokens_per_example=26,
        licence="unrestricted; tweets under Twitter's terms",
        citation="Barbieri et al. 2020, TweetEval; Van Hee et al. 2018, SemEval-2018 Task 3",
    ),
    TaskSpec(
        name="tweet-offensive",
        kind="classification",
        domain="social",
        splits=_tweeteval_hub("offensive", 11_916, 1_324, 860),
        metrics=("macro_f1", "accuracy", "ece"),
        labels=("non-offensive", "offensive"),
        tokens_per_example=36,
        licence="unrestricted; tweets under Twitter's terms",
        citation="Barbieri et al. 2020, TweetEval; Zampieri et al. 2019, SemEval-2019 Task 6",
    ),
    TaskSpec(
        name="tweet-sentiment",
        kind="classification",
        domain="social",
        splits=_tweeteval_hub("sentiment", 45_615, 2_000, 12_284),
        metrics=("macro_recall", "macro_f1", "accuracy", "ece"),
        labels=_POLARITY,
        tokens_per_example=30,
        licence="unrestricted; tweets under Twitter's terms",
        citation="Barbieri et al. 2020, TweetEval; Rosenthal et al. 2017, SemEval-2017 Task 4",
        note="The official score is macro-recall, not the macro-F1 of umsab; the English part of umsab is from it.",
    ),
    TaskSpec(
        name="tweet-stance",
        kind="classification",
        domain="social",
        splits={"en": {split: _stance(split) for split in ("train", "validation", "test")}},
        metrics=("macro_f1@against+favor", "macro_f1", "accuracy", "ece"),
        labels=("none", "against", "favor"),
        tokens_per_example=32,
        licence="unrestricted; tweets under Twitter's terms",
        citation="Barbieri et al. 2020, TweetEval; Mohammad et al. 2016, SemEval-2016 Task 6",
        note="Five topics under one head, of which the text says nothing; as in TweetEval they are scored together.",
    ),
    TaskSpec(
        name="tweet-emoji",
        kind="classification",
        domain="social",
        splits=_tweeteval_hub("emoji", 45_000, 5_000, 50_000),
        metrics=("macro_f1", "accuracy", "ece"),
        labels=_EMOJI,
        tokens_per_example=22,
        licence="unrestricted; tweets under Twitter's terms",
        citation="Barbieri et al. 2020, TweetEval; Barbieri et al. 2018, SemEval-2018 Task 2",
    ),
    _hatecheck_task(
        "hatecheck",
        {
            "en": {"test": files("hatecheck-en/test_suite_cases.csv", "csv", 3_728, _cases("case_id"))},
            "ar": _hatecheck("arabic", 3_570),
            "es": _hatecheck("spanish", 3_745),
            "fr": _hatecheck("french", 3_718),
            "hi": _hatecheck("hindi", 3_565),
        },
    ),
    _hatecheck_task(
        "hatecheck-hub",
        {
            "en": {"test": hub("Paul/hatecheck", None, "test", 3_728, _cases("case_id"))},
            **{
                code: {"test": hub(f"Paul/hatecheck-{name}", None, "test", columns=_cases("mhc_case_id"))}
                for code, name in _HATECHECKS.items()
            },
        },
    ),
    TaskSpec(
        name="dreaddit",
        kind="classification",
        domain="social",
        splits={
            "en": {
                "train": _dreaddit("train", (0, 90), 2_527),
                "validation": _dreaddit("train", (90, 100), 311),
                "test": _dreaddit("test", (0, 100), 715),
            }
        },
        metrics=("f1@stress", "accuracy", "ece"),
        labels=("no-stress", "stress"),
        label_map=numbered("no-stress", "stress"),
        tokens_per_example=115,
        licence="research use; MIT (repository)",
        citation="Turcan and McKeown 2019, Dreaddit: A Reddit Dataset for Stress Analysis in Social Media",
    ),
    TaskSpec(
        name="afrisenti",
        kind="classification",
        domain="social",
        splits={
            "sw": {
                "train": _afrisenti("swa/train", 1_810),
                "validation": _afrisenti("swa/dev", 453),
                "test": _afrisenti("swa/test", 748),
            },
            "pcm": {"validation": _afrisenti("pcm/dev", 1_281), "test": _afrisenti("pcm/test", 4_154)},
        },
        metrics=_AFRISENTI_METRICS,
        labels=_POLARITY,
        train_task="umsab-files",
        tokens_per_example=38,
        licence="CC-BY-4.0",
        citation=_AFRISENTI_PAPER,
        note="Swahili and Nigerian Pidgin; afrisenti-hub has all languages.",
    ),
    TaskSpec(
        name="afrisenti-hub",
        kind="classification",
        domain="social",
        splits={language: _afrisenti_hub(language) for language in _AFRISENTI},
        metrics=_AFRISENTI_METRICS,
        labels=_POLARITY,
        train_task="umsab",
        tokens_per_example=38,
        licence="CC-BY-4.0",
        citation=_AFRISENTI_PAPER,
        note="All fourteen languages; Oromo and Tigrinya have no training part.",
    ),
    TaskSpec(
        name="xlime-sentiment",
        kind="classification",
        domain="social",
        splits={"de": _xlime_sentiment("german", 3_400), "es": _xlime_sentiment("spanish", 7_668)},
        metrics=("macro_f1", "accuracy", "ece"),
        labels=_POLARITY,
        train_task="umsab-files",
        tokens_per_example=34,
        licence="MIT (repository); tweets under Twitter's terms",
        citation="Rei et al. 2016, xLiMe Twitter Corpus",
    ),
    TaskSpec(
        name="xlime-ner",
        kind="tagging",
        domain="social",
        splits={
            "de": {"test": _conll("xlime/german_ner.txt", 3_400, _BARE)},
            "es": {"test": _conll("xlime/spanish_ner.txt", 7_668, _BARE)},
        },
        metrics=_SPAN_METRICS,
        labels=iob("PERSON", "LOCATION", "ORG", "MISC"),
        tokens_per_example=34,
        licence="MIT (repository); tweets under Twitter's terms",
        citation="Rei et al. 2016, xLiMe Twitter Corpus",
        note="Its tags have no B- and I-: two neighbours of one type count as one name.",
    ),
    TaskSpec(
        name="wnut17",
        kind="tagging",
        domain="social",
        splits={
            "en": {
                "train": _conll("wnut17/wnut17train.conll", 3_394),
                "validation": _conll("wnut17/emerging.dev.conll", 1_009),
                "test": _conll("wnut17/emerging.test.annotated", 1_287),
            }
        },
        metrics=_SPAN_METRICS,
        labels=iob("corporation", "creative-work", "group", "location", "person", "product"),
        tokens_per_example=30,
        licence="CC-BY-4.0",
        citation="Derczynski et al. 2017, Results of the WNUT2017 Shared Task on Emerging Entity Recognition",
    ),
    TaskSpec(
        name="broad-twitter",
        kind="tagging",
        domain="social",
        splits={
            "en": {
                "train": Split(
                    FileSource(tuple(f"broad-twitter/{part}.conll" for part in "abeg")),
                    _CONLL,
                    examples=6_329,
                    also=(_broad(991, (0, 50)),),
                ),
                "validation": _broad(1_010, (50, 100)),
                "test": _conll("broad-twitter/f.conll", 2_001),
            }
        },
        metrics=_SPAN_METRICS,
        labels=iob("PER", "LOC", "ORG"),
        tokens_per_example=26,
        licence="CC-BY-4.0",
        citation="Derczynski et al. 2016, Broad Twitter Corpus: A Diverse Named Entity Recognition Resource",
        note="As its authors say: test is part f, validation one half of h. Which half is ours.",
    ),
    TaskSpec(
        name="postwita",
        kind="tagging",
        domain="social",
        splits={
            "it": {"test": _conll("ud/UD_Italian-PoSTWITA/it_postwita-ud-test.conllu", 674, Format("conllu"))}
        },
        metrics=("udpos_f1", "token_accuracy"),
        labels=UPOS,
        train_task="udpos",
        tokens_per_example=34,
        licence="CC-BY-NC-SA-4.0",
        citation="Sanguinetti et al. 2018, PoSTWITA-UD: an Italian Twitter Treebank",
    ),
)

"""Tasks whose data comes with packages of the registry: they work wherever the package installs, offline.

The texts are small and in places machine-translated; they are for trying things out and for tests of
cross-lingual transfer in kind, not for conclusions about languages.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapterstilts.tasks.spec import Format, Json, PackageSource, Split, TaskSpec

_DIALOGUES = "ChatterBot Language Training Corpus 1.3.3 (G. Cox and contributors), package chatterbot-corpus"
_EMOJI = "package emoji 2.16.0 (T. Kim and K. Wurster), names from Unicode CLDR"

_TOPICS = (
    "computers",
    "emotion",
    "food",
    "gossip",
    "greetings",
    "history",
    "humor",
    "literature",
    "money",
    "movies",
    "politics",
    "psychology",
    "science",
    "sports",
    "trivia",
)
_OTHER_TOPICS = ("ai", "botprofile", "coding", "conversations", "health", "tech_support")


def _dialogues(language: str, topics: tuple[str, ...]) -> PackageSource:
    return PackageSource("chatterbot_corpus", tuple(f"data/{language}/{topic}.yml" for topic in topics))


def _topic_split(language: str, examples: int, portion: tuple[int, int] = (0, 100)) -> Split:
    # The Chinese corpus has no file about computers.
    topics = tuple(topic for topic in _TOPICS if (language, topic) != ("chinese", "computers"))
    columns = {"text": "prompt", "text_pair": "reply", "label": "topic"}
    return Split(_dialogues(language, topics), Format("dialogues", columns), portion, examples)


def _reply_split(examples: int, portion: tuple[int, int]) -> Split:
    format = Format("dialogues", {"context": "prompt", "group": "prompt"}, {"choices": 4})
    return Split(_dialogues("english", _OTHER_TOPICS), format, portion, examples)


def _emoji_split(
    columns: Mapping[str, str], options: Mapping[str, Json], portion: tuple[int, int], examples: int
) -> Split:
    languages = [str(options["language"])] if "language" in options else []
    files = ("emoji", *(f"emoji_{language}" for language in languages))
    source = PackageSource("emoji", tuple(f"unicode_codes/{file}.json" for file in files))
    return Split(source, Format("emoji_names", {**columns, "group": "emoji"}, options), portion, examples)


def _name_split(language: str) -> Split:
    columns = {"source": "name", "target": "translation"}
    return _emoji_split(columns, {"language": language}, (50, 100), 970)


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="dialogue-topics",
        kind="classification",
        domain="dialogue",
        splits={
            "en": {
                "train": _topic_split("english", 593, (0, 70)),
                "validation": _topic_split("english", 125, (70, 85)),
                "test": _topic_split("english", 115, (85, 100)),
            },
            "fa": {"test": _topic_split("persian", 569, (0, 25))},
            "it": {"test": _topic_split("italian", 609)},
            "ja": {"test": _topic_split("japanese", 602)},
            "ko": {"test": _topic_split("korean", 585)},
            "uk": {"test": _topic_split("ukrainian", 504)},
            "zh": {"test": _topic_split("chinese", 393)},
        },
        metrics=("accuracy", "macro_f1", "ece"),
        labels=_TOPICS,
        tokens_per_example=22,
        licence="BSD-3-Clause",
        citation=_DIALOGUES,
        note=(
            "Half of the rows are about emotion and trivia. Rows of one prompt stay together, and computers "
            "and humor have few: they are in the English training part only. Most languages are translations; of the "
            "Persian rows, which are four times as many, a quarter is used."
        ),
    ),
    TaskSpec(
        name="dialogue-reply",
        kind="multiple_choice",
        domain="dialogue",
        splits={
            "en": {"train": _reply_split(269, (0, 80)), "validation": _reply_split(75, (80, 100))},
        },
        metrics=("accuracy",),
        tokens_per_example=174,
        licence="BSD-3-Clause",
        citation=_DIALOGUES,
        note="Its topics are not those of dialogue-topics; wrong options are replies to other prompts.",
    ),
    TaskSpec(
        name="emoji-alias",
        kind="classification",
        domain="emoji",
        splits={
            "en": {
                "train": _emoji_split({}, {"pairs": True}, (0, 40), 696),
                "validation": _emoji_split({}, {"pairs": True}, (40, 50), 160),
            },
        },
        metrics=("accuracy", "ece"),
        labels=("different", "same"),
        tokens_per_example=11,
        licence="BSD-3-Clause",
        citation=_EMOJI,
        note="Some aliases repeat the name (flag for Kenya). Its emoji are none of those of emoji-names.",
    ),
    TaskSpec(
        name="emoji-names",
        kind="retrieval",
        domain="emoji",
        splits={
            language: {"test": _name_split(language)}
            for language in ("ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")
        },
        metrics=("retrieval_accuracy", "mrr"),
        tokens_per_example=11,
        licence="BSD-3-Clause",
        citation=_EMOJI,
        note="In Latin scripts up to 6 % of the names are the same word in both languages.",
    ),
)

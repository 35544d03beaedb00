"""Choices, sentiment, retrieval."""

from __future__ import annotations

from real_case import LETTERS, Case, case


def _choice() -> list[Case]:
    copa = {"context": "premise", "choices": "choice1,choice2", "id": "idx"}
    four = {"choices": "answer0,answer1,answer2,answer3"}
    codah = ["category", "prompt", "a0", "a1", "a2", "a3", "label"]
    head = {"question": "qtext", "choices": "answers.atext", "label": "ra", "id": "qid"}
    commonsense = {"question": "question.stem", "choices": "question.choices.text", "label": "answerKey"}
    japanese = {"choices": "choice0,choice1,choice2,choice3,choice4", "id": "q_id"}
    return [
        *(
            case(
                *("codah", "multiple_choice", path, "tsv", n),
                columns={"context": "prompt", "choices": "a0,a1,a2,a3"},
                header=codah,
            )
            for path, n in {
                "full_data.tsv": 2776,
                "cv_split/fold_0/train.tsv": 1665,
                "cv_split/fold_0/dev.tsv": 556,
                "cv_split/fold_0/test.tsv": 555,
            }.items()
        ),
        case("cosmosqa", "multiple_choice", "valid.csv", "csv", 2985, columns=four),
        case(
            *("commonsenseqa", "multiple_choice", "commonsenseqa_200_samples.jsonl", "jsonl", 200),
            columns=commonsense,
            labels=LETTERS,
        ),
        case("copa", "multiple_choice", "train-en.jsonl", "jsonl", 400, columns=copa),
        case("copa", "multiple_choice", "val-en.jsonl", "jsonl", 100, columns=copa),
        *(
            case(
                *("xcopa", "multiple_choice", f"{language}/{part}.{language}.jsonl", "jsonl", n),
                columns=copa,
                at=f"{language}/test",
            )
            for language in ("id", "it", "sw", "th", "tr", "vi", "zh")
            for part, n in {"val": 100, "test": 500}.items()
        ),
        case(
            *("jglue", "multiple_choice", "jcommonsenseqa-v1.3/valid-v1.3.json", "jsonl", 1119),
            columns=japanese,
            at="ja/test",
        ),
        *(
            case(
                *("headqa", "multiple_choice", path, "json", n),
                columns=head,
                labels=("1", "2", "3", "4", "5"),
                at=f"{language}/test",
                repaired={"id repeated": n - 235},
                records="exams.*.data",
            )
            for language, path, n in (
                ("es", "HEAD/dev_HEAD.json", 1366),
                ("es", "HEAD/test_HEAD.json", 2742),
                ("en", "HEAD_EN/train_HEAD_EN.json", 2657),
                ("en", "HEAD_EN/dev_HEAD_EN.json", 1366),
            )
        ),
        *(
            case(
                *("frenchmedmcqa", "multi_select", f"{part}.json", "json", n),
                columns={"choices": "answers", "label": "correct_answers"},
                labels=("a", "b", "c", "d", "e"),
                at="fr/test",
            )
            for part, n in {"dev": 312, "test": 622}.items()
        ),
    ]


def _sentiment() -> list[Case]:
    polarity = ("negative", "neutral", "positive")
    digits = {str(index): name for index, name in enumerate(polarity)}
    afrisenti = {"swa/train": 1810, "swa/dev": 453, "swa/test": 748, "pcm/dev": 1281, "pcm/test": 4154}
    tweets = {
        "emotion": (("anger", "joy", "optimism", "sadness"), (3257, 374, 1421)),
        "hate": (("not-hate", "hate"), (9000, 1000, 2970)),
        "irony": (("non_irony", "irony"), (2862, 955, 784)),
    }
    parts = ("train", "val", "test")
    blank = {("hate", "train"): {"no text": 7}, ("hate", "val"): {"no text": 1}}
    hate = {"text": "test_case", "label": "label_gold", "group": "functionality"}
    return [
        *(
            case(
                *(
                    "umsab",
                    "classification",
                    (f"{folder}/{part}_text.txt", f"{folder}/{part}_labels.txt"),
                    "parallel",
                    n,
                ),
                labels=polarity,
                label_map=digits,
                at=f"{language}/test",
            )
            for language, folder in {
                "en": "english",
                "de": "german",
                "es": "spanish",
                "fr": "french",
                "hi": "hindi",
            }.items()
            for part, n in zip(parts, (1839, 324, 870), strict=True)
        ),
        *(
            case(
                *(
                    "tweeteval",
                    "classification",
                    (f"{name}/{part}_text.txt", f"{name}/{part}_labels.txt"),
                    "parallel",
                    n,
                ),
                labels=labels,
                label_map={str(index): label for index, label in enumerate(labels)},
                dropped=blank.get((name, part), {}),
            )
            for name, (labels, sizes) in tweets.items()
            for part, n in zip(parts, sizes, strict=True)
        ),
        *(
            case(
                *("multilingual-hatecheck", "classification", f"hatecheck_cases_final_{name}.csv", "csv", n),
                columns=hate,
                labels=("non-hateful", "hateful"),
                at=f"{language}/test",
            )
            for language, name, n in (
                ("ar", "arabic", 3570),
                ("es", "spanish", 3745),
                ("fr", "french", 3718),
                ("hi", "hindi", 3565),
            )
        ),
        case(
            *("hatecheck-en", "classification", "test_suite_cases.csv", "csv", 3728),
            columns=hate,
            labels=("non-hateful", "hateful"),
        ),
        *(
            case(
                *("xlime", "classification", f"{folder}_sentiment.tsv", "tsv", n),
                labels=polarity,
                at=f"{language}/test",
                quoting="none",
            )
            for language, folder, n in (("de", "german", 3400), ("es", "spanish", 7668))
        ),
        *(
            case(
                *("afrisenti", "classification", f"{path}.tsv", "tsv", n),
                columns={"text": "tweet"},
                labels=polarity,
                at=f"{path[:3]}/test",
                quoting="csv",
            )
            for path, n in afrisenti.items()
        ),
        *(
            case(
                *("dreaddit", "classification", f"dreaddit-{part}.csv", "csv", n),
                labels=("0", "1"),
                encoding="cp1252",
            )
            for part, n in {"train": 2838, "test": 715}.items()
        ),
    ]


def _other() -> list[Case]:
    whole = "afr ara ben bul cmn deu ell est eus fin fra heb hin hun ind ita jpn kor nld pes por rus spa"
    tatoeba = {
        **dict.fromkeys([*whole.split(), "tur", "urd", "vie"], 1000),
        "kat": 746,
        "kaz": 575,
        "swh": 390,
        "tha": 548,
    }
    pubmed = ("ori_pqal.json", "test_ground_truth.json")
    bucc = ("zh-en.dev.gold", "zh-en.dev.zh", "zh-en.dev.en")
    english_first = {"source": "second", "target": "first"}
    yes = {"text": "QUESTION", "text_pair": "CONTEXTS", "label": "final_decision"}
    return [
        *(
            case(
                *("tatoeba", "retrieval", (f"tatoeba.{l3}-eng.eng", f"tatoeba.{l3}-eng.{l3}"), "parallel", n),
                at=f"{l3}/test",
                names=["source", "target"],
            )
            for l3, n in tatoeba.items()
        ),
        case(*("bucc2018", "retrieval", bucc, "id_pairs", 257), columns=english_first, at="zh/test"),
        case(
            *("bucc2018", "retrieval", bucc, "id_pairs", 257 + (13589 - 257) + (8624 - 257)),
            columns={**english_first, "source_id": "second_id", "target_id": "first_id"},
            at="zh/test",
            unpaired="keep",
        ),
        *(
            case(
                *("pubmedqa", "classification", pubmed, "json", 500),
                columns=yes,
                labels=("yes", "no", "maybe"),
                records="*",
                key="id",
                **{option: "test_ground_truth.json"},
            )
            for option in ("keep_keys", "drop_keys")
        ),
    ]


CASES: tuple[Case, ...] = (
    *_choice(),
    *_sentiment(),
    *_other(),
)

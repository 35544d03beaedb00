"""Biomedical and clinical tasks, from the files of their repositories.

The paths are looked up beside the recipe and below ``--data-dir``: a folder for each data set, in it the
files as its repository has them.
"""

from __future__ import annotations

from adapterstilts.tasks.declare import files, iob
from adapterstilts.tasks.spec import FileSource, Format, Json, Split, TaskSpec

_EN_ES_FR_IT = {"en": "English", "es": "Spanish", "fr": "French", "it": "Italian"}
_TAGS = Format("conll")
_SPAN_METRICS = ("span_f1", "strict_span_f1")
# Official by document offsets, with the plain score of the tags beside it.
_OFFSET_METRICS = ("entity_f1", "span_f1")


def _tags(path: str, examples: int | None, format: Format = _TAGS) -> Split:
    return Split(FileSource((path,)), format, examples=examples)


def _pubmed(keys: str, portion: tuple[int, int], examples: int) -> Split:
    options: dict[str, Json] = {"records": "*", "key": "id", keys: "test_ground_truth.json"}
    columns = {"text": "QUESTION", "text_pair": "CONTEXTS", "label": "final_decision"}
    source = FileSource(("pubmedqa/ori_pqal.json", "pubmedqa/test_ground_truth.json"))
    return Split(source, Format("json", columns, options), portion, examples)


def _headqa(path: str, examples: int) -> Split:
    columns = {"question": "qtext", "choices": "answers.atext", "label": "ra", "id": "qid"}
    return Split(
        FileSource((f"headqa/{path}",)),
        Format("json", columns, {"records": "exams.*.data"}),
        examples=examples,
    )


def _french(part: str, examples: int) -> Split:
    format = Format("json", {"choices": "answers", "label": "correct_answers"})
    return Split(FileSource((f"frenchmedmcqa/{part}.json",)), format, examples=examples)


def _covid(portion: tuple[int, int], examples: int) -> Split:
    return Split(FileSource(("covid-qa/200423_covidQA.json",)), Format("squad"), portion, examples)


def _e3c(language: str, train: int, test: int) -> dict[str, Split]:
    folder = f"e3c/layer1/{_EN_ES_FR_IT[language]}"
    format = Format("conll", options={"separator": " "})
    return {
        "train": _tags(f"{folder}/train.txt", train, format),
        "test": _tags(f"{folder}/test.txt", test, format),
    }


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="bc5cdr",
        kind="tagging",
        domain="biomedical",
        splits={
            "en": {
                "train": _tags("mtl-bioinformatics/BC5CDR-IOB/train.tsv", 4_560),
                "validation": _tags("mtl-bioinformatics/BC5CDR-IOB/devel.tsv", 4_581),
                "test": _tags("mtl-bioinformatics/BC5CDR-IOB/test.tsv", 4_797),
            }
        },
        metrics=_SPAN_METRICS,
        labels=iob("Chemical", "Disease"),
        tokens_per_example=42,
        licence="CC-BY-4.0",
        citation="Li et al. 2016, BioCreative V CDR corpus; files of cambridgeltl/MTL-Bioinformatics-2016",
    ),
    TaskSpec(
        name="ncbi-disease",
        kind="tagging",
        domain="biomedical",
        splits={
            "en": {
                "train": _tags("mtl-bioinformatics/NCBI-disease-IOB/train.tsv", 5_424),
                "validation": _tags("mtl-bioinformatics/NCBI-disease-IOB/devel.tsv", 923),
                "test": _tags("mtl-bioinformatics/NCBI-disease-IOB/test.tsv", 940),
            }
        },
        metrics=_SPAN_METRICS,
        labels=iob("Disease"),
        tokens_per_example=42,
        licence="CC-BY-4.0",
        citation="Dogan et al. 2014, NCBI disease corpus; files of cambridgeltl/MTL-Bioinformatics-2016",
    ),
    TaskSpec(
        name="pubmedqa",
        kind="classification",
        domain="biomedical",
        splits={
            "en": {
                "train": _pubmed("drop_keys", (0, 90), 453),
                "validation": _pubmed("drop_keys", (90, 100), 47),
                "test": _pubmed("keep_keys", (0, 100), 500),
            }
        },
        metrics=("accuracy", "macro_f1", "ece"),
        labels=("yes", "no", "maybe"),
        tokens_per_example=330,
        licence="MIT",
        citation="Jin et al. 2019, PubMedQA: A Dataset for Biomedical Research Question Answering",
        note="The expert-labelled part. Its 500 training questions are cut 90 to 10 for validation.",
    ),
    TaskSpec(
        name="covid-qa",
        kind="span_qa",
        domain="biomedical",
        splits={"en": {"train": _covid((0, 80), 961), "validation": _covid((80, 100), 412)}},
        metrics=("squad_em_f1", "squad_f1", "squad_em"),
        tokens_per_example=6000,
        licence="Apache-2.0",
        citation="Moeller et al. 2020, COVID-QA: A Question Answering Dataset for COVID-19",
        note="Passages are whole papers. Of 234 wrong answer starts 227 are corrected, 7 left out.",
    ),
    TaskSpec(
        name="headqa",
        kind="multiple_choice",
        domain="biomedical",
        splits={
            "en": {
                "train": _headqa("HEAD_EN/train_HEAD_EN.json", 2_657),
                "validation": _headqa("HEAD_EN/dev_HEAD_EN.json", 1_366),
            },
            "es": {
                "train": _headqa("HEAD/train_HEAD.json", 2_657),
                "validation": _headqa("HEAD/dev_HEAD.json", 1_366),
                "test": _headqa("HEAD/test_HEAD.json", 2_742),
            },
        },
        metrics=("accuracy", "headqa_points"),
        label_map={"1": "0", "2": "1", "3": "2", "4": "3", "5": "4"},
        tokens_per_example=190,
        licence="MIT",
        citation="Vilares and Gomez-Rodriguez 2019, HEAD-QA: A Healthcare Dataset for Complex Reasoning",
        note=(
            "Five options in training, four elsewhere. The English part translates the Spanish: equal ids belong "
            "together. Points are a question's mean; times the questions of an exam they are the paper's."
        ),
    ),
    TaskSpec(
        name="frenchmedmcqa",
        kind="multi_select",
        domain="biomedical",
        splits={
            "fr": {
                "train": _french("train", 2_171),
                "validation": _french("dev", 312),
                "test": _french("test", 622),
            }
        },
        metrics=("exact_match", "hamming_score"),
        label_map={"a": "0", "b": "1", "c": "2", "d": "3", "e": "4"},
        tokens_per_example=230,
        licence="Apache-2.0",
        citation="Labrak et al. 2022, FrenchMedMCQA: A French Multiple-Choice Question Answering Dataset",
        note="One to five right options of five. There is no English source data for it.",
    ),
    TaskSpec(
        name="e3c",
        kind="tagging",
        domain="biomedical",
        splits={
            "en": _e3c("en", 669, 851),
            "es": _e3c("es", 455, 679),
            "fr": _e3c("fr", 504, 605),
            "it": _e3c("it", 451, 673),
        },
        metrics=_SPAN_METRICS,
        labels=iob("ety"),
        tokens_per_example=34,
        licence="CC-BY-NC-4.0",
        citation="Magnini et al. 2020, The E3C Project: Collection and Annotation of a Multilingual Corpus",
        note="A third of the Spanish test sentences are also in PharmaCoNER: no independent targets.",
    ),
    TaskSpec(
        name="pharmaconer",
        kind="tagging",
        domain="biomedical",
        splits={
            "es": {
                "train": _tags("pharmaconer/train.txt", None),
                "validation": _tags("pharmaconer/dev.txt", 1_046),
                "test": _tags("pharmaconer/test.txt", 3_403),
            }
        },
        metrics=_SPAN_METRICS,
        labels=iob("NORMALIZABLES", "NOTNORMALIZABLES", "PROTEINAS"),
        tokens_per_example=52,
        licence="CC-BY-4.0",
        citation="Gonzalez-Agirre et al. 2019, PharmaCoNER: Substances, Compounds and Proteins",
        note=(
            "Sentences without their place in a document, so that the score is one of token spans; the official one, "
            "by document offsets, is that of pharmaconer-brat. There is no English data with these labels: map those "
            "of another task, or train on the target."
        ),
    ),
    TaskSpec(
        name="pharmaconer-brat",
        kind="tagging",
        domain="biomedical",
        splits={
            "es": {
                split: files((f"pharmaconer-brat/{part}/*.txt", f"pharmaconer-brat/{part}/*.ann"), "brat")
                for split, part in (("train", "train"), ("validation", "dev"), ("test", "test"))
            }
        },
        metrics=_OFFSET_METRICS,
        labels=iob("NORMALIZABLES", "NO_NORMALIZABLES", "PROTEINAS"),
        label_map={"UNCLEAR": "O"},
        tokens_per_example=33,
        licence="CC-BY-4.0",
        citation="Gonzalez-Agirre et al. 2019, PharmaCoNER: Substances, Compounds and Proteins",
        note=(
            "The documents of the corpus SPACCC_PharmaCoNER: put those of subtrack 1 into the folders train, dev and "
            "test. As in the official evaluation, UNCLEAR is no gold entity. The sentences are those of pharmaconer."
        ),
    ),
    TaskSpec(
        name="cantemist",
        kind="tagging",
        domain="biomedical",
        splits={
            "es": {
                "test": Split(
                    FileSource(("cantemist-ner/dev-set1/*.txt", "cantemist-ner/dev-set1/*.ann")),
                    Format("brat"),
                    examples=10_887,
                )
            }
        },
        metrics=_OFFSET_METRICS,
        labels=iob("MORFOLOGIA_NEOPLASIA"),
        tokens_per_example=33,
        licence="CC-BY-4.0",
        citation="Miranda-Escalada et al. 2020, Named Entity Recognition on Tumor Morphology (CANTEMIST)",
        note=(
            "The documents of dev-set1, sentence by sentence. 63 of 3,341 annotations overlap longer ones: no tag can "
            "find them, and the main score, by document offsets, counts them as missed. There is no English data "
            "with this label."
        ),
    ),
)

"""XTREME's averages (Hu et al., 2020): over languages, over exact match and F1, over groups of tasks and all nine.

All means are unweighted and English counts as a language. Scores are fractions here; the leaderboard
prints them times 100.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adapterstilts.errors import DataError, Fault, UsageError, suggest

LANGUAGES: dict[str, tuple[str, ...]] = {
    task: tuple(codes.split())
    for task, codes in {
        "xnli": "ar bg de el en es fr hi ru sw th tr ur vi zh",
        "paws-x": "de en es fr ja ko zh",
        "udpos": "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr"
        " ur vi yo zh",
        "panx": "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru"
        " sw ta te th tl tr ur vi yo zh",
        "xquad": "ar de el en es hi ru th tr vi zh",
        "mlqa": "ar de en es hi vi zh",
        "tydiqa": "ar bn en fi id ko ru sw te",
        "bucc": "de fr ru zh",
        "tatoeba": "af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl pt ru sw ta"
        " te th tl tr ur vi zh",
    }.items()
}
QUESTION_ANSWERING = ("xquad", "mlqa", "tydiqa")
GROUPS: dict[str, tuple[str, ...]] = {
    "classification": ("xnli", "paws-x"),
    "tagging": ("udpos", "panx"),
    "question answering": QUESTION_ANSWERING,
    "retrieval": ("bucc", "tatoeba"),
}


def over_languages(scores: Mapping[str, float]) -> float:
    """Return the unweighted mean over languages.

    Raises:
        DataError: no scores.
    """
    if not scores:
        raise DataError(Fault("xtreme", "no scores to average"))
    return sum(scores.values()) / len(scores)


def task_score(task: str, scores: Mapping[str, float], f1: Mapping[str, float] | None = None) -> float:
    """Return a task's official score, over exactly its languages.

    Args:
        task: one of the nine, as in `LANGUAGES` and in the catalogue.
        scores: language -> score; for question answering the exact match.
        f1: language -> F1, for question answering only; the task's score is then the mean of the two
            means.

    Raises:
        UsageError: unknown task; F1 missing for question answering, or given elsewhere.
        DataError: languages are missing or not XTREME's, so that the mean would not compare.
    """
    _check_tasks([task])
    if (f1 is not None) != (task in QUESTION_ANSWERING):
        remedy = "give exact match and F1 for question answering, one score for other tasks"
        raise UsageError(Fault(f"xtreme, {task}", "scores do not suit the task", remedy))
    sides = [scores] if f1 is None else [scores, f1]
    for side in sides:
        _check_languages(task, side)
    return sum(over_languages(side) for side in sides) / len(sides)


def overall(task_scores: Mapping[str, float]) -> float | None:
    """Return the mean of the nine tasks' scores, None while one is missing.

    Raises:
        UsageError: a task that is not one of the nine.
    """
    _check_tasks(task_scores)
    if len(task_scores) < len(LANGUAGES):
        return None
    return sum(task_scores.values()) / len(task_scores)


def by_group(task_scores: Mapping[str, float]) -> dict[str, float]:
    """Return the mean of each group's tasks, as in `GROUPS`; a group that lacks one is left out.

    Raises:
        UsageError: a task that is not one of the nine.
    """
    _check_tasks(task_scores)
    return {
        group: sum(task_scores[task] for task in tasks) / len(tasks)
        for group, tasks in GROUPS.items()
        if set(tasks) <= set(task_scores)
    }


def _check_tasks(tasks: Iterable[str]) -> None:
    unknown = sorted(set(tasks) - set(LANGUAGES))
    if unknown:
        what = f"{unknown[0]!r} is not one of the nine tasks"
        raise UsageError(Fault("xtreme", what, suggest(unknown[0], LANGUAGES)))


def _check_languages(task: str, scores: Mapping[str, float]) -> None:
    expected, found = set(LANGUAGES[task]), set(scores)
    if expected != found:
        missing, extra = sorted(expected - found), sorted(found - expected)
        what = f"languages missing: {missing}, not XTREME's: {extra}"
        raise DataError(
            Fault(f"xtreme, {task}", what, "use `over_languages` for a mean over other languages")
        )

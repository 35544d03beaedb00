"""``adapterstilts task peek``: a task's data as a model will see it."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapterstilts.backbones import DEFAULT_MODEL, PACKAGE_MODEL, PACKAGE_PREFIX
from adapterstilts.cli.options import data_option, json_option, offline_option, print_json, verbose_option
from adapterstilts.cli.table import echo_table
from adapterstilts.errors import Fault, UsageError, suggest
from adapterstilts.tasks import catalogue
from adapterstilts.tasks.spec import SPLITS, TaskSpec

if TYPE_CHECKING:
    from adapterstilts.data.encoding.tokens import Tokenizer
    from adapterstilts.data.overlap import Overlap
    from adapterstilts.data.peek import Peek
    from adapterstilts.data.rows import LoadedSplit, Row

_ALL = "all"
_SPLIT_KINDS = ("tagging", "span_qa", "mlm")
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class _Part:
    """One split of one language, loaded."""

    language: str
    split: str
    loaded: LoadedSplit
    figures: Peek
    overlap: Overlap | None = None
    seen: list[dict[str, Any]] = field(default_factory=list)


@click.command("peek")
@click.argument("name")
@click.option("--language", help="Language to look at, or `all`. [default: the first]")
@click.option("--split", type=click.Choice(SPLITS), help="Split to look at. [default: all]")
@click.option("-n", "number", type=click.IntRange(0), default=3, show_default=True, help="Examples a split.")
@click.option("--recipe", "recipe", help="Recipe that declares the task, for a task of your own.")
@click.option("--backbone", help="Whose tokenizer: hub id, folder or `package:NAME`.")
@click.option("--max-length", type=click.IntRange(8), help="Subwords a sequence may have.")
@click.option(
    "--sample",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    help="Rows a split that are measured.",
)
@data_option
@offline_option
@json_option
@verbose_option
def peek_command(
    name: str,
    language: str | None,
    split: str | None,
    number: int,
    recipe: str | None,
    backbone: str | None,
    max_length: int | None,
    sample: int,
    data_dir: Path | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Print a task's examples as a model will see them, their lengths and labels, and what was dropped and why."""
    from adapterstilts.data.sources import DataRoots
    from adapterstilts.model.tokenizers import load_tokenizer

    task = _task(name, recipe)
    folder = Path(recipe).resolve().parent if recipe and Path(recipe).is_file() else Path.cwd()
    model = backbone or _usual_backbone()
    length = max_length or _usual_length(task)
    loaded = _load(task, _languages(task, language), split, DataRoots(folder, data_dir))
    tokenizer = load_tokenizer(model, offline=offline)
    parts = list(_parts(task, loaded, tokenizer, length, sample, number))
    if as_json:
        print_json(_data(task, parts, model, length))
    else:
        _echo(task, parts, model, length)


def _task(name: str, recipe: str | None) -> TaskSpec:
    if recipe is None:
        return catalogue.get(name)
    from adapterstilts.recipe.load import load

    tasks = load(recipe).tasks
    if name not in tasks:
        hint = suggest(name, tasks) or f"it uses: {', '.join(tasks)}"
        raise UsageError(Fault(recipe, f"the recipe does not use a task {name!r}", hint))
    return tasks[name]


def _usual_backbone() -> str:
    """Return a model with XLM-R's vocabulary; the package has the same one as the hub, and needs no network."""
    installed = importlib.util.find_spec(PACKAGE_MODEL.removeprefix(PACKAGE_PREFIX)) is not None
    return PACKAGE_MODEL if installed else DEFAULT_MODEL


def _usual_length(task: TaskSpec) -> int:
    """Return the subwords that a recipe gives a sequence of the task where it says nothing."""
    from adapterstilts.recipe.defaults import Purpose, resolve_training
    from adapterstilts.recipe.schema import TrainingSection

    purpose = Purpose("target", (task.name,), frozenset({task.kind}))
    return resolve_training(TrainingSection(), purpose, "fp32")[0].max_length


def _languages(task: TaskSpec, language: str | None) -> list[str]:
    if language == _ALL:
        return list(task.splits)
    return [language or next(iter(task.splits))]


def _load(
    task: TaskSpec, languages: Sequence[str], split: str | None, roots: Any
) -> dict[tuple[str, str], LoadedSplit]:
    from adapterstilts.data.load import load_split

    wanted = {
        language: [split] if split else [one for one in SPLITS if one in task.splits.get(language, ())]
        for language in languages
    }
    # A language without any split has its error from `load_split`.
    return {
        (language, one): load_split(task, language, one, roots)
        for language, splits in wanted.items()
        for one in splits or ["test"]
    }


def _parts(
    task: TaskSpec,
    loaded: Mapping[tuple[str, str], LoadedSplit],
    tokenizer: Tokenizer,
    max_length: int,
    sample: int,
    number: int,
) -> Iterator[_Part]:
    from adapterstilts.data.draws import limited
    from adapterstilts.data.overlap import overlap
    from adapterstilts.data.peek import peek

    for (language, split), rows in loaded.items():
        test = loaded.get((language, "test")) if split != "test" else None
        yield _Part(
            language,
            split,
            rows,
            peek(limited(rows.rows, sample), tokenizer, max_length),
            None if test is None else overlap(rows.rows, test.rows),
            [] if task.confidential else _seen(task, rows.rows[:number], tokenizer, max_length),
        )


def _seen(task: TaskSpec, rows: Sequence[Row], tokenizer: Any, max_length: int) -> list[dict[str, Any]]:
    """Return examples with the subwords of their sequences; of an answer the subwords, of a tag its subword."""
    from adapterstilts.data.encoding import CODECS, encode
    from adapterstilts.data.encoding.settings import Settings

    if task.kind not in CODECS or not rows:
        return [asdict(row) for row in rows]
    encoded = encode(task.kind, rows, tokenizer, Settings(task.labels, max_length, None, task.unanswerable))
    seen: list[dict[str, Any]] = [{"id": id_, "sequences": []} for id_ in encoded.ids]
    for unit, row in enumerate(encoded.rows.tolist()):
        for sequence in encoded.sequences(unit):
            seen[row]["sequences"].append(" ".join(tokenizer.convert_ids_to_tokens(sequence.tolist())))
    for one, row_ in zip(seen, rows, strict=True):
        one |= _answers(row_)
    return seen


def _answers(row: Row) -> dict[str, Any]:
    names = ("label", "tags", "answers")
    return {name: getattr(row, name) for name in names if hasattr(row, name)}


def _label_counts(rows: Sequence[Row]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        answers = next(iter(_answers(row).values()), None)
        if hasattr(row, "answers"):
            counts["unlabelled" if answers is None else "answerable" if answers else "unanswerable"] += 1
        elif isinstance(answers, tuple):
            counts.update(map(str, answers))
        else:
            counts["unlabelled" if answers is None else str(answers)] += 1
    return dict(counts.most_common())


def _data(task: TaskSpec, parts: Sequence[_Part], model: str, max_length: int) -> dict[str, Any]:
    return {
        "task": task.name,
        "kind": task.kind,
        "tokenizer": model,
        "max_length": max_length,
        "splits": [
            {
                "language": part.language,
                "split": part.split,
                "examples": len(part.loaded.rows),
                **asdict(part.figures),
                "labels": _label_counts(part.loaded.rows),
                "dropped": part.loaded.dropped,
                "repaired": part.loaded.repaired,
                "overlap_with_test": None if part.overlap is None else dict(part.overlap.met),
                "rows": part.seen,
            }
            for part in parts
        ],
    }


def _echo(task: TaskSpec, parts: Sequence[_Part], model: str, max_length: int) -> None:
    click.echo(
        f"{task.name}: {task.kind}, {task.domain}; tokenizer of {model}, at most {max_length} subwords\n"
    )
    over = "SPLIT UP" if task.kind in _SPLIT_KINDS else "CUT"
    echo_table(
        ("LANGUAGE", "SPLIT", "EXAMPLES", "SCRIPT", "SUBWORDS 50% 95% MAX", "A WORD", "UNKNOWN", over),
        [_figures(part) for part in parts],
    )
    _warn(parts)
    for part in parts:
        _echo_part(task, part)


def _figures(part: _Part) -> tuple[str, ...]:
    figures = part.figures
    per_word = "-" if figures.subwords_per_word is None else f"{figures.subwords_per_word:.2f}"
    return (
        part.language,
        part.split,
        str(len(part.loaded.rows)),
        figures.script.lower(),
        f"{figures.median} {figures.high} {figures.longest}",
        per_word,
        f"{figures.unknown:.2%}",
        f"{figures.over:.1%}",
    )


def _warn(parts: Sequence[_Part]) -> None:
    from adapterstilts.data.peek import MANY_SUBWORDS, MANY_UNKNOWN

    for part in parts:
        where, figures = f"{part.language} {part.split}", part.figures
        if (figures.subwords_per_word or 0.0) > MANY_SUBWORDS:
            many = f"{figures.subwords_per_word:.1f} subwords a word"
            click.echo(f"warning: {where} needs {many}; the vocabulary serves it badly", err=True)
        if figures.unknown > MANY_UNKNOWN:
            click.echo(f"warning: {figures.unknown:.1%} of the subwords of {where} are unknown", err=True)


def _echo_part(task: TaskSpec, part: _Part) -> None:
    click.echo(f"\n{part.language} {part.split}")
    counts = [("labels", _label_counts(part.loaded.rows))] if task.kind not in ("retrieval", "mlm") else []
    counts += [("dropped", part.loaded.dropped), ("repaired", part.loaded.repaired)]
    for title, values in counts:
        if values:
            click.echo(f"  {title}: " + _listed(values))
    if part.overlap is not None and any(part.overlap.met.values()):
        click.echo(f"  of {part.overlap.rows} test examples met here: " + _listed(part.overlap.met))
    for one in part.seen:
        click.echo("")
        for name, value in one.items():
            for line in value if name == "sequences" else [_shown(value)]:
                click.echo(f"  {name.removesuffix('s'):8} {line}")


def _shown(value: Any) -> str:
    """Return an id, a label, tags, or answers as ``start:text``."""
    if not isinstance(value, (tuple, list)):
        return "-" if value is None else str(value)
    return (
        " ".join(f"{one[0]}:{one[1]!r}" if isinstance(one, (tuple, list)) else str(one) for one in value)
        or "-"
    )


def _listed(counts: Mapping[Any, int]) -> str:
    shown = ", ".join(f"{key} {count}" for key, count in islice(counts.items(), _LONGEST_SHOWN))
    return shown if len(counts) <= _LONGEST_SHOWN else f"{shown}, and {len(counts) - _LONGEST_SHOWN} more"

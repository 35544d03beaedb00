"""Tasks that a recipe declares itself: what its ``tasks:`` section becomes, and what contradicts in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapterstilts.errors import Fault, UsageError, suggest
from adapterstilts.metrics import registry
from adapterstilts.recipe.labels import OUTSIDE, names
from adapterstilts.recipe.schema import FormatSection, SplitSection, TaskSection
from adapterstilts.tasks.spec import SPLITS, FileSource, Format, HubSource, Split, TaskSpec

HUB_FORMAT = "hub"
_FEWEST_LABELS = {"classification": 2, "multilabel": 1, "tagging": 1}
_CHOICES = ("multiple_choice", "multi_select")
_COUNTS = {1: "one label", 2: "two labels"}
_USUAL_METRICS: Mapping[str, tuple[str, ...]] = {
    "classification": ("accuracy", "macro_f1"),
    "multilabel": ("macro_f1", "micro_f1"),
    "regression": ("pearson", "rmse"),
    "multiple_choice": ("accuracy",),
    "multi_select": ("exact_match", "hamming_score"),
    "tagging": ("span_f1", "token_accuracy"),
    "span_qa": ("squad_f1", "squad_em"),
    "retrieval": ("retrieval_accuracy", "mrr"),
    "mlm": (),
}


def own_task(name: str, section: TaskSection) -> TaskSpec:
    """Return the task that a section without faults declares."""
    splits = {
        language: {
            split: _split(declared, section.format)
            for split in SPLITS
            if (declared := getattr(splits, split)) is not None
        }
        for language, splits in section.languages.items()
    }
    return TaskSpec(
        name=name,
        kind=section.kind,
        domain=section.domain,
        splits=splits,
        metrics=tuple(section.metrics) or usual_metrics(section),
        labels=tuple(section.labels),
        label_map=section.label_map,
        unanswerable=section.unanswerable,
        licence=section.licence,
        citation=section.citation,
        confidential=section.confidential,
    )


def usual_metrics(section: TaskSection) -> tuple[str, ...]:
    """Return the scores of a task that names none, the main one first; none for mlm."""
    if section.kind == "span_qa" and section.unanswerable:
        return ("squad2_f1", "squad2_em")
    if section.kind == "tagging" and OUTSIDE not in section.labels:
        # Where every token has a tag, as with parts of speech, there are no spans to find.
        return ("token_accuracy",)
    return _USUAL_METRICS[section.kind]


def _split(declared: SplitSection, common: FormatSection | None) -> Split:
    layout = _format(declared, common)
    if declared.hub is not None:
        source = HubSource(
            declared.hub, declared.config, declared.split or "", declared.revision, ref=declared.ref
        )
        return Split(source, layout, declared.portion)
    return Split(FileSource(tuple(declared.files or ())), layout, declared.portion)


def _format(declared: SplitSection, common: FormatSection | None) -> Format:
    section = declared.format or common
    if section is None:
        return Format(HUB_FORMAT)
    return Format(section.type, section.columns, section.options)


# ---- faults


def own_task_faults(name: str, section: TaskSection) -> list[Fault]:
    """Return what contradicts in a task's section, with places inside the recipe."""
    where = f"tasks.{name}"
    faults = [*_label_faults(section, where), *_label_map_faults(section, where)]
    if section.unanswerable and section.kind != "span_qa":
        what = f"a {section.kind} task asks for no passage that holds the answer"
        faults.append(Fault(f"{where}.unanswerable", what, "leave it out; it is for span_qa"))
    faults += _metric_faults(section, f"{where}.metrics")
    for language, splits in section.languages.items():
        declared = {split: one for split in SPLITS if (one := getattr(splits, split)) is not None}
        place = f"{where}.languages.{language}"
        if not declared:
            faults.append(Fault(place, "names no split", "give train, validation or test"))
        for split, one in declared.items():
            faults += _split_faults(one, section.format, f"{place}.{split}")
    return faults


def _label_faults(section: TaskSection, where: str) -> Iterator[Fault]:
    place, kind = f"{where}.labels", section.kind
    fewest = _FEWEST_LABELS.get(kind, 0)
    if len(section.labels) < fewest:
        remedy = "list them in the order of the head"
        yield Fault(place, f"a {kind} task has at least {_COUNTS[fewest]}", remedy)
    if section.labels and fewest == 0 and kind not in _CHOICES:
        yield Fault(place, f"{kind} has no labels", "leave them out")
    if len(set(section.labels)) < len(section.labels):
        yield Fault(place, "a label stands twice", "name it once")
    if kind == "tagging" and any(label.startswith("B-") for label in section.labels):
        for label in section.labels:
            if label.startswith("I-") and f"B-{label[2:]}" not in section.labels:
                yield Fault(place, f"{label!r} has no 'B-{label[2:]}' that opens its spans", "add it")


def _label_map_faults(section: TaskSection, where: str) -> Iterator[Fault]:
    place, kind = f"{where}.label_map", section.kind
    if not section.label_map:
        return
    if kind not in _FEWEST_LABELS and kind not in _CHOICES:
        yield Fault(place, f"{kind} has no labels to map to", "leave it out")
        return
    # Options without names are told apart by their positions.
    known = names(section.labels, kind) if section.labels or kind not in _CHOICES else None
    for label in dict.fromkeys(section.label_map.values()):
        if label is None or (label in known if known is not None else label.isdecimal()):
            continue
        if known is None:
            yield Fault(
                place, f"{label!r} is not the position of an option", "count from '0', or declare `labels`"
            )
        else:
            hint = suggest(label, known) or f"labels: {', '.join(section.labels)}"
            yield Fault(place, f"{label!r} is not a label of this task", hint)


def _metric_faults(section: TaskSection, where: str) -> Iterator[Fault]:
    """An unknown score would only be met after everything is trained."""
    fitting = registry.names(section.kind)
    if section.metrics and not fitting:
        yield Fault(where, f"{section.kind} is never scored", "leave them out")
        return
    known = f"known: {', '.join(fitting)}"
    for name in section.metrics:
        if name in registry.names() and name not in fitting:
            yield Fault(where, f"{name!r} does not score a {section.kind} task", known)
            continue
        try:
            registry.get(name, labels=section.labels)
        except UsageError:
            yield Fault(where, f"{name!r} is not a metric", suggest(name, fitting) or known)


def _split_faults(declared: SplitSection, common: FormatSection | None, where: str) -> Iterator[Fault]:
    if (declared.files is None) == (declared.hub is None):
        yield Fault(where, "is no place of data", "give either `files` or `hub`")
        return
    start, end = declared.portion
    if start >= end:
        yield Fault(f"{where}.portion", f"[{start}, {end}] is empty", "write [from, to], from 0 to 100")
    layout = declared.format or common
    if declared.hub is None:
        for field in ("config", "split", "revision", "ref"):
            if getattr(declared, field) is not None:
                yield Fault(f"{where}.{field}", "belongs to a split on the hub", "name it as `hub`")
        if layout is None:
            yield Fault(
                f"{where}.format", "is missing", "say how to read the files, here or for the whole task"
            )
        elif layout.type == HUB_FORMAT:
            yield Fault(
                f"{where}.format", "'hub' reads no files", "name a reader of files, for example jsonl"
            )
        return
    if declared.split is None:
        yield Fault(f"{where}.split", "is missing", "name the hub's split, for example train")
    if layout is not None and layout.type != HUB_FORMAT:
        yield Fault(
            f"{where}.format", f"{layout.type!r} reads files", "give this split `format: {type: hub}`"
        )

"""Labels of a source as labels of a target: the head that trains on the source has the target's labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from adapterstilts.errors import Fault, suggest
from adapterstilts.tasks.spec import TaskSpec

OUTSIDE = "O"
PREFIXES = ("B-", "I-")
# Kinds whose head has one class a label; the options of a choice are told apart by their place alone.
LABELLED_KINDS = ("classification", "multilabel", "tagging")


def names(labels: Sequence[str], kind: str) -> tuple[str, ...]:
    """Return what a label list may be spoken of by: its labels, and for tags the types of its spans."""
    types = [label[2:] for label in labels if kind == "tagging" and label[:2] in PREFIXES]
    return tuple(dict.fromkeys((*labels, *types)))


def relabelled(source: TaskSpec, target: TaskSpec, given: Mapping[str, str | None]) -> TaskSpec:
    """Return the source with the target's labels and scores, its values mapped through both label maps.

    Args:
        source: the task that is trained on.
        target: the task whose labels the head has.
        given: label or span type of the source -> that of the target, without faults. None drops the row; a
            token it tags O.

    Returns:
        `source` itself where the labels are the same already, so that its keys are too.
    """
    if source.kind not in LABELLED_KINDS or (not given and source.labels == target.labels):
        return source
    translated = _translated(source, target, given)
    label_map = {label: new for label, new in translated.items() if new != label}
    for raw, label in source.label_map.items():
        label_map.update(_raw(raw, label, translated, source.kind))
    # Scores may name labels, and those of the head are the target's.
    return replace(source, labels=target.labels, label_map=label_map, metrics=target.metrics)


def _translated(source: TaskSpec, target: TaskSpec, given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return label of the source -> label of the target; what has no counterpart is left out."""
    translated: dict[str, str | None] = {}
    for label in source.labels:
        name = next((name for name in names((label,), source.kind) if name in given), None)
        if name is not None:
            translated[label] = _placed(label, given[name], target)
        elif label in target.labels:
            translated[label] = label
    return translated


def _placed(label: str, value: str | None, target: TaskSpec) -> str | None:
    """Return the target's label for one of the source: a type gets the prefix of the tag that it replaces."""
    if target.kind != "tagging":
        return value
    if value is None:
        return OUTSIDE
    tag = label[:2] + value if label[:2] in PREFIXES else value
    return value if tag not in target.labels and value in target.labels else tag


def _raw(
    raw: str, label: str | None, translated: Mapping[str, str | None], kind: str
) -> dict[str, str | None]:
    """Return a value of the data with its label; among tags, a span type stands for both of its tags."""
    is_type = kind == "tagging" and raw[:2] not in PREFIXES
    found: dict[str, str | None] = {}
    for prefix in ("", *PREFIXES) if is_type else ("",):
        tag = label if label in (None, OUTSIDE) else prefix + label
        if tag is None or tag in translated:
            found[prefix + raw] = None if tag is None else translated[tag]
    return found


def label_faults(source: TaskSpec, target: TaskSpec, given: Mapping[str, str | None]) -> Iterator[Fault]:
    """Yield what is wrong with a label map, without a place.

    Args:
        source: the task that is trained on.
        target: of the same kind.
        given: as in `relabelled`.
    """
    if source.kind not in LABELLED_KINDS:
        if given:
            yield Fault("", f"a {source.kind} task has no labels to map", "leave them out")
        return
    unknown = [
        *_unknown(source, given),
        *_unknown(target, [value for value in given.values() if value is not None]),
    ]
    yield from unknown
    translated = _translated(source, target, given)
    if not unknown:
        yield from _impossible(translated, target)
    missing = [label for label in source.labels if label not in translated]
    if missing:
        spoken = [label[2:] if label[:2] in PREFIXES else label for label in missing]
        listed = ", ".join(dict.fromkeys(spoken if source.kind == "tagging" else missing))
        what = f"{source.name!r} has labels without a counterpart in {target.name!r}: {listed}"
        remedy = f"map each of them, or to null; {target.name!r} has {_shown(target)}"
        yield Fault("", what, remedy)


def _unknown(task: TaskSpec, given: Mapping[str, str | None] | Sequence[str]) -> Iterator[Fault]:
    known = names(task.labels, task.kind)
    for name in dict.fromkeys(given):
        if name not in known:
            hint = suggest(name, known) or f"it has: {_shown(task)}"
            yield Fault("", f"{name!r} is not a label of {task.name!r}", hint)


def _impossible(translated: Mapping[str, str | None], target: TaskSpec) -> Iterator[Fault]:
    for label, new in translated.items():
        if new is not None and new not in target.labels:
            what = f"{label!r} would become {new!r}, which is not a label of {target.name!r}"
            yield Fault("", what, f"it has: {', '.join(target.labels)}")


def _shown(task: TaskSpec) -> str:
    """Return the labels as a map may name them, for tags the types."""
    spoken = [
        label[2:] if task.kind == "tagging" and label[:2] in PREFIXES else label for label in task.labels
    ]
    return ", ".join(dict.fromkeys(spoken))

"""Plots of a study: its history, what mattered, what helped, and of several objectives the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from adapterstilts.files import replace_bytes
from adapterstilts.report.document import slug
from adapterstilts.report.plots import files_of

_BLUE, _RED, _GREY = "#0072B2", "#D55E00", "#bbbbbb"
_COLOURS = "RdBu"

Plots = dict[str, dict[str, bytes]]
"""Plot's name -> format -> the file's bytes."""


def draw_study(
    name: str,
    objectives: Sequence[str],
    points: Sequence[tuple[int, Sequence[float]]],
    history: Sequence[tuple[int, float, float]],
    importance: Mapping[str, float],
    front: Sequence[int],
) -> Plots:
    """Return the plots of a study, none of those for which it has no numbers.

    Args:
        name: of the study.
        objectives: by name.
        points: number and values of each complete trial.
        history: number, score and best score so far of each.
        importance: question -> share.
        front: numbers of the trials on the Pareto front.
    """
    plots: Plots = {}
    if history:
        plots[f"history-{slug(name)}"] = files_of(lambda: _history(name, history))
    if importance:
        plots[f"importance-{slug(name)}"] = files_of(lambda: _importance(name, importance))
    for i, other in enumerate(objectives):
        if front and other != "score":
            score = objectives.index("score")
            pairs = [(number, values[i], values[score]) for number, values in points]
            plots[f"front-{slug(name)}-{other}"] = files_of(partial(_front, name, other, pairs, set(front)))
    return plots


def draw_transfer(name: str, gains: Mapping[str, Mapping[str, float]]) -> Plots:
    """Return the transfer matrix of studies: adapters by targets, the gain in score over the target adapter alone.

    Args:
        name: of the recipe.
        gains: target -> adapter -> gain.
    """
    if not any(gains.values()):
        return {}
    return {f"transfer-{slug(name)}": files_of(lambda: _matrix(gains))}


def save(folder: Path, plots: Plots) -> list[Path]:
    """Write plots into a folder, each file replaced as a whole, and return their paths."""
    files = {folder / f"{name}.{end}": data for name, own in plots.items() for end, data in own.items()}
    for path, data in files.items():
        replace_bytes(path, data)
    return list(files)


def _history(name: str, history: Sequence[tuple[int, float, float]]) -> Canvas:
    canvas = Canvas(figsize=(5.2, 3.2))
    axes = canvas.add_subplot()
    numbers = [number for number, _, _ in history]
    axes.plot(numbers, [score for _, score, _ in history], "o", color=_BLUE, markersize=4, label="trial")
    axes.step(numbers, [best for _, _, best in history], color=_RED, where="post", label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel("score on validation data")
    axes.set_title(name)
    axes.legend(frameon=False, fontsize=8)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)
    return canvas


def _importance(name: str, importance: Mapping[str, float]) -> Canvas:
    shown = sorted(importance.items(), key=lambda one: one[1])
    canvas = Canvas(figsize=(5.2, 0.8 + 0.26 * len(shown)))
    axes = canvas.add_subplot()
    axes.barh([question for question, _ in shown], [share for _, share in shown], color=_BLUE)
    axes.set_xlabel("importance (PED-ANOVA), share")
    axes.set_title(name)
    return canvas


def _front(name: str, other: str, pairs: Sequence[tuple[int, float, float]], front: set[int]) -> Canvas:
    canvas = Canvas(figsize=(5.2, 3.2))
    axes = canvas.add_subplot()
    behind = [(x, y) for number, x, y in pairs if number not in front]
    ahead = sorted((x, y) for number, x, y in pairs if number in front)
    axes.plot([x for x, _ in behind], [y for _, y in behind], "o", color=_GREY, markersize=4, label="trial")
    axes.plot([x for x, _ in ahead], [y for _, y in ahead], "o-", color=_RED, markersize=5, label="front")
    axes.set_xlabel(other)
    axes.set_ylabel("score on validation data")
    axes.set_title(name)
    axes.legend(frameon=False, fontsize=8)
    return canvas


def _matrix(gains: Mapping[str, Mapping[str, float]]) -> Canvas:
    targets = [target for target, own in gains.items() if own]
    adapters = list(dict.fromkeys(name for target in targets for name in gains[target]))
    reach = max(abs(gain) for target in targets for gain in gains[target].values()) or 1.0
    canvas = Canvas(figsize=(1.6 + 1.1 * len(targets), 0.9 + 0.42 * len(adapters)))
    axes = canvas.add_subplot()
    axes.set_xlim(0, len(targets))
    axes.set_ylim(len(adapters), 0)
    for row, adapter in enumerate(adapters):
        for column, target in enumerate(targets):
            gain = gains[target].get(adapter)
            face = "#f4f4f4" if gain is None else mpl.colormaps[_COLOURS](0.5 + 0.4 * gain / reach)
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=face, edgecolor="white", linewidth=2))
            text = "-" if gain is None else f"{gain:+.3f}"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center")
    axes.set_xticks([column + 0.5 for column in range(len(targets))], targets)
    axes.set_yticks([row + 0.5 for row in range(len(adapters))], adapters)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return canvas

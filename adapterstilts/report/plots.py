"""Plots of a transfer table: heat maps of gains, scores against cost. The only place for matplotlib.

Figures are drawn without pyplot, so that nothing of the caller's matplotlib is touched, and saved without
dates and versions, so that equal results give equal files.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from adapterstilts.files import replace_bytes
from adapterstilts.report.costs import Panel, panels
from adapterstilts.report.display import metric_text, wrap_name
from adapterstilts.report.document import Figure, figures
from adapterstilts.report.table import Target, TransferTable
from adapterstilts.report.tiles import HeatMap, Tile, gains_map, languages_map

FORMATS = ("png", "svg")

_STYLE: list[Any] = ["default", {"font.size": 9, "svg.hashsalt": "adapterstilts", "hatch.linewidth": 0.6}]
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
}
_DPI = 150
_NAME_WIDTH = 30
_CAPTION_WIDTH = 76
# Inches above a band of tiles, for the heads of its columns.
_HEAD = 0.6
# Blue for better and red for worse can be told apart with every common kind of colour vision.
_COLOURS = "RdBu"
# Okabe and Ito's colours without the yellow, which is too faint for points; markers run in another period.
_POINTS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def draw(table: TransferTable) -> dict[str, dict[str, bytes]]:
    """Return plot's name -> format -> the file's bytes; equal tables give equal bytes."""
    return {figure.name: _files(table, figure) for figure in figures(table)}


def save_plots(folder: Path, plots: dict[str, dict[str, bytes]]) -> list[Path]:
    """Write plots into a folder, each file replaced as a whole; plots of an earlier report go away.

    Args:
        folder: made if it is missing.
        plots: from `draw`.
    """
    content = {f"{name}.{end}": files[end] for name, files in plots.items() for end in FORMATS}
    for name, data in content.items():
        replace_bytes(folder / name, data)
    for pattern in ("gains", "languages-*", "cost-*"):
        for end in FORMATS:
            for path in folder.glob(f"{pattern}.{end}"):
                if path.name not in content:
                    path.unlink()
    return [folder / name for name in content]


def _files(table: TransferTable, figure: Figure) -> dict[str, bytes]:
    if figure.target is None:
        return files_of(lambda: _heat_map(gains_map(table)))
    target = figure.target
    if figure.kind == "languages":
        return files_of(lambda: _heat_map(languages_map(table, target)))
    return files_of(lambda: _cost(table, target))


def files_of(make: Callable[[], Canvas]) -> dict[str, bytes]:
    """Return format -> the bytes of a figure, which is made in our own style."""
    with style.context(_STYLE):
        canvas = make()
        return {end: _bytes(canvas, end) for end in FORMATS}


def _bytes(canvas: Canvas, end: str) -> bytes:
    buffer = io.BytesIO()
    room: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.12}
    canvas.savefig(buffer, format=end, dpi=_DPI, facecolor="white", metadata=_METADATA[end], **room)
    return buffer.getvalue()


# ---- heat maps


def _heat_map(plan: HeatMap) -> Canvas:
    """Draw a grid of tiles; names stand outside it, and saving makes room for them."""
    heights = [max(0.54, 0.16 * len(wrap_name(method, _NAME_WIDTH)) + 0.2) for method in plan.methods]
    starts = range(0, len(plan.heads), plan.band)
    across = min(plan.band, len(plan.heads))
    band = sum(heights) + _HEAD
    canvas = Canvas(figsize=(plan.width * across, band * len(starts)))
    for number, start in enumerate(starts):
        columns = slice(start, start + plan.band)
        share = len(plan.heads[columns]) / across
        bottom = 1 - (number + 1) / len(starts)
        axes = canvas.add_axes((0, bottom, share, sum(heights) / band / len(starts)))
        _draw_band(axes, plan, columns, heights)
    lines = [line for text in plan.caption for line in textwrap.wrap(text, _CAPTION_WIDTH)]
    below: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
    axes.annotate("\n".join(lines), (0, 0), (0, -8), fontsize=8, color="#333333", **below)
    return canvas


def _draw_band(axes: Axes, plan: HeatMap, columns: slice, heights: Sequence[float]) -> None:
    """Draw some columns; the axes count tiles across, and inches down."""
    heads = plan.heads[columns]
    axes.set_xlim(0, len(heads))
    axes.set_ylim(sum(heights), 0)
    tops = [sum(heights[:row]) for row in range(len(heights))]
    for tiles, top, height in zip(plan.tiles, tops, heights, strict=True):
        for place, tile in enumerate(tiles[columns]):
            _draw_tile(axes, tile, place, top, plan.width, height)
    middles = [top + height / 2 for top, height in zip(tops, heights, strict=True)]
    axes.set_yticks(middles, ["\n".join(wrap_name(method, _NAME_WIDTH)) for method in plan.methods])
    axes.set_xticks([place + 0.5 for place in range(len(heads))], ["\n".join(head) for head in heads])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_tile(axes: Axes, tile: Tile, left: float, top: float, width: float, height: float) -> None:
    face, ink = _colours(tile)
    hatch: dict[str, Any] = {"hatch": "////", "edgecolor": "#c8c8c8"} if tile.hatched else {}
    axes.add_patch(Rectangle((left, top), 1, height, facecolor=face, linewidth=0, **hatch))
    axes.add_patch(Rectangle((left, top), 1, height, fill=False, edgecolor="white", linewidth=2))
    if tile.clear:
        aside, below = 0.05 / width, 0.05
        frame = (left + aside, top + below), 1 - 2 * aside, height - 2 * below
        axes.add_patch(Rectangle(*frame, fill=False, edgecolor=ink, linewidth=1.2))
    text: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
    if tile.hatched:
        text["bbox"] = {"facecolor": face, "edgecolor": "none", "pad": 1.5}
    middle, apart = top + height / 2, 0.095 if len(tile.lines) > 1 else 0.0
    axes.text(
        left + 0.5, middle - apart, tile.lines[0], fontweight="bold" if tile.clear else "normal", **text
    )
    for line in tile.lines[1:]:
        axes.text(left + 0.5, middle + apart, line, fontsize=7.5, **text)


def _colours(tile: Tile) -> tuple[Any, str]:
    """Return a tile's colour and that of its text."""
    if tile.colour is None:
        return "#f4f4f4", "#222222"
    # The map's ends are so dark that a hair less shows the numbers better.
    red, green, blue, _ = mpl.colormaps[_COLOURS](0.5 + 0.44 * tile.colour)
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
    return (red, green, blue), "white" if dark else "#111111"


# ---- scores against cost


def _cost(table: TransferTable, target: Target) -> Canvas:
    """Draw the panels side by side, with one legend for all."""
    found = panels(table, target)
    canvas = Canvas(figsize=(3.9 * len(found), 3.3))
    first: Axes | None = None
    for place, panel in enumerate(found, 1):
        axes = canvas.add_subplot(1, len(found), place, sharey=first)
        _draw_panel(axes, panel, table)
        if first is None:
            axes.set_ylabel(f"{target.name}: {metric_text(target)}")
        else:
            axes.tick_params(labelleft=False)
        first = first or axes
    handles, labels = canvas.axes[0].get_legend_handles_labels()
    canvas.subplots_adjust(wspace=0.08)
    canvas.legend(handles, labels, loc="center left", bbox_to_anchor=(0.92, 0.5), fontsize=8, frameon=False)
    return canvas


def _draw_panel(axes: Axes, panel: Panel, table: TransferTable) -> None:
    for point, x in zip(panel.points, panel.places, strict=True):
        number = table.methods.index(point.method)
        colour, marker = _POINTS[number % len(_POINTS)], _MARKERS[number % len(_MARKERS)]
        name = "\n".join(wrap_name(point.method, _NAME_WIDTH + 6))
        bars = [[max(0.0, point.score - point.low)], [max(0.0, point.high - point.score)]]
        axes.errorbar(x, point.score, bars, fmt=marker, color=colour, markersize=6, elinewidth=1, label=name)
        if point.method == table.baseline:
            axes.axhline(point.score, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(*panel.limits)
    axes.set_xlabel(panel.label)
    axes.set_xticks([x for x, _ in panel.ticks], [text for _, text in panel.ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)

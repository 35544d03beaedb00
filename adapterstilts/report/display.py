"""How numbers, names and marks look, the same in text, Markdown, HTML and plots."""

from __future__ import annotations

import re

from adapterstilts.metrics.intervals import Interval
from adapterstilts.report.table import Target

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

SHARES_MARK = "†"


def score_text(value: float, target: Target) -> str:
    """Return a score, in points where the target's metric is shown so."""
    return f"{value * target.scale:.{_digits(target)}f}"


def gain_text(value: float, target: Target) -> str:
    """Return a difference with its sign; what rounds to 0 has none."""
    text = f"{value * target.scale:+.{_digits(target)}f}"
    return text[1:] if float(text) == 0 else text


def bounds_text(interval: Interval, target: Target, *, signed: bool) -> str:
    """Return ``[low, high]``."""
    show = gain_text if signed else score_text
    return f"[{show(interval.low, target)}, {show(interval.high, target)}]"


def metric_text(target: Target) -> str:
    """Return the metric's name, with its direction where lower is better."""
    return target.metric if target.higher_is_better else f"{target.metric}, lower is better"


def superscript(number: int) -> str:
    """Return a number in raised digits."""
    return str(number).translate(_SUPERSCRIPTS)


def count_text(count: int) -> str:
    """Return a count in three digits and a unit: ``950``, ``1.25 M``, ``278 M``."""
    value, units = float(count), ["", " k", " M", " G"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.3g}{units[0]}"


def bytes_text(count: int) -> str:
    """Return a size in binary units; a dash for 0, which means that nobody measured."""
    if count <= 0:
        return "-"
    value, units = count / 2**10, ["KiB", "MiB", "GiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.1f} {units[0]}"


def seconds_text(seconds: float) -> str:
    """Return a time in its two largest units: ``0.8 s``, ``12 min 3 s``, ``2 h 5 min``."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def wrap_name(name: str, width: int) -> list[str]:
    """Break a name after commas and opening brackets into lines of at most `width` where it can.

    Parts that are too long even so are broken after hyphens and underscores. A method keeps its
    characters: joining the lines gives the name again, but for spaces at line ends.
    """
    lines, line = [], ""
    for part in re.findall(r"[^ (]*[ (]?", name):
        for piece in re.findall(r"[^-_]*[-_]?", part) if len(part.rstrip()) > width else [part]:
            if line and len((line + piece).rstrip()) > width:
                lines.append(line.rstrip())
                line = ""
            line += piece
    return [*lines, line.rstrip()]


def _digits(target: Target) -> int:
    return 1 if target.scale == 100 else 3

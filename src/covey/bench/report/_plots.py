"""Drawings of a report as places in an SVG: accuracy against time, published against measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from covey.bench.report._score_tables import Row, Table

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 20, 52
_LABEL_GAP: Final = 17
_STEPS: Final = (1.0, 2.0, 5.0, 10.0, 20.0)
_MOST_STEPS: Final = 6


class Mark(NamedTuple):
    """One point: where it is, how far it spreads, and where its name is."""

    name: str
    x: float
    y: float
    low: float
    high: float
    label_y: float
    kind: str
    words: str


class Tick(NamedTuple):
    """A number on an axis."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Points with two axes.

    Attributes
    ----------
    title, x_title, y_title : str
        What is drawn.
    marks : tuple of Mark
        Points, from above.
    x_ticks, y_ticks : tuple of Tick
        Numbers of the axes.
    diagonal : tuple of float or None
        Ends (x1, y1, x2, y2) of the line on which both axes agree.
    """

    title: str
    x_title: str
    y_title: str
    marks: tuple[Mark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    diagonal: tuple[float, float, float, float] | None = None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    baseline: int = HEIGHT - BOTTOM


class Point(NamedTuple):
    """What is to be drawn: values, spread of y, and words for people who do not see the drawing."""

    name: str
    x: float
    y: float
    spread: float
    kind: str
    words: str


def plot_cost(table: Table) -> Plot | None:
    """Draw mean accuracy over processor time in units of k-means, which is measured beside each fit.

    Parameters
    ----------
    table : Table
        Of any protocol.

    Returns
    -------
    plot : Plot or None
        None if fewer than two rows have a time.
    """
    points = [_cost_point(row) for row in table.rows if row.scores and (row.facts["cpu_ratio"] or 0) > 0]
    if len(points) < 2:
        return None
    xs = [math.log10(point.x) for point in points]
    return _draw(
        f"{table.dataset}, {table.protocol.name}",
        ("processor time of the fit, in times of k-means on the same rows", "ACC in %"),
        [point._replace(x=x) for point, x in zip(points, xs, strict=True)],
        _decades(min(xs), max(xs)),
    )


def _cost_point(row: Row) -> Point:
    accuracy, ratio = row.scores["acc"], row.facts["cpu_ratio"]
    words = f"{row.title}: ACC {100 * accuracy.mean:.1f} ± {100 * accuracy.std:.1f} %, {ratio:.2g} times k-means"
    return Point(row.title, ratio, 100 * accuracy.mean, 100 * accuracy.std, row.kind, words)


def plot_published(points: Sequence[Point]) -> Plot | None:
    """Draw measured over published accuracy, both in %, with the line on which they agree.

    Parameters
    ----------
    points : sequence of Point
        x is published, y measured.

    Returns
    -------
    plot : Plot or None
        None without a point.
    """
    if not points:
        return None
    values = [point.x for point in points] + [point.y for point in points]
    ticks = _round_ticks(min(values), max(values))
    plot = _draw("Published and measured", ("published ACC in %", "measured ACC in %"), points, ticks, y_ticks=ticks)
    return replace(plot, diagonal=(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, TOP))


def _decades(low: float, high: float) -> list[float]:
    """Return whole powers of ten that enclose two logarithms."""
    return [float(power) for power in range(math.floor(low), math.ceil(high) + 1)] if high > low else [low - 1, low + 1]


def _round_ticks(low: float, high: float) -> list[float]:
    """Return a few round numbers of equal distance that enclose two percentages; none is above 100."""
    for step in _STEPS:
        first, last = math.floor(low / step), math.ceil(min(high, 100.0) / step)
        if last - first <= _MOST_STEPS:
            break
    return [step * i for i in range(min(first, last - 1), last + 1)]


def _draw(
    title: str,
    axes: tuple[str, str],
    points: Sequence[Point],
    x_ticks: Sequence[float],
    *,
    y_ticks: Sequence[float] | None = None,
) -> Plot:
    """Place points; axes end at their outer ticks. Without `y_ticks` those of x are logarithms."""
    is_log = y_ticks is None
    if y_ticks is None:
        y_ticks = _round_ticks(min(p.y - p.spread for p in points), max(p.y + p.spread for p in points))
    low, high = y_ticks[0], y_ticks[-1]
    x_span, y_span = (x_ticks[-1] - x_ticks[0]) or 1.0, (high - low) or 1.0

    def across(x: float) -> float:
        return round(LEFT + (x - x_ticks[0]) / x_span * (WIDTH - LEFT - RIGHT), 1)

    def height(y: float) -> float:
        return round(HEIGHT - BOTTOM - (y - low) / y_span * (HEIGHT - TOP - BOTTOM), 1)

    ordered = sorted(points, key=lambda point: -point.y)
    labels = _apart([height(point.y) for point in ordered])
    marks = [
        Mark(
            p.name,
            across(p.x),
            height(p.y),
            height(max(p.y - p.spread, low)),
            height(min(p.y + p.spread, high)),
            label_y,
            p.kind,
            p.words,
        )
        for p, label_y in zip(ordered, labels, strict=True)
    ]
    return Plot(
        title,
        *axes,
        tuple(marks),
        tuple(Tick(across(x), _power(x) if is_log else f"{x:.0f}") for x in x_ticks),
        tuple(Tick(height(y), f"{y:.0f}") for y in y_ticks),
    )


def _power(x: float) -> str:
    return f"{10**x:g}" if -3 <= x <= 4 else f"1e{x:.0f}"


def _apart(heights: Sequence[float]) -> list[float]:
    """Move labels from above downwards until none covers another, and all up again if they leave the drawing."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + _LABEL_GAP) if placed else height)
    over = (placed[-1] - (HEIGHT - BOTTOM)) if placed else 0.0
    if over <= 0:
        return placed
    lifted = [place - over for place in placed]
    for i in range(len(lifted) - 1):  # the upper ones go back to their points where there is room
        lifted[i] = max(lifted[i], min(heights[i], lifted[i + 1] - _LABEL_GAP))
    return [round(place, 1) for place in lifted]

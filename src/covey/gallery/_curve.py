"""The evidence for a choice that was made without labels as a drawing: scores to points of an SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from covey.gallery._urls import readable
from covey.selection import CRITERIA

__all__ = [
    "Curve", "CurveLine", "CurvePoint", "across", "meaning_of", "read_beta_sweep", "read_curve", "words_for",
]  # fmt: skip

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 18, 32
# Candidates that span more than this factor are drawn on a logarithmic scale.
LOG_SPAN = 8
# Two numbers below the axis keep at least this distance.
TICK_GAP = 40
# A column of this name holds the standard deviation of the column before the suffix.
SPREAD = "_std"

# What the other columns mean that are drawn: those of the sweep over β, and of CPP's coding length curve.
_MEANINGS = {
    "conditional_entropy": "in nats: how unsure the predictions are; the lowest β from which on it stays low is taken",
    "marginal_entropy": "in nats: how evenly the clusters are used; the logarithm of their number would be perfectly",
    "nats_per_image": "in nats: what it takes to write down a picture and its group; the shortest is best",
    "nats_for_labels": "in nats: the part of it that says which group a picture is in",
}

Column = tuple[float | None, ...]


class CurvePoint(NamedTuple):
    """One candidate: what was tried, a number of clusters mostly, its score, and where it is drawn.

    `low` and `high` are the vertical ends of one standard deviation to each side; None where it is unknown.
    """

    value: float
    score: float
    x: float
    y: float
    is_chosen: bool
    has_tick: bool
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class CurveLine:
    """One score over what was tried.

    Attributes
    ----------
    name, meaning : str
        What was measured, and what it says; the meaning may be empty.
    points : tuple of CurvePoint
        By rising value; a candidate without this score is left out.
    bottom, top : float
        The scores at the ends of the vertical axis.
    """

    name: str
    meaning: str
    points: tuple[CurvePoint, ...]
    bottom: float
    top: float

    @property
    def path(self) -> str:
        """Return the points as an SVG polyline takes them."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)


@dataclass(frozen=True, slots=True)
class Curve:
    """How a number was chosen, that of the clusters or another.

    Attributes
    ----------
    chosen : float
        The number that was taken.
    criterion : str
        What decided.
    lines : tuple of CurveLine
        The deciding score first.
    candidates : tuple of float
        All numbers that were tried, rising.
    scores : tuple of tuple of (float or None, float or None)
        For each candidate and line the score and its standard deviation.
    band : tuple of float or None
        Left and right end of the numbers that do nearly as well.
    caption : str
        What a candidate is called, with ``{}`` for its number.
    """

    chosen: float
    criterion: str
    lines: tuple[CurveLine, ...]
    candidates: tuple[float, ...]
    scores: tuple[tuple[tuple[float | None, float | None], ...], ...]
    band: tuple[float, float] | None = None
    caption: str = "{} clusters"
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    ceiling: int = TOP
    baseline: int = HEIGHT - BOTTOM


def read_curve(selection: Mapping[str, Any] | None) -> Curve | None:
    """Turn the recorded evidence for the number of clusters into a drawing.

    Parameters
    ----------
    selection : mapping or None
        What `covey.selection.NClustersResult.to_dict` gives: ``n_clusters``, ``criterion``, ``candidates``, ``scores``
        (name to one number for each candidate) and, optionally, ``interval``.

    Returns
    -------
    curve : Curve or None
        None if there is no evidence, or fewer than two candidates.
    """
    if not selection or len(selection.get("candidates") or ()) < 2:
        return None
    criterion = str(selection.get("criterion") or "score")
    order = sorted(range(len(selection["candidates"])), key=lambda i: int(selection["candidates"][i]))
    candidates = tuple(int(selection["candidates"][i]) for i in order)
    columns = {
        name: tuple(_number(values[i]) for i in order)
        for name, values in (selection.get("scores") or {}).items()
        if len(values) == len(candidates)
    }
    chosen = int(selection["n_clusters"])
    nothing: Column = (None,) * len(candidates)
    named = sorted((name for name in columns if not name.endswith(SPREAD)), key=lambda name: name != criterion)
    pairs = {name: (columns[name], columns.get(name + SPREAD, nothing)) for name in named}
    lines = {name: _draw(name, candidates, *pair, chosen) for name, pair in pairs.items()}
    drawn = {name: line for name, line in lines.items() if line is not None}
    if not drawn:
        return None
    return Curve(
        chosen=chosen,
        criterion=words_for(criterion),
        lines=tuple(drawn.values()),
        candidates=candidates,
        scores=tuple(zip(*(tuple(zip(*pairs[name], strict=True)) for name in drawn), strict=True)),
        band=_band(selection.get("interval"), candidates),
    )


def read_beta_sweep(sweep: Mapping[str, Any] | None) -> Curve | None:
    """Turn the recorded choice of TEMI's β into a drawing of both entropies.

    Parameters
    ----------
    sweep : mapping or None
        What `covey.cluster.BetaSweep.to_dict` gives: ``beta``, ``betas``, ``conditional_entropy`` and
        ``marginal_entropy``, in nats.

    Returns
    -------
    curve : Curve or None
        None if there is no sweep, or fewer than two β.
    """
    if not sweep or len(sweep["betas"]) < 2:
        return None
    betas, chosen = tuple(map(float, sweep["betas"])), float(sweep["beta"])
    columns = {name: tuple(map(_number, sweep[name])) for name in ("conditional_entropy", "marginal_entropy")}
    nothing: Column = (None,) * len(betas)
    # From 0 upwards: two entropies that differ in the third digit shall look alike.
    lines = {name: _draw(name, betas, column, nothing, chosen, floor=0.0) for name, column in columns.items()}
    drawn = {name: line for name, line in lines.items() if line is not None}
    return Curve(
        chosen=chosen,
        criterion=words_for("conditional_entropy"),
        lines=tuple(drawn.values()),
        candidates=betas,
        scores=tuple(tuple((columns[name][i], None) for name in drawn) for i in range(len(betas))),
        caption="β = {}",
    )


def words_for(name: str) -> str:
    """Write the name of a score for a person."""
    title: str = CRITERIA.spec(name).title if name in CRITERIA else ""
    return title or readable(name).replace("_", " ")


def meaning_of(name: str) -> str:
    """Say what a score tells; nothing of an unknown one."""
    meaning: str = CRITERIA.spec(name).meaning if name in CRITERIA else _MEANINGS.get(name, "")
    return meaning


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _band(interval: Sequence[int] | None, candidates: Sequence[int]) -> tuple[float, float] | None:
    """Return the ends of an interval of more than one number, a little beyond its points."""
    if not interval or interval[0] == interval[1]:
        return None
    return across(interval[0], candidates) - 8, across(interval[1], candidates) + 8


def _draw(
    name: str,
    candidates: Sequence[float],
    scores: Column,
    spreads: Column,
    chosen: float,
    *,
    floor: float = math.inf,
) -> CurveLine | None:
    """Place the scores of one column above their least or `floor`; None if fewer than two candidates have one."""
    known = [
        (value, score, spread)
        for value, score, spread in zip(candidates, scores, spreads, strict=True)
        if score is not None
    ]
    if len(known) < 2:
        return None
    bottom = min(floor, *(score - (spread or 0) for _, score, spread in known))
    top = max(score + (spread or 0) for _, score, spread in known)
    if bottom == top:  # a flat line runs through the middle
        bottom, top = bottom - 0.5, top + 0.5

    def height(score: float) -> float:
        return round(HEIGHT - BOTTOM - (score - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    ticks = _ticks([value for value, _, _ in known], candidates, chosen)
    points = [
        CurvePoint(
            value=value,
            score=score,
            x=across(value, candidates),
            y=height(score),
            is_chosen=value == chosen,
            has_tick=value in ticks,
            low=height(score - spread) if spread is not None else None,
            high=height(score + spread) if spread is not None else None,
        )
        for value, score, spread in known
    ]
    return CurveLine(words_for(name), meaning_of(name), tuple(points), bottom, top)


def _ticks(known: Sequence[float], candidates: Sequence[float], chosen: float) -> set[float]:
    """Return the numbers that are written below the axis: the chosen one, and others where there is room."""
    ticks = {chosen}
    last = -math.inf
    for value in known:
        x = across(value, candidates)
        if x - last >= TICK_GAP and abs(x - across(chosen, candidates)) >= TICK_GAP:
            ticks.add(value)
            last = x
    return ticks


def across(value: float, candidates: Sequence[float], left: float = LEFT) -> float:
    """Return the horizontal place of a candidate, those from the first to the last beginning at `left`."""
    first, last = candidates[0], candidates[-1]
    if last > LOG_SPAN * first > 0 and value > 0:
        share = math.log(value / first) / math.log(last / first)
    else:
        share = (value - first) / ((last - first) or 1)
    return round(left + share * (WIDTH - left - RIGHT), 1)

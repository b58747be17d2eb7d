"""The evidence for the number of clusters as a drawing: scores to points of an SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from covey.gallery._urls import readable

__all__ = ["Curve", "CurveLine", "CurvePoint", "read_curve"]

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 18, 32
# Candidates that span more than this factor are drawn on a logarithmic scale.
LOG_SPAN = 8
# Two numbers below the axis keep at least this distance.
TICK_GAP = 40


class CurvePoint(NamedTuple):
    """One candidate: its number of clusters, its score, and where it is drawn."""

    n_clusters: int
    score: float
    x: float
    y: float
    is_chosen: bool
    has_tick: bool


@dataclass(frozen=True, slots=True)
class CurveLine:
    """One score over the number of clusters.

    Attributes
    ----------
    name : str
        What was measured.
    points : tuple of CurvePoint
        By rising number of clusters; a candidate without this score is left out.
    low, high : float
        The scores at the ends of the vertical axis.
    """

    name: str
    points: tuple[CurvePoint, ...]
    low: float
    high: float

    @property
    def path(self) -> str:
        """Return the points as an SVG polyline takes them."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)


@dataclass(frozen=True, slots=True)
class Curve:
    """How the number of clusters was chosen.

    Attributes
    ----------
    chosen : int
        The number that was taken.
    criterion : str
        What decided.
    reason : str
        Why, in a sentence; may be empty.
    lines : tuple of CurveLine
        The deciding score first.
    candidates : tuple of int
        All numbers that were tried, rising.
    scores : tuple of tuple of (float or None)
        For each candidate the scores in the order of `lines`.
    """

    chosen: int
    criterion: str
    reason: str
    lines: tuple[CurveLine, ...]
    candidates: tuple[int, ...]
    scores: tuple[tuple[float | None, ...], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    baseline: int = HEIGHT - BOTTOM


def read_curve(selection: Mapping[str, Any] | None) -> Curve | None:
    """Turn the recorded evidence for the number of clusters into a drawing.

    Parameters
    ----------
    selection : mapping or None
        ``n_clusters`` (int), ``candidates`` (list of int), ``scores`` (list of float, or mapping of name to such a
        list), and, if known, ``criterion`` and ``reason`` (str).

    Returns
    -------
    curve : Curve or None
        None if there is no evidence, or fewer than two candidates.
    """
    if not selection or len(selection.get("candidates") or ()) < 2:
        return None
    criterion = readable(str(selection.get("criterion") or "score"))
    columns = _columns(selection.get("scores"), criterion)
    order = sorted(range(len(selection["candidates"])), key=lambda i: int(selection["candidates"][i]))
    candidates = tuple(int(selection["candidates"][i]) for i in order)
    ordered = {
        name: tuple(_number(values[i]) for i in order)
        for name, values in columns.items()
        if len(values) == len(candidates)
    }
    chosen = int(selection["n_clusters"])
    lines = {name: _draw(name, candidates, values, chosen) for name, values in ordered.items()}
    drawn = {name: line for name, line in lines.items() if line is not None}
    if not drawn:
        return None
    names = sorted(drawn, key=lambda name: name != criterion)
    return Curve(
        chosen=chosen,
        criterion=criterion.replace("_", " "),
        reason=readable(str(selection.get("reason") or "")),
        lines=tuple(drawn[name] for name in names),
        candidates=candidates,
        scores=tuple(zip(*(ordered[name] for name in names), strict=True)),
    )


def _columns(scores: object, criterion: str) -> dict[str, Sequence[Any]]:
    """Return every list of scores by its name."""
    if isinstance(scores, Mapping):
        return {readable(str(name)): values for name, values in scores.items() if isinstance(values, Sequence)}
    return {criterion: scores} if isinstance(scores, Sequence) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _draw(name: str, candidates: Sequence[int], values: Sequence[float | None], chosen: int) -> CurveLine | None:
    """Place the scores of one criterion; None if fewer than two candidates have one."""
    pairs = [(n_clusters, score) for n_clusters, score in zip(candidates, values, strict=True) if score is not None]
    if len(pairs) < 2:
        return None
    low, high = min(score for _, score in pairs), max(score for _, score in pairs)
    # A flat line runs through the middle.
    span = high - low or 1.0
    bottom = low if high > low else low - 0.5
    points: list[CurvePoint] = []
    last_tick = -math.inf
    chosen_x = _across(chosen, candidates)
    for n_clusters, score in pairs:
        x = _across(n_clusters, candidates)
        is_chosen = n_clusters == chosen
        has_tick = is_chosen or (x - last_tick >= TICK_GAP and abs(x - chosen_x) >= TICK_GAP)
        last_tick = x if has_tick else last_tick
        y = round(HEIGHT - BOTTOM - (score - bottom) / span * (HEIGHT - TOP - BOTTOM), 1)
        points.append(CurvePoint(n_clusters, score, x, y, is_chosen, has_tick))
    return CurveLine(name.replace("_", " "), tuple(points), low, high)


def _across(n_clusters: int, candidates: Sequence[int]) -> float:
    """Return the horizontal place of a number of clusters."""
    first, last = candidates[0], candidates[-1]
    if last > LOG_SPAN * first > 0 and n_clusters > 0:
        share = math.log(n_clusters / first) / math.log(last / first)
    else:
        share = (n_clusters - first) / max(last - first, 1)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

"""How clusters lie among the features as drawings: a matrix of cosines, and curves of singular values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

__all__ = ["CosineDrawing", "SpectrumDrawing", "StructureFigure", "read_structure"]

_LEVELS = 8
_TITLES = {
    "features": ("In the features", "as the backbone made them"),
    "representation": ("In the representation", "that the method learned"),
}
WIDTH, HEIGHT = 640, 248
LEFT, RIGHT, TOP, BOTTOM = 84, 20, 18, 60


class CosineDrawing(NamedTuple):
    """A matrix as strokes: of each shade the runs of cells in a row, as an SVG path, with its opacity.

    `edges` are where one cluster ends and the next begins, in cells.
    """

    size: int
    shades: tuple[tuple[float, str], ...]
    edges: tuple[int, ...]


class SpectrumDrawing(NamedTuple):
    """Singular values as points of polylines, one for all pictures and one a cluster; `last` is the last rank."""

    everything: str
    clusters: tuple[tuple[int, str], ...]
    last: int
    n_for_all: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    ceiling: int = TOP
    baseline: int = HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class StructureFigure:
    """What is drawn of the features, or of a learned representation.

    Attributes
    ----------
    title, source : str
        Of what, and where it comes from.
    cosines : CosineDrawing
        Pictures against pictures, by cluster.
    spectrum : SpectrumDrawing
        Singular values.
    within, between : float
        Mean absolute cosine of two pictures of one cluster, and of two clusters; equal where there is one kind only.
    """

    title: str
    source: str
    cosines: CosineDrawing
    spectrum: SpectrumDrawing
    within: float
    between: float


def read_structure(recorded: Mapping[str, Any] | None) -> tuple[StructureFigure, ...]:
    """Turn the recorded figures of a run into drawings.

    Parameters
    ----------
    recorded : mapping or None
        ``"features"``, and ``"representation"`` if there is one, to what `covey.figures.structure_figures` gives.

    Returns
    -------
    figures : tuple of StructureFigure
        Empty if there are none, or of a single picture.
    """
    drawn = [(key, recorded[key]) for key in _TITLES if recorded and key in recorded]
    return tuple(_draw(*_TITLES[key], figures) for key, figures in drawn if len(figures["labels"]) > 1)


def _draw(title: str, source: str, figures: Mapping[str, Any]) -> StructureFigure:
    labels, cells = figures["labels"], bytes.fromhex(figures["cosines"])
    within, between = _means(cells, labels)
    return StructureFigure(title, source, _draw_cosines(cells, labels), _draw_spectrum(figures), within, between)


def _draw_cosines(cells: bytes, labels: Sequence[int]) -> CosineDrawing:
    """Draw a matrix of bytes, row by row."""
    size = len(labels)
    paths: list[list[str]] = [[] for _ in range(_LEVELS + 1)]
    for row in range(size):
        column = 0
        levels = [round(cell * _LEVELS / 255) for cell in cells[row * size : (row + 1) * size]]
        for level, run in groupby(levels):
            length = len(list(run))
            paths[level].append(f"M{column} {row}.5h{length}")
            column += length
    shades = tuple((level / _LEVELS, "".join(path)) for level, path in enumerate(paths) if level and path)
    edges = tuple(place for place in range(1, size) if labels[place] != labels[place - 1])
    return CosineDrawing(size, shades, edges)


def _draw_spectrum(figures: Mapping[str, Any]) -> SpectrumDrawing:
    """Place singular values by rank, from 0 to 1; of a single one a line has no second point, so it is doubled."""
    last = max(len(figures["spectrum"]), 2)

    def line(values: Sequence[float]) -> str:
        return " ".join(f"{x},{y}" for x, y in _places(values if len(values) > 1 else [*values, *values], last))

    clusters = tuple((int(label), line(values)) for label, values in figures["cluster_spectra"] if values)
    n_for_all = sum(value > 0.5 for value in figures["spectrum"])
    return SpectrumDrawing(line(figures["spectrum"]), clusters, last, n_for_all)


def _places(values: Sequence[float], last: int) -> Iterator[tuple[float, float]]:
    for rank, value in enumerate(values):
        across = LEFT + rank / (last - 1) * (WIDTH - LEFT - RIGHT)
        yield round(across, 1), round(HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM), 1)


def _means(cells: bytes, labels: Sequence[int]) -> tuple[float, float]:
    """Return the mean entry off the diagonal of pairs with one label, and of pairs with two."""
    sums, counts = [0, 0], [0, 0]
    size = len(labels)
    for row in range(size):
        for column in range(row):
            kind = labels[row] != labels[column]
            sums[kind] += cells[row * size + column]
            counts[kind] += 1
    means = [total / count / 255 for total, count in zip(sums, counts, strict=True) if count]
    return means[0], means[-1]

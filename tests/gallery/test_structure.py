"""The drawings of how clusters lie: they show what was recorded, stay small, and are left out where nothing was."""

import re

import numpy as np
import pytest

from covey.figures import structure_figures
from covey.gallery._structure import read_structure


@pytest.fixture(scope="module")
def figures() -> dict:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    Z = np.eye(64)[labels * 20 + rng.integers(2, size=300)] + rng.normal(0, 0.05, (300, 64))
    return structure_figures(Z, labels)


def test_strokes_cover_the_cells_with_their_shades(figures: dict) -> None:
    (figure,) = read_structure({"features": figures})
    size = figure.cosines.size
    drawn = np.zeros((size, size))
    for opacity, path in figure.cosines.shades:
        for column, row, length in re.findall(r"M(\d+) (\d+)\.5h(\d+)", path):
            drawn[int(row), int(column) : int(column) + int(length)] += opacity
    cells = np.frombuffer(bytes.fromhex(figures["cosines"]), dtype=np.uint8).reshape(size, size)
    np.testing.assert_allclose(drawn, cells / 255, atol=1 / 16 + 1e-6)
    assert figure.cosines.edges == tuple(np.flatnonzero(np.diff(figures["labels"])) + 1)
    assert sum(len(path) for _, path in figure.cosines.shades) < 80_000


def test_likeness_within_and_between(figures: dict) -> None:
    (figure,) = read_structure({"features": figures})
    assert figure.within > 0.4
    assert figure.between < 0.1


def test_singular_values_fall_from_the_top(figures: dict) -> None:
    (figure,) = read_structure({"features": figures})
    spectrum = figure.spectrum
    points = [tuple(map(float, point.split(","))) for point in spectrum.everything.split()]
    assert points[0] == (spectrum.left, spectrum.ceiling)
    heights = [y for _, y in points]
    assert heights == sorted(heights)
    assert max(heights) <= spectrum.baseline
    assert [label for label, _ in spectrum.clusters] == [0, 1, 2]
    assert 6 <= spectrum.n_for_all <= len(points)


def test_a_representation_is_drawn_beside_the_features(figures: dict) -> None:
    both = read_structure({"representation": figures, "features": figures})
    assert [figure.title for figure in both] == ["In the features", "In the representation"]


def test_nothing_recorded_or_one_picture_draws_nothing() -> None:
    assert read_structure(None) == ()
    assert read_structure({"features": structure_figures(np.ones((1, 4)), [0])}) == ()
    (figure,) = read_structure({"features": structure_figures(np.ones((3, 1)), [0, 0, 0])})
    assert figure.within == figure.between == 1
    assert len(figure.spectrum.everything.split()) == 2

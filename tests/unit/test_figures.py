"""The figures of CPP's paper against their definitions."""

import json

import numpy as np
import pytest

from covey.figures import cosine_blocks, singular_values, structure_figures

LABELS = np.repeat([2, 0, 1, -1], [10, 30, 60, 5])


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    """Three clusters in orthogonal planes of R^8, and five rows of noise."""
    rng = np.random.default_rng(0)
    Z = np.zeros((105, 8), dtype=np.float32)
    for label in range(3):
        members = np.flatnonzero(label == LABELS)
        Z[members, 2 * label : 2 * label + 2] = rng.normal(size=(len(members), 2))
    Z[-5:] = rng.normal(size=(5, 8))
    return Z


def test_all_rows_are_sorted_by_cluster_the_largest_first(planes: np.ndarray) -> None:
    blocks = cosine_blocks(planes, LABELS)
    assert blocks.labels.tolist() == [1] * 60 + [0] * 30 + [2] * 10
    np.testing.assert_array_equal(LABELS[blocks.rows], blocks.labels)
    unit = planes[blocks.rows] / np.linalg.norm(planes[blocks.rows], axis=1, keepdims=True)
    np.testing.assert_allclose(blocks.cosines, np.abs(unit @ unit.T), atol=1e-6)
    assert blocks.cosines[blocks.labels[:, None] != blocks.labels].max() < 1e-6


def test_a_sample_keeps_the_shares_and_the_seed_decides(planes: np.ndarray) -> None:
    blocks = cosine_blocks(planes, LABELS, max_rows=20)
    assert blocks.labels.tolist() == [1] * 12 + [0] * 6 + [2] * 2
    assert len(set(blocks.rows)) == 20
    np.testing.assert_array_equal(blocks.rows, cosine_blocks(planes, LABELS, max_rows=20).rows)
    assert (blocks.rows != cosine_blocks(planes, LABELS, max_rows=20, random_state=1).rows).any()
    assert len(cosine_blocks(planes, np.arange(105), max_rows=7).rows) == 7  # more clusters than rows to show


def test_singular_values_are_those_of_unit_rows(planes: np.ndarray) -> None:
    spectra = singular_values(planes, LABELS)
    unit = planes / np.linalg.norm(planes, axis=1, keepdims=True)
    expected = np.linalg.svd(unit, compute_uv=False)
    np.testing.assert_allclose(spectra.everything, expected / expected[0], rtol=1e-4)
    assert list(spectra.by_cluster) == [1, 0, 2]
    for values in spectra.by_cluster.values():  # planes
        assert values[0] == 1
        assert values[1] > 0.5
        assert values[2:].max() < 1e-3
    assert len(singular_values(planes, LABELS, n_values=3).everything) == 3
    assert list(singular_values(planes, LABELS, max_clusters=1).by_cluster) == [1]


def test_more_features_than_rows_give_the_same_values(planes: np.ndarray) -> None:
    """The Gram matrix of rows or of features: whichever is smaller."""
    wide = np.hstack([planes, np.zeros((105, 200), dtype=np.float32)])
    few, many = singular_values(wide, LABELS, n_values=8), singular_values(planes, LABELS, n_values=8)
    np.testing.assert_allclose(few.everything, many.everything, atol=1e-4)


def test_drawn_rows_stand_for_all(planes: np.ndarray) -> None:
    Z, labels = np.repeat(planes[:100], 50, axis=0), np.repeat(LABELS[:100], 50)
    drawn = singular_values(Z, labels, max_rows=1000)
    np.testing.assert_allclose(drawn.everything, singular_values(Z, labels).everything, atol=0.1)


def test_rows_of_zeros_have_no_direction() -> None:
    spectra = singular_values(np.zeros((4, 3)), np.zeros(4, dtype=int))
    assert not spectra.everything.any()
    assert not cosine_blocks(np.zeros((4, 3)), np.zeros(4, dtype=int)).cosines.any()


def test_what_is_kept_with_a_run_is_small_and_plain(planes: np.ndarray) -> None:
    figures = structure_figures(np.repeat(planes, 30, axis=0), np.repeat(LABELS, 30))
    text = json.dumps(figures)
    assert json.loads(text) == figures
    assert len(text) < 30_000
    size = len(figures["labels"])
    assert size == 80
    cells = np.frombuffer(bytes.fromhex(figures["cosines"]), dtype=np.uint8).reshape(size, size)
    assert (np.diag(cells) == 255).all()
    assert [label for label, _ in figures["cluster_spectra"]] == [1, 0, 2]


@pytest.mark.parametrize(
    ("labels", "changes", "message"),
    [
        (LABELS[:3], {}, "labels have shape"),
        (np.full(105, -1), {}, "noise"),
        (LABELS, {"max_rows": 0}, "max_rows is 0"),
    ],
)
def test_what_cannot_be_drawn(planes: np.ndarray, labels: np.ndarray, changes: dict, message: str) -> None:
    for function in (cosine_blocks, singular_values):
        with pytest.raises(ValueError, match=message):
            function(planes, labels, **changes)

"""Algorithm 1 on a trained CPP."""

import json

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from covey.cluster import CPP
from covey.cluster._cpp import nested_labels
from covey.errors import InvalidValueError
from covey.gallery import draw_coding_length
from covey.metrics import adjusted_rand_score
from covey.selection import CodingLengthCurve, coding_length_curve


@pytest.fixture(scope="module")
def X() -> np.ndarray:  # noqa: N802 - the matrix of the equations
    """Five subspaces of three dimensions each, orthogonal to each other."""
    rng = np.random.default_rng(0)
    bases = np.split(np.linalg.qr(rng.normal(size=(32, 15)))[0], 5, axis=1)
    rows = np.concatenate([rng.normal(size=(50, 3)) @ basis.T for basis in bases])
    return (rows + 0.02 * rng.normal(size=rows.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def cpp(X: np.ndarray) -> CPP:
    sizes = {"code_size": 24, "hidden_size": 48, "n_steps": 30, "n_columns": 16, "batch_size": 125}
    changes = {**sizes, "learning_rate": 3e-3, "standardize": False}
    return CPP.from_preset("mlp", n_clusters=4, **changes, random_state=0).fit(
        X
    )  # rows and their negatives belong together


@pytest.fixture(scope="module")
def curve(cpp: CPP, X: np.ndarray) -> CodingLengthCurve:
    return coding_length_curve(cpp, X, range(2, 21))


def test_it_has_a_minimum_near_the_subspaces(curve: CodingLengthCurve) -> None:
    assert curve.candidates == tuple(range(1, 21))
    assert curve.is_minimum
    assert 4 <= curve.n_clusters <= 8
    assert curve.n_clusters in curve.flat
    assert curve.lengths[curve.n_clusters - 1] == min(curve.lengths)
    assert curve.label_lengths[0] == 0
    assert (curve.n_rows, curve.n_components, curve.eps_squared) == (250, 24, 0.1)


def test_labels_are_those_of_relabel_from_one_decomposition(cpp: CPP) -> None:
    before = cpp.labels_.copy()
    labels = dict(zip((1, 3, 5), nested_labels(cpp, (1, 3, 5)), strict=True))
    assert (cpp.labels_ == before).all()
    for k in (3, 5):
        assert adjusted_rand_score(cpp.relabel(k).labels_, labels[k]) > 0.99
    cpp.relabel(4)
    assert set(labels[1]) == {0}


def test_an_end_of_the_range_is_no_minimum(cpp: CPP, X: np.ndarray) -> None:
    short = coding_length_curve(cpp, X, [2, 3])
    assert short.n_clusters == 3
    assert not short.is_minimum


def test_coarser_precision_needs_fewer_clusters(cpp: CPP, X: np.ndarray, curve: CodingLengthCurve) -> None:
    rough = coding_length_curve(cpp, X, range(2, 21), eps_squared=10.0)
    assert rough.n_clusters < curve.n_clusters
    assert max(rough.lengths) < min(curve.lengths)


def test_the_curve_is_data_and_a_drawing(curve: CodingLengthCurve) -> None:
    data = curve.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["scores"]["nats_per_image"][0] == pytest.approx(curve.lengths[0] / 250)
    svg = draw_coding_length(data)
    assert svg.startswith("<svg")
    assert svg.count('class="chosen"') == 2  # of the length, and of the labels' part
    assert "β" not in svg
    with pytest.raises(InvalidValueError, match="makes no curve"):
        draw_coding_length({**data, "candidates": [1]})


def test_says_what_is_wrong(cpp: CPP, X: np.ndarray) -> None:
    with pytest.raises(NotFittedError):
        coding_length_curve(CPP(), X)
    with pytest.raises(ValueError, match="X has 249 rows, CPP was fitted to 250"):
        coding_length_curve(cpp, X[:-1])
    with pytest.raises(ValueError, match="only 250 rows"):
        coding_length_curve(cpp, X, [251])
    with pytest.raises(InvalidValueError, match="no candidates"):
        coding_length_curve(cpp, X, [])


def test_progress_is_told_of_every_candidate(cpp: CPP, X: np.ndarray) -> None:
    told: list[tuple[str, int, int | None]] = []
    coding_length_curve(cpp, X, [2, 3], progress=lambda *report: told.append(report))
    assert told == [("choose", 1, 3), ("choose", 2, 3), ("choose", 3, 3)]

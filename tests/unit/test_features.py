"""Joined feature sets: columns, scaling, views, names, and what cannot be joined."""

from dataclasses import replace

import numpy as np
import pytest

from covey import features as features_module
from covey._arrays import l2_normalize
from covey.errors import InvalidValueError
from covey.features import concatenate_features
from covey.types import Features

IDS = tuple(f"{i}" for i in range(30))


def part(name: str, d: int, rng: np.random.Generator, scale: float = 1.0, n_views: int = 0) -> Features:
    X = (scale * rng.normal(size=(30, d))).astype(np.float32)
    views = (scale * rng.normal(size=(30, n_views, d))).astype(np.float32) if n_views else None
    return Features(IDS, X, name, views)


def test_plain_rows_lie_side_by_side(rng: np.random.Generator) -> None:
    parts = [part("a", 5, rng), part("b", 3, rng, 50.0), part("c", 1, rng)]
    joined = concatenate_features(parts, normalize=False)
    assert np.array_equal(joined.X, np.concatenate([p.X for p in parts], axis=1))
    assert (joined.ids, joined.fingerprint, joined.views) == (IDS, "a+b+c", None)
    assert joined.X.dtype == np.float32
    assert joined.X.flags.c_contiguous
    assert not joined.X.flags.writeable


def test_scaled_rows_have_the_mean_of_the_parts_cosines(rng: np.random.Generator) -> None:
    parts = [part("a", 5, rng), part("b", 3, rng, 1000.0)]
    joined = concatenate_features(parts)
    unit = l2_normalize(joined.X)
    cosines = [l2_normalize(p.X) @ l2_normalize(p.X).T for p in parts]
    assert np.allclose(unit @ unit.T, np.mean(cosines, axis=0), atol=1e-6)
    assert joined.fingerprint == "l2(a)+l2(b)"


@pytest.mark.parametrize("normalize", [True, False])
def test_views_are_joined_as_rows_are(
    normalize: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "_CHUNK_ROWS", 7)
    parts = [part("a", 5, rng, n_views=3), part("b", 4, rng, 9.0, n_views=3)]
    joined = concatenate_features(parts, normalize=normalize)
    assert joined.views is not None
    assert joined.views.shape == (30, 3, 9)
    for number in range(3):
        rows = [replace(p, X=p.views[:, number], views=None) for p in parts if p.views is not None]
        assert np.array_equal(joined.views[:, number], concatenate_features(rows, normalize=normalize).X)


def test_a_single_part_is_returned_as_it_is(rng: np.random.Generator) -> None:
    alone = part("a", 5, rng, n_views=2)
    assert concatenate_features([alone]) is alone


def test_what_cannot_be_joined_is_said(rng: np.random.Generator) -> None:
    a, b = part("a", 5, rng), part("b", 3, rng)
    with pytest.raises(InvalidValueError, match="The parts are none"):
        concatenate_features([])
    with pytest.raises(InvalidValueError, match=r"The parts are a, b, a; .* each of them once"):
        concatenate_features([a, b, a])
    with pytest.raises(ValueError, match="the same images in the same order"):
        concatenate_features([a, replace(b, ids=IDS[::-1])])
    with pytest.raises(ValueError, match="b has 0 views, a has 2"):
        concatenate_features([part("a", 5, rng, n_views=2), b])

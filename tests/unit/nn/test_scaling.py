import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from covey.nn import FeatureScaling


@pytest.fixture
def points(rng):
    return torch.from_numpy(rng.normal(3, [1.0, 2.0, 0.1, 5.0], (50, 4)) @ rng.normal(size=(4, 4)))


def test_columns_have_mean_0_and_variance_1(points):
    Z = FeatureScaling.fit(points)(points)
    np.testing.assert_allclose(Z.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(Z.std(0, correction=0), 1, rtol=1e-12)


def test_new_rows_are_scaled_with_the_training_statistics(points):
    scaling = FeatureScaling.fit(points[:30])
    np.testing.assert_allclose(scaling(points)[:30], scaling(points[:30]))
    assert abs(scaling(points[30:]).mean()) > 1e-6


@pytest.mark.parametrize("value", [0.0, 1e6, 0.1])
def test_a_constant_column_becomes_zero(points, value):
    X = torch.column_stack([points, torch.full((50,), value)]).float()
    Z = FeatureScaling.fit(X)(X)
    assert torch.isfinite(Z).all()
    np.testing.assert_allclose(Z[:, 4], 0, atol=1e-12)


def test_axes_are_the_principal_ones(points):
    Z = FeatureScaling.fit(points, n_components=2, standardize=False)(points).numpy()
    expected = PCA(2).fit_transform(points.numpy())
    np.testing.assert_allclose(np.abs(Z), np.abs(expected), rtol=1e-6, atol=1e-9)


def test_as_many_axes_as_columns_rotate_nothing(points):
    scaling = FeatureScaling.fit(points, n_components=4)
    assert scaling.axes is None


def test_nothing_asked_changes_nothing(points):
    torch.testing.assert_close(FeatureScaling.fit(points, standardize=False)(points), points)

"""Spectral clustering of a membership against the dense answer, in which the whole membership is formed."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from covey.cluster import _landmarks as module
from covey.cluster._landmarks import Spectrum, fit_landmarks, memberships, spectral_axes, spectral_coordinates
from covey.objectives.cpp import doubly_stochastic, similarity_scores, sinkhorn_potentials

GAMMA, N_CLUSTERS = 0.15, 5
SINKHORN = {"gamma": GAMMA, "n_half_steps": 5}


@pytest.fixture(scope="module")
def codes():
    """Unit rows near five orthogonal planes of R^12, some of them in between."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % N_CLUSTERS
    C = rng.normal(0, 0.15, (400, 12))
    for axis in (0, 1):
        C[np.arange(400), 2 * y + axis] += rng.normal(0, 1, 400)
    return (C / np.linalg.norm(C, axis=1, keepdims=True)).astype(np.float32), y


def dense_answer(C):
    """Top eigenvectors of the symmetrised membership's normalised Laplacian, unit rows, k-means: all n x n."""
    membership = doubly_stochastic(similarity_scores(torch.from_numpy(C).double(), gamma=GAMMA)).numpy()
    affinity = (membership + membership.T) / 2
    shrink = affinity.sum(axis=1) ** -0.5
    _, vectors = np.linalg.eigh(shrink[:, None] * affinity * shrink)
    top = vectors[:, -N_CLUSTERS:]
    rows = top / np.linalg.norm(top, axis=1, keepdims=True)
    return top, KMeans(N_CLUSTERS, n_init=10, random_state=0).fit_predict(rows)


def labels_of(C, n_landmarks, n_clusters=N_CLUSTERS):
    seeds = torch.Generator().manual_seed(0)
    spectrum = Spectrum.fit(C, "cpu", n_landmarks, sinkhorn=(GAMMA, 5), seeds=seeds)
    return spectrum.labels(C, n_clusters, "cpu")(torch.from_numpy(C)).argmax(dim=1).numpy()


def test_with_every_row_a_landmark_it_is_the_dense_answer(codes):
    C, _ = codes
    top, labels = dense_answer(C)
    landmarks = fit_landmarks(torch.from_numpy(C), torch.arange(400), **SINKHORN)
    axes = spectral_axes(torch.from_numpy(C), landmarks)[:, :N_CLUSTERS]
    ours = landmarks.membership(torch.from_numpy(C)).double() @ axes
    torch.testing.assert_close(ours.T @ ours, torch.eye(N_CLUSTERS, dtype=ours.dtype), atol=0.03, rtol=0)
    assert np.cos(subspace_angles(top, ours.numpy())).min() > 0.999
    assert adjusted_rand_score(labels, labels_of(C, 400)) > 0.98


@pytest.mark.parametrize("n_landmarks", [200, 100])
def test_fewer_landmarks_agree_with_the_dense_answer(codes, n_landmarks):
    C, y = codes
    _, labels = dense_answer(C)
    found = labels_of(C, n_landmarks)
    assert adjusted_rand_score(labels, found) > 0.9
    assert adjusted_rand_score(y, found) > adjusted_rand_score(y, labels) - 0.03


def test_landmarks_of_all_rows_have_sinkhorns_potentials(codes):
    C = torch.from_numpy(codes[0])
    landmarks = fit_landmarks(C, torch.arange(400), **SINKHORN)
    expected = sinkhorn_potentials(similarity_scores(C, gamma=GAMMA))
    torch.testing.assert_close(landmarks.columns, expected.columns)
    torch.testing.assert_close(landmarks.column_potentials(C), landmarks.columns)
    whole = doubly_stochastic(similarity_scores(C, gamma=GAMMA))
    torch.testing.assert_close(landmarks.membership(C), whole)
    np.testing.assert_allclose(memberships(codes[0], codes[0], landmarks), whole, rtol=1e-4, atol=1e-7)


def test_one_half_step_leaves_columns_as_they_are(codes):
    C = torch.from_numpy(codes[0])
    landmarks = fit_landmarks(C, torch.arange(20), gamma=GAMMA, n_half_steps=1)
    assert not landmarks.columns.any()
    assert not landmarks.column_potentials(C).any()


def test_blocks_do_not_change_the_answer(codes, monkeypatch):
    C = torch.from_numpy(codes[0])

    def coordinates():
        landmarks = fit_landmarks(C, torch.arange(60), **SINKHORN)
        return spectral_coordinates(C, landmarks, spectral_axes(C, landmarks)[:, :3].float()).abs()

    expected = coordinates()
    monkeypatch.setattr(module, "_BLOCK_ENTRIES", 60 * 7)
    torch.testing.assert_close(coordinates(), expected, atol=1e-4, rtol=1e-3)


def test_a_disconnected_membership_is_cut_where_it_is():
    C = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    seeds = torch.Generator().manual_seed(0)
    spectrum = Spectrum.fit(C, "cpu", 30, sinkhorn=(0.01, 5), seeds=seeds)
    found = spectrum.labels(C, 3, "cpu")(torch.from_numpy(C)).argmax(dim=1).numpy()
    assert adjusted_rand_score(np.arange(30) % 3, found) == 1


def test_equal_rows_are_one_cluster():
    C = np.eye(4, dtype=np.float32)[np.zeros(20, dtype=int)]
    assert len(np.unique(labels_of(C, 20, n_clusters=3))) == 1

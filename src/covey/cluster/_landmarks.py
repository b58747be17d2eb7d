"""Spectral clustering of the doubly stochastic membership of all rows, which is never formed.

The membership Π of n rows has n² entries, but each is a function of two unit rows of d numbers, called codes here. So
a random sample of m rows, the landmarks, represents all: P (n, m) is the doubly stochastic membership between rows and
landmarks, and P Λ⁻¹ Pᵀ, with Λ the column sums of P, is that of rows with each other in a walk of two steps. Its
eigenvectors are singular vectors of P Λ^-1/2 and need the m x m matrix Λ^-1/2 PᵀP Λ^-1/2 alone. It is doubly stochastic
and symmetric exactly. Where every row is a landmark, it is Π Πᵀ, whose eigenvectors are those of Π: the dense answer.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn
from torch.nn.functional import normalize

from covey._arrays import iter_chunks, l2_normalize
from covey._torch import resolve_float64_device, to_numpy, to_tensor
from covey.cluster._kmeans import KMeans
from covey.cluster._parameters import check_integer
from covey.nn.code_heads import CodeHeads, LinearCodeHeads
from covey.objectives.cpp import check_half_steps, similarity_scores
from covey.types import FloatArray, IntArray

CodeNetwork = CodeHeads | LinearCodeHeads

_BLOCK_ENTRIES = 2**22  # of P held at once
_SMALLEST_EIGENVALUE = 1e-10  # of 1; what lies below may be rounding


class Landmarks(NamedTuple):
    """Rows that represent all, and the potentials that make memberships of them.

    Attributes
    ----------
    codes : Tensor of shape (m, d)
        Unit rows.
    rows, columns : Tensor of shape (m,)
        Sinkhorn's potentials of the landmarks as rows and as columns.
    gamma : float
        Regularization γ.
    absolute : bool, default=True
        Whether cosines are absolute.
    """

    codes: Tensor
    rows: Tensor
    columns: Tensor
    gamma: float
    absolute: bool = True

    def scores(self, C: Tensor) -> Tensor:
        """Return C Lᵀ / γ or |C Lᵀ| / γ, (n, m)."""
        return similarity_scores(C, self.codes, gamma=self.gamma, absolute=self.absolute)

    def membership(self, C: Tensor) -> Tensor:
        """Return the share (n, m) of each landmark in rows of code C (n, d); rows sum to 1."""
        return (self.scores(C) + self.columns).softmax(dim=1)

    def to(self, device: torch.device) -> "Landmarks":
        """Return them on a device."""
        codes, rows, columns = (part.to(device) for part in (self.codes, self.rows, self.columns))
        return self._replace(codes=codes, rows=rows, columns=columns)

    def column_potentials(self, C: Tensor) -> Tensor:
        """Return the potentials (n,) of any rows as columns: for a landmark, its own if all rows are landmarks."""
        if not bool(self.rows.isfinite().all()):  # no column was ever scaled
            return C.new_zeros(len(C))
        return -(self.scores(C) + self.rows).logsumexp(dim=1)


def fit_landmarks(C: Tensor, chosen: Tensor, *, gamma: float, n_half_steps: int, absolute: bool = True) -> Landmarks:
    """Run Sinkhorn's iteration between all rows and the landmarks, a block of rows at a time.

    `C` is the code (n, d), `chosen` the landmarks' rows (m,).
    """
    codes = C[chosen]
    n, m = len(C), len(codes)
    nothing = torch.full((m,), -math.inf, device=C.device)
    landmarks = Landmarks(codes, nothing, torch.zeros(m, device=C.device), gamma, absolute)
    for _ in range(n_half_steps // 2):  # u = -log Σ_j exp(S_ij + v_j) and v = log(n / m) - log Σ_i exp(S_ij + u_i)
        total = nothing
        for chunk in iter_chunks(n, max(1, _BLOCK_ENTRIES // m)):
            scores = landmarks.scores(C[chunk])
            rows = -(scores + landmarks.columns).logsumexp(dim=1)
            total = total.logaddexp((scores + rows[:, None]).logsumexp(dim=0))
        rows = -(landmarks.scores(codes) + landmarks.columns).logsumexp(dim=1)
        landmarks = landmarks._replace(rows=rows, columns=math.log(n / m) - total)
    return landmarks


def spectral_axes(C: Tensor, landmarks: Landmarks) -> Tensor:
    """Return the axes (m, r) that map memberships P (n, m) to eigenvectors P @ axes, the largest eigenvalue first.

    Eigenvalues that are rounding alone are left out, so r may be less than m.
    """
    m = len(landmarks.codes)
    products = torch.zeros(m, m, dtype=torch.float64, device=C.device)
    sums = torch.zeros(m, dtype=torch.float64, device=C.device)
    for chunk in iter_chunks(len(C), max(1, _BLOCK_ENTRIES // m)):
        P = landmarks.membership(C[chunk])  # (rows, m)
        products += P.T @ P
        sums += P.sum(dim=0)
    shrink = sums.clamp(min=torch.finfo(torch.float32).tiny).rsqrt()
    # Eigenvectors of Λ^(-1/2) PᵀP Λ^(-1/2), (m, m): right singular vectors of P Λ^(-1/2).
    values, vectors = np.linalg.eigh(to_numpy(shrink[:, None] * products * shrink))  # ascending
    order = np.flatnonzero(values > _SMALLEST_EIGENVALUE)[::-1]
    axes = to_tensor(vectors[:, order] / np.sqrt(values[order]), C.device)  # so that P @ axes has unit columns
    return shrink[:, None] * axes


class SpectralLabels(nn.Module):
    """Label codes by spectral clustering of the membership.

    Parameters
    ----------
    landmarks : Landmarks
        Fitted.
    axes : Tensor of shape (m, n_axes)
        The first of `spectral_axes`.
    centers : Tensor of shape (n_clusters, n_axes)
        Unit rows.
    """

    codes: Tensor
    rows: Tensor
    columns: Tensor
    axes: Tensor
    centers: Tensor

    def __init__(self, landmarks: Landmarks, axes: Tensor, centers: Tensor) -> None:
        super().__init__()
        for name, value in (*landmarks._asdict().items(), ("axes", axes), ("centers", centers)):
            if isinstance(value, Tensor):
                self.register_buffer(name, value.clone())
        self.gamma, self.absolute = landmarks.gamma, landmarks.absolute

    @property
    def landmarks(self) -> Landmarks:
        """The landmarks, in the dtype and on the device of the module."""
        return Landmarks(self.codes, self.rows, self.columns, self.gamma, self.absolute)

    def forward(self, C: Tensor) -> Tensor:
        """Map codes to logits of clusters.

        Parameters
        ----------
        C : Tensor of shape (batch, d)
            Codes, unit rows.

        Returns
        -------
        logits : Tensor of shape (batch, n_clusters)
            Cosine of a row's spectral coordinates with each cluster's center, over γ.
        """
        cosine: Tensor = spectral_coordinates(C, self.landmarks, self.axes) @ self.centers.T
        return cosine / self.gamma


def spectral_coordinates(C: Tensor, landmarks: Landmarks, axes: Tensor) -> Tensor:
    """Return the unit rows (n, n_axes) that are clustered, for codes C (n, d)."""
    return normalize(landmarks.membership(C) @ axes, dim=1)


class CodeClusterer(nn.Module):
    """Map scaled rows to logits: a network's code, and its spectral labels.

    Parameters
    ----------
    network : CodeHeads or LinearCodeHeads
        Trained.
    labels : SpectralLabels
        Of codes.
    """

    def __init__(self, network: CodeNetwork, labels: SpectralLabels) -> None:
        super().__init__()
        self.network = network
        self.labels = labels

    def forward(self, rows: Tensor) -> Tensor:
        """Map scaled rows (batch, n_features) to logits (batch, n_clusters)."""
        code = self.network.encode(rows).float().to(rows.dtype)  # as the estimator keeps it
        logits: Tensor = self.labels(code)
        return logits


class Spectrum(NamedTuple):
    """Landmarks and eigenvectors, from which any number of clusters is made; on the CPU.

    Attributes
    ----------
    landmarks : Landmarks
        Fitted.
    axes : Tensor of shape (m, r), dtype float64
        From `spectral_axes`.
    seed : int
        Of the k-means in spectral coordinates.
    """

    landmarks: Landmarks
    axes: Tensor
    seed: int

    @classmethod
    def fit(
        cls,
        code: FloatArray,
        device: str,
        n_landmarks: int,
        *,
        sinkhorn: tuple[float, int],
        seeds: torch.Generator,
        absolute: bool = True,
    ) -> "Spectrum":
        """Draw landmarks among the rows of a code (n, d) and decompose their membership.

        `sinkhorn` is γ and the number of half steps; `absolute` says whether cosines are absolute.
        """
        gamma, n_half_steps = sinkhorn
        C = _place(code, device)
        chosen = torch.randperm(len(C), generator=seeds)[:n_landmarks].to(C.device)
        landmarks = fit_landmarks(C, chosen, gamma=gamma, n_half_steps=n_half_steps, absolute=absolute)
        axes = spectral_axes(C, landmarks)
        seed = int(torch.randint(2**31, (), generator=seeds))
        return cls(landmarks.to(torch.device("cpu")), axes.cpu(), seed)

    def labels(self, code: FloatArray, n_clusters: int, device: str) -> SpectralLabels:
        """Cluster all codes (n, d) in the first `n_clusters` axes."""
        C = _place(code, device)
        landmarks, axes = self.landmarks.to(C.device), self.axes[:, :n_clusters].to(C.device, C.dtype)
        chunks = iter_chunks(len(C), max(1, _BLOCK_ENTRIES // len(axes)))
        coordinates = np.concatenate([to_numpy(spectral_coordinates(C[chunk], landmarks, axes)) for chunk in chunks])
        kmeans = KMeans(n_clusters, spherical=True, device=device, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # too few distinct rows: reported with the labels
            kmeans.fit(coordinates)
        return SpectralLabels(landmarks, axes, to_tensor(kmeans.cluster_centers_, C.device))

    def nested_labels(self, code: FloatArray, candidates: Sequence[int], device: str) -> Iterator[IntArray]:
        """Yield the labels (n,) of all codes (n, d) for each of several numbers of clusters.

        Eigenvectors are nested, the first k for k clusters, so all rows are mapped to them once.
        """
        place = resolve_float64_device(device)
        landmarks = self.landmarks.to(place)
        axes = self.axes[:, : max(candidates)].to(place, torch.float32)
        chunks = iter_chunks(len(code), max(1, _BLOCK_ENTRIES // len(axes)))
        parts = [to_numpy(landmarks.membership(to_tensor(code[chunk], place)) @ axes) for chunk in chunks]
        coordinates = np.concatenate(parts)  # (n, max k), rows not yet of unit length
        for n_clusters in candidates:
            kmeans = KMeans(n_clusters, spherical=True, device=device, random_state=self.seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # too few distinct rows: the caller reports them
                yield kmeans.fit_predict(l2_normalize(coordinates[:, :n_clusters]))


def memberships(C: FloatArray, other: FloatArray, landmarks: Landmarks) -> FloatArray:
    """Return how much codes C (n, d) belong to other codes (m, d): rows (n, m) that sum to 1."""
    dtype = landmarks.codes.dtype
    others = torch.from_numpy(other).to(dtype)
    columns = landmarks.column_potentials(others)
    found = np.empty((len(C), len(other)), dtype=np.float32)
    for chunk in iter_chunks(len(C), max(1, _BLOCK_ENTRIES // len(other))):
        codes = torch.from_numpy(C[chunk]).to(dtype)
        scores = similarity_scores(codes, others, gamma=landmarks.gamma, absolute=landmarks.absolute)
        found[chunk] = to_numpy((scores + columns).softmax(dim=1))
    return found


def check_n_half_steps(name: str, value: Any) -> None:
    """Raise unless a parameter's value is an odd number of Sinkhorn's half steps."""
    check_half_steps(check_integer(name, value, minimum=1))


def _place(code: FloatArray, name: str) -> Tensor:
    """Put a code on a device that has float64, unlike MPS."""
    return to_tensor(code, resolve_float64_device(name))

"""k-means: one function on tensors, `kmeans`, for whoever needs it, and the estimator.

References
----------
.. [1] S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
.. [2] I. S. Dhillon and D. S. Modha, "Concept decompositions for large sparse text data using clustering",
   Machine Learning, 2001.
.. [3] D. Arthur and S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
"""

import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY
from math import log
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from covey._arrays import draw_seed, iter_chunks
from covey._torch import matmul_dtype, resolve_float64_device, to_numpy, to_tensor
from covey.cluster._base import Clusterer, check_n_clusters, predict_features
from covey.cluster._lloyd import Points, Restart, assign, lloyd, nearest_center, score_tolerance
from covey.cluster._parameters import choice, flag, free, integer, parameters, real
from covey.cluster._preparation import Preparation
from covey.types import FloatArray, IntArray, Progress

Precision = Literal["auto", "float32", "bfloat16"]

_CHUNK_ROWS = 4096
_SHORTEST, _LONGEST = 1e-15, 1e18
_NARROW = 96
"""Rows of fewer features gain nothing from bfloat16: rounding them costs more doubt than the product saves."""
_TILE_ENTRIES = 2**18
"""Squared distances computed at once: a few MB, which stay in a CPU's cache."""
_CACHED_ENTRIES = 2**22
"""Features (16 MB) beyond which the rows do not stay in a CPU's cache between two steps of k-means++."""
_N_AHEAD = 4
"""Steps of k-means++ for which trials are drawn at once then: one product, which reads all rows, serves them all."""
_TRIAL_ENTRIES = 2**26
"""Squared distances held at once; more restarts are drawn one batch after the other."""


class Starts(NamedTuple):
    """Where each restart begins.

    Attributes
    ----------
    indices : Tensor of shape (n_seeds, n_clusters), dtype int64
        Rows that were drawn; distinct unless fewer rows differ.
    labels : Tensor of shape (n_seeds, n), dtype int64
        Which of them is nearest to each row, up to the error of the products.
    """

    indices: Tensor
    labels: Tensor


class Solution(NamedTuple):
    """What `kmeans` found from one seed.

    Attributes
    ----------
    mean : Tensor of shape (d,), dtype float32
        Mean of the rows, which is subtracted before distances are taken.
    centers : Tensor of shape (k, d), dtype float32
        Means of the clusters, of unit length if spherical.
    labels : Tensor of shape (n,), dtype int64
        The nearest of these centers, of equally near ones the first.
    inertia : float
        Sum of squared distances to the nearest center.
    n_iter : int
        Iterations made.
    converged : bool
        Whether labels or centers stayed before the iterations were used up.
    """

    mean: Tensor
    centers: Tensor
    labels: Tensor
    inertia: float
    n_iter: int
    converged: bool


def kmeans(
    X: Tensor,
    n_clusters: int,
    seeds: Sequence[int],
    *,
    spherical: bool = False,
    max_iter: int = 300,
    tol: float = 1e-4,
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> list[Solution]:
    """Cluster rows around means, once for each seed.

    Parameters
    ----------
    X : Tensor of shape (n, d), dtype float32
        Rows, on a device that has float64; of unit length if `spherical`.
    n_clusters : int
        Number of clusters, k; at most n.
    seeds : sequence of int
        One a restart. What a seed gives does not depend on the others, up to the rounding of the products that draw
        the starts.
    spherical : bool, default=False
        Whether centers are scaled to unit length too.
    max_iter : int, default=300
        Most iterations of a restart.
    tol : float, default=1e-4
        A restart ends when its centers move, in sum of squares, at most this times the mean variance of a feature.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the products that find the nearest center first.
    progress : Progress, default=None
        Called with "restart", the restarts done and their number.

    Returns
    -------
    solutions : list of Solution
        One a seed, in order.

    Raises
    ------
    ValueError
        If squared distances leave float32.
    """
    # Center the rows: mean (d,) in float64, so that x·c stays small beside the spread of the rows.
    mean = _column_means(X)
    narrow = precision == "auto" and X.shape[1] < _NARROW
    points = Points.prepare(X - mean, matmul_dtype(X.device, "float32" if narrow else precision))
    _check_extent(points.largest.max(), X.shape[1])
    origin = -mean if spherical else None
    # The tolerance's unit: mean variance of a feature, Σ |x|² / (n d) of centered rows.
    variance = float(points.norms.square().sum(dtype=torch.float64)) / X.numel()
    tolerance = tol * variance

    starts = plus_plus(points, n_clusters, seeds)
    restarts = []
    for indices, labels in zip(*starts, strict=True):
        restarts.append(lloyd(points, points.rows[indices], labels, origin, max_iter=max_iter, tolerance=tolerance))
        if progress is not None:
            progress("restart", len(restarts), len(seeds))
    return [_publish(points, restart, mean) for restart in restarts]


def plus_plus(points: Points, n_clusters: int, seeds: Sequence[int], inside: Tensor | None = None) -> Starts:
    """Draw rows to start from, one set a restart.

    Parameters
    ----------
    points : Points
        n rows.
    n_clusters : int
        Rows to draw, at most n.
    seeds : sequence of int
        One a restart; equal seeds draw equal rows.
    inside : Tensor of shape (n_seeds, n), dtype bool, or None
        Rows that each restart may draw and counts, `n_clusters` at least. None: all.

    Returns
    -------
    starts : Starts
        One a seed.

    Notes
    -----
    k-means++ in the greedy form that scikit-learn has: each step draws 2 + log k rows with probability
    proportional to D², the squared distance to the nearest row drawn before, and keeps the one that leaves the
    smallest sum of D². Restarts share one product a step, so three cost about a third more than one. Of rows that do
    not stay in a CPU's cache (16 MB), one product serves four steps: trials are drawn ahead, and those of the later
    steps are accepted with probability D² of then / D² of the draw, which leaves their distribution as it is and some
    steps with fewer trials.

    Products are those of the operand's dtype. What lies below their error counts as zero, so that rows equal to one
    that was drawn are not drawn; if nothing else is left, all is drawn anew with float32 products. A random projection
    to 64 features would be twice as fast and was tried: with one restart it cost 0.2 to 3 % of inertia on five sets,
    since the greedy choice no longer sees which trial lies in the middle of its group.
    """
    per_batch = max(1, _TRIAL_ENTRIES // (_count_ahead(points) * _count_trials(n_clusters) * len(points.rows)))
    drawn = [
        _draw_batch(points, n_clusters, seeds[batch], None if inside is None else inside[batch])
        for batch in iter_chunks(len(seeds), per_batch)
    ]
    return Starts(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))


@parameters
class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Clusterer):  # type: ignore[misc]  # scikit-learn has no types
    """Cluster features around means.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    spherical : bool, default=False
        Whether rows are scaled to unit length and centers too: clusters of directions, for cosine.
    standardize : bool, default=False
        Whether each feature is first scaled to mean 0 and variance 1 over the rows of `fit`.
    n_components : int or None, default=None
        Principal components that distances are measured in, after `standardize` and before rows get unit length; at
        most n_features and n_samples - 1 are used. None keeps all features.
    n_init : int, default=10
        Restarts; the one with the smallest inertia is kept.
    max_iter : int, default=300
        Most iterations of a restart.
    tol : float, default=1e-4
        A restart ends when its centers move, in sum of squares, at most this times the mean variance of a feature.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the products that find the nearest center first. Doubtful rows are decided exactly in any case.
    device : str, default="auto"
        Where to compute. MPS, which lacks float64, is replaced by the CPU.
    random_state : int, RandomState, Generator or None, default=None
        Decides the starts.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features), dtype float32
        Means of the clusters, where distances are measured: of standard scores with `standardize`, of principal
        components (n_clusters, n_components) with `n_components`, of unit length with `spherical`.
    labels_ : ndarray of shape (n_samples,), dtype int64
        The nearest center of each row: what `predict` gives for it.
    inertia_ : float
        Sum of squared distances to the nearest center, computed in float64 from differences. With `spherical`, of unit
        rows: twice the sum of cosine distances.
    n_iter_ : int
        Iterations of the restart that was kept.
    n_features_in_ : int
        Width of the rows.
    diagnostics_ : dict
        JSON-compatible: ``inertia``, ``n_iter``, ``converged``, and ``inertia_of_restarts``.

    See Also
    --------
    TEMI : Learns the boundary from neighbors instead.

    Notes
    -----
    Lloyd's algorithm (1982) from greedy k-means++ starts (Arthur and Vassilvitskii 2007); spherical as Dhillon and
    Modha (2001) have it. Sums are float32 over at most 4,096 rows and float64 above. A cluster that loses all rows is
    placed on the row farthest from its center. Unlike scikit-learn's, labels are decided to the last digit whatever the
    precision, so that `predict` does not depend on how many rows it gets. O(n k d) time an iteration; besides `X`
    memory holds a centered copy, and one in bfloat16 where that is used. Speed against faiss and scikit-learn is
    recorded in benchmarks/kmeans.csv. `fit` reports its progress restart by restart.

    Examples
    --------
    >>> KMeans(2, random_state=0).fit_predict([[0.0], [0.1], [5.0], [5.1]]).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """

    n_clusters: int = integer(8)
    _: KW_ONLY
    spherical: bool = flag(False)
    standardize: bool = flag(False)
    n_components: int | None = integer(None, optional=True)
    n_init: int = integer(10)
    max_iter: int = integer(300)
    tol: float = real(1e-4)
    precision: Precision = choice("auto", ("auto", "float32", "bfloat16"))
    device: str = free("auto")
    random_state: Any = free(None)

    def __sklearn_tags__(self) -> Any:
        """Say that `transform` gives float32 whatever it gets."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _fit(self, X: FloatArray, *, progress: Progress | None = None) -> None:
        n_clusters = check_n_clusters(self.n_clusters, len(X))
        preparation = Preparation.fit(
            X, standardize=self.standardize, n_components=self.n_components, is_unit=self.spherical
        )
        rows = preparation.apply(X)
        solutions = kmeans(
            to_tensor(rows, self._device()),
            n_clusters,
            restart_seeds(self.random_state, self.n_init),
            spherical=self.spherical,
            max_iter=self.max_iter,
            tol=self.tol,
            precision=self.precision,
            progress=progress,
        )
        best = min(solutions, key=lambda solution: solution.inertia)
        labels = to_numpy(best.labels)
        if (n_found := len(np.unique(labels))) < n_clusters:
            warnings.warn(
                f"{n_found} distinct clusters were found, fewer than n_clusters={n_clusters}: X may have equal rows. "
                f"Ask for at most {n_found}.",
                ConvergenceWarning,
                stacklevel=4,
            )
        self.cluster_centers_ = to_numpy(best.centers)
        self.labels_ = labels
        self.inertia_ = _inertia(rows, self.cluster_centers_, labels)
        self.n_iter_ = best.n_iter
        self._mean = to_numpy(best.mean)
        self._preparation = preparation
        self._n_features_out = n_clusters
        self.diagnostics_ = {
            "inertia": self.inertia_,
            "n_iter": best.n_iter,
            "converged": best.converged,
            "inertia_of_restarts": [solution.inertia for solution in solutions],
        }

    def predict(self, X: Any) -> IntArray:
        """Find the nearest center of each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features.

        Returns
        -------
        labels : ndarray of shape (n,), dtype int64
            In [0, n_clusters); for the rows of `fit` equal to `labels_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from that of the fitted rows.
        """
        return self._nearest(self._prepare(X))

    def transform(self, X: Any) -> FloatArray:
        """Measure the distance of each row to each center.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features.

        Returns
        -------
        distances : ndarray of shape (n, n_clusters), dtype float32
            Euclidean; between unit vectors if `spherical`, of standard scores or principal components if these are
            what is clustered.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from that of the fitted rows.
        """
        rows = self._prepare(X)
        centers = self.cluster_centers_.astype(np.float64)
        distances = np.empty((len(rows), len(centers)), dtype=np.float32)
        for chunk in iter_chunks(len(rows), _CHUNK_ROWS):
            # |x - c|² = |x|² - 2 x · c + |c|², (b, k)
            block = rows[chunk].astype(np.float64)
            squares = (block**2).sum(axis=1)[:, None] - 2 * block @ centers.T + (centers**2).sum(axis=1)
            distances[chunk] = np.sqrt(np.maximum(squares, 0))
        return distances

    def score(self, X: Any, y: Any = None) -> float:
        """Return how well the centers represent rows; the larger the better, as scikit-learn's selection expects.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features.
        y : Ignored
            See the glossary.

        Returns
        -------
        score : float
            Minus the sum of squared distances of the rows to their nearest centers, in float64; for the rows of `fit`
            minus `inertia_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from that of the fitted rows.
        """
        rows = self._prepare(X)
        return -_inertia(rows, self.cluster_centers_, self._nearest(rows))

    def _prepare(self, X: Any) -> FloatArray:
        """Validate rows against those of `fit` and prepare them alike."""
        rows = predict_features(self, X)
        return self._preparation.apply(rows)

    def _nearest(self, rows: FloatArray) -> IntArray:
        """Label prepared rows (n, d)."""
        device = self._device()
        centers = to_tensor(self.cluster_centers_ - self._mean, device)
        labels = []
        for chunk in iter_chunks(len(rows), _CHUNK_ROWS):
            block = to_tensor(rows[chunk] - self._mean, device)
            _check_extent(block.abs().max(), rows.shape[1], shortest=0)
            labels.append(to_numpy(nearest_center(block, centers).labels))
        return np.concatenate(labels)

    def _device(self) -> torch.device:
        return resolve_float64_device(self.device)


def restart_seeds(random_state: Any, n_init: int) -> list[int]:
    """Draw the seed of each restart from scikit-learn's `random_state`."""
    seeds: list[int] = np.random.default_rng(draw_seed(random_state)).integers(2**62, size=n_init).tolist()
    return seeds


def _check_extent(largest: Tensor, width: int, *, shortest: float = _SHORTEST) -> None:
    """Raise if squared distances of rows from their mean leave float32; `largest` is the largest entry."""
    extent = float(largest) * width**0.5
    if not (extent == 0 or shortest <= extent <= _LONGEST):
        raise ValueError(
            f"X reaches {extent:.1e} from its mean; squared distances fit into float32 between {_SHORTEST:.0e} and "
            f"{_LONGEST:.0e}. Scale X, e.g. to a standard deviation of 1."
        )


def _inertia(rows: FloatArray, centers: FloatArray, labels: IntArray) -> float:
    """Return the sum of squared distances of rows to the centers of their labels, from float64 differences."""
    total = 0.0
    for chunk in iter_chunks(len(rows), 512):  # a block that stays in the cache
        difference = np.subtract(rows[chunk], centers[labels[chunk]], dtype=np.float64)
        total += float(np.vdot(difference, difference))
    return total


def _column_means(X: Tensor) -> Tensor:
    """Return the mean (d,) of rows (n, d), float32, summed in float64."""
    total = torch.zeros(X.shape[1], dtype=torch.float64, device=X.device)
    for chunk in iter_chunks(len(X), _CHUNK_ROWS):
        total += X[chunk].sum(dim=0, dtype=torch.float64)
    return (total / len(X)).float()


def _publish(points: Points, restart: Restart, mean: Tensor) -> Solution:
    """Move the centers back to where the rows were; that rounds once more, so labels are decided once more."""
    centers = restart.centers + mean
    rounded = centers - mean
    known = restart.nearest.after((rounded - restart.centers).norm(dim=1))
    labels = assign(points, rounded, known).labels
    return Solution(mean, centers, labels, restart.inertia, restart.n_iter, restart.converged)


def _count_trials(n_clusters: int) -> int:
    """Return how many rows each step of k-means++ draws."""
    return 2 + int(log(n_clusters))


def _count_ahead(points: Points) -> int:
    """Return for how many steps of k-means++ trials are drawn at once."""
    return _N_AHEAD if points.rows.numel() > _CACHED_ENTRIES else 1


class _Source(NamedTuple):
    """What rows are drawn from: a generator for each of n_seeds restarts, and the rows that it may draw."""

    generators: list[torch.Generator]
    sizes: Tensor  # (n_seeds,), how many rows
    members: Tensor  # (n_seeds, n), which: the first ones of each row
    floor: Tensor  # (n,), error of D² between a row and one drawn nearby

    @classmethod
    def prepare(cls, points: Points, seeds: Sequence[int], inside: Tensor | None) -> "_Source":
        """Seed the generators and list the rows."""
        generators, n, device = (
            [torch.Generator().manual_seed(seed) for seed in seeds],
            len(points.rows),
            points.rows.device,
        )
        floor = 2 * score_tolerance(points, slice(None), points.norms)
        if inside is None:
            sizes = torch.full((len(seeds),), n, device=device)
            return cls(generators, sizes, torch.arange(n, device=device).expand(len(seeds), n), floor)
        members = inside.int().argsort(dim=1, descending=True, stable=True)
        return cls(generators, inside.sum(dim=1), members, floor)

    def of(self, seed: int) -> "_Source":
        """Keep one restart."""
        one = slice(seed, seed + 1)
        return _Source(self.generators[one], self.sizes[one], self.members[one], self.floor)

    def draw_first(self) -> Tensor:
        """Draw a row for each restart, uniformly, (n_seeds, 1)."""
        sizes = zip(self.sizes.tolist(), self.generators, strict=True)
        places = torch.stack([torch.randint(size, (1,), generator=generator) for size, generator in sizes])
        return self.members.gather(1, places.to(self.members.device))

    def uniform(self, n_numbers: int) -> Tensor:
        """Draw numbers in [0, 1) for each restart, (n_seeds, n_numbers)."""
        numbers = [torch.rand(n_numbers, generator=generator, dtype=torch.float64) for generator in self.generators]
        return torch.stack(numbers).to(self.floor.device)

    def weights(self, closest: Tensor) -> Tensor:
        """Return D² (n_seeds, n) without what lies below its error, so that rows equal to a drawn one are not drawn."""
        return closest.masked_fill(closest <= self.floor, 0)

    def draw(self, weights: Tensor, n_drawn: int) -> Tensor:
        """Draw rows (n_seeds, n_drawn) with probability D² / Σ D²; by chance where all weights are zero."""
        mass = weights.cumsum(dim=1, dtype=torch.float64)
        uniform = self.uniform(n_drawn)
        by_chance = self.members.gather(1, (uniform * self.sizes[:, None]).long())
        # Inverse of the cumulated mass.
        by_mass = torch.searchsorted(mass, uniform * mass[:, -1:], right=True).clamp_(max=mass.shape[1] - 1)
        return torch.where(mass[:, -1:] > 0, by_mass, by_chance)


def _draw_batch(points: Points, n_clusters: int, seeds: Sequence[int], inside: Tensor | None) -> Starts:
    """Draw one set of rows for each seed."""
    source, n_trials = _Source.prepare(points, seeds, inside), _count_trials(n_clusters)
    n_ahead = _count_ahead(points)
    restart = torch.arange(len(seeds), device=points.rows.device)
    # The first row of each restart, uniformly; D², (n_seeds, n), is the squared distance to it, and 0 outside.
    indices = torch.empty((len(seeds), n_clusters), dtype=torch.int64, device=points.rows.device)
    indices[:, :1] = source.draw_first()
    closest = points.norms.new_full((len(seeds), len(points.rows)), torch.inf)
    closest = closest if inside is None else closest.masked_fill_(~inside, 0)
    closest = _improve(points, closest, indices[:, :1])[:, 0]
    labels = torch.zeros(closest.shape, dtype=torch.int64, device=closest.device)
    for step in range(1, n_clusters):
        weights = source.weights(closest)
        if points.operand.dtype != points.rows.dtype and not weights.any(dim=1).all():
            return _draw_batch(points._replace(operand=points.rows), n_clusters, seeds, inside)
        # Trials (n_seeds, n_trials) with probability D² / Σ D², of several steps at once.
        place = (step - 1) % n_ahead
        if place == 0:
            before, pool = weights, source.draw(weights, n_ahead * n_trials)
            ahead = _improve(points, closest, pool)  # (n_seeds, n_ahead * n_trials, n)
        part = slice(place * n_trials, (place + 1) * n_trials)
        trials, improved = pool[:, part], ahead[:, part]
        if place > 0:
            trials, improved = _accept(points, source, (before, weights), closest, (trials, improved))
        # Keep the trial that leaves the smallest Σ min(D², |x - trial|²).
        best = improved.sum(dim=2).argmin(dim=1)
        indices[:, step] = trials[restart, best]
        labels.masked_fill_(improved[restart, best] < closest, step)
        closest = improved[restart, best]
    return Starts(indices, labels)


def _accept(
    points: Points, source: _Source, weights: tuple[Tensor, Tensor], closest: Tensor, drawn: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Turn trials that were drawn some steps ago into trials of now, by rejection.

    A row that was drawn with probability ∝ D² of then and is kept with probability D² of now / D² of then is one drawn
    with probability ∝ D² of now, since D² never grows. `weights` are D² of then and of now, (n_seeds, n); `drawn` are
    the trials (n_seeds, n_trials) and D² if each were drawn too, (n_seeds, n_trials, n). A rejected trial leaves
    an infinite sum; a restart that accepts none draws anew.
    """
    trials, improved = drawn[0].clone(), torch.minimum(drawn[1], closest[:, None])
    share = weights[1].gather(1, trials).double() / weights[0].gather(1, trials).clamp(min=torch.finfo().tiny)
    is_kept = source.uniform(trials.shape[1]) < share
    for seed in torch.nonzero(~is_kept.any(dim=1))[:, 0].tolist():
        one = slice(seed, seed + 1)
        trials[one] = source.of(seed).draw(weights[1][one], trials.shape[1])
        improved[one] = _improve(points, closest[one], trials[one])
        is_kept[one] = True
    improved.masked_fill_(~is_kept[:, :, None], torch.inf)
    return trials, improved


def _improve(points: Points, closest: Tensor, trials: Tensor) -> Tensor:
    """Return squared distances to the nearest drawn row if a trial were drawn too, shape (n_seeds, n_trials, n)."""
    n_seeds, n_trials = trials.shape
    drawn = trials.flatten()
    operand = points.operand[drawn].T
    squares = points.norms.square()
    improved = torch.empty((n_seeds, n_trials, len(squares)), device=squares.device)
    for chunk in iter_chunks(len(squares), max(1, _TILE_ENTRIES // len(drawn))):
        products = (points.operand[chunk] @ operand).T.float()
        distances = torch.add(squares[chunk], products, alpha=-2).add_(squares[drawn, None])
        torch.minimum(closest[:, None, chunk], distances.view(n_seeds, n_trials, -1), out=improved[:, :, chunk])
    return improved

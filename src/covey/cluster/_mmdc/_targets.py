"""The targets that pictures hold, and how they change hands."""

from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from covey._torch import to_numpy
from covey.cluster._kmeans import KMeans
from covey.metrics import contingency_matrix, match_clusters
from covey.objectives import assign_one_to_one, assign_to_capacities, draw_noise, draw_targets
from covey.types import IntArray

TargetsKind = Literal["mixture", "noise", "none"]

_REFINE_RESTARTS = 10


class Targets:
    """A target on the sphere for each picture.

    Parameters
    ----------
    means : Tensor of shape (n_means, d), dtype float32
        The mixture's means.
    labels : Tensor of shape (n,), dtype int64
        Whose mean each picture's target belongs to.
    points : Tensor of shape (n, d), dtype float32, or None
        The targets themselves; None if they are the means.
    """

    def __init__(self, means: Tensor, labels: Tensor, points: Tensor | None) -> None:
        self.means = means
        self.labels = labels
        self.points = points

    @classmethod
    def draw(cls, means: Tensor, labels: Tensor, sigma: float, *, generator: torch.Generator) -> Self:
        """Draw targets of variance `sigma` around the means; all tensors are on the CPU."""
        return cls(means, labels, draw_targets(means, labels, sigma, generator=generator) if sigma else None)

    @classmethod
    def draw_noise(cls, n_rows: int, n_dimensions: int, *, generator: torch.Generator) -> Self:
        """Draw NAT's targets, which belong to no mean."""
        points = draw_noise(n_rows, n_dimensions, generator=generator)
        return cls(torch.empty(0, n_dimensions), torch.zeros(n_rows, dtype=torch.int64), points)

    def take(self, rows: Tensor) -> Tensor:
        """Return the targets (b, d) of some pictures, on the CPU."""
        return self.means[self.labels[rows]] if self.points is None else self.points[rows]

    def assign(self, rows: Tensor, outputs: Tensor) -> float:
        """Exchange the targets within a batch so that Euclidean distances to the outputs (b, d) sum to the least.

        Returns the share of pictures whose target changed.
        """
        if self.points is None:
            room = self.labels[rows].bincount(minlength=len(self.means))
            labels = assign_to_capacities(torch.cdist(outputs, self.means), room)
            moved = labels != self.labels[rows]
            self.labels[rows] = labels
        else:
            order = assign_one_to_one(torch.cdist(outputs, self.points[rows]))
            moved = order != torch.arange(len(rows))
            self.points[rows], self.labels[rows] = self.points[rows[order]], self.labels[rows[order]]
        return float(moved.float().mean())

    def loss_of_a_guess(self) -> float:
        """Return the loss of the one output that is nearest to all targets."""
        points = self.means[self.labels] if self.points is None else self.points
        return float((2 - 2 * points.mean(dim=0).norm()) / points.shape[1])

    def refine(self, outputs: Tensor, seed: int) -> float:
        """Take the clusters of a k-means over all outputs (n, d), each with the label it shares most pictures with.

        Targets are the means from then on. Returns the share of pictures whose label changed.
        """
        kmeans = KMeans(len(self.means), n_init=_REFINE_RESTARTS, device="cpu", random_state=seed)
        found = match_labels(to_numpy(self.labels), kmeans.fit(to_numpy(outputs)).labels_, len(self.means))
        labels = torch.from_numpy(found)
        moved = labels != self.labels
        self.labels, self.points = labels, None
        return float(moved.float().mean())


def match_labels(before: IntArray, after: IntArray, n_clusters: int) -> IntArray:
    """Rename labels (n,) so that most pictures keep the one they had before.

    A label that shares no picture with a former one takes what is left over.
    """
    table = contingency_matrix(before, after)
    rows, columns = match_clusters(table)
    names = np.full(n_clusters, -1)
    names[table.clusters[columns]] = table.classes[rows]
    names[names < 0] = np.setdiff1d(np.arange(n_clusters), names)
    return names[after]

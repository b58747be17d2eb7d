"""Labels for new rows: the vote of the nearest rows that have one; and the base of the estimators that predict so."""

from typing import Any

import numpy as np
import torch

from covey._arrays import iter_chunks, l2_normalize
from covey._blocks import top_products
from covey._torch import resolve_float64_device, to_numpy, to_tensor
from covey.cluster._base import Clusterer, predict_features
from covey.types import NOISE, FloatArray, IntArray

_TILE_ENTRIES = 2**25
_GATHER_ENTRIES = 2**22


def unify_equal_rows(rows: FloatArray, labels: IntArray) -> IntArray:
    """Give equal rows one label, the most frequent among them; of equally frequent ones the lowest."""
    keys = np.ascontiguousarray(rows + np.float32(0)).view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, group, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    unified = labels[first][group]
    repeated = counts[group] > 1
    if repeated.any():
        table = np.zeros((len(first), labels.max() + 1), dtype=np.int64)
        np.add.at(table, (group[repeated], labels[repeated]), 1)
        unified[repeated] = table.argmax(axis=1)[group[repeated]]
    return unified


def vote_of_nearest(queries: FloatArray, rows: FloatArray, labels: IntArray, *, n_votes: int, device: str) -> IntArray:
    """Label rows by the vote of the nearest labeled rows, each weighing one over its distance.

    Parameters
    ----------
    queries : ndarray of shape (m, d), dtype float32
        Unit rows to label.
    rows : ndarray of shape (n, d), dtype float32
        Unit rows with labels; equal ones have equal labels.
    labels : ndarray of shape (n,), dtype int64
        Their labels.
    n_votes : int
        How many rows vote, at most n.
    device : str
        Where to compute.

    Returns
    -------
    labels : ndarray of shape (m,), dtype int64
        A query that equals a row gets its label. Distances are float64 differences, so a row's label does not depend on
        the rows beside it; memory stays within a fixed workspace.
    """
    place = resolve_float64_device(device)
    known, n_labels = to_tensor(rows, place), int(labels.max()) + 1
    known_labels, half_squares = to_tensor(labels, place), known.square().sum(dim=1) / 2  # 0 for a row of zeros
    n_candidates = min(2 * n_votes, len(rows))  # float32 may misplace a few: decided in float64 below
    height = max(1, min(_TILE_ENTRIES // len(rows), _GATHER_ENTRIES // (n_candidates * rows.shape[1])))
    found = []
    for chunk in iter_chunks(len(queries), height):
        asked = to_tensor(queries[chunk], place)
        # Candidates by products, (b, n_candidates), the nearest of which are those of the exact distances.
        near = top_products(asked, known, n_candidates, bias=-half_squares)[1].sort(dim=1).values
        # Distances (b, n_candidates) in float64; of equal ones the lower row comes first.
        squared = (known[near].double() - asked[:, None].double()).square().sum(dim=2)
        nearest, order = squared.sort(dim=1, stable=True)
        distances, voters = nearest[:, :n_votes].sqrt(), near.gather(1, order)[:, :n_votes]
        # Votes (b, n_labels): one over the distance each; a row at distance 0 alone decides.
        weights = torch.where(distances[:, :1] == 0, (distances == 0).double(), 1 / distances)
        votes = torch.zeros((len(asked), n_labels), dtype=torch.float64, device=place)
        votes.scatter_add_(1, known_labels[voters], weights)
        found.append(to_numpy(votes.argmax(dim=1)))
    return np.concatenate(found)


class VotingClusterer(Clusterer):
    """Base of the estimators that know labels of the training rows alone.

    A subclass ends its `_fit` with `_keep`. It has the parameters `n_votes` and `device`.
    """

    _rows: FloatArray
    labels_: IntArray
    n_votes: int
    device: str

    def predict(self, X: Any) -> IntArray:
        """Label rows by the vote of the training rows nearest by cosine.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.

        Returns
        -------
        labels : ndarray of shape (n,), dtype int64
            Of those in `labels_`; for the training rows the same.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the width differs from the training rows'.
        """
        return self._vote(l2_normalize(predict_features(self, X)), self._rows, self.labels_)

    def _vote(self, queries: FloatArray, rows: FloatArray, labels: IntArray) -> IntArray:
        """Label unit rows (m, d) by unit rows (n, d) with labels; noise has a vote as well."""
        n_votes = min(self.n_votes, len(rows))
        return vote_of_nearest(queries, rows, labels - NOISE, n_votes=n_votes, device=self.device) + NOISE

    def _keep(self, rows: FloatArray, labels: IntArray) -> None:
        """Keep the labels of unit rows (n, d), for `predict` too; equal rows get one label."""
        self._rows = rows
        self.labels_ = unify_equal_rows(rows, labels - NOISE) + NOISE

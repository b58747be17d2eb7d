"""Standardizing features with the training set's statistics, and projecting them on principal axes."""

from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

_SMALLEST_STD = 1e-8  # a dimension below it is constant: dividing by its std would make noise of rounding errors


class FeatureScaling(NamedTuple):
    """An affine map of features that keeps what it learned, so that new rows are treated as the training rows were.

    Attributes
    ----------
    shift : Tensor of shape (n_features,), dtype float64
        Subtracted first.
    scale : Tensor of shape (n_features,), dtype float64
        Multiplied next; 0 for a dimension that is constant in the training set.
    axes : Tensor of shape (n_features, n_components), dtype float64, or None
        Principal axes to project on.
    """

    shift: Tensor
    scale: Tensor
    axes: Tensor | None = None

    @classmethod
    def identity(cls, n_features: int) -> Self:
        """Make the map that changes nothing.

        Parameters
        ----------
        n_features : int
            Number of dimensions.

        Returns
        -------
        scaling : FeatureScaling
            On the CPU.
        """
        return cls(torch.zeros(n_features, dtype=torch.float64), torch.ones(n_features, dtype=torch.float64))

    @classmethod
    def fit(cls, X: Tensor, *, n_components: int | None = None, standardize: bool = True) -> Self:
        """Learn mean, standard deviation and, if asked, principal axes.

        Parameters
        ----------
        X : Tensor of shape (n, n_features)
            Training rows.
        n_components : int, default=None
            Number of principal axes; None or at least n_features keeps all dimensions unrotated.
        standardize : bool, default=True
            Whether to z-score. Otherwise dimensions are at most centered, for the axes.

        Returns
        -------
        scaling : FeatureScaling
            On the CPU.
        """
        n_rows, n_features = X.shape
        rotate = n_components is not None and n_components < n_features
        if not (standardize or rotate):
            return cls.identity(n_features)
        if X.device.type == "mps":
            X = X.cpu()  # MPS has no float64
        mean = X.mean(dim=0, dtype=torch.float64)
        scale = torch.ones_like(mean)
        if standardize:
            std = _column_std(X, mean)
            scale = torch.where(std > _SMALLEST_STD * (1 + mean.abs()), 1 / std, 0.0)
        scaling = cls(mean.cpu(), scale.cpu())
        if not rotate:
            return scaling
        Z = scaling(X.float() if X.dtype != torch.float64 else X)  # (n, n_features)
        # NumPy's LAPACK: torch's (MKL) fails to converge where many dimensions are constant.
        _, axes = np.linalg.eigh((Z.T @ Z).double().cpu().numpy() / n_rows)  # ascending eigenvalues
        return scaling._replace(axes=_fix_signs(torch.from_numpy(axes).flip(1)[:, :n_components]))

    def __call__(self, X: Tensor) -> Tensor:
        """Map rows; the result has the dtype and device of `X`."""
        Z = (X - self.shift.to(X.device, X.dtype)) * self.scale.to(X.device, X.dtype)
        return Z if self.axes is None else Z @ self.axes.to(X.device, X.dtype)


def _column_std(X: Tensor, mean: Tensor) -> Tensor:
    """Return the standard deviation of each column, in float64, a slab of rows at a time."""
    total = torch.zeros_like(mean)
    for start in range(0, len(X), 8192):
        total += (X[start : start + 8192].double() - mean).square().sum(dim=0)
    return (total / len(X)).sqrt()


def _fix_signs(axes: Tensor) -> Tensor:
    """Let the largest entry of each axis be positive, so that the axes do not depend on the solver."""
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return axes * torch.where(largest < 0, -1.0, 1.0)

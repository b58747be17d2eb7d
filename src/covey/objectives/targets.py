"""The fixed targets of MMDC and NAT on the unit sphere, and the loss that pulls outputs to them."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

MeansKind = Literal["one_hot", "random"]

_HALF_WIDTH = 0.1  # of the uniform distribution that random means are drawn from


def target_means(
    n_means: int, n_dimensions: int, *, kind: MeansKind = "one_hot", generator: torch.Generator | None = None
) -> Tensor:
    """Place the means of the mixture on the unit sphere.

    Parameters
    ----------
    n_means : int
        Number of components, K.
    n_dimensions : int
        Dimension of the sphere's space, d.
    kind : {"one_hot", "random"}, default="one_hot"
        The first K unit vectors, or points drawn uniformly from a small cube and scaled to unit length.
    generator : torch.Generator, optional
        On the CPU; for ``"random"``.

    Returns
    -------
    means : Tensor of shape (n_means, n_dimensions), dtype float32
        Rows of unit length.

    Raises
    ------
    ValueError
        If one-hot means have more components than dimensions, or the kind is unknown.

    Notes
    -----
    The means µ_k of eq. 2 of [1]_ and section IV-A; the paper's results have one-hot means with d = K.

    References
    ----------
    .. [1] Shiran and Weinshall, "Multi-Modal Deep Clustering: Unsupervised Partitioning of Images", 2019,
       arXiv:1912.02678.
    """
    if kind == "one_hot":
        if n_dimensions < n_means:
            raise ValueError(f"{n_means} one-hot means need as many dimensions, not {n_dimensions}; take random means.")
        return torch.eye(n_means, n_dimensions)
    if kind != "random":
        raise ValueError(f"The kind of means is {kind!r}; it must be 'one_hot' or 'random'.")
    cube = torch.empty(n_means, n_dimensions).uniform_(-_HALF_WIDTH, _HALF_WIDTH, generator=generator)
    return F.normalize(cube, dim=1)


def draw_components(n_rows: int, n_means: int, *, generator: torch.Generator) -> Tensor:
    """Draw the component of each row, all equally likely.

    Parameters
    ----------
    n_rows, n_means : int
        Number of rows, and of components, K.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    labels : Tensor of shape (n_rows,), dtype int64
        Independent draws, as in the paper's algorithm 1, so that components have about n/K rows, not exactly.
    """
    return torch.randint(n_means, (n_rows,), generator=generator)


def draw_targets(means: Tensor, labels: Tensor, sigma: float, *, generator: torch.Generator) -> Tensor:
    """Draw a target around the mean of each row's component.

    Parameters
    ----------
    means : Tensor of shape (n_means, d), dtype float32
        From `target_means`.
    labels : Tensor of shape (n_rows,), dtype int64
        The component of each row.
    sigma : float
        Variance σ of each coordinate, at least 0.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    targets : Tensor of shape (n_rows, d), dtype float32
        Rows of unit length.

    Notes
    -----
    Eq. 2 of the paper: t = u / |u| with u ~ N(µ_k, σ I). The authors' code takes its ``sigma`` for the standard
    deviation.
    """
    noise = torch.randn((len(labels), means.shape[1]), generator=generator)
    return F.normalize(means[labels] + math.sqrt(sigma) * noise, dim=1)


def draw_noise(n_rows: int, n_dimensions: int, *, generator: torch.Generator) -> Tensor:
    """Draw targets uniformly from the unit sphere, as NAT does.

    Parameters
    ----------
    n_rows, n_dimensions : int
        Shape of the result.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    targets : Tensor of shape (n_rows, n_dimensions), dtype float32
        Rows of unit length.

    Notes
    -----
    Section 3.2 of Bojanowski and Joulin, "Unsupervised Learning by Predicting Noise", ICML 2017, arXiv:1704.05310.
    """
    return F.normalize(torch.randn((n_rows, n_dimensions), generator=generator), dim=1)


def target_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Compute how far outputs are from their targets.

    Parameters
    ----------
    outputs, targets : Tensor of shape (batch, d)
        Of unit length.

    Returns
    -------
    loss : Tensor, scalar
        Mean squared difference over the batch and over the d dimensions; smaller is better.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Eq. 1 of the paper with the squared Euclidean distance over d, as in the authors' code: learning rates belong to
    this scale. For outputs of unit length it is (2 - 2 cos) / d; an output that says nothing about K one-hot targets
    has ``(2 - 2 / sqrt(K)) / K``.
    """
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}, targets {tuple(targets.shape)}; they must agree.")
    return F.mse_loss(outputs, targets)

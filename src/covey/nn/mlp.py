"""Multi-layer perceptrons that end in cluster logits: one head, or several on one trunk."""

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "gelu", "silu"]
Norm = Literal["batch", "layer", "none"]

_ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}


class ClusterMLP(nn.Module):
    """Map features to cluster logits through hidden layers, each Linear - norm - activation.

    Parameters
    ----------
    n_features : int
        Width of the input, D.
    hidden_sizes : sequence of int
        Widths of the hidden layers.
    n_clusters : int
        Width of the output, K.
    activation : {"relu", "gelu", "silu"}
        After each hidden layer.
    norm : {"batch", "layer", "none"}
        Before each activation.
    generator : torch.Generator
        On the CPU; draws the initial weights.
    compute_dtype : torch.dtype
        Dtype of the matrix products; weights, norms and what leaves the network stay float32.

    Raises
    ------
    ValueError
        For another activation or norm.

    Notes
    -----
    Section 3.2 of [1]_, which states the widths alone. Weights and biases begin uniform in ±1/sqrt(inputs).

    References
    ----------
    .. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.
    """

    def __init__(
        self,
        n_features: int,
        hidden_sizes: Sequence[int],
        n_clusters: int,
        *,
        activation: Activation,
        norm: Norm,
        generator: torch.Generator,
        compute_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}; it must be one of {', '.join(_ACTIVATIONS)}.")
        if norm not in ("batch", "layer", "none"):
            raise ValueError(f"norm is {norm!r}; it must be 'batch', 'layer' or 'none'.")
        self.activation = activation
        self.compute_dtype = compute_dtype
        shapes = list(itertools.pairwise([n_features, *hidden_sizes, n_clusters]))
        self.weights = nn.ParameterList(_draw((n_out, n_in), n_in, generator) for n_in, n_out in shapes)
        self.biases = nn.ParameterList(_draw((n_out,), n_in, generator) for n_in, n_out in shapes)
        self.norms = nn.ModuleList(_make_norm(norm, width) for width in hidden_sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Map features to logits.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Features.

        Returns
        -------
        logits : Tensor of shape (batch, n_clusters), dtype float32 (float64 for float64 weights)
            Before the softmax.
        """
        activate = _ACTIVATIONS[self.activation]
        for weight, bias, norm in zip(self.weights, self.biases, self.norms, strict=False):
            x = activate(norm(self._linear(x, weight, bias)))
        return self._linear(x, self.weights[-1], self.biases[-1])

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        dtype = weight.dtype if weight.dtype == torch.float64 else self.compute_dtype
        return F.linear(x.to(dtype), weight.to(dtype), bias.to(dtype)).to(weight.dtype)


class ClusterMLPHeads(ClusterMLP):
    """Map features through shared hidden layers to the logits of several heads, each a linear layer.

    Parameters
    ----------
    n_features : int
        Width of the input.
    hidden_sizes : sequence of int
        Widths of the hidden layers, which all heads share.
    n_clusters : int
        Number of logits of each head.
    n_heads : int
        Last layers, H.
    **form
        The other parameters of `ClusterMLP`.
    """

    def __init__(
        self, n_features: int, hidden_sizes: Sequence[int], n_clusters: int, *, n_heads: int, **form: Any
    ) -> None:
        super().__init__(n_features, hidden_sizes, n_heads * n_clusters, **form)
        self.n_heads = n_heads

    def forward(self, x: Tensor) -> Tensor:
        """Map features to the logits of each head.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Features.

        Returns
        -------
        logits : Tensor of shape (n_heads, batch, n_clusters), dtype float32 (float64 for float64 weights)
            Before the softmax; a transposed view.
        """
        logits = super().forward(x)  # (batch, n_heads * n_clusters)
        return logits.view(len(x), self.n_heads, -1).transpose(0, 1)

    def single(self, head: int) -> "ClusterMLPHeads":
        """Copy the hidden layers and one head.

        Parameters
        ----------
        head : int
            Which, in [0, n_heads).

        Returns
        -------
        single : ClusterMLPHeads
            With one head, same weights.
        """
        single = copy.deepcopy(self)
        single.n_heads = 1
        for layers in (single.weights, single.biases):
            layers[-1] = nn.Parameter(layers[-1].detach().unflatten(0, (self.n_heads, -1))[head].clone())
        return single


def _draw(shape: tuple[int, ...], n_in: int, generator: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)


def _make_norm(norm: Norm, width: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm1d(width)
    return nn.LayerNorm(width) if norm == "layer" else nn.Identity()

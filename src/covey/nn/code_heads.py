"""CPP's networks: features to a representation and to a code, both of unit length."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CodeHeadsForm = Literal["two", "one"]


class CodeHeads(nn.Module):
    """Map features to a representation Z and a code C of membership.

    Parameters
    ----------
    n_features : int
        Width of the input, D.
    hidden_size : int
        Width of the two hidden layers.
    code_size : int
        Width of both outputs, d. At least the number of clusters, for clusters to have orthogonal subspaces.
    form : {"two", "one"}
        A feature head and a cluster head; or one head whose output is Z and C.
    generator : torch.Generator
        On the CPU; draws the initial weights.
    compute_dtype : torch.dtype
        Dtype of the matrix products; weights, norm and what leaves the network stay float32.

    Notes
    -----
    Table 7 of [1]_: Linear - BatchNorm - ReLU - Linear - ReLU, and a linear layer for each head. Weights and biases
    begin uniform in ±1/sqrt(inputs), as torch's own linear layers do. The single head is what the authors' code for
    ImageNet trains.

    References
    ----------
    .. [1] Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models",
       ICLR 2024, arXiv:2306.05272.
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        code_size: int,
        *,
        form: CodeHeadsForm,
        generator: torch.Generator,
        compute_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.compute_dtype = compute_dtype
        self.first = _make_linear(n_features, hidden_size, generator)
        self.norm = nn.BatchNorm1d(hidden_size)
        self.second = _make_linear(hidden_size, hidden_size, generator)
        self.feature_head = _make_linear(hidden_size, code_size, generator)
        self.cluster_head = _make_linear(hidden_size, code_size, generator) if form == "two" else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map features to representation and code.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Features.

        Returns
        -------
        Z, C : Tensor of shape (batch, code_size), dtype float32 (float64 for float64 weights)
            Unit rows; the same tensor if there is one head.
        """
        hidden = self._hidden(x)
        Z = F.normalize(self._linear(self.feature_head, hidden), dim=1)
        return Z, Z if self.cluster_head is None else F.normalize(self._linear(self.cluster_head, hidden), dim=1)

    def represent(self, x: Tensor) -> Tensor:
        """Map features to the representation alone.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Features.

        Returns
        -------
        Z : Tensor of shape (batch, code_size)
            As `forward` gives it.
        """
        return F.normalize(self._linear(self.feature_head, self._hidden(x)), dim=1)

    def encode(self, x: Tensor) -> Tensor:
        """Map features to the code alone.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Features.

        Returns
        -------
        C : Tensor of shape (batch, code_size)
            As `forward` gives it.
        """
        head = self.feature_head if self.cluster_head is None else self.cluster_head
        return F.normalize(self._linear(head, self._hidden(x)), dim=1)

    @torch.no_grad()
    def copy_feature_head(self) -> None:
        """Let the cluster head begin where the feature head is; with one head there is nothing to copy."""
        if self.cluster_head is not None:
            self.cluster_head.load_state_dict(self.feature_head.state_dict())

    def _hidden(self, x: Tensor) -> Tensor:
        return F.relu(self._linear(self.second, F.relu(self.norm(self._linear(self.first, x)))))

    def _linear(self, layer: nn.Linear, x: Tensor) -> Tensor:
        dtype = layer.weight.dtype if layer.weight.dtype == torch.float64 else self.compute_dtype
        return F.linear(x.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype)).to(layer.weight.dtype)


class LinearCodeHeads(nn.Module):
    """Map features to a representation Z and a code C by linear maps that begin as principal axes.

    Parameters
    ----------
    axes : Tensor of shape (n_features, code_size)
        Where both maps begin.
    form : {"two", "one"}
        A feature head and a cluster head; or one head whose output is Z and C.

    Notes
    -----
    Z = norm(W x + b) and C = norm(W' x + b') with W = W' = axesᵀ and b = b' = 0 at the start, in float32. Projected on
    its first axes a row keeps its neighbors, which a network with random weights takes from it. Ours.
    """

    def __init__(self, axes: Tensor, *, form: CodeHeadsForm) -> None:
        super().__init__()
        self.feature_head = _linear_from(axes)
        self.cluster_head = _linear_from(axes) if form == "two" else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (batch, n_features) to unit rows Z and C, (batch, code_size)."""
        Z = self.represent(x)
        return Z, Z if self.cluster_head is None else self.encode(x)

    def represent(self, x: Tensor) -> Tensor:
        """Map features (batch, n_features) to the representation Z, (batch, code_size)."""
        return F.normalize(self.feature_head(x), dim=1)

    def encode(self, x: Tensor) -> Tensor:
        """Map features (batch, n_features) to the code C, (batch, code_size)."""
        head = self.feature_head if self.cluster_head is None else self.cluster_head
        return F.normalize(head(x), dim=1)

    @torch.no_grad()
    def copy_feature_head(self) -> None:
        """Let the cluster head begin where the feature head is; with one head there is nothing to copy."""
        if self.cluster_head is not None:
            self.cluster_head.load_state_dict(self.feature_head.state_dict())


def _linear_from(axes: Tensor) -> nn.Linear:
    """Make a linear layer of given weights, without bias at the start."""
    n_in, n_out = axes.shape
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(axes.T)
        layer.bias.zero_()
    return layer


def _make_linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """Make a linear layer without a draw from torch's global generator."""
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(n_in**-0.5), n_in**-0.5, generator=generator)
    return layer

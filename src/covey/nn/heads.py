"""TEMI's clustering heads, any number of them as one stack of batched matrix products; a teacher that follows."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SMALLEST = 1e-24  # of a squared length, against 0 / 0


class StackedHeads(nn.Module):
    """Run independent clustering heads side by side.

    Each is Linear - GELU - Linear - L2 normalization - weight-normed Linear, divided by a temperature.

    Parameters
    ----------
    n_heads : int
        How many heads, H.
    n_features : int
        Width of the input, D.
    n_clusters : int
        Width of the output, C.
    hidden_size, bottleneck_size : int
        Widths of the two inner layers.
    temperature : float
        Temperature τ of the softmax.
    weight_norm : bool
        Whether the rows of the last layer have unit length up to a learned factor. Otherwise it is a plain Linear.
    generator : torch.Generator
        On the CPU. Heads draw from it one after another: splitting a stack leaves the weights as they are.
    compute_dtype : torch.dtype
        Dtype of the matrix products; weights and what leaves the heads stay float32.

    Notes
    -----
    Section 3.2 of [1]_ says "three-layer"; widths, normalization and initial values are those of the authors' code.
    Inside, columns are samples, ``(H, width, batch)``: then the first layer of all heads is a single matrix product and
    nothing needs to be transposed. The L2 normalization divides the logits, which are fewer than what it normalizes.
    `benchmarks/temi_speed.py` times it against a loop over heads.

    References
    ----------
    .. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models",
       BMVC 2023, arXiv:2303.17896.
    """

    def __init__(
        self,
        n_heads: int,
        n_features: int,
        n_clusters: int,
        *,
        hidden_size: int = 512,
        bottleneck_size: int = 256,
        temperature: float = 0.1,
        weight_norm: bool = True,
        generator: torch.Generator,
        compute_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.compute_dtype = compute_dtype
        shapes = ((hidden_size, n_features), (bottleneck_size, hidden_size), (n_clusters, bottleneck_size))
        first, second, last = _draw_weights(n_heads, shapes, generator)
        self.first_weight = nn.Parameter(first)
        self.first_bias = nn.Parameter(torch.zeros(n_heads, hidden_size, 1))
        self.second_weight = nn.Parameter(second)
        self.second_bias = nn.Parameter(torch.zeros(n_heads, bottleneck_size, 1))
        self.last_weight = nn.Parameter(last)
        self.last_scale = nn.Parameter(torch.ones(n_heads, n_clusters, 1)) if weight_norm else None

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        return self.first_weight.shape[0]

    @property
    def last_layer(self) -> list[nn.Parameter]:
        """The last layer's parameters, which some recipes freeze for a while."""
        return [self.last_weight] if self.last_scale is None else [self.last_weight, self.last_scale]

    def forward(self, x: Tensor) -> Tensor:
        """Map features to the log-probabilities of each head.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Features.

        Returns
        -------
        log_p : Tensor of shape (n_heads, batch, n_clusters), dtype float32 (float64 for float64 weights)
            Log-softmax of the logits over the temperature; a transposed view.
        """
        bottleneck = self._bottleneck(x)
        dtype = bottleneck.dtype
        square = (bottleneck * bottleneck).sum(dim=1, keepdim=True, dtype=self.first_weight.dtype)
        length = square.clamp(min=_SMALLEST).sqrt()  # (H, 1, batch)
        logits = torch.bmm(self._last_matrix().to(dtype), bottleneck).to(self.first_weight.dtype)  # (H, C, batch)
        return (logits / (self.temperature * length)).log_softmax(dim=1).transpose(1, 2)

    def _bottleneck(self, x: Tensor) -> Tensor:
        """Return what enters the last layer, before its normalization: (H, bottleneck, batch)."""
        dtype = self.first_weight.dtype if self.first_weight.dtype == torch.float64 else self.compute_dtype
        columns = x.to(dtype).T  # (D, batch)
        hidden = (self.first_weight.to(dtype).flatten(0, 1) @ columns).view(self.n_heads, -1, len(x))
        hidden = F.gelu(hidden.add_(self.first_bias.to(dtype)))  # (H, hidden, batch)
        return torch.bmm(self.second_weight.to(dtype), hidden).add_(self.second_bias.to(dtype))

    @torch.no_grad()
    def start_from(self, x: Tensor, labels: Tensor) -> None:
        """Let each head begin with given clusters: the rows of its last layer become their mean directions.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Features.
        labels : Tensor of shape (n_heads, batch), dtype int64
            For each head, the cluster of each row. A cluster without rows keeps its drawn direction.
        """
        directions = F.normalize(self._bottleneck(x).float(), dim=1)  # (H, bottleneck, batch)
        for weight, z, own in zip(self.last_weight, directions, labels, strict=True):
            means = torch.zeros_like(weight).index_add_(0, own, z.T.to(weight.dtype))
            is_met = torch.bincount(own, minlength=len(weight)) > 0
            weight[is_met] = F.normalize(means[is_met], dim=1)

    def _last_matrix(self) -> Tensor:
        """Return the last layer's weights (H, C, bottleneck), normed if asked."""
        if self.last_scale is None:
            return self.last_weight
        return self.last_scale * F.normalize(self.last_weight, dim=-1)

    def single(self, head: int) -> "StackedHeads":
        """Copy one head into a stack of its own on the CPU.

        Parameters
        ----------
        head : int
            Which, in [0, n_heads).

        Returns
        -------
        single : StackedHeads
            One head, same weights.
        """
        copy = StackedHeads(
            1,
            self.first_weight.shape[2],
            self.last_weight.shape[1],
            hidden_size=self.first_weight.shape[1],
            bottleneck_size=self.last_weight.shape[2],
            temperature=self.temperature,
            weight_norm=self.last_scale is not None,
            generator=torch.Generator(),
        )
        copy.load_state_dict({name: value[head : head + 1].cpu() for name, value in self.state_dict().items()})
        return copy


def _draw_weights(n_heads: int, shapes: tuple[tuple[int, int], ...], generator: torch.Generator) -> list[Tensor]:
    """Draw (H, out, in) weights: normal of std 0.02 for the inner layers, uniform ±1/sqrt(in) for the last."""
    weights = [torch.empty(n_heads, *shape) for shape in shapes]
    for head in range(n_heads):
        for weight in weights[:-1]:
            weight[head].normal_(std=0.02, generator=generator)
        bound = shapes[-1][1] ** -0.5
        weights[-1][head].uniform_(-bound, bound, generator=generator)
    return weights


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, *, momentum: float) -> None:
    """Move a teacher's parameters towards its student's, in place.

    Parameters
    ----------
    average, current : nn.Module
        Teacher and student, of the same architecture.
    momentum : float in [0, 1]
        Share of the old average that stays.

    Notes
    -----
    θ_t ← m θ_t + (1 - m) θ_s, as in section 3.2 of TEMI's paper. Parameters only; buffers stay.
    """
    for old, new in zip(average.parameters(), current.parameters(), strict=True):
        old.lerp_(new, 1 - momentum)

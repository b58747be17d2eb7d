"""SCAN's clustering heads: linear classifiers, any number of them as one matrix product."""

import torch
from torch import Tensor, nn


class LinearHeads(nn.Module):
    """Run independent linear heads side by side.

    Parameters
    ----------
    n_heads : int
        How many heads, H.
    n_features : int
        Width of the input, D.
    n_clusters : int
        Width of the output, K.
    generator : torch.Generator
        On the CPU. Heads draw from it one after another: splitting a stack leaves the weights as they are.
    compute_dtype : torch.dtype
        Dtype of the matrix product; weights and what leaves the heads stay float32.

    Notes
    -----
    Weights and biases begin uniform in ±1/sqrt(D), as torch's own linear layers do, which SCAN [1]_ uses.
    Inside, columns are samples: all heads are the rows of one matrix.

    References
    ----------
    .. [1] Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels", ECCV 2020, arXiv:2005.12320.
    """

    def __init__(
        self,
        n_heads: int,
        n_features: int,
        n_clusters: int,
        *,
        generator: torch.Generator,
        compute_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.compute_dtype = compute_dtype
        self.weight = nn.Parameter(torch.empty(n_heads, n_clusters, n_features))
        self.bias = nn.Parameter(torch.empty(n_heads, n_clusters, 1))
        bound = n_features**-0.5
        with torch.no_grad():
            for weight, bias in zip(self.weight, self.bias, strict=True):
                weight.uniform_(-bound, bound, generator=generator)
                bias.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map features to the log-probabilities of each head.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Features.

        Returns
        -------
        log_p : Tensor of shape (n_heads, batch, n_clusters), dtype float32 (float64 for float64 weights)
            Log-softmax of the logits; a transposed view.
        """
        dtype = self.weight.dtype if self.weight.dtype == torch.float64 else self.compute_dtype
        products = self.weight.flatten(0, 1).to(dtype) @ x.to(dtype).T  # (H * K, batch)
        logits = products.view(len(self.weight), -1, len(x)).to(self.weight.dtype) + self.bias  # (H, K, batch)
        return logits.log_softmax(dim=1).transpose(1, 2)

    def single(self, head: int) -> "LinearHeads":
        """Copy one head into a stack of its own on the CPU.

        Parameters
        ----------
        head : int
            Which, in [0, n_heads).

        Returns
        -------
        single : LinearHeads
            One head, same weights.
        """
        _, n_clusters, n_features = self.weight.shape
        copy = LinearHeads(1, n_features, n_clusters, generator=torch.Generator())
        copy.load_state_dict({name: value[head : head + 1].cpu() for name, value in self.state_dict().items()})
        return copy

"""From rows to clusters: a network's code, and its labels by spectral clustering."""

from torch import Tensor, nn

from covey.cluster._landmarks import SpectralLabels
from covey.nn.code_heads import CodeHeads


class CodeClusterer(nn.Module):
    """From scaled rows to logits: a network's code, and its labels.

    Parameters
    ----------
    network : CodeHeads
        Trained.
    labels : SpectralLabels
        Of its codes.
    """

    def __init__(self, network: CodeHeads, labels: SpectralLabels) -> None:
        super().__init__()
        self.network = network
        self.labels = labels

    def forward(self, rows: Tensor) -> Tensor:
        """Map scaled rows (batch, n_features) to logits (batch, n_clusters)."""
        code = self.network.encode(rows).float().to(rows.dtype)  # as the estimator keeps it
        logits: Tensor = self.labels(code)
        return logits

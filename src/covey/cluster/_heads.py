"""What estimators share whose clusters come from a trained head: predictions, diagnostics, the choice of a head."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from torch import Tensor, nn

from covey._torch import to_numpy
from covey.cluster._base import ProbabilisticClusterer
from covey.cluster._training import collect_predictions, iter_outputs, warn_if_collapsed
from covey.nn import FeatureScaling
from covey.types import FloatArray

RowScaling = FeatureScaling | Callable[[Tensor], Tensor]


class HeadClusterer(ProbabilisticClusterer):
    """Base of the estimators that train a head on resident features.

    A subclass trains in its `_fit`, which ends with `_keep_head`; `_if_collapsed` says what to do about empty clusters.
    It has the parameters `n_clusters` and `device`.

    Attributes
    ----------
    diagnostics_ : dict
        JSON-compatible. How sure the predictions are: ``mean_max_probability``, ``median_max_probability``,
        ``conditional_entropy`` in nats. How uneven the clusters are: ``kl_to_uniform`` in nats, ``n_empty_clusters``.
    """

    _if_collapsed: ClassVar[str]

    _scale: RowScaling
    _head: nn.Module
    n_clusters: int
    device: str

    def _keep_head(self, X: FloatArray, scale: RowScaling, head: nn.Module, **further: Any) -> None:
        """Keep the trained head, label the training rows (n, d), and warn of empty clusters.

        `head` is what `_logits` calls; `further` are diagnostics of the method's own.
        """
        self._scale = scale
        self._head = head.cpu().double().eval()
        self.labels_, self.probabilities_, diagnostics = collect_predictions(self._iter_probabilities(X), len(X))
        self.diagnostics_ = {**further, **diagnostics}
        warn_if_collapsed(diagnostics, self.n_clusters, advice=self._if_collapsed)

    def _iter_probabilities(self, X: FloatArray) -> Iterator[FloatArray]:
        return self._iter_outputs(X, lambda logits: logits.softmax(dim=1))

    def _iter_outputs(self, X: FloatArray, function: Callable[[Tensor], Tensor]) -> Iterator[FloatArray]:
        """Yield a function of the logits of checked rows, a chunk of rows at a time."""
        head = copy.deepcopy(self._head)  # it moves to the device
        return iter_outputs(lambda rows: function(self._logits(head, rows)), head, X, self.device)

    def _logits(self, head: nn.Module, rows: Tensor) -> Tensor:
        """Return the logits (rows, n_clusters) of unscaled rows, up to a constant of each row."""
        logits: Tensor = head(self._scale(rows))
        return logits


class StackClusterer(HeadClusterer):
    """Base of the estimators that train a stack of heads, of which the one with the lowest loss is kept.

    Attributes
    ----------
    best_head_ : int
        The head with the lowest loss.
    head_losses_ : ndarray of shape (n_heads,), dtype float32
        Mean training loss over the last tenth of the training, in nats.
    loss_history_ : ndarray of shape (n_epochs, n_heads), dtype float32
        Mean training loss of each pass, in nats.
    """

    def _choose_head(self, history: Tensor) -> None:
        """Keep the losses (n_epochs, n_heads) and the head that was lowest over the last tenth of the training."""
        late_losses = history[-max(1, len(history) // 10) :].mean(dim=0)  # (n_heads,)
        self.best_head_ = int(late_losses.argmin())
        self.head_losses_ = to_numpy(late_losses)
        self.loss_history_ = to_numpy(history)

    def _logits(self, head: nn.Module, rows: Tensor) -> Tensor:
        logits: Tensor = head(self._scale(rows))[0]  # (rows, n_clusters) of the one head in the stack
        return logits

"""TURTLE: the labelling that linear classifiers of every feature space learn most easily."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from covey._torch import resolve_device, to_numpy, to_tensor
from covey.cluster._checks import check_integer, check_n_clusters, check_real, fit_features
from covey.cluster._head_clusterer import HeadClusterer
from covey.cluster._training import iter_batches, make_generators, train
from covey.cluster._turtle._training import LinearSpaces, TaskEncoder, add_task_gradients, fit_classifiers
from covey.nn import FeatureScaling, Schedule, learning_rate_schedule
from covey.types import Progress


class TURTLE(HeadClusterer):
    """Cluster features so that linear classifiers learn the clusters easily.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K.
    spaces : sequence of int or None, default=None
        Widths of the feature spaces whose columns stand side by side in `X`, as when the features of several backbones
        are joined; they add up to the width of a row. None: one space.
    entropy_weight : float, default=10.0
        Weight γ of the entropy of the mean labels. Larger makes clusters more even.
    n_inner_steps : int, default=10
        Steps M that the classifiers learn between two steps of the labelling.
    keep_classifiers : bool, default=False
        Whether the classifiers go on from where they are (warm start), or begin anew for each step of the labelling.
    inner_learning_rate : float, default=1e-2
        Of the classifiers.
    learning_rate : float, default=1e-2
        Of the labelling.
    standardize : bool, default=True
        Whether features are z-scored with the training set's mean and standard deviation.
    n_steps : int, default=400
        Steps of the labelling, T.
    batch_size : int, default=2048
        Rows of a step; at most n_samples. Many times `n_clusters`, since the entropy is the batch's.
    schedule : {"cosine", "constant"}, default="cosine"
        What the learning rate of the labelling does.
    device : str, default="auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights and batches. The same seed gives the same labels on the same machine.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable cluster of each training row.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1. None where it would take more than 2 GiB: ask `predict_proba` for the rows you want.
    loss_history_ : ndarray of shape (n_epochs, 2), dtype float32
        Means of each pass: the classifiers' cross-entropy, summed over spaces, and the entropy of the mean labels, in
        nats.
    diagnostics_ : dict of str to float
        ``mean_max_probability``, ``median_max_probability``, ``conditional_entropy`` in nats: how sure the labels
        are; ``kl_to_uniform`` in nats: how uneven the cluster sizes are; ``n_empty_clusters``;
        ``classifier_loss``: the cross-entropy of the last pass.
    n_features_in_ : int
        Width of a row.

    See Also
    --------
    select_turtle : Choose settings without labels.
    TEMI : Learns from neighbours.

    Notes
    -----
    [1]_, from its equations: tau(x) is the mean over spaces of softmax(theta_k x_k); the classifiers w_k minimise the
    cross-entropy with tau by a few steps of Adam, and tau minimises what they are left with, summed over spaces, minus
    γ times the entropy of the mean of tau. The classifiers count as given in the outer step, so the gradient passes
    through the labels alone. Departs from the paper: features are z-scored, γ, the step sizes and lengths are ours and
    the outer rate decays. Written without looking at the authors' code.
    O(n_steps n_inner_steps batch_size n_features n_clusters) time.

    References
    ----------
    .. [1] A. Gadetsky, Y. Jiang and M. Brbić, "Let Go of Your Labels with Unsupervised Transfer", ICML 2024,
       arXiv:2406.07236.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import TURTLE
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.1, (40, 4)) for center in (-1, 1)])
    >>> labels = TURTLE(n_clusters=2, n_steps=100, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    _if_collapsed: ClassVar = "Raise entropy_weight or batch_size, train longer (n_steps), or ask for fewer clusters."

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        spaces: Sequence[int] | None = None,
        entropy_weight: float = 10.0,
        n_inner_steps: int = 10,
        keep_classifiers: bool = False,
        inner_learning_rate: float = 1e-2,
        learning_rate: float = 1e-2,
        standardize: bool = True,
        n_steps: int = 400,
        batch_size: int = 2048,
        schedule: Schedule = "cosine",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.spaces = spaces
        self.entropy_weight = entropy_weight
        self.n_inner_steps = n_inner_steps
        self.keep_classifiers = keep_classifiers
        self.inner_learning_rate = inner_learning_rate
        self.learning_rate = learning_rate
        self.standardize = standardize
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.schedule = schedule
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, progress: Progress | None = None) -> Self:
        """Train the labelling and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; those of several spaces side by side, as `spaces` says.
        y : Ignored
            For scikit-learn's contract.
        progress : Progress, default=None
            Called after each pass.

        Returns
        -------
        self : TURTLE
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, or `spaces` do not add up to the width of a row.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty.
        """
        X = fit_features(self, X)
        check_n_clusters(self.n_clusters, len(X))
        spaces = check_spaces(self.spaces, X.shape[1])
        self._check_parameters()
        tensor = to_tensor(X, resolve_device(self.device))
        scaling = FeatureScaling.fit(tensor, standardize=self.standardize)
        encoder, history = self._train(scaling(tensor), spaces, progress)
        self.loss_history_ = to_numpy(history)
        self._answer(X, scaling, encoder, classifier_loss=float(history[-1, 0]))
        return self

    def _check_parameters(self) -> None:
        for name in ("n_inner_steps", "n_steps", "batch_size"):
            check_integer(name, getattr(self, name), minimum=1)
        check_real("entropy_weight", self.entropy_weight)
        for name in ("inner_learning_rate", "learning_rate"):
            check_real(name, getattr(self, name), open_low=True)

    def _train(self, X: Tensor, spaces: list[int], progress: Progress | None) -> tuple[TaskEncoder, Tensor]:
        """Train on scaled rows X; return the labelling and its losses (n_epochs, 2)."""
        batch_size = min(self.batch_size, len(X))
        weight_generator, generator = make_generators(self.random_state, X.device)
        encoder = TaskEncoder(spaces, self.n_clusters, generator=weight_generator).to(X.device)
        learners = self._iter_classifiers(spaces, weight_generator, X.device)

        def backward(rows: Tensor, _: int) -> Tensor:
            batch, (classifiers, optimizer) = X[rows], next(learners)
            with torch.no_grad():
                labels = encoder(batch).exp()
            fit_classifiers(classifiers, batch, labels, optimizer, n_steps=self.n_inner_steps)
            return add_task_gradients(encoder, classifiers, batch, entropy_weight=self.entropy_weight)

        history, _ = train(
            backward,
            iter_batches(len(X), batch_size, generator=generator),
            torch.optim.Adam(encoder.parameters(), lr=0.0, fused=True),
            n_steps=self.n_steps,
            steps_per_epoch=len(X) // batch_size,
            rate_at=learning_rate_schedule(self.learning_rate, self.n_steps, decay=self.schedule),
            progress=progress,
        )
        return encoder, history

    def _iter_classifiers(
        self, spaces: list[int], generator: torch.Generator, device: torch.device
    ) -> Iterator[tuple[LinearSpaces, torch.optim.Optimizer]]:
        """Yield the classifiers to train and their optimiser: always the same, or new ones."""
        while True:
            classifiers = LinearSpaces(spaces, self.n_clusters, generator=generator).to(device)
            optimizer = torch.optim.Adam(classifiers.parameters(), lr=self.inner_learning_rate, fused=True)
            yield classifiers, optimizer
            while self.keep_classifiers:
                yield classifiers, optimizer


def check_spaces(spaces: Sequence[int] | None, n_features: int) -> list[int]:
    """Return the widths of the feature spaces; raise if they do not add up to `n_features`."""
    if spaces is None:
        return [n_features]
    widths = [check_integer("spaces", width, minimum=1) for width in spaces]
    if sum(widths) != n_features:
        raise ValueError(f"spaces are {widths}, {sum(widths)} features in all, but X has {n_features}.")
    return widths

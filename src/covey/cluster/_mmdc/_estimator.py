"""MMDC: a network that learns, from pixels alone, to put each picture on one of a few targets."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from covey._torch import matmul_dtype, resolve_device, to_numpy
from covey.cluster._checks import check_n_clusters
from covey.cluster._kmeans import KMeans
from covey.cluster._mmdc._answers import Encoder, describe, nearest, warn_if_failed
from covey.cluster._mmdc._checks import check_mmdc_parameters, check_pictures, check_state, describe_training
from covey.cluster._mmdc._pictures import Pictures, Views
from covey.cluster._mmdc._presets import PRESETS
from covey.cluster._mmdc._targets import Targets, TargetsKind
from covey.cluster._mmdc._training import Alternation, sgd
from covey.cluster._training import make_generators
from covey.cluster._with_presets import WithPresets
from covey.nn import PictureNet, Trunk
from covey.objectives import MeansKind, draw_components, target_means
from covey.types import ByteArray, FloatArray, IntArray, Progress, TrainingState

_FEWEST = 2  # pictures, for batch norm to have something to compare


class MMDC(WithPresets, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Cluster pictures by training a convolutional network on nothing but their pixels.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K.
    trunk : {"small_vgg", "resnet18"}, default="small_vgg"
        The network: four convolutions, quick on a processor; or the paper's for photographs.
    width : int or None, default=None
        Channels of its first stage; None for the paper's, 32 and 64. Time grows with its square.
    input_size : int, default=32
        Height and width of what the network sees, in pixels, at least 16.
    crops : float in (0, 1] or sequence of such, default=0.625
        Sides of the squares that are cut out of pictures, as shares of the shorter side; a copy draws one. The first is
        that of the centre crop by which a picture is assigned and answered for.
    flip : bool, default=True
        Whether half of the copies are mirrored.
    jitter : sequence of four floats, default=(0.4, 0.4, 0.4, 0.125)
        Most change of brightness, contrast, saturation and hue, see `covey.nn.jitter_colors`.
    grey : float in [0, 1], default=0.2
        Share of copies that lose their colour.
    max_turn : float, default=0.0
        Most degrees by which a copy is turned.
    targets : {"mixture", "noise", "none"}, default="mixture"
        MMDC's, around K means; NAT's, anywhere on the sphere; or none, for rotations alone (RotNet). Without a mixture
        the clusters are those of k-means on `transform`.
    means : {"one_hot", "random"}, default="one_hot"
        Where the means are.
    target_dim : int or None, default=None
        Dimension d of the sphere's space; None for `n_clusters`.
    sigma : float, default=0.0
        Variance σ of the targets around their means.
    rotation : bool, default=True
        Whether the network also learns how far a picture was turned. Where a turned picture is another one (6 and 9),
        it does not help.
    sobel : bool, default=False
        Whether the network sees slopes of brightness in place of colours.
    n_epochs : int, default=50
        Passes over the pictures; each trains on rotations and then on targets.
    batch_size : int, default=128
        Pictures of a step; four times as many for rotations.
    learning_rate : float, default=0.05
        Of SGD. The paper takes 0.01 without rotations.
    momentum : float in [0, 1], default=0.9
        Of SGD.
    weight_decay : float, default=5e-4
        Of SGD; biases and norms are spared.
    decay_at : float in [0, 1], default=0.75
        Share of the training after which the rate is lower.
    decay_factor : float in [0, 1], default=0.2
        By how much.
    refine_at : float in [0, 1] or None, default=None
        Share of the training after which targets come from a k-means of all outputs, so that clusters need not be of
        one size. None for never.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the convolutions while training; weights, losses and answers are float32.
    device : str, default="auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights, targets, batches and copies. The same seed gives the same labels on the same machine.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The nearest mean of each picture.
    loss_history_ : ndarray of shape (n_epochs, 3), dtype float64
        Of each pass: the mean loss to the targets, that of the rotations in nats, and the share of pictures that got
        another target. NaN for what was not learnt.
    diagnostics_ : dict
        JSON-compatible: ``cluster_loss``, ``rotation_loss`` and ``moved`` of the last pass, None for what was not
        learnt; ``n_empty_clusters``; ``kl_to_uniform`` in nats.
    picture_shape_ : tuple of int
        Shape of a training picture.

    See Also
    --------
    KMeans : On the features of a pretrained backbone, where there is one for such pictures.

    Notes
    -----
    The method is that of [1]_, section III and algorithm 1. A pass sees each picture six times: once to assign it, once
    to pull its copy to the target, four times turned.

    Follows the authors' code where the paper is silent or differs: rotations come first in a pass; assignment is by the
    distance, the loss by its square over d; the centre crop is assigned with the running statistics of the norms.
    Departs from both: crop, mirror and turn are one bilinear resampling; the colours of a batch change in one order;
    no batch is much smaller than the others; the head that has no part in a step does not move by its momentum.

    References
    ----------
    .. [1] Shiran and Weinshall, "Multi-Modal Deep Clustering: Unsupervised Partitioning of Images", 2019,
       arXiv:1912.02678.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import MMDC
    >>> X = np.random.default_rng(0).integers(0, 100, (60, 16, 16, 3), dtype=np.uint8)
    >>> X[:30, ..., 0] += 120
    >>> X[30:, ..., 2] += 120
    >>> short = {"width": 4, "input_size": 16, "crops": (0.875,), "n_epochs": 20, "batch_size": 10}
    >>> mmdc = MMDC(2, rotation=False, learning_rate=0.01, grey=0.0, random_state=0, **short)
    >>> labels = mmdc.fit_predict(X)
    >>> len(set(labels[:30])), len(set(labels[30:])), labels[0] != labels[30]
    (1, 1, np.True_)
    """

    presets: ClassVar = PRESETS

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        trunk: Trunk = "small_vgg",
        width: int | None = None,
        input_size: int = 32,
        crops: float | Sequence[float] = 0.625,
        flip: bool = True,
        jitter: Sequence[float] = (0.4, 0.4, 0.4, 0.125),
        grey: float = 0.2,
        max_turn: float = 0.0,
        targets: TargetsKind = "mixture",
        means: MeansKind = "one_hot",
        target_dim: int | None = None,
        sigma: float = 0.0,
        rotation: bool = True,
        sobel: bool = False,
        n_epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        decay_at: float = 0.75,
        decay_factor: float = 0.2,
        refine_at: float | None = None,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.trunk = trunk
        self.width = width
        self.input_size = input_size
        self.crops = crops
        self.flip = flip
        self.jitter = jitter
        self.grey = grey
        self.max_turn = max_turn
        self.targets = targets
        self.means = means
        self.target_dim = target_dim
        self.sigma = sigma
        self.rotation = rotation
        self.sobel = sobel
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.decay_at = decay_at
        self.decay_factor = decay_factor
        self.refine_at = refine_at
        self.precision = precision
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        resume: TrainingState | None = None,
        checkpoint: Callable[[TrainingState], None] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train the network and label the pictures.

        Parameters
        ----------
        X : array-like of shape (n_samples, h, w, 3) or (n_samples, h, w), dtype uint8
            Pictures in colour or in grey; a memory map is read batch by batch. Other numbers must be in [0, 255].
        y : Ignored
            For scikit-learn's contract.
        resume : TrainingState, default=None
            What `checkpoint` got in an earlier call with the same pictures and parameters: the training goes on from
            there and, on a processor, ends with the very same numbers. `covey.pipeline.CheckpointFile` keeps one.
        checkpoint : callable, default=None
            Called with a `TrainingState` after each pass.
        progress : Progress, default=None
            Called after each step.

        Returns
        -------
        self : MMDC
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range; pictures are of different sizes or kinds, fewer than two or than clusters,
            or not on the scale from 0 to 255; or `resume` is of another training.
        ConvergenceError
            If the loss is no number any more.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty, or the outputs say nothing about their targets.
        """
        pixels = check_pictures(X, fewest=_FEWEST)
        n_clusters = check_n_clusters(self.n_clusters, len(pixels))
        check_mmdc_parameters(self.get_params())
        pictures = Pictures(pixels, resolve_device(self.device))
        training, seed = self._prepare(pictures)
        facts = describe_training(self.get_params(), pixels) if resume is not None or checkpoint is not None else {}
        if resume is not None:
            check_state(resume, facts)
            training.restore(resume.arrays)

        def keep() -> None:
            if checkpoint is not None:
                checkpoint(TrainingState(training.arrays(), facts))

        self._train(training, keep, progress)
        self._answer(training, pixels, n_clusters, seed)
        return self

    def predict(self, X: Any) -> IntArray:
        """Label pictures.

        Parameters
        ----------
        X : array-like of shape (n, h, w, 3) or (n, h, w), dtype uint8
            Pictures of the training pictures' shape.

        Returns
        -------
        labels : ndarray of shape (n,), dtype int64
            In [0, n_clusters); for the training pictures the same as `labels_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the shape of a picture differs, or pixels are not on the scale from 0 to 255.
        """
        return self._label(self._check_alike(X))

    def transform(self, X: Any) -> FloatArray:
        """Map pictures to features: the network's penultimate layer.

        Parameters
        ----------
        X : array-like of shape (n, h, w, 3) or (n, h, w), dtype uint8
            Pictures of the training pictures' shape.

        Returns
        -------
        Z : ndarray of shape (n, n_features), dtype float32
            What table IV of the paper evaluates. A row does not depend on the pictures beside it.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the shape of a picture differs, or pixels are not on the scale from 0 to 255.
        """
        pixels = self._check_alike(X)
        return self._encoder.features(pixels, self.device)

    def __sklearn_tags__(self) -> Any:
        """Say that X holds pictures, not rows of features."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _prepare(self, pictures: Pictures) -> tuple[Alternation, int]:
        """Make what is trained, and a seed for the answer."""
        n_pictures, device = len(pictures), pictures.device
        weights, generator = make_generators(self.random_state, torch.device("cpu"))
        target_dim = self.target_dim or self.n_clusters
        network = PictureNet(
            self.trunk,
            1 if pictures.pixels.ndim == 3 else 3,
            self.input_size,
            target_dim,
            width=self.width,
            has_sobel=self.sobel,
            generator=weights,
            compute_dtype=matmul_dtype(device, self.precision),
        ).to(device)
        targets = None
        if self.targets == "mixture":
            means = target_means(self.n_clusters, target_dim, kind=self.means, generator=generator)
            labels = draw_components(n_pictures, self.n_clusters, generator=generator)
            targets = Targets.draw(means, labels, self.sigma, generator=generator)
        elif self.targets == "noise":
            targets = Targets.draw_noise(n_pictures, target_dim, generator=generator)
        training = Alternation(
            network,
            sgd(network, momentum=self.momentum, weight_decay=self.weight_decay),
            pictures,
            Views(
                self.input_size, np.atleast_1d(self.crops).tolist(), self.flip, self.jitter, self.grey, self.max_turn
            ),
            targets=targets,
            generator=generator,
            batch_size=min(self.batch_size, n_pictures),
            has_rotation=self.rotation,
        )
        return training, int(torch.randint(2**31, (), generator=weights))

    def _train(self, training: Alternation, keep: Callable[[], None], progress: Progress | None) -> None:
        """Run the epochs that are left."""
        decay_from = round(self.decay_at * self.n_epochs)
        refine_from = math.inf if self.refine_at is None else round(self.refine_at * self.n_epochs)
        n_done = len(training.history) * training.steps_per_epoch
        n_steps = self.n_epochs * training.steps_per_epoch

        def after_step() -> None:
            nonlocal n_done
            n_done += 1
            if progress is not None:
                progress("train", n_done, n_steps)

        for epoch in range(len(training.history), self.n_epochs):
            rate = self.learning_rate * (self.decay_factor if epoch >= decay_from else 1)
            training.run_epoch(rate, is_refining=epoch >= refine_from, after_step=after_step)
            keep()

    def _answer(self, training: Alternation, pixels: ByteArray, n_clusters: int, seed: int) -> None:
        """Keep the trained network, label the training pictures, and warn of what went wrong."""
        self._encoder = Encoder(training.network, training.views)
        self._n_features_out = self._encoder.network.n_features
        self.picture_shape_ = pixels.shape[1:]
        targets = training.targets
        self._is_by_features = targets is None or len(targets.means) == 0
        if targets is None or self._is_by_features:
            features = self._encoder.features(pixels, self.device)
            self._centers = KMeans(n_clusters, device="cpu", random_state=seed).fit(features).cluster_centers_
        else:
            self._centers = to_numpy(targets.means)
        self.labels_ = self._label(pixels)
        self.loss_history_ = np.array(training.history)
        self.diagnostics_ = describe(self.labels_, n_clusters, training.history[-1])
        warn_if_failed(self.diagnostics_, n_clusters, math.inf if targets is None else targets.loss_of_a_guess())

    def _label(self, pixels: ByteArray) -> IntArray:
        encode = self._encoder.features if self._is_by_features else self._encoder.outputs
        return nearest(encode(pixels, self.device), self._centers)

    def _check_alike(self, X: Any) -> ByteArray:
        """Return pictures as bytes if they have the shape of the training pictures."""
        check_is_fitted(self)
        pixels = check_pictures(X)
        if pixels.shape[1:] != self.picture_shape_:
            raise ValueError(
                f"X holds pictures of shape {pixels.shape[1:]}, MMDC was fitted on {self.picture_shape_}; "
                "bring them to that size, and to colour or grey."
            )
        return pixels

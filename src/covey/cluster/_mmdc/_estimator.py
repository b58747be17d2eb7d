"""MMDC: a network that learns, from pixels alone, to put each image on one of a few targets."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from covey._torch import matmul_dtype, resolve_device, to_numpy
from covey.cluster._base import Clusterer, check_n_clusters
from covey.cluster._kmeans import KMeans
from covey.cluster._mmdc._alternation import Alternation, Encoder, EpochLosses, Targets, TargetsKind, sgd
from covey.cluster._mmdc._images import Images, Views, check_images, check_state, describe_training
from covey.cluster._parameters import check_real, checked, choice, flag, free, integer, parameters, real
from covey.cluster._training import make_generators
from covey.metrics import cluster_size_kl
from covey.nn import Trunk, TwoHeadedConvNet
from covey.objectives import MeansKind, draw_components, nearest_means, target_means
from covey.types import ByteArray, FloatArray, IntArray, Progress, TrainingState

_FEWEST = 2  # images, for batch norm to have something to compare
_LEAST_SIZE_PX = 16  # of which four halvings leave a pixel
_GUESSING = 0.95  # of the loss of one output for all

_PAPER: Final = {  # section IV-A of arXiv:1912.02678
    "trunk": "resnet18",
    "width": None,
    "input_size": 32,
    "crops": (20 / 32,),  # authors' code: crops of 20 pixels, scaled to 32
    "flip": True,
    "jitter": (0.4, 0.4, 0.4, 0.125),  # authors' code, as in IIC
    "grayscale": 0.2,
    "max_rotation_degrees": 0.0,
    "targets": "mixture",
    "means": "one_hot",
    "target_dim": None,
    "variance": 0.0,
    "rotation": True,
    "sobel": False,
    "n_epochs": 400,
    "batch_size": 128,
    "learning_rate": 0.05,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "decay_at": 350 / 400,
    "decay_factor": 1 / 5,
    "refine_at": None,  # table I: refinement for MNIST alone
}
_MNIST: Final = _PAPER | {
    "trunk": "small_vgg",
    "crops": (24 / 28, 20 / 28, 16 / 28),  # authors' code: of 28 pixels, scaled to 32
    "flip": False,
    "max_rotation_degrees": 25.0,  # authors' code
    "rotation": False,
    "learning_rate": 0.01,  # "without the rotation loss" (IV-B); 0.05 does not converge on few images
    "n_epochs": 50,
    "decay_at": 40 / 50,
    "decay_factor": 1 / 10,
    "refine_at": 20 / 50,  # README; the paper: "after the main training is concluded"
}
_LARGE: Final = {"input_size": 64, "crops": (64 / 96,)}  # authors' code: 64 of 96 pixels, not scaled
_CODE: Final = {"decay_at": 300 / 400, "refine_at": 350 / 400}  # the README's commands at 9cd5eb0

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "fast": {},  # the constructor's defaults
        "paper-mnist": _MNIST,
        "paper-cifar10": _PAPER,
        "paper-cifar20": _PAPER | {"weight_decay": 1e-4},
        "paper-stl10": _PAPER | _LARGE,
        "paper-imagenet10": _PAPER | _LARGE,
        "paper-tiny-imagenet": _PAPER | {"input_size": 64, "crops": (40 / 64,), "weight_decay": 1e-4},
        # The README's commands decay earlier and refine at the end; table I has the numbers from before the refinement.
        "official-code-mnist": _MNIST,
        "official-code-cifar10": _PAPER | _CODE,
        "official-code-cifar20": _PAPER | _CODE | {"weight_decay": 1e-4},
        "official-code-stl10": _PAPER | _CODE | _LARGE,
        "official-code-imagenet10": _PAPER | _CODE | _LARGE,
        "official-code-tiny-imagenet": _PAPER | _CODE | {"input_size": 64, "crops": (40 / 64,), "weight_decay": 1e-4},
        # Table III on CIFAR-10: the learning rate "has to be reduced to 0.01" without rotations.
        "paper-sobel": _PAPER | {"sobel": True},
        "paper-no-rotation": _PAPER | {"rotation": False, "learning_rate": 0.01},
        "paper-no-rotation-sobel": _PAPER | {"rotation": False, "learning_rate": 0.01, "sobel": True},
        # Table IV: what the features of the two methods that MMDC joins are worth, on its own network.
        "nat": _PAPER | {"targets": "noise", "rotation": False, "learning_rate": 0.01, "target_dim": 128},
        "rotnet": _PAPER | {"targets": "none"},
        "nat-rotnet": _PAPER | {"targets": "noise", "target_dim": 128},
    }
)


def _check_crops(name: str, value: Any) -> None:
    """Raise unless a value is a share of the shorter side, or a sequence of such."""
    _check_numbers(name, [value] if np.isscalar(value) else value, open_low=True, high=1.0)


def _check_jitter(name: str, value: Any) -> None:
    """Raise unless a value is a sequence of four numbers of at least 0."""
    _check_numbers(name, value, n_numbers=4)


def _check_numbers(
    name: str, values: Any, *, n_numbers: int | None = None, open_low: bool = False, high: float = math.inf
) -> None:
    """Raise unless `values` is a sequence of numbers in range, `n_numbers` of them if given."""
    if not isinstance(values, (Sequence, np.ndarray)) or len(values) == 0:
        raise TypeError(f"{name} is {values!r}; it must be a sequence of numbers.")
    if n_numbers is not None and len(values) != n_numbers:
        raise ValueError(f"{name} has {len(values)} numbers; it must have {n_numbers}.")
    for value in values:
        check_real(f"Each of {name}", value, high=high, open_low=open_low)


@parameters
class MMDC(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Clusterer):  # type: ignore[misc]  # scikit-learn: no types
    """Cluster images by training a convolutional network on nothing but their pixels.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, K.
    trunk : {"resnet18", "small_vgg"}, default="small_vgg"
        The network: the paper's for photographs; or four convolutions, quick on a CPU.
    width : int or None, default=None
        Channels of its first stage; None for the paper's, 32 and 64. Time grows with its square.
    input_size : int, default=32
        Height and width of what the network sees, in pixels, at least 16.
    crops : float or sequence of float, default=0.625
        Sides in (0, 1] of the squares that are cut out of images, as shares of the shorter side; a copy draws one. The
        first is that of the center crop by which an image is assigned and labeled.
    flip : bool, default=True
        Whether half of the copies are mirrored.
    jitter : sequence of float, default=(0.4, 0.4, 0.4, 0.125)
        Four numbers: the largest change of brightness, contrast, saturation and hue, see `covey.nn.jitter_colors`.
    grayscale : float in [0, 1], default=0.2
        Share of copies that lose their color.
    max_rotation_degrees : float in [0, 180], default=0.0
        Largest angle by which a copy is rotated.
    targets : {"mixture", "noise", "none"}, default="mixture"
        MMDC's, around K means; NAT's, anywhere on the sphere; or none, for rotations alone (RotNet). Without a mixture
        the clusters are those of k-means on `transform`.
    means : {"one_hot", "random"}, default="one_hot"
        Where the means are.
    target_dim : int or None, default=None
        Dimension d of the sphere's space; None for `n_clusters`.
    variance : float, default=0.0
        Variance σ of the targets around their means.
    rotation : bool, default=True
        Whether the network also learns by how many quarter turns an image was rotated. Where a rotated image is
        another one (6 and 9), it does not help.
    sobel : bool, default=False
        Whether the network sees slopes of brightness in place of colors.
    n_epochs : int, default=50
        Passes over the images; each trains on rotations and then on targets.
    batch_size : int, default=128
        Images of a step; four times as many for rotations.
    learning_rate : float, default=0.05
        Of SGD. The paper takes 0.01 without rotations.
    momentum : float in [0, 1], default=0.9
        Of SGD.
    weight_decay : float, default=5e-4
        Of SGD; biases and norms are spared.
    decay_at : float in [0, 1], default=0.75
        Share of the training after which the rate is lower.
    decay_factor : float in [0, 1], default=0.2
        By which the rate is multiplied then.
    refine_at : float in [0, 1] or None, default=None
        Share of the training after which targets come from a k-means of all outputs, so that clusters need not be of
        one size. None for never.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the convolutions while training; weights, losses and predictions are float32.
    device : str, default="auto"
        See the glossary.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights, targets, batches and copies. See the glossary.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The nearest mean of each image.
    loss_history_ : ndarray of shape (n_epochs, 3), dtype float64
        Of each pass: the mean loss to the targets, that of the rotations in nats, and the share of images that got
        another target. NaN for what was not trained.
    diagnostics_ : dict
        JSON-compatible: ``cluster_loss``, ``rotation_loss`` and ``moved`` of the last pass, None for what was not
        trained; ``n_empty_clusters``; ``kl_to_uniform`` in nats.
    image_shape_ : tuple of int
        Shape of a training image.

    See Also
    --------
    KMeans : On the features of a pretrained backbone, where there is one for such images.

    Notes
    -----
    The method is that of [1]_, section III and algorithm 1; its equations are in `covey.objectives.mmdc`. A pass sees
    each image six times: once to assign it, once to pull its copy to the target, four times rotated.

    Follows the authors' code where the paper is silent or differs: rotations come first in a pass; assignment is by the
    distance, the loss by its square over d; the center crop is assigned with the running statistics of the norms.
    Departs from both: crop, mirror and rotation are one bilinear resampling; the colors of a batch change in one order;
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
    >>> mmdc = MMDC(2, rotation=False, learning_rate=0.01, grayscale=0.0, random_state=0, **short)
    >>> labels = mmdc.fit_predict(X)
    >>> len(set(labels[:30])), len(set(labels[30:])), labels[0] != labels[30]
    (1, 1, np.True_)
    """

    presets: ClassVar = PRESETS

    n_clusters: int = integer(10)
    _: KW_ONLY
    trunk: Trunk = choice("small_vgg", ("resnet18", "small_vgg"))
    width: int | None = integer(None, optional=True)
    input_size: int = integer(32, minimum=_LEAST_SIZE_PX)
    crops: float | Sequence[float] = checked(0.625, _check_crops, "a share in (0, 1] or a sequence of such")
    flip: bool = flag(True)
    jitter: Sequence[float] = checked((0.4, 0.4, 0.4, 0.125), _check_jitter, "four numbers of at least 0")
    grayscale: float = real(0.2, high=1.0)
    max_rotation_degrees: float = real(0.0, high=180.0)
    targets: TargetsKind = choice("mixture", ("mixture", "noise", "none"))
    means: MeansKind = choice("one_hot", ("one_hot", "random"))
    target_dim: int | None = integer(None, optional=True)
    variance: float = real(0.0)
    rotation: bool = flag(True)
    sobel: bool = flag(False)
    n_epochs: int = integer(50)
    batch_size: int = integer(128, minimum=2)
    learning_rate: float = real(0.05, above=0.0)
    momentum: float = real(0.9, high=1.0)
    weight_decay: float = real(5e-4)
    decay_at: float = real(0.75, high=1.0)
    decay_factor: float = real(0.2, high=1.0)
    refine_at: float | None = real(None, high=1.0, optional=True)
    precision: str = free("auto")
    device: str = free("auto")
    random_state: Any = free(None)

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        resume: TrainingState | None = None,
        checkpoint: Callable[[TrainingState], None] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train the network and label the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, h, w, 3) or (n_samples, h, w), dtype uint8
            Images in color or in grayscale; a memory map is read batch by batch. Other numbers must be in [0, 255].
        y : Ignored
            See the glossary.
        resume : TrainingState, default=None
            What `checkpoint` got in an earlier call with the same images and parameters: the training continues from
            there and, on a CPU, ends with the very same numbers. `covey.pipeline.CheckpointFile` keeps one.
        checkpoint : callable, default=None
            Called with a `TrainingState` after each pass.
        progress : Progress, default=None
            Called after each step.

        Returns
        -------
        self : MMDC
            Fitted. If anything fails, it is what it was before the call.

        Raises
        ------
        ValueError
            If a parameter is out of range; images are of different sizes or kinds, fewer than two or than clusters,
            or not on the scale from 0 to 255; or `resume` is of another training.
        ConvergenceError
            If the loss becomes NaN or infinite.

        Warns
        -----
        ConvergenceWarning
            If clusters stayed empty, or the outputs say nothing about their targets.
        """
        return self._fit_whole(X, resume=resume, checkpoint=checkpoint, progress=progress)

    def _check_rows(self, X: Any) -> ByteArray:
        """Return images as bytes."""
        return check_images(X, fewest=_FEWEST)

    def _fit(
        self,
        X: ByteArray,
        *,
        resume: TrainingState | None = None,
        checkpoint: Callable[[TrainingState], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Train on checked images (n, h, w) or (n, h, w, 3), from the start or from where `resume` is."""
        n_clusters = check_n_clusters(self.n_clusters, len(X))
        _check_combination(self)
        training, seed = self._prepare(Images(X, resolve_device(self.device)))
        facts = describe_training(self.get_params(), X) if resume is not None or checkpoint is not None else {}
        if resume is not None:
            check_state(resume, facts)
            training.restore(resume.arrays)

        def keep() -> None:
            if checkpoint is not None:
                checkpoint(TrainingState(training.arrays(), facts))

        self._train(training, keep, progress)
        self._keep(training, X, n_clusters, seed)

    def predict(self, X: Any) -> IntArray:
        """Label images.

        Parameters
        ----------
        X : array-like of shape (n, h, w, 3) or (n, h, w), dtype uint8
            Images of the training images' shape.

        Returns
        -------
        labels : ndarray of shape (n,), dtype int64
            In [0, n_clusters); for the training images the same as `labels_`.

        Raises
        ------
        ValueError
            If the shape of an image differs, or pixels are not on the scale from 0 to 255.
        """
        return self._label(self._check_alike(X))

    def transform(self, X: Any) -> FloatArray:
        """Map images to features: the network's penultimate layer.

        Parameters
        ----------
        X : array-like of shape (n, h, w, 3) or (n, h, w), dtype uint8
            Images of the training images' shape.

        Returns
        -------
        Z : ndarray of shape (n, n_features), dtype float32
            What table IV of the paper evaluates. A row does not depend on the images beside it.

        Raises
        ------
        ValueError
            If the shape of an image differs, or pixels are not on the scale from 0 to 255.
        """
        pixels = self._check_alike(X)
        return self._encoder.features(pixels, self.device)

    def __sklearn_tags__(self) -> Any:
        """Say that X holds images, not rows of features."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _prepare(self, images: Images) -> tuple[Alternation, int]:
        """Make what is trained, and a seed for k-means on the features."""
        n_images, device = len(images), images.device
        weights, generator = make_generators(self.random_state, torch.device("cpu"))
        target_dim = self.target_dim or self.n_clusters
        network = TwoHeadedConvNet(
            self.trunk,
            1 if images.pixels.ndim == 3 else 3,
            self.input_size,
            target_dim,
            width=self.width,
            has_sobel=self.sobel,
            generator=weights,
            compute_dtype=matmul_dtype(device, self.precision),
        ).to(device)
        targets = None
        if self.targets == "mixture":
            # Targets t_i, eq. 2: means µ_k (K, d) and each image's component (n,).
            means = target_means(self.n_clusters, target_dim, kind=self.means, generator=generator)
            labels = draw_components(n_images, self.n_clusters, generator=generator)
            targets = Targets.draw(means, labels, self.variance, generator=generator)
        elif self.targets == "noise":
            targets = Targets.draw_noise(n_images, target_dim, generator=generator)
        training = Alternation(
            network,
            sgd(network, momentum=self.momentum, weight_decay=self.weight_decay),
            images,
            Views(
                self.input_size,
                np.atleast_1d(self.crops).tolist(),
                self.flip,
                self.jitter,
                self.grayscale,
                self.max_rotation_degrees,
            ),
            targets=targets,
            generator=generator,
            batch_size=min(self.batch_size, n_images),
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

    def _keep(self, training: Alternation, pixels: ByteArray, n_clusters: int, seed: int) -> None:
        """Keep the trained network, label the training images, and warn of what went wrong."""
        self._encoder = Encoder(training.network, training.views)
        self._n_features_out = self._encoder.network.n_features
        self.image_shape_ = pixels.shape[1:]
        targets = training.targets
        self._is_by_features = targets is None or len(targets.means) == 0
        if targets is None or self._is_by_features:
            features = self._encoder.features(pixels, self.device)
            self._centers = KMeans(n_clusters, device="cpu", random_state=seed).fit(features).cluster_centers_
        else:
            self._centers = to_numpy(targets.means)
        self.labels_ = self._label(pixels)
        self.loss_history_ = np.array(training.history)
        self.diagnostics_ = _describe(self.labels_, n_clusters, training.history[-1])
        _warn_if_failed(self.diagnostics_, n_clusters, math.inf if targets is None else targets.loss_of_a_guess())

    def _label(self, pixels: ByteArray) -> IntArray:
        encode = self._encoder.features if self._is_by_features else self._encoder.outputs
        return nearest_means(encode(pixels, self.device), self._centers)  # eq. 3

    def _check_alike(self, X: Any) -> ByteArray:
        """Return images as bytes if they have the shape of the training images."""
        check_is_fitted(self)
        pixels = check_images(X)
        if pixels.shape[1:] != self.image_shape_:
            raise ValueError(
                f"X holds images of shape {pixels.shape[1:]}, MMDC was fitted on {self.image_shape_}; "
                "bring them to that size, and to color or grayscale."
            )
        return pixels


def _check_combination(mmdc: MMDC) -> None:
    """Raise where one parameter leaves nothing for another to do."""
    if mmdc.targets != "mixture":
        for name, default in (("refine_at", None), ("variance", 0)):
            if getattr(mmdc, name) not in (default, None):
                raise ValueError(
                    f"{name} is {getattr(mmdc, name)}, but targets={mmdc.targets!r} has no mixture of means."
                )
    if mmdc.targets == "none" and not mmdc.rotation:
        raise ValueError("targets='none' with rotation=False leaves nothing to learn; switch one of them on.")
    dim = mmdc.target_dim
    if mmdc.targets == "mixture" and mmdc.means == "one_hot" and dim is not None and dim < mmdc.n_clusters:
        raise ValueError(
            f"target_dim is {dim}, but {mmdc.n_clusters} one-hot means need as many dimensions; leave it out, or "
            "take means='random'."
        )


def _describe(labels: IntArray, n_clusters: int, last: EpochLosses) -> dict[str, Any]:
    """Summarize a training by its labels (n,) and its last epoch, JSON-compatible."""
    return {
        **{name: None if math.isnan(value) else value for name, value in last._asdict().items()},
        "n_empty_clusters": n_clusters - len(np.unique(labels)),
        "kl_to_uniform": cluster_size_kl(labels, n_clusters=n_clusters),
    }


def _warn_if_failed(diagnostics: dict[str, Any], n_clusters: int, loss_of_a_guess: float) -> None:
    """Warn if clusters stayed empty, or if one output for all images would be about as near to their targets."""
    n_empty, loss = diagnostics["n_empty_clusters"], diagnostics["cluster_loss"]
    if loss is not None and n_clusters > 1 and loss > _GUESSING * loss_of_a_guess:
        problem = (
            f"The outputs are hardly nearer to their targets (loss {loss:.4f}) than one output for all "
            f"({loss_of_a_guess:.4f}) would be. Train longer (n_epochs), or with another learning_rate."
        )
    elif n_empty:
        problem = (
            f"{n_empty} of {n_clusters} clusters are empty, so only {n_clusters - n_empty} were found. Train longer "
            "(n_epochs), refine later (refine_at), or ask for fewer clusters."
        )
    else:
        return
    warnings.warn(problem, ConvergenceWarning, stacklevel=4)

"""Fine-tuning a backbone together with the trained heads of a TEMI: supplement A.2 of [1]_.

.. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models", BMVC 2023,
   arXiv:2303.17896.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from covey._arrays import iter_chunks
from covey._torch import make_generator, resolve_device, to_numpy, to_tensor
from covey.cluster._parameters import check_integer, check_real
from covey.cluster._temi import TEMI, Loss, SelfDistillation, pick_head
from covey.cluster._training import TrainingLength, adamw, iter_batches, partner_table, train
from covey.nn import StackedHeads, flip_and_shift, learning_rate_schedule, update_average
from covey.types import ByteArray, FloatArray, IntArray, NeighborGraph, Progress

_PRIOR_ROWS = 1024
_ENCODE_ROWS = 128
_LEAST_AGREEMENT = 0.5


@dataclass(frozen=True, eq=False)
class FineTuned:
    """A fine-tuned backbone and the TEMI whose heads were trained with it.

    Attributes
    ----------
    backbone : nn.Module
        The teacher's, on the CPU in evaluation mode; ``torch.save(tuned.backbone.state_dict(), path)`` keeps it.
    temi : TEMI
        Fitted on the new features: `labels_` and `probabilities_` of the training images, `loss_history_` and
        `head_losses_` of the fine-tuning, `diagnostics_`, and `predict` for rows of `encode`.
    mean, std : tuple of float
        Subtracted from and divided into the pixels before the backbone sees them.
    device : str
        Where images are encoded.
    """

    backbone: nn.Module
    temi: TEMI
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: str

    def encode(self, pixels: ByteArray) -> FloatArray:
        """Return the features of the fine-tuned backbone.

        Parameters
        ----------
        pixels : ndarray of shape (n, height, width, 3), dtype uint8
            Images of any one size.

        Returns
        -------
        X : ndarray of shape (n, n_features), dtype float32
            Rows for `temi`. A row may differ in the last digits with the images beside it.

        Raises
        ------
        TypeError, ValueError
            If `pixels` has another dtype or shape.
        """
        images = PixelBatches.check(pixels, self.mean, self.std, resolve_device(self.device))
        return encode(copy.deepcopy(self.backbone).to(images.device), images)

    def predict(self, pixels: ByteArray) -> IntArray:
        """Return the most probable cluster of each image.

        Parameters
        ----------
        pixels : ndarray of shape (n, height, width, 3), dtype uint8
            Images of any one size.

        Returns
        -------
        labels : ndarray of shape (n,), dtype int64
            In [0, n_clusters).

        Raises
        ------
        TypeError, ValueError
            If `pixels` has another dtype or shape.
        """
        return self.temi.predict(self.encode(pixels))

    def predict_proba(self, pixels: ByteArray) -> FloatArray:
        """Return the probability of each cluster.

        Parameters
        ----------
        pixels : ndarray of shape (n, height, width, 3), dtype uint8
            Images of any one size.

        Returns
        -------
        probabilities : ndarray of shape (n, n_clusters), dtype float32
            Rows sum to 1.

        Raises
        ------
        TypeError, ValueError
            If `pixels` has another dtype or shape.
        """
        return self.temi.predict_proba(self.encode(pixels))


def fine_tune(
    temi: TEMI,
    backbone: nn.Module,
    pixels: ByteArray,
    *,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (255.0, 255.0, 255.0),
    neighbors: NeighborGraph | None = None,
    n_epochs: int = 3,
    batch_size: int = 64,
    learning_rate: float = 3e-4,
    backbone_learning_rate: float = 3e-5,
    augment: bool = False,
    device: str = "auto",
    random_state: Any = None,
    progress: Progress | None = None,
) -> FineTuned:
    """Train a backbone and the trained heads of a TEMI together, with the TEMI's own objective.

    Parameters
    ----------
    temi : TEMI
        Fitted on the features that `backbone` gives for `pixels`. It is not changed. Its objective, β, momenta, weight
        decay, warm-up, schedule and choice of partners are used here too.
    backbone : nn.Module
        Maps images (b, 3, height, width), float32, to features (b, n_features). It is not changed. Parameters that do
        not require a gradient stay as they are. `covey.backbones.load_torch_backbone` gives the embedded ones.
    pixels : ndarray of shape (n, height, width, 3), dtype uint8
        The images, row i that of the TEMI's training row i. A memory map is read batch by batch.
    mean, std : sequence of 3 floats, default=0 and 255
        On the scale of the pixels, subtracted and divided by before the backbone; `covey.types.BackboneSpec` has them.
    neighbors : NeighborGraph, default=None
        Neighbors of the rows. If None, those of the backbone's features as it came; they are not searched again.
    n_epochs : int, default=3
        Passes over the images.
    batch_size : int, default=64
        Images of a step, each with a neighbor; at most n.
    learning_rate : float, default=3e-4
        Learning rate of AdamW for the heads; it does not depend on the batch size.
    backbone_learning_rate : float, default=3e-5
        Learning rate of AdamW for the backbone.
    augment : bool, default=False
        Whether half of the images are mirrored and all are moved by up to an eighth, anew at each step.
    device : str, default="auto"
        See the glossary.
    random_state : int, RandomState, Generator or None, default=None
        See the glossary.
    progress : Progress, default=None
        Called after each pass.

    Returns
    -------
    tuned : FineTuned
        The new backbone, and a TEMI for its features.

    Raises
    ------
    NotFittedError
        If `temi` is not fitted.
    TypeError, ValueError
        If a parameter is out of range; if there are not as many images as the TEMI has rows, or they are not uint8; if
        the backbone gives features of another width, or clearly other ones, than the TEMI was fitted on.
    ConvergenceError
        If the loss is NaN or infinite.

    Warns
    -----
    ConvergenceWarning
        If clusters are empty afterwards.

    Notes
    -----
    In the paper, training the backbone with randomly initialized heads gave bad results, with trained heads better ones
    where the backbone had been trained on other data. The supplement gives no settings; rates, batch and
    length are ours, not tuned. As for the heads, a teacher backbone follows the student as a moving average; it is what
    is returned. The running class prior begins at the trained heads' mean prediction.

    Batch normalization and dropout stay in evaluation mode: the heads and their scaling were fitted in that mode, the
    averages over the images of one batch are noisy, and a teacher that averages parameters alone would not follow
    running statistics. Their weights are trained. The scaling of features (mean, deviation and principal
    axes of the frozen ones) is kept and differentiated through. The backbone computes in float32: EfficientNet-Lite0
    at 96 pixels took more than twice as long forward and back in bfloat16, on a processor that has it.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from covey.cluster import TEMI, fine_tune
    >>> rng = np.random.default_rng(0)
    >>> pixels = np.concatenate([rng.integers(low, low + 50, (40, 4, 4, 3)) for low in (0, 200)]).astype(np.uint8)
    >>> backbone = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> backbone = torch.nn.Sequential(backbone, torch.nn.Linear(12, 12))
    >>> X = backbone(torch.from_numpy(pixels / 255).float().permute(0, 3, 1, 2)).detach().numpy()
    >>> temi = TEMI(n_clusters=2, n_heads=2, n_steps=60, random_state=0).fit(X)
    >>> tuned = fine_tune(temi, backbone, pixels, random_state=0)
    >>> bool((tuned.predict(pixels) == tuned.temi.labels_).all())
    True
    """
    check_is_fitted(temi)
    for name, value in (("n_epochs", n_epochs), ("batch_size", batch_size)):
        check_integer(name, value, minimum=1)
    for name, rate in (("learning_rate", learning_rate), ("backbone_learning_rate", backbone_learning_rate)):
        check_real(name, rate, open_low=True)
    images = PixelBatches.check(pixels, mean, std, resolve_device(device))
    n_rows, generator = len(images.pixels), make_generator(random_state)
    _check_trainable(temi, backbone, n_rows)
    # 1. The features of the backbone as it came, (n, n_features), and the neighbors in them, (n, k).
    student = copy.deepcopy(backbone).to(images.device).eval()
    X = encode(student, images)
    check_matches(temi, X)
    n_neighbors = min(temi.n_neighbors, max(1, n_rows // temi.n_clusters))
    table = partner_table(X, neighbors, n_neighbors, include_self=temi.include_self, device=device)
    partners = to_tensor(table, torch.device("cpu"))
    # 2. Student and teacher start as copies of the backbone and the heads; both are trained, at rates of their own.
    joint = JointDistillation(student, temi)
    joint.start_priors(X)
    length = TrainingLength.of(n_rows, batch_size, 1, n_epochs)
    backbone_optimizer = adamw([student], weight_decay=temi.weight_decay)
    rate_of_one = learning_rate_schedule(1.0, length.n_steps, warmup=temi.warmup, decay=temi.schedule)

    def backward(rows: Tensor, step: int) -> Tensor:
        drawn = torch.randint(partners.shape[1], (len(rows),), generator=generator)
        x = images.take(torch.cat([rows, partners[rows, drawn]]).numpy())
        for group in backbone_optimizer.param_groups:
            group["lr"] = backbone_learning_rate * rate_of_one(step)
        backbone_optimizer.zero_grad(set_to_none=True)
        return joint.backward(flip_and_shift(x, generator=generator) if augment else x)

    def after_step() -> None:
        backbone_optimizer.step()
        joint.update_teachers(temi.teacher_momentum)

    history, n_made = train(
        backward,
        iter_batches(n_rows, length.batch_size, generator=generator),
        adamw(joint.heads.students, weight_decay=temi.weight_decay),
        n_steps=length.n_steps,
        steps_per_epoch=length.steps_per_epoch,
        rate_at=lambda step: learning_rate * rate_of_one(step),
        after_step=after_step,
        progress=progress,
    )
    # 3. The teacher's backbone, and a TEMI with the teacher's heads for its features.
    refitted = _with_heads(temi, joint.heads.teachers, history, n_made)
    best = pick_head(refitted._teachers, refitted.best_head_)
    refitted._keep_head(encode(joint.teacher, images), temi._scale, best)
    tuned = copy.deepcopy(backbone).cpu().eval()
    tuned.load_state_dict(joint.teacher.state_dict())
    return FineTuned(tuned, refitted, images.mean, images.std, device)


def _check_trainable(temi: TEMI, backbone: nn.Module, n_rows: int) -> None:
    """Raise unless there are as many images as rows of the TEMI, and the backbone can learn."""
    if n_rows != len(temi.labels_):
        raise ValueError(f"pixels has {n_rows} images, temi was fitted on {len(temi.labels_)} rows; they must match.")
    if not any(parameter.requires_grad for parameter in backbone.parameters()):
        raise ValueError("The backbone has no parameter that requires a gradient; there is nothing to train.")


class JointDistillation:
    """Student and teacher, each a backbone with all heads, and the gradients of one step.

    Parameters
    ----------
    backbone : nn.Module
        The student's, which is trained in place; the teacher's starts as a copy.
    temi : TEMI
        Fitted; the heads of both sides start as its teacher heads.
    """

    def __init__(self, backbone: nn.Module, temi: TEMI) -> None:
        place = next(backbone.parameters()).device
        self.student = backbone
        self.teacher = copy.deepcopy(backbone).requires_grad_(False)
        self.scale = temi._scale
        self.heads = SelfDistillation(
            [copy.deepcopy(heads).requires_grad_(True).to(place) for heads in temi._teachers],
            loss=Loss(temi.objective, temi.beta_, temi.entropy_weight),
            prior_momentum=temi.prior_momentum,
        )

    @torch.no_grad()
    def start_priors(self, X: FloatArray) -> None:
        """Start the running class priors at the mean prediction for features (n, n_features)."""
        for teacher, prior in zip(self.heads.teachers, self.heads.priors, strict=True):
            total = torch.zeros_like(prior.mean)
            for rows in iter_chunks(len(X), _PRIOR_ROWS):
                total += teacher(self.scale(to_tensor(X[rows], total.device))).exp().sum(dim=1)
            prior.mean = total / len(X)

    def backward(self, x: Tensor) -> Tensor:
        """Add the gradients of a batch and return the loss of each head, shape (n_heads,), detached.

        `x` has shape (2 * batch, 3, height, width): the samples, then a neighbor of each in the same order. Heads come
        in chunks that add to the gradient of the features; the backbone is then differentiated once.
        """
        z = self.scale(self.student(x).float())
        with torch.no_grad():
            teacher_z = self.scale(self.teacher(x).float())
        leaf = z.detach().requires_grad_()
        losses = self.heads.backward(leaf, teacher_z)
        z.backward(leaf.grad)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return losses

    def update_teachers(self, momentum: float) -> None:
        """Let the teacher's backbone and heads follow the student's."""
        update_average(self.teacher, self.student, momentum=momentum)
        self.heads.update_teachers(momentum)


def _with_heads(temi: TEMI, teachers: list[StackedHeads], history: Tensor, n_steps: int) -> TEMI:
    """Return a copy of a TEMI with other heads, their losses (n_epochs, n_heads) and steps; its labels are the old."""
    changed = copy.copy(temi)
    changed._choose_head(history)
    changed._teachers = [teacher.cpu() for teacher in teachers]
    changed.n_steps_ = n_steps
    return changed


class PixelBatches(NamedTuple):
    """Pixels, and how they are scaled before a backbone sees them.

    Attributes
    ----------
    pixels : ndarray of shape (n, height, width, 3), dtype uint8
        May be a memory map.
    mean, std : tuple of float
        For the three channels, on the scale of the pixels.
    device : torch.device
        Where the backbone is.
    """

    pixels: ByteArray
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device

    @classmethod
    def check(cls, pixels: Any, mean: Sequence[float], std: Sequence[float], device: torch.device) -> "PixelBatches":
        """Check what a caller gave."""
        images = cls(_check_pixels(pixels), tuple(map(float, mean)), tuple(map(float, std)), device)
        for name, values in (("mean", images.mean), ("std", images.std)):
            if len(values) != 3:
                raise ValueError(f"{name} has {len(values)} numbers; it must have three, one for each channel.")
        for value in images.std:
            check_real("Each of std", value, open_low=True)
        return images

    def take(self, rows: Any) -> Tensor:
        """Return some images as the backbone takes them, (b, 3, height, width) float32, channels last in memory."""
        x = torch.from_numpy(np.array(self.pixels[rows])).to(self.device).float()
        x = (x - torch.tensor(self.mean, device=self.device)) / torch.tensor(self.std, device=self.device)
        return x.permute(0, 3, 1, 2)


@torch.no_grad()
def encode(backbone: nn.Module, images: PixelBatches) -> FloatArray:
    """Return the features (n, n_features) of a backbone that is on the images' device."""
    chunks = [backbone(images.take(rows)) for rows in iter_chunks(len(images.pixels), _ENCODE_ROWS)]
    if not isinstance(chunks[0], Tensor) or chunks[0].ndim != 2:
        what = tuple(chunks[0].shape) if isinstance(chunks[0], Tensor) else type(chunks[0]).__name__
        raise ValueError(f"The backbone gave {what} for the first images; it must give features (b, n_features).")
    return np.concatenate([to_numpy(chunk.float()) for chunk in chunks])


def check_matches(temi: TEMI, X: FloatArray) -> None:
    """Raise unless features (n, n_features) are, but for rounding, the ones that `temi` was fitted on."""
    if X.shape[1] != temi.n_features_in_:
        raise ValueError(
            f"The backbone gives {X.shape[1]} features, temi was fitted on {temi.n_features_in_}; it must be the "
            "backbone that temi's features come from."
        )
    agreement = float((temi.predict(X) == temi.labels_).mean())
    if agreement < _LEAST_AGREEMENT:
        raise ValueError(
            f"temi gives only {agreement:.0%} of the images the label that it gave when it was fitted; the backbone, "
            "the images and their order, size, mean and std must be those that its features come from."
        )


def _check_pixels(pixels: Any) -> ByteArray:
    """Return pixels (n, height, width, 3) uint8."""
    array = np.asarray(pixels)
    if array.dtype != np.uint8:
        raise TypeError(f"pixels has dtype {array.dtype}; images must be uint8, from 0 to 255.")
    if array.ndim != 4 or array.shape[3] != 3 or array.size == 0:
        raise ValueError(f"pixels has shape {array.shape}; it must be (n, height, width, 3).")
    return array

"""MMDC's training: an epoch of rotations and an epoch of targets in turn, and the network when it is trained."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covey._torch import resolve_device, to_numpy
from covey.cluster._kmeans import KMeans
from covey.cluster._mmdc._images import Images, Views
from covey.errors import ConvergenceError
from covey.metrics import contingency_matrix, match_clusters
from covey.nn import TwoHeadedConvNet
from covey.objectives.mmdc import (
    assign_one_to_one,
    assign_to_capacities,
    draw_noise,
    draw_targets,
    rotation_loss,
    target_loss,
)
from covey.types import ByteArray, FloatArray, IntArray

TargetsKind = Literal["mixture", "noise", "none"]

_REFINE_RESTARTS = 10
_ENCODE_ROWS = 64
_NEVER = math.nan


class Targets:
    """A target on the sphere for each image.

    Parameters
    ----------
    means : Tensor of shape (n_means, d), dtype float32
        The mixture's means.
    labels : Tensor of shape (n,), dtype int64
        Whose mean each image's target belongs to.
    points : Tensor of shape (n, d), dtype float32, or None
        The targets themselves; None if they are the means.
    """

    def __init__(self, means: Tensor, labels: Tensor, points: Tensor | None) -> None:
        self.means = means
        self.labels = labels
        self.points = points

    @classmethod
    def draw(cls, means: Tensor, labels: Tensor, variance: float, *, generator: torch.Generator) -> Self:
        """Draw targets around the means, eq. 2; all tensors are on the CPU."""
        return cls(means, labels, draw_targets(means, labels, variance, generator=generator) if variance else None)

    @classmethod
    def draw_noise(cls, n_rows: int, n_dimensions: int, *, generator: torch.Generator) -> Self:
        """Draw NAT's targets, which belong to no mean."""
        points = draw_noise(n_rows, n_dimensions, generator=generator)
        return cls(torch.empty(0, n_dimensions), torch.zeros(n_rows, dtype=torch.int64), points)

    def take(self, rows: Tensor) -> Tensor:
        """Return the targets (b, d) of some images, on the CPU."""
        return self.means[self.labels[rows]] if self.points is None else self.points[rows]

    def assign(self, rows: Tensor, outputs: Tensor) -> float:
        """Exchange the targets within a batch so that Euclidean distances to the outputs (b, d) sum to the least.

        This is eq. 1 for the permutation P. Returns the share of images whose target changed.
        """
        if self.points is None:
            room = self.labels[rows].bincount(minlength=len(self.means))  # images of the batch at each mean, (K,)
            labels = assign_to_capacities(torch.cdist(outputs, self.means), room)
            moved = labels != self.labels[rows]
            self.labels[rows] = labels
        else:
            order = assign_one_to_one(torch.cdist(outputs, self.points[rows]))  # cost (b, b)
            moved = order != torch.arange(len(rows))
            self.points[rows], self.labels[rows] = self.points[rows[order]], self.labels[rows[order]]
        return float(moved.float().mean())

    def loss_of_a_guess(self) -> float:
        """Return the loss of the one output that is nearest to all targets."""
        points = self.means[self.labels] if self.points is None else self.points
        return float((2 - 2 * points.mean(dim=0).norm()) / points.shape[1])

    def refine(self, outputs: Tensor, seed: int) -> float:
        """Take the clusters of k-means over all outputs (n, d), each with the label it shares most images with.

        Targets are the means from then on. Returns the share of images whose label changed.
        """
        kmeans = KMeans(len(self.means), n_init=_REFINE_RESTARTS, device="cpu", random_state=seed)
        found = match_labels(to_numpy(self.labels), kmeans.fit(to_numpy(outputs)).labels_, len(self.means))
        labels = torch.from_numpy(found)
        moved = labels != self.labels
        self.labels, self.points = labels, None
        return float(moved.float().mean())


def match_labels(before: IntArray, after: IntArray, n_clusters: int) -> IntArray:
    """Rename labels (n,) so that most images keep the one they had before.

    A label that shares no image with a former one takes what is left over.
    """
    table = contingency_matrix(before, after)
    rows, columns = match_clusters(table)
    names = np.full(n_clusters, -1)
    names[table.clusters[columns]] = table.classes[rows]
    names[names < 0] = np.setdiff1d(np.arange(n_clusters), names)
    return names[after]


class EpochLosses(NamedTuple):
    """Means over an epoch; NaN where it has no such part.

    Attributes
    ----------
    cluster_loss : float
        Mean squared difference of outputs and targets.
    rotation_loss : float
        Cross-entropy of quarter turns, in nats.
    moved : float
        Share of images that got another target.
    """

    cluster_loss: float
    rotation_loss: float
    moved: float


class Alternation:
    """All that changes during a training, and the two kinds of epochs that change it.

    Parameters
    ----------
    network : TwoHeadedConvNet
        On its device.
    optimizer : torch.optim.SGD
        Of its parameters.
    images : Images
        Training images.
    views : Views
        What the network sees of them.
    targets : Targets or None
        None for rotations alone.
    generator : torch.Generator
        On the CPU; of all that is drawn while training.
    batch_size : int
        Images of a step.
    has_rotation : bool
        Whether rotations are learned.
    """

    def __init__(
        self,
        network: TwoHeadedConvNet,
        optimizer: torch.optim.SGD,
        images: Images,
        views: Views,
        *,
        targets: Targets | None,
        generator: torch.Generator,
        batch_size: int,
        has_rotation: bool,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.images = images
        self.views = views
        self.targets = targets
        self.generator = generator
        self.batch_size = batch_size
        self.has_rotation = has_rotation
        self.history: list[EpochLosses] = []

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, of both kinds together."""
        n_batches = math.ceil(len(self.images) / self.batch_size)
        return n_batches * (self.has_rotation + (self.targets is not None))

    def run_epoch(self, learning_rate: float, *, is_refining: bool, after_step: Callable[[], None]) -> None:
        """Learn rotations from all images, then their targets.

        While refining, targets come from a k-means before the epoch and are not exchanged in it.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.network.train()
        mean_rotation_loss = self._mean_loss(self._rotation_loss, after_step) if self.has_rotation else _NEVER
        cluster_loss, moved = _NEVER, [_NEVER]
        if (targets := self.targets) is not None:
            moved = [self._refine(targets)] if is_refining else []

            def loss_of(rows: Tensor, x: Tensor) -> Tensor:
                if not is_refining:  # eq. 1 for P: exchange targets by the outputs f(x) for anchors, (b, d)
                    moved.append(targets.assign(rows, self._encode(x)))
                outputs = self.network(self.views.augmented(x, self.generator))  # f(g(x)), (b, d)
                return target_loss(outputs, targets.take(rows).to(outputs.device))  # eq. 1 for θ

            cluster_loss = self._mean_loss(loss_of, after_step)
        self.history.append(EpochLosses(cluster_loss, mean_rotation_loss, float(np.mean(moved))))

    def _mean_loss(self, loss_of: Callable[[Tensor, Tensor], Tensor], after_step: Callable[[], None]) -> float:
        """Make a step for each batch; return the mean loss, for which the device is waited for once."""
        losses: list[Tensor] = []
        n_batches = math.ceil(len(self.images) / self.batch_size)
        order = torch.randperm(len(self.images), generator=self.generator)
        for rows, x in self.images.batches(order.tensor_split(n_batches)):  # no batch is much smaller than others
            self.optimizer.zero_grad(set_to_none=True)
            loss = loss_of(rows, x)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
            losses.append(loss.detach())
            self.optimizer.step()
            after_step()
        mean = float(to_numpy(torch.stack(losses)).astype(np.float64).mean())
        if not math.isfinite(mean):
            self._diverged()
        return mean

    def _rotation_loss(self, rows: Tensor, x: Tensor) -> Tensor:
        """Return L_r of algorithm 1 for all four rotations of a batch."""
        rotated, n_quarter_turns = self.views.rotated(x, self.generator)
        return rotation_loss(self.network.rotation_logits(rotated), n_quarter_turns)

    def _refine(self, targets: Targets) -> float:
        seed = int(torch.randint(2**31, (), generator=self.generator))
        batches = self.images.in_order(self.batch_size)
        outputs = torch.cat([self._encode(x) for _, x in batches])
        return targets.refine(outputs, seed)

    def _encode(self, x: Tensor) -> Tensor:
        """Return the outputs (b, d) for the anchor views, with the norms' running statistics, on the CPU.

        The assignment is solved there, so a step that assigns waits for the device once.
        """
        self.network.eval()
        with torch.no_grad():
            outputs: Tensor = self.network(self.views.anchor(x)).cpu()
        self.network.train()
        if not outputs.isfinite().all():
            self._diverged()
        return outputs

    def _diverged(self) -> None:
        advice = "lower learning_rate" + ("" if self.has_rotation else " (the paper takes 0.01 without rotations)")
        raise ConvergenceError(f"The loss is NaN or infinite in epoch {len(self.history) + 1}: {advice}.")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that changes during a training."""
        state = {f"network.{name}": to_numpy(value) for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            momentum = self.optimizer.state.get(parameter, {}).get("momentum_buffer")
            if momentum is not None:
                state[f"momentum.{name}"] = to_numpy(momentum)
        state["generator"] = to_numpy(self.generator.get_state())
        state["history"] = np.array(self.history, dtype=np.float64)
        if self.targets is not None:
            state |= {"means": to_numpy(self.targets.means), "labels": to_numpy(self.targets.labels)}
            if self.targets.points is not None:
                state["points"] = to_numpy(self.targets.points)
        return {name: np.array(value) for name, value in state.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go back to where `arrays` was called, in a training with the same parameters."""
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        network = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
        self.network.load_state_dict(network)
        for name, parameter in self.network.named_parameters():
            if f"momentum.{name}" in tensors:
                momentum = torch.empty_like(parameter).copy_(tensors[f"momentum.{name}"])  # laid out as the parameter
                self.optimizer.state[parameter]["momentum_buffer"] = momentum
        self.generator.set_state(tensors["generator"])
        self.history = [EpochLosses(*map(float, row)) for row in arrays["history"]]
        if self.targets is not None:
            self.targets = Targets(tensors["means"], tensors["labels"], tensors.get("points"))


def sgd(network: TwoHeadedConvNet, *, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Make SGD that spares biases and norms from weight decay; its rate is set for each epoch."""
    parameters = [*network.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.0, momentum=momentum)


class Encoder:
    """A trained network that no longer changes.

    Parameters
    ----------
    network : TwoHeadedConvNet
        Of which a copy is kept, on the CPU, that computes in float32.
    views : Views
        Of which it sees the anchor.
    """

    def __init__(self, network: TwoHeadedConvNet, views: Views) -> None:
        self.network = copy.deepcopy(network).cpu().eval()
        self.network.compute_dtype = torch.float32
        self.network.zero_grad(set_to_none=True)
        self.views = views

    def features(self, pixels: ByteArray, device: str) -> FloatArray:
        """Return the penultimate layer (n, n_features) for images (n, h, w) or (n, h, w, 3)."""
        return np.concatenate([*self._chunks(lambda network, x: network.features(x), pixels, device)])

    def outputs(self, pixels: ByteArray, device: str) -> FloatArray:
        """Return the points on the sphere (n, d)."""
        return np.concatenate([*self._chunks(lambda network, x: network(x), pixels, device)])

    def _chunks(
        self, function: Callable[[TwoHeadedConvNet, Tensor], Tensor], pixels: ByteArray, device: str
    ) -> Iterator[NDArray[Any]]:
        """Yield a function of the network and of center crops for a chunk of images after another.

        All chunks have the same size, the last one filled up, so that the result for an image does not depend on the
        images beside it.
        """
        place = resolve_device(device)
        network, images = copy.deepcopy(self.network).to(place), Images(pixels, place)
        for rows, x in images.in_order(_ENCODE_ROWS):
            filled = torch.cat([x, x.new_zeros(_ENCODE_ROWS - len(rows), *x.shape[1:])])
            with torch.no_grad():
                yield to_numpy(function(network, self.views.anchor(filled))[: len(rows)])

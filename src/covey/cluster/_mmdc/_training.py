"""MMDC's training: an epoch of rotations, an epoch of targets, in turn."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from covey._torch import to_numpy
from covey.cluster._mmdc._pictures import Pictures, Views
from covey.cluster._mmdc._targets import Targets
from covey.errors import ConvergenceError
from covey.nn import PictureNet
from covey.objectives import target_loss

_NEVER = math.nan


class EpochLosses(NamedTuple):
    """What an epoch tells; NaN where it has no such part.

    Attributes
    ----------
    cluster_loss : float
        Mean squared difference of outputs and targets.
    rotation_loss : float
        Cross-entropy of turns, in nats.
    moved : float
        Share of pictures that got another target.
    """

    cluster_loss: float
    rotation_loss: float
    moved: float


class Alternation:
    """All that changes during a training, and the two kinds of epochs that change it.

    Parameters
    ----------
    network : PictureNet
        On its device.
    optimizer : torch.optim.SGD
        Of its parameters.
    pictures : Pictures
        What is learnt from.
    views : Views
        What the network sees of them.
    targets : Targets or None
        None for rotations alone.
    generator : torch.Generator
        On the CPU; of all that is drawn while training.
    batch_size : int
        Pictures of a step.
    has_rotation : bool
        Whether rotations are learnt.
    """

    def __init__(
        self,
        network: PictureNet,
        optimizer: torch.optim.SGD,
        pictures: Pictures,
        views: Views,
        *,
        targets: Targets | None,
        generator: torch.Generator,
        batch_size: int,
        has_rotation: bool,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.pictures = pictures
        self.views = views
        self.targets = targets
        self.generator = generator
        self.batch_size = batch_size
        self.has_rotation = has_rotation
        self.history: list[EpochLosses] = []

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, of both kinds together."""
        n_batches = math.ceil(len(self.pictures) / self.batch_size)
        return n_batches * (self.has_rotation + (self.targets is not None))

    def run_epoch(self, learning_rate: float, *, is_refining: bool, after_step: Callable[[], None]) -> None:
        """Learn rotations from all pictures, then their targets.

        While refining, targets come from a k-means before the epoch and are not exchanged in it.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.network.train()
        rotation_loss = self._mean_loss(self._turn, after_step) if self.has_rotation else _NEVER
        cluster_loss, moved = _NEVER, [_NEVER]
        if (targets := self.targets) is not None:
            moved = [self._refine(targets)] if is_refining else []

            def approach(rows: Tensor, x: Tensor) -> Tensor:
                if not is_refining:
                    moved.append(targets.assign(rows, self._encode(x)))
                outputs = self.network(self.views.augmented(x, self.generator))
                return target_loss(outputs, targets.take(rows).to(outputs.device))

            cluster_loss = self._mean_loss(approach, after_step)
        self.history.append(EpochLosses(cluster_loss, rotation_loss, float(np.mean(moved))))

    def _mean_loss(self, loss_of: Callable[[Tensor, Tensor], Tensor], after_step: Callable[[], None]) -> float:
        """Make a step for each batch; return the mean loss."""
        losses = []
        n_batches = math.ceil(len(self.pictures) / self.batch_size)
        order = torch.randperm(len(self.pictures), generator=self.generator)
        for rows, x in self.pictures.batches(order.tensor_split(n_batches)):  # no batch is much smaller than others
            self.optimizer.zero_grad(set_to_none=True)
            loss = loss_of(rows, x)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                self._diverged()
            self.optimizer.step()
            after_step()
        return float(np.mean(losses))

    def _turn(self, rows: Tensor, x: Tensor) -> Tensor:
        """Return the loss of telling how far pictures were turned, all four turns in one batch."""
        turned, turns = self.views.turned(x, self.generator)
        return F.cross_entropy(self.network.rotation_logits(turned), turns)

    def _refine(self, targets: Targets) -> float:
        seed = int(torch.randint(2**31, (), generator=self.generator))
        batches = self.pictures.in_order(self.batch_size)
        outputs = torch.cat([self._encode(x) for _, x in batches])
        return targets.refine(outputs, seed)

    def _encode(self, x: Tensor) -> Tensor:
        """Return the outputs (b, d) for the anchor views, with the norms' running statistics, on the CPU."""
        self.network.eval()
        with torch.no_grad():
            outputs: Tensor = self.network(self.views.anchor(x)).cpu()
        self.network.train()
        if not outputs.isfinite().all():
            self._diverged()
        return outputs

    def _diverged(self) -> None:
        advice = "lower learning_rate" + ("" if self.has_rotation else " (the paper takes 0.01 without rotations)")
        raise ConvergenceError(f"The loss is no number any more in epoch {len(self.history) + 1}: {advice}.")

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


def sgd(network: PictureNet, *, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Make SGD that spares biases and norms from weight decay; its rate is set for each epoch."""
    parameters = [*network.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.0, momentum=momentum)

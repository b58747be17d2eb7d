"""TEMI's training step: teacher heads weigh the pairs, student heads learn from them, the teacher follows."""

import copy
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey._torch import to_numpy
from covey.cluster._training import kmeans_starts
from covey.nn import ClassPrior, StackedHeads, update_average
from covey.objectives import distilled_scan_loss, pair_weights, temi_loss
from covey.types import FloatArray, IntArray

Objective = Literal["temi", "wpmi", "pmi", "scan"]


_MOST_ENTRIES = 2**27  # probabilities (heads × rows × clusters) in work at a time: 0.5 GiB a tensor
_WEIGH_ROWS = 4096  # that a head sees at a time
_START_ROWS = 20_000  # of the k-means that heads begin with
_CPU_CHUNK = 4  # heads whose hidden layers (4 MiB each for 1,024 rows) stay in a CPU's cache: benchmarks/temi_speed.py


class Loss(NamedTuple):
    """Which member of the family is trained, and its numbers."""

    objective: Objective
    beta: float
    entropy_weight: float


class SelfDistillation:
    """Hold student and teacher heads in chunks, and compute the gradients of one step.

    Heads meet only in the weight of a pair, so each chunk is forwarded and differentiated on its own: memory is that
    of one chunk, and the result does not depend on the chunking.

    Parameters
    ----------
    students : list of StackedHeads
        Chunks of heads; the teachers start as copies.
    loss : Loss
        What to minimise.
    prior_momentum : float
        Momentum of the running class prior.
    """

    def __init__(
        self,
        students: list[StackedHeads],
        *,
        loss: Loss,
        prior_momentum: float,
    ) -> None:
        self.students = students
        self.teachers = [copy.deepcopy(student).requires_grad_(False) for student in students]
        self.loss = loss
        self.n_heads = sum(student.n_heads for student in students)
        self.priors = [
            ClassPrior(
                teacher.n_heads,
                teacher.last_weight.shape[1],
                momentum=prior_momentum,
                device=teacher.last_weight.device,
            )
            for teacher in self.teachers
        ]

    def backward(self, pairs: Tensor, teacher_pairs: Tensor | None = None) -> Tensor:
        """Add the gradients of a batch and return the loss of each head, shape (n_heads,), detached.

        `pairs` has shape (2 * batch, n_features): the samples, then a neighbour of each in the same order.
        `teacher_pairs` are the same pairs as a teacher's own backbone sees them.
        """
        teacher_pairs = pairs.detach() if teacher_pairs is None else teacher_pairs
        keeps = self._n_entries(pairs) <= _MOST_ENTRIES  # else teachers run twice rather than all be held
        targets: list[Tensor | None] = []
        log_priors, weights = [], []
        with torch.no_grad():
            for teacher, prior in zip(self.teachers, self.priors, strict=True):
                log_t = teacher(teacher_pairs)  # (h, 2B, C)
                log_priors.append(prior.update(log_t))
                weights.append(pair_weights(*log_t.chunk(2, dim=1)))
                targets.append(log_t if keeps else None)
            weight = torch.cat(weights)  # (H, B)
        losses = []
        start = 0
        for index, student in enumerate(self.students):
            target = targets[index]
            if target is None:
                with torch.no_grad():
                    target = self.teachers[index](teacher_pairs)
            own = weight[start : start + student.n_heads]
            start += student.n_heads
            head_losses = self._head_losses(student(pairs), target, log_priors[index], self._choose_weight(weight, own))
            (head_losses.sum() / self.n_heads).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            losses.append(head_losses.detach())
        return torch.cat(losses)

    def _n_entries(self, pairs: Tensor) -> int:
        """Count the probabilities of all heads in one step."""
        return len(pairs) * sum(prior.mean.numel() for prior in self.priors)

    def _choose_weight(self, weight: Tensor, own: Tensor) -> Tensor | float:
        """Return what multiplies the loss of a pair: eq. 10, eq. 9 or nothing."""
        match self.loss.objective:
            case "temi":
                return weight.mean(dim=0)  # (B,)
            case "wpmi":
                return own  # (h, B)
            case _:
                return 1.0

    def _head_losses(self, log_s: Tensor, log_t: Tensor, log_prior: Tensor, weight: Tensor | float) -> Tensor:
        """Return the symmetric loss (eq. 7) of each head, shape (h,)."""
        student_first, student_second = log_s.chunk(2, dim=1)
        teacher_first, teacher_second = log_t.chunk(2, dim=1)
        directions = ((student_first, teacher_second), (student_second, teacher_first))
        if self.loss.objective == "scan":
            losses = [distilled_scan_loss(s, t, entropy_weight=self.loss.entropy_weight) for s, t in directions]
        else:
            losses = [temi_loss(s, t, log_prior, weight, beta=self.loss.beta) for s, t in directions]
        return 0.5 * (losses[0].mean(dim=1) + losses[1].mean(dim=1))

    def forget_last_gradients(self) -> None:
        """Drop the last layers' gradients, so that the optimiser leaves them as they are."""
        for student in self.students:
            for parameter in student.last_layer:
                parameter.grad = None

    def update_teachers(self, momentum: float) -> None:
        """Let the teachers follow their students."""
        for teacher, student in zip(self.teachers, self.students, strict=True):
            update_average(teacher, student, momentum=momentum)


def chunk_heads(n_heads: int, n_entries: int, device: torch.device) -> list[int]:
    """Split heads of `n_entries` probabilities a step into chunks that fit in memory or, on a CPU, in cache."""
    size = max(1, min(_CPU_CHUNK if device.type == "cpu" else n_heads, _MOST_ENTRIES // n_entries))
    return [min(size, n_heads - start) for start in range(0, n_heads, size)]


def start_from_kmeans(students: list[StackedHeads], X: Tensor, n_clusters: int, generator: torch.Generator) -> None:
    """Give each head clusters to begin with: those of a short k-means with seeds of its own, on one draw of rows."""
    n_rows = min(len(X), max(_START_ROWS, 50 * n_clusters))
    rows = torch.randperm(len(X), generator=generator)[:n_rows].to(X.device)
    sample = X[rows].float()
    n_heads = [student.n_heads for student in students]
    labels = kmeans_starts(sample, n_clusters, torch.randint(2**31, (sum(n_heads),), generator=generator).tolist())
    for student, part in zip(students, torch.split(labels, n_heads), strict=True):
        student.start_from(sample, part)


def pick_head(chunks: list[StackedHeads], head: int) -> StackedHeads:
    """Copy one head out of all chunks, in float64 on the CPU."""
    for chunk in chunks:
        if head < chunk.n_heads:
            return chunk.single(head).double()
        head -= chunk.n_heads
    raise IndexError("There are fewer heads.")


@torch.no_grad()
def weigh_pairs(teachers: list[StackedHeads], X: Tensor, partners: IntArray) -> FloatArray:
    """Average over heads how likely each row of X (n, d) shares a cluster with each of its partners (n, k)."""
    weights = torch.zeros(partners.shape)
    n_heads = sum(chunk.n_heads for chunk in teachers)
    for head in range(n_heads):
        single = pick_head(teachers, head)
        p = torch.cat([single(X[rows])[0].exp().float() for rows in iter_chunks(len(X), _WEIGH_ROWS)])  # (n, C)
        for column, others in enumerate(torch.from_numpy(np.asarray(partners, dtype=np.int64)).T):
            weights[:, column] += (p * p[others]).sum(dim=1) / n_heads
    return to_numpy(weights)

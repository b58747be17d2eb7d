"""TEMI: clustering heads that learn from pairs of nearest neighbors [1]_.

Its equations are the functions of `covey.objectives.temi`; here are the estimator, its training and published settings.

.. [1] Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained Models", BMVC 2023,
   arXiv:2303.17896.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, get_args

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from covey._arrays import iter_chunks
from covey._torch import matmul_dtype, resolve_device, to_numpy, to_tensor
from covey.cluster._base import NeighborClusterer, check_n_clusters, predict_features
from covey.cluster._heads import StackClusterer
from covey.cluster._parameters import choice, flag, free, integer, parameters, real
from covey.cluster._temi_beta import BETAS, BetaSweep, select_beta
from covey.cluster._training import (
    Precision,
    TrainingLength,
    adamw,
    iter_batches,
    kmeans_starts,
    make_generators,
    partner_table,
    stalls,
    train,
)
from covey.nn import FeatureScaling, Schedule, StackedHeads, learning_rate_schedule, update_average
from covey.objectives import (
    distilled_scan_loss,
    pair_weights,
    symmetric_loss,
    temi_loss,
    update_class_prior,
)
from covey.types import FloatArray, IntArray, NeighborGraph, Progress

Objective = Literal["temi", "wpmi", "pmi", "scan"]
Start = Literal["kmeans", "random"]

_SWEEP_HEADS = 4
_MOST_ENTRIES = 2**27  # probabilities (heads x rows x clusters) in memory at a time: 0.5 GiB a tensor
_WEIGH_ROWS = 4096  # rows that a head is given at a time
_START_ROWS = 20_000  # rows of the k-means that heads start from
_CPU_CHUNK = 4  # heads whose hidden layers (4 MiB each for 1,024 rows) stay in a CPU's cache: benchmarks/temi_speed.py

_PAPER: Final = {  # section 4.1, table 10 and supplement C
    "n_heads": 50,
    "objective": "temi",
    "beta": 0.6,
    "n_neighbors": 50,
    "include_self": False,
    "standardize": True,  # "we standardize the features of all models"
    "n_components": None,
    "init": "random",
    "n_epochs": 200,
    "batch_size": 512,
    "learning_rate": 1e-4,  # "base learning rate", for 256 rows
    "weight_decay": 1e-4,
    "warmup": 0.1,  # 20 of 200 epochs
    "schedule": "constant",
    "temperature": 0.1,
    "teacher_momentum": 0.996,
    "prior_momentum": 0.9,  # authors' code; the paper gives none
    "hidden_size": 512,  # authors' code; the paper says "three-layer"
    "bottleneck_size": 256,
    "weight_norm": True,
    "frozen_last_layer": 0.0,
}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "fast": {},  # the constructor's defaults
        "paper": _PAPER,
        "paper-imagenet": _PAPER | {"n_neighbors": 25, "batch_size": 1024, "warmup": 0.05},  # section 4.1, table 10
        "paper-cifar20": _PAPER | {"beta": 0.55},  # table 10
        "paper-stl10": _PAPER | {"n_epochs": 800, "warmup": 0.025},  # table 10: 20 of 800 epochs
        # The README's CIFAR-10 command at c6a81a6: no --embed_norm; epoch 0 trains without the last layer.
        "official-code": _PAPER
        | {
            "n_heads": 16,
            "standardize": False,
            "n_epochs": 100,
            "batch_size": 1024,
            "warmup": 0.2,  # 20 of 100 epochs
            "frozen_last_layer": 0.01,
        },
        # As "official-code" where n > 80,000: there the code's mask misses the diagonal, so a row is its own neighbor.
        "official-code-imagenet": _PAPER
        | {
            "n_neighbors": 25,
            "include_self": True,
            "batch_size": 1024,
            "warmup": 0.05,
            "frozen_last_layer": 0.005,
        },
        # The README's over-clustering command, with the paper's beta; meant for n_clusters=25_000 on ImageNet.
        "overclustering": _PAPER
        | {
            "n_heads": 16,
            "beta": 1.0,
            "n_neighbors": 25,
            "include_self": True,
            "n_epochs": 100,
            "batch_size": 128,
            "warmup": 0.2,
            "frozen_last_layer": 0.01,
        },
    }
)
"""Keywords of the constructor by the name of their source."""


@parameters
class TEMI(StackClusterer, NeighborClusterer):
    """Cluster features by training an ensemble of heads on nearest-neighbor pairs.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters, C.
    n_heads : int, default=16
        Number of heads, H; the one with the lowest training loss is kept.
    objective : {"temi", "wpmi", "pmi", "scan"}, default="temi"
        Pairs weighted by all heads, by each head itself, not at all; or SCAN's loss in the same frame.
    beta : float in (0.5, 1] or "auto", default=0.6
        Exponent β. Closer to 0.5 clusters become more balanced and predictions less sure; 1 is for many more clusters
        than classes, some of which may stay empty. ``"auto"`` lets `select_beta` choose, which trains seven times with
        a few heads.
    entropy_weight : float, default=4.0
        Weight λ of the entropy term of ``objective="scan"``; ignored otherwise.
    n_neighbors : int, default=50
        Neighbors of a row from which its partner is drawn. At most as many as a cluster has rows on average.
    include_self : bool, default=False
        Whether a row may be its own partner, in place of its last neighbor.
    standardize : bool, default=True
        Whether features are z-scored with the training set's mean and standard deviation.
    n_components : int or None, default=128
        Principal axes that the heads see; None for the features themselves.
    init : {"kmeans", "random"}, default="kmeans"
        Start of the heads: the clusters of a short k-means of its own, as directions of the last layer; or at random.
    n_steps : int, default=150
        Length of the training in steps.
    n_epochs : int or None, default=None
        Length in passes over the data; if given, `n_steps` is ignored.
    tol : float or None, default=None
        The training ends early once a tenth of its length has lowered the mean loss of the heads by less than this, in
        nats. None for never.
    batch_size : int, default=512
        Rows of a step, each with a neighbor; at most n_samples.
    learning_rate : float, default=0.001
        Learning rate of AdamW for 256 rows; it grows in proportion to the batch.
    weight_decay : float, default=0.0001
        Weight decay of AdamW; biases have none.
    warmup : float in [0, 1], default=0.1
        Share of the training in which the learning rate rises.
    schedule : {"constant", "cosine"}, default="constant"
        Learning rate after the warm-up.
    temperature : float, default=0.1
        Temperature τ of the softmax.
    teacher_momentum : float in [0, 1], default=0.98
        Share of the teacher that stays at a step.
    prior_momentum : float in [0, 1], default=0.9
        Share of the running class prior that stays at a step.
    hidden_size : int, default=512
        Width of the heads' first inner layer.
    bottleneck_size : int, default=256
        Width of the heads' second inner layer.
    weight_norm : bool, default=True
        Whether the rows of the last layer have unit length up to a learned factor.
    frozen_last_layer : float in [0, 1], default=0.0
        Share of the training, from its start, in which the last layer is not trained.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the matrix products in training; weights and losses are float32, predictions float64.
    device : str, default="auto"
        See the glossary.
    random_state : int, RandomState, Generator or None, default=None
        See the glossary.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int64
        The most probable cluster of each training row.
    probabilities_ : ndarray of shape (n_samples, n_clusters), dtype float32, or None
        Rows sum to 1. None where it would take more than 2 GiB: ask `predict_proba` for the rows you need.
    best_head_ : int
        The head with the lowest loss.
    head_losses_ : ndarray of shape (n_heads,), dtype float32
        Mean training loss over the last tenth of the training, in nats.
    loss_history_ : ndarray of shape (n_epochs, n_heads), dtype float32
        Mean training loss of each pass, in nats.
    beta_ : float
        The β of the training.
    beta_sweep_ : BetaSweep or None
        Result of `select_beta` for ``beta="auto"``; also in `diagnostics_`.
    n_steps_ : int
        Steps that were made; fewer than `n_steps` if `tol` ended the training.
    diagnostics_ : dict
        See the glossary; with ``beta``, and ``beta_sweep`` if there was one.

    See Also
    --------
    covey.cluster.KMeans : Faster, without training; assumes round clusters.

    Notes
    -----
    The method is that of Adaloglou et al., section 3; the default settings need a small part of its work (`PRESETS` has
    the paper's). A step costs about 7 · batch_size · n_heads · (d h + h b + b C) multiplications, h and b being the
    inner widths.

    Departs from the paper: rows and their neighbors come from one random draw on the device.
    Departs from the authors' code: the losses are in log space; a row is never its own neighbor unless asked for;
    constant dimensions do not become infinite; a batch larger than the data is cut to the data.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.cluster import TEMI
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(center, 0.1, (40, 4)) for center in (-1, 1)])
    >>> labels = TEMI(n_clusters=2, n_heads=2, n_steps=60, random_state=0).fit_predict(X)
    >>> len(set(labels[:40])), len(set(labels[40:])), labels[0] != labels[40]
    (1, 1, np.True_)
    """

    n_clusters: int = integer(10)
    _: KW_ONLY
    n_heads: int = integer(16)
    objective: Objective = choice("temi", of=get_args(Objective))
    beta: float | Literal["auto"] = real(0.6, above=0.5, high=1.0, words=("auto",))
    entropy_weight: float = real(4.0)
    n_neighbors: int = integer(50)
    include_self: bool = flag(False)
    standardize: bool = flag(True)
    n_components: int | None = integer(128, optional=True)
    init: Start = choice("kmeans", of=get_args(Start))
    n_steps: int = integer(150)
    n_epochs: int | None = integer(None, optional=True)
    tol: float | None = real(None, optional=True)
    batch_size: int = integer(512)
    learning_rate: float = real(1e-3, above=0.0)
    weight_decay: float = real(1e-4)
    warmup: float = real(0.1, high=1.0)
    schedule: Schedule = choice("constant", of=get_args(Schedule))
    temperature: float = real(0.1, above=0.0)
    teacher_momentum: float = real(0.98, high=1.0)
    prior_momentum: float = real(0.9, high=1.0)
    hidden_size: int = integer(512)
    bottleneck_size: int = integer(256)
    weight_norm: bool = flag(True)
    frozen_last_layer: float = real(0.0, high=1.0)
    precision: Precision = choice("auto", of=get_args(Precision))
    device: str = free("auto")
    random_state: Any = free(None)

    presets: ClassVar = PRESETS
    _if_collapsed: ClassVar = "Train longer (n_steps), lower beta towards 0.5, or ask for fewer clusters."

    def _fit(self, X: FloatArray, *, neighbors: NeighborGraph | None, progress: Progress | None) -> None:
        n_clusters, device = check_n_clusters(self.n_clusters, len(X)), resolve_device(self.device)
        # 1. Choose β (section 4.2), if it is not given.
        sweep = self._sweep(X, neighbors) if self.beta == "auto" else None
        beta = float(self.beta) if sweep is None else sweep.beta
        # 2. Find the neighbors that make a pair with each row, in the features as they came: (n, k).
        n_neighbors = min(self.n_neighbors, max(1, len(X) // n_clusters))
        partners = partner_table(X, neighbors, n_neighbors, include_self=self.include_self, device=self.device)
        # 3. Scale the rows, and train students and teachers on them: losses (n_epochs, n_heads).
        rows = to_tensor(X, device)
        scaling = FeatureScaling.fit(rows, n_components=self.n_components, standardize=self.standardize)
        teachers, history, n_made = self._train(scaling(rows), to_tensor(partners, device), beta, progress)
        # 4. Keep the teacher head with the lowest late loss; it labels the rows.
        self.n_steps_, self.beta_, self.beta_sweep_ = n_made, beta, sweep
        self._choose_head(history)
        self._teachers = [teacher.cpu() for teacher in teachers]
        further: dict[str, Any] = {"beta": beta} if sweep is None else {"beta": beta, "beta_sweep": sweep.to_dict()}
        self._keep_head(X, scaling, pick_head(self._teachers, self.best_head_), **further)

    def weigh_pairs(self, X: Any, partners: IntArray) -> FloatArray:
        """Compute how likely rows share a cluster, according to all teacher heads.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features from the same backbone.
        partners : ndarray of shape (n, k), dtype int64
            Rows of `X` that make a pair with each row, e.g. its neighbors.

        Returns
        -------
        weights : ndarray of shape (n, k), dtype float32
            Eq. 10's weight in [0, 1]: 1/H Σ_j Σ_c q_j(c|x) q_j(c|x').

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `partners` has other rows than `X`, or names a row that `X` does not have.
        """
        X = predict_features(self, X)
        _check_partners(partners, len(X))
        return weigh_pairs(self._teachers, self._scale(to_tensor(X, torch.device("cpu"))), partners)

    def _sweep(self, X: FloatArray, neighbors: NeighborGraph | None) -> BetaSweep:
        """Choose β by trainings with fewer heads."""
        few_heads = clone(self).set_params(beta=BETAS[-1], n_heads=min(self.n_heads, _SWEEP_HEADS))
        return select_beta(X, few_heads, neighbors=neighbors)

    def _train(
        self, X: Tensor, partners: Tensor, beta: float, progress: Progress | None
    ) -> tuple[list[StackedHeads], Tensor, int]:
        """Train on scaled rows X; return the teachers, in chunks, the losses (n_epochs, n_heads) and the steps made."""
        device, dtype = X.device, matmul_dtype(X.device, self.precision)
        X = X.to(dtype)
        length = TrainingLength.of(len(X), self.batch_size, self.n_steps, self.n_epochs)
        weight_generator, generator = make_generators(self.random_state, device)
        students = self._make_students(X, length.batch_size, weight_generator)
        if self.init == "kmeans":
            start_from_kmeans(students, X, self.n_clusters, weight_generator)
        distillation = SelfDistillation(
            students, loss=Loss(self.objective, beta, self.entropy_weight), prior_momentum=self.prior_momentum
        )

        def backward(rows: Tensor, step: int) -> Tensor:
            # A neighbor of each row, drawn anew; the pairs (2 * batch, d).
            drawn = torch.randint(partners.shape[1], (len(rows),), generator=generator, device=device)
            losses = distillation.backward(X[torch.cat([rows, partners[rows, drawn]])])
            if step < self.frozen_last_layer * length.n_steps:
                distillation.drop_last_gradients()
            return losses

        peak = self.learning_rate * length.batch_size / 256
        history, n_made = train(
            backward,
            iter_batches(len(X), length.batch_size, generator=generator),
            adamw(distillation.students, weight_decay=self.weight_decay),
            n_steps=length.n_steps,
            steps_per_epoch=length.steps_per_epoch,
            rate_at=learning_rate_schedule(peak, length.n_steps, warmup=self.warmup, decay=self.schedule),
            after_step=lambda: distillation.update_teachers(self.teacher_momentum),
            stop=stalls(self.tol, n_steps=length.n_steps, steps_per_epoch=length.steps_per_epoch),
            progress=progress,
        )
        return distillation.teachers, history, n_made

    def _make_students(self, X: Tensor, batch_size: int, generator: torch.Generator) -> list[StackedHeads]:
        """Draw the heads for rows X (n, d), in chunks that fit in memory."""
        return [
            StackedHeads(
                n_heads,
                X.shape[1],
                self.n_clusters,
                hidden_size=self.hidden_size,
                bottleneck_size=self.bottleneck_size,
                temperature=self.temperature,
                weight_norm=self.weight_norm,
                generator=generator,
                compute_dtype=X.dtype,
            ).to(X.device)
            for n_heads in chunk_heads(self.n_heads, 2 * batch_size * self.n_clusters, X.device)
        ]


class Loss:
    """The member of the family that is trained: its loss, and what weighs a pair.

    Parameters
    ----------
    objective : {"temi", "wpmi", "pmi", "scan"}
        Which.
    beta : float
        Exponent β of TEMI's family.
    entropy_weight : float
        Weight λ of SCAN.
    """

    def __init__(self, objective: Objective, beta: float, entropy_weight: float) -> None:
        self.objective = objective
        self.beta = beta
        self.entropy_weight = entropy_weight

    def weight(self, all_weights: Tensor, own: Tensor) -> Tensor | float:
        """Return what multiplies the loss of a pair, from the weights (eq. 9) of all heads (H, batch) and its own."""
        if self.objective == "temi":
            return all_weights.mean(dim=0)  # eq. 10: (batch,)
        return own if self.objective == "wpmi" else 1.0

    def __call__(self, log_student: Tensor, log_teacher: Tensor, log_prior: Tensor, weight: Tensor | float) -> Tensor:
        """Return the symmetric loss (eq. 7) of each head, (h,), for log-probabilities (h, 2 * batch, n_clusters)."""
        loss: Callable[[Tensor, Tensor], Tensor]
        if self.objective == "scan":
            loss = partial(distilled_scan_loss, entropy_weight=self.entropy_weight)
        else:
            loss = partial(temi_loss, log_prior=log_prior, weight=weight, beta=self.beta)
        return symmetric_loss(loss, log_student, log_teacher)


class ClassPrior:
    """Keep the running mean of predicted class probabilities for each head.

    Parameters
    ----------
    n_heads, n_clusters : int
        Its shape.
    momentum : float in [0, 1]
        Share m of the old mean that stays at an update.
    device : torch.device
        Where it is kept.

    Attributes
    ----------
    mean : Tensor of shape (n_heads, n_clusters), dtype float32
        Starts at 1 / n_clusters; a row sums to 1.
    """

    def __init__(self, n_heads: int, n_clusters: int, *, momentum: float, device: torch.device) -> None:
        self.momentum = momentum
        self.mean = torch.full((n_heads, n_clusters), 1 / n_clusters, device=device)

    def update(self, log_p: Tensor) -> Tensor:
        """Add a batch of log-probabilities (n_heads, batch, n_clusters); return the log of the new mean.

        It is finite: a class that is never predicted is taken at the smallest normal number.
        """
        self.mean = update_class_prior(self.mean, log_p, momentum=self.momentum)  # eq. 6
        return self.mean.clamp(min=torch.finfo(self.mean.dtype).tiny).log()


class SelfDistillation:
    """Hold student and teacher heads in chunks, and compute the gradients of one step.

    Heads meet only in the weight of a pair, so each chunk is forwarded and differentiated on its own: memory is that
    of one chunk, and the result does not depend on the chunking.

    Parameters
    ----------
    students : list of StackedHeads
        Chunks of heads; the teachers start as copies.
    loss : Loss
        What to minimize.
    prior_momentum : float
        Momentum of the running class prior.
    """

    def __init__(self, students: list[StackedHeads], *, loss: Loss, prior_momentum: float) -> None:
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

        `pairs` has shape (2 * batch, n_features): the samples, then a neighbor of each in the same order.
        `teacher_pairs` are the same pairs as a teacher's own backbone sees them.
        """
        teacher_pairs = pairs.detach() if teacher_pairs is None else teacher_pairs
        # 1. The teachers predict, update the prior (eq. 6), and weigh the pairs (eq. 9): (H, batch).
        keeps = self._n_entries(pairs) <= _MOST_ENTRIES  # else teachers run twice rather than all be held
        targets: list[Tensor | None] = []
        log_priors, weights = [], []
        with torch.no_grad():
            for teacher, prior in zip(self.teachers, self.priors, strict=True):
                log_t = teacher(teacher_pairs)  # (h, 2 * batch, n_clusters)
                log_priors.append(prior.update(log_t))  # (h, n_clusters)
                weights.append(pair_weights(*log_t.chunk(2, dim=1)))  # (h, batch)
                targets.append(log_t if keeps else None)
            weight = torch.cat(weights)
        # 2. The students predict; their loss (eqs. 7, 8, 10), averaged over heads, is differentiated.
        losses = []
        start = 0
        for index, student in enumerate(self.students):
            target = targets[index]
            if target is None:
                with torch.no_grad():
                    target = self.teachers[index](teacher_pairs)
            own = weight[start : start + student.n_heads]
            start += student.n_heads
            head_losses = self.loss(student(pairs), target, log_priors[index], self.loss.weight(weight, own))  # (h,)
            (head_losses.sum() / self.n_heads).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            losses.append(head_losses.detach())
        return torch.cat(losses)

    def _n_entries(self, pairs: Tensor) -> int:
        """Count the probabilities of all heads in one step."""
        return len(pairs) * sum(prior.mean.numel() for prior in self.priors)

    def drop_last_gradients(self) -> None:
        """Drop the last layers' gradients, so that the optimizer leaves them as they are."""
        for student in self.students:
            for parameter in student.last_layer:
                parameter.grad = None

    def update_teachers(self, momentum: float) -> None:
        """Move the teachers towards their students: θ_t ← m θ_t + (1 - m) θ_s, section 3.2."""
        for teacher, student in zip(self.teachers, self.students, strict=True):
            update_average(teacher, student, momentum=momentum)


def chunk_heads(n_heads: int, n_entries: int, device: torch.device) -> list[int]:
    """Split heads of `n_entries` probabilities a step into chunks that fit in memory or, on a CPU, in cache."""
    size = max(1, min(_CPU_CHUNK if device.type == "cpu" else n_heads, _MOST_ENTRIES // n_entries))
    return [min(size, n_heads - start) for start in range(0, n_heads, size)]


def start_from_kmeans(students: list[StackedHeads], X: Tensor, n_clusters: int, generator: torch.Generator) -> None:
    """Start each head from the clusters of a short k-means with seeds of its own, on one draw of rows."""
    n_rows = min(len(X), max(_START_ROWS, 50 * n_clusters))
    rows = torch.randperm(len(X), generator=generator)[:n_rows].to(X.device)
    sample = X[rows].float()
    n_heads = [student.n_heads for student in students]
    labels = kmeans_starts(sample, n_clusters, torch.randint(2**31, (sum(n_heads),), generator=generator).tolist())
    for student, part in zip(students, torch.split(labels, n_heads), strict=True):
        student.start_from(sample, part)  # labels (h, rows) of the chunk's heads


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
    columns = torch.from_numpy(np.asarray(partners, dtype=np.int64)).T
    for head in range(n_heads):
        single = pick_head(teachers, head)
        log_p = torch.cat([single(X[rows])[0].float() for rows in iter_chunks(len(X), _WEIGH_ROWS)])  # (n, n_clusters)
        for column, others in enumerate(columns):
            weights[:, column] += pair_weights(log_p, log_p[others]) / n_heads  # eqs. 9 and 10
    return to_numpy(weights)


def _check_partners(partners: Any, n_rows: int) -> None:
    """Raise unless partners are row numbers (n_rows, k) below `n_rows`."""
    array = np.asarray(partners)
    if array.ndim != 2 or len(array) != n_rows or array.dtype.kind not in "iu":
        raise ValueError(
            f"partners has shape {array.shape} and dtype {array.dtype}; it must hold row numbers, ({n_rows}, k)."
        )
    if array.size and (array.min() < 0 or array.max() >= n_rows):
        raise ValueError(f"partners names rows {array.min()} to {array.max()}; X has rows 0 to {n_rows - 1}.")

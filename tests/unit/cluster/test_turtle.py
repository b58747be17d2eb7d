"""TURTLE on small data: its two levels, its spaces, and the choice of settings without labels."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from covey.cluster import TURTLE
from covey.cluster._turtle import (
    LinearSpaces,
    TaskEncoder,
    add_task_gradients,
    fit_classifiers,
    generalization,
    select_turtle,
)
from covey.metrics import adjusted_rand_score
from covey.objectives import classifier_loss

SHORT = {"n_steps": 30, "device": "cpu"}


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(300, n_features=12, centers=3, cluster_std=1.0, random_state=3)
    return X.astype(np.float32), y


@pytest.fixture
def levels() -> tuple[torch.Tensor, TaskEncoder, LinearSpaces]:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(7, 5, generator=generator)
    return (
        rows,
        TaskEncoder([3, 2], 4, n_heads=2, generator=generator),
        LinearSpaces([3, 2], 4, n_heads=2, generator=generator),
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"classifier_init": "random", "n_inner_steps": 8},
        {"classifier_init": "last"},
        {"n_heads": 1},
        {"standardize": False},
        {"spaces": [5, 7]},
        {"batch_size": 99},
    ],
)
def test_finds_blobs(blobs: tuple[np.ndarray, np.ndarray], change: dict[str, object]) -> None:
    model = TURTLE(3, **{**SHORT, **change}, random_state=0).fit(blobs[0])
    assert adjusted_rand_score(blobs[1], model.labels_) > 0.95


def test_labels_are_the_mean_over_spaces(levels: tuple[torch.Tensor, TaskEncoder, LinearSpaces]) -> None:
    rows, encoder, _ = levels
    for head in range(2):
        first = (rows[:, :3] @ encoder.weights[0][:, head] + encoder.biases[0][head]).softmax(dim=1)
        second = (rows[:, 3:] @ encoder.weights[1][:, head] + encoder.biases[1][head]).softmax(dim=1)
        torch.testing.assert_close(encoder(rows)[head].exp(), (first + second) / 2)
        torch.testing.assert_close(encoder.single(head)(rows)[0], encoder(rows)[head])


def test_outer_loss_is_its_equation(levels: tuple[torch.Tensor, TaskEncoder, LinearSpaces]) -> None:
    rows, encoder, classifiers = levels
    found = add_task_gradients(encoder, classifiers, rows, entropy_weight=3.0)
    losses, balances = torch.zeros(2), torch.zeros(2)
    for head in range(2):
        tau = encoder(rows)[head].exp().detach()
        for k in range(2):
            log_q = classifiers(rows)[k, head].log_softmax(dim=1).detach()
            for i in range(7):
                for c in range(4):
                    losses[head] -= tau[i, c] * log_q[i, c] / 7
        balances[head] = -(tau.mean(dim=0) * tau.mean(dim=0).log()).sum()
    torch.testing.assert_close(found, torch.stack([losses, balances]))
    given = encoder.weights[0].grad.clone()
    encoder.zero_grad()
    constant, means = classifiers(rows).detach(), encoder(rows).exp().mean(dim=1)
    (classifier_loss(constant, encoder(rows).exp()).sum() + 3 * (means * means.log()).sum()).backward()
    torch.testing.assert_close(given, encoder.weights[0].grad)
    assert classifiers.weights[0].grad is None


def test_classifiers_learn_the_labels(levels: tuple[torch.Tensor, TaskEncoder, LinearSpaces]) -> None:
    rows, encoder, classifiers = levels
    labels = encoder(rows).detach().exp()
    before = classifier_loss(classifiers(rows), labels)  # of two heads
    fit_classifiers(classifiers, rows, labels, torch.optim.Adam(classifiers.parameters(), lr=0.1), n_steps=20)
    assert (classifier_loss(classifiers(rows), labels) < before).all()
    assert encoder.weights[0].grad is None


def test_a_space_is_its_columns_alone(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    """A space of noise beside a good one leaves the labels right, and both are needed to predict."""
    X, y = blobs
    noise = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    model = TURTLE(3, spaces=(12, 4), **SHORT, random_state=0).fit(np.hstack([X, noise]))
    assert adjusted_rand_score(y, model.labels_) > 0.95
    assert model.n_features_in_ == 16
    with pytest.raises(ValueError, match=r"spaces are \[12, 5\], 17 features in all, but X has 16"):
        model.set_params(spaces=(12, 5)).fit(np.hstack([X, noise]))


def test_history_and_diagnostics(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    calls = []
    model = TURTLE(3, **{**SHORT, "batch_size": 100}, random_state=0)
    model.fit(blobs[0], progress=lambda *call: calls.append(call))
    assert calls[-1] == ("train", 30, 30)
    assert model.loss_history_.shape == (10, 4)
    assert (model.loss_history_ >= -10 * np.log(3) - 1e-4).all()
    assert (model.loss_history_[-1] < model.loss_history_[0]).all()
    assert model.best_head_ == model.head_losses_.argmin()
    assert model.diagnostics_["balance"] <= np.log(3) + 1e-5
    late = model.diagnostics_["classifier_loss"] - 10 * model.diagnostics_["balance"]
    assert late == pytest.approx(model.loss_history_[-1, model.best_head_], abs=1e-5)


def test_without_the_entropy_it_collapses_and_says_so(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    """Eight clusters for three blobs: nothing keeps the needless ones, and such a candidate is never chosen."""
    start = TURTLE(8, **SHORT, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Raise entropy_weight"):
        found = select_turtle(blobs[0], start, [{"entropy_weight": 0.0}, {}])
    assert np.isnan(found.scores[0])
    assert found.best.entropy_weight == 10
    assert found.best.diagnostics_["n_empty_clusters"] == 0


def test_settings_are_chosen_by_generalization(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = blobs
    start = TURTLE(3, **SHORT, random_state=0)
    found = select_turtle(X, start, [{"n_steps": 2, "learning_rate": 1e-6, "n_heads": 1}, {}])
    assert found.best.n_steps == 30
    assert found.scores[1] > found.scores[0]
    assert found.scores[1] == generalization(X, found.best.labels_, random_state=0)
    assert adjusted_rand_score(y, found.best.labels_) > 0.95
    with pytest.raises(ValueError, match="None of 0 candidates"):
        select_turtle(X, start, [])


def test_generalization_knows_clusters_from_noise(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = blobs
    random = np.random.default_rng(0).integers(3, size=300)
    assert generalization(X, y, random_state=0) == 1
    assert generalization(X, random, random_state=0) < 0.5
    beside_noise = np.hstack([X, np.random.default_rng(1).normal(size=(300, 2))])
    assert 0.6 < generalization(beside_noise, y, spaces=[12, 2], random_state=0) < 0.75
    with pytest.raises(ValueError, match="one cluster only"):
        generalization(X, np.zeros(300, dtype=np.int64))
    with pytest.raises(ValueError, match="n_folds is 1"):
        generalization(X, y, n_folds=1)


def test_odd_rows_are_fine(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    X = np.hstack([blobs[0], np.ones((300, 2), dtype=np.float32)])  # constant columns
    assert np.isfinite(TURTLE(3, **SHORT, random_state=0).fit(X).probabilities_).all()
    few = np.random.default_rng(0).normal(size=(6, 40))
    assert np.isfinite(TURTLE(2, **SHORT, random_state=0).fit(few).probabilities_).all()
    with pytest.warns(ConvergenceWarning):
        assert len(set(TURTLE(3, **SHORT, random_state=0).fit(np.ones((20, 4))).labels_)) == 1


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("n_steps", 0, ValueError),
        ("n_inner_steps", 0, ValueError),
        ("batch_size", 1.5, TypeError),
        ("entropy_weight", -1.0, ValueError),
        ("learning_rate", 0.0, ValueError),
        ("inner_budget", -1.0, ValueError),
        ("classifier_init", "one", ValueError),
        ("n_heads", 0, ValueError),
        ("spaces", [0, 12], ValueError),
    ],
)
def test_wrong_parameters_are_named(
    blobs: tuple[np.ndarray, np.ndarray], name: str, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match=name):
        TURTLE(3, **{name: value}).fit(blobs[0])


@pytest.mark.parametrize("n_copies", [1, 8, 64])
def test_rates_do_not_depend_on_the_width_of_a_row(blobs: tuple[np.ndarray, np.ndarray], n_copies: int) -> None:
    """Columns that are there many times need no other settings."""
    model = TURTLE(3, **SHORT, random_state=0).fit(np.tile(blobs[0], (1, n_copies)))
    assert adjusted_rand_score(blobs[1], model.labels_) > 0.95


def test_a_step_changes_a_logit_by_the_rate_at_most(levels: tuple[torch.Tensor, TaskEncoder, LinearSpaces]) -> None:
    rows, _, classifiers = levels
    nat = 1 / float(rows.abs().sum(dim=1).mean())
    before = classifiers(rows).detach()
    labels = torch.eye(4)[torch.arange(7) % 4].expand(2, 7, 4)
    fit_classifiers(classifiers, rows, labels, torch.optim.Adam(classifiers.parameters(), lr=2 * nat), n_steps=1)
    change = (classifiers(rows) - before).abs().detach()
    for space, columns in enumerate(classifiers.columns):
        bound = 2 * nat * (rows[:, columns].abs().sum(dim=1) + 1)  # the bias changes too
        assert (change[space] <= bound[:, None] + 1e-5).all()
        assert change[space].max() > 0.3 * bound.max()


def test_heads_do_not_influence_one_another(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    three = TURTLE(3, **SHORT, n_heads=3, random_state=0).fit(blobs[0])
    one = TURTLE(3, **SHORT, n_heads=1, random_state=0).fit(blobs[0])
    np.testing.assert_allclose(three.loss_history_[:, :1], one.loss_history_, rtol=1e-3, atol=1e-3)

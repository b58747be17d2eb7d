"""SCP on small data: scikit-learn's contract, and what the method promises."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from covey.cluster import SCP
from covey.cluster._scp import PRESETS, LossWeights, PairSource, ViewAgreement, start_labels
from covey.errors import UnknownNameError
from covey.neighbors import nearest_neighbors
from covey.nn import ClusterMLP, ClusterMLPHeads
from covey.objectives import balance_entropy, confidence_loss, scp_loss, view_cross_entropy

SHORT = {"hidden_sizes": (32, 16), "n_steps": 200, "batch_size": 128, "device": "cpu"}


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(400, n_features=12, centers=4, cluster_std=1.0, random_state=3)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(blobs):
    return SCP(4, **SHORT, random_state=0).fit(blobs[0])


@pytest.fixture(scope="module")
def views(blobs):
    noise = np.random.default_rng(0).normal(0, 0.5, (400, 4, 12))
    return (blobs[0][:, None] + noise).astype(np.float32)


def test_finds_blobs_from_neighbors_and_says_so(blobs, fitted):
    assert adjusted_rand_score(blobs[1], fitted.labels_) > 0.95
    assert fitted.diagnostics_["pairs"] == "neighbors"


def test_finds_blobs_from_views_and_says_so(blobs, views):
    scp = SCP(4, **SHORT, random_state=0).fit(blobs[0], views=views)
    assert adjusted_rand_score(blobs[1], scp.labels_) > 0.95
    assert scp.diagnostics_["pairs"] == "views"


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": "log_of_mean"},
        {"balance_momentum": 0.9},
        {"scaling": "l2"},
        {"scaling": "none", "norm": "batch"},
        {"activation": "gelu"},
        {"precision": "bfloat16"},
    ],
)
def test_every_choice_finds_blobs(blobs, change):
    scp = SCP(4, **{**SHORT, **change}, random_state=0).fit(blobs[0])
    assert adjusted_rand_score(blobs[1], scp.labels_) > 0.9


def test_labels_to_begin_with_are_learned_first(head, blobs):
    pairs, targets = torch.from_numpy(blobs[0][:40]), torch.arange(20) % 4
    agreement = ViewAgreement(head, weights=LossWeights(entropy=1.0), confidence="mean_of_log", momentum=0.0)
    loss = agreement.backward(pairs, targets)
    log_p = head(pairs).log_softmax(-1)
    expected = -(log_p[torch.arange(20), targets].sum() + log_p[torch.arange(20, 40), targets].sum()) / 40
    torch.testing.assert_close(loss, expected.detach()[None])


def test_attributes(fitted):
    assert fitted.labels_.dtype == np.int64
    assert fitted.probabilities_.shape == (400, 4)
    assert fitted.probabilities_.dtype == np.float32
    np.testing.assert_allclose(fitted.probabilities_.sum(1), 1, rtol=1e-5)
    assert fitted.loss_history_.shape == (67, 8)  # 200 steps of 3 a pass
    assert (fitted.loss_history_[-1] < fitted.loss_history_[0]).all()
    late = fitted.loss_history_[-6:].mean(axis=0)
    np.testing.assert_allclose(fitted.head_losses_, late, rtol=1e-5)
    assert fitted.best_head_ == late.argmin()


def test_predict_says_what_fit_said_whatever_the_company(blobs, fitted):
    np.testing.assert_array_equal(fitted.predict(blobs[0]), fitted.labels_)
    np.testing.assert_array_equal(fitted.predict(blobs[0][::-7]), fitted.labels_[::-7])


def test_transform_gives_unit_rows_in_which_clusters_are_close(blobs, fitted):
    Z = fitted.transform(blobs[0])
    assert Z.shape == (400, 4)
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(Z.argmax(1), fitted.labels_)
    hits = nearest_neighbors(Z, n_neighbors=20).indices
    assert (blobs[1][hits] == blobs[1][:, None]).mean() > 0.95


def test_the_same_seed_gives_the_same_and_global_generators_stay(blobs, fitted):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = SCP(4, **SHORT, random_state=0).fit(blobs[0])
    np.testing.assert_array_equal(again.probabilities_, fitted.probabilities_)
    assert torch.equal(before, torch.get_rng_state())


def test_pickled_and_loaded_it_predicts_the_same(blobs, fitted):
    loaded = pickle.loads(pickle.dumps(fitted))  # noqa: S301, made one line above
    np.testing.assert_array_equal(loaded.predict(blobs[0]), fitted.labels_)


def test_a_pair_is_two_views_of_one_row(views):
    bank = torch.from_numpy(views)
    source = PairSource(bank, None, torch.Generator().manual_seed(0))
    rows = torch.arange(400)
    first, second = source.draw(rows).chunk(2)
    from_bank = [(part[:, None] == bank).all(-1).float().argmax(1) for part in (first, second)]
    for part, index in zip((first, second), from_bank, strict=True):
        torch.testing.assert_close(part, bank[rows, index])
    assert (from_bank[0] != from_bank[1]).all()
    assert len(from_bank[0].unique()) == len(from_bank[1].unique()) == 4


def test_a_pair_without_views_is_a_row_and_a_neighbor(blobs):
    X = torch.from_numpy(blobs[0])
    partners = torch.from_numpy(nearest_neighbors(blobs[0], n_neighbors=3).indices)
    rows = torch.arange(400)
    first, second = PairSource(X, partners, torch.Generator().manual_seed(0)).draw(rows).chunk(2)
    torch.testing.assert_close(first, X)
    assert (second[:, None] == X[partners]).all(-1).any(1).all()


@pytest.fixture
def head():
    return ClusterMLP(12, (8,), 4, activation="relu", norm="none", generator=torch.Generator().manual_seed(0))


def test_a_step_has_the_gradient_of_the_loss(head, blobs):
    pairs = torch.from_numpy(blobs[0][:40])
    reported = ViewAgreement(head, weights=LossWeights(entropy=2.0), confidence="log_of_mean", momentum=0.0).backward(
        pairs
    )
    found = [p.grad.clone() for p in head.parameters()]
    head.zero_grad()
    loss = scp_loss(*head(pairs).log_softmax(-1).chunk(2), alpha=2.0, reading="log_of_mean")
    loss.backward()
    torch.testing.assert_close(reported, loss.detach()[None])
    for gradient, parameter in zip(found, head.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("left_out", ["cross_entropy", "confidence", "entropy"])
def test_a_term_without_weight_is_left_out(head, blobs, left_out):
    pairs = torch.from_numpy(blobs[0][:40])
    first, second = head(pairs).log_softmax(-1).detach().chunk(2)
    terms = {
        "cross_entropy": view_cross_entropy(first, second),
        "confidence": confidence_loss(first, second),
        "entropy": -balance_entropy(first.exp().mean(0).log(), second.exp().mean(0).log()),
    }
    weights = LossWeights(2.0, 3.0, 5.0)
    total = sum(weight * term for weight, term in zip(weights, terms.values(), strict=True))
    rest = weights._replace(**{left_out: 0.0})
    loss = ViewAgreement(head, weights=rest, confidence="mean_of_log", momentum=0.0).backward(pairs)
    torch.testing.assert_close(loss[0], total - getattr(weights, left_out) * terms[left_out])


def test_a_running_mean_of_one_batch_is_that_of_the_batch(head, blobs):
    pairs = torch.from_numpy(blobs[0][:40])
    gradients = []
    for momentum in (0.0, 0.9):
        head.zero_grad()
        agreement = ViewAgreement(head, weights=LossWeights(entropy=2.0), confidence="mean_of_log", momentum=momentum)
        agreement.backward(pairs)
        gradients.append([p.grad.clone() for p in head.parameters()])
    for plain, running in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, running)


def test_a_running_mean_remembers(head, blobs):
    agreement = ViewAgreement(head, weights=LossWeights(entropy=1.0), confidence="mean_of_log", momentum=0.9)
    first = agreement.backward(torch.from_numpy(blobs[0][:40]))
    agreement.backward(torch.from_numpy(blobs[0][40:80]))
    assert not torch.allclose(agreement.backward(torch.from_numpy(blobs[0][:40])), first)


def test_without_the_entropy_term_it_collapses_and_says_so(blobs):
    with pytest.warns(ConvergenceWarning, match="clusters are empty.*Raise alpha"):
        scp = SCP(4, **SHORT, alpha=0.0, init="random", random_state=0).fit(blobs[0])
    assert scp.diagnostics_["n_empty_clusters"] > 0


@pytest.mark.parametrize("shape", [(400, 12), (399, 2, 12), (400, 2, 11), (400, 1, 12)])
def test_views_of_another_shape_are_refused(blobs, shape):
    with pytest.raises(ValueError, match="views has shape"):
        SCP(4, **SHORT).fit(blobs[0], views=np.zeros(shape))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scaling": "minmax"}, "scaling is 'minmax'"),
        ({"confidence": "sum"}, "confidence is 'sum'"),
        ({"alpha": -1}, "alpha is -1"),
        ({"hidden_sizes": (8, 0)}, "A hidden size is 0"),
        ({"norm": "group"}, "norm is 'group'"),
        ({"balance_momentum": 2}, "balance_momentum is 2"),
    ],
)
def test_what_is_out_of_range_is_named(blobs, change, message):
    with pytest.raises(ValueError, match=message):
        SCP(4, **{**SHORT, **change}).fit(blobs[0])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_the_signature(name):
    assert SCP.from_preset(name, n_clusters=7).get_params().items() >= PRESETS[name].items()


def test_an_unknown_preset_is_named():
    with pytest.raises(UnknownNameError, match="There are: paper-cifar10"):
        SCP.from_preset("paper")


def test_several_heads_have_the_loss_of_each_and_the_gradient_of_their_sum(blobs):
    generator = torch.Generator().manual_seed(0)
    heads = ClusterMLPHeads(12, (8,), 4, n_heads=3, activation="relu", norm="none", generator=generator)
    pairs = torch.from_numpy(blobs[0][:40])
    agreement = ViewAgreement(heads, weights=LossWeights(entropy=2.0), confidence="mean_of_log", momentum=0.0)
    reported = agreement.backward(pairs)
    found = [p.grad.clone() for p in heads.parameters()]
    heads.zero_grad()
    losses = [scp_loss(*z.log_softmax(-1).chunk(2), alpha=2.0) for z in heads(pairs)]
    sum(losses).backward()
    torch.testing.assert_close(reported, torch.stack(losses).detach())
    for gradient, parameter in zip(found, heads.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def test_heads_start_from_labels_of_their_own(blobs):
    labels = start_labels(torch.from_numpy(blobs[0]), 4, 5, torch.Generator().manual_seed(0))
    assert labels.shape == (5, 400)
    assert len({tuple(row) for row in labels.tolist()}) > 1


def test_the_published_form_has_one_head(blobs):
    scp = SCP.from_preset("paper-cifar10", n_clusters=4, hidden_sizes=(32, 16), n_epochs=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert scp.fit(blobs[0]).loss_history_.shape == (2, 1)

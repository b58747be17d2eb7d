"""CPP on small data: what the method promises, and what it does with bad input."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score

from covey.cluster._cpp import CPP, PRESETS, RateReduction, RateSettings, _first_best, make_optimizer
from covey.errors import UnknownNameError
from covey.nn.code_heads import CodeHeads
from covey.objectives.cpp import coding_rate, doubly_stochastic, mlc_loss, similarity_scores

SHORT = {
    **PRESETS["mlp"],
    "code_size": 16,
    "hidden_size": 32,
    "n_steps": 20,
    "batch_size": 128,
    "n_columns": 16,
    "learning_rate": 3e-3,
    "device": "cpu",
}
SETTINGS = RateSettings(gamma=0.15, n_half_steps=5, eps_squared=0.1, membership_penalty=0.025, n_columns=None)


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(300, n_features=12, centers=4, cluster_std=1.0, random_state=3)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(blobs):
    return CPP(4, **SHORT, random_state=0).fit(blobs[0])


def make_network(form="two"):
    return CodeHeads(12, 8, 6, form=form, generator=torch.Generator().manual_seed(0))


def make_reduction(network, **changes):
    settings = SETTINGS._replace(**{name: changes.pop(name) for name in list(changes) if name in SETTINGS._fields})
    return RateReduction(
        network, settings=settings, n_warmup=changes.get("n_warmup", 0), generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"heads": "one"},
        {"n_columns": None},
        {"warmup": 0.0},
        {"membership_penalty": 0.025},
        {"n_half_steps": 1},
        {"standardize": False},
        {"precision": "bfloat16"},
        {"optimizer": "sgd", "learning_rate": 1e-3},
        {"n_landmarks": 60},
    ],
)
def test_every_choice_finds_blobs(blobs, change):
    cpp = CPP(4, **{**SHORT, **change}, random_state=0).fit(blobs[0])
    assert adjusted_rand_score(blobs[1], cpp.labels_) > 0.95


def test_attributes(fitted):
    assert fitted.labels_.dtype == np.int64
    assert fitted.probabilities_.shape == (300, 4)
    np.testing.assert_allclose(fitted.probabilities_.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(fitted.probabilities_.argmax(1), fitted.labels_)
    assert fitted.code_.shape == (300, 16)
    assert fitted.loss_history_.shape == (10,)  # 20 steps of 2 a pass
    assert fitted.diagnostics_["coding_rate"] > fitted.diagnostics_["cluster_coding_rate"] > 0
    assert fitted.diagnostics_["n_landmarks"] == 300


def test_predict_says_what_fit_said_whatever_the_company(blobs, fitted):
    np.testing.assert_array_equal(fitted.predict(blobs[0]), fitted.labels_)
    np.testing.assert_array_equal(fitted.predict(blobs[0][::-7]), fitted.labels_[::-7])


def test_representation_and_code_are_unit_rows(blobs, fitted):
    Z, C = fitted.transform(blobs[0]), fitted.encode(blobs[0])
    for rows in (Z, C):
        assert rows.shape == (300, 16)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(C, fitted.code_, atol=1e-6)
    assert not np.allclose(Z, C, atol=1e-3)


def test_clusters_are_nearly_orthogonal_in_the_representation(blobs, fitted):
    cosine = np.abs(fitted.transform(blobs[0]) @ fitted.transform(blobs[0]).T)
    same = blobs[1][:, None] == blobs[1]
    assert cosine[same].mean() > 3 * cosine[~same].mean()


def test_membership_of_training_rows_is_the_projection_of_their_codes(blobs, fitted):
    expected = doubly_stochastic(similarity_scores(torch.from_numpy(fitted.code_).double(), gamma=0.15)).numpy()
    np.testing.assert_allclose(fitted.membership(blobs[0]), expected, rtol=1e-3, atol=1e-6)


def test_membership_between_any_rows(blobs, fitted):
    X, y = blobs
    found = fitted.membership(X[:50], X[50:90])
    assert found.shape == (50, 40)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(fitted.membership(X[7:8], X[50:90])[0], found[7], rtol=1e-5)
    same = y[:50, None] == y[50:90]
    assert found[same].mean() > 5 * found[~same].mean()


def test_relabel_is_a_fit_with_another_number_of_clusters(blobs, fitted):
    other = pickle.loads(pickle.dumps(fitted)).relabel(2)  # noqa: S301, made here
    expected = CPP(2, **SHORT, random_state=0).fit(blobs[0])
    np.testing.assert_array_equal(other.labels_, expected.labels_)
    np.testing.assert_array_equal(other.predict(blobs[0]), expected.labels_)
    np.testing.assert_array_equal(other.relabel(4).labels_, fitted.labels_)
    assert other.n_clusters_ == 4


def test_relabel_leaves_the_parameter_and_a_failed_one_changes_nothing(blobs, fitted, monkeypatch):
    cpp = pickle.loads(pickle.dumps(fitted))  # noqa: S301, made here
    assert (cpp.relabel(2).n_clusters, cpp.n_clusters_) == (4, 2)
    assert cpp.predict_proba(blobs[0][:3]).shape == (3, 2)
    before = dict(vars(cpp))
    monkeypatch.setattr("covey.cluster._cpp.warn_if_collapsed", _fail)  # the last step
    with pytest.raises(RuntimeError, match="the last step"):
        cpp.relabel(3)
    assert vars(cpp) == before
    with pytest.raises(RuntimeError, match="the last step"):
        cpp.fit(blobs[0])
    assert vars(cpp) == before


def _fail(*_, **__):
    raise RuntimeError("the last step")


def test_the_number_of_clusters_may_exceed_the_landmarks(blobs):
    cpp = CPP(4, **{**SHORT, "n_landmarks": 10}, random_state=0).fit(blobs[0])
    assert cpp.diagnostics_["n_landmarks"] == 10
    assert len(np.unique(cpp.relabel(20).labels_)) > 10


def test_the_same_seed_gives_the_same_and_global_generators_stay(blobs, fitted):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = CPP(4, **SHORT, random_state=0).fit(blobs[0])
    np.testing.assert_array_equal(again.probabilities_, fitted.probabilities_)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("form", ["two", "one"])
def test_a_step_has_the_gradient_of_the_loss(blobs, form):
    X, network = torch.from_numpy(blobs[0][:20]), make_network(form)
    loss, rate, compressed = make_reduction(network).backward(X, 0)
    found = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    Z, C = network(X)
    membership = doubly_stochastic(similarity_scores(C, gamma=0.15))
    expected = mlc_loss(Z, membership, membership_penalty=0.025).total
    expected.backward()
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(loss, compressed - rate + 0.025 * membership.square().sum().detach())
    for ours, parameter in zip(found, network.parameters(), strict=True):
        torch.testing.assert_close(ours, parameter.grad, atol=1e-5, rtol=1e-3)


def test_a_sample_of_columns_is_unbiased(blobs):
    X, network = torch.from_numpy(blobs[0][:20]), make_network().eval()
    *_, whole = make_reduction(network).backward(X, 0)
    sampled = make_reduction(network, n_columns=5)
    draws = torch.stack([sampled.backward(X, 0)[2] for _ in range(100)])
    assert draws.std() > 0
    assert abs(draws.mean() - whole) < 4 * draws.std() / 100**0.5


def test_the_warm_up_spreads_the_representation_and_ends_with_a_copy(blobs):
    X, network = torch.from_numpy(blobs[0][:20]), make_network()
    reduction = make_reduction(network, n_warmup=2)
    loss, rate, compressed = reduction.backward(X, 0)
    torch.testing.assert_close(rate, coding_rate(network.represent(X)).detach())
    assert loss == -rate
    assert compressed == 0
    assert network.cluster_head.weight.grad is None
    reduction.backward(X, 2)
    torch.testing.assert_close(network.cluster_head.weight, network.feature_head.weight)
    torch.testing.assert_close(network.cluster_head.bias, network.feature_head.bias)


def test_the_cluster_head_has_a_weight_decay_of_its_own():
    network = make_network()
    rest, head = make_optimizer(network, "sgd", decays=(0.1, 0.2)).param_groups
    assert (rest["weight_decay"], head["weight_decay"], head["momentum"]) == (0.1, 0.2, 0.9)
    assert {id(p) for p in head["params"]} == {id(p) for p in network.cluster_head.parameters()}
    assert len(rest["params"]) + 2 == len(list(network.parameters()))


def test_equal_rows_are_one_cluster_and_it_says_so():
    with pytest.warns(ConvergenceWarning, match="2 of 3 clusters are empty"):
        cpp = CPP(3, **SHORT, random_state=0).fit(np.ones((30, 5)))
    assert (cpp.labels_ == cpp.labels_[0]).all()


def test_fewer_rows_than_code_size_and_as_many_clusters_as_rows():
    X = np.random.default_rng(0).normal(size=(6, 40))
    assert len(np.unique(CPP(6, **SHORT, random_state=0).fit(X).labels_)) == 6


def test_one_row_is_too_few():
    with pytest.raises(ValueError, match="at least 2"):
        CPP(1, **SHORT).fit(np.ones((1, 3)))


def test_nan_is_refused(blobs):
    X = blobs[0].copy()
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        CPP(4, **SHORT).fit(X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": "three"}, "heads is 'three'"),
        ({"optimizer": "lion"}, "optimizer is 'lion'"),
        ({"gamma": 0.0}, "gamma is 0"),
        ({"n_half_steps": 4}, "must be odd"),
        ({"batch_size": 1}, "batch_size is 1"),
        ({"warmup": 1.5}, "warmup is 1.5"),
        ({"n_columns": 0}, "n_columns is 0"),
        ({"network": "deep"}, "network is 'deep'"),
        ({"similarity": "dot"}, "similarity is 'dot'"),
        ({"perplexity_factor": 0.0}, "perplexity_factor is 0.0"),
    ],
)
def test_what_is_out_of_range_is_named(blobs, change, message):
    with pytest.raises(ValueError, match=message):
        CPP(4, **{**SHORT, **change}).fit(blobs[0])


def test_relabel_needs_a_fit_and_enough_rows(blobs, fitted):
    with pytest.raises(NotFittedError):
        CPP().relabel(3)
    with pytest.raises(ValueError, match="n_clusters is 301"):
        fitted.relabel(301)


# Tables 7 and 8 of the paper and appendix F; the authors' README at cb39bdc: code size, hidden size, γ, epochs, warm-up
# epochs or steps of all, batch size, penalty, heads.
PUBLISHED = {
    "paper-cifar10": (128, 4096, 0.175, 5, 1 / 5, 1024, 0.0, "two"),
    "paper-cifar20": (128, 4096, 0.13, 15, 1 / 15, 1024, 0.0, "two"),
    "paper-cifar100": (128, 4096, 0.1, 50, 1 / 50, 1500, 0.0, "two"),
    "paper-imagenet": (1024, 2048, 0.12, 20, 2 / 20, 1024, 0.0, "two"),
    "paper-coco": (128, 4096, 0.12, 20, 1 / 20, 1200, 0.0, "two"),
    "paper-laion": (1024, 2048, 0.09, 20, 2 / 20, 1024, 0.0, "two"),
    "official-code-cifar10": (128, 4096, 0.175, 15, 51 / 720, 1024, 0.025, "two"),
    "official-code-imagenet": (1024, 2048, 0.12, 20, 2001 / 25020, 1024, 0.025, "one"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_bind_to_the_published_settings(name):
    cpp = CPP.from_preset(name)
    names = ("code_size", "hidden_size", "gamma", "n_epochs", "warmup", "batch_size", "membership_penalty", "heads")
    assert tuple(getattr(cpp, parameter) for parameter in names) == PUBLISHED[name]
    shared = {
        "network": "mlp", "similarity": "absolute_cosine", "n_half_steps": 5, "eps_squared": 0.1, "n_columns": None,
        "standardize": False, "optimizer": "sgd", "learning_rate": 1e-4, "weight_decay": 1e-4,
        "cluster_weight_decay": 5e-3, "schedule": "constant",
    }  # fmt: skip
    assert cpp.get_params().items() >= shared.items()
    assert set(PUBLISHED) == set(PRESETS) - {"mlp"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"perplexity_factor": 1.0},
        {"gamma": 0.15},
        {"heads": "one"},
        {"similarity": "absolute_cosine"},
        {"n_columns": None},
        {"code_size": 8},
        {"standardize": False},
        {"warmup": 0.1},
        {"n_landmarks": 60},
    ],
)
def test_linear_heads_find_blobs(blobs, change):
    cpp = CPP(4, **{"n_steps": 10, "device": "cpu", **change}, random_state=0).fit(blobs[0])
    assert adjusted_rand_score(blobs[1], cpp.labels_) > 0.95
    np.testing.assert_array_equal(cpp.predict(blobs[0][::-7]), cpp.labels_[::-7])
    assert cpp.code_.shape == (300, change.get("code_size", 8))  # a power of two of at least twice 4


def test_linear_heads_begin_as_principal_axes(blobs):
    """At the start a row's neighbors by the code are those by its principal components."""
    X = (blobs[0] - blobs[0].mean(0)) / blobs[0].std(0)
    axes = np.linalg.svd(X, full_matrices=False)[2][:4]
    expected = X @ axes.T / np.linalg.norm(X @ axes.T, axis=1, keepdims=True)
    cpp = CPP(2, n_steps=1, learning_rate=1e-12, gamma=0.2, random_state=0).fit(blobs[0])
    for rows in (cpp.code_, cpp.transform(blobs[0])):
        np.testing.assert_allclose(rows @ rows.T, expected @ expected.T, atol=1e-4)


def test_of_two_perplexities_the_one_with_more_neighbor_information_is_kept(blobs):
    cpp = CPP(4, n_steps=10, random_state=0).fit(blobs[0])
    found = cpp.diagnostics_["neighbor_information"]
    assert set(found) == {"1.0", "1.5"}
    kept = cpp.diagnostics_["perplexity_factor"]
    assert kept == (1.5 if found["1.5"] > 1.002 * found["1.0"] else 1.0)
    alone = CPP(4, n_steps=10, perplexity_factor=kept, random_state=0).fit(blobs[0])
    np.testing.assert_array_equal(alone.loss_history_, cpp.loss_history_)  # the same batches


def test_ties_go_to_the_first():
    assert [_first_best(values) for values in ([1.0, 1.001], [1.0, 1.01], [1.0, 0.5], [None])] == [0, 1, 0, 0]


def test_progress_covers_both_trainings(blobs):
    reports = []
    CPP(4, n_steps=10, random_state=0).fit(blobs[0], progress=lambda *report: reports.append(report))
    assert [done for _, done, _ in reports] == list(range(1, 21))
    assert {total for *_, total in reports} == {20}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_the_signature(name):
    assert CPP.from_preset(name, n_clusters=7).get_params().items() >= PRESETS[name].items()


def test_an_unknown_preset_is_named():
    with pytest.raises(UnknownNameError, match="There are: paper-cifar10"):
        CPP.from_preset("paper")

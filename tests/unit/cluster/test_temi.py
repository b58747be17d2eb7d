"""TEMI on small data: what the method promises beyond the contract of all clusterers."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from covey.cluster import TEMI
from covey.cluster._temi import PRESETS, ClassPrior
from covey.errors import ConvergenceError, UnknownNameError
from covey.neighbors import nearest_neighbors

SHORT = {"n_heads": 3, "n_steps": 60, "hidden_size": 32, "bottleneck_size": 16, "batch_size": 128, "device": "cpu"}


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(400, n_features=12, centers=4, cluster_std=1.0, random_state=3)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(blobs):
    return TEMI(4, **SHORT, random_state=0).fit(blobs[0])


def test_finds_blobs(blobs, fitted):
    assert adjusted_rand_score(blobs[1], fitted.labels_) > 0.95


@pytest.mark.parametrize("objective", ["temi", "wpmi", "pmi", "scan"])
@pytest.mark.parametrize("init", ["kmeans", "random"])
def test_every_objective_finds_blobs_from_either_start(blobs, objective, init):
    temi = TEMI(4, **{**SHORT, "n_steps": 120}, objective=objective, init=init, random_state=1).fit(blobs[0])
    assert adjusted_rand_score(blobs[1], temi.labels_) > 0.95


def test_attributes(fitted):
    assert fitted.labels_.dtype == np.int64
    assert fitted.labels_.shape == (400,)
    assert fitted.probabilities_.shape == (400, 4)
    assert fitted.probabilities_.dtype == np.float32
    np.testing.assert_allclose(fitted.probabilities_.sum(1), 1, rtol=1e-5)
    assert fitted.loss_history_.shape == (20, 3)  # 60 steps of 3 a pass
    assert fitted.best_head_ == fitted.head_losses_.argmin()
    assert fitted.n_features_in_ == 12
    np.testing.assert_allclose(fitted.head_losses_, fitted.loss_history_[-2:].mean(0), rtol=1e-6)


def test_predict_says_what_fit_said_whatever_the_company(blobs, fitted):
    X, _ = blobs
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    np.testing.assert_array_equal(fitted.predict_proba(X), fitted.probabilities_)
    np.testing.assert_array_equal(fitted.predict(X[::-7]), fitted.labels_[::-7])


def test_predict_generalises(blobs, fitted):
    X, y = make_blobs(800, n_features=12, centers=4, cluster_std=1.0, random_state=3)
    assert adjusted_rand_score(y[400:], fitted.predict(X[400:])) > 0.95


def test_the_same_seed_gives_the_same_labels_and_global_generators_stay(blobs, fitted):
    np.random.seed(5)  # noqa: NPY002, the global generator is what is watched
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    again = TEMI(4, **SHORT, random_state=0).fit(blobs[0])
    np.testing.assert_array_equal(again.probabilities_, fitted.probabilities_)
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


def test_another_seed_gives_other_probabilities(blobs, fitted):
    other = TEMI(4, **SHORT, random_state=1).fit(blobs[0])
    assert not np.array_equal(other.probabilities_, fitted.probabilities_)


def test_float64_is_accepted_and_gives_the_same(blobs, fitted):
    again = TEMI(4, **SHORT, random_state=0).fit(blobs[0].astype(np.float64))
    np.testing.assert_array_equal(again.labels_, fitted.labels_)


def test_bfloat16_and_float32_agree_on_labels(blobs):
    labels = [TEMI(4, **SHORT, precision=p, random_state=0).fit(blobs[0]).labels_ for p in ("float32", "bfloat16")]
    assert (labels[0] == labels[1]).mean() > 0.99


def test_a_ready_graph_gives_what_an_own_one_gives(blobs, fitted):
    graph = nearest_neighbors(blobs[0], n_neighbors=60)
    again = TEMI(4, **SHORT, random_state=0).fit(blobs[0], neighbors=graph)
    np.testing.assert_array_equal(again.labels_, fitted.labels_)


def test_a_graph_of_other_rows_is_refused(blobs):
    graph = nearest_neighbors(blobs[0][:100], n_neighbors=10)
    with pytest.raises(ValueError, match="neighbors has 100 rows, X has 400"):
        TEMI(4, **SHORT).fit(blobs[0], neighbors=graph)


@pytest.mark.parametrize("objective", ["temi", "wpmi", "scan"])
def test_chunks_of_heads_give_what_the_whole_gives(blobs, monkeypatch, objective):
    settings = {**SHORT, "n_steps": 20, "objective": objective, "precision": "float32", "random_state": 0}
    whole = TEMI(4, **settings).fit(blobs[0])
    monkeypatch.setattr("covey.cluster._temi._CPU_CHUNK", 1)
    chunked = TEMI(4, **settings).fit(blobs[0])
    monkeypatch.setattr("covey.cluster._temi._MOST_ENTRIES", 1)  # teachers run twice
    twice = TEMI(4, **settings).fit(blobs[0])
    for other in (chunked, twice):
        np.testing.assert_allclose(other.loss_history_, whole.loss_history_, rtol=1e-3, atol=1e-5)
        np.testing.assert_array_equal(other.labels_, whole.labels_)


def test_pickled_and_loaded_it_predicts_the_same(blobs, fitted):
    loaded = pickle.loads(pickle.dumps(fitted))  # noqa: S301, made one line above
    np.testing.assert_array_equal(loaded.predict(blobs[0]), fitted.labels_)


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_few_rows(rng, n):
    X = rng.normal(size=(n, 3)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        temi = TEMI(min(n, 2), **SHORT, random_state=0).fit(X)
    assert temi.labels_.shape == (n,)
    np.testing.assert_array_equal(temi.predict(X), temi.labels_)


def test_a_batch_is_at_most_the_data(blobs):
    temi = TEMI(4, **{**SHORT, "batch_size": 1000, "n_steps": 30}, random_state=0).fit(blobs[0])
    assert temi.loss_history_.shape == (30, 3)


def test_n_epochs_takes_the_place_of_n_steps(blobs):
    temi = TEMI(4, **{**SHORT, "n_steps": 1}, n_epochs=5, random_state=0).fit(blobs[0])
    assert temi.loss_history_.shape == (5, 3)


def test_empty_clusters_are_reported_not_hidden(blobs):
    X = np.repeat(blobs[0][:3], 40, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"of 8 clusters are empty.*lower beta"):
        temi = TEMI(8, **SHORT, random_state=0).fit(X)
    assert temi.diagnostics_["n_empty_clusters"] >= 5


def test_diagnostics(fitted):
    p = fitted.probabilities_
    sizes = np.bincount(fitted.labels_, minlength=4) / 400
    expected = {
        "beta": 0.6,
        "mean_max_probability": p.max(1).mean(),
        "median_max_probability": np.median(p.max(1)),
        "conditional_entropy": -(p * np.log(np.maximum(p, 1e-30))).sum(1).mean(),
        "kl_to_uniform": (sizes * np.log(sizes * 4)).sum(),
        "n_empty_clusters": 0,
    }
    assert fitted.diagnostics_ == pytest.approx(expected, abs=1e-6)


def test_constant_columns_and_unscaled_ones_do_no_harm(blobs):
    X = np.column_stack([blobs[0], np.full(400, 7.0), 1e-6 * blobs[0][:, 0]])
    temi = TEMI(4, **SHORT, random_state=0).fit(X)
    assert adjusted_rand_score(blobs[1], temi.labels_) > 0.95


def test_a_frozen_last_layer_stays_for_its_share(blobs):
    histories = [
        TEMI(4, **{**SHORT, "n_steps": 12}, frozen_last_layer=share, random_state=0).fit(blobs[0]).loss_history_
        for share in (0.0, 0.5, 1.0)
    ]
    assert not np.array_equal(histories[0], histories[1])
    assert not np.array_equal(histories[1], histories[2])
    np.testing.assert_array_equal(histories[1][:2], histories[2][:2])  # 6 of 12 steps are alike


def test_self_as_partner_replaces_the_last_neighbor(blobs):
    from covey.cluster._training import partner_table

    graph = nearest_neighbors(blobs[0], n_neighbors=5)
    table = partner_table(blobs[0], graph, 5, include_self=True, device="cpu")
    np.testing.assert_array_equal(table, np.hstack([np.arange(400)[:, None], graph.indices[:, :4]]))


def test_neighbors_are_at_most_as_many_as_a_cluster_has_rows(blobs):
    few = TEMI(40, **{**SHORT, "n_steps": 3}, n_neighbors=50, random_state=0)
    capped = TEMI(40, **{**SHORT, "n_steps": 3}, n_neighbors=10, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        np.testing.assert_array_equal(few.fit_predict(blobs[0]), capped.fit_predict(blobs[0]))


def test_progress_is_told(blobs):
    calls = []
    TEMI(4, **{**SHORT, "n_steps": 7}, random_state=0).fit(blobs[0], progress=lambda *call: calls.append(call))
    assert calls == [("train", 3, 7), ("train", 6, 7), ("train", 7, 7)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 0.5}, "beta is 0.5"),
        ({"objective": "mi"}, "objective is 'mi'"),
        ({"init": "pca"}, "init is 'pca'"),
        ({"n_heads": 0}, "n_heads is 0"),
        ({"n_components": 0}, "n_components is 0"),
        ({"warmup": 1.5}, "warmup is 1.5"),
        ({"schedule": "linear"}, "schedule is 'linear'; it must be one of constant, cosine"),
        ({"precision": "float16"}, "precision is 'float16'"),
        ({"temperature": 0}, "temperature is 0"),
        ({"tol": -1}, "tol is -1"),
    ],
)
def test_what_is_out_of_range_is_named(blobs, change, message):
    with pytest.raises(ValueError, match=message):
        TEMI(4, **{**SHORT, **change}).fit(blobs[0])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_the_signature(name):
    temi = TEMI.from_preset(name, n_clusters=7)
    assert temi.n_clusters == 7
    assert temi.get_params().items() >= PRESETS[name].items()


def test_an_unknown_preset_is_named():
    with pytest.raises(UnknownNameError, match="There are: fast, paper"):
        TEMI.from_preset("papr")


def test_a_preset_trains(blobs):
    temi = TEMI.from_preset("paper", n_clusters=4, n_heads=2, n_epochs=40, hidden_size=32, random_state=0)
    assert temi.fit(blobs[0]).loss_history_.shape == (40, 2)


def test_a_training_that_gains_nothing_ends_early(blobs):
    keywords = {**SHORT, "n_steps": 300, "random_state": 0}
    whole = TEMI(4, **keywords).fit(blobs[0])
    short = TEMI(4, **keywords, tol=0.05).fit(blobs[0])
    assert whole.n_steps_ == 300
    assert short.n_steps_ < 300
    assert len(short.loss_history_) == short.n_steps_ // 3  # 3 steps a pass
    np.testing.assert_array_equal(short.loss_history_, whole.loss_history_[: len(short.loss_history_)])
    window = 10  # passes: a tenth of the training
    gains = [
        whole.loss_history_[end - 2 * window : end - window].mean() - whole.loss_history_[end - window : end].mean()
        for end in range(2 * window, len(short.loss_history_) + 1)
    ]
    assert gains[-1] < 0.05
    assert min(gains[:-1], default=1) >= 0.05


def test_a_loss_that_is_no_number_is_an_error(blobs):
    with pytest.raises(ConvergenceError, match="lower the learning rate"):
        TEMI(4, **SHORT, learning_rate=1e38, random_state=0).fit(blobs[0])


def test_predictions_that_are_guesses_are_reported():
    rows = np.random.default_rng(0).normal(size=(300, 16))
    cool = TEMI(3, **{**SHORT, "n_steps": 2}, init="random", temperature=10.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="hardly surer than guesses"):
        cool.fit(rows)


def test_pairs_are_weighed_by_all_heads(blobs):
    X, y = blobs
    temi = TEMI(4, **SHORT, random_state=0).fit(X)
    partners = np.column_stack([np.arange(400), np.roll(np.arange(400), 1)])
    weights = temi.weigh_pairs(X, partners)
    expected = np.zeros((400, 2))
    with torch.no_grad():
        rows = temi._scale(torch.from_numpy(X)).double()
        for chunk in temi._teachers:
            for p in chunk.double()(rows).exp().numpy():
                expected += (p[:, None] * p[partners]).sum(2) / 3
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    is_true = y == y[partners[:, 1]]
    assert weights[is_true, 1].mean() > 0.5 > weights[~is_true, 1].mean()


@pytest.mark.parametrize(
    "partners", [np.zeros((3, 1), int), np.zeros((400, 1)), np.full((400, 1), 400), np.zeros(400, int)]
)
def test_partners_that_do_not_exist_are_refused(blobs, fitted, partners):
    with pytest.raises(ValueError, match="partners"):
        fitted.weigh_pairs(blobs[0], partners)


def test_beta_auto_takes_what_the_sweep_picks(blobs):
    temi = TEMI(4, **{**SHORT, "n_steps": 40}, beta="auto", random_state=0).fit(blobs[0])
    assert temi.beta_ == temi.beta_sweep_.beta == temi.diagnostics_["beta"]
    again = TEMI(4, **{**SHORT, "n_steps": 40}, beta=temi.beta_, random_state=0).fit(blobs[0])
    np.testing.assert_array_equal(temi.labels_, again.labels_)
    assert again.beta_sweep_ is None


def test_prior_starts_uniform_and_stays_a_distribution():
    prior = ClassPrior(2, 4, momentum=0.9, device=torch.device("cpu"))
    torch.testing.assert_close(prior.mean, torch.full((2, 4), 0.25))
    prior.update(torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0)).log_softmax(-1))
    torch.testing.assert_close(prior.mean.sum(-1), torch.ones(2))


def test_the_log_prior_of_a_class_that_is_never_met_is_finite():
    prior = ClassPrior(1, 2, momentum=0.0, device=torch.device("cpu"))
    assert torch.isfinite(prior.update(torch.tensor([[[0.0, -500.0]]]))).all()

"""EnSC and SSC-OMP: subspaces are found, and odd rows have a defined answer."""

import inspect

import numpy as np
import pytest
import torch

from covey.cluster import SSCOMP, EnSC
from covey.cluster._subspace import _codes, elastic_net, matching_pursuit
from covey.errors import ConvergenceError, UnknownNameError
from covey.metrics import adjusted_rand_score

METHODS = [EnSC, SSCOMP]


@pytest.fixture(scope="module")
def planes() -> tuple[np.ndarray, np.ndarray]:
    """Rows in four subspaces of three dimensions that cross at the origin: no means tell them apart."""
    rng = np.random.default_rng(0)
    y = np.arange(160) % 4
    bases = rng.normal(size=(4, 3, 24))
    X = np.einsum("nk,nkd->nd", rng.normal(size=(160, 3)), bases[y]) + 0.01 * rng.normal(size=(160, 24))
    return X.astype(np.float32), y


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:The graph falls into 5 parts")  # three neighbours are few
@pytest.mark.parametrize(("affinity", "least"), [("symmetric", 0.95), ("neighbors", 0.5)])
def test_finds_subspaces(planes: tuple[np.ndarray, np.ndarray], method: type, affinity: str, least: float) -> None:
    X, y = planes
    keywords = {"gamma": 20.0} if method is EnSC else {"n_nonzero": 3}
    model = method(4, affinity=affinity, random_state=0, **keywords).fit(X)
    assert adjusted_rand_score(y, model.labels_) > least
    assert model.codes_.shape == (160, 160)
    assert model.diagnostics_["n_empty_codes"] == 0
    assert 1 <= model.diagnostics_["mean_code_size"] <= 40


def test_ensc_is_certified_whatever_the_candidates(planes: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = planes
    few, many = (EnSC(4, n_candidates=n, tol=1e-4, random_state=0).fit(X) for n in (4, 159))
    for model in (few, many):
        assert model.diagnostics_["max_violation"] <= 1e-4
        assert model.diagnostics_["n_uncertified"] == 0
    np.testing.assert_allclose(few.codes_.toarray(), many.codes_.toarray(), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_blocks_do_not_show(
    planes: tuple[np.ndarray, np.ndarray], method: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _ = planes
    whole = method(4, random_state=0).fit(X)
    monkeypatch.setitem(_codes._BLOCK_ENTRIES, "cpu", 10**5)
    blocks = method(4, random_state=0).fit(X)
    np.testing.assert_allclose(blocks.codes_.toarray(), whole.codes_.toarray(), atol=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_progress_ends_with_all_rows(planes: tuple[np.ndarray, np.ndarray], method: type) -> None:
    seen: list[tuple[str, int, int | None]] = []
    method(4, random_state=0).fit(planes[0], progress=lambda *step: seen.append(step))
    assert seen[-1] == ("codes", 160, 160)
    assert [n_done for _, n_done, _ in seen] == sorted(n_done for _, n_done, _ in seen)


@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_gamma_of_one_leaves_nothing_and_says_so(planes: tuple[np.ndarray, np.ndarray], gamma: float) -> None:
    X, _ = planes
    unit = torch.from_numpy(X / np.linalg.norm(X, axis=1, keepdims=True))
    codes = elastic_net(unit, gamma=gamma, tau=0.9, tol=1e-3, n_candidates=20)
    assert codes.coefficients.abs().max() < 1e-6
    with pytest.raises(ConvergenceError, match=r"no edge.*Raise gamma"):
        EnSC(4, gamma=0.5).fit(X)


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_zeros_get_a_label(planes: tuple[np.ndarray, np.ndarray], method: type) -> None:
    X = planes[0].copy()
    X[[3, 70]] = 0
    model = method(4, random_state=0).fit(X)
    assert model.diagnostics_["n_empty_codes"] == 2
    assert model.diagnostics_["n_rows_outside"] >= 2
    assert model.labels_[3] == model.labels_[70]
    assert (model.predict(X) == model.labels_).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # few distinct rows: many parts
def test_equal_and_constant_rows_have_one_label(planes: tuple[np.ndarray, np.ndarray], method: type) -> None:
    X = np.repeat(planes[0][:30], 3, axis=0)
    labels = method(3, random_state=0).fit(X).labels_
    assert all(len(set(labels[start : start + 3])) == 1 for start in range(0, 90, 3))
    assert len(set(method(2, random_state=0).fit(np.ones((12, 5))).labels_)) == 1


@pytest.mark.parametrize("method", METHODS)
def test_rows_without_anything_in_common_are_an_error(method: type) -> None:
    with pytest.raises(ConvergenceError, match="no edge"):
        method(2).fit(np.eye(6))
    assert method(1).fit(np.eye(6)).labels_.tolist() == [0] * 6
    assert method(1).fit(np.ones((1, 3))).labels_.tolist() == [0]


@pytest.mark.parametrize("method", METHODS)
def test_fewer_rows_than_features(method: type) -> None:
    rng = np.random.default_rng(1)
    y = np.arange(12) % 2
    X = np.einsum("nk,nkd->nd", rng.normal(size=(12, 2)), rng.normal(size=(2, 2, 50))[y])
    keywords = {"n_nonzero": 20} if method is SSCOMP else {}
    model = method(2, random_state=0, **keywords).fit(X)
    assert adjusted_rand_score(y, model.labels_) == 1


def test_no_row_joins_a_code_twice() -> None:
    """Equal rows explain a row completely: what is left is rounding, which must not choose them again."""
    X = torch.nn.functional.normalize(torch.tensor([[1.0, 1, 0], [1, 1, 0], [1, 1, 0], [0, 1, 1], [3, 1, 2]]), dim=1)
    codes = matching_pursuit(X, n_nonzero=4, tol=0.0)
    for row in codes.indices:
        used = row[row >= 0].tolist()
        assert len(used) == len(set(used)) <= 3
    assert codes.residuals[:3].max() < 1e-10
    assert codes.coefficients.isfinite().all()


@pytest.mark.parametrize("method", METHODS)
def test_presets_fit_the_signature(method: type) -> None:
    for preset, keywords in method.presets.items():
        assert keywords.keys() <= inspect.signature(method).parameters.keys()
        model = method.from_preset(preset, n_clusters=7)
        assert model.get_params().items() >= {"n_clusters": 7, **keywords}.items()
    with pytest.raises(UnknownNameError, match="official-mnist"):
        method.from_preset("paper")


@pytest.mark.parametrize(
    ("method", "keywords", "error"),
    [
        (EnSC, {"gamma": 0.0}, ValueError),
        (EnSC, {"tau": 0.0}, ValueError),
        (EnSC, {"tau": 1.5}, ValueError),
        (EnSC, {"tol": 0.0}, ValueError),
        (EnSC, {"n_candidates": 2.5}, TypeError),
        (EnSC, {"affinity": "dense"}, ValueError),
        (SSCOMP, {"n_nonzero": 0}, ValueError),
        (SSCOMP, {"tol": -1.0}, ValueError),
        (SSCOMP, {"affinity": "dense"}, ValueError),
        (SSCOMP, {"n_init": 0}, ValueError),
    ],
)
def test_wrong_parameters_are_named(
    planes: tuple[np.ndarray, np.ndarray], method: type, keywords: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"{next(iter(keywords))} is"):
        method(2, **keywords).fit(planes[0])

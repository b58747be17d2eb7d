"""What every registered metric promises."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from covey.metrics import METRICS, MetricSpec

N_ROWS, N_CLUSTERS = 120, 4


def some_data(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    labels_true = np.concatenate([np.arange(N_CLUSTERS), rng.integers(0, N_CLUSTERS, N_ROWS - N_CLUSTERS)])
    labels_pred = np.where(rng.random(N_ROWS) < 0.6, labels_true, rng.permutation(labels_true))
    return data_for(labels_true, labels_pred, rng.dirichlet(np.ones(N_CLUSTERS), N_ROWS), rng)


def data_for(labels_true: Any, labels_pred: Any, probabilities: Any, rng: np.random.Generator) -> dict[str, Any]:
    X = np.eye(N_CLUSTERS)[labels_pred] * 5 + rng.normal(size=(len(labels_pred), N_CLUSTERS))
    return {
        "labels_true": labels_true,
        "labels_pred": labels_pred,
        "probabilities": probabilities,
        "confidence": probabilities.max(axis=1),
        "X": X.astype(np.float32),
    }


def perfect_data() -> dict[str, Any]:
    labels = np.arange(N_ROWS) % N_CLUSTERS
    data = data_for(labels, labels, np.eye(N_CLUSTERS)[labels], np.random.default_rng(0))
    return data | {"X": np.eye(N_CLUSTERS, dtype=np.float32)[labels]}


def evaluate(spec: MetricSpec, data: dict[str, Any]) -> float:
    return spec.function(**{name: data[name] for name in spec.needs})


@pytest.fixture(params=sorted(METRICS))
def spec(request: pytest.FixtureRequest) -> MetricSpec:
    found = METRICS[request.param]
    assert isinstance(found, MetricSpec)
    assert found.name == request.param
    return found


def test_returns_a_float_within_its_range(spec: MetricSpec) -> None:
    low, high = spec.range
    for seed in range(5):
        value = evaluate(spec, some_data(seed))
        assert type(value) is float
        assert low <= value <= high


def test_does_not_hang_on_cluster_numbers(spec: MetricSpec) -> None:
    data = some_data(0)
    permutation = np.random.default_rng(1).permutation(N_CLUSTERS)
    other = data | {
        "labels_pred": permutation[data["labels_pred"]],
        "probabilities": data["probabilities"][:, np.argsort(permutation)],
    }
    assert evaluate(spec, other) == pytest.approx(evaluate(spec, data), abs=1e-12)


def test_does_not_hang_on_the_order_of_rows(spec: MetricSpec) -> None:
    data = some_data(0)
    order = np.random.default_rng(1).permutation(N_ROWS)
    shuffled = {name: values[order] for name, values in data.items()}
    assert evaluate(spec, shuffled) == pytest.approx(evaluate(spec, data), abs=1e-9)


def test_perfect_is_the_best_end_of_the_range(spec: MetricSpec) -> None:
    value = evaluate(spec, perfect_data())
    if spec.larger_is_better is None:
        assert value in (pytest.approx(spec.range[0]), pytest.approx(spec.range[1]))
    else:
        assert value == pytest.approx(spec.range[1 if spec.larger_is_better else 0])
        for seed in range(3):
            imperfect = evaluate(spec, some_data(seed))
            assert imperfect < value if spec.larger_is_better else imperfect > value


def test_symmetry_is_as_claimed(spec: MetricSpec) -> None:
    if set(spec.needs) != {"labels_true", "labels_pred"}:
        assert not spec.is_symmetric
        return
    rng = np.random.default_rng(3)
    gaps = []
    for _ in range(5):  # of unequal numbers of labels, where an asymmetric metric shows itself
        a, b = rng.integers(0, 3, 60), rng.integers(0, 6, 60)
        gaps.append(abs(spec.function(labels_true=a, labels_pred=b) - spec.function(labels_true=b, labels_pred=a)))
    assert (max(gaps) < 1e-12) == spec.is_symmetric


def test_inputs_are_left_as_they_were(spec: MetricSpec) -> None:
    data = some_data(0)
    before = {name: values.copy() for name, values in data.items()}
    evaluate(spec, data)
    for name, values in data.items():
        np.testing.assert_array_equal(values, before[name])


def test_row_is_complete(spec: MetricSpec) -> None:
    assert spec.title
    assert spec.range[0] < spec.range[1]
    assert not math.isnan(sum(spec.range))
    assert set(spec.needs) <= {"labels_true", "labels_pred", "probabilities", "confidence", "X"}


def test_the_room_never_imports_torch() -> None:
    code = (
        "import sys, covey.metrics as m; names = list(m.METRICS); assert 'sklearn' not in sys.modules; "
        "[m.METRICS[name] for name in names]; [getattr(m, name) for name in m.__all__]; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

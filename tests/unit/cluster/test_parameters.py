"""Parameters are declared once; their declaration is what checks them."""

from dataclasses import KW_ONLY
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.base import clone

from covey.cluster._base import Clusterer, check_n_clusters
from covey.cluster._parameters import allowed_values, checked, choice, flag, free, integer, parameters, real


def _check_even(name: str, value: Any) -> None:
    if value % 2:
        raise ValueError(f"{name} is {value}; it must be even.")


@parameters
class Example(Clusterer):
    """Put every row into the first cluster."""

    n_clusters: int = integer(2)
    _: KW_ONLY
    beta: float | Literal["auto"] = real(0.6, above=0.5, high=1.0, words=("auto",))
    n_epochs: int | None = integer(None, optional=True)
    schedule: str = choice("cosine", of=("cosine", "constant"))
    standardize: bool = flag(True)
    width: int = checked(4, _check_even, "an even number")
    random_state: Any = free(None)

    def _fit(self, X: Any, **keywords: Any) -> None:
        check_n_clusters(self.n_clusters, len(X))
        self.labels_ = np.zeros(len(X), dtype=np.int64)
        if self.random_state == "fault":
            raise RuntimeError("The last step failed.")


def test_the_constructor_stores_what_it_gets() -> None:
    model = Example(3, beta="auto", random_state=7)
    assert clone(model).get_params() == {
        "n_clusters": 3,
        "beta": "auto",
        "n_epochs": None,
        "schedule": "cosine",
        "standardize": True,
        "width": 4,
        "random_state": 7,
    }
    with pytest.raises(TypeError, match="positional"):
        Example(3, 0.7)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters is 0; it must be at least 1"),
        ({"n_clusters": 2.0}, TypeError, "n_clusters is 2.0; it must be an integer"),
        ({"n_clusters": True}, TypeError, "n_clusters is True"),
        ({"beta": 0.5}, ValueError, r"beta is 0.5; it must lie in \(0.5, 1\], or 'auto'"),
        ({"beta": "best"}, TypeError, "beta is 'best'"),
        ({"beta": float("nan")}, ValueError, "beta is nan"),
        ({"n_epochs": 0}, ValueError, "n_epochs is 0; it must be at least 1, or None"),
        ({"schedule": "linear"}, ValueError, "schedule is 'linear'; it must be one of cosine, constant"),
        ({"standardize": "maybe"}, TypeError, "standardize is 'maybe'; it must be True or False"),
        ({"width": 3}, ValueError, "width is 3; it must be even"),
    ],
)
def test_fit_says_what_came_and_what_is_allowed(changes: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Example(**changes).fit(np.eye(4))


def test_what_is_allowed_can_be_listed() -> None:
    assert allowed_values(Example) == {
        "n_clusters": "an integer of at least 1",
        "beta": "a number in (0.5, 1], or 'auto'",
        "n_epochs": "an integer of at least 1, or None",
        "schedule": "one of cosine, constant",
        "standardize": "True or False",
        "width": "an even number",
    }


def test_a_fit_that_fails_in_its_last_step_leaves_the_old_fit_whole() -> None:
    model = Example().fit(np.eye(4))
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match="last step"):
        model.set_params(random_state="fault").fit(np.eye(9))
    assert vars(model) == {**before, "random_state": "fault"}

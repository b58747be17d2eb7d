"""How many clusters? `select_n_clusters` tries several numbers and says how sure it is of one.

`CRITERIA` maps names to functions ``(sample, n_clusters) -> CandidateScore``, where a `Sample` gives reduced rows and
repeated partitions of them. No labels take part anywhere. Start reading at `_select.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from covey.registry import Registry

if TYPE_CHECKING:
    from covey.selection._criteria import CandidateScore, Sample
    from covey.selection._result import NClustersResult
    from covey.selection._select import default_candidates, select_n_clusters

__all__ = ["CRITERIA", "CandidateScore", "NClustersResult", "Sample", "default_candidates", "select_n_clusters"]

CRITERIA = Registry(
    "criterion",
    "covey.criteria",
    {
        "silhouette": "covey.selection._criteria:silhouette",
        "silhouette_stability": "covey.selection._criteria:silhouette_stability",
        "stability": "covey.selection._criteria:stability",
    },
)

_HOMES = {
    "CandidateScore": "_criteria",
    "Sample": "_criteria",
    "NClustersResult": "_result",
    "default_candidates": "_select",
    "select_n_clusters": "_select",
}


def __getattr__(name: str) -> Any:
    # scikit-learn takes a second to import; whoever only lists the criteria does not wait for it.
    if name in _HOMES:
        return getattr(import_module(f"covey.selection.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

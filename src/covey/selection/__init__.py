"""How many clusters? Evidence without labels, and a rule that turns it into a number.

Arrays only. Start reading at `select_n_clusters`; what decides is a row of `CRITERIA`.
"""

from typing import TYPE_CHECKING, Any

from covey.registry import Registry

if TYPE_CHECKING:
    from covey.selection._select import NClustersResult, default_candidates, select_n_clusters

__all__ = ["CRITERIA", "NClustersResult", "default_candidates", "select_n_clusters"]

CRITERIA = Registry(
    "criterion",
    "covey.criteria",
    {
        "silhouette": "covey.selection._criteria:silhouette",
        "silhouette_stability": "covey.selection._criteria:silhouette_stability",
        "stability": "covey.selection._criteria:stability",
    },
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        from covey.selection import _select  # noqa: PLC0415  torch comes in with k-means, so not before it is needed

        return getattr(_select, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

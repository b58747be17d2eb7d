"""Clustering estimators on arrays, with scikit-learn's contract; one method, one file.

Nothing here knows what a file is. `CLUSTERERS` maps the names of the command line to the classes, which are imported
when they are asked for, so that listing them costs no import of torch.
"""

from typing import TYPE_CHECKING, Any

from covey.registry import Registry

if TYPE_CHECKING:
    from covey.cluster._kmeans import KMeans
    from covey.cluster._temi import TEMI

__all__ = ["CLUSTERERS", "TEMI", "KMeans"]

CLUSTERERS = Registry(
    "clusterer",
    "covey.clusterers",
    {
        "kmeans": "covey.cluster._kmeans:KMeans",
        "temi": "covey.cluster._temi:TEMI",
    },
)

_BY_CLASS = {"KMeans": "kmeans", "TEMI": "temi"}


def __getattr__(name: str) -> Any:
    if name in _BY_CLASS:
        return CLUSTERERS[_BY_CLASS[name]]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

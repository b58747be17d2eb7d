"""How many clusters? `select_n_clusters` tries several numbers and says how sure it is of one.

`CRITERIA` maps names to functions ``(sample, candidates) -> list of CandidateScore``, where a `Sample` gives reduced
rows and repeated partitions of them, made once for all criteria. `coding_length_curve` is CPP's own way, from its
representation. No labels take part anywhere. Start reading at `_select.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from covey.registry import Registry

if TYPE_CHECKING:
    from covey.selection._consensus import Granularity
    from covey.selection._criteria import CandidateScore
    from covey.selection._curve import CodingLengthCurve, coding_length_curve
    from covey.selection._result import NClustersResult
    from covey.selection._sample import Sample, is_constant
    from covey.selection._select import default_candidates, select_n_clusters

__all__ = [
    "select_n_clusters",
    "NClustersResult",
    "Granularity",
    "CandidateScore",
    "coding_length_curve",
    "CodingLengthCurve",
    "CRITERIA",
    "Sample",
    "default_candidates",
    "is_constant",
]

CRITERIA = Registry(
    "criterion",
    "covey.criteria",
    {
        "consensus": "covey.selection._consensus:consensus",
        "silhouette": "covey.selection._criteria:silhouette",
        "stability": "covey.selection._criteria:stability",
        "silhouette_stability": "covey.selection._criteria:silhouette_stability",
        "coding_length": "covey.selection._criteria:coding_length_score",
        "held_out_coding_length": "covey.selection._criteria:held_out_coding_length",
        "eigengap": "covey.selection._criteria:eigengap",
    },
)

_HOMES = {
    "CandidateScore": "_criteria",
    "CodingLengthCurve": "_curve",
    "Granularity": "_consensus",
    "NClustersResult": "_result",
    "Sample": "_sample",
    "coding_length_curve": "_curve",
    "default_candidates": "_select",
    "is_constant": "_sample",
    "select_n_clusters": "_select",
}


def __getattr__(name: str) -> Any:
    # scikit-learn takes a second to import; whoever only lists the criteria does not wait for it.
    if name in _HOMES:
        return getattr(import_module(f"covey.selection.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

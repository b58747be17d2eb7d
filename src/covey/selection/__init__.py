"""How many clusters? `select_n_clusters` tries several numbers and says how sure it is of one.

`CRITERIA` maps names to functions ``(sample, candidates) -> list of CandidateScore``, where a `Sample` gives reduced
rows and repeated partitions of them, made once for all criteria; `CRITERIA.spec` gives the row that describes one.
`coding_length_curve` is CPP's own way, from its representation. No labels take part anywhere. Start
reading at `_select.py`.
"""

from typing import TYPE_CHECKING

from covey.registry import lazy_exports
from covey.selection._registry import CRITERIA, CriterionSpec

if TYPE_CHECKING:
    from covey.selection._coding_length_curve import CodingLengthCurve, coding_length_curve
    from covey.selection._consensus import Granularity
    from covey.selection._criteria import CandidateScore
    from covey.selection._result import NClustersResult
    from covey.selection._row_sample import Sample, is_constant
    from covey.selection._select import default_candidates, select_n_clusters

__all__ = [
    "select_n_clusters",
    "NClustersResult",
    "Granularity",
    "CandidateScore",
    "coding_length_curve",
    "CodingLengthCurve",
    "CRITERIA",
    "CriterionSpec",
    "Sample",
    "default_candidates",
    "is_constant",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "_consensus": ("Granularity",),
        "_criteria": ("CandidateScore",),
        "_coding_length_curve": ("CodingLengthCurve", "coding_length_curve"),
        "_result": ("NClustersResult",),
        "_row_sample": ("Sample", "is_constant"),
        "_select": ("default_candidates", "select_n_clusters"),
    },
)

"""The number of clusters with the evidence for it."""

from dataclasses import dataclass
from typing import Any

from covey.selection._criteria import CandidateScore


@dataclass(frozen=True, slots=True)
class NClustersResult:
    """A chosen number of clusters, and how sure the choice is.

    Attributes
    ----------
    n_clusters : int
        The candidate of the best score.
    criterion : str
        What decided.
    curve : tuple of CandidateScore
        Every candidate that was tried, rising.
    plausible : tuple of int
        The candidates whose score lies within one standard deviation of the best.
    n_rows : int
        Rows of the sample on which candidates were tried.
    why : str
        The choice in a sentence or two, with its doubt.
    """

    n_clusters: int
    criterion: str
    curve: tuple[CandidateScore, ...]
    plausible: tuple[int, ...]
    n_rows: int
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON-compatible data.

        Returns
        -------
        evidence : dict
            ``n_clusters``, ``criterion``, ``reason``, ``candidates``, ``plausible``, ``n_rows``, ``spread``, and
            ``scores``: for the criterion and each of its details a list in the order of ``candidates``.
        """
        names = [name for name in self.curve[0].details if not name.endswith("_spread")]
        scores = {name: [row.details[name] for row in self.curve] for name in names}
        return {
            "n_clusters": self.n_clusters,
            "criterion": self.criterion,
            "reason": self.why,
            "candidates": [row.n_clusters for row in self.curve],
            "scores": {self.criterion: [row.score for row in self.curve], **scores},
            "spread": [row.spread for row in self.curve],
            "plausible": list(self.plausible),
            "n_rows": self.n_rows,
        }

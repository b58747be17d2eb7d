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
            ``n_clusters``, ``criterion``, ``reason``, ``candidates``, ``plausible``, ``interval`` (the ends of
            ``plausible``), ``n_rows``, and ``scores``: for the criterion and each of its details a list in the order
            of ``candidates``, and under the name with ``_std`` behind it the standard deviation over the subsamples.
        """
        details = {
            name.removesuffix("_spread") + ("_std" if name.endswith("_spread") else ""): [
                row.details[name] for row in self.curve
            ]
            for name in self.curve[0].details
        }
        decisive = {
            self.criterion: [row.score for row in self.curve],
            f"{self.criterion}_std": [row.spread for row in self.curve],
        }
        return {
            "n_clusters": self.n_clusters,
            "criterion": self.criterion,
            "reason": self.why,
            "candidates": [row.n_clusters for row in self.curve],
            "scores": {**details, **decisive},
            "plausible": list(self.plausible),
            "interval": [self.plausible[0], self.plausible[-1]],
            "n_rows": self.n_rows,
        }

"""The number of clusters with the evidence for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from covey.selection._consensus import Granularity, middle_half, votes
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
    evidence : mapping of str to tuple of CandidateScore
        For every criterion every candidate that was tried, rising; the one that decided first.
    plausible : tuple of int
        The candidates whose deciding score lies within one standard deviation of the best: how flat the curve is.
    interval : tuple of int and int
        At least half of the votes lie within: each subsample votes for the candidate that it scores best, and where
        the consensus decided, it does so by each of the five criteria.
    granularities : tuple of Granularity
        Up to three numbers, rising: the choice, and a coarser and a finer one where criteria have peaks.
    n_images, n_features : int
        Shape of the features for which the number was chosen.
    n_rows, n_components : int
        Shape of the sample on which candidates were tried.
    why : str
        The choice in a few sentences, with its doubt.
    """

    n_clusters: int
    criterion: str
    evidence: Mapping[str, tuple[CandidateScore, ...]]
    plausible: tuple[int, ...]
    interval: tuple[int, int]
    granularities: tuple[Granularity, ...]
    n_images: int
    n_features: int
    n_rows: int
    n_components: int
    why: str

    @property
    def curve(self) -> tuple[CandidateScore, ...]:
        """Every candidate with the score that decided."""
        return self.evidence[self.criterion]

    def to_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON-compatible data.

        Returns
        -------
        evidence : dict
            ``n_clusters``, ``criterion``, ``reason``, ``candidates``, ``plausible``, ``interval``, ``granularities``
            (each with ``name``, ``n_clusters`` and ``supporters``), ``n_images``, ``n_features``, ``n_rows``,
            ``n_components``; ``scores``: for each criterion a list in the order of ``candidates``, and under the name
            with ``_std`` behind it the standard deviation over the subsamples; ``choices``: for each criterion its
            best ``n_clusters``, the ``interval`` of its votes, and all its ``votes``.
        """
        scores = {}
        for name, curve in self.evidence.items():
            scores[name] = [row.score for row in curve]
            scores[f"{name}_std"] = [row.spread for row in curve]
        return {
            "n_clusters": self.n_clusters,
            "criterion": self.criterion,
            "reason": self.why,
            "candidates": [row.n_clusters for row in self.curve],
            "plausible": list(self.plausible),
            "interval": list(self.interval),
            "granularities": [
                {**granularity._asdict(), "supporters": list(granularity.supporters)}
                for granularity in self.granularities
            ],
            "n_images": self.n_images,
            "n_features": self.n_features,
            "n_rows": self.n_rows,
            "n_components": self.n_components,
            "choices": {name: _choice(curve) for name, curve in self.evidence.items()},
            "scores": scores,
        }


def best_of(curve: Sequence[CandidateScore]) -> CandidateScore:
    """Return the candidate of the best score; of equal ones the smallest."""
    return max(curve, key=lambda row: row.score)


def _choice(curve: Sequence[CandidateScore]) -> dict[str, Any]:
    ballots = votes(curve)
    return {"n_clusters": best_of(curve).n_clusters, "interval": list(middle_half(ballots)), "votes": ballots}

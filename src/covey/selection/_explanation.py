"""A choice of a number of clusters in a few sentences, doubt included."""

from collections.abc import Mapping, Sequence

from covey.selection._criteria import CandidateScore
from covey.selection._registry import CRITERIA, VOTERS
from covey.selection._result import best_of


def explain(
    criterion: str,
    evidence: Mapping[str, Sequence[CandidateScore]],
    plausible: Sequence[int],
    interval: tuple[int, int],
) -> str:
    """Say what was chosen, from what, how sure that is, and what the other criteria say."""
    curve = evidence[criterion]
    best = best_of(curve)
    tried = f"of {len(curve)} numbers tried from {curve[0].n_clusters} to {curve[-1].n_clusters}"
    if criterion == "consensus":
        parts = [f"{best.n_clusters} clusters are the median of the votes of {len(VOTERS)} criteria, {tried}."]
    else:
        score = f"{best.score:.3f} ± {best.spread:.3f}"
        parts = [f"{best.n_clusters} clusters have the best {words(criterion)} ({score}) {tried}."]
    parts += [_doubt(best, curve, plausible, interval), _agreement(criterion, evidence), _warning(evidence)]
    return " ".join(part for part in parts if part)


def words(criterion: str) -> str:
    """Write a criterion's name for a person."""
    title: str = CRITERIA.spec(criterion).title or criterion.replace("_", " ")
    return title.replace("\N{MULTIPLICATION SIGN}", "x")  # for terminals


def _doubt(
    best: CandidateScore, curve: Sequence[CandidateScore], plausible: Sequence[int], interval: tuple[int, int]
) -> str:
    half = f"lie from {interval[0]} to {interval[1]}" if interval[0] < interval[1] else f"are for {interval[0]}"
    doubt = f"At least half of the votes {half}."
    if 2 * len(plausible) > len(curve) > 2:
        return f"{doubt} The curve is flat: {len(plausible)} numbers from {plausible[0]} to {plausible[-1]} do as well."
    if best.n_clusters == curve[-1].n_clusters and len(curve) > 1:
        return f"{doubt} It is the largest number tried: a still larger one may be better."
    return doubt


def _agreement(criterion: str, evidence: Mapping[str, Sequence[CandidateScore]]) -> str:
    said = [f"{words(name)} {best_of(evidence[name]).n_clusters}" for name in VOTERS if name != criterion]
    return f"Each by itself: {', '.join(said)}."


def _warning(evidence: Mapping[str, Sequence[CandidateScore]]) -> str:
    if best_of(evidence["silhouette_stability"]).score <= 0.05:
        return "No number separates the images well: take it as a granularity, not as a finding."
    return ""

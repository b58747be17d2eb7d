"""The page about the number of clusters: what each criterion says, where they agree, and what else could be taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from covey.gallery._curve import Curve, across, meaning_of, read_curve, words_for
from covey.gallery._pages import Links, Page, Site
from covey.gallery._urls import readable

__all__ = ["Choice", "HowManyPage", "Option", "Votes", "build_how_many", "build_votes", "has_votes"]

ROW_HEIGHT = 48  # the name, and below it the line
MARGIN = 20


class Choice(NamedTuple):
    """What one criterion says: its best number, the middle half of its votes, and where they are drawn."""

    name: str
    meaning: str
    n_clusters: int
    low: int
    high: int
    x: float
    x_low: float
    x_high: float
    y: float
    is_deciding: bool


class Option(NamedTuple):
    """A number of clusters to take: its name, and the criteria that have a peak there, in words."""

    name: str
    n_clusters: int
    supporters: str


@dataclass(frozen=True, slots=True)
class Votes:
    """The choices of all criteria on one axis.

    Attributes
    ----------
    choices : tuple of Choice
        The deciding one first.
    ticks : tuple of (int, float)
        Numbers below the axis and where they stand.
    band : tuple of float
        Left and right end of the interval.
    width, height, left : int
        Of the drawing, and where its axis begins.
    """

    choices: tuple[Choice, ...]
    ticks: tuple[tuple[int, float], ...]
    band: tuple[float, float]
    width: int
    height: int
    left: int = MARGIN


@dataclass(frozen=True, slots=True)
class HowManyPage(Page):
    """The evidence for a number of clusters.

    Attributes
    ----------
    curve : Curve
        Every criterion over every number that was tried.
    votes : Votes
        Their choices.
    interval : tuple of int and int
        The middle half of the votes.
    n_plausible : int
        Numbers within one standard deviation of the best.
    options : tuple of Option
        Up to three numbers to take, rising.
    reason : str
        The choice in words.
    n_images, n_features, n_rows, n_components : int
        What the answer depends on.
    """

    template: ClassVar[str] = "k.html"
    curve: Curve
    votes: Votes
    interval: tuple[int, int]
    n_plausible: int
    options: tuple[Option, ...]
    reason: str
    n_images: int
    n_features: int
    n_rows: int
    n_components: int


def has_votes(evidence: Mapping[str, Any] | None) -> bool:
    """Say whether evidence holds the choice of every criterion, as that of older runs does not."""
    return bool(evidence and evidence.get("choices") and read_curve(evidence) is not None)


def build_how_many(evidence: Mapping[str, Any], *, url: str, site: Site, links: Links) -> HowManyPage:
    """Turn the evidence for a number of clusters into a page.

    Parameters
    ----------
    evidence : mapping
        What `covey.selection.NClustersResult.to_dict` gives; `has_votes` says yes to it.
    url, site, links
        What all pages have.

    Returns
    -------
    page : HowManyPage
        Ready to be rendered.
    """
    curve = read_curve(evidence)
    if curve is None:
        raise ValueError("The evidence has fewer than two candidates; ask has_votes before.")
    low, high = evidence["interval"]
    return HowManyPage(
        url=url,
        site=site,
        links=links,
        curve=curve,
        votes=build_votes(evidence["choices"], str(evidence["criterion"]), curve.candidates, (low, high)),
        interval=(low, high),
        n_plausible=len(evidence["plausible"]),
        options=tuple(_option(item) for item in evidence["granularities"]),
        reason=readable(str(evidence["reason"])),
        n_images=int(evidence["n_images"]),
        n_features=int(evidence["n_features"]),
        n_rows=int(evidence["n_rows"]),
        n_components=int(evidence["n_components"]),
    )


def build_votes(
    choices: Mapping[str, Mapping[str, Any]], criterion: str, candidates: Sequence[float], interval: tuple[int, int]
) -> Votes:
    """Place the choices of the criteria below each other.

    Parameters
    ----------
    choices : mapping of str to mapping
        For each criterion ``n_clusters`` and ``interval``.
    criterion : str
        What decided; it comes first.
    candidates : sequence of float
        All numbers that were tried, rising.
    interval : tuple of int and int
        What is shaded.

    Returns
    -------
    votes : Votes
        The drawing.
    """

    def place(number: float) -> float:
        return across(number, candidates, MARGIN)

    rows = []
    for row, name in enumerate(sorted(choices, key=lambda name: name != criterion)):
        number, (low, high) = int(choices[name]["n_clusters"]), choices[name]["interval"]
        rows.append(
            Choice(
                name=words_for(name),
                meaning=meaning_of(name),
                n_clusters=number,
                low=low,
                high=high,
                x=place(number),
                x_low=place(min(low, number)),
                x_high=place(max(high, number)),
                y=ROW_HEIGHT * (row + 0.7),
                is_deciding=name == criterion,
            )
        )
    ticks: list[tuple[int, float]] = []
    for candidate in map(int, candidates):
        if not ticks or place(candidate) - ticks[-1][1] >= 40:
            ticks.append((candidate, place(candidate)))
    return Votes(
        choices=tuple(rows),
        ticks=tuple(ticks),
        band=(place(interval[0]) - 8, place(interval[1]) + 8),
        width=640,
        height=ROW_HEIGHT * len(rows) + 68,
    )


def _option(item: Mapping[str, Any]) -> Option:
    supporters = ", ".join(words_for(str(name)) for name in item["supporters"])
    return Option(readable(str(item["name"])), int(item["n_clusters"]), supporters)

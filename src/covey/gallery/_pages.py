"""The pages of a gallery as plain records, and how they come from what a project knows.

No HTML, no file and no database in here: a page is data, so that a static export and a server can show the same one.
`gallery_pages` in `_walk.py` feeds these functions from a project; `render_page` in `_render.py` turns a page to HTML.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from covey.gallery._pager import Pager
from covey.gallery._urls import cluster_url, path_url, readable
from covey.types import ClusterSummary

if TYPE_CHECKING:
    from covey.gallery._curve import Curve
    from covey.gallery.live._controls import Controls
    from covey.store import Member

__all__ = [
    "Card", "CardGroup", "ClusterLink", "ClusterPage", "IndexPage", "Links", "Page", "Picture", "Site", "UnsurePage",
    "build_card", "build_picture", "cluster_name", "group_cards", "is_even", "link_clusters",
]  # fmt: skip

# A tile is never flatter or taller than this, so that one panorama does not fill a row; the large view shows all of it.
FLATTEST, TALLEST = 2.4, 0.55
# Pictures whose shapes differ by less than this factor stand in columns rather than in rows of one height.
EVEN = 1.06
# Of so many clusters a group shows a picture while it is closed.
N_GROUP_PICTURES = 6


@dataclass(frozen=True, slots=True)
class Site:
    """What every page of one gallery says.

    Attributes
    ----------
    title : str
        Name of the collection.
    date : str
        When the partition was made, for a person.
    n_images, n_clusters, n_unsure, n_skipped : int
        The numbers beside the links to the pages.
    version : str
        Version of covey that wrote it.
    has_votes : bool
        Whether there is a page about the number of clusters.
    n_suggested_later : int or None
        What `covey k` has suggested since, where that is another number than the run has clusters.
    """

    title: str
    date: str
    n_images: int
    n_clusters: int
    n_unsure: int
    n_skipped: int
    version: str
    has_votes: bool = False
    n_suggested_later: int | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """Where things lie, seen from the folder of a page.

    Attributes
    ----------
    root : str
        URL prefix of the gallery's own folder, empty or ending with ``/``.
    thumbnails, images : str
        URL prefixes of the thumbnails and of the collection, ending with ``/``.
    has_thumbnail : callable
        Says of an image id whether its thumbnail exists.
    """

    root: str
    thumbnails: str
    images: str
    has_thumbnail: Callable[[str], bool]

    def thumbnail(self, image_id: str) -> str | None:
        """Return the URL of a thumbnail, None if there is none."""
        return f"{self.thumbnails}{image_id[:2]}/{image_id}.webp" if self.has_thumbnail(image_id) else None

    def original(self, path: str, _image_id: str = "") -> str:
        """Return the URL of a file from its path within the collection, or from an absolute path."""
        if path.startswith("/"):
            return f"file://{path_url(path)}"
        if path[1:3] == ":/":  # a drive of Windows
            return f"file:///{path_url(path)}"
        return self.images + path_url(path)

    def page(self, url: str) -> str:
        """Return the URL of another page of the gallery."""
        return self.root + url

    def cluster(self, label: int, number: int = 1) -> str:
        """Return the URL of a page of a cluster."""
        return self.page(cluster_url(label, number))


@dataclass(frozen=True, slots=True)
class ClusterLink:
    """A cluster mentioned on another page: its words, its first page and one picture of it."""

    label: int
    name: str
    url: str
    thumbnail: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One image on a page.

    Attributes
    ----------
    name, path : str
        File name and path within the collection, for reading.
    original : str
        URL of the file.
    thumbnail : str or None
        URL of its thumbnail.
    width, height : int
        Size of the image in pixels; 0 if unknown.
    box : tuple of int
        Width and height of its tile, up to scale: the image's shape, kept within bounds.
    confidence : float or None
        In [0, 1].
    cluster, second : ClusterLink or None
        Where it is and where it could be, where the page has to say so.
    copies : tuple of str
        Further paths that hold the same bytes, for reading.
    id : str
        Id of the image.
    mark : str
        What a person said of it, ``"by hand"`` or ``"confirmed"``; empty if nothing. Served pages alone show it.
    """

    name: str
    path: str
    original: str
    thumbnail: str | None
    width: int = 0
    height: int = 0
    box: tuple[int, int] = (256, 256)
    confidence: float | None = None
    cluster: ClusterLink | None = None
    second: ClusterLink | None = None
    copies: tuple[str, ...] = ()
    id: str = ""
    mark: str = ""

    @property
    def shape(self) -> str:
        """Return how the tile may stretch: ``"tall"``, ``"square"`` or ``"wide"``."""
        ratio = self.box[0] / self.box[1]
        return "tall" if ratio < 0.85 else "wide" if ratio > 1.2 else "square"


@dataclass(frozen=True, slots=True)
class Card:
    """One cluster on the first page and at the head of its own pages.

    Attributes
    ----------
    label : int
        The cluster's label.
    name : str
        Its words.
    url : str
        Its first page.
    size : int
        Number of images.
    share : float
        Share of all images of the partition, in [0, 1].
    mean_confidence, cohesion : float
        As in `covey.types.ClusterSummary`.
    pictures : tuple of (str or None)
        URLs of thumbnails of its representatives, the most typical first.
    runners_up : tuple of str
        Other words that came close.
    name_score : float
        How well the words fit, in [0, 1]; 0 if nobody scored them.
    runner_up_scores : tuple of float
        The same for each of the other words, or empty.
    clarity : str
        ``"clear"``, ``"mixed"`` or ``"loose"``; empty for a run that did not record it.
    n_unsure : int
        Images that similar images of other clusters outvote; see `covey.certainty`.
    mark : str
        What a person said of it, ``"reviewed, 2 new"``; empty if nothing.
    """

    label: int
    name: str
    url: str
    size: int
    share: float
    mean_confidence: float
    cohesion: float
    pictures: tuple[str | None, ...] = ()
    runners_up: tuple[str, ...] = ()
    name_score: float = 0.0
    runner_up_scores: tuple[float, ...] = ()
    clarity: str = ""
    n_unsure: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True)
class CardGroup:
    """Clusters that belong together.

    Attributes
    ----------
    number : int
        From 1; group 1 has most images.
    size : int
        Number of images.
    share : float
        Share of all images of the partition, in [0, 1].
    cards : sequence of Card
        Its clusters, largest first.
    """

    number: int
    size: int
    share: float
    cards: Sequence[Card]

    @property
    def pictures(self) -> tuple[str | None, ...]:
        """Return the most typical picture of each of its largest clusters."""
        return tuple(card.pictures[0] for card in self.cards[:N_GROUP_PICTURES] if card.pictures)


@dataclass(frozen=True, slots=True)
class Page:
    """What all pages have: the file they become, and where things lie seen from it.

    A page that a server shows has `controls`, with which a person edits; one that is written to disk has none.
    """

    template: ClassVar[str]
    url: str
    site: Site
    links: Links
    controls: "Controls | None" = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class IndexPage(Page):
    """All clusters.

    Attributes
    ----------
    cards : sequence of Card
        Largest first.
    n_found, n_duplicates : int
        From the ledger: paths that were found, and those that repeat another file.
    n_added : int
        Images that came to the project after this partition was made.
    curve : Curve or None
        How the number of clusters was chosen.
    groups : sequence of CardGroup
        The same cards in groups, the largest first; empty if there are no groups.
    pager : Pager or None
        The way through many cards; None if all are on this page.
    """

    template: ClassVar[str] = "index.html"
    cards: Sequence[Card]
    n_found: int
    n_duplicates: int
    n_added: int
    curve: "Curve | None"
    groups: Sequence[CardGroup] = ()
    pager: Pager | None = None


@dataclass(frozen=True, slots=True)
class ClusterPage(Page):
    """One page of the members of a cluster, the surest first; the first page also shows the representatives."""

    template: ClassVar[str] = "cluster.html"
    card: Card
    rank: int
    representatives: Sequence[Picture]
    pictures: Sequence[Picture]
    pager: Pager
    nearest: ClusterLink | None
    previous: ClusterLink | None
    next: ClusterLink | None


@dataclass(frozen=True, slots=True)
class UnsurePage(Page):
    """The images that were hardest to place, the least sure first."""

    template: ClassVar[str] = "unsure.html"
    pictures: Sequence[Picture]


def cluster_name(summary: ClusterSummary) -> str:
    """Return the words for a cluster, or its number if nobody named it."""
    if summary.name.name.strip():
        return readable(summary.name.name)
    return f"Cluster {summary.label}" if summary.label >= 0 else "No cluster"


def link_clusters(summaries: Sequence[ClusterSummary], links: Links) -> dict[int, ClusterLink]:
    """Return for each label the words, the URL and the picture with which another page mentions the cluster."""
    return {
        summary.label: ClusterLink(
            label=summary.label,
            name=cluster_name(summary),
            url=links.cluster(summary.label),
            thumbnail=links.thumbnail(summary.representatives[0]) if summary.representatives else None,
        )
        for summary in summaries
    }


def build_card(
    summary: ClusterSummary,
    n_images: int,
    links: Links,
    *,
    n_pictures: int = 5,
    mark: str = "",
    certainty: Mapping[str, Any] | None = None,
) -> Card:
    """Describe one cluster.

    Parameters
    ----------
    summary : ClusterSummary
        The cluster.
    n_images : int
        Images of the whole partition.
    links : Links
        Where things lie, seen from the page that will hold the card.
    n_pictures : int, default=5
        How many representatives to show.
    mark : str, default=""
        What a person said of it.
    certainty : mapping, optional
        ``word`` and ``n_unsure`` of the cluster, as `covey.certainty.describe_certainty` gives them.

    Returns
    -------
    card : Card
        Ready for the page.
    """
    return Card(
        label=summary.label,
        name=cluster_name(summary),
        url=links.cluster(summary.label),
        size=summary.size,
        share=summary.size / max(n_images, 1),
        mean_confidence=summary.mean_confidence,
        cohesion=summary.cohesion,
        pictures=tuple(links.thumbnail(image_id) for image_id in summary.representatives[:n_pictures]),
        runners_up=tuple(readable(word) for word in summary.name.runners_up),
        name_score=summary.name.score,
        runner_up_scores=summary.name.runner_up_scores,
        clarity=str((certainty or {}).get("word", "")),
        n_unsure=int((certainty or {}).get("n_unsure", 0)),
        mark=mark,
    )


def group_cards(cards: Sequence[Card], groups: Mapping[int, int], n_images: int) -> tuple[CardGroup, ...]:
    """Put cards into groups.

    Parameters
    ----------
    cards : sequence of Card
        Largest first.
    groups : mapping of int to int
        The group of each cluster, as `covey.store.read_groups` gives it; a card without one, that of images in no
        cluster, comes last, in a group of its own.
    n_images : int
        Images of the whole partition.

    Returns
    -------
    groups : tuple of CardGroup
        Empty if there are no groups.
    """
    if not groups:
        return ()
    n_groups = max(groups.values()) + 1
    members: dict[int, list[Card]] = {}
    for card in cards:
        members.setdefault(groups.get(card.label, n_groups), []).append(card)
    found = []
    for number in sorted(members):
        size = sum(card.size for card in members[number])
        found.append(CardGroup(number + 1, size, size / max(n_images, 1), members[number]))
    return tuple(found)


def build_picture(
    member: "Member",
    links: Links,
    *,
    clusters: Mapping[int, ClusterLink] | None = None,
    copies: Sequence[str] = (),
) -> Picture:
    """Describe one image of a cluster.

    Parameters
    ----------
    member : Member
        The image as the project knows it.
    links : Links
        Where things lie, seen from the page that will hold the picture.
    clusters : mapping of int to ClusterLink, optional
        The clusters by label; given where the page has to say which cluster the image is in.
    copies : sequence of str
        Further paths that hold the same bytes.

    Returns
    -------
    picture : Picture
        Ready for the page.
    """
    path = readable(member.path)
    return Picture(
        name=readable(member.path.rpartition("/")[2]),
        path=path,
        original=links.original(member.path, member.id),
        thumbnail=links.thumbnail(member.id),
        width=member.width,
        height=member.height,
        box=_box(member.width, member.height),
        confidence=member.confidence,
        cluster=clusters.get(member.label) if clusters else None,
        second=clusters.get(member.second_label) if clusters else None,
        copies=tuple(readable(copy) for copy in copies),
        id=member.id,
    )


def _box(width: int, height: int) -> tuple[int, int]:
    """Return the shape of a tile, its longer side 256, neither too flat nor too tall."""
    if width < 1 or height < 1:
        return 256, 256
    ratio = min(max(width / height, TALLEST), FLATTEST)
    return (256, round(256 / ratio)) if ratio >= 1 else (round(256 * ratio), 256)


def is_even(pictures: Sequence[Picture]) -> bool:
    """Say whether all pictures have nearly one shape, so that they can stand in columns."""
    ratios = [picture.box[0] / picture.box[1] for picture in pictures]
    return not ratios or max(ratios) < EVEN * min(ratios)

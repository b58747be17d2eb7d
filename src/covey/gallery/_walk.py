"""From a project to the pages of its gallery, one after another: never all pictures in memory at once."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import covey
from covey.gallery._about import AboutPage, build_tables, date_in_words, find_caveats
from covey.gallery._curve import read_beta_sweep, read_curve
from covey.gallery._how_many import HowManyPage, build_how_many, has_votes
from covey.gallery._pager import build_pager, count_pages
from covey.gallery._pages import (
    Card,
    ClusterLink,
    ClusterPage,
    IndexPage,
    Links,
    Page,
    Picture,
    Site,
    UnsurePage,
    build_card,
    build_picture,
    group_cards,
    link_clusters,
)
from covey.gallery._skipped import SkippedPage, group_skipped, sort_failures
from covey.gallery._structure import read_structure
from covey.gallery._urls import cluster_url, folder_url, readable
from covey.store import read_groups
from covey.types import NOISE, ClusterName, ClusterSummary, ImageFailure

if TYPE_CHECKING:
    from covey.corrections import Corrected
    from covey.store import Ledger, Member, PartitionInfo, Project

__all__ = [
    "MANY_CLUSTERS", "SKIPPED_PER_PAGE", "Walk", "build_about_page", "build_cluster_page", "build_evidence_page",
    "build_index_page", "build_skipped_page", "build_unsure_page", "count_gallery_pages", "gallery_pages", "plan_walk",
]  # fmt: skip

# Members are fetched this many pages at a time: a database counts through all rows before an offset.
PAGES_PER_FETCH = 50
# A tenth of the images is shown as unsure, within these bounds.
FEWEST_UNSURE, MOST_UNSURE = 12, 200
SKIPPED_PER_PAGE = 1000
# From this many clusters on, a card shows fewer pictures, so that the first page stays light.
MANY_CLUSTERS = 1000


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it was computed, in the form in which `Walk` reads any result.

    Attributes
    ----------
    project : Project
        Where everything is read from.
    info : PartitionInfo
        The partition.
    """

    project: "Project"
    info: "PartitionInfo"

    def clusters(self) -> Sequence[ClusterSummary]:
        """Return the clusters, largest first."""
        return self.project.clusters(self.info.id)

    def members(self, label: int, *, offset: int = 0, limit: int | None = None) -> Sequence["Member"]:
        """Return the images of a cluster, surest first."""
        return self.project.members(self.info.id, label, offset=offset, limit=limit)

    def borderline(self, *, limit: int = 200) -> Sequence["Member"]:
        """Return the least sure images, least sure first."""
        return self.project.borderline(self.info.id, limit=limit)

    def count_added(self) -> int:
        """Return how many images have come to the project since the run."""
        return max(0, self.project.ledger().n_embedded - self.info.n_images)

    def mark(self, _label: int) -> str:
        """Return what is said of a cluster besides its name; nobody has said anything of a run's."""
        return ""


@dataclass(frozen=True, slots=True)
class Walk:
    """What is needed to make any page of one gallery.

    Attributes
    ----------
    project : Project
        Where everything is read from.
    view : RunView or Corrected
        The result that is shown.
    info : PartitionInfo
        The partition, or the base run of a corrected result.
    out : Path
        Absolute path of the gallery's folder.
    page_size : int
        Images a page.
    summaries : sequence of ClusterSummary
        Largest first; noise, if there is any, last.
    by_label : mapping of int to ClusterSummary
        The same by label.
    failures : sequence of ImageFailure
        In the order of the page.
    ledger : Ledger
        Where every found path went.
    unsure : sequence of Member
        The least sure images.
    site : Site
        What every page says.
    evidence : mapping or None
        For the number of clusters: of this run or of the project, whichever is younger.
    """

    project: "Project"
    view: "RunView | Corrected"
    info: "PartitionInfo"
    out: Path
    page_size: int
    summaries: Sequence[ClusterSummary]
    by_label: Mapping[int, ClusterSummary]
    failures: Sequence[ImageFailure]
    ledger: "Ledger"
    unsure: Sequence["Member"]
    site: Site
    evidence: Mapping[str, Any] | None

    def links(self, folder: str = "") -> Links:
        """Return where things lie, seen from a folder of the gallery."""
        start = self.out / folder
        images = self.project.image_root or self.project.root
        return Links(
            root="../" * len(Path(folder).parts),
            thumbnails=folder_url(self.project.thumbnails, start),
            images=folder_url(images, start),
            has_thumbnail=partial(_has_thumbnail, str(self.project.thumbnails)),
        )


def _has_thumbnail(folder: str, image_id: str) -> bool:
    return os.access(f"{folder}/{image_id[:2]}/{image_id}.webp", os.R_OK)


def plan_walk(
    project: "Project", partition_id: int, out: Path, page_size: int, *, corrected: "Corrected | None" = None
) -> Walk:
    """Read what all pages share.

    Parameters
    ----------
    project : Project
        Where everything is read from.
    partition_id : int
        The partition to show.
    out : Path
        The gallery's folder.
    page_size : int
        Images a page.
    corrected : Corrected, optional
        The corrected result, to be shown in place of the partition.

    Returns
    -------
    walk : Walk
        For `gallery_pages`.
    """
    view = corrected or RunView(project, project.partition_info(partition_id))
    info = view.info
    ledger = project.ledger()
    summaries = _with_noise(view, view.clusters())
    n_unsure = min(max(info.n_images // 10, FEWEST_UNSURE), MOST_UNSURE)
    unsure = view.borderline(limit=n_unsure) if len(summaries) > 1 else []
    evidence = _latest_evidence(project, info)
    site = Site(
        title=readable(project.root.resolve().name.removesuffix(".covey")) or "Pictures",
        date=date_in_words(info.created_at),
        n_images=info.n_images,
        n_clusters=info.n_clusters,
        n_unsure=len(unsure),
        n_skipped=sum(ledger.failures.values()),
        version=covey.__version__,
        has_votes=evidence is not None,
        n_suggested_later=_suggested_later(info, evidence),
    )
    return Walk(
        project=project,
        view=view,
        info=info,
        out=out.resolve(),
        page_size=page_size,
        summaries=summaries,
        by_label={summary.label: summary for summary in summaries if summary.label != NOISE},
        failures=sort_failures(project.failures()),
        ledger=ledger,
        unsure=unsure,
        site=site,
        evidence=evidence,
    )


def _latest_evidence(project: "Project", info: "PartitionInfo") -> Mapping[str, Any] | None:
    """Return what `covey k` wrote since the run, or else what the run chose its number by; None if that is no page."""
    own, later = info.info.get("selection"), project.evidence()
    is_later = later is not None and str(later.get("created_at", "")) >= info.created_at
    evidence = later if is_later or own is None else own
    return evidence if has_votes(evidence) else None


def _suggested_later(info: "PartitionInfo", evidence: Mapping[str, Any] | None) -> int | None:
    """Return what evidence that is not the run's own suggests, if that is another number than it has clusters."""
    if evidence is None or evidence is info.info.get("selection") or int(evidence["n_clusters"]) == info.n_clusters:
        return None
    return int(evidence["n_clusters"])


def _card(walk: Walk, summary: ClusterSummary, links: Links, n_pictures: int = 5) -> Card:
    """Describe a cluster with what a person said of it and what the run recorded of its certainty."""
    mark = walk.view.mark(summary.label)
    certainty = _recorded(walk, "certainty").get("clusters", {}).get(str(summary.label))
    return build_card(summary, walk.info.n_images, links, n_pictures=n_pictures, mark=mark, certainty=certainty)


def _recorded(walk: Walk, name: str) -> Mapping[str, Any]:
    """Return what a run recorded of its clusters; nothing for a corrected result, whose clusters are others."""
    return (walk.info.info.get(name) or {}) if isinstance(walk.view, RunView) else {}


def _with_noise(view: "RunView | Corrected", summaries: Sequence[ClusterSummary]) -> Sequence[ClusterSummary]:
    """Add a summary of the images that no cluster holds, if there are any and nobody made one."""
    n_left = view.info.n_images - sum(summary.size for summary in summaries)
    if n_left <= 0:
        return summaries
    ids = tuple(member.id for member in view.members(NOISE, limit=12))
    name = ClusterName(NOISE, "In no cluster", 0.0)
    return [*summaries, ClusterSummary(NOISE, name, n_left, 0.0, 0.0, NOISE, ids, ())]


def count_gallery_pages(walk: Walk) -> int:
    """Return how many pages `gallery_pages` yields."""
    n_cluster_pages = sum(count_pages(summary.size, walk.page_size) for summary in walk.summaries)
    return n_cluster_pages + count_pages(len(walk.failures), SKIPPED_PER_PAGE) + 3 + walk.site.has_votes


def gallery_pages(walk: Walk) -> Iterator[Page]:
    """Yield every page of a gallery, the first page last.

    Parameters
    ----------
    walk : Walk
        What `plan_walk` returned.

    Yields
    ------
    page : Page
        Each with its own URL.
    """
    for rank in range(len(walk.summaries)):
        yield from _cluster_pages(walk, rank)
    yield build_unsure_page(walk)
    for number in range(1, count_pages(len(walk.failures), SKIPPED_PER_PAGE) + 1):
        yield build_skipped_page(walk, number)
    if walk.evidence is not None:
        yield build_evidence_page(walk, walk.evidence)
    yield build_about_page(walk)
    yield build_index_page(walk)


def _cluster_pages(walk: Walk, rank: int) -> Iterator[ClusterPage]:
    for number, members in enumerate(_pages_of_members(walk, walk.summaries[rank]), start=1):
        yield build_cluster_page(walk, rank, number, members)


def build_cluster_page(walk: Walk, rank: int, number: int, members: Sequence["Member"]) -> ClusterPage:
    """Return one page of a cluster.

    Parameters
    ----------
    walk : Walk
        What `plan_walk` returned.
    rank : int
        Place of the cluster in its order, from 0.
    number : int
        Which page, from 1; the first one has the representatives.
    members : sequence of Member
        The images of the page.
    """
    summary = walk.summaries[rank]
    links = walk.links("clusters")
    beside = walk.summaries[max(0, rank - 1) : rank + 2]
    nearest = walk.by_label.get(summary.nearest_label)
    mentions = link_clusters([*beside, nearest] if nearest else beside, links)

    def mention(position: int) -> ClusterLink | None:
        return mentions[walk.summaries[position].label] if 0 <= position < len(walk.summaries) else None

    return ClusterPage(
        url=cluster_url(summary.label, number),
        site=walk.site,
        links=links,
        card=_card(walk, summary, links),
        rank=rank + 1,
        representatives=_representatives(walk, summary, links) if number == 1 else (),
        pictures=[_member_picture(walk, member, links) for member in members],
        pager=build_pager(number, summary.size, walk.page_size, lambda page: links.cluster(summary.label, page)),
        nearest=mentions[nearest.label] if nearest else None,
        previous=mention(rank - 1),
        next=mention(rank + 1),
    )


def _pages_of_members(walk: Walk, summary: ClusterSummary) -> Iterator[Sequence["Member"]]:
    """Yield the members of a cluster page by page; a fetch covers many pages."""
    n_fetch = PAGES_PER_FETCH * walk.page_size
    for offset in range(0, max(summary.size, 1), n_fetch):
        block = walk.view.members(summary.label, offset=offset, limit=n_fetch)
        for start in range(0, max(len(block), 1), walk.page_size):
            yield block[start : start + walk.page_size]


def _member_picture(walk: Walk, member: "Member", links: Links) -> Picture:
    return build_picture(member, links, copies=_copies(walk, member.id))


def _copies(walk: Walk, image_id: str) -> list[str]:
    """Return the further paths of an image, seen from the collection."""
    if not walk.ledger.n_duplicates:
        return []
    return walk.project.paths_of(image_id)[1:]


def _representatives(walk: Walk, summary: ClusterSummary, links: Links) -> list[Picture]:
    pictures = []
    for image_id in summary.representatives:
        path = walk.project.paths_of(image_id)[0]
        name = readable(path.rpartition("/")[2])
        original = links.original(path, image_id)
        pictures.append(Picture(name, readable(path), original, links.thumbnail(image_id), id=image_id))
    return pictures


def build_unsure_page(walk: Walk) -> UnsurePage:
    """Return the page of the images that were hardest to place."""
    links = walk.links()
    mentions = link_clusters(walk.summaries, links)
    pictures = [build_picture(member, links, clusters=mentions) for member in walk.unsure]
    return UnsurePage(url="unsure.html", site=walk.site, links=links, pictures=pictures)


def build_skipped_page(walk: Walk, number: int) -> SkippedPage:
    """Return one page of the files that could not take part, from 1."""
    links = walk.links()
    totals = Counter(failure.code for failure in walk.failures)
    shown = walk.failures[(number - 1) * SKIPPED_PER_PAGE : number * SKIPPED_PER_PAGE]
    return SkippedPage(
        url=_skipped_url(number),
        site=walk.site,
        links=links,
        groups=group_skipped(shown, totals, links, lambda failure: walk.project.relative_path(failure.path)),
        pager=build_pager(number, len(walk.failures), SKIPPED_PER_PAGE, lambda page: links.page(_skipped_url(page))),
        n_found=walk.ledger.n_found,
    )


def _skipped_url(number: int) -> str:
    return "skipped.html" if number == 1 else f"skipped-{number}.html"


def build_evidence_page(walk: Walk, evidence: Mapping[str, Any]) -> HowManyPage:
    """Return the page about the number of clusters."""
    return build_how_many(evidence, url="k.html", site=walk.site, links=walk.links())


def build_about_page(walk: Walk) -> AboutPage:
    """Return the page about the run."""
    selection = walk.info.info.get("selection") or {}
    return AboutPage(
        url="about.html",
        site=walk.site,
        links=walk.links(),
        method=readable(walk.info.method),
        backbones=tuple(readable(name) for name in walk.info.backbones),
        n_found=walk.ledger.n_found,
        n_duplicates=walk.ledger.n_duplicates,
        curve=read_curve(selection),
        sweep=read_beta_sweep((walk.info.info.get("diagnostics") or {}).get("beta_sweep")),
        reason=readable(str(selection.get("reason", ""))),
        structure=read_structure(walk.info.info.get("structure")),
        tables=build_tables(walk.info, walk.ledger),
        caveats=find_caveats(walk.info),
        cards=[_card(walk, summary, walk.links(), 0) for summary in walk.by_label.values()],
    )


def build_index_page(walk: Walk) -> IndexPage:
    """Return the first page: all clusters."""
    links = walk.links()
    n_pictures = 5 if len(walk.summaries) <= MANY_CLUSTERS else 1
    cards = [_card(walk, summary, links, n_pictures) for summary in walk.summaries]
    return IndexPage(
        url="index.html",
        site=walk.site,
        links=links,
        cards=cards,
        groups=group_cards(cards, read_groups({"tree": _recorded(walk, "tree")}), walk.info.n_images),
        n_found=walk.ledger.n_found,
        n_duplicates=walk.ledger.n_duplicates,
        n_added=walk.view.count_added(),
        curve=read_curve(walk.info.info.get("selection")),
    )

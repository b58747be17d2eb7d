"""From a request to the record of a page: every function reads, none changes anything."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from covey.curation import CONFIRMED, PERSON, Curation, describe_edit, is_live
from covey.gallery._pager import build_pager, count_pages
from covey.gallery._pages import Card, ClusterPage, Page, Picture, build_card
from covey.gallery._walk import (
    MANY_CLUSTERS,
    SKIPPED_PER_PAGE,
    build_about_page,
    build_cluster_page,
    build_evidence_page,
    build_index_page,
    build_skipped_page,
    build_unsure_page,
)
from covey.gallery.live._controls import Controls, Entry, HiddenPage, HistoryPage, MessagePage, Target
from covey.gallery.live._refusals import RefusalError, RejectedEditError
from covey.gallery.live._served import LiveWalk, ServedProject
from covey.types import NOISE, ClusterName, ClusterSummary, Edit

__all__ = [
    "PAGES",
    "ClusterMovedError",
    "Reader",
    "is_place",
    "message_page",
    "page_to_dict",
    "read_cluster",
    "read_state",
]

CARDS_PER_PAGE = 500
N_ENTRIES = 500
_TITLES = {404: "Not here", 409: "This does not fit any more", 422: "This cannot be done", 503: "Not now"}
_MARKS = {PERSON: "by hand", CONFIRMED: "confirmed"}
_PLACE = re.compile(r"(|unsure|reviewed|hidden|history|about|skipped|k|clusters/(\d{1,9}|none))(\?page=\d{1,6})?")

Query = Mapping[str, str]
Reader = Callable[[ServedProject, Query, bool], Page]


class ClusterMovedError(Exception):
    """A cluster was merged into another one, under whose address it is found."""

    def __init__(self, cluster: int) -> None:
        super().__init__(f"The cluster was merged into {cluster}.")
        self.cluster = cluster


def is_place(text: str) -> bool:
    """Tell whether a text is the address of a page, seen from the first one."""
    return _PLACE.fullmatch(text) is not None


def read_index(served: ServedProject, query: Query, is_read_only: bool) -> Page:
    """Return the first page, or one of several if there are very many clusters."""
    walk = served.walk()
    page = build_index_page(walk)
    number = _page_number(query, len(page.cards), CARDS_PER_PAGE)
    if len(page.cards) > CARDS_PER_PAGE:
        cards = page.cards[(number - 1) * CARDS_PER_PAGE : number * CARDS_PER_PAGE]
        pager = build_pager(number, len(page.cards), CARDS_PER_PAGE, lambda n: f"./?page={n}")
        page = replace(page, cards=cards, pager=pager)
    return _with_controls(served, page, query, is_read_only, "" if number == 1 else f"?page={number}")


def read_reviewed(served: ServedProject, query: Query, is_read_only: bool) -> Page:
    """Return the first page with no other clusters than those that somebody has looked through."""
    page = build_index_page(served.walk())
    clusters = served.state.clusters
    cards = [card for card in page.cards if card.label in clusters and clusters[card.label].is_reviewed]
    page = replace(page, url="reviewed", cards=cards, curve=None)
    return _with_controls(served, page, query, is_read_only, "reviewed")


def read_cluster(served: ServedProject, name: str, query: Query, is_read_only: bool) -> Page:
    """Return one page of a cluster.

    Parameters
    ----------
    served : ServedProject
        The project.
    name : str
        Its number, or ``none`` for the images in no cluster.
    query : mapping of str to str
        ``page``, from 1.
    is_read_only : bool
        Whether nothing can be edited.

    Raises
    ------
    ClusterMovedError
        If it was merged into another cluster.
    RefusalError
        404 if there is no such cluster or page.
    """
    walk = served.walk()
    label = NOISE if name == "none" else int(name)
    rank = next((rank for rank, summary in enumerate(walk.summaries) if summary.label == label), None)
    if rank is None:
        page = _page_without_rank(served, walk, label)
        return _with_controls(served, page, query, is_read_only, f"clusters/{name}")
    size, per_page = walk.summaries[rank].size, walk.page_size
    number = _page_number(query, size, per_page)
    members = walk.view.members(label, offset=(number - 1) * per_page, limit=per_page)
    page = build_cluster_page(walk, rank, number, members)
    back = f"clusters/{name}" if number == 1 else f"clusters/{name}?page={number}"
    return _with_controls(served, replace(page, pictures=_marked(served, page.pictures)), query, is_read_only, back)


def read_unsure(served: ServedProject, query: Query, is_read_only: bool) -> Page:
    """Return the images that were hardest to place and that no hand has placed since."""
    page = build_unsure_page(served.walk())
    return _with_controls(served, page, query, is_read_only, "unsure")


def read_hidden(served: ServedProject, query: Query, is_read_only: bool) -> Page:
    """Return the clusters that are left out of all other pages."""
    walk, state = served.walk(), served.state
    hidden = [cluster.id for cluster in state.alive if cluster.is_hidden]
    cards = sorted((_bare_card(served, walk, number) for number in hidden), key=lambda card: (-card.size, card.label))
    page = HiddenPage(url="hidden", site=walk.site, links=walk.links(), cards=cards)
    return _with_controls(served, page, query, is_read_only, "hidden")


def read_history(served: ServedProject, query: Query, is_read_only: bool) -> Page:
    """Return the newest edits."""
    walk = served.walk()
    edits = [edit for edit in served.curation.edits if edit.op != "start"]
    entries = [_entry(served, edit) for edit in edits[-N_ENTRIES:][::-1]]
    page = HistoryPage(url="history", site=walk.site, links=walk.links(), entries=entries)
    return _with_controls(served, page, query, is_read_only, "history")


def read_about(served: ServedProject, query: Query, is_read_only: bool) -> Page:
    """Return the page about the run."""
    return _with_controls(served, build_about_page(served.walk()), query, is_read_only, "about")


def read_evidence(served: ServedProject, query: Query, is_read_only: bool) -> Page:
    """Return the page about the number of clusters."""
    walk = served.walk()
    if walk.evidence is None:
        raise RefusalError(404, "unknown", "No number of clusters was searched; `covey k PROJECT` does so.")
    return _with_controls(served, build_evidence_page(walk, walk.evidence), query, is_read_only, "k")


def read_skipped(served: ServedProject, query: Query, is_read_only: bool) -> Page:
    """Return one page of the files that could not take part."""
    walk = served.walk()
    number = _page_number(query, len(walk.failures), SKIPPED_PER_PAGE)
    return _with_controls(served, build_skipped_page(walk, number), query, is_read_only, "skipped")


PAGES: Final[Mapping[str, Reader]] = {
    "": read_index,
    "unsure": read_unsure,
    "reviewed": read_reviewed,
    "hidden": read_hidden,
    "history": read_history,
    "about": read_about,
    "k": read_evidence,
    "skipped": read_skipped,
}


def read_state(served: ServedProject, query: Query) -> dict[str, Any] | None:
    """Return the edits since one that a page has seen, None if there are none."""
    text = query.get("seq", "0")
    if not text.isdecimal() or len(text) > 18:
        raise RefusalError(400, "bad_request", f"seq is {text!r}; it must be the number of an edit.")
    served.curation.refresh()
    later = [edit for edit in served.curation.edits if edit.seq > int(text) and edit.op != "start"]
    if not later and served.state.seq <= int(text):
        return None
    return {"seq": served.state.seq, "edits": [_entry(served, edit)._asdict() for edit in later]}


def message_page(served: ServedProject, refusal: RefusalError, is_read_only: bool) -> Page:
    """Return a refusal as a page, with the ways out that there are."""
    title = _TITLES.get(refusal.status, "This was refused")
    walk = served.walk()
    page = MessagePage(
        url="message",
        site=walk.site,
        links=walk.links(),
        title=title,
        message=refusal.message,
        choices=refusal.choices if isinstance(refusal, RejectedEditError) else (),
    )
    return _with_controls(
        served, page, {}, is_read_only, refusal.back if isinstance(refusal, RejectedEditError) else ""
    )


def page_to_dict(page: Page) -> dict[str, Any]:
    """Return a page for programs: all that it shows, by the names of its record; NaN becomes None."""
    left_out = {"links", "controls", "url"}
    shown = {part.name: getattr(page, part.name) for part in dataclasses.fields(page) if part.name not in left_out}
    controls = page.controls
    if controls is not None:
        shown |= {"seq": controls.seq, "is_read_only": controls.is_read_only, "groups": dict(controls.groups)}
    told: dict[str, Any] = _plain(shown)
    return told


def _plain(value: Any) -> Any:
    """Return dataclasses and named tuples as dicts, and what JSON has no word for as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name)) for part in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _page_number(query: Query, n_items: int, per_page: int) -> int:
    text = query.get("page", "1")
    n_pages = count_pages(n_items, per_page)
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= n_pages:
        raise RefusalError(404, "unknown", f"The page is {text!r}; there are pages 1 to {n_pages}.")
    return int(text)


def _page_without_rank(served: ServedProject, walk: LiveWalk, label: int) -> Page:
    """Return the page of a cluster that no list shows: hidden, empty, or none at all."""
    cluster = served.state.clusters.get(label)
    if label != NOISE and cluster is None:
        raise RefusalError(404, "unknown", f"There is no cluster {label}.")
    if cluster is not None and cluster.is_retired:
        if cluster.merged_into is not None:
            raise ClusterMovedError(cluster.merged_into)
        raise RefusalError(404, "unknown", f"The cluster {label} no longer exists.")
    links = walk.links("clusters")
    name = "In no cluster" if cluster is None else cluster.title
    members = walk.view.members(label, limit=walk.page_size)
    size = len(served.state.members(label)) if cluster is not None else len(members)
    summary = ClusterSummary(label, ClusterName(label, name, 0.0), size, 0.0, math.nan, NOISE, (), ())
    alone = replace(walk, summaries=[*walk.summaries, summary])
    page = build_cluster_page(alone, len(walk.summaries), 1, members)
    return replace(page, links=links, previous=None, next=None, pictures=_marked(served, page.pictures))


def _bare_card(served: ServedProject, walk: LiveWalk, number: int) -> Card:
    """Return the card of a cluster that has no summary since it is hidden."""
    state, links = served.state, walk.links()
    members = walk.view.members(number, limit=5)
    name = ClusterName(number, state.clusters[number].title, 0.0)
    size = len(state.members(number))
    ids = tuple(member.id for member in members)
    return build_card(ClusterSummary(number, name, size, 0.0, math.nan, NOISE, ids, ()), walk.info.n_images, links)


def _marked(served: ServedProject, pictures: Sequence[Picture]) -> list[Picture]:
    """Say of each picture what a hand did with it."""
    state = served.state
    marked = []
    for picture in pictures:
        row = served.row_of(picture.id)
        mark = "" if row is None else _MARKS.get(int(state.state[row]), "")
        marked.append(replace(picture, mark=mark))
    return marked


def _with_controls(served: ServedProject, page: Page, query: Query, is_read_only: bool, back: str) -> Page:
    state, walk = served.state, served.walk()
    edits = served.curation.edits
    live = [edit for edit in edits if edit.op not in ("start", "undo") and is_live(edit, served.curation.undone)]
    alive = state.alive
    counts = {
        "Reviewed": ("reviewed", sum(cluster.is_reviewed and not cluster.is_hidden for cluster in alive)),
        "Set aside": ("clusters/none", sum(each.size for each in walk.summaries if each.label == NOISE)),
        "Hidden": ("hidden", sum(cluster.is_hidden for cluster in alive)),
        "History": ("history", sum(edit.op != "start" for edit in edits)),
    }
    controls = Controls(
        seq=state.seq,
        is_read_only=is_read_only,
        back=back,
        targets=_targets(state) if isinstance(page, (ClusterPage,)) or back in ("", "unsure") else (),
        clusters=state.clusters,
        groups=state.groups,
        more_pages=[(name, url, n) for name, (url, n) in counts.items() if n or name == "History"],
        done=_done(served, query),
        newest=live[-1].seq if live else None,
    )
    return replace(page, controls=controls)


def _targets(state: Curation) -> list[Target]:
    """Return what can be typed for each visible cluster: its name, or its number if two share the name."""
    sizes = state.sizes()
    visible = sorted((each for each in state.alive if not each.is_hidden), key=lambda each: -sizes[each.id])
    counts: dict[str, int] = {}
    for cluster in visible:
        counts[cluster.title.casefold()] = counts.get(cluster.title.casefold(), 0) + 1
    targets = []
    for cluster in visible[:MANY_CLUSTERS]:
        is_clear = counts[cluster.title.casefold()] == 1 and not cluster.title.isdecimal()
        value = cluster.title if is_clear else str(cluster.id)
        targets.append(Target(value, f"{cluster.title}, {sizes[cluster.id]}"))
    return targets


def _done(served: ServedProject, query: Query) -> Entry | None:
    """Return the edit that led to this page, if it is in the journal."""
    text = query.get("done", "")
    if not text.isdecimal() or len(text) > 18:
        return None
    found = next((edit for edit in served.curation.edits if edit.seq == int(text)), None)
    return _entry(served, found) if found is not None else None


def _entry(served: ServedProject, edit: Edit) -> Entry:
    curation = served.curation
    is_undone = edit.seq in curation.undone
    summary = describe_edit(edit, curation.state.clusters)
    is_undo = edit.op == "undo"
    return Entry(edit.seq, edit.at, edit.author, summary, is_undone, is_undo, not is_undone and edit.op != "start")

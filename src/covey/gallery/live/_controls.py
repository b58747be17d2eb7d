"""What a served page has beyond one on disk: how a person edits it, and where the further pages are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from uuid import uuid4

from covey.gallery._pages import Card, Page

if TYPE_CHECKING:
    from covey.curation import CuratedCluster

__all__ = ["Choice", "Controls", "Entry", "HiddenPage", "HistoryPage", "MessagePage", "Target"]


class Target(NamedTuple):
    """A cluster that images can go to: what is typed for it, and how many images it holds."""

    value: str
    label: str


class Entry(NamedTuple):
    """One edit of the history.

    Attributes
    ----------
    seq : int
        Its number.
    at, author : str
        When (UTC) and by whom.
    summary : str
        What it did.
    is_undone, is_undo, can_change : bool
        Whether another edit took it back, whether it takes one back itself, and whether it can be taken back now.
    """

    seq: int
    at: str
    author: str
    summary: str
    is_undone: bool
    is_undo: bool
    can_change: bool


class Choice(NamedTuple):
    """A way out of a conflict: a button, and the fields of the edit that it sends."""

    label: str
    fields: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Controls:
    """What a person can do on a page, and what he has done.

    Attributes
    ----------
    seq : int
        The last edit that the page has seen.
    is_read_only : bool
        Whether nothing can be edited.
    back : str
        The page itself, for the way back after an edit, seen from the first page.
    targets : sequence of Target
        All visible clusters.
    clusters : mapping of int to CuratedCluster
        By id.
    groups : mapping of int to str
        Names by id.
    more_pages : sequence of (str, str, int)
        Names, routes and numbers of the pages that only a server has.
    done : Entry or None
        The edit that led here.
    newest : int or None
        The edit that an undo would take back; None if there is none.
    """

    seq: int
    is_read_only: bool
    back: str
    targets: Sequence[Target] = ()
    clusters: "Mapping[int, CuratedCluster]" = field(default_factory=dict)
    groups: Mapping[int, str] = field(default_factory=dict)
    more_pages: Sequence[tuple[str, str, int]] = ()
    done: Entry | None = None
    newest: int | None = None

    def uuid(self) -> str:
        """Return a new name for an edit, so that a form that is sent twice is stored once."""
        return str(uuid4())

    def group_of(self, label: int) -> str:
        """Return the name of a cluster's group, empty if it is in none."""
        cluster = self.clusters.get(label)
        return "" if cluster is None or cluster.group is None else self.groups.get(cluster.group, "")


@dataclass(frozen=True, slots=True)
class HistoryPage(Page):
    """The edits, newest first."""

    template: ClassVar[str] = "history.html"
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class HiddenPage(Page):
    """The clusters that are left out of all other pages, largest first."""

    template: ClassVar[str] = "hidden.html"
    cards: Sequence[Card]


@dataclass(frozen=True, slots=True)
class MessagePage(Page):
    """Why something was refused, and what can be done in place of it."""

    template: ClassVar[str] = "message.html"
    title: str
    message: str
    choices: Sequence[Choice] = ()

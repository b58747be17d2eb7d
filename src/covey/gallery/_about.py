"""The page about the run: what was done, with which settings, and what the numbers mean to a layperson."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from covey.gallery._pages import Card, Page
from covey.gallery._urls import readable

if TYPE_CHECKING:
    from covey.gallery._curve import Curve
    from covey.gallery._structure import StructureFigure
    from covey.store import Ledger, PartitionInfo

__all__ = ["TERMS", "AboutPage", "Fact", "FactTable", "Term", "build_tables", "date_in_words", "find_caveats"]

# A list of numbers longer than this is told by its ends.
LONGEST_LIST = 12


class Fact(NamedTuple):
    """One line of a table."""

    key: str
    value: str


class FactTable(NamedTuple):
    """A table with a title, and a sentence that says what it is for."""

    title: str
    note: str
    facts: tuple[Fact, ...]


class Term(NamedTuple):
    """A word of these pages and what it means."""

    word: str
    meaning: str


TERMS = (
    Term(
        "Cluster",
        "A group of pictures that look alike to the program. Nobody told it what to look for: the groups come from "
        "the pictures alone. Calling a group “lighthouses” or “portraits” remains a person’s judgement.",
    ),
    Term(
        "Backbone",
        "The part that looks. It turns every picture into a long row of numbers, such that pictures with similar "
        "content get similar rows. It learned to do so once, on other pictures, and does not change here.",
    ),
    Term(
        "Clear, mixed, loose",
        "How well a cluster is set apart. Of ten pictures that resemble one of a clear cluster, at least eight are in "
        "the same cluster on average; of a loose cluster fewer than five are; mixed lies between. A picture is unsure "
        "if most of those that resemble it are in other clusters.",
    ),
    Term(
        "Group",
        "Clusters that lie close together. Groups are built from the clusters, for finding your way; a run with fewer "
        "clusters may divide the pictures a little differently.",
    ),
    Term(
        "Confidence",
        "How clearly a picture belongs to its cluster rather than to another: 1 is clear, and the lower, the nearer to "
        "a toss-up. It is the program’s own opinion, not the chance that it is right, and methods count differently: "
        "compare it within one run only.",
    ),
    Term(
        "Cohesion",
        "How much the pictures of a cluster resemble their common middle: 1 would be copies of one picture. A low "
        "value marks a mixed bag that may deserve a second look.",
    ),
    Term(
        "Representatives",
        "Real pictures that lie closest to the middle of their cluster: the quickest way to see what it is about.",
    ),
    Term(
        "Second best",
        "The cluster a picture would have gone to, had its own not existed. The pictures under “Unsure” are those "
        "for which the two were nearly equal.",
    ),
    Term(
        "Duplicates",
        "Files whose contents are the same to the last byte. They count as one picture, and all their names are kept. "
        "A resized or newly saved copy is a different file and stands beside its sibling.",
    ),
    Term(
        "Name",
        "The word that most pictures of the cluster voted for and those of its neighbours did not, out of a "
        "list of words. "
        "Its fit is the cluster's share of votes, less what the neighbours gave: 0 to 1. Who is in which cluster never "
        "hangs on it.",
    ),
    Term(
        "Seed",
        "The starting point of the dice that the method throws. The same pictures, settings and seed give the same "
        "clusters again.",
    ),
)

_COMMON_CAVEATS = (
    "There is rarely one right number of clusters. Fewer gives broad groups, more gives fine ones; both can be true.",
    "Every picture is put somewhere, also one that fits nowhere. Look at “Unsure” before relying on a cluster.",
    "A high confidence can be wrong. Check a sample of every cluster by eye before acting on it, above all before "
    "moving or deleting files.",
    "Nothing was changed: the files lie where they lay, and these pages only point to them.",
)

CAVEATS = (
    "Clusters follow what the backbone notices, mostly the subject and its surroundings. It does not know names, "
    "dates, places or why a picture was taken.",
    "The backbone learned from pictures of its time and makers, and sees what is common there more finely than what "
    "is rare: historical prints, drawings, maps and scanned text may be grouped by style rather than by subject.",
    *_COMMON_CAVEATS,
)
CAVEATS_ON_PIXELS = (
    "The method learned to see from these pictures alone, small as they were made for it. It notices shapes, colours "
    "and layout before subjects, and what is rare here it hardly saw.",
    *_COMMON_CAVEATS,
)


def find_caveats(info: "PartitionInfo") -> tuple[str, ...]:
    """Tell what to keep in mind about the clusters of a run, which a network of its own or a backbone has seen."""
    return CAVEATS_ON_PIXELS if "pixels" in info.info else CAVEATS


@dataclass(frozen=True, slots=True)
class AboutPage(Page):
    """What was done, how, and how to read it.

    Attributes
    ----------
    method : str
        Registered name.
    backbones : tuple of str
        Names of the backbones; empty if the run did not record them.
    n_found, n_duplicates : int
        From the ledger.
    curve : Curve or None
        How the number of clusters was chosen.
    sweep : Curve or None
        How TEMI's β was chosen.
    reason : str
        Why the number of clusters was chosen, in words; empty if it was asked for.
    structure : tuple of StructureFigure
        How the clusters lie among the features, and in a learned representation; empty if it was not recorded.
    tables : sequence of FactTable
        Everything the run recorded.
    caveats, terms : sequence
        In plain words.
    cards : sequence of Card
        The clusters in numbers, largest first.
    """

    template: ClassVar[str] = "about.html"
    method: str
    backbones: tuple[str, ...]
    n_found: int
    n_duplicates: int
    curve: "Curve | None"
    sweep: "Curve | None"
    reason: str
    structure: "tuple[StructureFigure, ...]"
    tables: Sequence[FactTable]
    caveats: Sequence[str]
    terms: Sequence[Term] = TERMS
    cards: Sequence[Card] = ()


def date_in_words(created_at: str) -> str:
    """Write an ISO date as ``22 November 2026``; what is no date stays as it is."""
    try:
        moment = datetime.fromisoformat(created_at)
    except ValueError:
        return readable(created_at)
    return f"{moment.day} {moment:%B %Y}"


def build_tables(info: "PartitionInfo", ledger: "Ledger") -> tuple[FactTable, ...]:
    """Tell everything that a run recorded, each fact once.

    Parameters
    ----------
    info : PartitionInfo
        The run. Of its `info`, ``seconds``, ``selection``, ``structure``, ``certainty`` and TEMI's sweep have their
        own places, and ``tree`` is in ``tree.json``; all else is listed.
    ledger : Ledger
        Where every found path went.

    Returns
    -------
    tables : tuple of FactTable
        Without empty ones.
    """
    elsewhere = {"seconds", "selection", "diagnostics", "structure", "tree", "certainty"}
    certainty = {k: v for k, v in (info.info.get("certainty") or {}).items() if k != "clusters"}
    extra = {key: value for key, value in info.info.items() if key not in elsewhere}
    run = {
        "Name": info.name,
        "Made": info.created_at,
        "covey": info.covey_version,
        "Method": info.method,
        "Features": info.fingerprint,
        **extra,
    }
    files = {
        "Files found": ledger.n_found,
        "Distinct pictures": ledger.n_embedded,
        "Duplicates": ledger.n_duplicates,
        **dict(ledger.failures),
    }
    diagnostics = {key: value for key, value in (info.info.get("diagnostics") or {}).items() if key != "beta_sweep"}
    tables = (
        _table("Run", "What made these clusters.", run),
        _table(f"Settings of {info.method}", "With these, the same pictures give the same clusters.", info.params),
        _table("Certainty", "What clear, mixed, loose and unsure were measured by.", certainty),
        _table("Names", "What chose the words for the clusters.", info.naming),
        _table("Files", "Every file that was found is counted exactly once.", files),
        _table("Time", "Seconds on the clock, by step.", info.info.get("seconds")),
        _table("Diagnostics", "What the method reports about itself.", diagnostics),
    )
    return tuple(table for table in tables if table.facts)


def _table(title: str, note: str, values: object) -> FactTable:
    facts = tuple(_flatten(values)) if isinstance(values, Mapping) else ()
    return FactTable(title, note, facts)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> list[Fact]:
    """Return nested values as lines, a nested name written ``outer, inner``, in a list ``outer 1, inner``."""
    facts: list[Fact] = []
    for key, value in values.items():
        name = f"{prefix}{readable(str(key))}"
        if isinstance(value, Mapping):
            facts += _flatten(value, f"{name}, ")
        elif isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            facts += [fact for i, entry in enumerate(value, 1) for fact in _flatten(entry, f"{name} {i}, ")]
        else:
            facts.append(Fact(name, _in_words(value)))
    return facts


def _in_words(value: Any) -> str:
    """Write a JSON value for a person."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _list_in_words(value)
    return readable(str(value))


def _list_in_words(values: Sequence[Any]) -> str:
    if len(values) <= LONGEST_LIST:
        return ", ".join(_in_words(value) for value in values) or "—"
    return f"{_in_words(values[0])}, {_in_words(values[1])} … {_in_words(values[-1])} ({len(values)} values)"

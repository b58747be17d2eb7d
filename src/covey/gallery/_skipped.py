"""The page of the files that were left out: every one of them, why, and what can be done about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from covey.gallery._pager import Pager
from covey.gallery._pages import Links, Page
from covey.gallery._urls import readable
from covey.types import ImageFailure

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SkippedFile", "SkippedGroup", "SkippedPage", "group_skipped", "sort_failures"]


class _Words(NamedTuple):
    heading: str
    meaning: str


# Code of `skipped.csv` -> what it means to a person, and what to do next.
_CODES = {
    "ERROR_CORRUPT_IMAGE": _Words(
        "Damaged, or no pictures",
        "The file cannot be read as a picture to its end. Often a copy was cut short: look for an earlier copy or a "
        "backup. Or the content is something else than the name promises.",
    ),
    "ERROR_ZERO_SIZE_FILE": _Words(
        "Empty files",
        "The file has a name and no content, as after a copy onto a full disk. Only another copy can bring it back.",
    ),
    "ERROR_IMAGE_TOO_SMALL": _Words(
        "Too small to compare",
        "A picture of a few points, such as a spacer of an old web page, shows nothing that could be compared.",
    ),
    "ERROR_MISSING_FILE": _Words(
        "Missing files",
        "A link or a line of the list leads to a file that is not there. It may have been moved, or its disk is not "
        "connected.",
    ),
    "ERROR_UNSUPPORTED": _Words(
        "Formats that cannot be read here",
        "It may well be a picture, of a kind that covey does not open. Save it as JPEG, PNG or TIFF to include it.",
    ),
    "ERROR_TOO_LARGE": _Words(
        "Too large to open safely",
        "The picture has so many points that opening it could exhaust the memory. Save a smaller copy to include it.",
    ),
    "ERROR_PERMISSION": _Words(
        "Not allowed to read",
        "The file is protected. Give your user the right to read it and run covey again.",
    ),
    "ERROR_IO": _Words(
        "The disk or network failed",
        "The file could not be read this time. It is tried again by the next run of the same command.",
    ),
    "ERROR_MEMORY": _Words(
        "Not enough memory at that moment",
        "There was too little memory to open the picture. It is tried again by the next run of the same command.",
    ),
    "ERROR_CHANGED": _Words(
        "Changed while covey was at work",
        "The file was not the same when it was read as when it was found. Run the same command again.",
    ),
}


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """One file that was left out: its path for reading, its URL, what is wrong, and its size in words."""

    path: str
    url: str
    message: str
    size: str


@dataclass(frozen=True, slots=True)
class SkippedGroup:
    """The files of one page that were left out for one reason.

    Attributes
    ----------
    code : str
        Error code, as in ``skipped.csv``.
    heading, meaning : str
        The reason in words.
    total : int
        Files with this code on all pages.
    files : tuple of SkippedFile
        Those of this page.
    """

    code: str
    heading: str
    meaning: str
    total: int
    files: tuple[SkippedFile, ...]


@dataclass(frozen=True, slots=True)
class SkippedPage(Page):
    """One page of the files that were left out, grouped by reason."""

    template: ClassVar[str] = "skipped.html"
    groups: Sequence[SkippedGroup]
    pager: Pager
    n_found: int


def sort_failures(failures: Iterable[ImageFailure]) -> list[ImageFailure]:
    """Put failures in the order of the page: by reason as listed here, unknown reasons last, else as they came."""
    order = {code: position for position, code in enumerate(_CODES)}
    return sorted(failures, key=lambda failure: (order.get(failure.code, len(order)), failure.code))


def group_skipped(
    failures: Sequence[ImageFailure], totals: dict[str, int], links: Links, relative: "Callable[[ImageFailure], str]"
) -> tuple[SkippedGroup, ...]:
    """Describe the failures of one page.

    Parameters
    ----------
    failures : sequence of ImageFailure
        Those of the page, in the order of `sort_failures`.
    totals : dict of str to int
        Files with each code on all pages.
    links : Links
        Where things lie, seen from the page.
    relative : callable
        Gives the path of a failure within the collection.

    Returns
    -------
    groups : tuple of SkippedGroup
        One for each code on this page.
    """
    groups = []
    for code, found in groupby(failures, key=lambda failure: failure.code):
        words = _CODES.get(code, _Words(code, "This reason is not known to this version of covey."))
        files = tuple(
            SkippedFile(
                path=readable(path),
                url=links.original(path),
                message=readable(failure.message),
                size=bytes_in_words(failure.n_bytes),
            )
            for failure, path in ((failure, relative(failure)) for failure in found)
        )
        groups.append(SkippedGroup(code, words.heading, words.meaning, totals[code], files))
    return tuple(groups)


def bytes_in_words(n_bytes: int) -> str:
    """Write a file size in decimal units with at most one digit after the point."""
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"

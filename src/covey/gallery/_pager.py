"""A long list on many pages: how many there are, and the way through them."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Pager", "build_pager", "count_pages"]


@dataclass(frozen=True, slots=True)
class Pager:
    """The way through the pages of a long list.

    Attributes
    ----------
    number, n_pages : int
        This page, from 1, and how many there are.
    first, last : int
        Numbers of the first and the last item on this page, from 1.
    total : int
        Number of items on all pages.
    previous, next : str or None
        URLs of the neighbours.
    steps : tuple of (int or None, str)
        Pages to offer, with URLs; None stands for a gap.
    """

    number: int
    n_pages: int
    first: int
    last: int
    total: int
    previous: str | None
    next: str | None
    steps: tuple[tuple[int | None, str], ...]


def count_pages(n_items: int, page_size: int) -> int:
    """Return how many pages a list takes; an empty list takes one."""
    return max(1, -(-n_items // page_size))


def build_pager(number: int, total: int, page_size: int, url: Callable[[int], str]) -> Pager:
    """Describe the way through the pages of a list.

    Parameters
    ----------
    number : int
        The page that is shown, from 1.
    total : int
        Items on all pages.
    page_size : int
        Items a page.
    url : callable
        Gives the URL of a page from its number.

    Returns
    -------
    pager : Pager
        Offers the first, the last and the pages around this one.
    """
    n_pages = count_pages(total, page_size)
    offered = sorted({1, n_pages, *range(max(1, number - 2), min(n_pages, number + 2) + 1)})
    steps: list[tuple[int | None, str]] = []
    for before, page in zip([0, *offered], offered, strict=False):
        if page - before > 1:
            steps.append((None, ""))
        steps.append((page, url(page)))
    return Pager(
        number=number,
        n_pages=n_pages,
        first=(number - 1) * page_size + 1 if total else 0,
        last=min(number * page_size, total),
        total=total,
        previous=url(number - 1) if number > 1 else None,
        next=url(number + 1) if number < n_pages else None,
        steps=tuple(steps),
    )

"""All sets side by side: a row for each method, a column for each set, one score; nothing is averaged over sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from covey.bench._check import is_seeded
from covey.bench._references import RANDOM
from covey.bench.report._cells import NOTHING, TUNING_WORDS, spread
from covey.bench.report._score_tables import KINDS, SCORES, Row, Table

_SHOWN: Final = ("acc", "ami")
Place = tuple[str, str]


class Cell(NamedTuple):
    """One score of one method on one set; `is_best` among methods and floors."""

    text: str
    is_best: bool


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One method on all sets.

    Attributes
    ----------
    title : str
        Method and settings.
    kind : {"floor", "method", "ceiling"}
        As in tables.
    cells : tuple of Cell
        One for each set.
    rank : float or None
        Mean over sets of its place among methods and floors by the mean score, the best is 1, equals share; None for
        random labels, for ceilings, and where a set has no result.
    wins, losses, n_compared : int
        Sets on which its accuracy is above that of k-means in every seed, below it in every seed, and all on which both
        ran.
    """

    title: str
    kind: str
    cells: tuple[Cell, ...]
    rank: float | None
    wins: int
    losses: int
    n_compared: int

    @property
    def against(self) -> str:
        """Return the comparison with k-means in words."""
        return f"{self.wins} above, {self.losses} below, of {self.n_compared}" if self.n_compared else NOTHING


@dataclass(frozen=True, slots=True)
class Overview:
    """One score of all methods on all sets, under one protocol.

    Attributes
    ----------
    title : str
        Score, protocol and tuning.
    places : tuple of (str, str)
        Sets and their features.
    is_compared : bool
        Whether rows are compared with k-means, by accuracy.
    rows : tuple of OverviewRow
        Floors, methods from the last rank to the first, ceilings.
    """

    title: str
    places: tuple[Place, ...]
    is_compared: bool
    rows: tuple[OverviewRow, ...]


def build_overviews(tables: Sequence[Table]) -> list[Overview]:
    """Lay tables of one protocol and one tuning beside each other, where there are several sets.

    Parameters
    ----------
    tables : sequence of Table
        Of one report; those without any result are left out.

    Returns
    -------
    overviews : list of Overview
        For each protocol and tuning: ACC, then AMI.
    """
    begun = [table for table in tables if table.is_begun]
    groups: dict[tuple[str, str], list[Table]] = {}
    for table in begun:
        groups.setdefault((table.protocol.name, table.tuning), []).append(table)
    return [_overview(group, score) for group in groups.values() if len(group) > 1 for score in _SHOWN]


def _overview(tables: Sequence[Table], score: str) -> Overview:
    """Lay out one score of the tables of one protocol."""
    ranks = [_ranks(table, score) for table in tables]
    by_title: dict[str, list[Row | None]] = {}
    for column, table in enumerate(tables):
        for row in table.rows:
            by_title.setdefault(row.title, [None] * len(tables))[column] = row
    rows = [_row(title, found, ranks, score) for title, found in by_title.items()]
    rows.sort(key=lambda row: (KINDS.index(row.kind), -(row.rank or len(rows) + 1.0)))  # without a rank first
    protocol, tuning = tables[0].protocol.name, tables[0].tuning
    return Overview(
        title=f"{SCORES[score]}, {protocol}, {TUNING_WORDS[tuning].partition(':')[0]}",
        places=tuple((table.dataset, table.features) for table in tables),
        is_compared=score == "acc",
        rows=tuple(rows),
    )


def _ranks(table: Table, score: str) -> dict[str, float]:
    """Return the place of each method and floor of a table that has a result; equals share the mean of their places."""
    scored = [row for row in table.rows if row.scores and row.kind != "ceiling" and row.title != RANDOM]
    values = np.array([row.scores[score].mean for row in scored])
    return {
        row.title: float((values > value).sum() + ((values == value).sum() + 1) / 2)
        for row, value in zip(scored, values, strict=True)
    }


def _row(title: str, found: Sequence[Row | None], ranks: Sequence[dict[str, float]], score: str) -> OverviewRow:
    """Gather what one method reached on each set."""
    places = [rank.get(title) for rank in ranks]
    known = [place for place in places if place is not None]
    cells = tuple(
        Cell(_words(row, score), place is not None and place == min(rank.values()))
        for row, place, rank in zip(found, places, ranks, strict=True)
    )
    compared = [row.against for row in found if row is not None and row.against is not None]
    return OverviewRow(
        title=title,
        kind=next(row.kind for row in found if row is not None),
        cells=cells,
        rank=float(np.mean(known)) if len(known) == len(places) else None,
        wins=sum(against.n_better == against.n for against in compared),
        losses=sum(against.n_worse == against.n for against in compared),
        n_compared=len(compared),
    )


def _words(row: Row | None, score: str) -> str:
    """Write a score, with the number of seeds where it is not the one asked for; the table of a set has the reasons."""
    if row is None or not row.scores:
        return "failed" if row is not None and row.n_failed else NOTHING
    summary, experiment = row.scores[score], row.experiment
    is_short = is_seeded(experiment.method) and summary.n < len(experiment.seeds)
    return spread(summary) + (f" ({summary.n} of {len(experiment.seeds)} seeds)" if is_short else "")


def to_markdown(overview: Overview) -> str:
    """Write an overview, the best of each column in bold."""
    places = (f"{dataset}, {features}" for dataset, features in overview.places)
    head = ["method", *places, "mean rank", *(["against k-means"] if overview.is_compared else [])]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in overview.rows:
        cells = [f"**{cell.text}**" if cell.is_best else cell.text for cell in row.cells]
        last = [row.against] if overview.is_compared else []
        lines.append("| " + " | ".join([row.title, *cells, rank_words(row), *last]) + " |")
    return f"### {overview.title}\n\n" + "\n".join(lines) + "\n"


def rank_words(row: OverviewRow) -> str:
    """Write a rank with one digit."""
    return NOTHING if row.rank is None else f"{row.rank:.1f}"

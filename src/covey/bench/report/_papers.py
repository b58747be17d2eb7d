"""A page for each paper: what it published, what its protocol gives here, what an honest one gives, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from covey.bench._experiment import Experiment, ExperimentFile, Published
from covey.bench._protocol import HEADLINE, PROTOCOLS
from covey.bench.report._cells import NOTHING, facts_line, percent, spread
from covey.bench.report._plots import Point
from covey.bench.report._score_tables import Row, Table

_SHOWN = (("acc", "acc", "ACC"), ("nmi", "nmi_arithmetic", "NMI"), ("ari", "ari", "ARI"), ("ami", "ami", "AMI"))


@dataclass(frozen=True, slots=True)
class Claim:
    """A published number beside ours.

    Attributes
    ----------
    experiment : Experiment
        Our nearest experiment.
    published : Published
        The paper's number.
    own, honest : Row or None
        Ours under the protocol of the number, and under the honest one; None if not measured.
    """

    experiment: Experiment
    published: Published
    own: Row | None
    honest: Row | None


def collect_claims(file: ExperimentFile, tables: Sequence[Table]) -> list[Claim]:
    """Put every published number of a file beside what was measured for it.

    Parameters
    ----------
    file : ExperimentFile
        Of a paper.
    tables : sequence of Table
        Everything measured.

    Returns
    -------
    claims : list of Claim
        In the file's order.
    """
    rows = {
        (table.protocol.name, row.experiment.rows, row.experiment.method.title, table.tuning): row
        for table in tables
        for row in table.rows
        if row.scores
    }

    def find(experiment: Experiment, protocol: str) -> Row | None:
        return rows.get((protocol, experiment.rows, experiment.method.title, experiment.tuning))

    return [
        Claim(experiment, published, find(experiment, published.protocol), find(experiment, HEADLINE))
        for experiment in file.experiments
        for published in experiment.published
    ]


def write_paper(file: ExperimentFile, tables: Sequence[Table]) -> str:
    """Write the page of one paper as Markdown.

    Parameters
    ----------
    file : ExperimentFile
        Of a paper.
    tables : sequence of Table
        Everything measured.

    Returns
    -------
    text : str
        Numbers in %; everything in it comes from the file and from the results.
    """
    claims = collect_claims(file, tables)
    parts = [f"# {file.title}", "Made by `covey bench report`; numbers in %.", file.note]
    parts.append(_table(claims))
    parts += [_explain(i, claim, tables) for i, claim in enumerate(claims, start=1)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(claims: Sequence[Claim]) -> str:
    head = "| | set | method | published | ours, its protocol | ours, inductive |"
    lines = [head, "|---|---|---|---|---|---|"]
    for i, claim in enumerate(claims, start=1):
        cells = (
            str(i),
            claim.experiment.rows.title,
            claim.experiment.method.title,
            _published(claim.published),
            _measured(claim.own, is_best=PROTOCOLS[claim.published.protocol].is_best),
            _measured(claim.honest, is_best=False),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _published(published: Published) -> str:
    parts = []
    for name, _, title in _SHOWN:
        if name in published.scores:
            error = f" ± {published.spread[name]:g}" if name in published.spread else ""
            parts.append(f"{title} {published.scores[name]:g}{error}")
    return ", ".join(parts)


def _measured(row: Row | None, *, is_best: bool) -> str:
    if row is None:
        return "not measured"
    scores = [(title, row.scores.get(name)) for _, name, title in _SHOWN if name != "ami"]
    if is_best:
        words = [f"{title} {percent(score.high) if score else NOTHING}" for title, score in scores]
        return f"best of {len(row.by_seed)}: " + ", ".join(words)
    return ", ".join(f"{title} {spread(score)}" for title, score in scores)


def _explain(number: int, claim: Claim, tables: Sequence[Table]) -> str:
    """Say where a published number and ours differ."""
    published, rows = claim.published, claim.experiment.rows
    lines = [f"**{number}. {published.source}.**", *_differences(claim, tables)]
    if published.features != rows.features_title:
        lines.append(f"- Features: {published.features} there, {rows.features_title} here.")
    lines.append(f"- Protocol there: {PROTOCOLS[published.protocol].what}")
    if published.why:
        lines.append(f"- {published.why.strip()}")
    return "\n".join(lines)


def _differences(claim: Claim, tables: Sequence[Table]) -> Iterator[str]:
    for words, row, name in (
        ("its protocol", claim.own, claim.published.protocol),
        ("inductive", claim.honest, HEADLINE),
    ):
        if row is not None:
            table = next(table for table in tables if row in table.rows and table.protocol.name == name)
            yield f"- Ours, {words}: {len(row.by_seed)} seeds; {facts_line(table)}"


def published_points(claims: Sequence[Claim]) -> list[Point]:
    """Return a point for each published accuracy whose counterpart under its own protocol was measured."""
    points = []
    for claim in claims:
        if claim.own is None or "acc" not in claim.published.scores:
            continue
        accuracy = claim.own.scores["acc"]
        value = accuracy.high if PROTOCOLS[claim.published.protocol].is_best else accuracy.mean
        name = f"{claim.experiment.method.title}, {claim.experiment.rows.dataset}"
        words = f"{claim.experiment.title}: published {claim.published.scores['acc']:g} %, measured {100 * value:.1f} %"
        points.append(Point(name, float(claim.published.scores["acc"]), 100 * value, 0.0, "method", words))
    return points

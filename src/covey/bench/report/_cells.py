"""Tables as Markdown and as CSV."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from covey.bench.report._score_tables import SCORES, Row, Table
from covey.bench.report._statistics import Comparison, Summary

NOTHING: Final = "—"
TUNING_WORDS: Final = {
    "fixed": "settings fixed across data sets",
    "label-free": "settings tuned on each set without labels",
    "oracle": "settings chosen on each set by its labels: an oracle, not a result",
}
_MAIN_SCORES: Final = ("nmi_arithmetic", "ami", "ari", "macro_acc", "ece")


def percent(value: float | None) -> str:
    """Write a fraction in %, one digit."""
    return NOTHING if value is None else f"{100 * value:.1f}"


def spread(summary: Summary | None) -> str:
    """Write mean ± standard deviation in %; one seed has no spread."""
    if summary is None:
        return NOTHING
    return f"{100 * summary.mean:.1f} ± {100 * summary.std:.1f}" if summary.n > 1 else percent(summary.mean)


def number(value: float | None) -> str:
    """Write a positive number with two or three digits that count."""
    if value is None:
        return NOTHING
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def versus(comparison: Comparison | None) -> str:
    """Write a paired difference in points."""
    if comparison is None:
        return NOTHING
    words = f"{100 * comparison.mean:+.1f} ± {100 * comparison.std:.1f}"
    sign = "=" if comparison.is_exact else "≈"
    return f"{words}, better in {comparison.n_better} of {comparison.n}, p {sign} {comparison.p:.2f}"


def main_columns(table: Table) -> list[tuple[str, str]]:
    """Return the columns of a table: heading, and the key of `main_cells`."""
    best = [("ACC, best of n", "best")] if table.protocol.is_best else []
    scores = [(SCORES[name], name) for name in _MAIN_SCORES]
    return [
        ("method", "title"),
        ("seeds", "n_seeds"),
        *best,
        ("ACC", "acc"),
        ("95 % over images", "interval"),
        *scores,
        ("clusters", "clusters"),
        ("with empty clusters", "collapsed"),
        ("time / k-means", "wall_ratio"),
        ("CPU / k-means", "cpu_ratio"),
        ("peak MiB (by the fit)", "peak"),
    ]


def main_cells(row: Row) -> dict[str, str]:
    """Return the cells of a row by column; a row without a result says why."""
    if not row.scores:
        return {"title": row.title, "acc": "; ".join(row.failures), "n_seeds": "0"}
    facts = row.facts
    failed = f", {row.n_failed} failed" if row.n_failed else ""
    accuracy = row.scores["acc"]
    interval = f"{percent(row.interval[0])} to {percent(row.interval[1])}" if row.interval else NOTHING
    return {
        "title": row.title + (f" (k = {facts['n_clusters']})" if facts["n_clusters"] != facts["n_classes"] else ""),
        "n_seeds": f"{accuracy.n}{failed}",
        "best": f"{percent(accuracy.high)} (of {accuracy.n})",
        "interval": interval,
        **{name: spread(row.scores.get(name)) for name in SCORES},
        "clusters": _clusters(facts),
        "collapsed": NOTHING if facts["n_collapsed"] is None else f"{facts['n_collapsed']} of {accuracy.n}",
        "wall_ratio": number(facts["wall_ratio"]),
        "cpu_ratio": number(facts["cpu_ratio"]),
        "peak": _memory(facts["peak_rss_mb"], facts["rss_before_fit_mb"]),
    }


def _clusters(facts: Mapping[str, Any]) -> str:
    """Write how many clusters the scored rows are in, the mean of the seeds, and which share of them is in none."""
    noise = f", {percent(facts['n_noise'] / facts['n'])} % of rows in none" if facts["n_noise"] else ""
    return f"{round(facts['n_used'], 1):g}{noise}"


def _memory(peak_mb: float | None, before_mb: float | None) -> str:
    """Write the most memory that the process held, and how much of it came with the fit."""
    if peak_mb is None or before_mb is None:
        return number(peak_mb)
    return f"{peak_mb:,.0f} (+{peak_mb - before_mb:,.0f})"


SPREAD_COLUMNS: Final = (
    ("method", "title"),
    ("ACC median", "median"),
    ("min", "low"),
    ("max", "high"),
    ("against k-means, seed by seed", "against"),
)


def spread_cells(row: Row) -> dict[str, str]:
    """Return what a row says about its seeds."""
    accuracy = row.scores["acc"]
    return {
        "title": row.title,
        "median": percent(accuracy.median),
        "low": percent(accuracy.low),
        "high": percent(accuracy.high),
        "against": versus(row.against),
    }


def heading(table: Table) -> str:
    """Return the title of a table without its set: protocol and tuning."""
    return f"{table.protocol.name}, {TUNING_WORDS[table.tuning].partition(':')[0]}"


def facts_line(table: Table) -> str:
    """Return n, d, k in words."""
    facts = table.facts
    if not facts:
        return "No result yet."
    shape = " x ".join(str(size) for size in facts["shape"])
    at_a_time = " at a time" if "batches" in table.protocol.part else ""
    return (
        f"{facts['n_fit']:,} rows fitted, {facts['n']:,} scored{at_a_time}; "
        f"{shape} numbers a row; k = {facts['n_classes']} classes."
    )


def to_markdown(table: Table) -> str:
    """Write one table, its facts, and the spread over its seeds."""
    columns = main_columns(table)
    used = [(head, key) for head, key in columns if key != "ece" or any("ece" in row.scores for row in table.rows)]
    with_scores = [row for row in table.rows if row.scores]
    parts = [
        f"### {table.dataset}: {heading(table)}",
        f"{facts_line(table)} Protocol `{table.protocol.name}`: {table.protocol.what}",
        _grid(used, [main_cells(row) for row in table.rows]),
    ]
    if with_scores:
        parts.append(_grid(list(SPREAD_COLUMNS), [spread_cells(row) for row in with_scores]))
    return "\n\n".join(parts) + "\n"


def _grid(columns: Sequence[tuple[str, str]], cells: Sequence[dict[str, str]]) -> str:
    lines = ["| " + " | ".join(head for head, _ in columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row.get(key, "") for _, key in columns) + " |" for row in cells]
    return "\n".join(lines)


def to_csv(tables: Sequence[Table]) -> str:
    """Write everything, one line for each table and method, scores as fractions."""
    rows = [record for table in tables for record in _records(table)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _records(table: Table) -> Iterator[dict[str, Any]]:
    for row in table.rows:
        record: dict[str, Any] = {
            "data_set": table.dataset,
            "features": table.features,
            "protocol": table.protocol.name,
            "tuning": table.tuning,
            "kind": row.kind,
            "method": row.title,
            "n_seeds": len(row.by_seed),
            "n_failed": row.n_failed,
            "failures": "; ".join(row.failures),
        }
        for name, summary in row.scores.items():
            values = {"mean": summary.mean, "std": summary.std, "median": summary.median}
            values |= {"min": summary.low, "max": summary.high}
            record |= {f"{name}_{kind}": round(value, 5) for kind, value in values.items()}
        if row.scores:
            record["acc_best_of_n"] = round(row.scores["acc"].high, 5)
        if row.interval:
            record |= {"acc_images_low": round(row.interval[0], 5), "acc_images_high": round(row.interval[1], 5)}
        record |= {name: value for name, value in row.facts.items() if name != "shape"}
        if row.against:
            record |= {
                f"against_kmeans_{name}": getattr(row.against, name)
                for name in ("mean", "std", "n_better", "p", "is_exact")
            }
        yield record

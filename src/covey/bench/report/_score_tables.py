"""Lines of results and files of experiments become tables: one for each set, kind of rows, protocol and tuning."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from covey.bench._check import is_seeded, takes_number
from covey.bench._experiment import Experiment, ExperimentFile, Method, digest_of, merge_experiments, settings_of
from covey.bench._ledger import OK
from covey.bench._protocol import PROTOCOLS, Protocol
from covey.bench._references import CEILINGS, FLOORS, PROBES
from covey.bench.report._statistics import Comparison, Summary, compare, median_of, summarize

SCORES: Final[Mapping[str, str]] = {
    "acc": "ACC",
    "nmi_arithmetic": "NMI (arithmetic)",
    "nmi_geometric": "NMI (geometric)",
    "ami": "AMI",
    "ari": "ARI",
    "macro_acc": "macro ACC",
    "ece": "ECE",
}
"""Scores by their names in the lines, and what tables call them."""

KINDS: Final = ("floor", "method", "ceiling")
"""Of rows, in the order of tables."""
_BASELINE: Final = Method("kmeans").title
Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One method in one table.

    Attributes
    ----------
    title : str
        Method and settings.
    kind : {"floor", "method", "ceiling"}
        References are rows of their own.
    experiment : Experiment
        What was asked for.
    by_seed : mapping of int to float
        Accuracy of each seed.
    scores : mapping of str to Summary
        By the names of `SCORES`.
    interval : tuple of float or None
        95 % over images: means of the seeds' ends.
    facts : mapping
        ``n``, ``n_clusters``, ``n_classes``, ``n_collapsed`` (seeds with an empty cluster among the fitted rows; None
        for a method that finds the number itself), ``n_used`` (clusters among the scored rows; mean),
        ``n_noise``, ``wall_ratio``, ``cpu_ratio``, ``wall_s``, ``cpu_s`` and ``peak_rss_mb`` (medians).
    failures : tuple of str
        Why seeds have no result, each reason once.
    n_failed : int
        How many seeds.
    against : Comparison or None
        Accuracy against k-means, seed by seed.
    """

    title: str
    kind: str
    experiment: Experiment
    by_seed: Mapping[int, float]
    scores: Mapping[str, Summary]
    interval: tuple[float, float] | None
    facts: Mapping[str, Any]
    failures: tuple[str, ...] = ()
    n_failed: int = 0
    against: Comparison | None = None


@dataclass(slots=True)
class Table:
    """Scores that may be compared with one another.

    Attributes
    ----------
    dataset, features : str
        Which rows.
    protocol : Protocol
        How they were fitted and scored.
    tuning : str
        How settings were found.
    rows : list of Row
        Floors, methods by rising accuracy, ceilings.
    """

    dataset: str
    features: str
    protocol: Protocol
    tuning: str
    rows: list[Row] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Return a name for links."""
        words = f"{self.dataset} {self.features} {self.protocol.name} {self.tuning}"
        return "".join(c if c.isalnum() else "-" for c in words.lower())

    @property
    def is_begun(self) -> bool:
        """Tell whether anything of it has run, well or not."""
        return any(row.by_seed or row.n_failed for row in self.rows)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return n, d, k and the numbers of rows, as the first row with a result has them."""
        return next((row.facts for row in self.rows if row.facts), {})


def build_tables(files: Sequence[ExperimentFile], lines: Sequence[Line]) -> list[Table]:
    """Gather results into tables.

    Parameters
    ----------
    files : sequence of ExperimentFile
        What was asked for.
    lines : sequence of mapping
        Of the ledger; of a key that was run again the last line counts.

    Returns
    -------
    tables : list of Table
        In the order of the sets in the files; the protocols in their own order.
    """
    by_settings: dict[tuple[str, str], dict[int, Line]] = {}
    for line in lines:
        by_settings.setdefault((line["settings"], line["fit"]), {})[line["seed"]] = line
    tables: dict[tuple[str, str, str, str], Table] = {}
    for experiment in merge_experiments(experiment for file in files for experiment in file.experiments):
        for protocol in (PROTOCOLS[name] for name in experiment.protocols):
            key = (experiment.rows.title, experiment.rows.features_title, protocol.name, experiment.tuning)
            table = tables.setdefault(key, Table(key[0], key[1], protocol, experiment.tuning))
            table.rows.append(_row(experiment, protocol, by_settings))
    for table in tables.values():
        table.rows = _arranged(_with_floors(table, tables))
    order = list(dict.fromkeys((table.dataset, table.features) for table in tables.values()))
    names = list(PROTOCOLS)
    return sorted(
        tables.values(),
        key=lambda table: (order.index((table.dataset, table.features)), names.index(table.protocol.name)),
    )


def _row(experiment: Experiment, protocol: Protocol, by_settings: Mapping[tuple[str, str], Mapping[int, Line]]) -> Row:
    """Sum up the seeds of one experiment under one protocol."""
    settings = digest_of(settings_of(experiment.rows, experiment.method))
    is_probe = experiment.method.name in PROBES
    fit, part = ("train", "test") if is_probe else (protocol.fit, protocol.part)
    found = by_settings.get((settings, fit), {})
    lines = [found[seed] for seed in experiment.seeds if seed in found]
    scored = [line for line in lines if line["status"] == OK and part in line["scores"]]
    failures = [line for line in lines if line["status"] != OK]
    unscored = [line for line in lines if line["status"] == OK and part not in line["scores"]]
    reasons = [str(line["error"]) for line in failures] + ["labels no rows but the fitted ones"] * bool(unscored)
    return Row(
        title=_title(experiment),
        kind=_kind(experiment),
        experiment=experiment,
        by_seed={line["seed"]: line["scores"][part]["acc"] for line in scored},
        scores={name: summarize([line["scores"][part][name] for line in scored]) for name in _common(scored, part)},
        interval=_interval([line["scores"][part] for line in scored]),
        facts=_facts(experiment, scored, fit, part) if scored else {},
        failures=tuple(dict.fromkeys(reasons if lines else ["not run yet"])),
        n_failed=len(failures),
    )


def _title(experiment: Experiment) -> str:
    views = f" ({experiment.rows.n_views} views)" if experiment.rows.n_views else ""
    return experiment.method.title + views


def _kind(experiment: Experiment) -> str:
    title = experiment.method.title.partition(", n_clusters=")[0]
    if title in [method.title for method in FLOORS]:
        return "floor"
    return "ceiling" if title in [method.title for method in CEILINGS] else "method"


def _common(lines: Sequence[Line], part: str) -> list[str]:
    """Return the scores that every line has."""
    return [name for name in SCORES if lines and all(name in line["scores"][part] for line in lines)]


def _interval(scores: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    ends = [score["acc_interval"] for score in scores if "acc_interval" in score]
    if not ends:
        return None
    low, high = np.mean(ends, axis=0)
    return float(low), float(high)


def _facts(experiment: Experiment, lines: Sequence[Line], fit: str, part: str) -> dict[str, Any]:
    """Gather what is not a score."""
    ratios = [_ratios(line["cost"]) for line in lines]
    first = lines[0]
    return {
        "n": first["scores"][part]["n"],
        "n_fit": first["data"]["n_fit"] + (first["data"]["n_score"] if fit == "all" else 0),
        "shape": first["data"]["shape"],
        "n_clusters": first["n_clusters"],
        "n_classes": first["data"]["n_classes"],
        "n_collapsed": sum(_is_collapsed(line, fit) for line in lines) if takes_number(experiment.method) else None,
        "n_used": float(np.mean([line["scores"][part]["n_used"] for line in lines])),
        "n_noise": float(np.mean([line["scores"][part]["n_noise"] for line in lines])),
        "wall_ratio": median_of(ratios, "wall_s"),
        "cpu_ratio": median_of(ratios, "cpu_s"),
        "wall_s": median_of(lines, "cost", "wall_s"),
        "cpu_s": median_of(lines, "cost", "cpu_s"),
        "peak_rss_mb": median_of(lines, "cost", "peak_rss_mb"),
        "rss_before_fit_mb": median_of(lines, "cost", "rss_before_fit_mb"),
    }


def _ratios(cost: Mapping[str, Any]) -> dict[str, float]:
    """Divide a fit's times by those of k-means in the same process."""
    reference = cost.get("reference") or {}
    return {name: cost[name] / reference[name] for name in ("wall_s", "cpu_s") if reference.get(name)}


def _is_collapsed(line: Line, fit: str) -> bool:
    """Tell whether one of the clusters asked for holds no fitted row."""
    scores = line["scores"].get(fit)
    return scores is not None and scores["n_used"] < line["n_clusters"]


def _with_floors(table: Table, tables: Mapping[tuple[str, str, str, str], Table]) -> list[Row]:
    """Return the rows, and in tables of tuned settings the floors and ceilings of the fixed ones too."""
    if table.tuning == "fixed":
        return table.rows
    fixed = tables.get((table.dataset, table.features, table.protocol.name, "fixed"))
    return table.rows + [row for row in (fixed.rows if fixed else []) if row.kind != "method"]


def _arranged(rows: list[Row]) -> list[Row]:
    """Order rows and compare each with k-means; of a group only the best by labels stays, under that name."""
    rows = [*(row for row in rows if not row.experiment.group), *_best_of_groups(rows)]
    baseline = next((row.by_seed for row in rows if row.experiment.method.title == _BASELINE), {})
    compared = [
        replace(row, against=_against(row, baseline)) if row.kind != "ceiling" and row.title != _BASELINE else row
        for row in rows
    ]
    return sorted(compared, key=lambda row: (KINDS.index(row.kind), row.scores["acc"].mean if row.scores else -1.0))


def _against(row: Row, baseline: Mapping[int, float]) -> Comparison | None:
    """Compare a row with k-means; the one run of a method that draws nothing stands for every seed."""
    if row.by_seed and not is_seeded(row.experiment.method):
        return compare(dict.fromkeys(baseline, next(iter(row.by_seed.values()))), baseline)
    return compare(row.by_seed, baseline)


def _best_of_groups(rows: list[Row]) -> Iterator[Row]:
    """Yield the row with the best mean accuracy of each group: an oracle's choice, which its name says."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.experiment.group:
            groups.setdefault(row.experiment.group, []).append(row)
    for group, members in groups.items():
        best = max(members, key=lambda row: row.scores["acc"].mean if row.scores else -1.0)
        n_tried = sum(bool(row.scores) for row in members)
        yield replace(best, title=f"{best.title} ({group}, {n_tried} of {len(members)} tried, chosen by labels)")

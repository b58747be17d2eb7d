"""A folder of results becomes Markdown, CSV, a page with plots, and a page for each paper."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey import __version__
from covey._files import write_text
from covey.bench._experiment import ExperimentFile
from covey.bench._experiment_files import read_experiments
from covey.bench._ledger import OK, RESULTS, Ledger
from covey.bench._protocol import PROTOCOLS
from covey.bench.report import _cells
from covey.bench.report._overview import Overview, build_overviews, rank_words
from covey.bench.report._overview import to_markdown as overview_markdown
from covey.bench.report._papers import collect_claims, published_points, write_paper
from covey.bench.report._plots import plot_cost, plot_published
from covey.bench.report._score_tables import Table, build_tables
from covey.bench.runner import EXPERIMENTS
from covey.errors import DatasetError

if TYPE_CHECKING:
    from jinja2 import Environment

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def write_report(folder: Path, output: Path | None = None) -> list[Path]:
    """Write everything that is to be said about a folder of results.

    Parameters
    ----------
    folder : Path
        Of `run_experiments`; finished or not.
    output : Path, optional
        Where to write; ``report`` in the folder if not given.

    Returns
    -------
    paths : list of Path
        ``report.md``, ``results.csv``, ``index.html``, and ``papers/<file>.md`` for each file about a paper.

    Raises
    ------
    DatasetError
        If the folder holds no results.
    InvalidValueError
        If a file of experiments in it is not valid any more.
    """
    lines = Ledger(folder).read()
    paths = sorted((folder / EXPERIMENTS).glob("*.toml"))
    if not lines or not paths:
        raise DatasetError(f"{folder} holds no {RESULTS} with its experiments; covey bench run writes them.")
    files = sorted(map(read_experiments, paths), key=lambda file: bool(file.paper))
    everything = build_tables(files, lines)
    tables = [table for table in everything if table.is_begun]
    overviews = build_overviews(build_tables([file for file in files if not file.paper], lines))
    texts = {
        "report.md": _markdown(files, everything, overviews, lines),
        "results.csv": _cells.to_csv(tables),
        "index.html": _page(files, everything, overviews, lines),
        **{_paper_page(file): write_paper(file, tables) for file in files if file.paper},
    }
    output = output or folder / "report"
    for name, text in texts.items():
        write_text(output / name, text)
    return [output / name for name in texts]


def _paper_page(file: ExperimentFile) -> str:
    return f"papers/{file.path.stem}.md"


def _markdown(
    files: Sequence[ExperimentFile],
    everything: Sequence[Table],
    overviews: Sequence[Overview],
    lines: Sequence[dict[str, Any]],
) -> str:
    tables = [table for table in everything if table.is_begun]
    parts = [f"# {_title(files)}", *(file.note for file in _leading(files) if file.note)]
    if any(file.paper for file in files):
        parts.append("\n".join(f"- [{file.title}]({_paper_page(file)})" for file in files if file.paper))
    parts += [READING, *machine_words(lines), *_missing_words(everything)]
    if overviews:
        parts += ["## All sets", OVERVIEW_READING, *map(overview_markdown, overviews)]
    for place in dict.fromkeys((table.dataset, table.features) for table in tables):
        parts.append(f"## {place[0]}, {place[1]}")
        parts += [_cells.to_markdown(table) for table in tables if (table.dataset, table.features) == place]
    return "\n\n".join(parts) + "\n"


def _leading(files: Sequence[ExperimentFile]) -> list[ExperimentFile]:
    """Return the files that the report is about: papers have pages of their own, unless there is nothing else."""
    return [file for file in files if not file.paper] or list(files)


def _title(files: Sequence[ExperimentFile]) -> str:
    return "; ".join(file.title for file in _leading(files))


def _missing_words(tables: Sequence[Table]) -> list[str]:
    """Name the sets of which nothing has run, in one sentence, if there are any."""
    begun = {table.dataset for table in tables if table.is_begun}
    missing = dict.fromkeys(table.dataset for table in tables if table.dataset not in begun)
    return [f"Not run, mostly because the set was not on this machine: {', '.join(missing)}."] if missing else []


READING = (
    "Scores in %, mean ± standard deviation over seeds. Clusters and classes are matched once, over all scored rows "
    "(Hungarian). NMI is divided by the arithmetic mean of the entropies and not corrected for chance; AMI and ARI "
    "are. The interval over images is a bootstrap of 95 %, averaged over seeds. The rows above the methods are "
    "floors, those below are ceilings that were given the labels and are always scored on rows that were not fitted. "
    "*Clusters* are those that the scored rows are in, the mean over seeds. *With empty clusters* counts the seeds in "
    "which a cluster that was asked for holds no fitted row. Times are those of the fit, as multiples of k-means on "
    "the same rows, measured in the same process after it; the first fit of a process also pays for starting the "
    "libraries, which shows where k-means takes less than a second. Peak MiB is that of the whole process, libraries "
    "included, in brackets what the fit added. The p of the comparison is that of a paired permutation "
    "test over all common seeds (random signs, two-sided): exact for up to 16 seeds, from 99,999 random sign patterns "
    "(p ≈) for more. With five seeds it cannot fall below 1/16."
)
OVERVIEW_READING = (
    "Bold is the best mean of a column, ceilings apart; it need not differ from the next by more than the spread. The "
    "mean rank counts methods and floors with a result on every set, by their means, and is a summary of these sets "
    "alone. Against k-means: on how many sets the accuracy of every seed lies above that of spherical k-means with the "
    "same seed, and on how many below."
)


def machine_words(lines: Sequence[dict[str, Any]]) -> list[str]:
    """Say what everything was measured on, and how long it took in all."""
    machines = dict.fromkeys(
        f"{line['hardware']['processor']}, {line['hardware']['n_cores']} cores, "
        f"threads a seed: {line['hardware']['n_threads']}, seeds at once: {line['hardware']['n_jobs']}"
        for line in lines
    )
    versions = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in line["versions"].items()) for line in lines
    )
    wall_h = sum(line["process_wall_s"] for line in lines) / 3600
    n_failed = sum(line["status"] != OK for line in lines)
    return [
        f"Measured on: {'; '.join(machines)}. Versions: {'; '.join(versions)}.",
        f"{len(lines):,} fits, {n_failed} of them failed or ran out of time; {wall_h:.2f} hours of processes in all.",
    ]


def _page(
    files: Sequence[ExperimentFile],
    everything: Sequence[Table],
    overviews: Sequence[Overview],
    lines: Sequence[dict[str, Any]],
) -> str:
    """Fill the page: one section for each set, with its plot and tables."""
    tables = [table for table in everything if table.is_begun]
    claims = [claim for file in files if file.paper for claim in collect_claims(file, tables)]
    return (
        _environment()
        .get_template("report.html")
        .render(
            csp=CONTENT_SECURITY_POLICY,
            title=_title(files),
            notes=[file.note.replace("`", "") for file in _leading(files) if file.note],
            reading=READING.replace("*", ""),
            machine=[*machine_words(lines), *_missing_words(everything)],
            places=list(dict.fromkeys((table.dataset, table.features) for table in tables)),
            tables=tables,
            plots={table.anchor: plot_cost(table) for table in tables},
            overviews=overviews,
            overview_reading=OVERVIEW_READING,
            rank_words=rank_words,
            published=plot_published(published_points(claims)),
            protocols=[PROTOCOLS[name] for name in PROTOCOLS if any(t.protocol.name == name for t in tables)],
            text=_cells,
            version=__version__,
        )
    )


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - for the page alone

    return Environment(
        loader=PackageLoader("covey.bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

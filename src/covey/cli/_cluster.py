"""`covey cluster`: from a folder of pictures to a gallery of its groups."""

import sys
import time
import webbrowser
from pathlib import Path
from typing import Any

import click

from covey.cli import _console, _options
from covey.cli._history import adopt_option
from covey.cli._options import AutoInt
from covey.cli._output import echo
from covey.registry import DEFAULT_CLUSTERER

EXIT_SKIPPED = 3


@click.command()
@_options.source_options
@click.option(
    "-k",
    "--clusters",
    "--n-clusters",
    "n_clusters",
    type=AutoInt(1, ("coarse", "suggested", "fine")),
    metavar="N|auto|coarse|suggested|fine",
    default="auto",
    show_default=True,
    help="Number of clusters; words take one for which there is evidence, auto the finest of these, in groups.",
)
@click.option("--k-min", type=click.IntRange(2, 10**9), help="Fewest clusters that auto considers.")
@click.option("--k-max", type=click.IntRange(2, 10**9), help="Most clusters that auto considers.")
@click.option("--method", metavar="NAME", help=f"See: covey list clusterers.  [default: {DEFAULT_CLUSTERER}]")
@click.option("--preset", metavar="NAME", help="Published settings of the method; see: covey list clusterers.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A keyword of the method.")
@click.option(
    "--seed", "random_state", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Random seed."
)
@_options.embed_options
@click.option(
    "--normalize-parts/--no-normalize-parts",
    default=True,
    show_default=True,
    help="With several models: scale the features of each to unit length, so that each counts the same.",
)
@click.option(
    "--names/--no-names", "has_names", default=True, show_default=True, help="Name the clusters, where the model can."
)
@click.option(
    "--size",
    type=click.IntRange(8),
    metavar="PIXELS",
    help="Side to which pictures are brought for a method that learns from pixels.  [default: 32]",
)
@adopt_option
@click.option("--gallery/--no-gallery", "has_gallery", default=True, show_default=True, help="Write the pages.")
@click.option("--allow-missing", is_flag=True, help="Cluster although most of the known images are not there.")
@_options.raw_csv_option
@click.option("--open", "opens", is_flag=True, help="Open the gallery in the browser when it is written.")
@click.option("-v", "--verbose", is_flag=True, help="Print how long each stage took.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; read, but write nothing.")
@_options.strict_option
@_options.output_options
def cluster(
    sources: tuple[Path, ...],
    output: Path,
    *,
    n_clusters: int | str | None,
    k_min: int | None,
    k_max: int | None,
    method: str | None,
    preset: str | None,
    params: tuple[str, ...],
    random_state: int,
    backbone: tuple[str, ...] | None,
    n_views: int,
    device: str,
    normalize_parts: bool,
    has_names: bool,
    size: int | None,
    decision: str,
    has_gallery: bool,
    allow_missing: bool,
    raw_csv: bool,
    opens: bool,
    verbose: bool,
    dry_run: bool,
    strict: bool,
    scan_options: dict[str, Any],
    extract_options: dict[str, Any],
    speech: _options.Output,
) -> None:
    """Find the groups in folders of pictures.

    SOURCE is a folder, a picture, a .txt file that lists one path a line, or - for such a list on standard input.
    The project folder then holds features, tables, and a gallery that opens in a browser. Run it again after
    adding pictures, or after an interruption: only what is new is computed.
    """
    if opens and not has_gallery:
        raise click.UsageError("--open needs the gallery; leave out --no-gallery.")
    with speech.bars() as progress:
        progress("start", 0, None)  # loading torch takes seconds
        from covey.cli import _report
        from covey.pipeline import plan_run, run_plan

        plan = plan_run(
            sources,
            output,
            n_clusters=n_clusters,
            k_min=k_min,
            k_max=k_max,
            backbone=backbone,
            n_views=n_views,
            normalize_parts=normalize_parts,
            size=size,
            method=method or DEFAULT_CLUSTERER,
            preset=preset,
            params=_options.parse_params(params),
            random_state=random_state,
            device=device,
            has_names=has_names,
            scan_options=scan_options,
            extract_options=extract_options,
            allow_missing=allow_missing,
            raw_csv=raw_csv,
        )
        if not dry_run:
            start = time.perf_counter()
            result = run_plan(plan, progress, is_last_step=False)
            adoption = _report.adopt_into(result.project, result.partition_id, decision)
            page = _report.write_pages(result.project, None, progress) if has_gallery else None
            _report.finish_run(result)
            seconds = time.perf_counter() - start
    if dry_run:
        _report.echo_plan(plan, as_json=speech.as_json)
        return
    if speech.as_json:
        _console.echo_json({**_report.run_as_dict(result, page), **({"adoption": adoption} if adoption else {})})
    elif not speech.quiet:
        _report.echo_run(result, page)
        for line in adoption:
            echo(line)
        if verbose:
            _report.echo_times(result.seconds, seconds)
    if opens and page is not None:
        webbrowser.open(page.resolve().as_uri())
    if strict and result.ledger.failures:
        sys.exit(EXIT_SKIPPED)

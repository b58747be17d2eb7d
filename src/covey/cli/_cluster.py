"""`covey cluster`: from a folder of pictures to a gallery of its groups."""

import sys
from pathlib import Path
from typing import Any

import click

from covey import defaults
from covey.cli import _console, _options
from covey.cli._options import AutoInt

EXIT_SKIPPED = 3


@click.command()
@_options.source_options
@click.option(
    "-k",
    "--n-clusters",
    type=AutoInt(1),
    metavar="N|auto",
    default="auto",
    show_default=True,
    help="Number of clusters, chosen if auto.",
)
@click.option("--k-min", type=click.IntRange(2), help="Fewest clusters that auto considers.")
@click.option("--k-max", type=click.IntRange(2), help="Most clusters that auto considers.")
@click.option("--method", metavar="NAME", help=f"See: covey list clusterers.  [default: {defaults.CLUSTERER}]")
@click.option("--preset", metavar="NAME", help="Published settings of the method; see: covey list clusterers.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A keyword of the method.")
@click.option("--seed", "random_state", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
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
@click.option("--gallery/--no-gallery", "has_gallery", default=True, show_default=True, help="Write the pages.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; read, but write nothing.")
@_options.strict_option
@_options.output_options
def cluster(sources: tuple[Path, ...], output: Path | None, **options: Any) -> None:
    """Find the groups in folders of pictures.

    SOURCE is a folder, a picture, a .txt file that lists one path a line, or - for such a list on standard input.
    The project folder then holds features, tables, and a gallery that opens in a browser. Run it again after
    adding pictures, or after an interruption: only what is new is computed.
    """
    from covey.cli import _report

    if options["offline"]:
        _console.forbid_network()
    output = _options.default_output(sources, output)
    keywords = _pipeline_keywords(options)
    if options["dry_run"]:
        _report.echo_plan(sources, output, keywords, as_json=options["as_json"])
        return
    with _console.Bars(is_shown=options["has_progress"] and not options["quiet"]) as progress:
        from covey.pipeline import cluster_folder

        result = cluster_folder(sources, output, progress=progress, **keywords)
        page = _report.write_pages(result.project, result.partition_id, progress) if options["has_gallery"] else None
    if options["as_json"]:
        _console.echo_json(_report.run_as_dict(result, page))
    elif not options["quiet"]:
        _report.echo_run(result, page)
    if options["strict"] and result.ledger.failures:
        sys.exit(EXIT_SKIPPED)


def _pipeline_keywords(options: dict[str, Any]) -> dict[str, Any]:
    """Name the command's options as `covey.pipeline.cluster_folder` does; None leaves its default."""
    own = {
        "n_clusters": options["n_clusters"],
        "k_min": options["k_min"],
        "k_max": options["k_max"],
        "size": options["size"],
        "method": options["method"],
        "preset": options["preset"],
        "params": _options.parse_params(options["params"]),
        "random_state": options["random_state"],
        "normalize_parts": options["normalize_parts"],
        "has_names": options["has_names"],
    }
    return {**_options.drop_none(own), **_options.pipeline_keywords(options)}

"""`covey embed`: features of every picture, without clustering them."""

import sys
from pathlib import Path
from typing import Any

import click

from covey.cli import _console, _options


@click.command()
@_options.source_options
@_options.embed_options
@_options.strict_option
@_options.output_options
def embed(sources: tuple[Path, ...], output: Path | None, **options: Any) -> None:
    """Compute the features of pictures into a project.

    `covey cluster` does this too; alone it is for many pictures on a machine that works through the night. It may
    be interrupted at any moment and goes on where it was.
    """
    if options["offline"]:
        _console.forbid_network()
    output = _options.default_output(sources, output)
    keywords = _options.pipeline_keywords(options)
    with _console.Bars(is_shown=options["has_progress"] and not options["quiet"]) as progress:
        from covey.pipeline import embed_folder

        features, report, ledger = embed_folder(sources, output, progress=progress, **keywords)
    n, d = features.X.shape
    line = _console.ledger_line(
        ledger.n_found, report.n_computed, ledger.n_embedded, ledger.n_duplicates, ledger.failures
    )
    if options["as_json"]:
        counts = {"n_images": n, "n_features": d, "n_computed": report.n_computed, "failures": ledger.failures}
        views = {"n_views": options["n_views"], "n_views_computed": report.n_views_computed}
        _console.echo_json({"project": output, "fingerprint": features.fingerprint, **counts, **views})
    elif not options["quiet"]:
        click.echo(f"{n} images x {d} features in {_console.shell_path(output)}")
        if options["n_views"]:
            click.echo(_console.views_line(options["n_views"], report.n_views_computed, report.n_views_reused))
        for aside in _console.aside_lines(ledger.notes, ledger.left_out):
            click.echo(aside)
        click.echo(line)
    if options["strict"] and ledger.failures:
        sys.exit(3)

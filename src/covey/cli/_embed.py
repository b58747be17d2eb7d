"""`covey embed`: features of every picture, without clustering them."""

import sys
from pathlib import Path
from typing import Any

import click

from covey.cli import _console, _options
from covey.cli._cluster import EXIT_SKIPPED
from covey.cli._output import echo
from covey.registry import DEFAULT_BACKBONE


@click.command()
@_options.source_options
@_options.embed_options
@_options.raw_csv_option
@_options.strict_option
@_options.output_options
def embed(
    sources: tuple[Path, ...],
    output: Path,
    *,
    backbone: tuple[str, ...] | None,
    n_views: int,
    device: str,
    raw_csv: bool,
    strict: bool,
    scan_options: dict[str, Any],
    extract_options: dict[str, Any],
    speech: _options.Output,
) -> None:
    """Compute the features of pictures into a project.

    `covey cluster` does this too; alone it is for many pictures on a machine that works through the night. It may
    be interrupted at any moment and goes on where it was.
    """
    from covey.pipeline import embed_folder

    with speech.bars() as progress:
        features, report, ledger = embed_folder(
            sources,
            output,
            backbone=backbone or DEFAULT_BACKBONE,
            n_views=n_views,
            device=device,
            scan_options=scan_options,
            extract_options=extract_options,
            raw_csv=raw_csv,
            progress=progress,
        )
    n, d = features.X.shape
    line = _console.ledger_line(
        ledger.n_found,
        report.n_computed,
        ledger.n_embedded,
        ledger.n_duplicates,
        ledger.failures,
        n_missing=ledger.n_missing,
    )
    if speech.as_json:
        counts = {"n_images": n, "n_features": d, "n_computed": report.n_computed, "failures": ledger.failures}
        views = {"n_views": n_views, "n_views_computed": report.n_views_computed}
        _console.echo_json({"project": output, "fingerprint": features.fingerprint, **counts, **views})
    elif not speech.quiet:
        echo(f"{n} images x {d} features in {_console.shell_path(output)}")
        if n_views:
            echo(_console.views_line(n_views, report.n_views_computed, report.n_views_reused))
        for aside in _console.aside_lines(ledger.notes, ledger.left_out):
            echo(aside)
        echo(line)
    if strict and ledger.failures:
        sys.exit(EXIT_SKIPPED)

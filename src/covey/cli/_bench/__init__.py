"""`covey bench`: run files of experiments, and report what came out; a command a file."""

import click

from covey.cli._bench._list import list_kind
from covey.cli._bench._report import report
from covey.cli._bench._run import run


@click.group(commands=[run, report, list_kind])
def bench() -> None:
    """Measure methods on labelled sets, and report it without mixing protocols.

    The labels are for the scores: no method sees them, and nothing is chosen by them unless a table says so.
    """

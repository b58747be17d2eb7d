"""What the command line prints: the one function for it, and warnings as one line."""

import logging
import sys
import warnings
from typing import Any

import click

from covey._text_files import printable


def echo(text: object = "", *, err: bool = False) -> None:
    """Print lines of text, in which nothing can act on the terminal.

    Parameters
    ----------
    text : object
        What `str` makes of it is printed. What a terminal would act on, and letters that the output's encoding lacks,
        are shown as escapes. Line breaks are kept, so a name goes through `covey._text_files.printable` before it
        becomes part of a line (`echo_table` and `shell_path` do that).
    err : bool, default=False
        Whether to print on standard error.
    """
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    safe = "\n".join(printable(line) for line in str(text).split("\n"))
    click.echo(safe.encode(encoding, "backslashreplace").decode(encoding), err=err)


def show_warnings_as_lines() -> None:
    """Show warnings and the log's warnings on standard error, each once and as one line without its place in the code.

    For the process of the command line; a program that imports covey sees them as Python shows them.
    """
    seen: set[str] = set()

    def show(text: str) -> None:
        line = " ".join(text.split())
        if line not in seen:
            seen.add(line)
            echo(f"covey: {line}", err=True)

    def show_warning(message: Warning | str, *_place: Any, **_more: Any) -> None:
        show(str(message))

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            show(record.getMessage())

    warnings.showwarning = show_warning
    handler = Handler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    if not sys.warnoptions:
        warnings.simplefilter("ignore", DeprecationWarning)


def sanitize(error: Any) -> Any:
    """Return an error of click whose message is fit for a terminal."""
    if isinstance(getattr(error, "message", None), str):
        error.message = printable(error.message)
    return error

"""`covey serve`: the result of a project in the browser, where it can be corrected."""

import signal
import webbrowser
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click

from covey.cli._console import echo_json
from covey.cli._options import project_argument
from covey.cli._output import echo


@click.command()
@project_argument
@click.option("--port", type=click.IntRange(0, 65535), help="Port, 0 for any free one.  [default: the first from 8765]")
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
@click.option("--read-only", "is_read_only", is_flag=True, help="Show the pages, and let nothing be edited.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as one line of JSON.")
def serve(project: Path, port: int | None, is_opened: bool, is_read_only: bool, as_json: bool) -> None:
    """Serve the pages of a project on this machine, to look and to correct.

    The link that is printed holds a key, new at each start: who does not have it sees nothing. Nobody on another
    machine can connect. Every correction is an edit of the project, as those of `covey edit`; Ctrl-C ends the server.
    """
    from covey.gallery.live import Server, bind_socket
    from covey.store import Project

    with Project.open(project) as opened:
        opened.partition_info()  # without a run there is nothing to serve
    server = Server(project, bind_socket(port), is_read_only=is_read_only)
    if as_json:
        echo_json({"url": server.url, "port": server.port, "is_read_only": server.is_read_only}, indent=None)
    else:
        echo(server.url)
        echo(f"Serving {project}{' (read only)' if server.is_read_only else ''}; Ctrl-C ends it.", err=True)
    # uvicorn gives a signal on, when the server has ended, to whoever handled it before.
    signal.signal(signal.SIGTERM, _end)
    with server.redirect_file() as page, suppress(KeyboardInterrupt):
        if is_opened:
            webbrowser.open(page.as_uri())
        server.run()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

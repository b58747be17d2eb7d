"""The command line: parse, call one library function, print.

A command is one file and one row of `COMMANDS`; installed packages add theirs through the entry-point group
``covey.commands``. Libraries are imported inside the commands, so that ``covey --help`` answers at once.
"""

import errno
import os
from collections.abc import Sequence
from typing import Any

import click

from covey import __version__
from covey.errors import CoveyError
from covey.registry import Registry

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = Registry(
    "command",
    "covey.commands",
    {
        "adopt": "covey.cli._history:adopt",
        "bench": "covey.cli._bench:bench",
        "cluster": "covey.cli._cluster:cluster",
        "edit": "covey.cli._correct:edit",
        "edits": "covey.cli._history:edits",
        "embed": "covey.cli._embed:embed",
        "eval": "covey.cli._eval:evaluate",
        "export": "covey.cli._export:export",
        "gallery": "covey.cli._info:gallery",
        "info": "covey.cli._info:info",
        "k": "covey.cli._k:k",
        "list": "covey.cli._catalog._list:list_items",
        "models": "covey.cli._catalog._models:models",
        "name": "covey.cli._name_and_search:name",
        "sample": "covey.cli._sample:sample",
        "search": "covey.cli._name_and_search:search",
    },
)

EXIT_INTERRUPTED = 130
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


class Failure(click.ClickException):
    """An error that a person can mend: one line on standard error, exit status 1."""

    def show(self, file: Any = None) -> None:
        """Print the message."""
        click.echo(f"covey: {self.format_message()}", err=True, file=file)


class CoveyGroup(click.Group):
    """A group that imports a command when it is asked for and turns covey's errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        command: click.Command | None = COMMANDS.get(cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what a person can mend is one line, anything else keeps its traceback."""
        try:
            return super().invoke(ctx)
        except CoveyError as error:
            raise Failure(str(error)) from error
        except OSError as error:
            if error.errno not in _DISK_ERRORS:
                raise
            where = f" ({error.filename})" if error.filename else ""
            raise Failure(f"{error.strerror}{where}. What was finished is kept; run the same command again.") from error
        except KeyboardInterrupt:
            click.echo("covey: interrupted. What was finished is kept; run the same command again to go on.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=CoveyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="covey")
def cli() -> None:
    """Cluster images that nobody has labelled.

    \b
    The main job needs no other command:
        covey cluster FOLDER
    finds the groups in a folder of pictures, says how many there are, and writes a gallery that opens in a browser.
    Nothing leaves this machine.
    """  # noqa: D301  \b is click's mark for a paragraph that keeps its lines


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; the console script's entry point.

    Threads of matrix products that wait shall sleep: by default they spin, and on a busy machine take the very
    cores that the others wait for. The libraries read this once, when they are loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    cli.main(args=list(args) if args is not None else None, prog_name="covey")

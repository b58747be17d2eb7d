"""The command line: parse, call one library function, print.

A command is one file and one row of `COMMANDS`; installed packages add theirs through the entry-point group
``covey.commands``. Libraries are imported inside the commands, so that ``covey --help`` answers at once.
"""

import os
from collections.abc import Sequence
from typing import Any

import click

from covey import __version__
from covey.cli._output import echo, sanitize, show_warnings_as_lines
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
        "prune": "covey.cli._prune:prune",
        "sample": "covey.cli._sample:sample",
        "search": "covey.cli._name_and_search:search",
        "serve": "covey.cli._serve:serve",
    },
)

EXIT_INTERRUPTED = 130


class Failure(click.ClickException):
    """An error that a person can mend: one line on standard error, exit status 1."""

    def show(self, file: Any = None) -> None:
        """Print the message."""
        echo(f"covey: {self.format_message()}", err=True)


class CoveyGroup(click.Group):
    """A group that imports a command when it is asked for and turns covey's errors into one line."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the words; what is wrong with them is shown without what a terminal would act on."""
        try:
            return super().make_context(*args, **kwargs)
        except click.ClickException as error:
            raise sanitize(error) from error.__cause__

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        command: click.Command | None = COMMANDS.get(cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what a person can mend is one line, anything else keeps its traceback.

        An error of the operating system is the machine's, not covey's, whatever its number.
        """
        try:
            return super().invoke(ctx)
        except CoveyError as error:
            raise Failure(str(error)) from error
        except click.ClickException as error:
            raise sanitize(error) from error.__cause__
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            where = f" ({error.filename})" if error.filename else ""
            said = error.strerror or str(error)
            raise Failure(f"{said}{where}. What was finished is kept; run the same command again.") from error
        except KeyboardInterrupt:
            echo("covey: interrupted. What was finished is kept; run the same command again to go on.", err=True)
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
    show_warnings_as_lines()
    cli.main(args=list(args) if args is not None else None, prog_name="covey")

"""Write docs/reference/cli.md from the commands' own help; a test fails when the page is out of date.

Run it with ``python docs/make_reference.py``.
"""

from pathlib import Path

import click

from covey.cli import COMMANDS, cli

PAGE = Path(__file__).parent / "reference" / "cli.md"
WIDTH = 100


def help_page() -> str:
    """Return the page: the help of the program and of each command, as the terminal shows it."""
    parts = ["# Commands\n\nMade by `docs/make_reference.py` from the help texts.\n"]
    root = click.Context(cli, info_name="covey", terminal_width=WIDTH, help_option_names=["-h", "--help"])
    parts.append(_section("covey", cli.get_help(root)))
    for name in COMMANDS:
        context = click.Context(COMMANDS[name], info_name=name, parent=root, terminal_width=WIDTH)
        parts.append(_section(f"covey {name}", COMMANDS[name].get_help(context)))
        for word, command in getattr(COMMANDS[name], "commands", {}).items():
            inner = click.Context(command, info_name=word, parent=context, terminal_width=WIDTH)
            parts.append(_section(f"covey {name} {word}", command.get_help(inner)))
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(help_page(), encoding="utf-8")

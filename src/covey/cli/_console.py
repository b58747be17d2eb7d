"""What commands share when they speak to a person: JSON, tables, the ledger, the network guard."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from covey._text_files import printable
from covey.cli._output import echo


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON on standard output; paths become strings."""
    echo(json.dumps(value, indent=indent, default=str, ensure_ascii=False))


def echo_table(rows: Iterable[Sequence[Any]], header: Sequence[str]) -> None:
    """Print rows in aligned columns; numbers stand on the right."""
    cells = [list(header), *([_format(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    numeric = [all(_is_number(row[column]) for row in cells[1:]) for column in range(len(header))]
    for row in cells:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        echo("  ".join(padded).rstrip())


def _format(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else printable(str(value))


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).replace("-", "", 1).isdigit()


def ledger_line(
    n_found: int,
    n_computed: int,
    n_embedded: int,
    n_duplicates: int,
    failures: Mapping[str, int],
    *,
    n_missing: int = 0,
) -> str:
    """Return the one line that accounts for every path: found is the sum of the rest, but for images that are gone."""
    parts = {
        "found": n_found,
        "embedded": n_computed,
        "already": n_embedded - n_computed,
        "duplicates": n_duplicates,
        **{code.removeprefix("ERROR_").lower(): count for code, count in sorted(failures.items())},
        **({"missing": n_missing} if n_missing else {}),
    }
    return " ".join(f"{name}={count}" for name, count in parts.items())


_LEFT_OUT_WORDS = {
    "system": "in system folders (--include-system)",
    "by_content": "images without a known suffix (--by-content)",
    "links": "links (--follow-symlinks)",
}
_KINDS_OF_FILES = ("document", "video", "audio", "text", "archive", "other")


def aside_lines(notes: Mapping[str, int], left_out: Mapping[str, int]) -> list[str]:
    """Return the lines for images with a note, and for what was seen and not counted as found; none if all is plain."""
    lines = []
    if notes:
        lines.append("notes    " + " ".join(f"{c.removeprefix('NOTE_').lower()}={n}" for c, n in sorted(notes.items())))
    said = [f"{left_out[kind]} {words}" for kind, words in _LEFT_OUT_WORDS.items() if kind in left_out]
    kinds = [f"{kind}={left_out[kind]}" for kind in _KINDS_OF_FILES if kind in left_out]
    if kinds:
        said.append("files that are not images: " + " ".join(kinds))
    if said:
        lines.append("left out " + "; ".join(said))
    return lines


def views_line(n_views: int, n_computed: int, n_reused: int) -> str:
    """Return the line that accounts for the augmented copies of all pictures."""
    return f"views={n_views} computed={n_computed} already={n_reused}"


def shell_path(path: Path) -> str:
    """Return a path as a person would type it from here: relative where that is shorter."""
    relative = os.path.relpath(path)
    return printable(relative if len(relative) < len(str(path)) else str(path))


def forbid_network() -> None:
    """Make every connection to another machine an error from now on, in this process and in those it starts.

    Model hubs are told through their environment variables; an audit hook, which cannot be removed, catches the rest.
    """
    from covey.errors import CoveyError

    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "COVEY_OFFLINE": "1"})

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(args[1], tuple) and not _is_local(str(args[1][0])):
            raise CoveyError(f"--offline: a connection to {args[1][0]} was refused.")
        if event == "socket.getaddrinfo" and not _is_local(str(args[0])):
            raise CoveyError(f"--offline: looking up {args[0]} was refused.")

    sys.addaudithook(refuse)


def _is_local(host: str) -> bool:
    return host in ("localhost", "::1", "None", "") or host.startswith("127.")


def apply_options(function: Callable[..., Any], options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """Decorate a command with a list of click options so that help shows them in this order."""
    for option in reversed(options):
        function = option(function)
    return function

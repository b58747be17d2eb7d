"""Which paths a person means: globs on relative paths, and the order in which people count."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_DIGITS = re.compile(r"([0-9]+)")


class GlobFilter:
    """Take or leave paths by globs.

    Parameters
    ----------
    include : sequence of str
        If there are any, only what one of them matches is taken.
    exclude : sequence of str
        What one of them matches is left, even if it is included.

    Raises
    ------
    ValueError
        If a glob is empty.

    Notes
    -----
    A glob is matched against a path relative to its source, with ``/`` between the parts on every system and without
    regard to case. ``*`` and ``?`` stand for anything but ``/``, ``[a-c]`` and ``[!a-c]`` for one character, and ``**``
    for any number of folders. As in a ``.gitignore``, a glob without ``/`` may match the file's name or that of any
    folder above it, one with ``/`` matches from the source on, and a folder that matches stands for all that is in it.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = [_compile(glob) for glob in include]
        self._exclude = [_compile(glob) for glob in exclude]

    def takes(self, path: str) -> bool:
        """Tell whether a relative POSIX path of a file is taken."""
        included = not self._include or any(glob.fullmatch(path) for glob in self._include)
        return included and not self.leaves(path)

    def leaves(self, path: str) -> bool:
        """Tell whether a relative POSIX path, of a file or a folder, is excluded."""
        return any(glob.fullmatch(path) for glob in self._exclude)


def _compile(glob: str) -> re.Pattern[str]:
    body = glob.removeprefix("./").rstrip("/")
    if not body:
        raise ValueError(f"The glob {glob!r} matches nothing; give a pattern such as '*.png' or 'scans/**'.")
    anywhere = "" if "/" in body else "(?:.*/)?"
    translated = "".join(_translate(token) for token in _TOKENS.findall(body.removeprefix("/")))
    return re.compile(f"{anywhere}{translated}(?:/.*)?", re.IGNORECASE | re.DOTALL)


def _translate(token: str) -> str:
    fixed = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if len(token) == 1:
        return re.escape(token)
    negation, members = ("^/", token[2:-1]) if token.startswith("[!") else ("", token[1:-1])
    escaped = re.sub(r"([\\\]\[^&~|])", r"\\\1", members)
    return f"[{negation}{escaped}]"


def natural_key(path: Path) -> tuple[tuple[Any, ...], str]:
    """Give the key by which people order paths: folder by folder, ``img2`` before ``img10``, case aside.

    Parameters
    ----------
    path : Path
        Any path.

    Returns
    -------
    key : tuple
        For `sorted`; equal only for equal paths.
    """
    return tuple(_part_key(part) for part in path.parts), str(path)


@lru_cache(maxsize=4096)  # folders come again with every file in them
def _part_key(part: str) -> tuple[Any, ...]:
    """Split into text and numbers in turn; a number counts by its length without leading zeros, then by its digits."""
    pieces: list[Any] = _DIGITS.split(part.casefold())
    pieces[1::2] = [(len(number), number) for number in (digits.lstrip("0") for digits in pieces[1::2])]
    return tuple(pieces)

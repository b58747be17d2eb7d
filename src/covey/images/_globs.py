"""Which paths a person means: globs on relative paths, and the order in which people count."""

import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec, Pattern

from covey.errors import InvalidValueError

_BRACKET = re.compile(r"\[!?\]?[^\]]*\]|\[")  # a set of characters, or a bracket that is never closed
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
    InvalidValueError
        If a glob can match nothing: it is empty, or holds a range such as ``[z-a]``.

    Notes
    -----
    The patterns of a ``.gitignore``, by the library pathspec: a glob is matched against a path relative to its source,
    with ``/`` between the parts on every system. ``*`` and ``?`` stand for anything but ``/``, ``[a-c]`` and ``[!a-c]``
    for one character, and ``**`` for any number of folders. A glob without ``/`` may match the file's name or that of
    any folder above it, one with ``/`` matches from the source on, and a folder that matches stands for all that is in
    it. Departs from Git: case is ignored, a backslash and a leading ``!`` or ``#`` stand for themselves, and a glob
    that ends with ``/`` may match a file.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = [_compile(glob) for glob in include]
        self._exclude = [_compile(glob) for glob in exclude]

    def takes(self, path: str) -> bool:
        """Tell whether a relative POSIX path of a file is taken."""
        included = not self._include or _matches(self._include, path)
        return included and not self.leaves(path)

    def leaves(self, path: str) -> bool:
        """Tell whether a relative POSIX path, of a file or a folder, is excluded."""
        return _matches(self._exclude, path)


def _matches(patterns: Sequence[Pattern], path: str) -> bool:
    lowered = path.lower()
    return any(pattern.match_file(lowered) is not None for pattern in patterns)


def _compile(glob: str) -> Pattern:
    """Compile one glob, or say why it cannot match."""
    body = glob.lower().removeprefix("./").rstrip("/")
    if not body:
        raise InvalidValueError(f"The glob {glob!r} matches nothing; give a pattern such as '*.png' or 'scans/**'.")
    reason = "Git ignores such a pattern"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # a set within a set
            (pattern,) = GitIgnoreSpec.from_lines([_escape(body)]).patterns
        if pattern.include:
            return pattern
    except (re.error, FutureWarning, ValueError) as error:
        reason = str(error)
    raise InvalidValueError(
        f"The glob {glob!r} is not a valid pattern ({reason}); write sets as [abc], [a-c] or [!abc], without / in them."
    )


def _escape(body: str) -> str:
    """Return the pattern in which nothing has a meaning but ``*``, ``?``, ``/`` and sets of characters."""
    body = body.replace("\\", "\\\\")
    body = _BRACKET.sub(lambda match: match[0] if len(match[0]) > 1 else "\\[", body)
    if body[0] in "!#":
        body = "\\" + body
    return f"{body[:-1]}[{body[-1]}]" if body[-1].isspace() else body  # Git drops white space at the end


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

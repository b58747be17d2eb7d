"""Paths as a page needs them: as relative URLs, and as text a person can read.

A file name is bytes. Python hands it out as `str` with lone surrogates for bytes that are no UTF-8; a URL takes the
bytes percent-encoded, a page takes text without surrogates and without characters that have no shape.
"""

import os
from pathlib import Path
from urllib.parse import quote_from_bytes

__all__ = ["cluster_url", "folder_url", "path_url", "readable"]

# Characters without a shape, and those that turn the direction of the text, so that "gpj.exe" cannot pose as a picture.
_SHAPELESS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHAPES = dict.fromkeys(_SHAPELESS, "\N{REPLACEMENT CHARACTER}") | {
    ord("\n"): "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}",
    ord("\t"): "\N{RIGHTWARDS ARROW TO BAR}",
}


def readable(text: str) -> str:
    """Turn a file name into text that can be shown and stored as UTF-8.

    Parameters
    ----------
    text : str
        A name or path, with surrogates for bytes that are no UTF-8.

    Returns
    -------
    text : str
        The same with U+FFFD for what is no text or has no shape, and an arrow for a line break or a tab.
    """
    return _to_bytes(text).decode("utf-8", "replace").translate(_SHAPES)


def path_url(path: str) -> str:
    """Percent-encode a relative POSIX path for use as a URL.

    Parameters
    ----------
    path : str
        Path with ``/`` between its parts, with surrogates for bytes that are no UTF-8.

    Returns
    -------
    url : str
        ASCII without quotes, spaces, ``#``, ``?`` or ``:``; its bytes decode to the file name's bytes.
    """
    # A backslash is a legal byte of a POSIX name, and a browser reads it as a slash unless it is encoded.
    return quote_from_bytes(_to_bytes(path), safe="/")


def folder_url(folder: Path, start: Path) -> str:
    """Write a folder as a URL prefix seen from another folder.

    Parameters
    ----------
    folder : Path
        Absolute path of the folder that is meant.
    start : Path
        Absolute path of the folder that holds the page.

    Returns
    -------
    url : str
        Relative where there is a way, else ``file:///...`` (another drive); ends with ``/``.
    """
    try:
        relative = os.path.relpath(folder, start)
    except ValueError:  # Windows: no relative way from one drive to another
        return folder.as_uri().rstrip("/") + "/"
    url = path_url(relative.replace(os.sep, "/"))
    return url if url.endswith("/") else f"{url}/"


def cluster_url(label: int, number: int = 1) -> str:
    """Name a page of a cluster, relative to the gallery's folder.

    Parameters
    ----------
    label : int
        The cluster's label, -1 for noise.
    number : int, default=1
        Number of the page, from 1.

    Returns
    -------
    url : str
        ``clusters/0012.html`` or ``clusters/0012-3.html``.
    """
    stem = f"{label:04d}" if label >= 0 else "noise"
    return f"clusters/{stem}.html" if number == 1 else f"clusters/{stem}-{number}.html"


def _to_bytes(name: str) -> bytes:
    """Return the bytes of a file name, also of one from Windows that holds half a surrogate pair."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")

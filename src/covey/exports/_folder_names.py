"""Names for folders and files that every system takes, and that stay apart where case does not count."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

MAX_NAME_BYTES = 80
NOT_SURE, UNPLACED, UNLABELED = "_not sure", "_new", "_unlabeled"
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?", re.IGNORECASE)


def safe_name(name: str, fallback: str) -> str:
    """Return a name for a folder that Windows, macOS and Linux take.

    Parameters
    ----------
    name : str
        Any text.
    fallback : str
        Used where nothing is left of it.

    Returns
    -------
    name : str
        NFC, at most 80 bytes of UTF-8; ``_`` in place of what is forbidden somewhere, and behind the names of devices
        and of this export's own folders.
    """
    text = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name))
    text = _shorten(text.strip().lstrip("."), MAX_NAME_BYTES).strip().rstrip(". ")
    if not text.strip("_ "):
        return fallback
    if _DEVICES.fullmatch(text) or text.casefold() in (NOT_SURE, UNPLACED, UNLABELED):
        return f"{text}_"
    return text


def safe_file_name(name: str) -> str:
    """Return a file's name, its extension kept, that every system takes; see `safe_name`."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or len(extension.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES // 4:
        return safe_name(name, "picture")
    extension = safe_name(extension, "x")
    kept = _shorten(safe_name(stem, "picture"), MAX_NAME_BYTES - len(extension.encode()) - 1).rstrip(". ")
    return f"{kept}.{extension}"


def unique_folders(names: Mapping[int, str]) -> dict[int, str]:
    """Return a folder for each cluster id; equal ones, without regard to case, get `` (2)`` by rising id."""
    taken: set[str] = set()
    folders = {}
    for number, name in sorted(names.items()):
        candidates = _numbered(safe_name(name, f"cluster-{number:04d}"), "")
        folders[number] = next(candidate for candidate in candidates if _key(candidate) not in taken)
        taken.add(_key(folders[number]))
    return folders


def free_file(name: str, taken: set[str]) -> str:
    """Return a file's name that is not taken in its folder, and take it; `` (2)`` comes before the extension."""
    stem, dot, extension = name.rpartition(".")
    ending = f".{extension}" if dot and stem else ""
    found = next(
        candidate for candidate in _numbered(name.removesuffix(ending), ending) if _key(candidate) not in taken
    )
    taken.add(_key(found))
    return found


def _numbered(stem: str, ending: str) -> Iterable[str]:
    yield stem + ending
    number = 2
    while True:
        yield f"{stem} ({number}){ending}"
        number += 1


def _key(name: str) -> str:
    """Return the form in which file systems that ignore case, or normalize, compare names."""
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())


def _shorten(text: str, n_bytes: int) -> str:
    """Cut text to so many bytes of UTF-8, on the border of a character and its combining marks."""
    encoded = text.encode("utf-8")
    if len(encoded) <= n_bytes:
        return text
    kept = encoded[:n_bytes].decode("utf-8", "ignore")
    rest = text[len(kept) :]
    while kept and rest and unicodedata.combining(rest[0]):
        kept, rest = kept[:-1], kept[-1] + rest
    return kept

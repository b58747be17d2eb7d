"""The gallery as a folder of static files that is there whole or not at all."""

import shutil
from glob import escape
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from covey.errors import InvalidValueError, ProjectError
from covey.gallery._render import render_page
from covey.gallery._walk import count_gallery_pages, gallery_pages, plan_walk
from covey.types import Progress

if TYPE_CHECKING:
    from covey.corrections import Corrected
    from covey.store import Project

__all__ = ["PAGE_SIZE", "write_gallery"]

PAGE_SIZE = 200
STATIC_FILES = ("gallery.css", "gallery.js", "icon.svg")
# Only a folder with this file in it is ever replaced.
MARKER = ".covey-gallery"
MARKER_TEXT = (
    "Written by covey. This folder is replaced as a whole when the gallery is written again: keep nothing here.\n"
)


def write_gallery(
    project: "Project",
    partition_id: int,
    out: Path,
    *,
    page_size: int = PAGE_SIZE,
    corrected: "Corrected | None" = None,
    progress: Progress | None = None,
) -> Path:
    """Write a partition as static pages that open from disk.

    Parameters
    ----------
    project : Project
        Open. Thumbnails and pictures are linked where they lie, not copied.
    partition_id : int
        The partition to show.
    out : Path
        The folder to write: new, empty, or an earlier gallery, which is replaced as a whole.
    page_size : int, default=200
        Images a page, at least 1.
    corrected : Corrected, optional
        The corrected result, to be shown in place of the partition; see `covey.corrections.find_corrected`.
    progress : Progress, optional
        Told after each page, stage ``"gallery"``.

    Returns
    -------
    index : Path
        The page to open first.

    Raises
    ------
    ProjectError
        If `out` holds something that is no gallery, or the project has no such partition.
    InvalidValueError
        If `page_size` is less than 1.

    Notes
    -----
    The pages are written into a folder beside `out` that then takes its place, so whoever opens `out` sees the old
    gallery or the new one. Memory does not grow with the number of images but with that of clusters and failures.
    """
    if page_size < 1:
        raise InvalidValueError(f"page_size is {page_size}; a page holds at least 1 image.")
    target = out.absolute()
    _check_target(target)
    walk = plan_walk(project, partition_id, target, page_size, corrected=corrected)
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    draft = target.with_name(f".{target.name}-{token_hex(4)}.draft")
    draft.mkdir()  # unlike a folder of tempfile's, with the permissions that the umask leaves
    try:
        _write_static(draft)
        n_pages = count_gallery_pages(walk)
        for n_done, page in enumerate(gallery_pages(walk), start=1):
            _write_text(draft / page.url, render_page(page))
            if progress is not None:
                progress("gallery", n_done, n_pages)
        _swap(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target / "index.html"


def _check_target(target: Path) -> None:
    """Refuse to replace anything that was not written here."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ProjectError(f"{str(target)!r} is not a folder; choose another place for the gallery.")
    if target.is_dir() and any(target.iterdir()) and not (target / MARKER).is_file():
        raise ProjectError(
            f"The folder {str(target)!r} holds something else than a gallery of covey and is left as it is; "
            "choose a new or an empty folder."
        )


def _clear_leftovers(target: Path) -> None:
    """Finish or undo what a killed run left half swapped, and remove its draft."""
    old = _old(target)
    if old.is_dir() and not target.exists():
        old.rename(target)
    for leftover in [old, *target.parent.glob(f".{escape(target.name)}-*.draft")]:
        shutil.rmtree(leftover, ignore_errors=True)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}-old")


def _swap(draft: Path, target: Path) -> None:
    """Put the draft in the target's place; if that fails, the target is back where it was."""
    old = _old(target)
    if target.exists():
        target.rename(old)
    try:
        draft.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write_static(folder: Path) -> None:
    (folder / "static").mkdir()
    (folder / "clusters").mkdir()
    for name in STATIC_FILES:
        (folder / "static" / name).write_bytes((files("covey.gallery") / "static" / name).read_bytes())
    _write_text(folder / MARKER, MARKER_TEXT)


def _write_text(path: Path, text: str) -> None:
    """Write UTF-8; a stray surrogate becomes ``?`` rather than the end of the run."""
    path.write_text(text, encoding="utf-8", errors="replace", newline="\n")

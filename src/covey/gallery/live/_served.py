"""The project behind the server: opened, read and edited in one thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from covey.corrections import Corrected, ProjectCuration, correct_again, open_curation
from covey.curation import Curation
from covey.errors import ProjectError
from covey.gallery._pages import Links
from covey.gallery._walk import Walk, plan_walk
from covey.store import Project

__all__ = ["PAGE_SIZE", "LiveLinks", "LiveWalk", "ServedProject"]

PAGE_SIZE = 200
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LiveLinks(Links):
    """Where things lie on the server: images by id, never by path, and pages without an ending."""

    def thumbnail(self, image_id: str) -> str | None:
        """Return the URL of a thumbnail, None if there is none."""
        return f"{self.root}thumbnails/{image_id}.webp" if self.has_thumbnail(image_id) else None

    def original(self, _path: str, image_id: str = "") -> str:
        """Return the URL of a file from the id of its image; empty for a file that is none."""
        return f"{self.root}pictures/{image_id}" if image_id else ""

    def page(self, url: str) -> str:
        """Return the URL of another page from the name that it has on disk."""
        stem, _, number = url.removesuffix(".html").partition("-")
        if stem == "index":
            return self.root or "./"
        return f"{self.root}{stem}?page={number}" if number else f"{self.root}{stem}"

    def cluster(self, label: int, number: int = 1) -> str:
        """Return the URL of a page of a cluster."""
        name = label if label >= 0 else "none"
        return f"{self.root}clusters/{name}" if number == 1 else f"{self.root}clusters/{name}?page={number}"


@dataclass(frozen=True, slots=True)
class LiveWalk(Walk):
    """What is needed to make any page that is served."""

    def links(self, folder: str = "") -> LiveLinks:
        """Return where things lie, seen from a folder."""
        # Not super(): a dataclass with slots is another class than the one that this method was written in.
        static = Walk.links(self, folder)
        return LiveLinks(static.root, static.thumbnails, static.images, static.has_thumbnail)


class ServedProject:
    """A project that is open for as long as the server runs; its methods but `call` run in its own thread.

    Parameters
    ----------
    root : Path
        The project's folder.
    page_size : int, default=200
        Images a page.
    """

    def __init__(self, root: Path, *, page_size: int = PAGE_SIZE) -> None:
        self._root, self._page_size = root, page_size
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="covey-project")
        self._corrected: Corrected | None = None
        self._walk: LiveWalk | None = None
        self._rows: dict[str, int] = {}
        self._thread.submit(self._open).result()

    def close(self) -> None:
        """Close the project when what is under way is done."""
        self._thread.submit(self.project.close).result()
        self._thread.shutdown()

    async def call(
        self, function: Callable[Concatenate["ServedProject", P], T], *args: P.args, **keywords: P.kwargs
    ) -> T:
        """Run a function on the project in its thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: function(self, *args, **keywords))

    def _open(self) -> None:
        self.project = Project.open(self._root)
        try:
            self.curation: ProjectCuration = open_curation(self.project)
        except BaseException:
            self.project.close()
            raise

    @property
    def state(self) -> Curation:
        """The corrected result as this server last saw it."""
        return self.curation.state

    def walk(self) -> LiveWalk:
        """Return what all pages share, computed anew if an edit, a run or a scan came since."""
        self.curation.refresh()
        if self._walk is None or self._corrected is None or self._corrected.state is not self.state:
            corrected = self._correct()
            walk = plan_walk(self.project, self.state.base, Path("/"), self._page_size, corrected=corrected)
            self._walk = LiveWalk(*(getattr(walk, part.name) for part in fields(walk)))
            self._corrected = corrected
        return self._walk

    def corrected(self) -> Corrected:
        """Return the corrected result with its confidences and summaries."""
        self.walk()
        if self._corrected is None:
            raise ProjectError("The corrected result is not there.")
        return self._corrected

    def row_of(self, image_id: str) -> int | None:
        """Return the row of an image in the arrays of the corrected result, None if there is no such image."""
        if len(self._rows) != len(self.state.images):
            self._rows = {known: row for row, known in enumerate(self.curation.keys_by_id())}
        return self._rows.get(image_id)

    def _correct(self) -> Corrected:
        again = correct_again(self._corrected, self.state) if self._corrected is not None else None
        return self.curation.corrected() if again is None else again

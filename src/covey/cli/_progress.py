"""Progress of a command on standard error: one line a stage, with units, rate and time left."""

import sys
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

STAGES = {
    "start": ("Starting", ""),
    "load": ("Loading the model", ""),
    "find": ("Scanning", "files"),
    "scan": ("Reading", "files"),
    "pack": ("Packing", "images"),
    "embed": ("Embedding", "images"),
    "views": ("Embedding", "views"),
    "read": ("Reading features", ""),
    "choose": ("Choosing k", "numbers"),
    "cluster": ("Clustering", "steps"),
    "restart": ("k-means", "restarts"),
    "train": ("Training", "steps"),
    "beta": ("Choosing beta", "values"),
    "codes": ("Sparse codes", "images"),
    "describe": ("Describing the clusters", ""),
    "name": ("Naming", "steps"),
    "tables": ("Writing tables", ""),
    "export": ("Exporting", "files"),
    "gallery": ("Writing the gallery", "pages"),
}


class Bars:
    """A progress callback that writes one line a stage on standard error.

    On a terminal the line of the present stage is a bar that moves; elsewhere each stage is named once, when it
    begins.

    Parameters
    ----------
    is_shown : bool
        Whether anything is written.
    stream : TextIO, optional
        Where to write; standard error if not given.
    """

    def __init__(self, *, is_shown: bool, stream: TextIO | None = None) -> None:
        self._is_shown = is_shown
        self._stream = stream or sys.stderr
        self._moves = self._stream.isatty()
        self._stage = ""
        self._named: set[str] = set()
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __call__(self, stage: str, n_done: int, n_total: int | None) -> None:
        """Show how far a stage is; a new stage, or the same one from its beginning, ends the line before."""
        if not self._is_shown:
            return
        if self._moves:
            self._move(stage, n_done, n_total)
        else:
            self._name(stage, n_total)

    def _move(self, stage: str, n_done: int, n_total: int | None) -> None:
        is_finished = n_total is not None and n_done >= n_total
        if self._bar is None and is_finished and stage == self._stage:  # said twice
            return
        if self._bar is None or stage != self._stage or n_done < self._bar.n:
            self._close()
            label, units = describe_stage(stage)
            self._stage = stage
            self._bar = _line_class()(label, units, total=n_total, file=self._stream)
        self._bar.total = n_total
        self._bar.update(n_done - self._bar.n)
        if is_finished:  # a bar at 100 % would look as if it hung
            self._close()

    def _name(self, stage: str, n_total: int | None) -> None:
        if stage in self._named:
            return
        self._named.add(stage)
        label, units = describe_stage(stage)
        line = f"{label} {n_total:,} {units}" if n_total and units else label
        self._stream.write(line + "\n")
        self._stream.flush()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def describe_stage(stage: str) -> tuple[str, str]:
    """Return what a stage is called, and the unit that it counts, in the plural; empty if it counts nothing."""
    return STAGES.get(stage, (stage.replace("_", " ").capitalize(), "steps"))


def format_stage(
    label: str, units: str, *, n_done: int, n_total: int | None, elapsed_s: float, rate: float | None = None
) -> str:
    """Write how far a stage is.

    Parameters
    ----------
    label, units : str
        From `describe_stage`.
    n_done : int
        How many are done.
    n_total : int or None
        Of how many; None if that is unknown.
    elapsed_s : float
        Seconds since the stage began.
    rate : float, optional
        Units a second of late; the mean if not given.

    Returns
    -------
    line : str
        ``"Embedding 310/1,000 images, 24/s, 0:29 left"``, ``"Scanning: 1,204 files (310 files/s)"``, or when all is
        done ``"Embedding 1,000 images, 0:41"``.
    """
    rate = rate or (n_done / elapsed_s if elapsed_s > 0 else 0.0)
    if not units or (n_total is None and n_done == 0):
        return f"{label}, {format_seconds(elapsed_s)}" if elapsed_s >= 1 else label
    if n_total is None:
        return f"{label}: {n_done:,} {units} ({_format_rate(rate)} {units}/s)"
    if n_done >= n_total:
        return f"{label} {n_total:,} {units}, {format_seconds(elapsed_s)}"
    line = f"{label} {n_done:,}/{n_total:,} {units}"
    if n_done == 0 or rate <= 0:
        return line
    return f"{line}, {_format_rate(rate)}/s, {format_seconds((n_total - n_done) / rate)} left"


def format_seconds(seconds: float) -> str:
    """Write a time as ``0:29`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _format_rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


@cache
def _line_class() -> "type[tqdm[Any]]":
    """Return a tqdm whose line is `format_stage`; made late, because tqdm is not needed elsewhere."""
    from tqdm import tqdm

    class Line(tqdm):  # type: ignore[type-arg]  # tqdm is generic in its stubs alone
        def __init__(self, label: str, units: str, **keywords: Any) -> None:
            self.words = label, units
            super().__init__(bar_format="{line}{bar}", smoothing=0.1, dynamic_ncols=True, **keywords)

        @property
        def format_dict(self) -> Any:
            facts = super().format_dict
            label, units = self.words
            n_total = None if self.total is None else int(self.total)
            line = format_stage(
                label, units, n_done=int(self.n), n_total=n_total, elapsed_s=facts["elapsed"], rate=facts["rate"]
            )
            return {**facts, "line": line, "bar_format": self._format(facts["total"], facts["n"])}

        def _format(self, n_total: int | None, n_done: int) -> str:
            """Leave out the bar where there is nothing to draw, or nothing more."""
            return "{line} {bar:24}" if n_total and n_done < n_total else "{line}"

    return Line

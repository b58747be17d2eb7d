"""A process for one task: started, watched, ended when its time is over, its last words kept."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from covey.engines import n_threads

_SCRATCH: Final = ".running"
_MODULE: Final = "covey.bench.runner._worker"
_MAX_WORDS: Final = 400
_CLASS: Final = re.compile(r"^covey\.errors\.\w+: ")
"""Our own errors say everything without their class."""


def n_threads_each(n_jobs: int) -> int:
    """Tell how many threads each of `n_jobs` processes gets: what OMP_NUM_THREADS says, else its share."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) > 0 else max(1, n_threads() // n_jobs)


class WorkerResult(NamedTuple):
    """How a task ended.

    Attributes
    ----------
    facts : dict or None
        Its result, None if there is none.
    error : str
        Why not.
    is_timeout : bool
        Whether its time was over.
    wall_s : float
        Of the whole process.
    """

    facts: dict[str, Any] | None
    error: str
    is_timeout: bool
    wall_s: float


@dataclass(slots=True)
class Worker:
    """A running task.

    Attributes
    ----------
    process : Popen
        Leads a process group of its own.
    files : Path
        The task's files, but for their suffixes.
    timeout_s : float or None
        Seconds that it may take.
    started_s : float
        When it was started, by `time.perf_counter`.
    """

    process: "subprocess.Popen[bytes]"
    files: Path
    timeout_s: float | None
    started_s: float

    @classmethod
    def start(
        cls, name: str, task: Mapping[str, Any], output: Path, *, timeout_s: float | None, n_threads: int | None = None
    ) -> Self:
        """Start a task in a new process.

        Parameters
        ----------
        name : str
            Of its files.
        task : mapping
            For `covey.bench.runner._worker`.
        output : Path
            Folder of the results, below which the files lie while it runs.
        timeout_s : float or None
            Seconds that it may take.
        n_threads : int, optional
            Threads of its matrix products; all processors if not given.

        Returns
        -------
        worker : Worker
            To be closed.
        """
        folder = output / _SCRATCH
        folder.mkdir(exist_ok=True)
        files = folder / name
        files.with_suffix(".result.json").unlink(missing_ok=True)
        task_path = files.with_suffix(".task.json")
        task_path.write_text(json.dumps(task), encoding="utf-8")
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        if n_threads is not None:
            environment["OMP_NUM_THREADS"] = str(n_threads)
        with files.with_suffix(".log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [
                    sys.executable,
                    "-m",
                    _MODULE,
                    str(task_path),
                    str(files.with_suffix(".result.json")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        return cls(process, files, timeout_s, time.perf_counter())

    def is_done(self) -> bool:
        """Tell whether it has ended, or must be."""
        return self.process.poll() is not None or self._is_late()

    def wait(self) -> WorkerResult:
        """Wait for the end, at most until its time is over, and return what came of it."""
        left = None if self.timeout_s is None else max(0.0, self.timeout_s - (time.perf_counter() - self.started_s))
        try:
            code = self.process.wait(left)
        except subprocess.TimeoutExpired:
            self._kill()
            words = f"took longer than {self.timeout_s:g} s"
            return WorkerResult(None, words, is_timeout=True, wall_s=time.perf_counter() - self.started_s)
        wall_s = time.perf_counter() - self.started_s
        path = self.files.with_suffix(".result.json")
        if code == 0 and path.exists():
            facts = json.loads(path.read_text(encoding="utf-8"))
            return WorkerResult(dict(facts), "", is_timeout=False, wall_s=wall_s)
        return WorkerResult(None, self._last_words(code), is_timeout=False, wall_s=wall_s)

    def close(self) -> None:
        """End it if it still runs, and remove its files."""
        self._kill()
        for suffix in (".task.json", ".result.json", ".log"):
            self.files.with_suffix(suffix).unlink(missing_ok=True)
        for leftover in self.files.parent.glob(f".{escape(self.files.name)}.result.json.*"):  # of a killed worker
            leftover.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_late(self) -> bool:
        return self.timeout_s is not None and time.perf_counter() - self.started_s > self.timeout_s

    def _kill(self) -> None:
        """End the process and what it started."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                if os.name == "nt":
                    self.process.kill()
                else:
                    os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _last_words(self, code: int) -> str:
        """Return the last line that the process wrote, or how it was ended."""
        if code < 0:
            return f"was ended by signal {-code} ({signal.Signals(-code).name}); often that is memory running out"
        log = self.files.with_suffix(".log").read_text(encoding="utf-8", errors="replace").strip()
        last = (log.splitlines() or [f"ended with status {code} without a word"])[-1]
        return _CLASS.sub("", last)[:_MAX_WORDS]

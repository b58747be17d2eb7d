"""The lines of results: one JSON object for each finished seed, appended whole, never rewritten."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from covey._files import parse_json
from covey.errors import DatasetError

RESULTS: Final = "results.jsonl"
OK: Final = "ok"
FAILED: Final = "failed"
TIMEOUT: Final = "timeout"


class Ledger:
    """The results of a folder.

    Parameters
    ----------
    folder : Path
        Holds ``results.jsonl``, or will.

    Notes
    -----
    A line goes to the disk in one write to the end of the file and is flushed, so a process that is killed leaves at
    most one unfinished line at the end. It is passed over in reading and cut off before the next one is written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / RESULTS

    def read(self) -> list[dict[str, Any]]:
        """Return the finished lines in the order in which they were written.

        Returns
        -------
        lines : list of dict
            Empty where there is no file.

        Raises
        ------
        DatasetError
            If a finished line is not a JSON object.
        """
        if not self.path.exists():
            return []
        finished = self.path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is unfinished
        lines = []
        for number, text in enumerate(finished, start=1):
            try:
                lines.append(dict(parse_json(text)))
            except (ValueError, TypeError) as error:
                raise DatasetError(f"{self.path}, line {number} is not a result: {error}; remove it.") from error
        return lines

    def repair(self) -> None:
        """Cut off an unfinished line at the end; call it only where nobody else writes."""
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line and wait until it is on the disk.

        Parameters
        ----------
        line : mapping
            The result of one seed, JSON-compatible, without NaN and infinity.

        Raises
        ------
        OSError
            If the disk refuses.
        ValueError
            If it holds NaN or infinity.
        """
        text = json.dumps(line, sort_keys=True, allow_nan=False) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def finished_keys(lines: list[dict[str, Any]], *, retry_failed: bool) -> set[str]:
    """Return the keys that need no other run; of a key that was run again the last line counts."""
    status = {line["key"]: line["status"] for line in lines}
    return {key for key, value in status.items() if value == OK or not retry_failed}

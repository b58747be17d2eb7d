"""``covey-manifest.jsonl``: the whole plan of an export, written before the first operation.

The first line is the header, then one line an operation (``op``, ``to``, ``from``, ``id``), then ``planned`` with their
number, and at the end ``done`` with the counts. A manifest without ``planned`` was killed before anything was done.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey._files import atomic_write
from covey.exports._operations import ExportError, Operation, is_safe
from covey.store import disk_errors

MANIFEST = "covey-manifest.jsonl"
FORMAT, VERSION = "covey-export", 1
_OPERATIONS = {"mkdir", "symlink", "hardlink", "copy", "move", "write"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """An export that was begun.

    Attributes
    ----------
    header : mapping
        ``format``, ``version``, ``created_at``, ``project``, ``to``, ``mode``, ``seq``, ``run``, ``options`` and
        ``is_new_folder``: whether the export made the folder itself.
    operations : tuple of Operation
        The plan.
    counts : mapping of str to int, or None
        What came of it; None if it has not come to its end.
    """

    header: Mapping[str, Any]
    operations: tuple[Operation, ...]
    counts: Mapping[str, int] | None


def write_manifest(path: Path, header: Mapping[str, Any], operations: Iterable[Operation]) -> None:
    """Write the plan, whole or not at all, and wait until it is on the disk."""
    lines = [json.dumps({"format": FORMAT, "version": VERSION, **header})]
    for operation in operations:
        record = {"op": operation.op, "to": operation.to, "from": operation.source, "id": operation.id}
        lines.append(json.dumps(record))
    lines.append(json.dumps({"planned": len(lines) - 1}))
    with disk_errors(f"The manifest {str(path)!r}"), atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def finish_manifest(path: Path, counts: Mapping[str, int]) -> None:
    """Note that all operations were done."""
    with disk_errors(f"The manifest {str(path)!r}"), path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps({"done": True, "counts": dict(counts)}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    manifest : Manifest or None
        None if there is no such file.

    Raises
    ------
    ExportError
        If it is not a manifest, a newer covey wrote it, or it names a path outside its folder.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"The manifest {str(path)!r} cannot be read: {error}.") from error
    records = [_parse(line, path, number) for number, line in enumerate(lines, 1) if line]
    header = records[0] if records else {}
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise ExportError(f"{str(path)!r} is not a manifest of this covey; nothing was touched.")
    ends = [i for i, record in enumerate(records) if "planned" in record]
    if not ends or records[ends[0]]["planned"] != ends[0] - 1:
        raise ExportError(f"The manifest {str(path)!r} is not complete; nothing was touched.")
    operations = tuple(_operation(record, path) for record in records[1 : ends[0]])
    done = next((record.get("counts") for record in records[ends[0] :] if record.get("done")), None)
    return Manifest(header, operations, done if isinstance(done, dict) else None)


def _parse(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise ExportError(f"{path}, line {number} is not a line of a manifest; nothing was touched.")
    return record


def _operation(record: Mapping[str, Any], path: Path) -> Operation:
    """Return an operation, if it stays within the folder of the manifest."""
    op, to, source, image_id = (record.get(key) for key in ("op", "to", "from", "id"))
    is_text = all(isinstance(value, str) for value in (op, to, source, image_id))
    if not is_text or op not in _OPERATIONS or not is_safe(str(to)):
        raise ExportError(
            f"The manifest {str(path)!r} names {to!r}, which is not below its folder; nothing was touched."
        )
    if source and not Path(str(source)).is_absolute():
        raise ExportError(
            f"The manifest {str(path)!r} names {source!r}, which is not a whole path; nothing was touched."
        )
    return Operation(str(op), str(to), str(source), str(image_id))

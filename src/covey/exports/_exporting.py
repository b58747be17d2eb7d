"""Performing an export: checks, the manifest, the operations, and the way back."""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from covey.errors import ProjectError
from covey.exports._manifest import MANIFEST, Manifest, finish_manifest, read_manifest, write_manifest
from covey.exports._operations import PARTS, ExportError, Operation, part_path, perform, revert
from covey.exports._registry import EXPORTERS
from covey.exports._source import ExportOptions, ExportPlan, ExportSource, read_source
from covey.store import Project, disk_errors, relocate_files
from covey.types import Progress

_BATCH = 100
_SAME = ("project", "to", "mode", "seq", "run", "options")
_LINKS = ("symlink", "hardlink")


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export made, or would make.

    Attributes
    ----------
    out : Path
        The folder.
    counts : mapping of str to int
        ``written``, ``linked``, ``moved``, ``renamed``, ``missing``, ``changed`` (bytes are not those of the scan) and
        ``skipped`` (not asked for).
    operations : sequence of Operation
        All of them.
    is_continued : bool
        Whether an export that was killed was brought to its end.
    is_known : bool
        Whether it was complete already, so that nothing was done.
    """

    out: Path
    counts: Mapping[str, int]
    operations: Sequence[Operation]
    is_continued: bool = False
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What an undo brought back.

    Attributes
    ----------
    n_undone : int
        Operations that are undone.
    left : tuple of (str, str)
        What was left as it is, with the reason.
    """

    n_undone: int
    left: tuple[tuple[str, str], ...]


def plan_export(source: ExportSource, to: str, options: ExportOptions) -> ExportPlan:
    """Plan an export; nothing is touched.

    Parameters
    ----------
    source : ExportSource
        What is exported.
    to : str
        A name in `covey.exports.EXPORTERS`.
    options : ExportOptions
        What of it, and how.

    Returns
    -------
    plan : ExportPlan
        The operations.

    Raises
    ------
    UnknownNameError
        If the format is unknown.
    InvalidValueError
        If an option is not allowed.
    """
    options.check()
    plan: ExportPlan = EXPORTERS[to](source, options)
    return plan


def run_export(
    project: Project,
    to: str,
    out: Path,
    *,
    options: ExportOptions | None = None,
    partition_id: int | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a result into a folder.

    Parameters
    ----------
    project : Project
        Open, and not locked: an export that moves images locks it.
    to : str
        A name in `covey.exports.EXPORTERS`.
    out : Path
        The folder: new, empty, or one in which the same export was killed, which then goes on.
    options : ExportOptions, optional
        What is exported, and how.
    partition_id : int, optional
        A run as it was computed, in place of the corrected result.
    overwrite : bool, default=False
        Undo an older export in this folder first; refused if any of its files was changed since.
    dry_run : bool, default=False
        Plan and check only.
    progress : Progress, optional
        Told after each operation, stage ``"export"``.

    Returns
    -------
    report : ExportReport
        What was made.

    Raises
    ------
    ExportError
        If the folder is not allowed, holds something else, or something is in the way.
    ProjectError
        If there is no run or the disk refuses.
    UnknownNameError, InvalidValueError
        If the format is unknown or an option is not allowed.
    """
    options = options or ExportOptions()
    options.check()
    with ExitStack() as stack:
        if options.mode == "move" and not dry_run:
            stack.enter_context(project.lock())
        source = read_source(project, partition_id)
        out = out.absolute()
        _check_place(out, source)
        header = _header(source, to, options)
        manifest = read_manifest(out / MANIFEST)
        if manifest is not None and not _is_same(manifest.header, header):
            if not overwrite:
                raise ExportError(
                    f"{str(out)!r} holds another export, or one of an earlier state. Undo it with covey export --undo "
                    f"{out / MANIFEST}, give --overwrite, or choose another folder."
                )
            if not dry_run:
                _undo_older(out)
            manifest = None
        elif manifest is None:
            _check_empty(out)
        if manifest is not None:
            return _continue(project, out, manifest, progress, dry_run=dry_run)
        plan = plan_export(source, to, options)
        counts = {"renamed": plan.n_renamed, "missing": plan.n_missing, "skipped": plan.n_skipped}
        if dry_run:
            return ExportReport(out, {**_expect(plan.operations), **counts}, plan.operations)
        with disk_errors(f"The export {str(out)!r}"):
            _check_space(out, plan)
            operations = _stage(out, plan, {**header, "counts": counts})
            return _perform(project, out, operations, counts, progress)


def undo_export(manifest: Path, *, dry_run: bool = False) -> UndoReport:
    """Undo an export, whether it came to its end or not.

    Parameters
    ----------
    manifest : Path
        Its ``covey-manifest.jsonl``.
    dry_run : bool, default=False
        Only read the manifest and count.

    Returns
    -------
    report : UndoReport
        What is left as it is, since it was changed. Then the manifest stays, and the undo can be tried again.

    Raises
    ------
    ExportError
        If there is no manifest, or it is not one.
    """
    manifest = manifest.absolute()
    out, found = manifest.parent, read_manifest(manifest)
    if found is None or manifest.name != MANIFEST:
        shutil.rmtree(_draft(out), ignore_errors=True)
        raise ExportError(f"There is no manifest {str(manifest)!r}; nothing was undone.")
    if dry_run:
        return UndoReport(len(found.operations), ())
    left, back = [], []
    with disk_errors(f"The undo of {str(out)!r}"):
        for operation in reversed(found.operations):
            reason = revert(operation, out)
            if reason:
                left.append((operation.to, reason))
            elif operation.op == "move":
                back.append((out / operation.to, Path(operation.source)))
        _relocate(found.header.get("project"), back)
        shutil.rmtree(out / PARTS, ignore_errors=True)
        if not left:
            manifest.unlink()
            if found.header.get("is_new_folder"):
                _remove_if_empty(out)
    return UndoReport(len(found.operations) - len(left), tuple(left))


def _header(source: ExportSource, to: str, options: ExportOptions) -> dict[str, Any]:
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "project": str(source.project),
        "to": to,
        "mode": options.mode,
        "seq": source.seq,
        "run": source.run,
        "options": options.as_dict(),
    }


def _is_same(known: Mapping[str, Any], header: Mapping[str, Any]) -> bool:
    return all(known.get(key) == header[key] for key in _SAME)


def _check_place(out: Path, source: ExportSource) -> None:
    """Refuse a folder in the project or among the images, also by way of a link."""
    real = Path(os.path.realpath(out))
    if out.exists() and not out.is_dir():
        raise ExportError(f"{str(out)!r} is a file; an export is a folder, choose another name.")
    if not real.parent.is_dir():
        raise ExportError(f"The folder {str(real.parent)!r} does not exist; make it first.")
    for folder in (source.project, *source.sources):
        if folder.is_dir() and real.is_relative_to(folder):
            raise ExportError(f"{str(out)!r} lies in {str(folder)!r}, which is only read; choose a folder elsewhere.")


def _check_empty(out: Path) -> None:
    if out.is_dir() and any(not _is_leftover(path) for path in out.iterdir()):
        raise ExportError(f"The folder {str(out)!r} is not empty and holds no export; choose a new or empty one.")


def _is_leftover(path: Path) -> bool:
    """Tell whether a killed export left this before its manifest was there."""
    return path.name == PARTS or path.name.startswith(f".{MANIFEST}.")


def _undo_older(out: Path) -> None:
    report = undo_export(out / MANIFEST)
    if report.left:
        listed = "; ".join(f"{name}: {reason}" for name, reason in report.left[:3])
        raise ExportError(f"{len(report.left)} files of the older export in {str(out)!r} were left: {listed}.")


def _check_space(out: Path, plan: ExportPlan) -> None:
    """Refuse copies that the disk has no room for."""
    n_bytes = sum(_size(operation.source) for operation in plan.operations if operation.op == "copy")
    free = shutil.disk_usage(os.path.realpath(out.parent)).free
    if n_bytes > free:
        raise ExportError(
            f"The copies take {n_bytes} bytes and the disk has {free}; use --mode symlink, or another disk."
        )


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _stage(out: Path, plan: ExportPlan, header: Mapping[str, Any]) -> list[Operation]:
    """Write the contents and the manifest; a new folder appears with both in it. Return the operations."""
    is_new = not out.is_dir()
    folder = _draft(out) if is_new else out
    if is_new:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    else:
        for path in [path for path in out.iterdir() if _is_leftover(path)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / PARTS).mkdir()
    operations = [
        replace(operation, id=_write_part(part_path(folder, operation.to), plan.contents[operation.to]))
        if operation.op == "write"
        else operation
        for operation in plan.operations
    ]
    write_manifest(folder / MANIFEST, {**header, "is_new_folder": is_new}, operations)
    if is_new:
        folder.rename(out)
    return operations


def _draft(out: Path) -> Path:
    return out.with_name(f".{out.name}.covey-new")


def _write_part(part: Path, content: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    with part.open("wb") as file:
        for block in content:
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _continue(
    project: Project, out: Path, manifest: Manifest, progress: Progress | None, *, dry_run: bool
) -> ExportReport:
    """Bring an export to its end that was killed; one that is complete is left alone."""
    if manifest.counts is not None:
        return ExportReport(out, manifest.counts, manifest.operations, is_known=True)
    counts = {str(key): int(value) for key, value in manifest.header.get("counts", {}).items()}
    if dry_run:
        expected = {**_expect(manifest.operations), **counts}
        return ExportReport(out, expected, manifest.operations, is_continued=True)
    with disk_errors(f"The export {str(out)!r}"):
        (out / PARTS).mkdir(exist_ok=True)
        report = _perform(project, out, manifest.operations, counts, progress)
    return replace(report, is_continued=True)


def _perform(
    project: Project, out: Path, operations: Sequence[Operation], counts: Mapping[str, int], progress: Progress | None
) -> ExportReport:
    """Do all operations in order, and note at the end that they are done."""
    outcomes: Counter[str] = Counter(counts)
    moved: list[tuple[Path, Path]] = []
    for number, operation in enumerate(operations, 1):
        outcome = perform(operation, out)
        if outcome != "done":
            outcomes[outcome] += 1
        elif operation.op != "mkdir":
            outcomes[_verb(operation)] += 1
        if operation.op == "move" and outcome == "done":
            moved.append((Path(operation.source), out / operation.to))
        if len(moved) >= _BATCH:
            relocate_files(project, moved)
            moved = []
        if progress is not None:
            progress("export", number, len(operations))
    relocate_files(project, moved)
    shutil.rmtree(out / PARTS, ignore_errors=True)
    counts = {name: outcomes[name] for name in _COUNTS}
    finish_manifest(out / MANIFEST, counts)
    return ExportReport(out, counts, operations)


_COUNTS = ("written", "linked", "moved", "renamed", "missing", "changed", "skipped")


def _verb(operation: Operation) -> str:
    return "linked" if operation.op in _LINKS else "moved" if operation.op == "move" else "written"


def _expect(operations: Iterable[Operation]) -> dict[str, int]:
    """Return the counts of a plan in which nothing goes wrong."""
    found = Counter(_verb(operation) for operation in operations if operation.op != "mkdir")
    return {name: found[name] for name in _COUNTS}


def _relocate(root: object, moved: Sequence[tuple[Path, Path]]) -> None:
    """Tell the project that files are back, if it is still there."""
    if not moved or not isinstance(root, str):
        return
    try:
        with Project.open(Path(root)) as project, project.lock():
            relocate_files(project, moved)
    except ProjectError as error:
        raise ExportError(
            f"All files are back, but their project could not note it: {error} Scan them again."
        ) from error


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # somebody put something in; it is theirs
        return

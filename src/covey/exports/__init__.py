"""Taking the result elsewhere: one file a format, and operations on files that can be continued and undone.

A format plans: it turns an `ExportSource` into operations (make a folder, link, copy, move, write); it touches nothing.
`run_export` checks the target, writes the whole plan into ``covey-manifest.jsonl``, and only then performs it: killed
at any place, the same command goes on, and `undo_export` brings everything back. May import the store and the
corrections, never torch. Start reading at `_exporting.py`.
"""

from covey.exports._exporting import ExportReport, UndoReport, plan_export, run_export, undo_export
from covey.exports._manifest import MANIFEST
from covey.exports._operations import ExportError, Operation
from covey.exports._registry import EXPORTERS
from covey.exports._source import (
    ExportedCluster,
    ExportedImage,
    ExportOptions,
    ExportPlan,
    ExportSource,
    read_source,
)

__all__ = [
    "EXPORTERS",
    "MANIFEST",
    "ExportError",
    "ExportOptions",
    "ExportPlan",
    "ExportReport",
    "ExportSource",
    "ExportedCluster",
    "ExportedImage",
    "Operation",
    "UndoReport",
    "plan_export",
    "read_source",
    "run_export",
    "undo_export",
]

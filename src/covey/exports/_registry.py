"""The formats: a name, and the function that plans an export in it.

A planner takes an `ExportSource` and `ExportOptions` and returns an `ExportPlan`; it reads and writes no file.
"""

from typing import Final

from covey.registry import Registry

EXPORTERS: Final = Registry(
    "export format",
    "covey.exporters",
    {
        "csv": "covey.exports._table:plan_csv",
        "folders": "covey.exports._cluster_folders:plan_folders",
        "jsonl": "covey.exports._table:plan_jsonl",
    },
)

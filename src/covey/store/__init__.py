"""The project folder on disk: features in safetensors shards, everything else in one SQLite file, tables to export.

May import numpy, safetensors and sqlite3, never torch or PIL. Start reading at `Project`; `FeatureStore` works
without one.

::

    holiday.covey/
        project.sqlite       images, paths, failures, partitions, clusters (`_migrations.py`)
        project.lock         which process is writing
        features/            `FeatureStore`
        thumbnails/          small copies of the images, by id
        pixels/              images of one size, for methods that learn from pixels (`covey.images.pack_images`)
        checkpoints/         unfinished trainings (`covey.pipeline.CheckpointFile`)
        runs/<name>/         a partition's tables, probabilities and representation
        edits.jsonl          the corrections, for other programs and other copies (`Journal`)
        skipped.csv          the paths that were left out
        k.json               the evidence for a number of clusters (`Project.write_evidence`)
"""

from covey.store._disk import disk_errors
from covey.store._edits import Journal, parse_edit_line, read_edit_lines
from covey.store._features import FeatureStore
from covey.store._inventory import natural_key
from covey.store._keys import (
    RunArrays,
    count_images,
    read_image_keys,
    read_places,
    read_present_keys,
    read_run_arrays,
    read_successors,
    relocate_files,
)
from covey.store._project import Project
from covey.store._records import FeatureSetInfo, Ledger, Member, PartitionInfo, ProjectSummary, TablePaths
from covey.store._shards import ShardExtras

__all__ = [
    "Project",
    "FeatureStore",
    "Journal",
    "RunArrays",
    "count_images",
    "natural_key",
    "parse_edit_line",
    "read_edit_lines",
    "read_image_keys",
    "read_places",
    "read_present_keys",
    "read_run_arrays",
    "read_successors",
    "relocate_files",
    "ShardExtras",
    "Ledger",
    "PartitionInfo",
    "Member",
    "FeatureSetInfo",
    "ProjectSummary",
    "TablePaths",
    "disk_errors",
]

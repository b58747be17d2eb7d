"""The tables that other programs read: assignments.csv, clusters.json, skipped.csv."""

from covey.store._project import Project
from covey.store._records import TablePaths


def write_tables(project: Project, partition_id: int) -> TablePaths:
    """Write the three tables of a partition, each whole or not at all."""
    raise NotImplementedError

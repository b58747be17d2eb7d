"""What a run records of how its clusters lie, for the gallery to draw."""

from dataclasses import replace

from covey.figures import structure_figures
from covey.types import NOISE, Features, Partition


def with_structure(partition: Partition, features: Features) -> Partition:
    """Add the figures of the features, and of the representation if the partition keeps one.

    Parameters
    ----------
    partition : Partition
        What its `info` says is kept.
    features : Features
        The rows that were clustered.

    Returns
    -------
    partition : Partition
        With ``structure`` in its `info`; unchanged if all rows are noise.
    """
    if not (partition.labels != NOISE).any():
        return partition
    spaces = {"features": features.X}
    if partition.representation is not None:
        spaces["representation"] = partition.representation
    figures = {name: structure_figures(rows, partition.labels) for name, rows in spaces.items()}
    return replace(partition, info={**partition.info, "structure": figures})

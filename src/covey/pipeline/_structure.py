"""What a run records of how its clusters lie, for the gallery to draw."""

from dataclasses import replace
from typing import Any

from covey.figures import structure_figures
from covey.types import NOISE, Features, Partition


def with_structure(partition: Partition, features: Features, estimator: Any) -> Partition:
    """Add the figures of the features, and of the representation if the method learned one.

    Parameters
    ----------
    partition : Partition
        Of `estimator`; what its `info` says is kept.
    features : Features
        The rows that were clustered.
    estimator : ClusterMixin
        Fitted. Its `transform` gives a representation if it says so by `transforms_to_representation`.

    Returns
    -------
    partition : Partition
        With ``structure`` in its `info`; unchanged if all rows are noise.
    """
    if not (partition.labels != NOISE).any():
        return partition
    spaces = {"features": features.X}
    if getattr(estimator, "transforms_to_representation", False):
        spaces["representation"] = estimator.transform(features.X)
    figures = {name: structure_figures(rows, partition.labels) for name, rows in spaces.items()}
    return replace(partition, info={**partition.info, "structure": figures})

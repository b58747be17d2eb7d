"""What a run records of how its clusters lie: figures, how clear each cluster is, and which belong together."""

from collections.abc import Mapping
from dataclasses import replace

from covey.certainty import calibrate_certainty, describe_certainty
from covey.figures import structure_figures
from covey.hierarchy import describe_tree, tree_of_partition
from covey.types import NOISE, Features, Partition


def with_structure(
    partition: Partition, features: Features, granularities: Mapping[str, int] | None = None
) -> Partition:
    """Add the figures of the features and of a kept representation, the certainty of each cluster, and the tree.

    Parameters
    ----------
    partition : Partition
        What its `info` says is kept.
    features : Features
        The rows that were clustered.
    granularities : mapping of str to int, optional
        Names and numbers of clusters for which there is evidence; see `covey.hierarchy.describe_tree`.

    Returns
    -------
    partition : Partition
        With ``structure``, ``certainty`` and ``tree`` in its `info`; unchanged if all rows are noise.
    """
    if not (partition.labels != NOISE).any():
        return partition
    spaces = {"features": features.X}
    if partition.representation is not None:
        spaces["representation"] = partition.representation
    figures = {name: structure_figures(rows, partition.labels) for name, rows in spaces.items()}
    certainty = calibrate_certainty(features.X, partition.labels, partition.probabilities)
    tree = tree_of_partition(features.X, partition.labels)
    info = {
        **partition.info,
        "structure": figures,
        "certainty": describe_certainty(certainty, partition.labels),
        "tree": describe_tree(tree, granularities) if tree is not None else None,
    }
    return replace(partition, info=info)

"""A run's tables for a data scientist: pandas DataFrames, and the features that were clustered."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from covey.errors import ProjectError
from covey.registry import require
from covey.store._records import PartitionInfo, read_groups
from covey.store._tables import ASSIGNMENT_COLUMNS, assignment_rows
from covey.types import NOISE, ClusterSummary, Features, Partition

if TYPE_CHECKING:
    from covey.store._features import FeatureStore


class _Tables(Protocol):
    """What a project has to offer."""

    features: "FeatureStore"

    def partition_info(self, partition_id: int | None = None) -> PartitionInfo: ...
    def partition(self, partition_id: int) -> Partition: ...
    def clusters(self, partition_id: int) -> list[ClusterSummary]: ...
    def paths(self) -> Mapping[str, Sequence[str]]: ...


class ProjectFrames:
    """The part of `Project` that hands tables to other libraries."""

    def assignments(self: _Tables, partition_id: int | None = None) -> Any:
        """Return the rows of ``assignments.csv`` as a DataFrame.

        Parameters
        ----------
        partition_id : int, optional
            The partition; the latest if not given.

        Returns
        -------
        table : pandas.DataFrame
            One row for each present path, in natural order: ``path``, ``cluster``, ``cluster_name``, ``confidence``,
            ``second_cluster`` and ``group``; -1 is none.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        pandas = require("pandas", extra="pandas", for_="Project.assignments")
        number = self.partition_info(partition_id).id
        rows = assignment_rows(self.partition(number), self.clusters(number), self.paths())
        return pandas.DataFrame(rows, columns=list(ASSIGNMENT_COLUMNS))

    def clusters_table(self: _Tables, partition_id: int | None = None) -> Any:
        """Return the clusters of a partition as a DataFrame.

        Parameters
        ----------
        partition_id : int, optional
            The partition; the latest if not given.

        Returns
        -------
        table : pandas.DataFrame
            Largest cluster first, its label being the index ``cluster``: ``name``, ``size``, ``clarity`` (empty for a
            run that did not record it), ``n_unsure``, ``mean_confidence``, ``cohesion``, ``nearest_cluster`` and
            ``group``; -1 is none.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        pandas = require("pandas", extra="pandas", for_="Project.clusters_table")
        info = self.partition_info(partition_id)
        groups, certainty = read_groups(info.info), (info.info.get("certainty") or {}).get("clusters", {})
        rows = [
            {
                "cluster": cluster.label,
                "name": cluster.name.name,
                "size": cluster.size,
                "clarity": certainty.get(str(cluster.label), {}).get("word", ""),
                "n_unsure": certainty.get(str(cluster.label), {}).get("n_unsure", 0),
                "mean_confidence": cluster.mean_confidence,
                "cohesion": cluster.cohesion,
                "nearest_cluster": cluster.nearest_label,
                "group": groups.get(cluster.label, NOISE),
            }
            for cluster in self.clusters(info.id)
        ]
        return pandas.DataFrame(rows).set_index("cluster")

    def features_of(self: _Tables, partition_id: int | None = None) -> Features:
        """Return the features that a run clustered, in the order of its rows.

        Parameters
        ----------
        partition_id : int, optional
            The partition; the latest if not given.

        Returns
        -------
        features : Features
            ``X`` of shape (n, d), float32, and the ids of its rows, those of ``project.partition(id)``.

        Raises
        ------
        ProjectError
            If the run's features are not kept under one fingerprint: several models were joined, or the method learned
            from pixels.
        """
        info = self.partition_info(partition_id)
        known = self.features.fingerprints()
        if info.fingerprint not in known:
            raise ProjectError(
                f"Run {info.name!r} was not made from the features of one model; its project holds features of "
                f"{', '.join(known) or 'none'}: load each with project.features.load(fingerprint)."
            )
        return self.features.load(info.fingerprint, self.partition(info.id).ids)

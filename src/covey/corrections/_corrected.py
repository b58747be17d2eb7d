"""The corrected result with what a person sees of it: confidences, summaries, and the members of each cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from covey._arrays import cluster_means, l2_normalize
from covey.corrections._run_features import feature_fingerprints, load_run_features
from covey.curation import ASIDE, ASSIGNED, NEW, RUN, CuratedCluster, Curation
from covey.errors import ProjectError
from covey.partitions import N_REPRESENTATIVES, relative_margins, summarize_clusters
from covey.store import Member, PartitionInfo, Project, read_places, read_present_keys
from covey.types import NOISE, ClusterName, ClusterSummary, Features, FloatArray, IntArray, Partition


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """The corrected result, ready for pages and tables.

    Attributes
    ----------
    project : Project
        Where images are looked up.
    info : PartitionInfo
        The base run, with the number of images and of visible clusters of the corrected result.
    state : Curation
        The arrays; those below have the same rows.
    ids : sequence of str
        Ids of the images.
    confidence : ndarray of shape (n,), dtype float32
        That of the base run where neither the image nor its cluster has changed, else the relative margin between the
        two nearest means of the present clusters; 0 in no cluster.
    second : ndarray of shape (n,), dtype int32
        The next best cluster, -1 for none.
    summaries : sequence of ClusterSummary
        Visible clusters that hold an image, largest first; their labels are ids.
    """

    project: Project
    info: PartitionInfo
    state: Curation
    ids: Sequence[str]
    confidence: NDArray[np.float32]
    second: NDArray[np.int32]
    summaries: Sequence[ClusterSummary]

    def clusters(self) -> Sequence[ClusterSummary]:
        """Return the visible clusters, largest first.

        Returns
        -------
        clusters : sequence of ClusterSummary
            Those of `summaries`.
        """
        return self.summaries

    def members(self, label: int, *, offset: int = 0, limit: int | None = None) -> list[Member]:
        """Return the images of a cluster, most certain first; equally certain ones by key.

        Parameters
        ----------
        label : int
            Id of the cluster; -1 for images in no cluster, without those that came after the base run.
        offset : int, default=0
            How many of the most certain to leave out.
        limit : int, optional
            How many to return at most; all if not given.

        Returns
        -------
        members : list of Member
            Empty if no image is in the cluster.
        """
        is_member = self.state.cluster == label
        if label == NOISE:  # new images are not a part of the result yet
            is_member &= self.state.state != NEW
        rows = np.flatnonzero(is_member)
        order = rows[np.argsort(-self.confidence[rows], kind="stable")]
        return self._describe(order[offset : None if limit is None else offset + limit])

    def borderline(self, *, limit: int = 200) -> list[Member]:
        """Return the least certain images of visible clusters that no person has placed.

        Parameters
        ----------
        limit : int, default=200
            How many to return at most.

        Returns
        -------
        members : list of Member
            Least certain first; equally certain ones by key.
        """
        visible = [summary.label for summary in self.summaries]
        is_open = np.isin(self.state.state, (RUN, ASSIGNED)) & np.isin(self.state.cluster, visible)
        rows = np.flatnonzero(is_open)
        return self._describe(rows[np.argsort(self.confidence[rows], kind="stable")[:limit]])

    def count_added(self) -> int:
        """Count the images that came after the base run and are in no cluster yet.

        Returns
        -------
        n_added : int
            Number of images, without those that are gone, have a failure, or have the pixels of an earlier one.
        """
        is_new = self.state.state == NEW
        return int(np.isin(self.state.images[is_new], read_present_keys(self.project)).sum())

    def mark(self, label: int) -> str:
        """Return what a card says of a cluster besides its name: that it was reviewed, and what came since.

        Parameters
        ----------
        label : int
            Id of the cluster.

        Returns
        -------
        mark : str
            ``reviewed``, or e.g. ``reviewed, 3 new`` if it has 3 images that no person has placed; empty if it is
            unknown or not reviewed.
        """
        cluster = self.state.clusters.get(label)
        if cluster is None or not cluster.is_reviewed:
            return ""
        n_later = int(np.isin(self.state.state[self.state.members(label)], (RUN, ASSIGNED)).sum())
        return f"reviewed, {n_later} new" if n_later else "reviewed"

    def _describe(self, rows: IntArray) -> list[Member]:
        places = read_places(self.project, [self.ids[row] for row in rows.tolist()])
        return [
            Member(
                self.ids[row],
                places[self.ids[row]][0],
                int(self.state.cluster[row]),
                float(self.confidence[row]),
                int(self.second[row]),
                *places[self.ids[row]][1:],
            )
            for row in rows.tolist()
        ]


def correct(project: Project, state: Curation, ids: Sequence[str]) -> Corrected:
    """Describe a corrected result.

    Parameters
    ----------
    project : Project
        Open.
    state : Curation
        The arrays.
    ids : sequence of str
        Ids of the images, in their order.

    Returns
    -------
    corrected : Corrected
        Without features, clusters that have changed have no cohesion (NaN) and no nearest cluster, and what moved has
        confidence 0.

    Notes
    -----
    Costs as much as summarizing a run: O(n d) and, where clusters have changed, O(n k d).
    """
    info = project.partition_info(state.base)
    visible = {cluster.id: cluster for cluster in state.alive if not cluster.is_hidden}
    rows = np.flatnonzero(np.isin(state.cluster, list(visible)))
    touched = state.touched()
    is_changed = (state.cluster != state.base_cluster) | np.isin(state.cluster, list(touched))
    confidence = np.where(is_changed, 0, state.score).astype(np.float32)
    second = np.where(is_changed | ~np.isin(state.second, list(visible)), NOISE, state.second).astype(np.int32)
    unit, has_features = load_unit_rows(project, state, ids, rows)
    known = rows[has_features]
    labels = state.cluster[known].astype(np.int64)
    if len(known):
        margins, nearest = relative_margins(unit, labels, int(labels.max()) + 1)
        stale = is_changed[known]
        confidence[known[stale]] = margins[stale]
        # A run's second choice may be merged into the cluster itself, or hidden.
        is_void = stale | (second[known] == labels) | (second[known] == NOISE)
        second[known[is_void]] = nearest[is_void]
    found = {summary.label: summary for summary in _summarize(unit, known, state, confidence, ids)}
    words = {summary.name.name: summary.name for summary in project.clusters(info.id)}
    summaries = _complete(words, state, found, confidence, ids)
    n_aside = int((state.state == ASIDE).sum() + ((state.state == RUN) & (state.cluster == NOISE)).sum())
    seen = replace(info, n_images=len(rows) + n_aside, n_clusters=len(summaries))
    return Corrected(project, seen, state, ids, confidence, second, summaries)


def correct_again(known: Corrected, state: Curation) -> Corrected | None:
    """Describe a corrected result after edits that moved no image: names and marks are all that is new.

    Parameters
    ----------
    known : Corrected
        The result before them.
    state : Curation
        The arrays after them.

    Returns
    -------
    corrected : Corrected or None
        What `correct` would return, in O(n); None if an image or a cluster has come, gone or changed its place.
    """
    before = known.state

    def visible(curation: Curation) -> set[int]:
        return {cluster.id for cluster in curation.alive if not cluster.is_hidden}

    is_same = (
        before.base == state.base
        and np.array_equal(before.images, state.images)
        and np.array_equal(before.cluster, state.cluster)
        and np.array_equal(before.state == NEW, state.state == NEW)
        and visible(before) == visible(state)
    )
    if not is_same:
        return None
    words = {summary.name.name: summary.name for summary in known.project.clusters(state.base)}
    summaries = [replace(each, name=_name(state.clusters[each.label], words)) for each in known.summaries]
    return replace(known, state=state, summaries=summaries)


def load_unit_rows(
    project: Project, state: Curation, ids: Sequence[str], rows: IntArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Load the base run's features of some rows, scaled to unit length.

    Parameters
    ----------
    project : Project
        Open.
    state : Curation
        For its base run.
    ids : sequence of str
        Ids of all images.
    rows : ndarray of shape (m,), dtype int64
        Which.

    Returns
    -------
    unit : ndarray of shape (m_known, d), dtype float32
        Of those that have features, in their order.
    has_features : ndarray of shape (m,), dtype bool
        Which these are; none where the features are gone.
    """
    info = project.partition_info(state.base)
    try:
        held = frozenset.intersection(*(project.features.shard_ids(part) for part in feature_fingerprints(info)))
        has_features = np.array([ids[row] in held for row in rows.tolist()], dtype=bool)
        if not has_features.any():
            return np.zeros((0, 1), np.float32), has_features
        X = load_run_features(project, info, [ids[row] for row in rows[has_features].tolist()])
    except ProjectError:
        return np.zeros((0, 1), np.float32), np.zeros(len(rows), bool)
    return l2_normalize(np.asarray(X, dtype=np.float32)), has_features


def nearest_allowed(project: Project, state: Curation, ids: Sequence[str], images: IntArray, cluster: int) -> IntArray:
    """Find where images go that do not belong to their cluster.

    Parameters
    ----------
    project, state, ids
        As in `correct`.
    images : ndarray of shape (m,), dtype int64
        Keys, rising.
    cluster : int
        The cluster that they are rejected from.

    Returns
    -------
    targets : ndarray of shape (m,), dtype int64
        The visible cluster with the nearest mean that the image was not rejected from; without features the run's
        second choice; -1 where none is left.
    """
    visible = np.array([known.id for known in state.alive if not known.is_hidden and known.id != cluster], np.int64)
    refused = {(image, number) for image, number in state.rejects.tolist()}
    rows = state.rows_of(images)
    members = np.flatnonzero(np.isin(state.cluster, visible))
    unit, has_features = load_unit_rows(project, state, ids, members)
    own, has_own_features = load_unit_rows(project, state, ids, rows)
    if has_own_features.all() and has_features.any():
        labels = np.searchsorted(visible, state.cluster[members[has_features]])
        means = cluster_means(unit, labels, len(visible))
        distances = ((own[:, None, :] - means[None]) ** 2).sum(axis=2)  # (m, n_visible)
        distances[:, np.bincount(labels, minlength=len(visible)) == 0] = np.inf
        ranked = [
            visible[order[np.isfinite(row[order])]]
            for row, order in zip(distances, distances.argsort(axis=1), strict=True)
        ]
    else:
        ranked = [np.array([number for number in (state.second[row],) if number in visible]) for row in rows.tolist()]
    return np.array(
        [
            next((int(number) for number in numbers if (image, int(number)) not in refused), NOISE)
            for image, numbers in zip(images.tolist(), ranked, strict=True)
        ],
        dtype=np.int64,
    )


def _summarize(
    unit: FloatArray, rows: IntArray, state: Curation, confidence: NDArray[np.float32], ids: Sequence[str]
) -> list[ClusterSummary]:
    """Describe the clusters that have features, as a run's are described."""
    if not len(rows):
        return []
    names = tuple(ids[row] for row in rows.tolist())
    labels = state.cluster[rows].astype(np.int64)
    partition = Partition(names, labels, None, confidence[rows], labels, "", "", {})
    return summarize_clusters(Features(names, unit, ""), partition)


def _complete(
    words: Mapping[str, ClusterName],
    state: Curation,
    found: Mapping[int, ClusterSummary],
    confidence: NDArray[np.float32],
    ids: Sequence[str],
) -> list[ClusterSummary]:
    """Give summaries their names and true sizes, and add clusters without features; largest first."""
    sizes = state.sizes()
    present = [cluster.id for cluster in state.alive if not cluster.is_hidden and sizes[cluster.id]]
    summaries = []
    for number in present:
        members = state.members(number)
        summary = found.get(number) or _without_features(number, members, confidence, ids)
        summaries.append(
            replace(
                summary,
                name=_name(state.clusters[number], words),
                size=sizes[number],
                mean_confidence=float(confidence[members].mean()),
            )
        )
    return sorted(summaries, key=lambda summary: (-summary.size, summary.label))


def _name(cluster: CuratedCluster, words: Mapping[str, ClusterName]) -> ClusterName:
    """Return a cluster's words; those of the run keep their score and the words that came close."""
    run = words.get(cluster.run_name)
    if cluster.is_named_by_hand or run is None or not cluster.run_name or cluster.facts & {"merged", "split"}:
        return ClusterName(cluster.id, cluster.title, 0.0)
    return run._replace(label=cluster.id)


def _without_features(
    number: int, members: IntArray, confidence: NDArray[np.float32], ids: Sequence[str]
) -> ClusterSummary:
    """Describe a cluster whose images have no features: its most certain images represent it."""
    order = members[np.argsort(-confidence[members], kind="stable")]
    return ClusterSummary(
        label=number,
        name=ClusterName(number, "", 0.0),
        size=len(members),
        mean_confidence=0.0,
        cohesion=float("nan"),
        nearest_label=NOISE,
        representatives=tuple(ids[row] for row in order[:N_REPRESENTATIVES].tolist()),
        borderline=(),
    )

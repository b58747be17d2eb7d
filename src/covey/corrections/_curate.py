"""The corrected result of a project, open to edits: start with `open_curation`.

`covey.curation` folds the journal. Here names and paths become ids and keys; `_editor.py` appends to the journal.
"""

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

from covey.corrections._corrected import Corrected, correct, load_unit_rows, nearest_allowed
from covey.corrections._editor import Editor, EditReport
from covey.curation import EditError, Plan, Request, RequestMaker, match_run
from covey.errors import InvalidValueError
from covey.store import Project, read_successors
from covey.types import NOISE, IntArray

Images = Sequence[str | Path]
Cluster = int | str


def open_curation(project: Project, *, author: str = "person") -> "ProjectCuration":
    """Open the corrected result of a project.

    Parameters
    ----------
    project : Project
        Open, with a run. It need not be locked: an edit can be made while a run is under way.
    author : str, default="person"
        Who the journal says made the edits.

    Returns
    -------
    curation : ProjectCuration
        Before the first edit it shows the latest run.
    """
    return ProjectCuration(project, author=author)


class ProjectCuration(Editor):
    """The corrected result of a project; get one from `open_curation`.

    Clusters are named by their id or their name, images by their path, as in ``assignments.csv`` or on disk, or by
    their id. Each edit is one transaction, is kept permanently, and can be undone. All methods that edit take ``uuid``:
    an edit that is sent twice with the same one is stored once. They raise `EditError` if the edit is refused, and
    `ProjectError` if the journal cannot be written or holds an edit of a newer covey.

    Parameters
    ----------
    project : Project
        Open.
    author : str
        Who the journal says made the edits.
    """

    def corrected(self) -> Corrected:
        """Return the corrected result with confidences and summaries, for pages and exports.

        Returns
        -------
        corrected : Corrected
            As of the last edit of any process.
        """
        self.refresh()
        return correct(self._project, self.state, self._ids)

    def find_cluster(self, cluster: Cluster) -> int:
        """Find a cluster.

        Parameters
        ----------
        cluster : int or str
            Its id or its name.

        Returns
        -------
        number : int
            Its id, or that of a cluster that is retired.

        Raises
        ------
        EditError
            If no cluster, or more than one, has the name.
        """
        return self._cluster(cluster)

    def rename(self, cluster: Cluster, name: str, *, uuid: str | None = None) -> EditReport:
        """Name a cluster; an empty name brings the run's back.

        Parameters
        ----------
        cluster : int or str
            Its id or its name.
        name : str
            The new name, at most 120 characters; no other cluster may have it.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """
        return self._edit(lambda make: make.rename(self._cluster(cluster), name), uuid)

    def merge(self, into: Cluster, *sources: Cluster, name: str | None = None, uuid: str | None = None) -> EditReport:
        """Merge clusters into another one, whose id stays.

        Parameters
        ----------
        into : int or str
            Id or name of the cluster that stays.
        *sources : int or str
            Ids or names of the clusters that end, one or more.
        name : str, optional
            Name of the union. If not given, a name that a person gave stays, that of `into` first and then that of the
            largest cluster; if no person named any of them, the largest cluster's name stays.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """
        return self._edit(
            lambda make: make.merge(self._cluster(into), [self._cluster(source) for source in sources], name), uuid
        )

    def move(
        self, images: Images, to: Cluster | None = None, *, new: str | None = None, uuid: str | None = None
    ) -> EditReport:
        """Move images into a cluster, or into a new one.

        Parameters
        ----------
        images : sequence of str or Path
            One or more, each a path or an id; of an id the first 8 characters are enough.
        to : int or str, optional
            Id or name of the cluster; give either this or `new`.
        new : str, optional
            Name of a new cluster.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """
        keys = self._resolver.images(images)
        return self._edit(lambda make: make.move(keys, None if to is None else self._cluster(to), new=new), uuid)

    def split(
        self,
        cluster: Cluster,
        *,
        n_parts: int = 2,
        parts: Sequence[Images] | None = None,
        names: Sequence[str] = (),
        uuid: str | None = None,
    ) -> EditReport:
        """Split a cluster: into `n_parts` by spherical k-means, or by taking each of `parts` out of it.

        The largest part, or what is in none of `parts`, keeps the id and the name; `names` are for the others.

        Parameters
        ----------
        cluster : int or str
            Its id or its name.
        n_parts : int, default=2
            Number of parts, 2 to 8; it is ignored if `parts` is given.
        parts : sequence of sequence of str or Path, optional
            One to seven disjoint sets of images to take out of the cluster, each a new cluster.
        names : sequence of str, default=()
            Names of the new clusters; those found by k-means come in order of their size, largest first.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """

        def make_request(make: RequestMaker) -> Request:
            number = self._cluster(cluster)
            given = self._split_by_features(number, n_parts) if parts is None else map(self._resolver.images, parts)
            return make.split(number, list(given), names)

        return self._edit(make_request, uuid)

    def confirm(self, images: Images, *, uuid: str | None = None) -> EditReport:
        """Say that images are right where they are.

        Parameters
        ----------
        images : sequence of str or Path
            One or more, each a path or an id; of an id the first 8 characters are enough.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """
        keys = self._resolver.images(images)
        return self._edit(lambda make: make.confirm(keys), uuid)

    def reject(self, images: Images, cluster: Cluster | None = None, *, uuid: str | None = None) -> EditReport:
        """Say that images do not belong to their cluster; each goes to the nearest that it was not rejected from.

        Parameters
        ----------
        images : sequence of str or Path
            One or more, each a path or an id; of an id the first 8 characters are enough.
        cluster : int or str, optional
            Id or name of the cluster that they do not belong to; the one that holds them all if not given.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """
        keys = np.unique(self._resolver.images(images))

        def make_request(make: RequestMaker) -> Request:
            number = self._common_cluster(keys) if cluster is None else self._cluster(cluster)
            targets = nearest_allowed(self._project, self.state, self._ids, keys, number)
            return make.reject(keys, number, targets)

        return self._edit(make_request, uuid)

    def set_aside(self, images: Images, *, reason: str = "", uuid: str | None = None) -> EditReport:
        """Take images out of their clusters, since a person is not sure.

        Parameters
        ----------
        images : sequence of str or Path
            One or more, each a path or an id; of an id the first 8 characters are enough.
        reason : str, default=""
            Why, at most 120 characters.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """
        keys = self._resolver.images(images)
        return self._edit(lambda make: make.set_aside(keys, reason), uuid)

    def review(self, cluster: Cluster, *, value: bool = True, uuid: str | None = None) -> EditReport:
        """Say that a cluster has been looked through, which confirms its images; False takes the mark back.

        Parameters
        ----------
        cluster : int or str
            Its id or its name.
        value : bool, default=True
            Whether it has been looked through.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """
        return self._edit(lambda make: make.review(self._cluster(cluster), value=value), uuid)

    def hide(self, cluster: Cluster, *, value: bool = True, uuid: str | None = None) -> EditReport:
        """Leave a cluster out of pages and exports; False shows it again.

        Parameters
        ----------
        cluster : int or str
            Its id or its name.
        value : bool, default=True
            Whether it is hidden.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """
        return self._edit(lambda make: make.hide(self._cluster(cluster), value=value), uuid)

    def group(
        self,
        clusters: Sequence[Cluster],
        to: int | str | None = None,
        *,
        uuid: str | None = None,
    ) -> EditReport:
        """Put clusters into a group: one that is there, a new one if nothing has this name, or none.

        Parameters
        ----------
        clusters : sequence of int or str
            Ids or names of one or more clusters.
        to : int or str, optional
            Id or name of the group; the clusters are in none afterwards if not given.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """

        def make_request(make: RequestMaker) -> Request:
            ids = [self._cluster(cluster) for cluster in clusters]
            number = None if to is None else self._resolver.group(self.state, to)
            if to is not None and number is None:
                return make.group(ids, new=str(to))
            return make.group(ids, number)

        return self._edit(make_request, uuid)

    def rename_group(self, group: int | str, name: str, *, uuid: str | None = None) -> EditReport:
        """Name a coarse group.

        Parameters
        ----------
        group : int or str
            Its id or its name.
        name : str
            The new name, at most 120 characters; no other group may have it.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """

        def make_request(make: RequestMaker) -> Request:
            number = self._resolver.group(self.state, group)
            if number is None:
                raise EditError(
                    "unknown", f"There is no group {group!r}; `covey edits PROJECT show --groups` lists them."
                )
            return make.rename_group(number, name)

        return self._edit(make_request, uuid)

    def undo(self, seq: int | None = None, *, also: Collection[int] | None = (), uuid: str | None = None) -> EditReport:
        """Undo an edit, the newest that is in effect if none is named.

        Parameters
        ----------
        seq : int, optional
            Its number; that of an undo redoes what that one took back.
        also : collection of int or None, default=()
            Later edits that make no sense without it, to be undone with it; None takes all of them along.
        uuid : str, optional
            Of the undo.

        Returns
        -------
        report : EditReport
            Of the undo, which is an edit itself.

        Raises
        ------
        EditError
            If there is nothing to undo, it is undone already, another base run was adopted since, or later edits
            depend on it that `also` does not name; the message lists them.
        """
        return self._edit(partial(self._request_undo, seq, also), uuid, undoes=True)

    def redo(self, seq: int | None = None, *, also: Collection[int] | None = (), uuid: str | None = None) -> EditReport:
        """Redo what an undo took back.

        Parameters
        ----------
        seq : int, optional
            Number of the undo, or of the edit that it took back; the newest undo in effect if not given.
        also : collection of int or None, default=()
            Later edits that make no sense with it, to be undone; None takes all of them.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            Of the edit ``undo`` that takes the undo back.

        Raises
        ------
        EditError
            If there is nothing to redo, or later edits that `also` does not name do not go with it; the message lists
            them.
        """

        def make_request(_: RequestMaker) -> Request:
            undos = [edit for edit in self._edits if edit.op == "undo" and edit.seq not in self.undone]
            if seq is not None:
                undos = [edit for edit in undos if seq in (edit.seq, edit.undoes)]
            if not undos:
                what = "No undo is in effect" if seq is None else f"Edit {seq} is not undone"
                raise EditError("bad_request", f"{what}; there is nothing to redo.")
            return self._request_undo(undos[-1].seq, also)

        return self._edit(make_request, uuid, undoes=True)

    def plan(self, partition_id: int, *, choice: str = "mine") -> Plan:
        """Plan how a run takes the place of the base.

        Parameters
        ----------
        partition_id : int
            The run.
        choice : {"mine", "run"}, default="mine"
            What wins where they conflict.

        Returns
        -------
        plan : Plan
            For `adopt`; nothing has been changed.

        Raises
        ------
        InvalidValueError
            If the choice is unknown, or the run is the base already.
        ProjectError
            If the run is unknown.
        """
        if choice not in ("mine", "run"):
            raise InvalidValueError(f"The choice is {choice!r}; it must be 'mine' or 'run'.")
        self.refresh()
        run = self._load(self._project.partition_info(partition_id).id)
        if run.partition == self.state.base:
            raise InvalidValueError(
                f"Run {run.partition} is what the corrections start from already; choose another run."
            )
        next_id = RequestMaker(self.state, self._edits).next_cluster
        successors = read_successors(self._project)
        if choice == "mine":
            return match_run(self.state, run, next_id=next_id, choice="mine", successors=successors)
        return match_run(self.state, run, next_id=next_id, choice="run", successors=successors)

    def adopt(self, plan: Plan, *, uuid: str | None = None) -> EditReport:
        """Let a run take the place of the base, as planned; it can be undone.

        Parameters
        ----------
        plan : Plan
            What `plan` returned; no edit may have been made since.
        uuid : str, optional
            Of the edit; a new one if not given.

        Returns
        -------
        report : EditReport
            What the edit did.
        """

        def make_request(_: RequestMaker) -> Request:
            if plan.seq != self.state.seq:
                raise EditError("changed", f"The plan was made at edit {plan.seq}; there are later ones, plan again.")
            run = self._project.partition_info(plan.partition)
            return Request("adopt", {"run": run.name, **plan.payload()}, plan.images, plan.values)

        return self._edit(make_request, uuid, author="adopt")

    def _cluster(self, cluster: Cluster) -> int:
        return self._resolver.cluster(self.state, cluster)

    def _common_cluster(self, keys: IntArray) -> int:
        found = np.unique(self.state.cluster[self.state.rows_of(keys)]).tolist()
        if len(found) != 1 or found[0] == NOISE:
            raise EditError("bad_request", f"The images are in the clusters {found}; say from which one (--from).")
        return int(found[0])

    def _split_by_features(self, cluster: int, n_parts: int) -> list[IntArray]:
        """Return the keys of the parts but the largest, larger ones first, found by spherical k-means."""
        rows = self.state.members(cluster)
        if not 2 <= n_parts <= len(rows):
            raise EditError("bad_request", f"{n_parts} parts of {len(rows)} images asked for; at least 2, one each.")
        unit, has_features = load_unit_rows(self._project, self.state, self._ids, rows)
        if not has_features.all():
            raise EditError("no_features", "Some of these images have no features; name the parts by their images.")
        labels = KMeans(n_parts, n_init=10, random_state=0).fit_predict(unit)
        order = np.argsort(-np.bincount(labels, minlength=n_parts), kind="stable")
        if not (np.bincount(labels, minlength=n_parts) > 0).all():
            raise EditError("bad_request", f"The images are too alike for {n_parts} parts; ask for fewer.")
        return [self.state.images[rows[labels == part]] for part in order[1:]]

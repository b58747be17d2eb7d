"""A new run and the corrected result: whether it takes the place of the base, and which of them pages show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from covey.corrections._corrected import Corrected
from covey.corrections._curate import open_curation
from covey.curation import Plan, PlanConflict, PlanRow, is_live
from covey.errors import InvalidValueError
from covey.store import Journal, Project

DECISIONS: Final = ("auto", "never", "mine", "run")
"""Adopt where nothing conflicts; never; and where something does, keep what a person did, or take what the run says."""


@dataclass(frozen=True, slots=True)
class AdoptionReport:
    """What became of a run in a project with corrections.

    Attributes
    ----------
    partition : int
        The run.
    seq : int or None
        The edit that adopted it, which can be undone; None if it was not adopted.
    counts : mapping of str to int
        How many clusters are ``same``, ``probably``, ``absorbed``, ``new``, ``kept`` and ``gone``.
    n_pinned : int
        Images that a person had placed and that stay where they are.
    conflicts : tuple of PlanConflict
        Where the run disagrees with what a person did.
    rows : tuple of PlanRow
        What becomes of each cluster.
    """

    partition: int
    seq: int | None
    counts: Mapping[str, int] = field(default_factory=dict)
    n_pinned: int = 0
    conflicts: tuple[PlanConflict, ...] = ()
    rows: tuple[PlanRow, ...] = ()


def adopt_run(
    project: Project, partition_id: int, decision: str = "auto", *, dry_run: bool = False
) -> AdoptionReport | None:
    """Let a run take the place of the base of the corrections, if that loses nothing that a person did.

    Parameters
    ----------
    project : Project
        Open.
    partition_id : int
        The run.
    decision : {"auto", "never", "mine", "run"}, default="auto"
        ``"auto"`` adopts where nothing conflicts; ``"mine"`` and ``"run"`` adopt in any case, and where something
        conflicts keep what a person did, or take what the run says.
    dry_run : bool, default=False
        Only plan.

    Returns
    -------
    report : AdoptionReport or None
        None if the project has no corrections, so that there is nothing to adopt into.

    Raises
    ------
    InvalidValueError
        If the decision is unknown, or the run is the base already.
    ProjectError
        If the run is unknown or the disk refuses.
    """
    if decision not in DECISIONS:
        raise InvalidValueError(f"The decision is {decision!r}; it must be one of {', '.join(DECISIONS)}.")
    if not Journal(project).last_seq():
        return None
    curation = open_curation(project)
    plan = curation.plan(partition_id, choice="run" if decision == "run" else "mine")
    is_wanted = decision in ("mine", "run") or (decision == "auto" and not plan.conflicts)
    seq = curation.adopt(plan).seq if is_wanted and not dry_run else None
    return _report(plan, seq)


def find_corrected(project: Project) -> Corrected | None:
    """Return what pages and exports show in place of a run.

    Parameters
    ----------
    project : Project
        Open.

    Returns
    -------
    corrected : Corrected or None
        None if no edit is in effect and the corrections, if there are any, start from the latest run: then the run
        itself says all.
    """
    if not Journal(project).last_seq():
        return None
    curation = open_curation(project)
    is_edited = any(is_live(edit, curation.undone) for edit in curation.edits)
    if not is_edited and curation.state.base == project.partition_info().id:
        return None
    return curation.corrected()


def _report(plan: Plan, seq: int | None) -> AdoptionReport:
    counts = plan.payload()["counts"]
    return AdoptionReport(plan.partition, seq, counts, plan.n_pinned, plan.conflicts, plan.rows)

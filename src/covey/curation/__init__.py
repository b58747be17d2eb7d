"""The corrected result of a project: a base run and a journal of edits, folded into arrays (NumPy only).

Nothing derived is stored: `fold` computes a `Curation` from the arrays of a run and the edits of the journal, in their
order. An undo is an edit that names another, and the fold leaves that one out. `match_run` plans how a newer run takes
the place of the base without losing what was done by hand. Files, SQL and features are left to the packages that call
this one; start reading at `_state.py`.
"""

from covey.curation._apply import OPERATIONS, apply_edit
from covey.curation._describe import describe_edit
from covey.curation._fold import Fold, StrandedEdit, find_later, fold, is_live, start_partition
from covey.curation._match import Plan, PlanConflict, PlanRow, encode_place, match_run
from covey.curation._requests import Request, RequestMaker
from covey.curation._state import (
    ASIDE,
    ASSIGNED,
    CONFIRMED,
    NEW,
    PERSON,
    RUN,
    STATUSES,
    BaseRun,
    CuratedCluster,
    Curation,
    EditError,
)
from covey.curation._titles import MAX_NAME_LENGTH, check_name, name_key

__all__ = [
    "ASIDE",
    "ASSIGNED",
    "CONFIRMED",
    "MAX_NAME_LENGTH",
    "NEW",
    "OPERATIONS",
    "PERSON",
    "RUN",
    "STATUSES",
    "BaseRun",
    "CuratedCluster",
    "Curation",
    "EditError",
    "Fold",
    "Plan",
    "PlanConflict",
    "PlanRow",
    "Request",
    "RequestMaker",
    "StrandedEdit",
    "apply_edit",
    "check_name",
    "describe_edit",
    "encode_place",
    "find_later",
    "fold",
    "is_live",
    "match_run",
    "name_key",
    "start_partition",
]

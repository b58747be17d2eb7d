"""The corrected result of a project: where the journal and the features on disk meet the arrays of `covey.curation`.

start with `open_curation`; `ProjectCuration` has a method for each operation. Names and paths become ids and keys
here, and what needs features is looked up. It knows no network: neither this package nor those it imports load torch,
so that an edit, a page or an export answers at once.
"""

from covey.corrections._adopt import DECISIONS, AdoptionReport, adopt_run, find_corrected
from covey.corrections._corrected import Corrected, correct_again
from covey.corrections._curate import ProjectCuration, open_curation
from covey.corrections._editor import EditReport
from covey.corrections._replay import ReplayReport, replay_edits
from covey.corrections._run_features import feature_fingerprints, is_scaled, load_run_features

__all__ = [
    "DECISIONS",
    "AdoptionReport",
    "Corrected",
    "EditReport",
    "ProjectCuration",
    "ReplayReport",
    "adopt_run",
    "correct_again",
    "feature_fingerprints",
    "find_corrected",
    "is_scaled",
    "load_run_features",
    "open_curation",
    "replay_edits",
]

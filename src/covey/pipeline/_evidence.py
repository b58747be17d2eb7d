"""The evidence for a number of clusters, of features at hand or of a project."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from covey.errors import ProjectError
from covey.pipeline._embed_images import load_backbones, load_features
from covey.registry import DEFAULT_BACKBONE
from covey.selection import NClustersResult, is_constant, select_n_clusters
from covey.store import Project
from covey.types import Backbone, FloatArray, Progress

MIN_IMAGES_TO_CHOOSE = 3  # fewer are one cluster


@dataclass(frozen=True, slots=True)
class ProjectEvidence:
    """What `weigh_project` found and where it is written.

    Attributes
    ----------
    result : NClustersResult
        The evidence.
    path : Path
        The project's ``k.json``.
    backbones : tuple of str
        Names of those whose features were looked at.
    """

    result: NClustersResult
    path: Path
    backbones: tuple[str, ...]


def choose_n_clusters(
    X: FloatArray,
    *,
    k_min: int | None = None,
    k_max: int | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> NClustersResult | None:
    """Choose a number of clusters for a run, if there is anything to choose.

    Parameters
    ----------
    X : ndarray of shape (n, d), dtype float32
        Features.
    k_min, k_max : int, optional
        The fewest and the most clusters to choose from.
    random_state : int, default=0
        Seed.
    progress : Progress, optional
        Told after each candidate.

    Returns
    -------
    result : NClustersResult or None
        None where all images are one cluster: fewer than three of them, or all with the same features.

    Raises
    ------
    InvalidValueError
        If there is no number between `k_min` and `k_max`.
    """
    if len(X) < MIN_IMAGES_TO_CHOOSE or is_constant(X):
        return None
    return select_n_clusters(X, k_min=k_min, k_max=k_max, random_state=random_state, progress=progress)


def weigh_project(
    root: Path,
    *,
    backbone: str | Sequence[str] | None = None,
    criterion: str = "consensus",
    k_min: int | None = None,
    k_max: int | None = None,
    random_state: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> ProjectEvidence:
    """Choose a number of clusters for the images of a project, and write the evidence into it.

    Parameters
    ----------
    root : Path
        The project folder, with features.
    backbone : str or sequence of str, optional
        Whose features, joined as in the latest partition; those of this partition if not given, or the default before
        the first.
    criterion : str, default="consensus"
        What decides, a name in `covey.selection.CRITERIA`.
    k_min, k_max : int, optional
        The fewest and the most clusters to choose from.
    random_state : int, default=0
        Seed.
    device : str, default="auto"
        Where the backbone would run; it computes nothing here.
    progress : Progress, optional
        Told after each candidate.

    Returns
    -------
    evidence : ProjectEvidence
        The same as ``covey cluster -k auto`` finds with the same images, backbone and seed.

    Raises
    ------
    ProjectError
        If there is no project, another run holds it, an image has no features yet, or there are fewer than three
        images.
    InvalidValueError
        If all images have the same features, or there is no number between `k_min` and `k_max`.
    UnknownNameError
        If the backbone or the criterion is not registered.
    """
    with Project.open(root) as project, project.lock():
        latest, normalize_parts = _latest_features(project)
        models = load_backbones(backbone or latest, device=device)
        _check_features(project, models)
        features = load_features(project, models, normalize_parts=normalize_parts)
        result = select_n_clusters(
            features.X, k_min=k_min, k_max=k_max, criterion=criterion, random_state=random_state, progress=progress
        )
        names = tuple(model.spec.name for model in models)
        facts: dict[str, Any] = {"backbones": list(names), "seed": random_state}
        moment = {"created_at": datetime.now(UTC).isoformat(timespec="seconds")}
        return ProjectEvidence(result, project.write_evidence({**moment, **facts, **result.to_dict()}), names)


def _latest_features(project: Project) -> tuple[Sequence[str], bool]:
    """Return the backbones of the latest run, and whether the features of each were scaled before they were joined."""
    partitions = project.partitions()
    if not partitions or not partitions[-1].backbones:
        return [DEFAULT_BACKBONE], True
    return partitions[-1].backbones, bool(partitions[-1].info.get("normalize_parts", True))


def _check_features(project: Project, backbones: Sequence[Backbone]) -> None:
    """Refuse a project in which there is nothing to choose, or images that have no features yet."""
    ids = {record.id for record in project.records()}
    if len(ids) < MIN_IMAGES_TO_CHOOSE:
        raise ProjectError(
            f"Project {str(project.root)!r} has {len(ids)} images; a number of clusters can be chosen from "
            f"{MIN_IMAGES_TO_CHOOSE} images on."
        )
    for backbone in backbones:
        n_missing = len(ids - project.features.shard_ids(backbone.fingerprint))
        if n_missing:
            raise ProjectError(
                f"{n_missing} of {len(ids)} images have no features of {backbone.spec.name!r}: run covey embed or "
                "covey cluster with this model first, or name another with --model."
            )

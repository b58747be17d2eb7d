"""Methods that learn from pixels: packing the project's pictures, training, and the features of the trained network."""

import hashlib
import json
from collections.abc import Mapping
from shutil import disk_usage
from typing import Any

from covey import __version__
from covey.cluster import CLUSTERERS
from covey.engines import n_threads
from covey.errors import ProjectError
from covey.images import PackedImages, pack_images
from covey.pipeline._embed_images import EmbedReport
from covey.pipeline._stages import fit_estimator
from covey.pipeline._training_checkpoints import CheckpointFile
from covey.store import Project, disk_errors
from covey.types import Features, Progress


def pack_project(project: Project, size: int, progress: Progress | None = None) -> tuple[PackedImages, EmbedReport]:
    """Bring the pictures of a project to one size, in one file of the project.

    Parameters
    ----------
    project : Project
        Open, locked and scanned.
    size : int
        Height and width in pixels.
    progress : Progress, optional
        Told now and then.

    Returns
    -------
    packed : PackedImages
        Those that could be decoded; the others are failures of the project from then on.
    report : EmbedReport
        How many were decoded, how many were packed already, and the failures.

    Raises
    ------
    ProjectError
        If there is none, or the disk has no room for them or refuses.
    """
    _check_disk(project, size)
    with disk_errors("The packed pictures"):
        packed = pack_images(
            project.records(),
            project.root / "pixels" / f"size-{size}.safetensors",
            size=size,
            n_workers=n_threads(),
            thumbnails=project.thumbnails,
            progress=progress,
        )
    project.record_failures(packed.failures)
    if not packed.ids:
        raise ProjectError(f"None of the {len(packed.failures)} images could be decoded; skipped.csv says why.")
    return packed, EmbedReport(len(packed.ids) - packed.n_reused, packed.n_reused, packed.failures)


def _check_disk(project: Project, size: int) -> None:
    """Raise `ProjectError` before anything is read if packed images do not fit on the disk."""
    n_images = len(project.records())
    n_needed, n_free = 3 * size**2 * n_images, disk_usage(project.root).free
    if n_needed > n_free:
        raise ProjectError(
            f"{n_images} images of {size} x {size} pixels take {n_needed / 1e9:,.1f} GB, and the disk of "
            f"{str(project.root)!r} has {n_free / 1e9:,.1f} GB left: choose a smaller size, or another disk."
        )


def fit_pixels(
    project: Project, packed: PackedImages, estimator: Any, method: str, progress: Progress | None = None
) -> Features:
    """Fit an estimator on packed pictures, going on where a killed run was, and keep the features it learnt.

    Parameters
    ----------
    project : Project
        Open and locked.
    packed : PackedImages
        From `pack_project`.
    estimator : ClusterMixin
        Will be fitted; its `transform` gives features.
    method : str
        Its registered name.
    progress : Progress, optional
        Told how far the fit is.

    Returns
    -------
    features : Features
        Of its own network: from these, confidence and cohesion are computed. The project keeps them.
    """
    fingerprint = _fingerprint(packed, method, estimator.get_params(deep=False))
    keywords: dict[str, Any] = {}
    if CLUSTERERS.spec(method).resumes:
        file = checkpoint_file(project, fingerprint)
        keywords = {"resume": file.read(), "checkpoint": file.write}
    fit_estimator(estimator, packed.pixels, progress, method=method, **keywords)
    store = project.features
    if not store.shard_ids(fingerprint) >= set(packed.ids):
        store.write_shard(fingerprint, store.next_index(fingerprint), packed.ids, estimator.transform(packed.pixels))
    return store.load(fingerprint, packed.ids)


def checkpoint_file(project: Project, fingerprint: str) -> CheckpointFile:
    """Tell where an unfinished training is kept.

    Parameters
    ----------
    project : Project
        Open.
    fingerprint : str
        Of the features that the training will give.

    Returns
    -------
    file : CheckpointFile
        It need not exist.
    """
    return CheckpointFile(project.root / "checkpoints" / f"{fingerprint}.safetensors")


def describe_pixels(features: Features, packed: PackedImages) -> dict[str, Any]:
    """Gather what a project keeps about a training on pixels, JSON-compatible.

    Parameters
    ----------
    features : Features
        What the network makes of the pictures.
    packed : PackedImages
        The pictures.

    Returns
    -------
    facts : dict
        ``pixels``, width x height, and ``n_features``.
    """
    height, width = packed.pixels.shape[1:3]
    return {"pixels": f"{width} x {height}", "n_features": features.X.shape[1]}


def _fingerprint(packed: PackedImages, method: str, params: Mapping[str, Any]) -> str:
    """Name the features of one training by all that changes them: pictures, size, parameters, version."""
    facts = json.dumps([__version__, packed.ids, packed.pixels.shape, method, params], sort_keys=True, default=str)
    return f"{method}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"

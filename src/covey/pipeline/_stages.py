"""The stages of the walk, each a function that can be called alone."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from covey.certainty import calibrate_certainty, describe_certainty
from covey.cluster import CLUSTERERS
from covey.errors import InvalidValueError, ProjectError
from covey.figures import structure_figures
from covey.hierarchy import describe_tree, tree_of_partition
from covey.images import scan_images
from covey.store import Project
from covey.types import NOISE, Features, Partition, Progress

N_REASONS = 3  # unreadable files that an error names


def scan_sources(
    stack: ExitStack,
    sources: Sequence[Path],
    output: Path,
    *,
    allow_missing: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Project:
    """Scan the sources into a project, which is made only if there is a image to put into it.

    Parameters
    ----------
    stack : ExitStack
        Closes and unlocks the project at its end.
    sources : sequence of Path
        Folders, image files or manifests.
    output : Path
        The project folder. Files that an existing project knows and that did not change are not read again.
    allow_missing : bool, default=True
        Whether more than half of the images of a project that has runs may be missing.
    progress : Progress, optional
        Called after each file.
    **options
        Keywords of `covey.images.scan_images`.

    Returns
    -------
    project : Project
        Open and locked.

    Raises
    ------
    ProjectError
        If there is not one picture that can be read, too many are missing, or another run holds the project.
    """
    project = None
    if output.exists() and any(output.iterdir()):
        project = _enter_locked(stack, output)
        options = {**options, "known": project.known_files(), "sizes": project.known_sizes()}
    report = scan_images(sources, progress=progress, **options)
    if not report.records:
        reasons = "".join(f"\n  {failure.path}: {failure.message}" for failure in report.failures[:N_REASONS])
        raise ProjectError(
            f"No picture to cluster in {', '.join(str(source) for source in sources)}: {len(report.failures)} could "
            f"not be read, and {report.n_other} other files are no pictures.{reasons}"
        )
    project = project or _enter_locked(stack, output)
    project.record_scan(
        report.records,
        report.files,
        report.failures,
        report.root,
        sources=sources,
        left_out=report.left_out(),
        allow_missing=allow_missing,
    )
    return project


def _enter_locked(stack: ExitStack, output: Path) -> Project:
    project = stack.enter_context(Project.open(output, create=True))
    stack.enter_context(project.lock())
    return project


def fit_estimator(estimator: Any, X: Any, progress: Progress | None, *, method: str, **keywords: Any) -> None:
    """Fit an estimator, with progress if its `fit` reports it.

    Parameters
    ----------
    estimator : ClusterMixin
        Will be fitted.
    X : ndarray
        Features of the images, or their pixels.
    progress : Progress or None
        Called with how far the fit is.
    method : str
        Its registered name.
    **keywords
        Further ones of its `fit`, e.g. views; those that are None are left out.

    Raises
    ------
    InvalidValueError
        If a parameter's value is not allowed; the estimator's own words say what is.
    """
    keywords = {name: value for name, value in keywords.items() if value is not None}
    if "progress" in CLUSTERERS.spec(method).takes:
        keywords["progress"] = progress
    try:
        estimator.fit(X, **keywords)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{type(estimator).__name__} could not be fitted: {error}") from error


def with_structure(
    partition: Partition, features: Features, granularities: Mapping[str, int] | None = None
) -> Partition:
    """Add the figures of the features and of a kept representation, the certainty of each cluster, and the tree.

    Parameters
    ----------
    partition : Partition
        What its `info` says is kept.
    features : Features
        The rows that were clustered.
    granularities : mapping of str to int, optional
        Names and numbers of clusters for which there is evidence; see `covey.hierarchy.describe_tree`.

    Returns
    -------
    partition : Partition
        With ``structure``, ``certainty`` and ``tree`` in its `info`; unchanged if all rows are noise.
    """
    if not (partition.labels != NOISE).any():
        return partition
    spaces = {"features": features.X}
    if partition.representation is not None:
        spaces["representation"] = partition.representation
    figures = {name: structure_figures(rows, partition.labels) for name, rows in spaces.items()}
    certainty = calibrate_certainty(features.X, partition.labels, partition.probabilities)
    tree = tree_of_partition(features.X, partition.labels)
    info = {
        **partition.info,
        "structure": figures,
        "certainty": describe_certainty(certainty, partition.labels),
        "tree": describe_tree(tree, granularities) if tree is not None else None,
    }
    return replace(partition, info=info)

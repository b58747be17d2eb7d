"""The stages of the walk, each a function that can be called alone."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from inspect import signature
from pathlib import Path
from typing import Any

from covey.cluster import CLUSTERERS
from covey.engines import ENGINES
from covey.errors import InvalidValueError, ProjectError
from covey.images import scan_images
from covey.store import Project
from covey.types import Progress

N_REASONS = 3  # unreadable files that an error names

# What a method gets from the walk beyond its constructor's defaults. The direction of a pretrained feature carries
# what the network knows, its length mostly contrast, so k-means runs on the sphere.
METHOD_PARAMS: Mapping[str, Mapping[str, Any]] = {"kmeans": {"spherical": True}}


def check_output(sources: Sequence[Path], output: Path) -> None:
    """Refuse a project folder inside a source, where the next scan would find its thumbnails.

    Parameters
    ----------
    sources : sequence of Path
        What will be scanned.
    output : Path
        The project folder, which need not exist.

    Raises
    ------
    ProjectError
        If `output` is a source or lies inside one.
    """
    target = output.resolve()
    for source in sources:
        if source.is_dir() and target.is_relative_to(source.resolve()):
            beside = source.resolve().parent / f"{source.resolve().name}.covey"
            raise ProjectError(
                f"The project folder {str(output)!r} lies inside the source {str(source)!r}, where the next scan would "
                f"find its thumbnails; choose one elsewhere, for example -o {str(beside)!r}."
            )


def scan_sources(
    stack: ExitStack, sources: Sequence[Path], output: Path, *, progress: Progress | None = None, **options: Any
) -> Project:
    """Scan the sources into a project, which is made only if there is a picture to put into it.

    Parameters
    ----------
    stack : ExitStack
        Closes and unlocks the project at its end.
    sources : sequence of Path
        Folders, picture files or manifests.
    output : Path
        The project folder. Files that an existing project knows and that did not change are not read again.
    progress : Progress, optional
        Told after each file.
    **options
        Keywords of `covey.images.scan_images`.

    Returns
    -------
    project : Project
        Open and locked.

    Raises
    ------
    ProjectError
        If there is not one picture that can be read, or another run holds the project.
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
        report.records, report.files, report.failures, report.root, sources=sources, left_out=report.left_out()
    )
    return project


def _enter_locked(stack: ExitStack, output: Path) -> Project:
    project = stack.enter_context(Project.open(output, create=True))
    stack.enter_context(project.lock())
    return project


def make_estimator(
    method: str,
    n_clusters: int,
    *,
    random_state: int,
    device: str,
    preset: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> Any:
    """Build a registered clusterer from its name and keywords.

    Parameters
    ----------
    method : str
        A registered clusterer.
    n_clusters : int
        Number of clusters.
    random_state : int
        Seed.
    device : str
        Where it computes.
    preset : str, optional
        Published settings of the method to start from.
    params : mapping, optional
        Further keywords of its constructor; they win.

    Returns
    -------
    estimator : ClusterMixin
        Not fitted.

    Raises
    ------
    InvalidValueError
        If the constructor has no such keyword, or the method no such preset; the message lists those it has.
    """
    kind = CLUSTERERS[method]
    presets = getattr(kind, "presets", {})
    if preset is not None and preset not in presets:
        raise InvalidValueError(f"{method} has no preset {preset!r}; it has {', '.join(presets) or 'none'}.")
    estimator = kind(**(presets[preset] if preset else {}))
    known = estimator.get_params(deep=False)
    for name in params or {}:
        if name not in known:
            raise InvalidValueError(f"{method} has no parameter {name!r}; it has {', '.join(known)}.")
    given = {"n_clusters": n_clusters, "random_state": random_state, "device": device, **METHOD_PARAMS.get(method, {})}
    fitting = {name: value for name, value in given.items() if name in known}
    return estimator.set_params(**{**fitting, **(params or {})})


def finds_number_itself(estimator: Any, n_clusters: int | None) -> bool:
    """Say whether a method finds the number of clusters itself.

    Parameters
    ----------
    estimator : ClusterMixin
        Of that method.
    n_clusters : int or None
        What was asked for.

    Returns
    -------
    finds_number : bool
        True if it takes no number.

    Raises
    ------
    InvalidValueError
        If it takes none and one was asked for.
    """
    finds_number = "n_clusters" not in estimator.get_params()
    if finds_number and n_clusters is not None:
        raise InvalidValueError(
            f"{type(estimator).__name__} finds the number of clusters itself; leave out -k, or use another method."
        )
    return finds_number


def fit_estimator(estimator: Any, X: Any, progress: Progress | None, **keywords: Any) -> None:
    """Fit an estimator, with progress if its `fit` can tell it.

    Parameters
    ----------
    estimator : ClusterMixin
        Will be fitted.
    X : ndarray
        Features of the images, or their pixels.
    progress : Progress or None
        Told how far the fit is.
    **keywords
        Further ones of its `fit`, views for one; those that are None are left out.

    Raises
    ------
    InvalidValueError
        If a parameter's value is not allowed; the estimator's own words say what is.
    """
    keywords = {name: value for name, value in keywords.items() if value is not None}
    if "progress" in signature(estimator.fit).parameters:
        keywords["progress"] = progress
    try:
        estimator.fit(X, **keywords)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{type(estimator).__name__} could not be fitted: {error}") from error


def check_engine(extract_options: Mapping[str, Any] | None) -> None:
    """Refuse an unknown engine before anything is read.

    Raises
    ------
    UnknownNameError
        With the engines there are.
    """
    ENGINES[(extract_options or {}).get("engine", "inline")]


def check_n_clusters(n_clusters: int | None, n_images: int) -> None:
    """Refuse more clusters than there are distinct images.

    Parameters
    ----------
    n_clusters : int or None
        What was asked for.
    n_images : int
        How many images can be clustered.

    Raises
    ------
    InvalidValueError
        With both numbers.
    """
    if n_clusters is not None and n_clusters > n_images:
        raise InvalidValueError(
            f"{n_clusters} clusters were asked for, but there are only {n_images} distinct images; "
            f"use -k {n_images} or less, or -k auto."
        )

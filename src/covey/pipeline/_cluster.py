"""The walk from a folder of pictures to a partition in a project: the one room where arrays and files meet.

`cluster_folder` is the whole of it and reads as a table of contents; each step is a function that can be called alone.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey.backbones import load_backbone
from covey.cluster import CLUSTERERS
from covey.errors import InvalidValueError, ProjectError
from covey.extract import ExtractReport, extract_features
from covey.images import scan_images
from covey.partitions import make_partition, summarize_clusters
from covey.selection import NClustersResult, select_n_clusters
from covey.store import Ledger, Project, write_skipped, write_tables
from covey.types import Backbone, Features, Progress

DEFAULT_BACKBONE = "efficientnet_lite2.in1k"
DEFAULT_METHOD = "temi"

N_REASONS = 3  # unreadable files that an error names

# What a method gets from the walk beyond its constructor's defaults. The direction of a pretrained feature carries
# what the network knows, its length mostly contrast, so k-means runs on the sphere.
METHOD_PARAMS: Mapping[str, Mapping[str, Any]] = {"kmeans": {"spherical": True}}


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run of `cluster_folder` made.

    Attributes
    ----------
    project : Path
        The project folder.
    partition_id : int
        The new partition.
    n_clusters : int
        How many clusters hold an image.
    selection : NClustersResult or None
        The evidence, if the number of clusters was chosen.
    ledger : Ledger
        Every path that was found, accounted for once.
    extract : ExtractReport
        How many features were computed and how many were there already.
    tables : tuple of Path
        The files written for other programs.
    seconds : mapping of str to float
        Wall time of each stage.
    """

    project: Path
    partition_id: int
    n_clusters: int
    selection: NClustersResult | None
    ledger: Ledger
    extract: ExtractReport
    tables: tuple[Path, ...]
    seconds: Mapping[str, float]


def cluster_folder(
    sources: Sequence[Path],
    output: Path,
    *,
    n_clusters: int | None = None,
    k_min: int | None = None,
    k_max: int | None = None,
    backbone: str = DEFAULT_BACKBONE,
    method: str = DEFAULT_METHOD,
    params: Mapping[str, Any] | None = None,
    random_state: int = 0,
    device: str = "auto",
    scan_options: Mapping[str, Any] | None = None,
    extract_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Cluster the pictures of a folder into a project that can be looked at, resumed and added to.

    Parameters
    ----------
    sources : sequence of Path
        Folders, picture files or manifests.
    output : Path
        The project folder: made if it is missing, brought up to date if it exists. Not inside a source.
    n_clusters : int, optional
        Number of clusters; chosen by `covey.selection.select_n_clusters` if not given.
    k_min, k_max : int, optional
        The fewest and the most clusters to choose from.
    backbone : str, default="efficientnet_lite2.in1k"
        A registered backbone.
    method : str, default="temi"
        A registered clusterer.
    params : mapping, optional
        Keywords of its constructor.
    random_state : int, default=0
        Seed of everything that draws.
    device : str, default="auto"
        Where networks run.
    scan_options, extract_options : mapping, optional
        Keywords of `scan_images` and `extract_features`.
    progress : Progress, optional
        Told how far each stage is.

    Returns
    -------
    result : RunResult
        What was made and where.

    Raises
    ------
    ProjectError
        If the output lies inside a source, is in use by another run, was written by a newer covey, or if there is no
        picture to cluster.
    InvalidValueError
        If more clusters are asked for than there are images, or a parameter is unknown.
    """
    check_output(sources, output)
    # What can be wrong with the words is said before a picture is read.
    make_estimator(method, n_clusters or 2, random_state=random_state, device=device, params=params)
    model = load_backbone(backbone, device=device)
    seconds: dict[str, float] = {}
    with ExitStack() as stack:
        with _timed(seconds, "scan"):
            project = scan_sources(stack, sources, output, progress=progress, **(scan_options or {}))
        check_n_clusters(n_clusters, len(project.records()))
        with _timed(seconds, "embed"):
            features, extract = embed_images(project, model, progress=progress, **(extract_options or {}))
        check_n_clusters(n_clusters, len(features.ids))
        selection = None
        with _timed(seconds, "choose"):
            if n_clusters is None:
                selection = select_n_clusters(features.X, k_min=k_min, k_max=k_max, random_state=random_state, progress=progress)
        with _timed(seconds, "cluster"):
            n_chosen = n_clusters or (selection.n_clusters if selection else 1)
            estimator = make_estimator(method, n_chosen, random_state=random_state, device=device, params=params)
            estimator.fit(features.X)
        info = describe_run(backbone, selection, extract, seconds)
        partition = make_partition(features, estimator, method=method, info=info)
        clusters = summarize_clusters(features, partition)
        partition_id = project.add_partition(partition, clusters)
        tables = write_tables(project, partition_id)
        return RunResult(
            project=project.root,
            partition_id=partition_id,
            n_clusters=len(clusters),
            selection=selection,
            ledger=project.ledger(),
            extract=extract,
            tables=tuple(tables),
            seconds=seconds,
        )


def embed_folder(
    sources: Sequence[Path],
    output: Path,
    *,
    backbone: str = DEFAULT_BACKBONE,
    device: str = "auto",
    scan_options: Mapping[str, Any] | None = None,
    extract_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[Features, ExtractReport, Ledger]:
    """Scan the sources and compute the features of their pictures, without clustering them.

    Parameters are those of `cluster_folder`.

    Returns
    -------
    features : Features
        Of every picture of the project that can be decoded.
    report : ExtractReport
        How many features were computed and how many were there already.
    ledger : Ledger
        Every path that was found, accounted for once.
    """
    check_output(sources, output)
    model = load_backbone(backbone, device=device)
    with ExitStack() as stack:
        project = scan_sources(stack, sources, output, progress=progress, **(scan_options or {}))
        features, report = embed_images(project, model, progress=progress, **(extract_options or {}))
        write_skipped(project)
        return features, report, project.ledger()


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
    project.record_scan(report.records, report.files, report.failures, report.root, sources=sources)
    return project


def _enter_locked(stack: ExitStack, output: Path) -> Project:
    project = stack.enter_context(Project.open(output, create=True))
    stack.enter_context(project.lock())
    return project


def embed_images(
    project: Project, backbone: Backbone, *, progress: Progress | None = None, **options: Any
) -> tuple[Features, ExtractReport]:
    """Bring the features of every image of the project up to date and load them.

    Parameters
    ----------
    project : Project
        Open, locked and scanned.
    backbone : Backbone
        A loaded backbone.
    progress : Progress, optional
        Told after each batch.
    **options
        Keywords of `covey.extract.extract_features`.

    Returns
    -------
    features : Features
        Rows in the order of `Project.records`; pictures that could not be decoded are left out.
    report : ExtractReport
        How many were computed, how many were there already, and the failures.

    Raises
    ------
    ProjectError
        If not one picture could be decoded.
    """
    report = extract_features(
        project.records(), backbone, project.features, progress=progress, thumbnails=project.thumbnails, **options
    )
    project.record_failures(report.failures)
    ids = [record.id for record in project.records()]
    if not ids:
        raise ProjectError(f"None of the {len(report.failures)} pictures could be decoded; skipped.csv says why.")
    return project.features.load(backbone.fingerprint, ids), report


def make_estimator(
    method: str, n_clusters: int, *, random_state: int, device: str, params: Mapping[str, Any] | None = None
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
    params : mapping, optional
        Further keywords of its constructor; they win.

    Returns
    -------
    estimator : ClusterMixin
        Not fitted.

    Raises
    ------
    InvalidValueError
        If the constructor has no such keyword; the message lists those it has.
    """
    estimator = CLUSTERERS[method]()
    known = estimator.get_params(deep=False)
    for name in params or {}:
        if name not in known:
            raise InvalidValueError(f"{method} has no parameter {name!r}; it has {', '.join(known)}.")
    given = {"n_clusters": n_clusters, "random_state": random_state, "device": device, **METHOD_PARAMS.get(method, {})}
    fitting = {name: value for name, value in given.items() if name in known}
    return estimator.set_params(**{**fitting, **(params or {})})


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


def describe_run(
    backbone: str, selection: NClustersResult | None, extract: ExtractReport, seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Gather the facts of a run that its project keeps, JSON-compatible."""
    return {
        "backbone": backbone,
        "n_computed": extract.n_computed,
        "n_reused": extract.n_reused,
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "selection": selection.to_dict() if selection else None,
    }


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start

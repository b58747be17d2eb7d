"""The walk from a folder of pictures to a partition in a project.

`cluster_folder` is the whole of it and reads as a table of contents; its stages are in `_stages.py`.
"""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from covey import defaults
from covey._torch import resolve_device
from covey.partitions import make_partition, summarize_clusters, takes_pixels
from covey.pipeline._embed import (
    EmbedReport,
    check_views,
    describe_features,
    embed_images,
    load_backbones,
    load_features,
)
from covey.pipeline._evidence import choose_n_clusters
from covey.pipeline._names import NamingReport, try_to_name
from covey.pipeline._pixels import (
    IMAGE_SIZE,
    check_pixel_options,
    checkpoint_file,
    describe_pixels,
    fit_pixels,
    pack_project,
)
from covey.pipeline._stages import (
    check_engine,
    check_n_clusters,
    check_output,
    finds_number_itself,
    fit_estimator,
    make_estimator,
    scan_sources,
)
from covey.pipeline._structure import with_structure
from covey.selection import NClustersResult
from covey.store import Ledger, Project
from covey.types import Features, Progress


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
    extract : EmbedReport
        How many features were computed and how many were there already.
    backbones : tuple of str
        Names of those whose features were clustered; none if the method learnt from pixels.
    n_views : int
        Views of each image that the method got.
    tables : tuple of Path
        The files written for other programs.
    naming : NamingReport or None
        What named the clusters; None if nothing did.
    naming_reason : str
        Why not, if names were wanted.
    seconds : mapping of str to float
        Wall time of each stage.
    """

    project: Path
    partition_id: int
    n_clusters: int
    selection: NClustersResult | None
    ledger: Ledger
    extract: EmbedReport
    backbones: tuple[str, ...]
    n_views: int
    tables: tuple[Path, ...]
    seconds: Mapping[str, float]
    naming: NamingReport | None = None
    naming_reason: str = ""


def cluster_folder(
    sources: Sequence[Path],
    output: Path,
    *,
    n_clusters: int | None = None,
    k_min: int | None = None,
    k_max: int | None = None,
    backbone: str | Sequence[str] | None = None,
    n_views: int = 0,
    normalize_parts: bool = True,
    size: int | None = None,
    method: str = defaults.CLUSTERER,
    preset: str | None = None,
    params: Mapping[str, Any] | None = None,
    random_state: int = 0,
    device: str = "auto",
    has_names: bool = True,
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
        Number of clusters; chosen by `choose_n_clusters` if not given, whatever the method.
    k_min, k_max : int, optional
        The fewest and the most clusters to choose from.
    backbone : str or sequence of str, optional
        A registered backbone or the folder of a model, or several whose features are joined;
        ``"efficientnet_lite2.in1k"`` if not given. None for a method on pixels.
    n_views : int, default=0
        Augmented copies of each picture for a method that compares them, at least 2; 0 for none. They are kept like
        features, and drawn with seed 0 whatever `random_state` is, so that all runs share them.
    normalize_parts : bool, default=True
        Scale the features of each of several backbones to unit length before they are joined, so that each counts the
        same; see `covey.features.concatenate_features`.
    size : int, optional
        Height and width in pixels to which pictures are brought for a method on pixels; 32 if not given.
    method : str, default="kmeans"
        A registered clusterer.
    preset : str, optional
        Published settings of the method to start from, ``"paper"`` for one.
    params : mapping, optional
        Keywords of its constructor.
    random_state : int, default=0
        Seed of everything else that draws.
    device : str, default="auto"
        Where networks run.
    has_names : bool, default=True
        Name the clusters with covey's own vocabulary where the backbone can compare pictures with words; see
        `covey.pipeline.name_partition`. Where it cannot, or names fail, clusters keep their numbers.
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
        If more clusters are asked for than there are images, a parameter is unknown, a backbone is given twice, the
        method takes no views, or what it takes is not what was asked for.
    """
    check_output(sources, output)
    # What can be wrong with the words is said before a picture is read.
    resolve_device(device)
    make = partial(make_estimator, method, random_state=random_state, device=device, preset=preset, params=params)
    draft = make(n_clusters or 2)
    finds_number = finds_number_itself(draft, n_clusters)
    check_pixel_options(draft, size=size, backbone=backbone, n_views=n_views, n_clusters=n_clusters)
    check_views(n_views, method)
    check_engine(extract_options)
    is_on_pixels = takes_pixels(draft)
    models = [] if is_on_pixels else load_backbones(defaults.BACKBONE if backbone is None else backbone, device=device)
    seconds: dict[str, float] = {}
    with ExitStack() as stack:
        with _timed(seconds, "scan"):
            project = scan_sources(stack, sources, output, progress=progress, **(scan_options or {}))
        check_n_clusters(n_clusters, len(project.records()))
        with _timed(seconds, "pack" if is_on_pixels else "embed"):
            if is_on_pixels:
                packed, extract = pack_project(project, size or IMAGE_SIZE, progress)
            else:
                extract = embed_images(project, models, n_views=n_views, progress=progress, **(extract_options or {}))
                features = load_features(project, models, n_views=n_views, normalize_parts=normalize_parts)
        n_images = extract.n_computed + extract.n_reused
        check_n_clusters(n_clusters, n_images)
        selection = None
        with _timed(seconds, "choose"):
            if n_clusters is None and not finds_number:
                limits = {"k_min": k_min, "k_max": k_max}
                selection = choose_n_clusters(features.X, random_state=random_state, progress=progress, **limits)
        with _timed(seconds, "cluster"):
            estimator = make(n_clusters or (selection.n_clusters if selection else 1))
            if is_on_pixels:
                features = fit_pixels(project, packed, estimator, method, progress)
                told = describe_pixels(features, packed)
            else:
                fit_estimator(estimator, features.X, progress, views=features.views)
                told = describe_features(models, n_views=n_views, normalize_parts=normalize_parts)
        info = {**told, **describe_run(selection, extract, seconds)}
        partition = with_structure(make_partition(features, estimator, method=method, info=info), features)
        clusters = summarize_clusters(features, partition)
        partition_id = project.add_partition(partition, clusters)
        checkpoint_file(project, features.fingerprint).remove()  # if there is one: the training is in the project now
        # What a network learns from pixels knows no words.
        name = partial(try_to_name, project, partition_id, backbones=models, device=device, progress=progress)
        names = name if has_names and not is_on_pixels else None
        naming, reason, tables = _name_and_write(project, partition_id, selection, names, seconds)
        return RunResult(
            project=project.root,
            partition_id=partition_id,
            n_clusters=len(clusters),
            selection=selection,
            ledger=project.ledger(),
            extract=extract,
            backbones=tuple(model.spec.name for model in models),
            n_views=n_views,
            tables=tables,
            seconds=seconds,
            naming=naming,
            naming_reason=reason,
        )


def _name_and_write(
    project: Project,
    partition_id: int,
    selection: NClustersResult | None,
    name: Callable[[], tuple[NamingReport | None, str]] | None,
    seconds: dict[str, float],
) -> tuple[NamingReport | None, str, tuple[Path, ...]]:
    """Name the clusters of a run if they are to have names, and write its tables: an interruption costs names alone."""
    naming, reason = None, ""
    try:
        if name is not None:
            with _timed(seconds, "name"):
                naming, reason = name()
    finally:
        tables = _write_tables(project, partition_id, selection)
    return naming, reason, tables


def _write_tables(project: Project, partition_id: int, selection: NClustersResult | None) -> tuple[Path, ...]:
    """Write what other programs read of a run, and the evidence if its number of clusters was chosen."""
    tables = project.write_tables(partition_id)
    if selection is None:
        return (*tables,)
    return (*tables, project.write_evidence(selection.to_dict(), partition_id=partition_id))


def embed_folder(
    sources: Sequence[Path],
    output: Path,
    *,
    backbone: str | Sequence[str] = defaults.BACKBONE,
    n_views: int = 0,
    device: str = "auto",
    scan_options: Mapping[str, Any] | None = None,
    extract_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[Features, EmbedReport, Ledger]:
    """Scan the sources and compute the features of their pictures, without clustering them.

    Parameters are those of `cluster_folder`.

    Returns
    -------
    features : Features
        Of every picture of the project that can be decoded; views are computed and kept, but not loaded.
    report : EmbedReport
        How many features were computed and how many were there already.
    ledger : Ledger
        Every path that was found, accounted for once.
    """
    check_output(sources, output)
    check_views(n_views)
    check_engine(extract_options)
    models = load_backbones(backbone, device=device)
    with ExitStack() as stack:
        project = scan_sources(stack, sources, output, progress=progress, **(scan_options or {}))
        report = embed_images(project, models, n_views=n_views, progress=progress, **(extract_options or {}))
        project.write_skipped()
        return load_features(project, models), report, project.ledger()


def describe_run(
    selection: NClustersResult | None, extract: EmbedReport, seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Gather the facts of a run that its project keeps, JSON-compatible."""
    return {
        "versions": dict(installed_versions()),
        "n_computed": extract.n_computed,
        "n_reused": extract.n_reused,
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "selection": selection.to_dict() if selection else None,
    }


def installed_versions() -> Iterator[tuple[str, str]]:
    """Yield the names and versions of what decides the numbers; a package that is not installed is left out."""
    yield "python", platform.python_version()
    for package in ("numpy", "openvino", "pillow", "scikit-learn", "torch", "transformers"):
        with suppress(PackageNotFoundError):
            yield package, version(package)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start

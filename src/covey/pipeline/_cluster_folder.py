"""The walk from a folder of images to a partition in a project.

`cluster_folder` plans (`_run_plan.py`), then walks straight: `_cluster_features`, or `_cluster_pixels` for a method
that learns from pixels. The stages are in `_stages.py`, `_embed_images.py` and `_pixel_methods.py`.
"""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from covey import __version__
from covey.backbones import load_backbone
from covey.partitions import make_partition, summarize_clusters
from covey.pipeline._embed_images import EmbedReport, describe_features, embed_images, load_backbones, load_features
from covey.pipeline._evidence import choose_n_clusters
from covey.pipeline._names import NamingReport, try_to_name
from covey.pipeline._pixel_methods import checkpoint_file, describe_pixels, fit_pixels, pack_project
from covey.pipeline._run_plan import (
    RunPlan,
    check_engine,
    check_n_clusters,
    check_output,
    check_views,
    pick_number,
    plan_run,
)
from covey.pipeline._stages import fit_estimator, scan_sources, with_structure
from covey.registry import DEFAULT_BACKBONE, DEFAULT_CLUSTERER
from covey.selection import NClustersResult
from covey.store import Ledger, Project, read_groups
from covey.types import Backbone, Features, Progress


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
    n_groups : int or None
        Into how many groups they are put; None if there are none.
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
    n_groups: int | None = None
    naming: NamingReport | None = None
    naming_reason: str = ""


def cluster_folder(
    sources: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    n_clusters: int | str | None = None,
    k_min: int | None = None,
    k_max: int | None = None,
    backbone: str | Sequence[str] | None = None,
    n_views: int = 0,
    normalize_parts: bool = True,
    size: int | None = None,
    method: str = DEFAULT_CLUSTERER,
    preset: str | None = None,
    params: Mapping[str, Any] | None = None,
    random_state: int = 0,
    device: str = "auto",
    has_names: bool = True,
    scan_options: Mapping[str, Any] | None = None,
    extract_options: Mapping[str, Any] | None = None,
    allow_missing: bool = False,
    raw_csv: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Cluster the images of a folder into a project that can be looked at, resumed and added to.

    Parameters
    ----------
    sources : str, Path or sequence of these
        Folders, image files or manifests.
    output : str or Path
        The project folder: made if it is missing, brought up to date if it exists. Not inside a source.
    n_clusters : int or {"auto", "coarse", "suggested", "fine"}, optional
        Number of clusters, whatever the method. Words take one of the `granularities` that `choose_n_clusters` finds;
        ``"auto"``, the default, the finest of them, whose clusters are then put into groups.
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
        Published settings of the method to start from, e.g. ``"paper"``.
    params : mapping, optional
        Keywords of its constructor.
    random_state : int, default=0
        Seed of everything else that draws.
    device : str, default="auto"
        Where networks run.
    has_names : bool, default=True
        Name the clusters where the backbone brings a classifier or can compare images with words; see
        `covey.pipeline.name_partition`. Where it cannot, or names fail, clusters keep their numbers.
    scan_options, extract_options : mapping, optional
        Keywords of `scan_images` and `extract_features`.
    allow_missing : bool, default=False
        Cluster although more than half of the images that the project knows are missing, as when a disk is not mounted.
    raw_csv : bool, default=False
        Write tables without the apostrophe before text that a spreadsheet would run as a formula.
    progress : Progress, optional
        Called with how far each stage is.

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
        method takes no views, what it takes is not what was asked for, or the evidence has no such granularity.
    """
    plan = plan_run(
        sources,
        output,
        n_clusters=n_clusters,
        k_min=k_min,
        k_max=k_max,
        backbone=backbone,
        n_views=n_views,
        normalize_parts=normalize_parts,
        size=size,
        method=method,
        preset=preset,
        params=params,
        random_state=random_state,
        device=device,
        has_names=has_names,
        scan_options=scan_options,
        extract_options=extract_options,
        allow_missing=allow_missing,
        raw_csv=raw_csv,
    )
    return run_plan(plan, progress)


def run_plan(plan: RunPlan, progress: Progress | None = None, *, is_last_step: bool = True) -> RunResult:
    """Do what a plan says: scan, then cluster features, or images for a method that learns from pixels.

    Parameters
    ----------
    plan : RunPlan
        From `plan_run`.
    progress : Progress, optional
        Called with how far each stage is.
    is_last_step : bool, default=True
        Whether the run is finished then. A caller who writes pages too says no, and calls `Upkeep.finish_run` when
        these are written: until then, the same plan goes on with the partition that is stored.

    Returns
    -------
    result : RunResult
        What was made and where.

    Raises
    ------
    ProjectError
        If the project is in use by another run or was written by a newer covey, or if there is no image to cluster.
    InvalidValueError
        If more clusters are asked for than there are images.
    """
    tell(progress, "load")
    # Weights that are damaged say so before the sources are read.
    backbones = [load_backbone(name, device=plan.device) for name in plan.backbones]
    with ExitStack() as stack:
        seconds: dict[str, float] = {}
        with _timed(seconds, "scan"):
            project = scan_sources(
                stack,
                plan.sources,
                plan.output,
                allow_missing=plan.allow_missing,
                progress=progress,
                **plan.scan_options,
            )
        check_n_clusters(plan.n_clusters, len(project.records()))
        run = _Run(plan, project, seconds, progress)
        result = _cluster_pixels(run) if plan.learns_from_pixels else _cluster_features(run, backbones)
        if is_last_step:
            project.upkeep.finish_run(result.partition_id)
        return result


class _Run(NamedTuple):
    """What both walks have: the plan, the locked project, the stages' wall times and the callback."""

    plan: RunPlan
    project: Project
    seconds: dict[str, float]
    progress: Progress | None


def _cluster_features(run: _Run, backbones: Sequence[Backbone]) -> RunResult:
    """Walk from scanned images through the features of backbones to a named partition."""
    plan, project, seconds, progress = run
    with _timed(seconds, "embed"):
        report = embed_images(project, backbones, n_views=plan.n_views, progress=progress, **plan.extract_options)
        tell(progress, "read")
        features = load_features(project, backbones, n_views=plan.n_views, normalize_parts=plan.normalize_parts)
    check_n_clusters(plan.n_clusters, report.n_computed + report.n_reused)
    partition_id = project.upkeep.find_unfinished(describe_request(plan, features.ids, features.fingerprint))
    selection = None
    if partition_id is None:
        partition_id, selection = _fit_features(run, backbones, features, report)
    name = partial(try_to_name, project, partition_id, backbones=backbones, device=plan.device, progress=progress)
    naming, reason, tables = _name_and_write(run, partition_id, name if plan.has_names else None)
    return _result(run, partition_id, report, selection=selection, tables=tables, naming=naming, naming_reason=reason)


def _fit_features(
    run: _Run, backbones: Sequence[Backbone], features: Features, report: EmbedReport
) -> tuple[int, NClustersResult | None]:
    """Choose a number of clusters if none was given, fit the method, and store the partition."""
    plan, _, seconds, progress = run
    selection = None
    with _timed(seconds, "choose"):
        if plan.chooses_number:
            tell(progress, "choose")
            limits = {"k_min": plan.k_min, "k_max": plan.k_max}
            selection = choose_n_clusters(features.X, random_state=plan.random_state, progress=progress, **limits)
    with _timed(seconds, "cluster"):
        tell(progress, "cluster")
        estimator = plan.make_estimator(plan.n_clusters or pick_number(selection, plan.granularity))
        fit_estimator(estimator, features.X, progress, method=plan.spec.name, views=features.views)
    facts = describe_features(backbones, n_views=plan.n_views, normalize_parts=plan.normalize_parts)
    facts = {**facts, **describe_run(selection, report, seconds)}
    return _keep_partition(run, features, estimator, facts), selection


def _cluster_pixels(run: _Run) -> RunResult:
    """Walk from scanned images through the training of a network on their pixels to a partition without names."""
    plan, project, seconds, progress = run
    with _timed(seconds, "pack"):
        packed, report = pack_project(project, plan.size, progress)
    check_n_clusters(plan.n_clusters, report.n_computed + report.n_reused)
    partition_id = project.upkeep.find_unfinished(describe_request(plan, packed.ids))
    if partition_id is None:
        with _timed(seconds, "cluster"):
            estimator = plan.make_estimator(plan.n_clusters or 1)
            features = fit_pixels(project, packed, estimator, plan.spec.name, progress)
        facts = {**describe_pixels(features, packed), **describe_run(None, report, seconds)}
        partition_id = _keep_partition(run, features, estimator, facts)
    fingerprint = project.partition_info(partition_id).fingerprint
    checkpoint_file(project, fingerprint).remove()  # if there is one: the training is in the project now
    _, _, tables = _name_and_write(run, partition_id, None)  # such a network knows no words
    return _result(run, partition_id, report, tables=tables)


def _keep_partition(run: _Run, features: Features, estimator: Any, info: Mapping[str, Any]) -> int:
    """Store the partition of a fitted estimator with the description of its clusters; return its id."""
    tell(run.progress, "describe")
    fingerprint = "" if run.plan.learns_from_pixels else features.fingerprint
    info = {**info, "request": describe_request(run.plan, features.ids, fingerprint)}
    partition = make_partition(features, estimator, method=run.plan.spec.name, info=info)
    selection = info.get("selection") or {}
    levels = {level["name"]: level["n_clusters"] for level in selection.get("granularities", ())}
    partition = with_structure(partition, features, levels)
    return run.project.add_partition(partition, summarize_clusters(features, partition))


def _name_and_write(
    run: _Run,
    partition_id: int,
    name: Callable[[], tuple[NamingReport | None, str]] | None,
) -> tuple[NamingReport | None, str, tuple[Path, ...]]:
    """Name the clusters if they are to have names, and write the tables: an interruption costs names alone."""
    naming, reason = None, ""
    try:
        if name is not None:
            tell(run.progress, "name")
            with _timed(run.seconds, "name"):
                naming, reason = name()
    finally:
        tell(run.progress, "tables")
        tables = tuple(run.project.write_tables(partition_id, is_raw=run.plan.raw_csv))
        tables += tuple(run.project.run_folder(partition_id).glob("tree.json"))
        evidence = run.project.partition_info(partition_id).info.get("selection")
        if evidence:
            tables += (run.project.write_evidence(evidence, partition_id=partition_id),)
    return naming, reason, tables


def _result(run: _Run, partition_id: int, report: EmbedReport, **made: Any) -> RunResult:
    """Gather what a run made."""
    groups = read_groups(run.project.partition_info(partition_id).info)
    return RunResult(
        **{
            "project": run.project.root,
            "partition_id": partition_id,
            "n_clusters": len(run.project.clusters(partition_id)),
            "n_groups": len(set(groups.values())) or None,
            "selection": None,
            "ledger": run.project.ledger(),
            "extract": report,
            "backbones": run.plan.backbones,
            "n_views": run.plan.n_views,
            "seconds": run.seconds,
            **made,
        }
    )


def embed_folder(
    sources: Sequence[Path],
    output: Path,
    *,
    backbone: str | Sequence[str] = DEFAULT_BACKBONE,
    n_views: int = 0,
    device: str = "auto",
    scan_options: Mapping[str, Any] | None = None,
    extract_options: Mapping[str, Any] | None = None,
    raw_csv: bool = False,
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
        project.write_skipped(is_raw=raw_csv)
        return load_features(project, models), report, project.ledger()


def describe_request(plan: RunPlan, ids: Sequence[str], fingerprint: str = "") -> str:
    """Name what a run was asked for and of which images, so that the same command finds a run that was killed.

    Parameters
    ----------
    plan : RunPlan
        What was asked for.
    ids : sequence of str
        The images, in the order of the rows.
    fingerprint : str, default=""
        Of the features, where they are known before the method is fitted.

    Returns
    -------
    request : str
        16 hexadecimal digits.
    """
    number = (plan.n_clusters, plan.granularity, plan.k_min, plan.k_max)
    asked = (number, plan.n_views, plan.normalize_parts, plan.size, plan.has_names)
    facts = [__version__, plan.spec.name, plan.params, asked, plan.random_state, plan.device, fingerprint, list(ids)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


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


def tell(progress: Progress | None, stage: str) -> None:
    """Say that a stage begins, of which it is not known yet how long it takes."""
    if progress is not None:
        progress(stage, 0, None)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start

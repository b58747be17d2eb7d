"""From a project's pictures to their features: of one backbone or several, with augmented views or without."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from covey.backbones import load_backbone
from covey.engines import n_threads
from covey.errors import ImageReadError, ProjectError
from covey.extract import ExtractReport, extract_features, extract_views, load_views
from covey.features import concatenate_features
from covey.images import Augmentation, hash_pixels
from covey.pipeline._run_plan import check_backbones
from covey.store import FeatureStore, Project
from covey.types import Backbone, Features, ImageFailure, ImageNote, ImageRecord, Progress


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What one call of `embed_images` did.

    Attributes
    ----------
    n_computed : int
        Images that have features from every backbone since this call.
    n_reused : int
        Images that had them before.
    failures : list of ImageFailure
        Images left out, because one of the backbones, or one of the views, got no picture.
    n_views_computed, n_views_reused : int
        Augmented copies that have features since this call, and before, counted over images and backbones.
    """

    n_computed: int
    n_reused: int
    failures: list[ImageFailure] = field(default_factory=list)
    n_views_computed: int = 0
    n_views_reused: int = 0


def load_backbones(names: str | Sequence[str], *, device: str) -> list[Backbone]:
    """Load one backbone, or several whose features are to be joined.

    Parameters
    ----------
    names : str or sequence of str
        Registered names, or folders of models.
    device : str
        Where they run.

    Returns
    -------
    backbones : list of Backbone
        In the order of the names.

    Raises
    ------
    InvalidValueError
        If there is no name, or one twice.
    """
    chosen = check_backbones([names] if isinstance(names, str) else names)
    return [load_backbone(name, device=device) for name in chosen]


def embed_images(
    project: Project,
    backbones: Sequence[Backbone],
    *,
    n_views: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> EmbedReport:
    """Bring the features of every image of the project up to date.

    Parameters
    ----------
    project : Project
        Open, locked and scanned.
    backbones : sequence of Backbone
        Loaded backbones.
    n_views : int, default=0
        Augmented copies of each image whose features are wanted too.
    progress : Progress, optional
        Told after each batch.
    **options
        Keywords of `covey.extract.extract_features` that `extract_views` has too.

    Returns
    -------
    report : EmbedReport
        How many were computed, how many were there already, and the failures.

    Raises
    ------
    ProjectError
        If not one picture could be decoded.

    Notes
    -----
    An image that fails is a failure of the project from then on, so that the next backbone does not try it, and each
    is counted once. Images whose decoded pixels are equal are one image with several files from then on.
    """
    store, failures = project.features, []
    had_rows = frozenset.intersection(*(store.shard_ids(backbone.fingerprint) for backbone in backbones))
    for backbone in backbones:
        report = extract_features(
            project.records(), backbone, store, progress=progress, thumbnails=project.thumbnails, **options
        )
        failures += _leave_out(project, report)
    _keep_readings(project, [backbone.fingerprint for backbone in backbones])
    n_computed = n_reused = 0
    for backbone in backbones if n_views else ():
        report = extract_views(project.records(), backbone, store, n_views=n_views, progress=progress, **options)
        failures += _leave_out(project, report)
        n_computed, n_reused = n_computed + report.n_computed, n_reused + report.n_reused
    is_known = [record.id in had_rows for record in project.records()]
    if not is_known:
        raise ProjectError(f"None of the {len(failures)} images could be decoded; skipped.csv says why.")
    return EmbedReport(len(is_known) - sum(is_known), sum(is_known), failures, n_computed, n_reused)


def load_features(
    project: Project, backbones: Sequence[Backbone], *, n_views: int = 0, normalize_parts: bool = True
) -> Features:
    """Load the features of every image of the project that has not failed.

    Parameters
    ----------
    project : Project
        After `embed_images` with the same backbones and at least as many views.
    backbones : sequence of Backbone
        Whose features; those of several are joined.
    n_views : int, default=0
        Views to load beside them.
    normalize_parts : bool, default=True
        See `covey.features.concatenate_features`.

    Returns
    -------
    features : Features
        Rows in the order of `Project.records`.
    """
    ids = [record.id for record in project.records()]
    parts = [_load_part(project.features, backbone.fingerprint, ids, n_views) for backbone in backbones]
    return concatenate_features(parts, normalize=normalize_parts)


def describe_features(backbones: Sequence[Backbone], *, n_views: int, normalize_parts: bool) -> dict[str, Any]:
    """Gather what a project keeps about the features of a run, JSON-compatible.

    Parameters
    ----------
    backbones : sequence of Backbone
        Whose features they are.
    n_views : int
        Views of each image.
    normalize_parts : bool
        Whether the features of several backbones were scaled before they were joined.

    Returns
    -------
    facts : dict
        ``backbone`` is one mapping, or a list of them and then beside ``normalize_parts``; ``n_views`` stands beside
        ``augmentation`` where there are views.
    """
    kept = ("name", "n_features", "pretraining", "license")
    entries = [{name: getattr(backbone.spec, name) for name in kept} for backbone in backbones]
    facts: dict[str, Any] = {"backbone": entries[0]}
    if len(entries) > 1:
        facts = {"backbone": entries, "normalize_parts": normalize_parts}
    if n_views:
        augmentation = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(Augmentation()).items()}
        facts |= {"n_views": n_views, "augmentation": augmentation}
    return facts


def _leave_out(project: Project, report: ExtractReport) -> list[ImageFailure]:
    """Mark the images that failed and return their failures."""
    project.record_failures(report.failures)
    return report.failures


def _keep_readings(project: Project, fingerprints: Sequence[str]) -> None:
    """Keep the notes on the images, and find those that look the same in every pixel.

    Those that one backbone sees alike are few. They are decoded whole, once, and compared by a hash.
    """
    notes: dict[str, list[ImageNote]] = {}
    alike: set[str] = set()
    present = {record.id: record for record in project.records()}
    for fingerprint in fingerprints:
        prints, said = project.features.extras(fingerprint)
        by_image: dict[str, list[ImageNote]] = {}
        for note in said:
            by_image.setdefault(note.id, []).append(note)
        notes |= by_image
        n_alike = Counter(prints[image_id] for image_id in present if image_id in prints)
        known = Counter(prints[image_id] for image_id in project.readings.pixels() if image_id in prints)
        alike |= {i for i in present if i in prints and n_alike[prints[i]] + known[prints[i]] > 1}
    unknown = [present[image_id] for image_id in present if image_id in alike - project.readings.pixels().keys()]
    with ThreadPoolExecutor(n_threads(), thread_name_prefix="covey-reader") as readers:
        hashes = dict(zip((record.id for record in unknown), readers.map(_hash_pixels, unknown), strict=True))
    pixels = {image_id: digest for image_id, digest in hashes.items() if digest is not None}
    project.readings.record([note for said in notes.values() for note in said], pixels)


def _hash_pixels(record: ImageRecord) -> str | None:
    """Hash all pixels of an image; None if it cannot be read whole, so that it stays an image of its own."""
    try:
        return hash_pixels(record)
    except ImageReadError:
        return None


def _load_part(store: FeatureStore, fingerprint: str, ids: Sequence[str], n_views: int) -> Features:
    """Load the features of one backbone, with its views if there are to be any."""
    X = store.load(fingerprint, ids).X
    views = load_views(store, fingerprint, ids, n_views=n_views) if n_views else None
    return Features(ids=tuple(ids), X=X, fingerprint=fingerprint, views=views)

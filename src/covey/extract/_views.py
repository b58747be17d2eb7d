"""Features of augmented copies: a feature set for each number of a view."""

import re
from collections.abc import Sequence
from itertools import chain

from covey.backbones import load_backbone
from covey.extract._plan import ExtractReport, FeatureSetPlan, ShardSizes, check_at_least_one, run_again, run_tasks
from covey.images import Augmentation, View
from covey.store import FeatureStore
from covey.types import Backbone, FloatArray, ImageRecord, Progress

STAGE = "views"

_VIEW_NAME = re.compile(r"(.+)\.view\d+-[0-9a-f]{16}")


def extract_views(
    records: Sequence[ImageRecord],
    backbone: Backbone | str,
    store: FeatureStore,
    *,
    n_views: int = 4,
    augmentation: Augmentation | None = None,
    random_state: int = 0,
    batch_size: int = 64,
    n_workers: int | None = None,
    engine: str = "inline",
    progress: Progress | None = None,
    shard_size: int = 1024,
    retry_failed: bool = False,
) -> ExtractReport:
    """Compute the features of augmented copies of the images, as far as they are not there yet.

    Parameters
    ----------
    records : sequence of ImageRecord
        Images with distinct ids.
    backbone : Backbone or str
        A loaded backbone, or the name of a registered one.
    store : FeatureStore
        Where the features are and go.
    n_views : int, default=4
        Copies of each image.
    augmentation : Augmentation, optional
        What makes a copy; a crop and a blur, each with probability 1/2, if not given.
    random_state : int, default=0
        Seed of the draws.
    batch_size : int, default=64
        Copies encoded at once.
    n_workers : int, optional
        Processes or threads, as for `extract_features`.
    engine : str, default="inline"
        A name of `covey.engines.ENGINES`.
    progress : Progress, optional
        Called with ``("views", n_done, n_total)`` where all copies of all images are counted.
    shard_size : int, default=1024
        Images in a shard: what a killed run loses at most, for each worker.
    retry_failed : bool, default=False
        Whether to try every image again that failed before, for whatever reason.

    Returns
    -------
    report : ExtractReport
        Counts of copies, not of images; each image of which a copy is lacking is one failure.

    Raises
    ------
    InvalidValueError
        If a number or size is below 1.
    ProjectError
        If a shard cannot be written. Shards that were finished before stay.

    See Also
    --------
    load_views : Reads them back.

    Notes
    -----
    The views of SCP (arXiv:2502.04226), section 3.1, drawn once and kept. View j of an image is a function of the
    image's id, j, the augmentation and the seed alone. Each j is a feature set of its own, named by `view_fingerprint`,
    so that more views later cost only the new ones, and a run is resumed after a kill as in `extract_features`. Each
    view reads and decodes its image anew, which for an EfficientNet is a sixth of the work.
    """
    check_at_least_one(n_views=n_views, batch_size=batch_size, n_workers=n_workers, shard_size=shard_size)
    if isinstance(backbone, str):
        backbone = load_backbone(backbone)
    plans = [
        FeatureSetPlan(view_fingerprint(backbone.fingerprint, view), backbone, store, view)
        for view in _views(n_views, augmentation, random_state)
    ]
    had_rows = [store.shard_ids(plan.fingerprint) for plan in plans]
    sizes = ShardSizes(batch_size, shard_size)
    tasks = {plan.fingerprint: [*plan.tasks(records, sizes, retry_failed=retry_failed)] for plan in plans}
    run_tasks([*chain(*tasks.values())], STAGE, engine=engine, n_workers=n_workers, progress=progress)
    for plan in plans:
        run_again(plan, tasks[plan.fingerprint], records, sizes)
    reports = [plan.sum_up(records, had) for plan, had in zip(plans, had_rows, strict=True)]
    failures = {failure.id: failure for report in reports for failure in report.failures}
    return ExtractReport(
        n_computed=sum(report.n_computed for report in reports),
        n_reused=sum(report.n_reused for report in reports),
        failures=[*failures.values()],
    )


def load_views(
    store: FeatureStore,
    fingerprint: str,
    ids: Sequence[str],
    *,
    n_views: int = 4,
    augmentation: Augmentation | None = None,
    random_state: int = 0,
) -> FloatArray:
    """Return the features of augmented copies as one read-only array.

    Parameters
    ----------
    store : FeatureStore
        Where they are.
    fingerprint : str
        Of the backbone.
    ids : sequence of str
        Which images, without repeats.
    n_views : int, default=4
        Copies of each image, at most as many as `extract_views` made.
    augmentation : Augmentation, optional
        As it was given to `extract_views`.
    random_state : int, default=0
        As it was given to `extract_views`.

    Returns
    -------
    views : ndarray of shape (n, n_views, d), dtype float32
        Row i belongs to ``ids[i]``. A memory map if it is larger than the store's `max_memory_bytes`.

    Raises
    ------
    InvalidValueError
        If `n_views` is below 1.
    ProjectError
        If a view of an image is not there, a shard is damaged, or there is no room for the array.
    ValueError
        If an id repeats.
    """
    check_at_least_one(n_views=n_views)
    fingerprints = [view_fingerprint(fingerprint, view) for view in _views(n_views, augmentation, random_state)]
    return store.load_stacked(fingerprints, ids)


def view_fingerprint(fingerprint: str, view: View) -> str:
    """Name the feature set of one view.

    Parameters
    ----------
    fingerprint : str
        Of the backbone.
    view : View
        Which view.

    Returns
    -------
    fingerprint : str
        The backbone's, the view's number, and a hash over augmentation and seed.
    """
    return f"{fingerprint}.view{view.number}-{view.digest}"


def viewed_fingerprint(fingerprint: str) -> str | None:
    """Return the backbone's fingerprint of a feature set that holds a view.

    Parameters
    ----------
    fingerprint : str
        Of any feature set.

    Returns
    -------
    fingerprint : str or None
        The backbone's, as it was given to `view_fingerprint`; None if the set holds no view.
    """
    found = _VIEW_NAME.fullmatch(fingerprint)
    return found[1] if found else None


def _views(n_views: int, augmentation: Augmentation | None, random_state: int) -> list[View]:
    return [View(number, random_state, augmentation or Augmentation()) for number in range(n_views)]

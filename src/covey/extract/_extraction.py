"""Features of the images as they are."""

from collections.abc import Sequence
from pathlib import Path

from covey.backbones import load_backbone
from covey.extract._plan import ExtractReport, FeatureSetPlan, ShardSizes, check_at_least_one, run_again, run_tasks
from covey.extract._shard_tasks import write_missing_thumbnails
from covey.store import FeatureStore
from covey.types import Backbone, ImageRecord, Progress

STAGE = "embed"


def extract_features(
    records: Sequence[ImageRecord],
    backbone: Backbone | str,
    store: FeatureStore,
    *,
    batch_size: int = 64,
    n_workers: int | None = None,
    engine: str = "inline",
    progress: Progress | None = None,
    thumbnails: Path | None = None,
    shard_size: int = 1024,
    retry_failed: bool = False,
) -> ExtractReport:
    """Compute the features of the images that have none yet.

    Parameters
    ----------
    records : sequence of ImageRecord
        Images with distinct ids.
    backbone : Backbone or str
        A loaded backbone, or the name of a registered one.
    store : FeatureStore
        Where the features are and go.
    batch_size : int, default=64
        Images encoded at once.
    n_workers : int, optional
        Processes of an engine that has some; threads that read images otherwise. One for each processor if not given.
    engine : str, default="inline"
        A name of `covey.engines.ENGINES`. On one machine ``"inline"`` keeps all processors busy.
    progress : Progress, optional
        Called with ``("embed", n_done, n_total)`` after each batch, or after each shard if the engine has processes.
    thumbnails : Path, optional
        Folder of thumbnails; those that are missing are written while the decoded image is in memory.
    shard_size : int, default=1024
        Images in a shard: what a killed run loses at most, for each worker.
    retry_failed : bool, default=False
        Whether to try every image again that failed before, for whatever reason.

    Returns
    -------
    report : ExtractReport
        Counts, and the images that cannot be decoded.

    Raises
    ------
    InvalidValueError
        If a size or a number of workers is below 1.
    ProjectError
        If a shard or thumbnail cannot be written. Shards that were finished before stay.

    Notes
    -----
    Run again after a kill, it makes the same shards from the same images in the same order, and none that is there
    already. Each file is checked against its record, so that features never belong to other bytes. An image that could
    not be decoded is not tried again unless `retry_failed` says so, as its id is the hash of its bytes. One whose
    failure may pass (`covey.images.TRANSIENT_CODES`) is tried again in the next run, after all others; if the disk, the
    memory or a change of the file was the reason, also at the end of this one.
    """
    check_at_least_one(batch_size=batch_size, n_workers=n_workers, shard_size=shard_size)
    if isinstance(backbone, str):
        backbone = load_backbone(backbone)
    plan = FeatureSetPlan(backbone.fingerprint, backbone, store)
    had_rows = store.shard_ids(plan.fingerprint)
    sizes = ShardSizes(batch_size, shard_size)
    tasks = [*plan.tasks(records, sizes, thumbnails=thumbnails, retry_failed=retry_failed)]
    run_tasks(tasks, STAGE, engine=engine, n_workers=n_workers, progress=progress)
    run_again(plan, tasks, records, sizes)
    if thumbnails is not None:
        write_missing_thumbnails([record for record in records if record.id in had_rows], thumbnails, n_workers)
    return plan.sum_up(records, had_rows)

"""From pictures to features: reader, backbone, writer; a shard at a time, so that a run can be killed and resumed.

Start reading at `extract_features`: it plans the shards that are missing, has them run, and sums up. `process_shard` is
the unit of work: a pure function but for the one shard that it writes, whole, at its end.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from covey._arrays import iter_chunks
from covey.backbones import load_backbone
from covey.engines import n_threads, run_shards
from covey.errors import ImageReadError, InvalidValueError, ProjectError
from covey.images import decode_size, preprocess, read_image, thumbnail_path, write_thumbnail
from covey.store import FeatureStore
from covey.types import Backbone, BackboneSpec, ByteArray, FloatArray, ImageFailure, ImageRecord, Progress

if TYPE_CHECKING:
    from PIL.Image import Image

STAGE = "embed"

_THUMBNAIL_PX = 256
_N_BATCHES_AHEAD = 3  # that readers may be ahead of the backbone
_TRANSIENT = frozenset({"ERROR_MISSING_FILE", "ERROR_PERMISSION"})  # may be mended without the bytes changing


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What one call of `extract_features` did.

    Attributes
    ----------
    n_computed : int
        Images that have features since this call.
    n_reused : int
        Images that had them before.
    failures : list of ImageFailure
        Images that have none, because they cannot be decoded; known failures of earlier runs too.
    """

    n_computed: int
    n_reused: int
    failures: list[ImageFailure] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class ShardTask:
    """All that is needed to make one shard, here or in another process.

    Attributes
    ----------
    index : int
        The shard's number in its feature set.
    records : tuple of ImageRecord
        Its images, in order.
    backbone : Backbone
        What encodes them.
    store : FeatureStore
        Where the shard is written.
    batch_size : int
        Images encoded at once.
    thumbnails : Path or None
        Folder for missing thumbnails.
    """

    index: int
    records: tuple[ImageRecord, ...]
    backbone: Backbone
    store: FeatureStore
    batch_size: int
    thumbnails: Path | None

    def __str__(self) -> str:
        return f"shard {self.index} of {self.backbone.fingerprint}"


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
        Processes of an engine that has some; threads that read pictures otherwise. One for each processor if not given.
    engine : str, default="inline"
        A name of `covey.engines.ENGINES`. On one machine ``"inline"`` keeps all processors busy.
    progress : Progress, optional
        Told ``("embed", n_done, n_total)`` after each batch, or after each shard if the engine has processes.
    thumbnails : Path, optional
        Folder of thumbnails; those that are missing are written while the decoded picture is at hand.
    shard_size : int, default=1024
        Images in a shard: what a killed run loses at most, for each worker.

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
    already. An image that could not be decoded is not tried again, as its id is the hash of its bytes; one that was
    missing or forbidden is, after all others.
    """
    _check_at_least_one(batch_size=batch_size, n_workers=n_workers, shard_size=shard_size)
    if isinstance(backbone, str):
        backbone = load_backbone(backbone)
    had_rows = store.shard_ids(backbone.fingerprint)
    planned = _plan_images(records, had_rows, store.failures(backbone.fingerprint))
    first = store.next_index(backbone.fingerprint)
    tasks = [
        ShardTask(first + number, tuple(planned[rows]), backbone, store, batch_size, thumbnails)
        for number, rows in enumerate(iter_chunks(len(planned), shard_size))
    ]
    _run(tasks, engine=engine, n_workers=n_workers, progress=progress)
    if thumbnails is not None:
        _write_missing_thumbnails([record for record in records if record.id in had_rows], thumbnails, n_workers)
    return _sum_up(records, had_rows, store, backbone.fingerprint)


def process_shard(task: ShardTask, *, n_readers: int | None = None, progress: Progress | None = None) -> int:
    """Read, encode and write the images of one shard.

    Parameters
    ----------
    task : ShardTask
        What to make.
    n_readers : int, optional
        Threads that read pictures; as many as this process may use if not given.
    progress : Progress, optional
        Told after each batch how many images of this shard are done.

    Returns
    -------
    n_images : int
        How many images the shard accounts for, by a row or by a failure.

    Raises
    ------
    ProjectError
        If the shard or a thumbnail cannot be written; the shard is then not there at all.
    """
    ids: list[str] = []
    rows: list[FloatArray] = [np.empty((0, task.backbone.spec.n_features), dtype=np.float32)]
    failures: list[ImageFailure] = []
    n_done = 0
    for batch in _read_batches(task, n_readers or n_threads()):
        pixels = [read for _, read in batch if not isinstance(read, ImageFailure)]
        failures.extend(read for _, read in batch if isinstance(read, ImageFailure))
        if pixels:
            ids.extend(record.id for record, read in batch if not isinstance(read, ImageFailure))
            rows.append(task.backbone.encode_images(np.stack(pixels)))
        n_done += len(batch)
        if progress is not None:
            progress(STAGE, n_done, len(task.records))
    task.store.write_shard(task.backbone.fingerprint, task.index, ids, np.concatenate(rows), failures)
    return n_done


def _check_at_least_one(**numbers: int | None) -> None:
    """Refuse a number that is given and below 1."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise InvalidValueError(f"{name} is {number}; it must be at least 1.")


def _plan_images(
    records: Sequence[ImageRecord], had_rows: frozenset[str], failures: Iterable[ImageFailure]
) -> list[ImageRecord]:
    """List the images to compute: the new ones in order, then those whose failure may have passed."""
    known = {failure.id: failure.code for failure in failures}
    new = [record for record in records if record.id not in had_rows and record.id not in known]
    return new + [record for record in records if known.get(record.id) in _TRANSIENT]


def _run(tasks: Sequence[ShardTask], *, engine: str, n_workers: int | None, progress: Progress | None) -> None:
    """Have the shards made, and report how many images are done."""
    n_images, n_before = sum(len(task.records) for task in tasks), 0

    def report(stage: str, n_done: int, n_total: int | None) -> None:
        del n_total  # of the shard
        if progress is not None:
            progress(stage, n_before + n_done, n_images)

    if engine == "inline":
        function = partial(process_shard, n_readers=n_workers, progress=report)
    else:
        function = partial(process_shard)  # closures do not travel to other processes
    for n_in_shard in run_shards(function, tasks, engine=engine, n_workers=n_workers):
        n_before += n_in_shard
        report(STAGE, 0, None)


def _read_batches(task: ShardTask, n_readers: int) -> Iterator[list[tuple[ImageRecord, ByteArray | ImageFailure]]]:
    """Yield batches in order, while threads read some batches ahead."""
    n_ahead = _N_BATCHES_AHEAD * task.batch_size
    waiting: deque[tuple[ImageRecord, Future[ByteArray | ImageFailure]]] = deque()
    readers = ThreadPoolExecutor(n_readers, thread_name_prefix="covey-reader")
    try:
        upcoming = iter(task.records)
        for rows in iter_chunks(len(task.records), task.batch_size):
            while len(waiting) < n_ahead and (record := next(upcoming, None)) is not None:
                waiting.append((record, readers.submit(_read, record, task.backbone.spec, task.thumbnails)))
            batch = [waiting.popleft() for _ in range(rows.start, rows.stop)]
            yield [(record, future.result()) for record, future in batch]
    finally:
        readers.shutdown(cancel_futures=True)


def _read(record: ImageRecord, spec: BackboneSpec, thumbnails: Path | None) -> ByteArray | ImageFailure:
    """Read one picture to pixels (h, w, 3) for the backbone, and write its thumbnail if that is missing."""
    try:
        # The same size with and without thumbnails: they must not change the features.
        image = read_image(record.path, min_size=decode_size(spec, thumbnail_px=_THUMBNAIL_PX))
    except ImageReadError as error:
        return ImageFailure(record.path, error.code, str(error), _n_bytes(record.path), record.id)
    if thumbnails is not None:
        path = thumbnail_path(thumbnails, record.id)
        if not path.exists():
            _keep_thumbnail(image, path)
    return preprocess(image, spec)


def _keep_thumbnail(image: "Image", path: Path) -> None:
    """Write a thumbnail, or say that the disk refuses."""
    try:
        write_thumbnail(image, path, size_px=_THUMBNAIL_PX)
    except OSError as error:
        raise ProjectError(
            f"The thumbnail {str(path)!r} could not be written: {error}. See that the disk has space and the folder "
            "can be written to, then run the same command again; finished shards are kept."
        ) from error


def _n_bytes(path: Path) -> int:
    """Return a file's size, or 0 if it cannot be known."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _write_missing_thumbnails(records: Sequence[ImageRecord], folder: Path, n_readers: int | None) -> None:
    """Write thumbnails for images whose features were there before; a picture that is gone gets none."""

    def write(record: ImageRecord) -> None:
        with suppress(ImageReadError):
            image = read_image(record.path, min_size=(_THUMBNAIL_PX, _THUMBNAIL_PX))
            _keep_thumbnail(image, thumbnail_path(folder, record.id))

    missing = [record for record in records if not thumbnail_path(folder, record.id).exists()]
    if missing:
        with ThreadPoolExecutor(n_readers or n_threads()) as readers:
            deque(readers.map(write, missing), maxlen=0)


def _sum_up(
    records: Sequence[ImageRecord], had_rows: frozenset[str], store: FeatureStore, fingerprint: str
) -> ExtractReport:
    """Compare the store with what it was before; failures name the present path of each image."""
    paths = {record.id: record.path for record in records}
    n_reused = sum(image_id in had_rows for image_id in paths)
    n_with_rows = sum(image_id in paths for image_id in store.shard_ids(fingerprint))
    failures = [
        replace(failure, path=paths[failure.id]) for failure in store.failures(fingerprint) if failure.id in paths
    ]
    return ExtractReport(n_computed=n_with_rows - n_reused, n_reused=n_reused, failures=failures)

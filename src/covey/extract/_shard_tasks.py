"""The unit of work: a shard of images is read, encoded and written, whole, at its end."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from covey._arrays import iter_chunks
from covey.engines import n_threads
from covey.errors import ImageReadError, ProjectError
from covey.images import (
    View,
    decode_size,
    default_budget_bytes,
    has_thumbnail,
    limit_reading_memory,
    preprocess,
    preprocess_view,
    read_recorded,
    thumbnail_path,
    write_thumbnail,
)
from covey.store import FeatureStore, ShardExtras
from covey.types import Backbone, ByteArray, FloatArray, ImageFailure, ImageNote, ImageRecord, Progress

if TYPE_CHECKING:
    from PIL.Image import Image

_THUMBNAIL_PX = 256
_NO_PIXELS: Final[ByteArray] = np.empty((0, 0, 3), dtype=np.uint8)
_N_BATCHES_AHEAD = 3  # that readers may be ahead of the backbone


@dataclass(frozen=True, slots=True, eq=False)
class ShardTask:
    """All that is needed to make one shard, here or in another process.

    Attributes
    ----------
    fingerprint : str
        The feature set that the shard belongs to.
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
    view : View or None
        Which augmented copy of each image is encoded; None for the images as they are.
    n_processes : int
        Processes that make shards side by side: they share the memory for reading images.
    """

    fingerprint: str
    index: int
    records: tuple[ImageRecord, ...]
    backbone: Backbone
    store: FeatureStore
    batch_size: int
    thumbnails: Path | None = None
    view: View | None = None
    n_processes: int = 1

    def __str__(self) -> str:
        return f"shard {self.index} of {self.fingerprint}"


def process_shard(task: ShardTask, *, n_readers: int | None = None, progress: Progress | None = None) -> int:
    """Read, encode and write the images of one shard.

    Parameters
    ----------
    task : ShardTask
        What to make.
    n_readers : int, optional
        Threads that read images; as many as this process may use if not given.
    progress : Progress, optional
        Called after each batch with the shard's name and how many of its images are done.

    Returns
    -------
    n_images : int
        How many images the shard accounts for, by a row or by a failure.

    Raises
    ------
    ProjectError
        If the shard or a thumbnail cannot be written; the shard is then not there at all.
    """
    if task.n_processes > 1:
        limit_reading_memory(max(1, default_budget_bytes() // task.n_processes))
    rows: list[FloatArray] = [np.empty((0, task.backbone.spec.n_features), dtype=np.float32)]
    read: list[_ReadImage] = []
    failures: list[ImageFailure] = []
    n_done = 0
    # Features (n_batch, d) of each batch; an image that cannot be read becomes a failure.
    for batch in _read_batches(task, n_readers or n_threads()):
        good = [outcome for outcome in batch if isinstance(outcome, _ReadImage)]
        failures.extend(outcome for outcome in batch if isinstance(outcome, ImageFailure))
        if good:
            rows.append(task.backbone.encode_images(np.stack([outcome.pixels for outcome in good])))
        read.extend(outcome._replace(pixels=_NO_PIXELS) for outcome in good)
        n_done += len(batch)
        if progress is not None:
            progress(str(task), n_done, len(task.records))
    ids = [outcome.id for outcome in read]
    prints = tuple(outcome.print for outcome in read if outcome.print)
    extras = ShardExtras(prints, tuple(note for outcome in read for note in outcome.notes))
    task.store.write_shard(task.fingerprint, task.index, ids, np.concatenate(rows), failures, extras=extras)
    return n_done


def write_missing_thumbnails(records: Sequence[ImageRecord], folder: Path, n_readers: int | None) -> None:
    """Write thumbnails for images whose features were there before; an image that is gone gets none."""

    def write(record: ImageRecord) -> None:
        with suppress(ImageReadError):
            image = read_recorded(record, min_size=(_THUMBNAIL_PX, _THUMBNAIL_PX)).image
            _keep_thumbnail(image, thumbnail_path(folder, record.id))

    missing = [record for record in records if not has_thumbnail(thumbnail_path(folder, record.id))]
    if missing:
        with ThreadPoolExecutor(n_readers or n_threads()) as readers:
            deque(readers.map(write, missing), maxlen=0)


def _read_batches(task: ShardTask, n_readers: int) -> Iterator[list["_ReadImage | ImageFailure"]]:
    """Yield batches in order, while threads read some batches ahead."""
    n_ahead = _N_BATCHES_AHEAD * task.batch_size
    waiting: deque[Future[_ReadImage | ImageFailure]] = deque()
    readers = ThreadPoolExecutor(n_readers, thread_name_prefix="covey-reader")
    try:
        upcoming = iter(task.records)
        for rows in iter_chunks(len(task.records), task.batch_size):
            while len(waiting) < n_ahead and (record := next(upcoming, None)) is not None:
                waiting.append(readers.submit(_read, record, task))
            yield [waiting.popleft().result() for _ in range(rows.start, rows.stop)]
    finally:
        readers.shutdown(cancel_futures=True)


class _ReadImage(NamedTuple):
    """An image as the backbone sees it, its print, and what there is to say of it."""

    id: str
    pixels: ByteArray
    print: str
    notes: tuple[ImageNote, ...]


def _read(record: ImageRecord, task: ShardTask) -> _ReadImage | ImageFailure:
    """Read one image to pixels (h, w, 3) for the backbone, and write its thumbnail if that is missing."""
    try:
        return _read_pixels(record, task)
    except ImageReadError as error:
        return ImageFailure(record.path, error.code, str(error), _n_bytes(record.path), record.id)


def _read_pixels(record: ImageRecord, task: ShardTask) -> _ReadImage:
    spec = task.backbone.spec
    # The same size with and without thumbnails: they must not change the features.
    width, height = decode_size(spec, thumbnail_px=_THUMBNAIL_PX)
    if task.view is not None:
        draw = task.view.draw(record.id)
        size = round(width / draw.side), round(height / draw.side)  # of which the crop keeps what the backbone needs
        image = read_recorded(record, min_size=size).image
        return _ReadImage(record.id, preprocess_view(image, spec, draw), "", ())
    image, notes = read_recorded(record, min_size=(width, height))
    if task.thumbnails is not None:
        path = thumbnail_path(task.thumbnails, record.id)
        if not has_thumbnail(path):
            _keep_thumbnail(image, path)
    pixels = preprocess(image, spec)
    print_ = f"{record.width}x{record.height}-{hashlib.blake2b(pixels.data, digest_size=8).hexdigest()}"
    return _ReadImage(record.id, pixels, print_, tuple(ImageNote(record.id, *note) for note in notes))


def _keep_thumbnail(image: "Image", path: Path) -> None:
    """Write a thumbnail; `ProjectError` if the disk refuses."""
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

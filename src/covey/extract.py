"""Pictures to features: reader, backbone, writer, one shard at a time.

A shard is a fixed list of images. Its file appears whole or not at all, and what exists is never computed again: a run
that is killed at any moment goes on where it was, and its shards are those that an undisturbed run would have made.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from covey._arrays import iter_chunks
from covey.engines import run_shards
from covey.errors import ImageReadError
from covey.images import decode_size, preprocess, read_image, thumbnail_path, write_thumbnail
from covey.store import FeatureStore
from covey.types import Backbone, ByteArray, ImageFailure, ImageRecord, Progress

__all__ = ["SHARD_SIZE", "ExtractReport", "Shard", "ShardResult", "ShardWorker", "extract_features", "plan_shards"]

SHARD_SIZE = 1024
"""Images in a shard: at most this much work is lost when a run is killed, about ten seconds on two cores."""

_THUMBNAIL_PX = 256


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of work: the images of one file of features."""

    index: int
    records: tuple[ImageRecord, ...]


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What became of a shard."""

    index: int
    n_computed: int
    failures: tuple[ImageFailure, ...]


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction did.

    Attributes
    ----------
    n_computed : int
        Images whose features were computed now.
    n_reused : int
        Images whose features were there already.
    failures : tuple of ImageFailure
        Images that could not be decoded, now or in an earlier run.
    """

    n_computed: int
    n_reused: int
    failures: tuple[ImageFailure, ...]


@dataclass(frozen=True, slots=True)
class ShardWorker:
    """Compute and write shards; can be sent to another process if its backbone can be pickled.

    Attributes
    ----------
    backbone : Backbone
        Turns pixels into features.
    store : FeatureStore
        Receives the shards.
    batch_size : int
        Images that the backbone sees at once.
    n_threads : int
        Threads that read and scale pictures while the backbone computes.
    thumbnails : Path or None
        Folder for thumbnails that are missing; None writes none.
    on_batch : callable or None
        Told the number of images of each batch that is done.
    """

    backbone: Backbone
    store: FeatureStore
    batch_size: int
    n_threads: int
    thumbnails: Path | None
    on_batch: Callable[[int], None] | None = None

    def __call__(self, shard: Shard) -> ShardResult:
        """Compute one shard and write its file."""
        ids: list[str] = []
        rows = [np.empty((0, self.backbone.spec.n_features), dtype=np.float32)]
        failures: list[ImageFailure] = []
        with ThreadPoolExecutor(self.n_threads) as threads:
            loaded = _map_ahead(threads, self._load, shard.records, 2 * self.batch_size)
            for piece in iter_chunks(len(shard.records), self.batch_size):
                batch = [(record.id, next(loaded)) for record in shard.records[piece]]
                pixels = {image_id: item for image_id, item in batch if not isinstance(item, ImageFailure)}
                failures += [item for _, item in batch if isinstance(item, ImageFailure)]
                if pixels:
                    ids += pixels
                    rows.append(self.backbone.encode_images(np.stack(list(pixels.values()))))
                if self.on_batch is not None:
                    self.on_batch(len(batch))
        self.store.write_shard(self.backbone.fingerprint, shard.index, ids, np.concatenate(rows), failures)
        return ShardResult(shard.index, len(ids), tuple(failures))

    def _load(self, record: ImageRecord) -> ByteArray | ImageFailure:
        """Read and scale one picture, and write its thumbnail while it is at hand."""
        spec = self.backbone.spec
        try:
            # The size asked for never depends on whether a thumbnail is written: it would change the features.
            image = read_image(record.path, min_size=decode_size(spec, thumbnail_px=_THUMBNAIL_PX))
        except ImageReadError as error:
            n_bytes = 0
            with suppress(OSError):
                n_bytes = record.path.stat().st_size
            return ImageFailure(record.path, error.code, str(error), n_bytes, record.id)
        if self.thumbnails is not None:
            path = thumbnail_path(self.thumbnails, record.id)
            if not path.exists():
                write_thumbnail(image, path, size_px=_THUMBNAIL_PX)
        return preprocess(image, spec)


def extract_features(
    records: Sequence[ImageRecord],
    backbone: Backbone,
    store: FeatureStore,
    *,
    batch_size: int = 32,
    n_workers: int = 2,
    engine: str = "inline",
    thumbnails: Path | None = None,
    progress: Progress | None = None,
) -> ExtractReport:
    """Compute the features that are missing and write them to the store.

    Parameters
    ----------
    records : sequence of ImageRecord
        Distinct images; their order decides which share a shard.
    backbone : Backbone
        Turns pixels into features.
    store : FeatureStore
        Receives the shards, under the backbone's fingerprint.
    batch_size : int, default=32
        Images that the backbone sees at once.
    n_workers : int, default=2
        With the inline engine, threads that read pictures; with the pool, processes.
    engine : str, default="inline"
        Who runs the shards; see `covey.engines`.
    thumbnails : Path, optional
        Folder for thumbnails that are missing, written in the same pass.
    progress : Progress, optional
        Told after each batch (inline) or shard (pool), as stage ``"embed"``.

    Returns
    -------
    report : ExtractReport
        How many were computed and reused, and which pictures cannot be decoded.

    Raises
    ------
    ProjectError
        If a shard cannot be written; those before it are kept.
    UnknownNameError
        If there is no such engine.
    """
    fingerprint = backbone.fingerprint
    done = store.shard_ids(fingerprint)
    wanted = {record.id for record in records}
    known = [failure for failure in store.failures(fingerprint) if failure.id in wanted]
    shards = plan_shards(records, done | {failure.id for failure in known}, store.next_index(fingerprint))
    n_total = sum(len(shard.records) for shard in shards)
    n_done = 0

    def advance(n_images: int) -> None:
        nonlocal n_done
        n_done += n_images
        if progress is not None:
            progress("embed", n_done, n_total)

    is_inline = engine == "inline"
    worker = ShardWorker(
        backbone,
        store,
        batch_size=batch_size,
        n_threads=n_workers if is_inline else 1,
        thumbnails=thumbnails,
        on_batch=advance if is_inline else None,
    )
    failures, n_computed = list(known), 0
    for result in run_shards(worker, shards, engine=engine, n_workers=n_workers):
        n_computed += result.n_computed
        failures += result.failures
        if not is_inline:
            advance(result.n_computed + len(result.failures))
    return ExtractReport(n_computed, len(wanted & done), tuple(failures))


def plan_shards(
    records: Sequence[ImageRecord], done: frozenset[str], first_index: int, *, shard_size: int = SHARD_SIZE
) -> list[Shard]:
    """Cut the images that are not done into shards.

    Parameters
    ----------
    records : sequence of ImageRecord
        All images, in a stable order.
    done : frozenset of str
        Ids that need no work.
    first_index : int
        A shard index from which on all are free.
    shard_size : int, default=SHARD_SIZE
        Images in a shard.

    Returns
    -------
    shards : list of Shard
        Since shards are finished whole, the cuts after an interruption are those that were planned before it.
    """
    pending = [record for record in records if record.id not in done]
    cuts = iter_chunks(len(pending), shard_size)
    return [Shard(first_index + number, tuple(pending[cut])) for number, cut in enumerate(cuts)]


def _map_ahead(
    threads: ThreadPoolExecutor,
    function: Callable[[ImageRecord], ByteArray | ImageFailure],
    records: Sequence[ImageRecord],
    n_ahead: int,
) -> Iterator[ByteArray | ImageFailure]:
    """Yield the function's results in order, working at most `n_ahead` records ahead, to bound memory."""
    waiting: deque[Future[ByteArray | ImageFailure]] = deque()
    for record in records:
        waiting.append(threads.submit(function, record))
        if len(waiting) > n_ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()

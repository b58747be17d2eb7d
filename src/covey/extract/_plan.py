"""What every extraction does around its shards: plan what is missing, have it made, sum up."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from covey._arrays import iter_chunks
from covey.engines import n_threads, run_shards
from covey.errors import InvalidValueError
from covey.extract._shard_tasks import ShardTask, process_shard
from covey.images import TRANSIENT_CODES, View
from covey.store import FeatureStore
from covey.types import Backbone, ImageFailure, ImageRecord, Progress

_TRIED_AGAIN = TRANSIENT_CODES - {"ERROR_MISSING_FILE", "ERROR_PERMISSION"}  # which do not pass within a run


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """The result of one extraction.

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


class ShardSizes(NamedTuple):
    """How many images are encoded at once, and how many are in a shard."""

    batch: int
    shard: int


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSetPlan:
    """One feature set of an extraction.

    Attributes
    ----------
    fingerprint : str
        Its name.
    backbone : Backbone
        What encodes the images.
    store : FeatureStore
        Where it lies.
    view : View or None
        Which augmented copy of each image it describes; None for the images as they are.
    """

    fingerprint: str
    backbone: Backbone
    store: FeatureStore
    view: View | None = None

    def tasks(
        self,
        records: Sequence[ImageRecord],
        sizes: ShardSizes,
        *,
        thumbnails: Path | None = None,
        retry_failed: bool = False,
    ) -> Iterator[ShardTask]:
        """Yield the shards that are missing, in the order of the images."""
        failures = {failure.id: failure.code for failure in self.store.failures(self.fingerprint)}
        again = failures.keys() if retry_failed else {i for i, code in failures.items() if code in TRANSIENT_CODES}
        missing = _list_missing(records, self.store.shard_ids(self.fingerprint) | failures.keys(), again)
        first = self.store.next_index(self.fingerprint)
        for number, rows in enumerate(iter_chunks(len(missing), sizes.shard)):
            images = tuple(missing[rows])
            yield ShardTask(
                self.fingerprint, first + number, images, self.backbone, self.store, sizes.batch, thumbnails, self.view
            )

    def transient(self, records: Sequence[ImageRecord], tasks: Iterable[ShardTask]) -> list[ImageRecord]:
        """Return the images of these shards whose failure may have passed by now."""
        tried = {record.id for task in tasks for record in task.records}
        failed = {f.id for f in self.store.failures(self.fingerprint) if f.code in _TRIED_AGAIN}
        return [record for record in records if record.id in tried & failed]

    def sum_up(self, records: Sequence[ImageRecord], had_rows: frozenset[str]) -> ExtractReport:
        """Compare the store with what it was before; failures name the present path of each image."""
        paths = {record.id: record.path for record in records}
        n_reused = sum(image_id in had_rows for image_id in paths)
        n_with_rows = sum(image_id in paths for image_id in self.store.shard_ids(self.fingerprint))
        failures = [
            replace(failure, path=paths[failure.id])
            for failure in self.store.failures(self.fingerprint)
            if failure.id in paths
        ]
        return ExtractReport(n_computed=n_with_rows - n_reused, n_reused=n_reused, failures=failures)


def run_tasks(
    tasks: Sequence[ShardTask], stage_name: str, *, engine: str, n_workers: int | None, progress: Progress | None
) -> None:
    """Make shards, and report as one stage how many of their images are done."""
    n_images, n_before = sum(len(task.records) for task in tasks), 0

    def report(stage: str, n_done: int, n_total: int | None) -> None:
        del stage, n_total  # of the shard
        if progress is not None:
            progress(stage_name, n_before + n_done, n_images)

    if engine != "inline":
        n_processes = min(n_workers or n_threads(), len(tasks))
        tasks = [replace(task, n_processes=n_processes) for task in tasks]
    if engine == "inline":
        function = partial(process_shard, n_readers=n_workers, progress=report)
    else:
        function = partial(process_shard)  # closures do not travel to other processes
    for n_in_shard in run_shards(function, tasks, engine=engine, n_workers=n_workers):
        n_before += n_in_shard
        report(stage_name, 0, None)


def check_at_least_one(**numbers: int | None) -> None:
    """Raise `InvalidValueError` for a number that is given and below 1."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise InvalidValueError(f"{name} is {number}; it must be at least 1.")


def run_again(
    plan: FeatureSetPlan, tasks: Sequence[ShardTask], records: Sequence[ImageRecord], sizes: ShardSizes
) -> None:
    """Try images once more whose failure may have passed, one after another, as memory may have been short."""
    failed = plan.transient(records, tasks)
    if failed:
        thumbnails = tasks[0].thumbnails
        for task in plan.tasks(failed, sizes, thumbnails=thumbnails):
            process_shard(task, n_readers=1)


def _list_missing(
    records: Sequence[ImageRecord], known: AbstractSet[str], again: AbstractSet[str]
) -> list[ImageRecord]:
    """List the images to compute: the new ones in order, then those that failed and are tried again."""
    new = [record for record in records if record.id not in known]
    return new + [record for record in records if record.id in again]

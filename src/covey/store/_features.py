"""Feature matrices on disk: shards that are written whole, read back as one matrix.

A feature set is a folder named by its fingerprint. It holds ``shard-000000.safetensors`` and so on (see `_shards.py`
for the format), and for large sets ``rows-<hash of the ids>.npy``: the rows of the last `load`, in its order, ready
to be mapped; ``stacked-<hash>.npy`` is the same for `load_stacked`. The shards are what lasts; these arrays can be
deleted at any time and are made anew.
"""

import hashlib
import logging
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from covey._arrays import check_features
from covey._files import DamagedFileError, remove_leftovers
from covey.errors import InvalidValueError, ProjectError
from covey.store._disk import disk_errors, map_array, write_array
from covey.store._records import FeatureSetInfo
from covey.store._rows import is_fingerprint
from covey.store._shards import NO_EXTRAS, Shard, ShardExtras, read_shard, write_shard
from covey.types import Features, FloatArray, ImageFailure, ImageNote, IntArray

_logger = logging.getLogger(__name__)
_SHARD_NAME = re.compile(r"shard-(\d+)\.safetensors")


class FeatureStore:
    """Feature sets below one folder, a subfolder for each fingerprint.

    A shard that cannot be read, because the disk or a copy damaged it, is renamed to ``….damaged`` as soon as it is
    noticed: `shard_ids` goes on without it, so that its images count as not yet done, and `load` stops with the
    advice to run the same command again.

    Parameters
    ----------
    root : Path
        The folder; made when the first shard is written.
    max_memory_bytes : int, default=2**30
        A larger matrix is not assembled in memory but in a file that is mapped. In bytes.
    """

    def __init__(self, root: Path, *, max_memory_bytes: int = 2**30) -> None:
        self.root = Path(root)
        self.max_memory_bytes = max_memory_bytes

    def fingerprints(self) -> list[str]:
        """List the feature sets, sorted.

        Returns
        -------
        fingerprints : list of str
            Those that have a folder.
        """
        return sorted(folder.name for folder in self.root.iterdir() if folder.is_dir()) if self.root.is_dir() else []

    def shard_ids(self, fingerprint: str) -> frozenset[str]:
        """Return the ids that have a row.

        Parameters
        ----------
        fingerprint : str
            The feature set; it need not exist yet.

        Returns
        -------
        ids : frozenset of str
            Failed images are not among them: see `failures`.
        """
        return frozenset(image_id for shard in self._usable_shards(fingerprint) for image_id in shard.ids)

    def failures(self, fingerprint: str) -> list[ImageFailure]:
        """Return the recorded failures of images that have no row.

        Parameters
        ----------
        fingerprint : str
            The feature set; it need not exist yet.

        Returns
        -------
        failures : list of ImageFailure
            The latest one of each image (of each path where the id is unknown), oldest image first.
        """
        shards = self._usable_shards(fingerprint)
        done = {image_id for shard in shards for image_id in shard.ids}
        latest = {failure.id or failure.path: failure for shard in shards for failure in shard.failures}
        return [failure for failure in latest.values() if failure.id not in done]

    def extras(self, fingerprint: str) -> tuple[dict[str, str], list[ImageNote]]:
        """Return what the shards say of their images besides the features.

        Parameters
        ----------
        fingerprint : str
            The feature set; it need not exist yet.

        Returns
        -------
        prints : dict of str to str
            By image id: images of equal print may have equal pixels. Sets of views have none.
        notes : list of ImageNote
            On images that were read.
        """
        shards = self._usable_shards(fingerprint)
        prints = {image_id: word for shard in shards for image_id, word in zip(shard.ids, shard.prints, strict=False)}
        return prints, [note for shard in shards for note in shard.notes]

    def next_index(self, fingerprint: str) -> int:
        """Return the first shard index above all that were ever taken, damaged ones too.

        Parameters
        ----------
        fingerprint : str
            The feature set; it need not exist yet.

        Returns
        -------
        index : int
            0 for a new feature set.
        """
        names = (path.name for path in self._folder(fingerprint).glob("shard-*"))
        return 1 + max((int(found[1]) for name in names if (found := _SHARD_NAME.match(name))), default=-1)

    def write_shard(
        self,
        fingerprint: str,
        index: int,
        ids: Sequence[str],
        X: FloatArray,
        failures: Sequence[ImageFailure] = (),
        *,
        extras: ShardExtras = NO_EXTRAS,
    ) -> Path:
        """Write one shard, whole or not at all.

        Parameters
        ----------
        fingerprint : str
            The feature set; letters, digits, ``.``, ``_`` and ``-``.
        index : int
            A free index: see `next_index`.
        ids : sequence of str
            Image ids without repeats; row i of `X` belongs to ``ids[i]``.
        X : ndarray of shape (n, d), dtype float32
            Finite features; n may be 0, d may not.
        failures : sequence of ImageFailure, optional
            Images of this shard that have no row.
        extras : ShardExtras, optional
            What else there is to say of its images.

        Returns
        -------
        path : Path
            The file.

        Raises
        ------
        ProjectError
            If the index is taken or the disk refuses.
        ValueError
            If ids and rows do not fit, or a feature is not finite.
        """
        X = check_features(X, min_rows=0)
        if len(ids) != len(X) or len(set(ids)) != len(ids):
            raise ValueError(f"{len(set(ids))} distinct ids of {len(ids)} for {len(X)} rows; each row needs its own.")
        path = self._folder(fingerprint) / f"shard-{index:06d}.safetensors"
        if path.exists():
            raise ProjectError(f"Shard {index} of features {fingerprint} exists, and a shard is never written twice.")
        with disk_errors(f"Shard {index} of features {fingerprint}"):
            write_shard(path, fingerprint, ids, X, failures, extras=extras)
        return path

    def load(self, fingerprint: str, ids: Sequence[str] | None = None) -> Features:
        """Return rows as one read-only matrix.

        Parameters
        ----------
        fingerprint : str
            The feature set.
        ids : sequence of str, optional
            Which images, without repeats; all, in the order of the shards, if not given.

        Returns
        -------
        features : Features
            Rows in the order of `ids`. `X` is a memory map where one shard holds just these rows or where the matrix
            is larger than `max_memory_bytes`, else an array.

        Raises
        ------
        ProjectError
            If there is no such set, an id has no row, a shard is damaged, or there is no room for the matrix.
        ValueError
            If an id repeats.

        Notes
        -----
        A matrix larger than `max_memory_bytes` is written block by block to a file beside the shards, so it needs its
        size on the disk once more and at most one block, 64 MiB, of memory; the file stays for the next `load` of the
        same ids and takes the place of an earlier one.
        """
        shards, places = self._placed_shards(fingerprint)
        wanted = tuple(places) if ids is None else tuple(ids)
        order = _order_rows(wanted, places, fingerprint)
        with _damage_errors():
            X = self._matrix(fingerprint, shards, wanted, order)
        X.flags.writeable = False
        return Features(ids=wanted, X=X, fingerprint=fingerprint)

    def load_stacked(self, fingerprints: Sequence[str], ids: Sequence[str]) -> FloatArray:
        """Return the rows of several feature sets of one width side by side, as the views of an image are.

        Parameters
        ----------
        fingerprints : sequence of str
            The feature sets, one or more.
        ids : sequence of str
            Which images, without repeats; each has a row in each set.

        Returns
        -------
        stacked : ndarray of shape (n, len(fingerprints), d), dtype float32
            Row ``[i, j]`` belongs to ``ids[i]`` and ``fingerprints[j]``; read-only. A memory map where it is larger
            than `max_memory_bytes`, else an array.

        Raises
        ------
        ProjectError
            As `load` does, or if the sets have different widths.
        ValueError
            If an id repeats.

        Notes
        -----
        A large array is written to a file, as `load` does it: at most one block, 64 MiB, is held in memory.
        """
        sets = []
        for fingerprint in fingerprints:
            shards, places = self._placed_shards(fingerprint)
            sets.append((shards, _order_rows(ids, places, fingerprint)))
        widths = {shards[0].n_features for shards, _ in sets}
        if len(widths) > 1:
            raise ProjectError(f"The feature sets {', '.join(fingerprints)} have different widths: {sorted(widths)}.")
        shape = (len(ids), len(sets), widths.pop())
        path = self._folder(fingerprints[0]) / f"stacked-{_digest([*fingerprints, *ids])}.npy"
        is_large = 4 * math.prod(shape) > self.max_memory_bytes
        if is_large and (stacked := map_array(path, shape)) is not None:
            return stacked
        with _damage_errors():
            parts = [([_rows(shard) for shard in shards], order) for shards, order in sets]
        if is_large:
            with disk_errors(f"The array of {shape[0]} x {shape[1]} rows of features {fingerprints[0]}"):
                write_array(path, lambda rows: _gather_stacked(parts, rows, shape), shape)
            return np.asarray(np.load(path, mmap_mode="r"))
        stacked = _gather_stacked(parts, slice(None), shape)
        stacked.flags.writeable = False
        return stacked

    def info(self, fingerprint: str) -> FeatureSetInfo:
        """Count rows, shards and bytes of a feature set.

        Parameters
        ----------
        fingerprint : str
            The feature set; it need not exist.

        Returns
        -------
        info : FeatureSetInfo
            Damaged shards and temporary files count in bytes alone.
        """
        shards = self._usable_shards(fingerprint)
        folder = self._folder(fingerprint)
        return FeatureSetInfo(
            fingerprint=fingerprint,
            n_images=len({image_id for shard in shards for image_id in shard.ids}),
            n_features=max((shard.n_features for shard in shards), default=0),
            n_shards=len(shards),
            n_bytes=sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0,
        )

    def keep_only(self, fingerprint: str, ids: Collection[str]) -> None:
        """Write the shards of a feature set anew, without the rows of all other images; call it under a lock.

        Parameters
        ----------
        fingerprint : str
            The feature set.
        ids : collection of str
            The images whose rows stay, with a quick ``in``.

        Raises
        ------
        ProjectError
            If the disk refuses.
        """
        for shard in self._usable_shards(fingerprint):
            rows = [row for row, image_id in enumerate(shard.ids) if image_id in ids]
            failures = [failure for failure in shard.failures if not failure.id or failure.id in ids]
            if len(rows) == len(shard.ids) and len(failures) == len(shard.failures):
                continue
            extras = ShardExtras(
                tuple(shard.prints[row] for row in rows) if shard.prints else (),
                tuple(note for note in shard.notes if note.id in ids),
            )
            with disk_errors(f"Shard {str(shard.path)!r}"), _damage_errors():
                X = np.array(_rows(shard)[rows])
                write_shard(shard.path, fingerprint, [shard.ids[row] for row in rows], X, failures, extras=extras)
                for array in (*shard.path.parent.glob("rows-*.npy"), *shard.path.parent.glob("stacked-*.npy")):
                    array.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove the temporary files of killed runs; call it only where no other process writes."""
        for fingerprint in self.fingerprints():
            remove_leftovers(self.root / fingerprint)

    def _folder(self, fingerprint: str) -> Path:
        if not is_fingerprint(fingerprint):
            raise InvalidValueError(
                f"{fingerprint!r} is not a fingerprint: letters, digits, '.', '_' and '-' are allowed."
            )
        return self.root / fingerprint

    def _usable_shards(self, fingerprint: str) -> list[Shard]:
        """Read the shards that can be read, and log which were set aside."""
        shards, damages = self._read_shards(fingerprint)
        for damage in damages:
            _logger.warning("%s; its images will be computed anew", damage)
        return shards

    def _read_shards(self, fingerprint: str) -> tuple[list[Shard], list[str]]:
        """Read all shards by index and set damaged ones aside, with a message for each of those."""
        shards, damages = [], []
        for path in sorted(self._folder(fingerprint).glob("shard-*")):
            if not _SHARD_NAME.fullmatch(path.name):
                continue
            try:
                shards.append(read_shard(path))
            except DamagedFileError as error:
                damages.append(_set_aside(path, error))
        return shards, damages

    def _placed_shards(self, fingerprint: str) -> tuple[list[Shard], dict[str, int]]:
        """Read the undamaged shards of a set, and map each id to its row in the shards laid end to end."""
        shards, damages = self._read_shards(fingerprint)
        if damages:
            raise ProjectError(_advise(damages))
        if not shards:
            raise ProjectError(f"There are no features {fingerprint} in {str(self.root)!r}; extract them first.")
        _check_widths(shards, fingerprint)
        return shards, _place_ids(shards)

    def _matrix(self, fingerprint: str, shards: Sequence[Shard], ids: tuple[str, ...], order: IntArray) -> FloatArray:
        """Return row ``order[i]`` of the shards laid end to end as row i, in memory or mapped from a file."""
        shape = (len(ids), max((shard.n_features for shard in shards), default=0))
        path = self._folder(fingerprint) / f"rows-{_digest(ids)}.npy"
        is_large = 4 * math.prod(shape) > self.max_memory_bytes
        if is_large and (X := map_array(path, shape)) is not None:
            return X
        blocks = [_rows(shard) for shard in shards]
        if len(blocks) == 1 and np.array_equal(order, np.arange(len(blocks[0]))):
            return blocks[0]
        if not is_large:
            return _gather(blocks, order, shape[1])
        with disk_errors(f"The matrix of {shape[0]} rows of features {fingerprint}"):
            write_array(path, lambda rows: _gather(blocks, order[rows], shape[1]), shape)
        return np.asarray(np.load(path, mmap_mode="r"))


def _digest(words: Sequence[str]) -> str:
    """Name a sequence of ids or fingerprints in 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


@contextmanager
def _damage_errors() -> Iterator[None]:
    """Turn damage that is found while rows are read into a `ProjectError` with advice."""
    try:
        yield
    except DamagedFileError as error:
        raise ProjectError(_advise([str(error)])) from error


def _rows(shard: Shard) -> FloatArray:
    """Map the rows of a shard; one whose rows are damaged is set aside first."""
    try:
        return shard.rows()
    except DamagedFileError as error:
        raise DamagedFileError(_set_aside(shard.path, error)) from error


def _set_aside(path: Path, error: DamagedFileError) -> str:
    """Rename a damaged shard, so that it is not read again, and return the message."""
    aside = path.with_name(f"{path.name}.damaged")
    with disk_errors(f"Shard {str(path)!r} is damaged ({error}); its new name"):
        path.replace(aside)
    return f"Shard {str(path)!r} is damaged ({error}) and was set aside as {aside.name!r}"


def _advise(damages: Sequence[str]) -> str:
    return f"{'; '.join(damages)}. Run the same command again to compute its images anew."


def _place_ids(shards: Sequence[Shard]) -> dict[str, int]:
    """Map each id to its row in the shards laid end to end; where an id repeats, the oldest row counts."""
    places: dict[str, int] = {}
    for place, image_id in enumerate(image_id for shard in shards for image_id in shard.ids):
        places.setdefault(image_id, place)
    return places


def _check_widths(shards: Sequence[Shard], fingerprint: str) -> None:
    widths = sorted({shard.n_features for shard in shards})
    if len(widths) > 1:
        raise ProjectError(
            f"The shards of features {fingerprint} have {' and '.join(map(str, widths))} columns, so they come from "
            "different backbones; remove the folder to compute them anew."
        )


def _order_rows(wanted: Sequence[str], places: Mapping[str, int], fingerprint: str) -> IntArray:
    """Return the place of each wanted id's row, (len(wanted),); an error if an id repeats or has no row."""
    if len(set(wanted)) != len(wanted):
        raise ValueError(f"ids has {len(wanted)} entries, but only {len(set(wanted))} distinct ones.")
    missing = [image_id for image_id in wanted if image_id not in places]
    if missing:
        raise ProjectError(
            f"{len(missing)} of {len(wanted)} images have no row in features {fingerprint} (first: {missing[0]}); "
            "extract them first."
        )
    return np.fromiter((places[image_id] for image_id in wanted), dtype=np.int64, count=len(wanted))


def _gather(blocks: Sequence[FloatArray], order: IntArray, n_features: int) -> FloatArray:
    """Copy row ``order[i]`` of the blocks laid end to end to row i of a new matrix (len(order), n_features)."""
    starts = np.cumsum([0, *(len(block) for block in blocks)])
    sources = np.searchsorted(starts, order, side="right") - 1
    X = np.empty((len(order), n_features), dtype=np.float32)
    for source in np.unique(sources):
        rows = np.flatnonzero(sources == source)
        X[rows] = blocks[source][order[rows] - starts[source]]
    return X


def _gather_stacked(
    parts: Sequence[tuple[Sequence[FloatArray], IntArray]], rows: slice, shape: tuple[int, int, int]
) -> FloatArray:
    """Copy these rows of an array of `shape` (n, n_sets, d), whose sets are `parts`: blocks and order of rows."""
    stacked = np.empty((len(range(shape[0])[rows]), *shape[1:]), dtype=np.float32)
    for number, (blocks, order) in enumerate(parts):
        stacked[:, number] = _gather(blocks, order[rows], shape[2])
    return stacked

"""Images of one small size in one file, for methods that learn from pixels.

Format, version 2: a safetensors file with the tensor ``pixels`` of shape (n, size, size, 3), U8, and the metadata
``format`` = ``covey-pixels``, ``version`` and ``ids`` (JSON list of n image ids).
"""

import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from covey._arrays import iter_chunks
from covey._files import DamagedFileError, atomic_write, map_tensor, parse_json, read_safetensors_header
from covey.errors import ImageReadError
from covey.images._preprocess import decode_size, preprocess
from covey.images._read import read_recorded
from covey.images._thumbnails import has_thumbnail, thumbnail_path, write_thumbnail
from covey.types import BackboneSpec, ByteArray, ImageFailure, ImageRecord, Progress

_FORMAT = "covey-pixels"
_VERSION = "2"  # raised whenever an image begins to look different: files of another version are not reused
_AT_ONCE = 256  # images that are decoded before they are written
_THUMBNAIL_PX = 256
_N_CHANNELS = 3


class PackedImages(NamedTuple):
    """The result of `pack_images`.

    Attributes
    ----------
    ids : tuple of str
        Image ids; ``pixels[i]`` belongs to ``ids[i]``.
    pixels : ndarray of shape (n, size, size, 3), dtype uint8
        Mapped from the file, read-only.
    failures : list of ImageFailure
        The images that could not be decoded.
    n_reused : int
        Images that an earlier file had.
    """

    ids: tuple[str, ...]
    pixels: ByteArray
    failures: list[ImageFailure]
    n_reused: int


def pack_images(
    records: Sequence[ImageRecord],
    path: Path,
    *,
    size: int,
    n_workers: int = 2,
    thumbnails: Path | None = None,
    progress: Progress | None = None,
) -> PackedImages:
    """Bring images to one size and write them to one file, which is mapped.

    Parameters
    ----------
    records : sequence of ImageRecord
        Images with distinct ids.
    path : Path
        The file. One that has these very images in this order is mapped as it is; of another one that is whole, the
        images that are wanted are taken over, and only the rest is decoded.
    size : int
        Height and width in pixels: an image is scaled to cover the square, and its center cut out.
    n_workers : int, default=2
        Threads that decode.
    thumbnails : Path, optional
        Folder of thumbnails; those that are missing are written while the decoded image is at hand.
    progress : Progress, optional
        Told ``("pack", n_done, n_total)`` now and then.

    Returns
    -------
    packed : PackedImages
        In the order of the records, without those that failed.

    Raises
    ------
    ValueError
        If a size or a number of workers is below 1.
    OSError
        If the disk refuses; nothing is left behind then.

    Notes
    -----
    The file appears whole, by one rename: a killed packing leaves what was there before, and starts anew.
    """
    if size < 1 or n_workers < 1:
        raise ValueError(f"size is {size} and n_workers is {n_workers}; both must be at least 1.")
    read = partial(_read, size=size, thumbnails=thumbnails)
    wanted = [record.id for record in records]
    ids, before = _map_packed(path, size)
    if ids != wanted:
        known = {image_id: row for row, image_id in enumerate(ids)}
        with ThreadPoolExecutor(n_workers, thread_name_prefix="covey-packer") as readers:
            rows = _iter_rows(records, known, before, partial(readers.map, read), progress)
            failures = _write_packed(path, wanted, size, rows)
        ids, pixels = _map_packed(path, size)
        return PackedImages(tuple(ids), pixels, failures, len(known.keys() & wanted))
    if thumbnails is not None:
        for record in records:
            if not has_thumbnail(thumbnail_path(thumbnails, record.id)):
                read(record)
    return PackedImages(tuple(ids), before, [], len(ids))


def _iter_rows(
    records: Sequence[ImageRecord],
    known: Mapping[str, int],
    before: ByteArray,
    decode: Callable[[list[ImageRecord]], Iterable[ByteArray | ImageFailure]],
    progress: Progress | None,
) -> Iterator[tuple[str, ByteArray | ImageFailure]]:
    """Yield the pixels of each image, or why there are none, in order; `known` images are in rows of `before`."""
    for part in iter_chunks(len(records), _AT_ONCE):
        decoded = iter(decode([record for record in records[part] if record.id not in known]))
        for record in records[part]:
            yield record.id, before[known[record.id]] if record.id in known else next(decoded)
        if progress is not None:
            progress("pack", part.stop, len(records))


def _read(record: ImageRecord, *, size: int, thumbnails: Path | None) -> ByteArray | ImageFailure:
    """Decode an image and bring it to its size; write its thumbnail if that is missing."""
    spec = _square(size)
    try:
        image = read_recorded(record, min_size=decode_size(spec, thumbnail_px=_THUMBNAIL_PX)).image
    except ImageReadError as error:
        n_bytes = 0
        with suppress(OSError):
            n_bytes = record.path.stat().st_size
        return ImageFailure(record.path, error.code, str(error), n_bytes, record.id)
    if thumbnails is not None:
        path = thumbnail_path(thumbnails, record.id)
        if not has_thumbnail(path):
            write_thumbnail(image, path, size_px=_THUMBNAIL_PX)
    return preprocess(image, spec)


def _square(size: int) -> BackboneSpec:
    """Describe pixels as what a backbone would see: the whole image's center square, nothing subtracted."""
    return BackboneSpec(
        name=_FORMAT,
        loader="",
        n_features=_N_CHANNELS * size**2,
        input_size=(size, size),
        crop_fraction=1.0,
        interpolation="bicubic",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        weights="",
    )


def _write_packed(
    path: Path, wanted: list[str], size: int, rows: Iterable[tuple[str, ByteArray | ImageFailure]]
) -> list[ImageFailure]:
    """Write the file, whole or not at all; return the failures among `rows`.

    The header has room for all `wanted` ids and is written once more, padded, when it is known which are there.
    """
    ids: list[str] = []
    failures: list[ImageFailure] = []
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        room = len(_header(wanted, size))
        file.write(bytes(8 + room))
        for image_id, row in rows:
            if isinstance(row, ImageFailure):
                failures.append(row)
            else:
                ids.append(image_id)
                file.write(np.ascontiguousarray(row).data)
        file.seek(0)
        file.write(struct.pack("<Q", room) + _header(ids, size).ljust(room))
    return failures


def _header(ids: list[str], size: int) -> bytes:
    """Return a safetensors header, a multiple of eight bytes long."""
    shape = (len(ids), size, size, _N_CHANNELS)
    tensor = {"dtype": "U8", "shape": shape, "data_offsets": (0, math.prod(shape))}
    metadata = {"format": _FORMAT, "version": _VERSION, "ids": json.dumps(ids)}
    header = json.dumps({"__metadata__": metadata, "pixels": tensor}).encode()
    return header.ljust(-(-len(header) // 8) * 8)


def _map_packed(path: Path, size: int) -> tuple[list[str], ByteArray]:
    """Return the ids and the mapped pixels of a file; none if there is no whole one of this size."""
    nothing: tuple[list[str], ByteArray] = [], np.empty((0, size, size, _N_CHANNELS), dtype=np.uint8)
    try:
        metadata, _ = read_safetensors_header(path)
        ids = parse_json(metadata["ids"])
        pixels = map_tensor(path, "pixels", "U8")
        is_wanted = (
            bool(ids) and metadata["version"] == _VERSION and pixels.shape == (len(ids), size, size, _N_CHANNELS)
        )
    except (OSError, DamagedFileError, ValueError, LookupError, TypeError):
        return nothing
    return (ids, pixels) if is_wanted else nothing

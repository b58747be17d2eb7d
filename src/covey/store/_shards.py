"""The shard: one safetensors file with ids, rows and failures.

Format, version 1. Tensor ``X`` of shape (n, d), F32. Metadata, all strings as safetensors has it: ``format`` =
``covey-features``, ``version``, ``fingerprint``, ``ids`` (JSON list of n image ids), ``failures`` (JSON list of
objects with ``path``, ``code``, ``message``, ``n_bytes``, ``id``; bytes of a path that are not UTF-8 are escaped
lone surrogates, as `os.fsdecode` makes them) and ``crc32`` (decimal, over the UTF-8 of ``ids`` and then the bytes of
``X``). A set of images as they are also has ``prints`` (JSON list of n words: images of equal print may have equal
pixels) and ``notes`` (JSON list of objects with ``id``, ``code``, ``message``); both may be missing. Readers ignore
further tensors and metadata. The safetensors library reads these files; covey maps the rows, and so reads the header
itself for their offset (`covey._files`).
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from covey._files import DamagedFileError, atomic_write, map_tensor, parse_json, read_safetensors_header
from covey.types import FloatArray, ImageFailure, ImageNote

_FORMAT = "covey-features"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard without its rows."""

    path: Path
    fingerprint: str
    ids: tuple[str, ...]
    failures: tuple[ImageFailure, ...]
    n_features: int
    crc32: int
    prints: tuple[str, ...] = ()
    notes: tuple[ImageNote, ...] = ()

    def rows(self) -> FloatArray:
        """Map the rows (n, d) read-only into memory; `DamagedFileError` if they are not those that were written."""
        X = map_tensor(self.path, "X")
        if _checksum(json.dumps(self.ids), X) != self.crc32:
            raise DamagedFileError("its checksum does not match")
        if not np.isfinite(X.sum(dtype=np.float64)):
            raise DamagedFileError("it holds features that are NaN or infinite")
        return X


class ShardExtras(NamedTuple):
    """What a shard may say of its images besides their features.

    Attributes
    ----------
    prints : tuple of str
        One for each row: images of equal print may have equal pixels. Empty if there are none.
    notes : tuple of ImageNote
        On images that were read.
    """

    prints: tuple[str, ...] = ()
    notes: tuple[ImageNote, ...] = ()


NO_EXTRAS: Final = ShardExtras()


def write_shard(
    path: Path,
    fingerprint: str,
    ids: Sequence[str],
    X: FloatArray,
    failures: Sequence[ImageFailure],
    *,
    extras: ShardExtras = NO_EXTRAS,
) -> None:
    """Write a shard whole or not at all; `X` is finite, C-ordered float32 of shape (n, d)."""
    listed = json.dumps(list(ids))
    metadata = {
        "format": _FORMAT,
        "version": str(_VERSION),
        "fingerprint": fingerprint,
        "ids": listed,
        "failures": json.dumps([{**asdict(failure), "path": str(failure.path)} for failure in failures]),
        "crc32": str(_checksum(listed, X)),
    }
    if extras.prints:
        metadata["prints"] = json.dumps(extras.prints)
    if extras.notes:
        metadata["notes"] = json.dumps([asdict(note) for note in extras.notes])
    with atomic_write(path) as temporary:
        save_file({"X": X}, temporary, metadata=metadata)


def read_shard(path: Path) -> Shard:
    """Read what a shard holds besides its rows; `DamagedFileError` if it is not a whole shard."""
    metadata, tensors = read_safetensors_header(path)
    try:
        n_rows, n_features = tensors["X"].shape
        ids = tuple(parse_json(metadata["ids"]))
        failures = tuple(
            ImageFailure(**{**failure, "path": Path(failure["path"])}) for failure in parse_json(metadata["failures"])
        )
        prints = tuple(parse_json(metadata.get("prints", "[]")))
        notes = tuple(ImageNote(**note) for note in parse_json(metadata.get("notes", "[]")))
        crc32 = int(metadata["crc32"])
        shard = Shard(path, metadata["fingerprint"], ids, failures, n_features, crc32, prints, notes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"its header lacks or garbles an entry ({error!r})") from error
    if len(ids) != n_rows:
        raise DamagedFileError(f"it has {n_rows} rows for {len(ids)} ids")
    if prints and len(prints) != n_rows:
        raise DamagedFileError(f"it has {n_rows} rows for {len(prints)} prints")
    return shard


def _checksum(listed_ids: str, X: FloatArray) -> int:
    return zlib.crc32(X.data, zlib.crc32(listed_ids.encode()))

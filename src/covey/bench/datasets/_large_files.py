"""Data sets whose images lie inside a few large files: STL-10, MNIST's format, Parquet."""

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey._files import write_bytes
from covey.bench.datasets._dataset import Dataset, Split, split_rows
from covey.errors import DatasetError
from covey.registry import require
from covey.types import ByteArray

_STL_SIDE_PX = 96
_STL_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
_IDX_BYTES = 0x08  # the format's code for unsigned bytes
_SUFFIX_OF = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"RI": ".webp", b"GI": ".gif", b"BM": ".bmp"}


def load_stl10(root: Path) -> Dataset:
    """Read STL-10's binary files; its unlabeled images take no part.

    Parameters
    ----------
    root : Path
        Holds ``train_X.bin``, ``train_y.bin``, ``test_X.bin`` and ``test_y.bin``.

    Returns
    -------
    dataset : Dataset
        5,000 images to fit and 8,000 to score.

    Raises
    ------
    DatasetError
        If a file is missing or has another size.
    """
    return Dataset(_read_stl(root, "train"), _read_stl(root, "test"), _STL_CLASSES)


def _read_stl(root: Path, part: str) -> Split:
    pixels, labels = _bytes(root / f"{part}_X.bin"), _bytes(root / f"{part}_y.bin")
    shape = (len(labels), 3, _STL_SIDE_PX, _STL_SIDE_PX)
    if pixels.size != np.prod(shape):
        raise DatasetError(
            f"{root / part}_X.bin has {pixels.size:,} bytes; {len(labels):,} labels need {int(np.prod(shape)):,}."
        )
    upright = pixels.reshape(shape).transpose(0, 3, 2, 1)  # each channel is stored column by column
    return Split(f"stl10-{part}", labels.astype(np.int64) - 1, pixels=np.ascontiguousarray(upright))


def _bytes(path: Path) -> ByteArray:
    try:
        return np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def load_mnist(root: Path) -> Dataset:
    """Read a data set in MNIST's format (idx), gzipped or not; gray becomes RGB.

    Parameters
    ----------
    root : Path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same with ``t10k``; ``.gz`` may follow.

    Returns
    -------
    dataset : Dataset
        Classes are called by their numbers.

    Raises
    ------
    DatasetError
        If a file is missing or is of another format.
    """
    train, test = (_read_mnist(root, part, split) for part, split in (("train", "train"), ("t10k", "test")))
    return Dataset(train, test, tuple(str(label) for label in range(int(train.y.max()) + 1)))


def _read_mnist(root: Path, part: str, split: str) -> Split:
    images, labels = read_idx(root, f"{part}-images", 3), read_idx(root, f"{part}-labels", 1)
    return Split(f"{root.name}-{split}", labels.astype(np.int64), pixels=np.repeat(images[..., None], 3, axis=3))


def read_idx(root: Path, stem: str, n_dimensions: int) -> ByteArray:
    """Read one idx file of unsigned bytes; the hyphen before ``idx`` is a dot in some copies."""
    stem = f"{stem}-idx{n_dimensions}-ubyte"
    names = [name + end for name in (stem, stem.replace("-idx", ".idx")) for end in ("", ".gz")]
    path = next((root / name for name in names if (root / name).is_file()), None)
    if path is None:
        raise DatasetError(f"{root} has no {stem}, with or without .gz.")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    head = 4 * (1 + n_dimensions)
    if len(content) < head or tuple(content[:4]) != (0, 0, _IDX_BYTES, n_dimensions):
        raise DatasetError(f"{path} is not an idx file of bytes in {n_dimensions} dimension(s).")
    shape = tuple(int(size) for size in np.frombuffer(content, dtype=">u4", count=n_dimensions, offset=4))
    if len(content) - head != np.prod(shape):
        raise DatasetError(f"{path} is cut off: {len(content) - head:,} bytes for the shape {shape}.")
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(shape)


def load_parquet(root: Path) -> Dataset:
    """Read images in Parquet, as Hugging Face's data sets keep them.

    Parameters
    ----------
    root : Path
        Holds ``*.parquet``, in any folder below it; names that begin with ``test`` or ``val`` are scored, the others
        fitted. Without any such name four fifths of the rows are fitted. Columns: ``image`` (bytes, or a struct with
        ``bytes``) or ``img``, and ``label`` (numbers or words) or ``fine_label``. The images are written once to
        ``pictures/`` beside them.

    Returns
    -------
    dataset : Dataset
        Classes in the order of their values.

    Raises
    ------
    MissingExtraError
        Without pyarrow.
    DatasetError
        If there are no such files or columns.
    """
    files = sorted(root.rglob("*.parquet"))
    if not files:
        raise DatasetError(f"{root} holds no .parquet file.")
    held_out = [path for path in files if path.name.startswith(("test", "val"))]
    fitted = [path for path in files if path not in held_out]
    parts = {"train": _read_tables(root, fitted), "test": _read_tables(root, held_out)}
    classes, _ = np.unique(np.concatenate([labels for _, labels in parts.values() if len(labels)]), return_inverse=True)
    splits = {
        part: Split(f"{root.name}-{part}", np.searchsorted(classes, labels).astype(np.int64), paths=paths)
        for part, (paths, labels) in parts.items()
        if paths
    }
    names = tuple(str(label) for label in classes)
    if len(splits) == 1:
        return Dataset(*split_rows(next(iter(splits.values())), share=0.8), names)
    return Dataset(splits["train"], splits["test"], names)


def _read_tables(root: Path, files: list[Path]) -> tuple[tuple[Path, ...], NDArray[Any]]:
    parquet = require("pyarrow.parquet", extra="parquet", for_="a data set in Parquet")
    paths: list[Path] = []
    labels: list[Any] = []
    for file in files:
        table = parquet.ParquetFile(file)
        image, label = _columns(file, table.schema_arrow.names)
        for batch in table.iter_batches(columns=[image, label]):
            paths += [_write_picture(root / "pictures", value) for value in batch.column(image).to_pylist()]
            labels += batch.column(label).to_pylist()
    return tuple(paths), np.asarray(labels)


def _columns(file: Path, names: list[str]) -> tuple[str, str]:
    image = next((name for name in ("image", "img") if name in names), None)
    label = next((name for name in ("label", "fine_label", "labels") if name in names), None)
    if image is None or label is None:
        raise DatasetError(f"{file} has the columns {', '.join(names)}; it needs 'image' (or 'img') and 'label'.")
    return image, label


def _write_picture(folder: Path, value: Any) -> Path:
    """Write the bytes of one image under their hash, unless they are there, and return the path."""
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise DatasetError("An image in a Parquet file has no bytes; references to other files are not followed.")
    digest = hashlib.sha256(content).hexdigest()
    path = folder / digest[:2] / f"{digest}{_SUFFIX_OF.get(content[:2], '.img')}"
    if not path.exists():
        write_bytes(path, content, is_durable=False)
    return path

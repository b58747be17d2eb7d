"""CIFAR-10, CIFAR-100 and its 20 superclasses: the authors' binary version, or images in folders.

A record of the binary version is one byte a label (CIFAR-10: one; CIFAR-100: the coarse and the fine one) and 3,072 of
pixels, channel by channel. The authors' Python version is pickled, and loading a pickle can run anything.
"""

from pathlib import Path
from typing import Final

import numpy as np

from covey.bench.datasets._dataset import Dataset, Split
from covey.bench.datasets._folders import load_image_folder
from covey.errors import DatasetError
from covey.types import ByteArray, IntArray

_SIDE_PX = 32
_COARSE, _FINE = 0, 1  # the place of each label in a record of CIFAR-100

# The superclasses of CIFAR-100 (Krizhevsky 2009), for a copy in folders, whose names are the fine classes.
SUPERCLASSES: Final[dict[str, tuple[str, ...]]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}


def load_cifar10(root: Path) -> Dataset:
    """Read CIFAR-10: ``data_batch_1.bin`` to ``_5`` and ``test_batch.bin``, or ``train/<class>`` and ``test/<class>``.

    Parameters
    ----------
    root : Path
        The folder of the binary version, with ``batches.meta.txt``, or of images in folders.

    Returns
    -------
    dataset : Dataset
        The authors' split.

    Raises
    ------
    DatasetError
        If a file is missing, has another size, or holds a label without a name.
    """
    if (root / "train").is_dir():
        return load_image_folder(root, name="cifar10")
    classes = _read_names(root / "batches.meta.txt")
    train = [root / f"data_batch_{i}.bin" for i in range(1, 6)]
    return Dataset(
        _read_split("cifar10-train", train, classes, n_labels=1),
        _read_split("cifar10-test", [root / "test_batch.bin"], classes, n_labels=1),
        classes,
    )


def load_cifar100(root: Path) -> Dataset:
    """Read CIFAR-100: ``train.bin`` and ``test.bin``, or ``train/<class>`` and ``test/<class>``; see `load_cifar10`.

    Parameters
    ----------
    root : Path
        The folder of the binary version, with ``fine_label_names.txt``, or of images in folders.

    Returns
    -------
    dataset : Dataset
        The authors' split with the 100 fine classes.

    Raises
    ------
    DatasetError
        If a file is missing, has another size, or holds a label without a name.
    """
    if (root / "train").is_dir():
        return load_image_folder(root, name="cifar100")
    return _load_100(root, "fine_label_names.txt", _FINE, name="cifar100")


def load_cifar20(root: Path) -> Dataset:
    """Read CIFAR-100 with its 20 superclasses as classes; a copy in folders has the fine classes as names.

    Parameters
    ----------
    root : Path
        As for `load_cifar100`, with ``coarse_label_names.txt``.

    Returns
    -------
    dataset : Dataset
        The authors' split.

    Raises
    ------
    DatasetError
        If a file is missing, has another size, or a class or label is not one of CIFAR-100.
    """
    if (root / "train").is_dir():
        return _coarse(load_image_folder(root, name="cifar20"))
    return _load_100(root, "coarse_label_names.txt", _COARSE, name="cifar20")


def _load_100(root: Path, names: str, place: int, *, name: str) -> Dataset:
    classes = _read_names(root / names)
    train, test = (
        _read_split(f"{name}-{part}", [root / f"{part}.bin"], classes, n_labels=2, place=place)
        for part in ("train", "test")
    )
    return Dataset(train, test, classes)


def _coarse(fine: Dataset) -> Dataset:
    """Exchange the fine classes for their superclasses."""
    of = {name: i for i, members in enumerate(SUPERCLASSES.values()) for name in members}
    unknown = [name for name in fine.classes if name not in of]
    if unknown:
        raise DatasetError(
            f"{unknown[0]!r} is not a class of CIFAR-100; the folders must have its fine classes' names, e.g. 'wolf'."
        )
    table = np.array([of[name] for name in fine.classes], dtype=np.int64)
    train, test = (Split(split.name, table[split.y], paths=split.paths) for split in (fine.train, fine.test))
    return Dataset(train, test, tuple(SUPERCLASSES))


def _read_split(name: str, paths: list[Path], classes: tuple[str, ...], *, n_labels: int, place: int = 0) -> Split:
    """Read one or several files of records; the class is the label at `place`."""
    parts = [read_records(path, n_labels) for path in paths]
    y = np.concatenate([labels[:, place] for labels, _ in parts])
    if len(y) and y.max() >= len(classes):
        raise DatasetError(f"{paths[0]} holds the label {y.max()}, but there are names for {len(classes)} classes.")
    return Split(name, y, pixels=np.concatenate([pixels for _, pixels in parts]))


def _read_names(path: Path) -> tuple[str, ...]:
    """Read class names, one a line."""
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(_explain(path, str(error))) from error
    if not names:
        raise DatasetError(_explain(path, "it holds no class names"))
    return names


def read_records(path: Path, n_labels: int) -> tuple[IntArray, ByteArray]:
    """Read a file of CIFAR's binary version.

    Parameters
    ----------
    path : Path
        A file as CIFAR's authors distribute them.
    n_labels : int
        Labels of each record: 1 in CIFAR-10, 2 in CIFAR-100.

    Returns
    -------
    labels : ndarray of shape (n, n_labels), dtype int64
        In the order of the file.
    pixels : ndarray of shape (n, 32, 32, 3), dtype uint8
        Upright, RGB.

    Raises
    ------
    DatasetError
        If the file is missing or its size is not a whole number of records.
    """
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise DatasetError(_explain(path, str(error))) from error
    n_bytes = n_labels + 3 * _SIDE_PX**2
    if content.size == 0 or content.size % n_bytes:
        raise DatasetError(_explain(path, f"it has {content.size:,} bytes, not a multiple of {n_bytes:,}"))
    records = content.reshape(-1, n_bytes)
    channels = records[:, n_labels:].reshape(-1, 3, _SIDE_PX, _SIDE_PX)  # (n, channel, row, column)
    return records[:, :n_labels].astype(np.int64), np.ascontiguousarray(channels.transpose(0, 2, 3, 1))


def _explain(path: Path, problem: str) -> str:
    return (
        f"{path} cannot be read as a file of CIFAR's binary version: {problem}. Unpack the archive whose name ends "
        "with -binary.tar.gz; the pickled Python version is not read."
    )

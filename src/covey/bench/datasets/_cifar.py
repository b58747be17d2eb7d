"""CIFAR-10, CIFAR-100 and its 20 superclasses: the authors' pickled batches, or pictures in folders."""

import codecs
import pickle
from pathlib import Path
from typing import Any, Final

import numpy as np

from covey.bench.datasets._folders import load_image_folder
from covey.bench.datasets._records import Dataset, Split
from covey.errors import DatasetError
from covey.types import ByteArray

_SIDE_PX = 32

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
    """Read CIFAR-10: ``data_batch_1`` to ``_5`` and ``test_batch``, or ``train/<class>`` and ``test/<class>``."""
    if (root / "train").is_dir():
        return load_image_folder(root, name="cifar10")
    classes = _names(root / "batches.meta", "label_names")
    train = [root / f"data_batch_{i}" for i in range(1, 6)]
    return Dataset(
        _read_batches("cifar10-train", train, "labels"),
        _read_batches("cifar10-test", [root / "test_batch"], "labels"),
        classes,
    )


def load_cifar100(root: Path) -> Dataset:
    """Read CIFAR-100: ``train``, ``test`` and ``meta`` as pickles, or ``train/<class>`` and ``test/<class>``."""
    return _load_100(root, "fine_labels", "fine_label_names", name="cifar100")


def load_cifar20(root: Path) -> Dataset:
    """Read CIFAR-100 with its 20 superclasses as classes; a copy in folders has the fine classes as names."""
    if (root / "train").is_dir():
        return _coarse(load_image_folder(root, name="cifar20"))
    return _load_100(root, "coarse_labels", "coarse_label_names", name="cifar20")


def _load_100(root: Path, labels: str, names: str, *, name: str) -> Dataset:
    if (root / "train").is_dir():
        return load_image_folder(root, name=name)
    return Dataset(
        _read_batches(f"{name}-train", [root / "train"], labels),
        _read_batches(f"{name}-test", [root / "test"], labels),
        _names(root / "meta", names),
    )


def _coarse(fine: Dataset) -> Dataset:
    """Exchange the fine classes for their superclasses."""
    of = {name: i for i, members in enumerate(SUPERCLASSES.values()) for name in members}
    unknown = [name for name in fine.classes if name not in of]
    if unknown:
        raise DatasetError(
            f"{unknown[0]!r} is no class of CIFAR-100; the folders must bear the names of its fine classes: 'wolf'."
        )
    table = np.array([of[name] for name in fine.classes], dtype=np.int64)
    train, test = (Split(split.name, table[split.y], paths=split.paths) for split in (fine.train, fine.test))
    return Dataset(train, test, tuple(SUPERCLASSES))


def _read_batches(name: str, paths: list[Path], labels: str) -> Split:
    parts = [load_batch(path) for path in paths]
    pixels: list[ByteArray] = []
    for path, part in zip(paths, parts, strict=True):
        data = part.get("data")
        if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3 * _SIDE_PX**2 or labels not in part:
            raise DatasetError(f"{path} is no batch of CIFAR: it needs 'data' of 3,072 bytes a row, and {labels!r}.")
        pixels.append(data.reshape(-1, 3, _SIDE_PX, _SIDE_PX).transpose(0, 2, 3, 1))  # (n, 32, 32, 3)
    y = np.concatenate([np.asarray(part[labels], dtype=np.int64) for part in parts])
    return Split(name, y, pixels=np.ascontiguousarray(np.concatenate(pixels)))


def _names(path: Path, key: str) -> tuple[str, ...]:
    names = load_batch(path).get(key)
    if not isinstance(names, list):
        raise DatasetError(f"{path} has no {key!r}; it is not the list of CIFAR's class names.")
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)


def load_batch(path: Path) -> dict[str, Any]:
    """Read one pickled batch without running anything that it says.

    Parameters
    ----------
    path : Path
        A file as CIFAR's authors distribute them.

    Returns
    -------
    batch : dict
        ``data`` is an array of dtype uint8, the rest lists of numbers or strings.

    Raises
    ------
    DatasetError
        If the file is missing, damaged, or asks for anything but an array of bytes.
    """
    try:
        with path.open("rb") as file:
            batch = _Unpickler(file, encoding="bytes").load()
    except (OSError, EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    except pickle.UnpicklingError as error:
        raise DatasetError(f"{path} is not one of CIFAR's batches: {error}") from error
    if not isinstance(batch, dict):
        raise DatasetError(f"{path} holds a {type(batch).__name__}; a batch of CIFAR is a dictionary.")
    return {_word(key): _finished(value) for key, value in batch.items()}


def _word(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def _finished(value: Any) -> Any:
    return value.array if isinstance(value, _Array) else value


class _Dtype:
    """What stands for a NumPy dtype; only unsigned bytes are allowed."""

    def __init__(self, code: Any, *_: Any) -> None:
        if _word(code) != "u1":
            raise pickle.UnpicklingError(f"an array of {_word(code)!r} was found where bytes were expected")

    def __setstate__(self, state: Any) -> None:
        """Ignore byte order and alignment: a byte has neither."""


class _Array:
    """What stands for a NumPy array until its bytes arrive; NumPy's own unpickling is never called."""

    array: ByteArray

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        _, shape, _, is_fortran, data = state
        if not isinstance(data, bytes):
            raise pickle.UnpicklingError("an array without its bytes was found")
        self.array = np.frombuffer(data, dtype=np.uint8).reshape(shape, order="F" if is_fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """Return the bytes that Python 3 writes as Latin-1 text in old protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the encoding {encoding!r} was found where 'latin1' was expected")
    return codecs.latin_1_encode(text)[0]


class _Unpickler(pickle.Unpickler):
    """Build lists, numbers, strings and arrays of bytes; every other name in a pickle is refused."""

    _ALLOWED: Final = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data set needs")
        return self._ALLOWED[module, name]

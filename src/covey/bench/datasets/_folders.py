"""Images in folders whose names are their classes: image folders, ImageNet and its subsets, Tiny-ImageNet, COCO."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from covey._files import parse_json
from covey.bench.datasets._dataset import Dataset, Split, split_rows
from covey.errors import DatasetError
from covey.images import PICTURE_SUFFIXES, natural_key

_SHARE_TO_FIT = 0.8
_TRAIN = ("train", "training")
_TEST = ("test", "val", "valid", "validation")

# The classes of ImageNet-10 as MMDC's authors have them, following DAC (guysrn/mmdc at 9cd5eb0).
IMAGENET_10: Final = (
    *("n02056570", "n02085936", "n02128757", "n02690373", "n02692877"),
    *("n03095699", "n04254680", "n04285008", "n04467665", "n07747607"),
)


def load_image_folder(root: Path, *, name: str | None = None) -> Dataset:
    """Read images whose folder is their class.

    Parameters
    ----------
    root : Path
        Holds ``train/<class>/`` and ``test/<class>/`` (or ``val``), or the classes' folders themselves, of which four
        fifths of the rows are then fitted, drawn with a fixed seed.
    name : str, optional
        What the splits are called; the folder's name if not given.

    Returns
    -------
    dataset : Dataset
        Classes in alphabetical order, images in natural order.

    Raises
    ------
    DatasetError
        If there are no images, or the splits have different classes.
    """
    name = name or root.name
    train, test = _first_folder(root, _TRAIN), _first_folder(root, _TEST)
    if train is None and test is None:
        whole, classes = read_classes(root, name, None)
        return Dataset(*split_rows(whole, share=_SHARE_TO_FIT), classes)
    if train is None or test is None:
        raise DatasetError(
            f"{root} has {(train or test or root).name!r} alone; it needs a folder to fit and one to score."
        )
    fitted, classes = read_classes(train, f"{name}-train", None)
    scored, _ = read_classes(test, f"{name}-test", classes)
    return Dataset(fitted, scored, classes)


def load_half_folder(root: Path, *, name: str) -> Dataset:
    """Read the images of one folder with a folder for each class; half of the rows are fitted.

    Parameters
    ----------
    root : Path
        Holds a folder of images for each class.
    name : str
        Name of the data set.

    Returns
    -------
    dataset : Dataset
        Split at random, with a fixed seed and without a look at the labels.

    Raises
    ------
    DatasetError
        If a class has no images.
    """
    whole, classes = read_classes(root, name, None)
    return Dataset(*split_rows(whole, share=0.5), classes)


def load_imagenet(root: Path, wnids: Sequence[str] | None = None, *, name: str = "imagenet") -> Dataset:
    """Read ImageNet, or the classes that are named, from ``train/<wnid>`` and ``val/<wnid>``.

    Parameters
    ----------
    root : Path
        Holds both folders; the validation images sorted into folders too.
    wnids : sequence of str, optional
        Classes to keep, all if not given. Labels follow their alphabetical order.
    name : str, default="imagenet"
        What the splits are called.

    Returns
    -------
    dataset : Dataset
        Fitted on the training images, scored on the validation images.

    Raises
    ------
    DatasetError
        If a folder is missing.
    """
    classes = tuple(sorted(wnids)) if wnids is not None else None
    train, classes = read_classes(_need(root / "train"), f"{name}-train", classes)
    test, _ = read_classes(_need(root / "val"), f"{name}-test", classes)
    return Dataset(train, test, classes)


def load_imagenet_10(root: Path) -> Dataset:
    """Read the ten classes of ImageNet-10."""
    return load_imagenet(root, IMAGENET_10, name="imagenet-10")


def load_imagenet_subset(root: Path, *, name: str, n_classes: int) -> Dataset:
    """Read a subset of ImageNet whose classes a file of the user's lists.

    Parameters
    ----------
    root : Path
        As for `load_imagenet`; ``subsets/<name>.txt`` below it has one wnid a line, first on it.
    name : str
        ``"imagenet-dogs"`` and the like.
    n_classes : int
        How many there must be.

    Returns
    -------
    dataset : Dataset
        See `load_imagenet`.

    Raises
    ------
    DatasetError
        If the list is missing, or has another number of classes.
    """
    listing = root / "subsets" / f"{name}.txt"
    if not listing.is_file():
        raise DatasetError(
            f"{name} needs the list of its {n_classes} classes in {listing}, one wnid (n02056570) at the beginning "
            "of a line; covey has no list of it whose source could be verified."
        )
    lines = listing.read_text(encoding="utf-8").splitlines()
    wnids = list(dict.fromkeys(line.split()[0] for line in lines if line.strip() and not line.startswith("#")))
    if len(wnids) != n_classes:
        raise DatasetError(f"{listing} lists {len(wnids)} classes; {name} has {n_classes}.")
    return load_imagenet(root, wnids, name=name)


def load_tiny_imagenet(root: Path) -> Dataset:
    """Read Tiny-ImageNet: ``train/<wnid>/images`` to fit, ``val/images`` with ``val_annotations.txt`` to score."""
    train, classes = read_classes(_need(root / "train"), "tiny-imagenet-train", None)
    annotations = root / "val" / "val_annotations.txt"
    if not annotations.is_file():
        raise DatasetError(f"{annotations} is missing; Tiny-ImageNet's validation classes are listed there.")
    rows = [line.split("\t")[:2] for line in annotations.read_text(encoding="utf-8").splitlines() if line.strip()]
    number = {wnid: i for i, wnid in enumerate(classes)}
    unknown = [wnid for _, wnid in rows if wnid not in number]
    if unknown:
        raise DatasetError(f"{annotations} names the class {unknown[0]!r}, which has no folder below train.")
    test = Split(
        "tiny-imagenet-test",
        np.array([number[wnid] for _, wnid in rows], dtype=np.int64),
        paths=tuple(root / "val" / "images" / file for file, _ in rows),
    )
    return Dataset(train, test, classes)


def load_coco(root: Path) -> Dataset:
    """Read COCO's images, each with the category that covers the largest area of it.

    Parameters
    ----------
    root : Path
        Holds ``annotations/instances_train2017.json``, ``instances_val2017.json``, ``train2017/`` and ``val2017/``.

    Returns
    -------
    dataset : Dataset
        Images without an annotated object are left out.

    Raises
    ------
    DatasetError
        If a file is missing or is not an annotation file.

    Notes
    -----
    An image of COCO has several labels and a partition gives one: no score against these classes is a published one.
    """
    annotations = {part: _read_json(root / "annotations" / f"instances_{part}2017.json") for part in ("train", "val")}
    categories = sorted(annotations["train"]["categories"], key=lambda category: int(category["id"]))
    number = {int(category["id"]): i for i, category in enumerate(categories)}
    train, test = (
        _read_coco_split(annotations[part], _need(root / f"{part}2017"), number, f"coco-{name}")
        for part, name in (("train", "train"), ("val", "test"))
    )
    return Dataset(train, test, tuple(str(category["name"]) for category in categories))


def _read_coco_split(instances: dict[str, Any], folder: Path, number: dict[int, int], name: str) -> Split:
    """Give each image the category of the largest summed area; ties go to the lower number."""
    areas: dict[int, np.ndarray] = {}
    for annotation in instances["annotations"]:
        area = areas.setdefault(int(annotation["image_id"]), np.zeros(len(number)))
        area[number[int(annotation["category_id"])]] += float(annotation["area"])
    kept = [image for image in instances["images"] if int(image["id"]) in areas]
    y = np.array([int(areas[int(image["id"])].argmax()) for image in kept], dtype=np.int64)
    return Split(name, y, paths=tuple(folder / str(image["file_name"]) for image in kept))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    missing = {"images", "annotations", "categories"} - set(content if isinstance(content, dict) else ())
    if missing:
        raise DatasetError(f"{path} is not a file of COCO's instances: it has no {', '.join(sorted(missing))}.")
    return dict(content)


def read_classes(folder: Path, name: str, classes: tuple[str, ...] | None) -> tuple[Split, tuple[str, ...]]:
    """Read the images below each class's folder; without `classes`, every folder with images is one.

    Parameters
    ----------
    folder : Path
        Holds a folder of images for each class.
    name : str
        Name of the data set.
    classes : tuple of str or None
        The folders to read, in the order of their labels.

    Returns
    -------
    split : Split
        The images of all classes, with their labels.
    classes : tuple of str
        Names of the classes; label i is the i-th.

    Raises
    ------
    DatasetError
        If a class has no images.
    """
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()} if folder.is_dir() else {}
    images = {label: list_images(found[label]) for label in (found if classes is None else classes) if label in found}
    classes = classes or tuple(label for label, paths in images.items() if paths)
    empty = [label for label in classes if not images.get(label)]
    if empty or not classes:
        what = f"no images of {', '.join(empty[:5])}" if empty else "no folder with images"
        raise DatasetError(f"{folder} has {what}; it needs one folder of images for each class.")
    y = np.repeat(np.arange(len(classes)), [len(images[label]) for label in classes]).astype(np.int64)
    return Split(name, y, paths=tuple(path for label in classes for path in images[label])), classes


def list_images(folder: Path) -> list[Path]:
    """List the images below a folder in natural order, by their suffixes."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    return sorted(paths, key=natural_key)


def _first_folder(root: Path, names: Sequence[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _need(folder: Path) -> Path:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is missing.")
    return folder

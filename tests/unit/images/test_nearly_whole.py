"""Images that lack a little and are read all the same, with a note: metadata, last bytes, an empty first frame."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from covey.errors import ImageReadError
from covey.images import read_image
from covey.images._read import decode_file, read_size


def notes_of(path, **options):
    with path.open("rb") as file:
        return [note.code for note in decode_file(file, path.suffix, **options).notes]


def with_chunks(data, chunks, before=b"IDAT"):
    """Insert chunks into a PNG before the first of another kind."""
    place = data.index(before) - 4
    made = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:place] + made + data[place:]


# --- metadata of a PNG


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("n_texts", [1, 70])
def test_png_with_huge_texts(tmp_path, draw, encode, before, n_texts):
    body = b"comment\0\0" + zlib.compress(bytes(2**21 if n_texts == 1 else 10**6))
    path = tmp_path / "a.png"
    path.write_bytes(with_chunks(encode(draw(), "PNG"), [(b"zTXt", body)] * n_texts, before))
    assert np.array_equal(np.asarray(read_image(path)), np.asarray(draw()))
    assert notes_of(path) == ["NOTE_METADATA_IGNORED"]
    with path.open("rb") as file:
        assert read_size(file, ".png") == (64, 48)


def test_png_with_a_huge_profile(tmp_path, draw, encode):
    path = tmp_path / "a.png"
    path.write_bytes(with_chunks(encode(draw(), "PNG"), [(b"iCCP", b"big\0\0" + zlib.compress(bytes(2**22)))], b"IDAT"))
    assert np.array_equal(np.asarray(read_image(path)), np.asarray(draw()))
    assert notes_of(path) == ["NOTE_METADATA_IGNORED"]


def test_huge_texts_do_not_cost_the_turn_nor_the_profile(tmp_path, draw, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(draw(), "PNG", exif=exif, icc_profile=b"broken, but there")
    path = tmp_path / "a.png"
    path.write_bytes(with_chunks(data, [(b"zTXt", b"comment\0\0" + zlib.compress(bytes(2**21)))]))
    assert read_image(path).size == (48, 64)
    assert notes_of(path) == ["NOTE_METADATA_IGNORED", "NOTE_PROFILE_IGNORED"]


def test_text_with_a_wrong_checksum(tmp_path, draw, encode):
    data = with_chunks(encode(draw(), "PNG"), [(b"tEXt", b"Title\0words")])
    path = tmp_path / "a.png"
    path.write_bytes(data.replace(b"Title\0words", b"Title\0Words"))
    assert np.array_equal(np.asarray(read_image(path)), np.asarray(draw()))


def test_damaged_pixels_are_not_forgiven_for_their_metadata(tmp_path, draw, encode):
    data = with_chunks(encode(draw(), "PNG"), [(b"tEXt", b"Title\0words")])
    path = tmp_path / "a.png"
    path.write_bytes(data[:-40])
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    assert caught.value.code == "ERROR_CORRUPT_IMAGE"


# --- JPEG that ends early


def noisy(width=160, height=640, mode="RGB"):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("n_missing", [1, 2, 3, 40, 600])
def test_jpeg_without_its_last_bytes(tmp_path, encode, mode, n_missing):
    data = encode(noisy(mode=mode), "JPEG", quality=90)
    (tmp_path / "whole.jpg").write_bytes(data)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[:-n_missing])
    whole, cut = (np.asarray(read_image(each)).astype(int) for each in (tmp_path / "whole.jpg", path))
    assert whole.shape == cut.shape
    same = (whole == cut).all(axis=(1, 2))
    assert same[: int(0.95 * len(same))].all()
    assert notes_of(path) == ["NOTE_TRUNCATED"]
    assert notes_of(tmp_path / "whole.jpg") == []


@pytest.mark.parametrize(("share", "is_read"), [(0.90, False), (0.93, False), (0.98, True), (0.99, True)])
def test_how_much_of_a_jpeg_must_be_there(tmp_path, encode, share, is_read):
    data = encode(noisy(), "JPEG", quality=90)
    start = data.index(b"\xff\xda")
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: start + int(share * (len(data) - start))])
    for min_size in (None, (40, 160), (20, 80)):
        if is_read:
            assert read_image(path, min_size=min_size).height >= (min_size or (0, 640))[1]
            assert notes_of(path, min_size=min_size) == ["NOTE_TRUNCATED"]
        else:
            with pytest.raises(ImageReadError, match="truncated"):
                read_image(path, min_size=min_size)


def test_the_note_says_how_many_rows_are_there_and_the_turn_is_kept(tmp_path, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(noisy(), "JPEG", quality=90, exif=exif)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: int(0.98 * len(data))])
    with path.open("rb") as file:
        image, (note,) = decode_file(file, ".jpg")
    assert image.size == (640, 160)
    assert "9" in note.message.split("%")[0]


def test_progressive_jpeg(tmp_path, encode):
    """Cut near the end of its last pass it is read; without a whole pass it is not, though each row shows something."""
    data = encode(noisy(), "JPEG", quality=90, progressive=True)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[:-20])
    assert notes_of(path) == ["NOTE_TRUNCATED"]
    last_pass = data.rindex(b"\xff\xda")
    for end in (last_pass, last_pass + 200, last_pass - 5, data.index(b"\xff\xda") + 500):
        path.write_bytes(data[:end])
        with pytest.raises(ImageReadError, match="decoded"):
            read_image(path)


# --- frames


def animation(first, draw, suffix):
    frames = [first, draw(), draw(seed=1)]
    buffer = io.BytesIO()
    options = {"lossless": True} if suffix == "webp" else {"disposal": 2} if suffix == "gif" else {}
    frames[0].save(buffer, suffix, save_all=True, append_images=frames[1:], duration=50, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
@pytest.mark.parametrize("color", [(0, 0, 0, 0), (0, 0, 0, 255), (255, 255, 255, 255)], ids=["clear", "black", "white"])
def test_empty_first_frame(tmp_path, draw, suffix, color):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(animation(Image.new("RGBA", (64, 48), color), draw, suffix))
    difference = np.abs(np.asarray(read_image(path)).astype(int) - np.asarray(draw()))
    assert difference.mean() < (8 if suffix == "gif" else 1)
    assert notes_of(path) == ["NOTE_LATER_FRAME"]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_first_frame_with_content_is_taken(tmp_path, draw, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(animation(draw(seed=7), draw, suffix))
    difference = np.abs(np.asarray(read_image(path)).astype(int) - np.asarray(draw(seed=7)))
    assert difference.mean() < (8 if suffix == "gif" else 1)
    assert notes_of(path) == []


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_animation_that_ends_after_an_empty_frame(tmp_path, draw, suffix):
    """Its first frame is whole, so it is an image, of one color."""
    data = animation(Image.new("RGB", (64, 48), (255, 255, 255)), draw, suffix)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data[: len(data) // 2])
    if suffix == "webp":  # it is read as a whole
        with pytest.raises(ImageReadError):
            read_image(path)
    else:
        assert set(np.asarray(read_image(path)).ravel()) == {255}


def test_gif_without_frames(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(b"GIF89a\x10\0\x10\0\0\0\0;")
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    assert caught.value.code == "ERROR_CORRUPT_IMAGE"


def test_first_page_of_several(tmp_path, draw):
    path = tmp_path / "a.tif"
    draw().save(path, save_all=True, append_images=[draw(seed=1), draw(seed=2)])
    with path.open("rb") as file:
        image, (note,) = decode_file(file, ".tif")
    assert np.array_equal(np.asarray(image), np.asarray(draw()))
    assert (note.code, note.message) == ("NOTE_FIRST_PAGE", "it has 3 pages: the first was taken")
    draw().save(path)
    assert notes_of(path) == []


# --- 300 megapixels


@pytest.mark.slow
def test_jpeg_of_300_megapixels_is_decoded_at_an_eighth(tmp_path, draw):
    path = tmp_path / "a.jpg"
    draw(20_000, 15_000).convert("L").save(path, quality=50)
    with path.open("rb") as file:
        assert read_size(file, ".jpg") == (20_000, 15_000)
    image = read_image(path, min_size=(320, 320))
    assert image.size == (2500, 1875)
    expected = draw(2500, 1875).convert("L").convert("RGB")
    assert np.abs(np.asarray(image).astype(int) - np.asarray(expected)).mean() < 3
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    assert caught.value.code == "ERROR_TOO_LARGE"


def test_jpeg_beyond_the_limit_by_its_header(tmp_path, draw, encode, monkeypatch):
    from covey.images._decode import _loaded_images

    monkeypatch.setattr(_loaded_images, "MAX_PIXELS", 10_000)
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(draw(320, 240), "JPEG"))
    assert read_image(path, min_size=(40, 30)).size == (40, 30)
    with pytest.raises(ImageReadError, match="million"):
        read_image(path)
    path.write_bytes(encode(draw(320, 240), "PNG"))
    with pytest.raises(ImageReadError, match="million"):
        read_image(path, min_size=(40, 30))

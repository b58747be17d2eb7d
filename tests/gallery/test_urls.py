import os
import re
import string
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.gallery._urls import cluster_url, folder_url, path_url, readable

# Every string of bytes is a legal POSIX path but for the byte 0.
PATHS = st.binary(min_size=1, max_size=60).filter(lambda path: b"\0" not in path).map(os.fsdecode)


@given(PATHS)
def test_a_url_decodes_to_the_bytes_of_the_name(path: str) -> None:
    url = path_url(path)
    assert unquote_to_bytes(url) == os.fsencode(path)
    assert set(url) <= set(string.ascii_letters + string.digits + "_.-~/%")


@given(PATHS)
def test_readable_text_can_be_stored_and_has_a_shape(path: str) -> None:
    text = readable(path)
    text.encode("utf-8")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", text)


@given(st.text(alphabet=string.ascii_letters + "äß 東🐦'\"<>&%#?", max_size=30))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert readable(text) == text


def test_readable_shows_what_cannot_be_seen() -> None:
    assert (
        readable(os.fsdecode(b"caf\xe9\n.jpg"))
        == "caf\N{REPLACEMENT CHARACTER}\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}.jpg"
    )


def test_half_a_surrogate_pair_from_windows_is_no_obstacle() -> None:
    assert path_url("a\ud83d.jpg") == "a%ED%A0%BD.jpg"
    readable("a\ud83d.jpg").encode("utf-8")


def test_a_name_cannot_become_a_scheme() -> None:
    assert urljoin("file:///a/b.html", "./" + path_url("javascript:alert(1)")) == "file:///a/javascript%3Aalert%281%29"
    assert ":" not in path_url("javascript:alert(1)")


@pytest.mark.parametrize(
    ("folder", "start", "url"),
    [
        ("/a/pictures", "/a/p.covey/gallery", "../../pictures/"),
        ("/a/p.covey/thumbnails", "/a/p.covey/gallery/clusters", "../../thumbnails/"),
        ("/a/b", "/a/b", "./"),
        ("/a", "/a/b", "../"),
        ("/a/50% #1", "/a", "50%25%20%231/"),
    ],
)
def test_folders_are_relative_and_end_with_a_slash(folder: str, start: str, url: str) -> None:
    assert folder_url(Path(folder), Path(start)) == url


def test_a_folder_on_another_drive_is_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, start: Path) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", fail)
    assert folder_url(Path("/a/b c"), Path("/d")) == "file:///a/b%20c/"


def test_pages_of_clusters_have_names_of_their_own() -> None:
    pages = {cluster_url(label, number) for label in range(-1, 20_000, 999) for number in (1, 2, 11)}
    assert len(pages) == len(range(-1, 20_000, 999)) * 3
    assert cluster_url(7) == "clusters/0007.html"
    assert cluster_url(7, 2) == "clusters/0007-2.html"
    assert cluster_url(-1) == "clusters/noise.html"

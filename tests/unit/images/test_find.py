import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from covey.images import ScanReport, scan_images


def names(report: ScanReport) -> list[str]:
    return [file.path.relative_to(report.root).as_posix() for file in report.files]


def codes(report: ScanReport) -> dict[str, str]:
    return {failure.path.name: failure.code for failure in report.failures}


def test_hidden_entries_are_not_visited_but_may_be_named(put, tmp_path):
    put("a.jpg")
    hidden = put(".hidden.jpg", seed=1)
    put(".cache/b.jpg", seed=2)
    assert names(scan_images([tmp_path])) == ["a.jpg"]
    assert len(scan_images([hidden]).files) == 1
    assert len(scan_images([tmp_path / ".cache"]).files) == 1


def test_not_recursive(put, tmp_path):
    put("a.jpg")
    put("sub/b.jpg")
    assert names(scan_images([tmp_path], recursive=False)) == ["a.jpg"]


def test_include_and_exclude(put, tmp_path):
    for name in ("a.jpg", "a.png", "thumbs/a.jpg", "keep/thumbs/x.jpg", "keep/b.jpg"):
        put(name, seed=len(name))
    assert names(scan_images([tmp_path], include=["*.jpg"], exclude=["thumbs"])) == ["a.jpg", "keep/b.jpg"]
    assert names(scan_images([tmp_path], exclude=["thumbs/**"])) == [
        "a.jpg",
        "a.png",
        "keep/b.jpg",
        "keep/thumbs/x.jpg",
    ]
    assert names(scan_images([tmp_path], include=["keep/**/x.*"])) == ["keep/thumbs/x.jpg"]


def test_an_excluded_folder_is_not_even_listed(put, tmp_path, monkeypatch):
    put("a.jpg")
    put("secret/b.jpg")
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(Path(folder).name) or scandir(folder))
    scan_images([tmp_path], exclude=["secret"])
    assert listed == [tmp_path.name]


def test_covers_own_projects_are_not_searched(put, tmp_path):
    put("a.jpg")
    put("old.covey/thumbnails/3f/3fa9.webp")
    (tmp_path / "old.covey/project.sqlite").touch()
    put("notes/project.sqlite.d/b.jpg", seed=1)
    (tmp_path / "notes/project.sqlite").touch()
    assert names(scan_images([tmp_path])) == ["a.jpg", "notes/project.sqlite.d/b.jpg"]


def test_links_are_counted_and_not_followed(put, tmp_path):
    outside = put("outside/far.jpg")
    put("in/a.jpg", seed=1)
    (tmp_path / "in/link.jpg").symlink_to(outside)
    (tmp_path / "in/folder").symlink_to(outside.parent)
    (tmp_path / "in/dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    report = scan_images([tmp_path / "in"])
    assert names(report) == ["a.jpg"]
    assert report.failures == []
    assert report.n_links == 3


def test_links_are_followed_when_asked(put, tmp_path):
    outside = put("outside/far.jpg")
    put("in/a.jpg", seed=1)
    (tmp_path / "in/link.jpg").symlink_to(outside)
    (tmp_path / "in/folder").symlink_to(outside.parent)
    (tmp_path / "in/dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "in/dangling.txt").symlink_to(tmp_path / "gone.txt")
    report = scan_images([tmp_path / "in"], follow_symlinks=True)
    assert names(report) == ["a.jpg", "folder/far.jpg", "link.jpg"]
    assert codes(report) == {"dangling.jpg": "ERROR_MISSING_FILE"}
    assert (len(report.records), report.n_links, report.n_other) == (2, 0, 1)


@pytest.mark.timeout(20)
def test_loops_of_links_end(put, tmp_path):
    put("a/b/c.jpg")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a")
    (tmp_path / "a/0").symlink_to(tmp_path / "a/b")
    (tmp_path / "round.jpg").symlink_to(tmp_path / "round.jpg")
    report = scan_images([tmp_path], follow_symlinks=True)
    assert names(report) == ["a/b/c.jpg"]  # once, by its own name and not by a link's
    assert codes(report) == {"round.jpg": "ERROR_MISSING_FILE"}


def test_a_source_may_be_a_link(put, tmp_path):
    put("real/a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    report = scan_images([tmp_path / "link"])
    assert report.root == tmp_path / "link"
    assert names(report) == ["a.jpg"]


def test_forbidden_folder_is_reported(put, tmp_path, monkeypatch):
    put("a.jpg")
    put("locked/b.jpg")
    scandir = os.scandir

    def refuse(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    report = scan_images([tmp_path, tmp_path])
    assert names(report) == ["a.jpg"]
    assert codes(report) == {"locked": "ERROR_PERMISSION"}
    assert len(report.failures) == 1


# --- sources ----------------------------------------------------------------------------------------------------------


def test_no_sources_is_the_callers_mistake():
    with pytest.raises(ValueError, match="no sources"):
        scan_images([])


def test_overlapping_sources_give_each_path_once(put, tmp_path):
    file = put("sub/a.jpg")
    put("b.jpg", seed=1)
    report = scan_images([tmp_path / "sub", tmp_path, file, tmp_path / "sub" / ".." / "b.jpg"])
    assert names(report) == ["b.jpg", "sub/a.jpg"]


def test_several_sources_share_a_root(put, tmp_path):
    put("x/one/a.jpg")
    file = put("x/two/deep/b.jpg", seed=1)
    report = scan_images([tmp_path / "x/one", file])
    assert report.root == tmp_path / "x"
    assert names(report) == ["one/a.jpg", "two/deep/b.jpg"]


def test_sources_are_relative_to_the_working_folder(put, tmp_path, monkeypatch):
    put("sub/a.jpg")
    monkeypatch.chdir(tmp_path)
    report = scan_images([Path("sub")])
    assert report.files[0].path == tmp_path / "sub/a.jpg"


def test_named_file_of_any_suffix(put, tmp_path, draw, encode):
    path = tmp_path / "picture.dat"
    path.write_bytes(encode(draw(), "PNG"))
    other = tmp_path / "noext"
    other.write_text("words")
    report = scan_images([path, other])
    assert names(report) == ["picture.dat"]
    assert codes(report) == {"noext": "ERROR_CORRUPT_IMAGE"}


def test_named_file_that_is_missing(tmp_path):
    report = scan_images([tmp_path / "gone.jpg", tmp_path / "gone", tmp_path / "gone.txt"])
    assert codes(report) == dict.fromkeys(["gone", "gone.jpg", "gone.txt"], "ERROR_MISSING_FILE")


@pytest.mark.timeout(20)
def test_named_pipe_and_device(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.txt")
    report = scan_images([tmp_path / "pipe", tmp_path / "pipe.txt", Path("/dev/null")])
    assert codes(report) == dict.fromkeys(["null", "pipe", "pipe.txt"], "ERROR_UNSUPPORTED")


def test_manifest(put, tmp_path):
    put("pics/a.jpg")
    far = put("far/b.jpg", seed=1)
    put("pics/#1.jpg", seed=2)
    (tmp_path / "pics/sub").mkdir()
    manifest = tmp_path / "pics/list.txt"
    lines = ["\ufeffa.jpg", "", "# a comment", str(far), "../far/b.jpg", "./#1.jpg", "a.jpg", "gone.jpg", "sub"]
    manifest.write_text("\r\n".join(lines), encoding="utf-8")
    report = scan_images([manifest])
    assert names(report) == ["far/b.jpg", "pics/#1.jpg", "pics/a.jpg"]
    assert codes(report) == {"gone.jpg": "ERROR_MISSING_FILE", "sub": "ERROR_UNSUPPORTED"}


def test_a_path_that_failed_as_a_manifest_is_reported_once(put, tmp_path):
    put("a.jpg")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "list.txt").write_text("a.jpg\nempty.txt\n")
    report = scan_images([tmp_path / "empty.txt", tmp_path / "list.txt"])
    assert names(report) == ["a.jpg"]
    assert [failure.path.name for failure in report.failures] == ["empty.txt"]


def test_manifest_with_globs(put, tmp_path):
    put("a.jpg")
    put("a.png", seed=1)
    put("raw/b.png", seed=2)
    manifest = tmp_path / "list.txt"
    manifest.write_text("a.jpg\na.png\nraw/b.png\n")
    assert names(scan_images([manifest], exclude=["raw", "*.jpg"])) == ["a.png"]


def test_manifest_with_zero_bytes_and_any_names(put, tmp_path, draw, encode):
    raw = os.fsencode(tmp_path) + b"/caf\xe9\n.jpg"
    Path(os.fsdecode(raw)).write_bytes(encode(draw(), "JPEG"))
    put("a.jpg", seed=1)
    manifest = tmp_path / "list.txt"
    manifest.write_bytes(b"a.jpg\0" + raw + b"\0")
    assert sorted(os.fsencode(file.path) for file in scan_images([manifest]).files) == [
        os.fsencode(tmp_path) + b"/a.jpg",
        raw,
    ]


def test_manifest_on_standard_input(put, tmp_path, monkeypatch):
    put("sub/a.jpg")
    put("sub/b.jpg", seed=1)
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a.jpg\n../sub/b.jpg\n")))
    report = scan_images([Path("-")])
    assert report.root == tmp_path / "sub"
    assert names(report) == ["a.jpg", "b.jpg"]


def test_text_file_in_a_folder_is_no_manifest(put, tmp_path):
    put("a/x.jpg")
    (tmp_path / "a/list.txt").write_text("../b.jpg")
    put("b.jpg", seed=1)
    assert names(scan_images([tmp_path / "a"])) == ["x.jpg"]


def test_dotdot_behind_a_link_goes_where_the_system_goes(put, tmp_path):
    put("real/deep/x.jpg")
    put("real/a.jpg", seed=1)
    (tmp_path / "link").symlink_to(tmp_path / "real/deep")
    (file,) = scan_images([tmp_path / "link" / ".." / "a.jpg"]).files
    assert file.path == tmp_path / "real/a.jpg"

"""Exports: what they hold, that they never replace anything, and that a kill at any place can be mended."""

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.corrections import open_curation
from covey.errors import CoveyError, InvalidValueError, UnknownNameError
from covey.exports import MANIFEST, ExportError, ExportOptions, read_source, run_export, undo_export
from covey.exports._folder_names import MAX_NAME_BYTES, safe_file_name, safe_name, unique_folders
from covey.store import Project

from .conftest import lines_of, tree_of


@pytest.fixture
def corrected(root: Path) -> Path:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename("dog", "wo/lf")
        curation.move(["img001.png"], "wo/lf")
        curation.group(["wo/lf", "cat"], "Animals")
        curation.hide("boat")
        curation.set_aside(["img002.png"])
    return root


def export(root: Path, to: str, out: Path, **keywords):
    options = {key: keywords.pop(key) for key in tuple(keywords) if key in ExportOptions.__slots__}
    with Project.open(root) as project:
        return run_export(project, to, out, options=ExportOptions(**options), **keywords)


def test_csv_is_the_corrected_result(corrected: Path, tmp_path: Path) -> None:
    report = export(corrected, "csv", tmp_path / "out", with_aside=True)
    assert report.counts["written"] == 2
    assert report.counts["skipped"] == 10, "the hidden cluster"
    with (tmp_path / "out" / "assignments.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert len(rows) == 30
    assert (rows["img001.png"]["cluster_name"], rows["img001.png"]["status"]) == ("wo/lf", "hand")
    assert (rows["img002.png"]["cluster"], rows["img002.png"]["status"]) == ("-1", "aside")
    assert (rows["img005.png"]["group"], rows["img005.png"]["status"]) == ("Animals", "run")
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows.values())
    clusters = json.loads((tmp_path / "out" / "clusters.json").read_text(encoding="utf-8"))["clusters"]
    assert {(c["id"], c["name"], c["size"]) for c in clusters} == {(0, "wo/lf", 11), (1, "cat", 9), (2, "flower", 9)}


def test_a_run_is_exported_as_it_was_computed(corrected: Path, tmp_path: Path) -> None:
    export(corrected, "jsonl", tmp_path / "out", partition_id=1)
    rows = lines_of(tmp_path / "out" / "images.jsonl")
    assert {row["cluster_name"] for row in rows} == {"dog", "cat", "flower", "boat"}
    assert all(row["paths"] == [row["path"]] and row["width"] == 64 for row in rows)


def test_excel_gets_no_formula(root: Path, tmp_path: Path) -> None:
    with Project.open(root) as project:
        open_curation(project).rename("dog", "=1+1")
    export(root, "csv", tmp_path / "out", is_for_excel=True)
    text = (tmp_path / "out" / "assignments.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    assert b",'=1+1," in text


@pytest.mark.parametrize("mode", ["symlink", "copy", "hardlink", "move"])
def test_folders_hold_the_pictures_and_an_undo_takes_them_back(corrected: Path, tmp_path: Path, mode: str) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    before = tree_of(pictures)
    report = export(corrected, "folders", out, mode=mode, with_aside=True)
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert len(made) == 30
    assert "Animals/wo_lf/img001.png" in made
    assert "_not sure/img002.png" in made
    assert all((out / name).read_bytes().startswith(b"picture ") for name in made)
    assert len(list(pictures.iterdir())) == (10 if mode == "move" else 40)
    assert report.counts["moved" if mode == "move" else "written" if mode == "copy" else "linked"] == 30
    if mode == "move":
        with Project.open(corrected) as project:
            assert all(record.path.exists() for record in project.records())
            assert len(project.records()) == 40
    undone = undo_export(out / MANIFEST)
    assert undone.left == ()
    assert not out.exists()
    assert tree_of(pictures) == before
    with Project.open(corrected) as project:
        assert {record.path.parent for record in project.records()} == {pictures}
    with pytest.raises(ExportError, match="no manifest"):
        undo_export(out / MANIFEST)


def test_levels_layouts_and_choices(corrected: Path, tmp_path: Path) -> None:
    def names(**options) -> set[str]:
        out = tmp_path / "out"
        export(corrected, "folders", out, **options)
        found = {str(path.parent.relative_to(out)) for path in out.rglob("*.png")}
        undo_export(out / MANIFEST)
        return found

    assert names(level="clusters") == {"wo_lf", "cat", "flower"}
    assert names(level="coarse") == {"Animals", "flower"}
    assert names(with_hidden=True) == {"Animals/wo_lf", "Animals/cat", "flower", "boat"}
    assert names(only=["boat", "0"]) == {"boat", "Animals/wo_lf"}
    assert names(with_aside=True, has_class_layout=True, only=[]) == {
        "Animals/wo_lf",
        "Animals/cat",
        "flower",
        "_unlabeled",
    }
    with pytest.raises(InvalidValueError, match="no cluster 'nothing'"):
        names(only=["nothing"])


def test_a_dry_run_touches_nothing_and_tells_the_plan_that_the_run_makes(corrected: Path, tmp_path: Path) -> None:
    def stamps() -> dict[str, tuple[int, int]]:
        skipped = ("project.sqlite", "project.lock")
        return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.name not in skipped}

    before = stamps()
    planned = export(corrected, "folders", tmp_path / "out", mode="copy", dry_run=True)
    assert stamps() == before
    made = export(corrected, "folders", tmp_path / "out", mode="copy")
    assert made.operations == planned.operations
    assert made.counts == planned.counts


def test_nothing_is_ever_replaced(corrected: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(corrected, "folders", out)
    again = export(corrected, "folders", out)
    assert again.is_known
    with Project.open(corrected) as project:
        open_curation(project).rename("cat", "lion")
    with pytest.raises(ExportError, match="holds another export"):
        export(corrected, "folders", out)
    export(corrected, "folders", out, overwrite=True)
    assert (out / "Animals" / "lion").is_dir()
    (out / "Animals" / "lion" / "note.txt").write_text("mine")
    undone = undo_export(out / MANIFEST)
    assert {name for name, _ in undone.left} == {"Animals/lion", "Animals"}
    assert (out / "Animals" / "lion" / "note.txt").read_text() == "mine"
    (out / "Animals" / "lion" / "note.txt").unlink()
    assert undo_export(out / MANIFEST).left == ()


def test_an_undo_leaves_what_a_person_changed(corrected: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(corrected, "folders", out, mode="copy")
    changed = out / "flower" / "img006.png"
    changed.write_bytes(b"painted over")
    left = undo_export(out / MANIFEST).left
    assert ("flower/img006.png", "it was changed") in left
    assert changed.read_bytes() == b"painted over"
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        MANIFEST,
        "flower/img006.png",
    ]


def test_places_that_are_refused(corrected: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    (tmp_path / "way").symlink_to(tmp_path / "pictures")
    places = {
        tmp_path / "pictures" / "out": "only read",
        tmp_path / "way" / "out": "only read",
        corrected / "out": "only read",
        tmp_path / "file": "is a file",
        tmp_path / "full": "not empty",
        tmp_path / "no" / "such" / "out": "does not exist",
        Path("/"): "not empty|only read",
    }
    before = tree_of(tmp_path / "pictures")
    for place, words in places.items():
        with pytest.raises(CoveyError, match=words):
            export(corrected, "folders", place)
    assert tree_of(tmp_path / "pictures") == before
    with pytest.raises(UnknownNameError, match="Did you mean 'folders'"):
        export(corrected, "folder", tmp_path / "out")
    with pytest.raises(InvalidValueError, match="must be one of"):
        export(corrected, "folders", tmp_path / "out", mode="teleport")


def test_a_manifest_edited_by_hand_touches_nothing_outside(corrected: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(corrected, "folders", out, mode="copy")
    manifest = out / MANIFEST
    text = manifest.read_text()
    for to in ("../pictures/img000.png", "/etc/passwd", "a/../../b"):
        manifest.write_text(text.replace('"flower/img006.png"', json.dumps(to)))
        with pytest.raises(ExportError, match="not below its folder"):
            undo_export(manifest)
    manifest.write_text("x")
    with pytest.raises(ExportError, match="not a line of a manifest"):
        undo_export(manifest)
    assert (out / "flower" / "img006.png").exists()


def test_pictures_that_are_gone_or_changed_are_counted(corrected: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "img006.png").unlink()
    (tmp_path / "pictures" / "img010.png").write_bytes(b"other")
    counts = export(corrected, "folders", tmp_path / "out", mode="copy").counts
    assert (counts["missing"], counts["changed"], counts["written"]) == (1, 1, 27)


NAMES = [
    "test",
    "train",
    "CON",
    ".x",
    "a/b",
    "dog",
    "Dog",
    "\ufb01sh",
    "fish",
    "x" * 200,
    "🐦",
    "nul.txt",
    "...",
    "a.",
    "_new",
]


def test_folder_names_are_safe_and_apart_on_every_system() -> None:
    folders = list(unique_folders(dict(enumerate(NAMES))).values())
    assert len({name.casefold() for name in folders}) == len(NAMES)
    assert all(len(name.encode()) <= MAX_NAME_BYTES + 5 for name in folders)
    assert (folders[2], folders[3], folders[4], folders[6]) == ("CON_", "x", "a_b", "Dog (2)")
    assert (folders[8], folders[11], folders[12], folders[14]) == ("fish (2)", "nul.txt_", "cluster-0012", "_new_")


@given(st.text(max_size=200))
def test_any_text_becomes_a_name(text: str) -> None:
    for name in (safe_name(text, "cluster-0001"), safe_file_name(text)):
        assert name
        assert not set(name) & set('<>:"/\\|?*\0\n')
        assert name == name.strip()
        assert not name.endswith(".")
        assert name not in (".", "..")
        name.encode("utf-8")


KILLER = """
import os, sys
from pathlib import Path
n_left = int(sys.argv[4])
def count(name):
    real = getattr(os, name)
    def counted(*args, **keywords):
        global n_left
        n_left -= 1
        if n_left < 0:
            os._exit(9)
        return real(*args, **keywords)
    setattr(os, name, counted)
for name in ("link", "symlink", "unlink", "mkdir", "rename", "replace", "rmdir"):
    count(name)
from covey.exports import ExportOptions, run_export
from covey.store import Project
with Project.open(Path(sys.argv[1])) as project:
    run_export(project, "folders", Path(sys.argv[2]), options=ExportOptions(sys.argv[3], with_aside=True))
"""


def files_of(out: Path) -> dict[str, object]:
    """Return the tree of an export without its manifest, which has the time in it, and without times of links."""
    return {
        name: entry[:2] if isinstance(entry, tuple) else entry
        for name, entry in tree_of(out).items()
        if name != MANIFEST
    }


def kill_at(root: Path, out: Path, mode: str, n_operations: int) -> int:
    return subprocess.run(
        [sys.executable, "-c", KILLER, str(root), str(out), mode, str(n_operations)], check=False, capture_output=True
    ).returncode


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", ["symlink", "copy", "hardlink", "move"])
def test_killed_at_any_place_it_goes_on_or_is_undone(
    corrected: Path, tmp_path: Path, mode: str, copy_of: Callable[[Path, str], Path]
) -> None:
    pictures, spare, out = tmp_path / "pictures", tmp_path / "spare", tmp_path / "out"
    shutil.copytree(pictures, spare, copy_function=shutil.copy2)
    backup = copy_of(corrected, "backup.covey")
    before = tree_of(pictures)
    export(corrected, "folders", out, mode=mode, with_aside=True)
    whole = files_of(out)
    undo_export(out / MANIFEST)
    n_killed = 0
    for n_operations in (0, 1, 2, 3, 5, 8, 13, 21, 34, 50):
        for is_continued in (True, False):
            n_killed += kill_at(corrected, out, mode, n_operations) == 9
            if is_continued:
                export(corrected, "folders", out, mode=mode, with_aside=True)
                assert files_of(out) == whole, n_operations
            if (out / MANIFEST).exists():
                assert undo_export(out / MANIFEST).left == ()
            else:
                with pytest.raises(ExportError):
                    undo_export(out / MANIFEST)
            assert tree_of(pictures) == before, n_operations
            assert not out.exists() or not any(out.iterdir())
            assert not list(tmp_path.glob(".out*"))
            if out.exists():
                out.rmdir()
    assert n_killed >= 16
    assert backup.is_dir()


OTHER_DISK = Path("/dev/shm")  # noqa: S108  the one file system that is another one nearly everywhere


def test_moving_to_another_disk_and_back(corrected: Path, tmp_path: Path) -> None:
    if not OTHER_DISK.is_dir() or OTHER_DISK.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk")
    before = tree_of(tmp_path / "pictures")
    with tempfile.TemporaryDirectory(dir=OTHER_DISK) as folder:
        out = Path(folder) / "out"
        assert export(corrected, "folders", out, mode="move").counts["moved"] == 29
        assert len(list((tmp_path / "pictures").iterdir())) == 11
        with pytest.raises(ExportError, match="another disk"):
            export(corrected, "folders", Path(folder) / "links", mode="hardlink", with_hidden=True)
        assert undo_export(out / MANIFEST).left == ()
    assert tree_of(tmp_path / "pictures") == before


def test_a_move_leaves_nothing_new_for_a_scan(corrected: Path, tmp_path: Path) -> None:
    out = tmp_path / "sorted"
    export(corrected, "folders", out, mode="move", with_hidden=True)
    with Project.open(corrected) as project:
        known = project.known_files()
        assert all(file.id for path, file in known.items() if path.is_relative_to(out))
        assert {path for path in known if path.exists()} == set(out.rglob("*.png")) | {
            tmp_path / "pictures" / "img002.png"
        }
        source = read_source(project)
        assert all(image.files for image in source.images)

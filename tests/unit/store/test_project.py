import errno
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from covey.errors import ProjectError
from covey.store import Ledger, Project
from covey.types import ImageFailure, ImageFile, ImageNote, ImageRecord

Scan = Callable[..., None]


def names(project: Project) -> list[str]:
    return [project.relative_path(record.path) for record in project.records()]


def failure(path: Path, code: str = "ERROR_CORRUPT_IMAGE", image_id: str = "") -> ImageFailure:
    return ImageFailure(path, code, "cut short", 7, image_id)


def check_sum(ledger: Ledger) -> Ledger:
    assert ledger.n_found == ledger.n_embedded + ledger.n_duplicates + sum(ledger.failures.values())
    return ledger


# --- opening -----------------------------------------------------------------------------------------------------


def test_a_missing_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"There is no project in .*nowhere.*covey cluster"):
        Project.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_project_is_made_once_and_opened_again(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b.covey"
    with Project.open(root, create=True) as project:
        assert (project.root, project.thumbnails) == (root, root / "thumbnails")
        assert project.features.root == root / "features"
    with Project.open(root) as project:
        assert project.ledger() == Ledger(0, 0, 0, {})
        assert project.image_root is None
        assert project.sources == []


def test_somebody_elses_folder_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(ProjectError, match="is not empty and holds no project"):
        Project.open(tmp_path, create=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(ProjectError, match="is a file"):
        Project.open(tmp_path / "holiday.jpg", create=True)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProjectError, match="cannot be opened"):
        Project.open(tmp_path / "file" / "p.covey", create=True)


def test_a_closed_project_is_closed(project: Project) -> None:
    project.close()
    with pytest.raises(Exception, match="closed"):
        project.ledger()


# --- scans -------------------------------------------------------------------------------------------------------


def test_what_a_scan_found_comes_back(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "pics"
    record = ImageRecord("ab", root / "a.png", 40, 30)
    file, copy = ImageFile(root / "a.png", "ab", 9, 2**60), ImageFile(root / "b.png", "ab", 9, 5)
    bad = failure(root / "bad.png", image_id="cd")
    project.record_scan([record], [file, copy], [bad], root, sources=[root])
    assert project.records() == [record]
    assert project.known_files() == {file.path: file, copy.path: copy}
    assert project.known_sizes() == {"ab": (40, 30)}
    assert project.failures() == [bad]
    assert check_sum(project.ledger()) == Ledger(3, 1, 1, {"ERROR_CORRUPT_IMAGE": 1})
    assert project.path_of("ab") == root / "a.png"
    assert project.paths_of("ab") == ["a.png", "b.png"]
    assert project.paths() == {"ab": ["a.png", "b.png"]}
    assert (project.image_root, project.sources) == (root, [root])


def test_records_are_in_natural_order_of_their_first_paths(project: Project, scan: Scan) -> None:
    scan(
        project,
        {"img10.png": 1, "img9.png": 2, "IMG8.png": 3, "b/1.png": 4, "b-2/1.png": 5, "a/20.png": 2, "a/3.png": 1},
    )
    assert names(project) == ["a/3.png", "a/20.png", "b/1.png", "b-2/1.png", "IMG8.png"]
    assert project.paths_of(project.records()[0].id) == ["a/3.png", "img10.png"]


WEIRD = [
    b"\xff\xfe.jpg",
    b"two\nlines.jpg",
    b"tab\tand\rreturn.jpg",
    "größe é.jpg".encode(),
    unicodedata.normalize("NFD", "größe é.jpg").encode(),
    "日本語 😀.jpg".encode(),
    b'quo"te, comma; %20 \\.jpg',
    b" leading and trailing ",
    b"\xed\xa0\x80 surrogate in UTF-8.jpg",
]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these file systems do not take any bytes as a name")
def test_any_bytes_make_a_path(project: Project, tmp_path: Path, image_id: Callable[[object], str]) -> None:
    folder = tmp_path / os.fsdecode(b"fol\xe9der")
    folder.mkdir()
    paths = [folder / os.fsdecode(name) for name in WEIRD]
    for path in paths:
        path.touch()
    found = {Path(entry.path) for entry in os.scandir(folder)}
    assert found == set(paths)
    records = [ImageRecord(image_id(path.name.encode(errors="surrogateescape")), path, 1, 1) for path in paths]
    bad = ImageFailure(folder / os.fsdecode(b"\xfe"), "ERROR_CORRUPT_IMAGE", "cannot read '\udcfe' \ud800", 3)
    project.record_scan(records, [ImageFile(r.path, r.id, 1, 1) for r in records], [bad], folder, sources=[folder])
    with Project.open(project.root) as again:
        assert {record.path: record.id for record in again.records()} == {record.path: record.id for record in records}
        assert again.known_files().keys() == found
        assert all(os.fsencode(again.path_of(r.id)) == os.fsencode(r.path) for r in records)
        assert {os.fsencode(again.paths_of(record.id)[0]) for record in records} == set(WEIRD)
        assert (again.image_root, again.sources) == (folder, [folder])
        assert again.failures()[0].path == bad.path
        assert again.failures()[0].message == r"cannot read '\udcfe' \ud800"


def test_a_scan_of_another_source_adds(project: Project, scan: Scan, tmp_path: Path) -> None:
    for name in ("x/1.png", "y/2.png"):
        (tmp_path / "pics" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pics" / name).touch()
    scan(project, {"1.png": 1}, root=tmp_path / "pics" / "x", sources=[tmp_path / "pics" / "x"])
    assert names(project) == ["1.png"]
    scan(project, {"2.png": 2}, root=tmp_path / "pics" / "y", sources=[tmp_path / "pics" / "y"])
    assert names(project) == ["x/1.png", "y/2.png"]
    assert project.image_root == tmp_path / "pics"
    assert check_sum(project.ledger()).n_found == 2


def test_the_image_root_is_never_a_whole_disk(project: Project) -> None:
    anchor = Path.cwd().anchor
    project.record_scan([], [], [], Path(anchor, "first", "pics"))
    project.record_scan([], [], [], Path(anchor, "second"))
    assert project.image_root == Path(anchor, "first", "pics")
    assert project.relative_path(Path(anchor, "first", "pics", "a", "b.png")) == "a/b.png"
    assert project.relative_path(Path(anchor, "second", "c.png")) == Path(anchor, "second", "c.png").as_posix()
    assert project.relative_path(Path(anchor, "first", "pics2", "d.png")).endswith("/first/pics2/d.png")


def test_files_that_are_gone_are_missing_not_forgotten(project: Project, scan: Scan, tmp_path: Path) -> None:
    scan(project, {"a.png": 1, "b.png": 2, "b2.png": 2})
    scan(project, {"a.png": 1})
    assert check_sum(project.ledger()) == Ledger(1, 1, 0, {}, n_missing=1)  # one image, of two files
    assert names(project) == ["a.png"]
    assert project.summary().n_missing == 2
    assert len(project.known_files()) == 3, "an unchanged file that comes back need not be read again"
    (gone,) = {file.id for file in project.known_files().values()} - {project.records()[0].id}
    assert project.paths_of(gone) == ["b.png"]
    scan(project, {"a.png": 1, "b2.png": 2})
    assert check_sum(project.ledger()) == Ledger(2, 2, 0, {})
    assert project.paths_of(gone) == ["b2.png"]


def test_what_still_exists_stays_unless_its_source_was_scanned(project: Project, scan: Scan, tmp_path: Path) -> None:
    root = tmp_path / "pics"
    (root / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png"):
        (root / name).touch()
    scan(project, {"a.png": 1, "sub/b.png": 2}, sources=[root])
    scan(project, {"a.png": 1}, sources=[root / "a.png"])
    assert names(project) == ["a.png", "sub/b.png"]
    scan(project, {"a.png": 1}, sources=[root])
    assert names(project) == ["a.png"], "a file that the source's scan leaves out now, by --exclude say, is not counted"


def test_sources_are_found_however_they_are_written(
    project: Project, scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "pics"
    root.mkdir()
    (root / "b.png").touch()
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    for source in (Path("pics"), Path("link"), Path("pics/../pics")):
        scan(project, {"a.png": 1, "b.png": 2})
        scan(project, {"a.png": 1}, sources=[source])
        assert names(project) == ["a.png"], source


def test_a_path_is_one_thing_at_a_time(project: Project, scan: Scan, tmp_path: Path) -> None:
    path = tmp_path / "pics" / "a.png"
    scan(project, {"a.png": 1, "b.png": 1})
    scan(project, {"b.png": 1}, [failure(path)])
    assert check_sum(project.ledger()) == Ledger(2, 1, 0, {"ERROR_CORRUPT_IMAGE": 1})
    scan(project, {"a.png": 2, "b.png": 1})
    assert check_sum(project.ledger()) == Ledger(2, 2, 0, {})
    scan(project, {"a.png": 2, "b.png": 2})
    assert check_sum(project.ledger()) == Ledger(2, 1, 1, {})


def test_an_image_whose_file_was_changed_keeps_its_last_path(
    project: Project, scan: Scan, image_id: Callable[[object], str]
) -> None:
    scan(project, {"a.png": "before"})
    scan(project, {"a.png": "after"})
    assert names(project) == ["a.png"]
    assert project.paths_of(image_id("before")) == ["a.png"]
    assert project.paths() == {image_id("after"): ["a.png"]}


def test_unknown_images(filled: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="knows no image 'zz'"):
        filled.path_of("zz")
    with pytest.raises(ValueError, match="has the id 'zz', which no record has"):
        filled.record_scan([], [ImageFile(tmp_path / "z.png", "zz", 1, 1)], [], tmp_path)
    assert filled.ledger().n_found == 12
    assert filled.image_root == tmp_path / "pics"


# --- failures of extraction --------------------------------------------------------------------------------------


def test_a_failed_image_takes_all_its_paths_along(project: Project, scan: Scan, tmp_path: Path) -> None:
    scan(project, {"a.png": 1, "a2.png": 1, "b.png": 2})
    record = project.records()[0]
    project.record_failures([failure(record.path, image_id=record.id)])
    assert check_sum(project.ledger()) == Ledger(3, 1, 0, {"ERROR_CORRUPT_IMAGE": 2})
    assert [(bad.path.name, bad.id, bad.n_bytes) for bad in project.failures()] == [
        ("a.png", record.id, 100),
        ("a2.png", record.id, 100),
    ]
    assert names(project) == ["b.png"]
    assert record.id not in project.paths()
    assert record.path in project.known_files()


def test_a_failed_image_is_found_by_its_path_too(filled: Project) -> None:
    filled.record_failures([failure(filled.records()[2].path, "ERROR_MISSING_FILE")])
    assert check_sum(filled.ledger()).failures == {"ERROR_MISSING_FILE": 1}


def test_a_mended_image_counts_again_with_all_its_paths(project: Project, scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "a2.png").touch()
    scan(project, {"a.png": 1, "a2.png": 1})
    project.record_failures([failure(tmp_path / "pics" / "a.png")])
    scan(project, {"a.png": 1})
    assert check_sum(project.ledger()) == Ledger(2, 1, 1, {})


def test_failures_of_unknown_images_mark_none(filled: Project, tmp_path: Path) -> None:
    known = filled.records()[0]
    with pytest.raises(ProjectError, match=r"neither the image 'zz' nor the path .*z\.png"):
        filled.record_failures([failure(known.path, image_id=known.id), failure(tmp_path / "z.png", image_id="zz")])
    assert filled.ledger().failures == {}


# --- disk and summary --------------------------------------------------------------------------------------------


def test_a_scan_on_a_full_disk_changes_nothing(filled: Project, scan: Scan) -> None:
    before = filled.ledger()
    n_pages = filled._connection.execute("PRAGMA page_count").fetchone()[0]
    filled._connection.execute(f"PRAGMA max_page_count = {n_pages + 2}")
    with pytest.raises(ProjectError, match=r"the scan could not be written: .*full.*Nothing half written"):
        scan(filled, {f"new{i}.png": i for i in range(2000)})
    assert filled.ledger() == before
    filled._connection.execute("PRAGMA max_page_count = 1000000")
    scan(filled, {f"new{i}.png": i for i in range(2000)})
    assert filled.ledger().n_found == 2000


def test_an_interrupted_scan_changes_nothing(filled: Project, tmp_path: Path) -> None:
    def records() -> object:
        yield ImageRecord("new", tmp_path / "new.png", 1, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled.record_scan(records(), [], [], tmp_path)
    assert filled.ledger().n_found == 12
    assert "new" not in filled.known_sizes()


def test_an_error_of_the_disk_is_told(filled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os.path, "lexists", full)
    with pytest.raises(ProjectError, match="Input/output error"):
        filled.record_scan([], [], [], Path("/pics"))
    assert filled.ledger().n_found == 12


def test_a_summary_weighs_everything(filled: Project) -> None:
    import numpy as np

    filled.features.write_shard("f00d", 0, ["a"], np.zeros((1, 3), np.float32))
    thumbnail = filled.thumbnails / "ab" / "abc.webp"
    thumbnail.parent.mkdir(parents=True)
    thumbnail.write_bytes(b"12345")
    summary = filled.summary()
    assert summary.ledger == filled.ledger()
    assert summary.thumbnails_bytes == 5
    assert summary.runs_bytes == 0
    assert summary.database_bytes == (filled.root / "project.sqlite").stat().st_size
    assert [(info.fingerprint, info.n_images, info.n_features) for info in summary.feature_sets] == [("f00d", 1, 3)]
    assert summary.partitions == ()
    assert (summary.root, summary.image_root, summary.n_missing) == (filled.root, filled.image_root, 0)


def test_what_killed_runs_left_among_the_thumbnails_is_cleared_away(filled: Project) -> None:
    folder = filled.thumbnails / "3f"
    folder.mkdir(parents=True)
    (folder / ".3fa9.webp.123-456.part").write_bytes(b"half")
    (folder / "3fa9.webp").write_bytes(b"whole")
    with filled.lock():
        assert [path.name for path in folder.iterdir()] == ["3fa9.webp"]


def test_sizes_on_disk(filled: Project) -> None:
    assert filled.summary().thumbnails_bytes == 0
    for i in range(300):
        folder = filled.thumbnails / f"{i % 7:02x}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.webp").write_bytes(bytes(i))
    (filled.thumbnails / "link").symlink_to(filled.root)
    assert filled.summary().thumbnails_bytes == sum(range(300))


def test_images_of_equal_pixels_are_one(project: Project, scan: Scan, image_id: Callable[[object], str]) -> None:
    scan(project, {"a.png": 1, "b.png": 2, "c.png": 3, "d.png": 3})
    project.readings.record([], {image_id(1): "same", image_id(3): "same"})
    assert names(project) == ["a.png", "b.png"]
    assert check_sum(project.ledger()) == Ledger(4, 2, 2, {})
    assert project.paths() == {image_id(1): ["a.png", "c.png", "d.png"], image_id(2): ["b.png"]}
    assert project.paths_of(image_id(3)) == project.paths_of(image_id(1)) == ["a.png", "c.png", "d.png"]
    assert project.readings.pixels() == {image_id(1): "same", image_id(3): "same"}
    project.record_failures([failure(Path("a.png"), image_id=image_id(1))])
    assert names(project) == ["b.png", "c.png"]
    assert check_sum(project.ledger()) == Ledger(4, 2, 1, {"ERROR_CORRUPT_IMAGE": 1})


def test_notes_belong_to_present_images(project: Project, scan: Scan, image_id: Callable[[object], str]) -> None:
    scan(project, {"a.png": 1, "b.png": 2}, left_out={"video": 3})
    notes = [ImageNote(image_id(i), "NOTE_TRUNCATED", f"said of {i}") for i in (1, 2)]
    project.readings.record(notes, {})
    assert project.readings.notes() == notes
    assert project.ledger() == Ledger(2, 2, 0, {}, {"NOTE_TRUNCATED": 2}, {"video": 3})
    project.readings.record([ImageNote(image_id(2), "NOTE_FIRST_PAGE", "another")], {})
    project.record_failures([failure(Path("a.png"), image_id=image_id(1))])
    assert project.readings.notes() == [ImageNote(image_id(2), "NOTE_FIRST_PAGE", "another")]


def test_a_raw_file_is_a_further_path_and_never_the_first(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "pics"
    record = ImageRecord("ab", root / "IMG_1.JPG", 40, 30)
    raw = ImageFile(root / "IMG_1.CR2", "ab", 90, 7, is_companion=True)
    project.record_scan([record], [raw, ImageFile(record.path, "ab", 9, 5)], [], root, sources=[root])
    assert [(r.path, r.n_bytes, r.mtime_ns) for r in project.records()] == [(record.path, 9, 5)]
    assert project.path_of("ab") == record.path
    assert project.paths_of("ab") == ["IMG_1.JPG", "IMG_1.CR2"]
    assert project.known_files()[raw.path] == raw
    assert check_sum(project.ledger()) == Ledger(2, 1, 1, {})

import os
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

import covey.gallery._write as writer
from covey.errors import InvalidValueError, ProjectError
from covey.gallery import Page, gallery_pages, plan_walk, render_page, write_gallery
from covey.store import Project
from covey.types import ImageFailure


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def beside(folder: Path) -> set[str]:
    return {path.name for path in folder.parent.iterdir()}


def test_the_same_project_gives_the_same_bytes(collection, gallery: Path, tmp_path: Path) -> None:
    before = tree(gallery)
    with Project.open(collection.root) as project:
        index = write_gallery(project, collection.partition_id, gallery, page_size=5)
    assert index == gallery / "index.html"
    assert tree(gallery) == before


def test_stale_pages_are_gone_and_nothing_is_left_beside(numbers, tmp_path: Path) -> None:
    out = tmp_path / "p" / "gallery"
    write_gallery(numbers(tmp_path / "p", (7, 3)), 1, out, page_size=2)
    assert (out / "clusters" / "0000-4.html").is_file()
    write_gallery(numbers(tmp_path / "p", (7,)), 1, out, page_size=5)
    assert {path.name for path in (out / "clusters").iterdir()} == {"0000.html", "0000-2.html"}
    assert beside(out) == {"gallery"}


def test_thumbnails_are_linked_and_not_copied(gallery: Path) -> None:
    assert not list(gallery.rglob("*.webp"))
    assert '"../../thumbnails/' in (gallery / "clusters" / "0001.html").read_text(encoding="utf-8")


def test_a_gallery_elsewhere_finds_its_pictures(collection, tmp_path: Path) -> None:
    with Project.open(collection.root) as project:
        out = write_gallery(project, collection.partition_id, tmp_path / "far" / "away").parent
        links = plan_walk(project, collection.partition_id, out, 200).links("clusters")
    assert Path(os.path.normpath(out / "clusters" / links.root)) == out
    assert "Attic.covey/thumbnails/" in links.thumbnails
    assert links.thumbnails.startswith("../")


def test_a_failure_midway_leaves_the_old_gallery_whole(
    numbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, out = numbers(tmp_path, (30,)), tmp_path / "gallery"
    write_gallery(project, 1, out, page_size=5)
    before = tree(out)
    rendered: list[Page] = []

    def render(page: Page) -> str:
        rendered.append(page)
        if len(rendered) == 3:
            raise OSError(28, "No space left on device")
        return "other"

    monkeypatch.setattr(writer, "render_page", render)
    with pytest.raises(OSError, match="No space left"):
        write_gallery(project, 1, out, page_size=5)
    assert tree(out) == before
    assert beside(out) == {"gallery"}


def test_a_failing_swap_puts_the_old_gallery_back(numbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, out = numbers(tmp_path, (3,)), tmp_path / "gallery"
    write_gallery(project, 1, out)
    before = tree(out)
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.suffix == ".draft":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        write_gallery(project, 1, out)
    assert tree(out) == before
    assert beside(out) == {"gallery"}


def test_a_run_killed_between_the_two_renames_is_mended(
    numbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, out = numbers(tmp_path, (3,)), tmp_path / "gallery"
    write_gallery(project, 1, out)
    before = tree(out)
    out.rename(tmp_path / ".gallery-old")  # the kill came here
    (tmp_path / ".gallery-x1.draft").mkdir()
    monkeypatch.setattr(writer, "render_page", lambda page: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_gallery(project, 1, out)
    assert tree(out) == before
    assert beside(out) == {"gallery"}


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_follow_the_umask(numbers, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        page = write_gallery(numbers(tmp_path, (3,)), 1, tmp_path / "gallery")
    finally:
        os.umask(before)
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE(page.stat().st_mode) == 0o666 & ~umask


def test_a_folder_of_someone_else_is_never_replaced(numbers, tmp_path: Path) -> None:
    out = tmp_path / "holiday"
    out.mkdir()
    (out / "index.html").write_text("mine")
    with pytest.raises(ProjectError, match="something else than a gallery"):
        write_gallery(numbers(tmp_path, (3,)), 1, out)
    assert tree(out) == {"index.html": b"mine"}


def test_a_file_or_a_link_is_no_place_for_a_gallery(numbers, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("file", "link"):
        with pytest.raises(ProjectError, match="not a folder"):
            write_gallery(numbers(tmp_path, (3,)), 1, tmp_path / name)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_empty_folder_is_taken(numbers, tmp_path: Path) -> None:
    (tmp_path / "gallery").mkdir()
    assert write_gallery(numbers(tmp_path, (3,)), 1, tmp_path / "gallery").is_file()


def test_page_size_is_checked_before_anything_is_written(numbers, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="page_size is 0"):
        write_gallery(numbers(tmp_path, (3,)), 1, tmp_path / "gallery", page_size=0)
    assert not list(tmp_path.iterdir())


def test_progress_counts_every_page(numbers, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    project = numbers(tmp_path, (7, 5, 1))
    out = write_gallery(project, 1, tmp_path / "g", page_size=2, progress=lambda *what: told.append(what)).parent
    n_pages = len(list(out.rglob("*.html")))
    assert told == [("gallery", n, n_pages) for n in range(1, n_pages + 1)]


def test_many_failures_take_many_pages(numbers, tmp_path: Path) -> None:
    failures = [
        ImageFailure(tmp_path / "pictures" / f"{i}.jpg", "ERROR_PERMISSION", "permission denied") for i in range(2001)
    ]
    out = write_gallery(numbers(tmp_path / "p", (3,), failures), 1, tmp_path / "p" / "gallery").parent
    texts = [(out / name).read_text(encoding="utf-8") for name in ("skipped.html", "skipped-2.html", "skipped-3.html")]
    assert sum(text.count("permission denied") for text in texts) == 2001
    assert 'href="skipped-2.html"' in texts[0]


def test_a_single_cluster_leaves_nothing_unsure(numbers, tmp_path: Path) -> None:
    out = write_gallery(numbers(tmp_path, (3,)), 1, tmp_path / "g").parent
    text = (out / "unsure.html").read_text(encoding="utf-8")
    assert "nothing to be unsure about" in text
    assert 'class="shot"' not in text


def test_pages_stream_and_memory_does_not_grow_with_the_collection(numbers, tmp_path: Path) -> None:
    def peak(size: int) -> int:
        project = numbers(tmp_path, (size,))
        walk = plan_walk(project, 1, tmp_path / "g", 5)
        tracemalloc.start()
        try:
            for page in gallery_pages(walk):
                render_page(page)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert all(limit is not None and limit <= 250 for limit in project.asked)

    peak(10)  # compile the templates
    assert peak(2500) < 1.5 * peak(500)  # all at once would be five times as much


def test_pages_need_no_torch_and_no_server(collection, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from covey.gallery import write_gallery\nfrom covey.store import Project\n"
        "root, partition_id, out = sys.argv[1:]\n"
        "write_gallery(Project.open(Path(root)), int(partition_id), Path(out))\n"
        "print([name for name in ('torch', 'PIL', 'openvino', 'http.server') if name in sys.modules])"
    )
    arguments = [str(collection.root), str(collection.partition_id), str(tmp_path / "g")]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_picture_makes_a_gallery_that_says_why(numbers, tmp_path: Path) -> None:
    reason = "1 cluster: 1 images with 1 distinct rows cannot be told apart."
    selection = {
        "n_clusters": 1,
        "criterion": "stability",
        "candidates": [1],
        "scores": {"stability": [0.0]},
        "reason": reason,
    }
    out = write_gallery(numbers(tmp_path, (1,), info={"selection": selection}), 1, tmp_path / "g").parent
    text = (out / "about.html").read_text(encoding="utf-8")
    assert reason in text
    assert "was asked for" not in text
    assert "1 picture in 1 cluster" in (out / "index.html").read_text(encoding="utf-8")

"""The commands, as a person types them, and the pages that show the corrected result."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from covey.cli import cli
from covey.corrections import find_corrected, open_curation
from covey.gallery import write_gallery
from covey.store import Project
from covey.types import Features

from .conftest import N_IMAGES, add_run, lines_of


def run(*words: object, expected: int = 0, text: str = "") -> Result:
    result = CliRunner().invoke(cli, [str(word) for word in words], input=text)
    assert result.exit_code == expected, result.output
    return result


def test_an_afternoon_of_corrections(root: Path, tmp_path: Path) -> None:
    assert run("edits", root, "show").output == "There are no edits yet.\n"
    assert run("edit", root, "rename", 0, "wolf").output == "2  named 0 'wolf'\n"
    assert (
        "moved 2 images to 0 (wolf) (1 unchanged)"
        in run("edit", root, "move", "img000.png", "img001.png", "img002.png", "--to", "wolf").output
    )
    run("edit", root, "move", "--images-from", "-", "--new", "sea", text="img003.png\nimg007.png\n")
    run("edit", root, "merge", "wolf", "cat")
    run("edit", root, "split", "wolf", "--name", "kitten")
    run("edit", root, "confirm", "img005.png")
    run("edit", root, "reject", "img006.png")
    run("edit", root, "set-aside", "img010.png", "--reason", "blurred")
    run("edit", root, "review", "flower")
    run("edit", root, "hide", "boat")
    run("edit", root, "group", "wolf", "kitten", "--to", "Animals")
    run("edit", root, "rename-group", "Animals", "Beasts")
    told = json.loads(run("edit", root, "undo", "--json").output)
    assert (told["op"], told["summary"]) == ("undo", "undid 13")
    run("edit", root, "redo")
    shown = run("edits", root, "show").output
    assert "merged 1 (cat) into 0 (wolf)" in shown
    assert "set 1 image aside: blurred" in shown
    assert re.search(r"undid 13 +undone", shown)
    clusters = json.loads(run("edits", root, "show", "--clusters", "--json").output)
    assert {row["name"] for row in clusters} == {"wolf", "kitten", "sea", "flower", "boat"}
    assert {row["group"] for row in clusters if row["name"] in ("wolf", "kitten")} == {"Beasts"}
    assert next(row for row in clusters if row["name"] == "boat")["marks"] == "hidden"
    assert "edits written" in run("edits", root, "export", tmp_path / "mine.jsonl").output
    assert (tmp_path / "mine.jsonl").read_bytes() == (root / "edits.jsonl").read_bytes()
    assert "applied=0 known=15 refused=0" in run("edits", root, "apply", tmp_path / "mine.jsonl").output


def test_errors_are_one_line(root: Path) -> None:
    for words in (
        ("edit", root, "rename", 9, "x"),
        ("edit", root, "move", "nothing.png", "--to", "dog"),
        ("edit", root, "undo"),
        ("edits", root, "apply", Path(__file__)),
        ("export", root, "--to", "fodlers"),
        ("export", root, "--to", "csv", "--mode", "copy", "-o", root.parent / "o"),
        ("export", "--undo", root / "covey-manifest.jsonl"),
        ("adopt", root, "--run", 7),
    ):
        output = run(*words, expected=1).output
        assert output.startswith("covey: ")
        assert output.count("\n") == 1
    run("edit", root, "move", "--to", "dog", expected=2)
    run("export", root, expected=2)


def test_adopting_from_the_command_line(root: Path, features: Features) -> None:
    assert "they start from run 001-kmeans now" in run("adopt", root).output
    run("edit", root, "rename", 0, "wolf")
    with Project.open(root) as project:
        add_run(project, features, np.arange(N_IMAGES) // 4 % 5)
    dry = run("adopt", root, "--dry-run").output
    assert "nothing was changed" in dry
    refused = run("adopt", root, expected=1).output
    assert "conflict named_gone in cluster 0" in refused
    assert "--adopt mine" in refused
    assert "adopted  run 2 as edit 3" in run("adopt", root, "--adopt", "mine").output
    assert "adopted run 002-kmeans" in run("edits", root, "show").output


def test_exporting_from_the_command_line(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    planned = run("export", root, "--to", "folders", "-o", out, "--dry-run").output
    assert planned.count("symlink") == 40
    assert not out.exists()
    assert "linked=40" in run("export", root, "--to", "folders", "-o", out).output
    assert "there already, and complete" in run("export", root, "--to", "folders", "-o", out).output
    assert "undone=44 left=0" in run("export", "--undo", out / "covey-manifest.jsonl").output
    aborted = run("export", root, "--to", "folders", "-o", out, "--mode", "move", expected=1, text="n\n")
    assert "will be moved" in aborted.output
    assert len(list((tmp_path / "pictures").iterdir())) == 40
    (tmp_path / "pictures" / "img000.png").unlink()
    assert "missing=1" in run("export", root, "--to", "folders", "-o", out, "--strict", expected=3).output


def gallery_bytes(root: Path, run_id: int, corrected) -> dict[str, bytes]:
    with Project.open(root) as project:
        write_gallery(project, run_id, root / "gallery", corrected=corrected)
    pages = {str(p.relative_to(root)): p.read_bytes() for p in (root / "gallery").rglob("*") if p.is_file()}
    shutil.rmtree(root / "gallery")
    return pages


def test_pages_are_byte_identical_without_edits(root: Path) -> None:
    """A project that nobody has corrected, and one whose only edit was undone, have the pages of the run."""
    with Project.open(root) as project:
        assert find_corrected(project) is None
    plain = gallery_bytes(root, 1, None)
    run("edit", root, "rename", 0, "wolf")
    run("edit", root, "undo")
    run("gallery", root)
    assert {str(p.relative_to(root)): p.read_bytes() for p in (root / "gallery").rglob("*") if p.is_file()} == plain
    assert b"\xe2\x9c\x93" not in b"".join(content for name, content in plain.items() if name.endswith(".html"))


def test_pages_show_the_corrected_result(root: Path) -> None:
    run("edit", root, "rename", "dog", "wolf")
    run("edit", root, "merge", "wolf", "cat")
    run("edit", root, "move", "img002.png", "--to", "wolf")
    run("edit", root, "review", "flower")
    run("edit", root, "hide", "boat")
    run("gallery", root)
    index = (root / "gallery" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'data-name="([^"]*)" data-size="(\d+)"', index) == [("wolf", "21"), ("flower", "9")]
    assert index.count("✓ reviewed") == 1
    assert "30 pictures in 2 clusters" in index
    assert "have come since" not in index, "hidden pictures are not new ones"
    page = (root / "gallery" / "clusters" / "0000.html").read_text(encoding="utf-8")
    assert page.count('class="tile') >= 21
    assert "img002.png" in page
    assert not (root / "gallery" / "clusters" / "0003.html").exists()
    run("gallery", root, "--run", 1)
    assert "boat" in (root / "gallery" / "index.html").read_text(encoding="utf-8")


def test_untouched_clusters_keep_their_numbers(root: Path) -> None:
    with Project.open(root) as project:
        before = {summary.label: summary for summary in project.clusters(1)}
        curation = open_curation(project)
        curation.rename("dog", "wolf")
        curation.merge("cat", "boat")
        after = {summary.label: summary for summary in curation.corrected().summaries}
    for number in (0, 2):
        assert after[number].mean_confidence == pytest.approx(before[number].mean_confidence)
        assert after[number].cohesion == pytest.approx(before[number].cohesion)
        assert after[number].representatives == before[number].representatives
    assert after[1].size == 20
    assert after[1].cohesion < before[1].cohesion
    assert after[0].name.name == "wolf"
    assert after[2].name == before[2].name, "words, score and runners-up of the run"


def test_clustering_again_keeps_the_corrections(picture_folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "p.covey"
    options = ("cluster", picture_folder, "-o", root, "-m", "color_histogram", "-k", 3, "--no-gallery")
    run(*options)
    run("edit", root, "rename", 0, "first")
    run("edit", root, "move", "red-0.png", "--to", "first")
    again = run(*options).output
    assert re.search(r"adopted  run 2 as edit \d+: kept 3 ids, 0 new, 0 gone; [01] placed by hand stay", again)
    clusters = json.loads(run("edits", root, "show", "--clusters", "--json").output)
    assert "first" in {row["name"] for row in clusters}
    fewer = run("cluster", picture_folder, "-o", root, "-m", "color_histogram", "-k", 1, "--adopt", "never").output
    assert "covey adopt" in fewer
    assert lines_of(root / "edits.jsonl")[-1]["op"] == "adopt"
    assert lines_of(root / "edits.jsonl")[-1]["payload"]["partition"] == 2

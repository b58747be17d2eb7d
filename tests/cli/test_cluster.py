"""The main command on drawn pictures, through the real path and a backbone without weights."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from covey.cli import cli
from covey.store import Project

QUICK = ["-m", "color_histogram", "--method", "kmeans"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def assignments(project: Path) -> list[dict[str, str]]:
    (table,) = project.glob("runs/*/assignments.csv")
    with table.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def ledger_of(output: str) -> dict[str, int]:
    line = next(line for line in output.splitlines() if line.startswith("found="))
    return {name: int(count) for name, count in (part.split("=") for part in line.split())}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "pictures.covey"


def test_three_groups_are_found(picture_folder: Path, project: Path) -> None:
    result = run("cluster", picture_folder, "-o", project, "-k", 3, *QUICK)
    assert result.exit_code == 0, result.output
    assert ledger_of(result.output) == {"found": 24, "embedded": 24, "already": 0, "duplicates": 0}
    groups: dict[str, set[str]] = {}
    for row in assignments(project):
        groups.setdefault(row["path"].split("-")[0], set()).add(row["cluster"])
    assert sorted(groups) == ["blue", "green", "red"]
    assert len(set.union(*groups.values())) == 3
    assert all(len(clusters) == 1 for clusters in groups.values())
    assert (project / "gallery" / "index.html").is_file()
    assert str(project / "gallery" / "index.html")[-30:] in result.output.replace("\n", "")


def test_auto_counts_the_groups(picture_folder: Path, project: Path) -> None:
    result = run("cluster", picture_folder, "-o", project, "--json", *QUICK)
    found = json.loads(result.stdout)
    assert found["n_clusters"] == 3
    assert found["selection"]["n_clusters"] == 3
    assert sorted(cluster["images"] for cluster in found["clusters"]) == [8, 8, 8]


def test_a_second_run_computes_only_what_is_new(picture_folder: Path, project: Path) -> None:
    run("cluster", picture_folder, "-o", project, "-k", 3, *QUICK)
    again = run("cluster", picture_folder, "-o", project, "-k", 3, *QUICK)
    assert ledger_of(again.output) == {"found": 24, "embedded": 0, "already": 24, "duplicates": 0}
    Image.new("RGB", (64, 48), (250, 250, 0)).save(picture_folder / "yellow.png")
    (picture_folder / "red-0.png").unlink()
    more = run("cluster", picture_folder, "-o", project, "-k", 3, *QUICK)
    assert ledger_of(more.output) == {"found": 24, "embedded": 1, "already": 23, "duplicates": 0, "missing": 1}


def test_the_same_seed_gives_the_same_tables(picture_folder: Path, tmp_path: Path) -> None:
    tables = []
    for name in ("a.covey", "b.covey"):
        run("cluster", picture_folder, "-o", tmp_path / name, "-k", 4, "--seed", 7, "-m", "random_patches", *QUICK[2:])
        tables.append(assignments(tmp_path / name))
    assert tables[0] == tables[1]


def test_one_cluster_is_a_defined_answer(picture_folder: Path, project: Path) -> None:
    assert run("cluster", picture_folder, "-o", project, "-k", 1, *QUICK).exit_code == 0
    assert {row["cluster"] for row in assignments(project)} == {"0"}


def test_a_method_that_finds_the_number_itself(picture_folder: Path, project: Path) -> None:
    refused = run("cluster", picture_folder, "-o", project, "-k", 3, "-m", "color_histogram", "--method", "hdbscan")
    assert refused.exit_code == 1
    assert "finds the number of clusters itself; leave out -k" in refused.output.replace("\n", " ")
    result = run("cluster", picture_folder, "-o", project, "-m", "color_histogram", "--method", "hdbscan")
    assert result.exit_code == 0, result.output
    with Project.open(project) as opened:
        (info,) = opened.partitions()
    assert info.n_clusters == 3
    assert info.info["selection"] is None
    assert set(info.info["structure"]) == {"features"}


def test_temi_with_its_keywords(picture_folder: Path, project: Path) -> None:
    keywords = ["--method", "temi", "-p", "n_epochs=3", "-p", "n_heads=2"]
    result = run("cluster", picture_folder, "-o", project, "-k", 3, "-m", "color_histogram", *keywords)
    assert result.exit_code == 0, result.output
    info = json.loads(run("info", project, "--json").stdout)
    assert info["partitions"][0]["method"] == "temi"
    assert info["partitions"][0]["params"]["n_heads"] == 2


def test_published_settings_by_name_with_changes(picture_folder: Path, project: Path) -> None:
    words = ["-m", "color_histogram", "--method", "temi", "--preset", "official-code", "-p", "n_epochs=3"]
    result = run("cluster", picture_folder, "-o", project, "-k", 3, "--no-gallery", *words, "-p", "n_heads=2")
    assert result.exit_code == 0, result.output
    with Project.open(project) as opened:
        params = opened.partition_info().params
    assert (params["n_epochs"], params["n_heads"]) == (3, 2)
    assert params["frozen_last_layer"] == 0.01
    assert params["init"] == "random"


def test_the_choice_of_beta_is_shown(picture_folder: Path, project: Path) -> None:
    words = ["--method", "temi", "-p", "beta=auto", "-p", "n_steps=5", "-p", "n_heads=1", "-p", "hidden_size=8"]
    result = run("cluster", picture_folder, "-o", project, "-k", 3, "-m", "color_histogram", *words)
    assert result.exit_code == 0, result.output
    page = (project / "gallery" / "about.html").read_text(encoding="utf-8")
    assert "Why β = " in page
    assert page.count("β = 0.55: ") == 2


def test_several_models_are_joined_and_told(picture_folder: Path, project: Path) -> None:
    run("cluster", picture_folder, "-o", project, "-k", 3, *QUICK)
    both = ["-m", "color_histogram", "-m", "random_patches", "--method", "kmeans"]
    result = run("cluster", picture_folder, "-o", project, "-k", 3, *both)
    assert ledger_of(result.output) == {"found": 24, "embedded": 24, "already": 0, "duplicates": 0}
    assert "features color_histogram + random_patches" in result.output
    assert "views=" not in result.output
    told = run("info", project).stdout
    assert told.count("color_histogram + random_patches") == 1
    page = (project / "gallery" / "about.html").read_text(encoding="utf-8")
    assert "the backbones <code>color_histogram</code> and <code>random_patches</code>" in page
    plan = json.loads(run("cluster", picture_folder, "-o", project, *both, "--dry-run", "--json").stdout)
    assert plan["backbone"] == "color_histogram + random_patches"
    again = json.loads(run("cluster", picture_folder, "-o", project, "-k", 3, *QUICK, "--json").stdout)
    assert again["backbones"] == ["color_histogram"]
    assert again["ledger"]["n_computed"] == 0


def test_views_are_computed_once_and_told(picture_folder: Path, project: Path) -> None:
    words = ["-m", "color_histogram", "--method", "scp", "-p", "n_steps=60", "-k", 3]
    plan = run("cluster", picture_folder, "-o", project, "--dry-run", "--views", 2, *words).output
    assert "2 views of each image too" in plan
    first = run("cluster", picture_folder, "-o", project, "--views", 2, *words)
    assert "views=2 computed=48 already=0" in first.output
    assert ledger_of(first.output)["embedded"] == 24
    embedded = run("embed", picture_folder, "-o", project, "--views", 3, *words[:2])
    assert "views=3 computed=24 already=48" in embedded.output
    second = json.loads(run("cluster", picture_folder, "-o", project, "--views", 3, *words, "--json").stdout)
    assert second["n_views"] == 3
    summary = json.loads(run("info", project, "--json").stdout)
    assert [item["info"]["n_views"] for item in summary["partitions"]] == [2, 3]
    assert summary["partitions"][0]["info"]["diagnostics"]["pairs"] == "views"
    row = next(line for line in run("info", project).stdout.splitlines() if line.startswith("color_histogram"))
    assert row.split()[1:4] == ["24", "320", "3"]


def test_every_found_path_is_accounted_for_once(picture_folder: Path, project: Path) -> None:
    (picture_folder / "copy of red.png").write_bytes((picture_folder / "red-0.png").read_bytes())
    (picture_folder / "empty.jpg").touch()
    (picture_folder / "text.jpg").write_text("no picture")
    (picture_folder / "notes.txt").write_text("not looked at")
    (picture_folder / "dangling.png").symlink_to(picture_folder / "gone.png")
    Image.new("RGB", (1, 1)).save(picture_folder / "dot.png")
    whole = (picture_folder / "green-0.png").read_bytes()
    (picture_folder / "half.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (64, 48), (9, 9, 9)).save(picture_folder / "new\nline Ünï.png")
    result = run("cluster", picture_folder, "-o", project, "-k", 3, *QUICK)
    assert result.exit_code == 0, result.output
    ledger = ledger_of(result.output)
    assert ledger["found"] == sum(count for name, count in ledger.items() if name != "found")
    assert ledger["duplicates"] == 1
    assert ledger["embedded"] == 25
    paths = [row["path"] for row in assignments(project)]
    assert len(paths) == len(set(paths)) == 26
    assert "new\nline Ünï.png" in paths
    with (project / "skipped.csv").open(newline="", encoding="utf-8") as stream:
        skipped = {row["filename"]: row["error_code"] for row in csv.DictReader(stream)}
    assert skipped.keys() >= {"empty.jpg", "text.jpg", "dot.png", "half.png"}
    assert not skipped.keys() & set(paths)
    assert ledger["found"] == len(paths) + len(skipped)


def test_strict_tells_by_the_exit_status(picture_folder: Path, project: Path) -> None:
    assert run("cluster", picture_folder, "-o", project, "-k", 3, "--strict", *QUICK).exit_code == 0
    (picture_folder / "empty.jpg").touch()
    result = run("cluster", picture_folder, "-o", project, "-k", 3, "--strict", *QUICK)
    assert result.exit_code == 3
    assert len(assignments_of_last_run(project)) == 24


def assignments_of_last_run(project: Path) -> list[str]:
    table = max(project.glob("runs/*/assignments.csv"), key=lambda path: path.stat().st_mtime_ns)
    return table.read_text(encoding="utf-8").splitlines()[1:]


@pytest.mark.parametrize("make", ["empty", "text"])
def test_nothing_to_cluster_leaves_nothing_behind(tmp_path: Path, project: Path, make: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if make == "text":
        (folder / "a.txt").write_text("text")
        (folder / "b.jpg").write_text("text")
    result = run("cluster", folder, "-o", project, *QUICK)
    assert result.exit_code == 1
    assert "No picture to cluster" in result.stderr
    assert ("b.jpg" in result.stderr) == (make == "text")
    assert not project.exists()


def test_more_clusters_than_images(picture_folder: Path, project: Path) -> None:
    result = run("cluster", picture_folder, "-o", project, "-k", 25, *QUICK)
    assert result.exit_code == 1
    assert "25 clusters were asked for, but there are only 24 distinct images" in result.stderr


@pytest.mark.parametrize("inside", [".", "sub/deep.covey"])
def test_a_project_inside_the_source_is_refused(picture_folder: Path, inside: str) -> None:
    result = run("cluster", picture_folder, "-o", picture_folder / inside, *QUICK)
    assert result.exit_code == 1
    assert "lies inside the source" in result.stderr
    assert len(list(picture_folder.iterdir())) == 24


def test_the_default_project_bears_the_source_s_name(
    picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("cluster", picture_folder, "-k", 2, *QUICK).exit_code == 0
    assert (tmp_path / "pictures.covey" / "project.sqlite").is_file()


def test_a_manifest_from_standard_input(picture_folder: Path, project: Path) -> None:
    names = "\n".join(str(path) for path in sorted(picture_folder.iterdir())[:10])
    result = CliRunner().invoke(cli, ["cluster", "-", "-o", str(project), "-k", "2", *QUICK], input=names)
    assert result.exit_code == 0, result.output
    assert ledger_of(result.output)["found"] == 10
    assert "needs a project folder" in CliRunner().invoke(cli, ["cluster", "-", *QUICK], input=names).stderr


def test_a_dry_run_writes_nothing(picture_folder: Path, project: Path) -> None:
    result = run("cluster", picture_folder, "-o", project, "--dry-run", "--json", *QUICK)
    plan = json.loads(result.stdout)
    assert plan["images"] == 24
    assert plan["method"] == "kmeans"
    assert not project.exists()
    assert "Nothing was written" in run("cluster", picture_folder, "-o", project, "--dry-run").output


def test_a_value_that_the_method_refuses_is_one_line(picture_folder: Path, project: Path) -> None:
    result = run("cluster", picture_folder, "-o", project, "-k", 3, *QUICK, "-p", "n_init=0")
    assert result.exit_code == 1
    assert "n_init is 0; it must be at least 1" in result.stderr
    assert not list(project.glob("runs/*"))


@pytest.mark.parametrize("option", ["-k", "--clusters", "--n-clusters"])
def test_the_number_has_three_spellings(picture_folder: Path, project: Path, option: str) -> None:
    run("cluster", picture_folder, "-o", project, option, 2, "--no-gallery", *QUICK)
    assert {row["cluster"] for row in assignments(project)} == {"0", "1"}


@pytest.fixture
def nested_folder(tmp_path: Path) -> Path:
    """Return three broad colors, each in three shades: 90 images."""
    folder = tmp_path / "nested"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for broad in range(3):
        for shade in range(3):
            for i in range(10):
                pixels = np.zeros((32, 32, 3), dtype=np.float64)
                pixels[:, :, broad] = 220
                pixels[: 6 + 4 * shade, :, (broad + 1) % 3] = 90 + 60 * shade
                pixels += draw.normal(scale=6, size=pixels.shape)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{broad}-{shade}-{i}.png")
    return folder


def test_clusters_are_put_into_groups(nested_folder: Path, project: Path) -> None:
    result = run("cluster", nested_folder, "-o", project, "-k", 9, *QUICK)
    assert "clusters 9 in 3 groups" in result.stdout
    rows = assignments(project)
    colors = {group: {row["path"][0] for row in rows if row["group"] == group} for group in {r["group"] for r in rows}}
    assert sorted(colors) == ["0", "1", "2"]
    assert all(len(broad) == 1 for broad in colors.values())
    (file,) = project.glob("runs/*/clusters.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    assert "tree" not in content["info"]
    parents = {str(cluster["id"]): str(cluster["parent"]) for cluster in content["clusters"]}
    assert all(parents[row["cluster"]] == row["group"] for row in rows)
    assert {cluster["certainty"]["word"] for cluster in content["clusters"]} <= {"clear", "mixed", "loose"}
    tree = json.loads(file.with_name("tree.json").read_text(encoding="utf-8"))
    assert (tree["format"], tree["version"], len(tree["merges"])) == ("covey-tree", 1, 8)
    assert tree["merges"][-1][3] == 90
    (level,) = tree["levels"]
    assert level["name"] == tree["groups"] == "groups"
    assert {str(label): str(group) for group, labels in enumerate(level["members"]) for label in labels} == parents
    page = (project / "gallery" / "index.html").read_text(encoding="utf-8")
    assert page.count('<details class="group">') == 3


def test_a_granularity_by_name(nested_folder: Path, project: Path) -> None:
    first = json.loads(run("cluster", nested_folder, "-o", project, "--json", *QUICK).stdout)
    levels = {level["name"]: level["n_clusters"] for level in first["selection"]["granularities"]}
    assert len(levels) > 1, levels
    for word in ("coarse", "suggested", "fine"):
        result = run("cluster", nested_folder, "-o", project, "--json", "-k", word, *QUICK)
        if word in levels:
            found = json.loads(result.stdout)
            assert found["n_clusters"] == len(found["clusters"]) == levels[word]
        else:
            assert result.exit_code == 1
            assert f"-k {word}: no criterion has a peak there, the evidence has" in result.stderr
            assert all(f"{name} ({number})" in result.stderr for name, number in levels.items())
    shown = run("cluster", nested_folder, "-o", project, *QUICK).stdout
    for name, number in levels.items():
        assert (f"-k {name} ({number} clusters)" in shown) == (number != first["n_clusters"])
    assert first["n_clusters"] == max(levels.values())
    plan = run("cluster", nested_folder, "-o", project, "--dry-run", "-k", "fine", *QUICK).stdout
    assert "k = fine" in plan


def test_the_gallery_is_opened_on_request(picture_folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    run("cluster", picture_folder, "-o", project, "-k", 2, *QUICK)
    assert opened == []
    run("cluster", picture_folder, "-o", project, "-k", 2, *QUICK, "--open", "-q")
    assert opened == [(project / "gallery" / "index.html").as_uri()]
    refused = run("cluster", picture_folder, "-o", project, "-k", 2, *QUICK, "--open", "--no-gallery")
    assert refused.exit_code == 2
    assert "--open needs the gallery" in refused.stderr


def test_verbose_tells_the_stages_times(picture_folder: Path, project: Path) -> None:
    def stages(*more: str) -> list[str]:
        said = run("cluster", picture_folder, "-o", project, "-k", 2, *QUICK, *more).stdout
        return [line.split()[1] for line in said.splitlines() if line.startswith("time ")]

    assert stages() == []
    assert stages("-v") == ["scan", "embed", "choose", "cluster", "name", "everything"]


def test_the_end_says_what_was_found_and_what_was_not(picture_folder: Path, project: Path) -> None:
    (picture_folder / "empty.jpg").touch()
    (picture_folder / "holiday.pdf").write_text("not an image")
    said = run("cluster", picture_folder, "-o", project, *QUICK).stdout.splitlines()
    assert "clusters 3" in said
    assert "skipped  1 file: 1 zero size file; skipped.csv names each" in said
    assert "left out files that are not images: document=1" in said
    assert said[-2].startswith("gallery  ")
    assert said[-1].startswith("found=25 ")


def test_quiet_says_nothing(picture_folder: Path, project: Path) -> None:
    assert run("cluster", picture_folder, "-o", project, "-k", 2, "-q", *QUICK).output == ""


def test_include_and_exclude(picture_folder: Path, project: Path) -> None:
    result = run(
        "cluster", picture_folder, "-o", project, "-k", 2, "--include", "red*", "--include", "blue*",
        "--exclude", "*-0.png", *QUICK,
    )  # fmt: skip
    assert ledger_of(result.output)["found"] == 14


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-m", "no_such"], 1, "Unknown backbone 'no_such'"),
        (["--method", "kmean"], 1, "Did you mean 'kmeans'"),
        (["--method", "kmeans", "-p", "n_heads=3"], 1, "kmeans has no parameter 'n_heads'; it has"),
        (["--method", "temi", "--preset", "papr"], 1, "temi has no preset 'papr'; it has fast, paper,"),
        (["--method", "kmeans", "--preset", "paper"], 1, "kmeans has no preset 'paper'; it has none"),
        (["-p", "n_heads"], 1, "must have the form NAME=VALUE"),
        (["-k", "0"], 2, "'0' is neither a whole number from 1 nor one of 'coarse', 'suggested', 'fine', 'auto'"),
        (["-k", "many"], 2, "'many' is neither"),
        (["--device", "tpu"], 1, "Unknown device 'tpu'"),
        (["--engine", "steam"], 1, "Unknown engine 'steam'"),
        (["-m", "color_histogram"], 1, "'color_histogram' was given 2 times"),
        (["--method", "kmeans", "--views", "2"], 1, "kmeans takes none; methods that take views:"),
        (["--method", "scp", "--views", "1"], 1, "n_views is 1; it must be 0, or at least 2"),
    ],
)
def test_wrong_words_say_what_is_allowed(
    picture_folder: Path, project: Path, arguments: list[str], status: int, message: str
) -> None:
    result = run("cluster", picture_folder, "-o", project, "-m", "color_histogram", *arguments)
    assert result.exit_code == status, result.output
    assert message in " ".join(result.stderr.split())
    assert not project.exists()


def test_a_missing_source_is_a_usage_error(tmp_path: Path) -> None:
    assert run("cluster", tmp_path / "nowhere").exit_code == 2
    assert run("cluster").exit_code == 2


def test_a_project_from_the_future(picture_folder: Path, project: Path) -> None:
    import sqlite3

    run("cluster", picture_folder, "-o", project, "-k", 2, *QUICK)
    with sqlite3.connect(project / "project.sqlite") as connection:
        connection.execute("UPDATE migrations SET version = 999 WHERE version = (SELECT max(version) FROM migrations)")
    connection.close()
    result = run("cluster", picture_folder, "-o", project, *QUICK)
    assert result.exit_code == 1
    assert "999" in result.stderr
    assert "newer" in result.stderr or "Upgrade" in result.stderr


def test_two_runs_on_one_project(picture_folder: Path, project: Path) -> None:

    run("cluster", picture_folder, "-o", project, "-k", 2, *QUICK)
    with Project.open(project) as other, other.lock():
        command = [sys.executable, "-m", "covey", "cluster", str(picture_folder), "-o", str(project), *QUICK]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert str(os.getpid()) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_one_line(picture_folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import covey.store

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "shard-000000.safetensors")

    with monkeypatch.context() as patch:
        patch.setattr(covey.store.FeatureStore, "write_shard", full)
        result = run("cluster", picture_folder, "-o", project, "-k", 2, *QUICK)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert ledger_of(run("cluster", picture_folder, "-o", project, "-k", 2, *QUICK).output)["embedded"] == 24


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_an_interrupted_run_goes_on(tmp_path: Path, project: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for i in range(3000):
        Image.fromarray(draw.integers(0, 255, size=(64, 64, 3), dtype=np.uint8)).save(folder / f"{i}.bmp")
    command = [sys.executable, "-m", "covey", "embed", str(folder), "-o", str(project), "-m", "random_patches"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(project.glob("features/*/shard-*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "run the same command again" in errors
    done = run("embed", folder, "-o", project, "-m", "random_patches")
    ledger = ledger_of(done.output)
    assert ledger["already"] > 0
    assert ledger["already"] + ledger["embedded"] == 3000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "nonsense"], "kmeans has no preset 'nonsense'"),
        (["--method", "hdbscan", "-k", 5], "HDBSCAN finds the number of clusters itself"),
        (["--method", "hdbscan", "-k", "fine"], "HDBSCAN finds the number of clusters itself"),
        (["-k", 3, "-p", "spherical=maybe"], "spherical is 'maybe'; it must be True or False"),
        (["-k", 3, "-p", "n_init=abc"], "n_init is 'abc'"),
        (["-k", 3, "-p", "n_inits=2"], "kmeans has no parameter 'n_inits'"),
        (["--k-min", 9, "--k-max", 4], "There is no number of clusters from 9 to 4"),
        (["-k", 25], "there are only 24 distinct images"),
        (["--views", 2], "kmeans takes none"),
        (["--engine", "magic"], "Unknown engine 'magic'"),
        (["--device", "abacus"], "Unknown device 'abacus'"),
    ],
)
def test_a_dry_run_refuses_what_a_run_refuses_and_both_before_anything_is_written(
    picture_folder: Path, project: Path, words: list[object], message: str
) -> None:
    for more in (["--dry-run"], []):
        result = run("cluster", picture_folder, "-o", project, *QUICK, *words, *more)
        assert result.exit_code == 1, more
        assert message in result.stderr, more
        assert not (project / "features").exists()

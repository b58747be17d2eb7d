"""A command that was killed at any moment is finished by the same command: one run, whole tables, a gallery."""

import csv
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from covey.cli import cli
from covey.store import Project

N_KILLS = 10
OPTIONS = ["-m", "color_histogram", "--method", "kmeans", "-k", "3", "-q"]


def check_whole(project: Path, *, n_runs: int = 1) -> None:
    """So many runs, the last one finished, with tables that list every image and pages that open."""
    with Project.open(project) as opened:
        assert len(opened.partitions()) == n_runs
        info = opened.partitions()[-1]
        n_images = len(opened.records())
        assert opened.upkeep.find_unfinished(info.info["request"]) is None
    with (project / "runs" / info.name / "assignments.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == n_images
    assert (project / "runs" / info.name / "clusters.json").is_file()
    assert (project / "gallery" / "index.html").is_file()
    assert not list(project.rglob("*.part"))
    assert not list(project.rglob("*.draft"))


@pytest.mark.parametrize("stage", ["write_tables", "write_gallery", "try_to_name"])
def test_a_run_that_fails_after_its_partition_is_finished(
    picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    words = ["cluster", str(picture_folder), "-o", str(tmp_path / "p.covey"), *OPTIONS]
    places = {
        "write_tables": "covey.store.Project.write_tables",
        "write_gallery": "covey.cli._report.write_gallery",
        "try_to_name": "covey.pipeline._cluster_folder.try_to_name",
    }

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(places[stage], die)
        assert CliRunner().invoke(cli, words).exit_code == 130
    assert CliRunner().invoke(cli, words).exit_code == 0
    check_whole(tmp_path / "p.covey")


def test_other_images_or_options_are_another_run(picture_folder: Path, tmp_path: Path) -> None:
    words = ["cluster", str(picture_folder), "-o", str(tmp_path / "p.covey"), *OPTIONS, "--no-gallery"]
    assert CliRunner().invoke(cli, words).exit_code == 0
    (tmp_path / "p.covey" / "runs" / "001-kmeans" / "finished").unlink()  # as if it had been killed
    assert CliRunner().invoke(cli, [*words, "--seed", "1"]).exit_code == 0
    (tmp_path / "p.covey" / "runs" / "002-kmeans" / "finished").unlink()
    next(picture_folder.iterdir()).unlink()
    assert CliRunner().invoke(cli, [*words, "--seed", "1"]).exit_code == 0
    with Project.open(tmp_path / "p.covey") as project:
        assert len(project.partitions()) == 3


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_random_moments(picture_folder: Path, tmp_path: Path) -> None:
    """Kills from the moment the partition is stored to the end: naming, tables and gallery; seeds are fixed."""
    rng = random.Random(0)  # noqa: S311 - chance that can be made again
    n_late = 0
    for trial in range(N_KILLS):
        project = tmp_path / f"{trial}.covey"
        words = ["cluster", str(picture_folder), "-o", str(project), *OPTIONS]
        process = subprocess.Popen([sys.executable, "-m", "covey", *words], stderr=subprocess.DEVNULL)
        while process.poll() is None and not has_partition(project):
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.4))
        n_late += process.poll() is None
        process.kill()
        process.wait()
        n_runs = 1
        if process.returncode != 0:
            # A run that was finished before its process was killed is done: the same command makes another one.
            n_runs += (project / "runs" / "001-kmeans" / "finished").exists()
            assert CliRunner().invoke(cli, words).exit_code == 0
        check_whole(project, n_runs=n_runs)
    assert n_late, "no kill came before the end"


def has_partition(project: Path) -> bool:
    """Tell whether a running command has stored its partition."""
    try:
        connection = sqlite3.connect(f"file:{project / 'project.sqlite'}?mode=ro", uri=True)
        try:
            return bool(connection.execute("SELECT count(*) FROM partitions").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return False

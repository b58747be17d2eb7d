"""A project may come from anywhere: what it holds cannot lead out of its folder, and damage is one clear error."""

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from covey.errors import CoveyError, ProjectError
from covey.store import Project
from covey.types import ClusterSummary, Partition

Make = Callable[..., tuple[Partition, list[ClusterSummary]]]


@pytest.fixture
def stored(filled: Project, make_partition: Make) -> Project:
    """A project with one partition, `run`."""
    filled.add_partition(*make_partition([record.id for record in filled.records()]), name="run")
    return filled


def edit(project: Project, statement: str, *values: object) -> None:
    """Change the database behind the project's back."""
    connection = sqlite3.connect(project.root / "project.sqlite")
    with connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize("name", ["../../evil", "..", "a/b", "", "a\x00b", "/evil", ".hidden", "a\x1b[31m", "CON|x"])
def test_a_run_name_that_leads_out_is_refused(stored: Project, tmp_path: Path, name: str) -> None:
    edit(stored, "UPDATE partitions SET name = ?", name)
    before = sorted(tmp_path.rglob("*"))
    for read in (
        stored.partitions,
        stored.partition_info,
        lambda: stored.write_tables(1),
        lambda: stored.run_folder(1),
    ):
        with pytest.raises(ProjectError, match="cannot be a folder's"):
            read()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("forged", ["../../evil", "a/b", "", "x" * 200, "a\x00"], ids=ascii)
def test_an_image_id_that_leads_out_is_refused(stored: Project, forged: str) -> None:
    edit(stored, "UPDATE images SET id = ? WHERE key = 1", forged)
    for read in (stored.records, stored.paths, stored.known_files, lambda: stored.partition(1)):
        with pytest.raises(ProjectError, match="is not the id of an image"):
            read()


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE files SET path = ? WHERE image = 1", b"a\x00b"),
        ("UPDATE files SET path = ? WHERE image = 1", "text"),
        ("UPDATE files SET mtime_ns = ?", "yesterday"),
        ("UPDATE images SET width = ?", b"\xff"),
        ("UPDATE images SET notes = ?", "[[1]]"),
        ("UPDATE images SET notes = ?", "[" * 100_000),
        ("UPDATE scans SET left_out = ?", "[]"),
        ("UPDATE scans SET image_root = ?", 7),
        ("UPDATE partitions SET info = ?", "[" * 100_000),
        ("UPDATE partitions SET info = ?", '{"backbone": 7}'),
        ("UPDATE partitions SET params = ?", "[1]"),
        ("UPDATE partitions SET n_images = ?", "many"),
        ("UPDATE partitions SET created_at = ?", b"\xff\xfe"),
        ("UPDATE clusters SET runners_up = ?", "[1]"),
        ("UPDATE clusters SET runner_up_scores = ?", '["high"]'),
        ("UPDATE clusters SET representatives = ?", "{"),
        ("UPDATE clusters SET size = ?", 999),
        ("UPDATE clusters SET cohesion = ?", float("inf")),
        ("UPDATE assignments SET confidence = ?", 7.0),
        ("UPDATE assignments SET confidence = ?", "high"),
        ("UPDATE assignments SET position = ?", 3),
    ],
)
def test_a_damaged_value_is_one_error(stored: Project, statement: str, value: object) -> None:
    edit(stored, statement, value)

    def read_all() -> None:
        stored.records(), stored.failures(), stored.ledger(), stored.paths(), stored.sources, stored.image_root
        list(stored.known_files()), stored.known_sizes(), stored.partitions(), stored.clusters(1), stored.partition(1)
        stored.members(1, 0), stored.borderline(1)

    with pytest.raises(
        ProjectError, match=r"its database is damaged: .+ Restore project\.sqlite from a copy"
    ) as caught:
        read_all()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_missing_table_is_one_error(stored: Project) -> None:
    edit(stored, "DROP TABLE clusters")
    with pytest.raises(ProjectError, match="damaged: no such table: clusters"):
        stored.clusters(1)


def test_damaged_pages_are_one_error(stored: Project, tmp_path: Path) -> None:
    stored.close()
    path = stored.root / "project.sqlite"
    whole = path.read_bytes()
    for page in range(1, len(whole) // 4096):
        path.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
        with suppress(CoveyError), Project.open(stored.root) as project:
            project.summary(), project.records(), project.partition(1), project.members(1, 0), project.paths()


def test_a_run_folder_that_is_a_link_out_of_the_project_is_not_written_to(stored: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for file in (stored.root / "runs" / "run").iterdir():
        file.unlink()
    (stored.root / "runs" / "run").rmdir()
    (stored.root / "runs" / "run").symlink_to(outside)
    with pytest.raises(ProjectError, match="leads out of its project"):
        stored.write_tables(1)
    assert list(outside.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_every_file_and_folder_of_a_project_follows_the_umask(
    tmp_path: Path, scan: Callable[..., None], make_partition: Make, mask: int
) -> None:
    former = os.umask(mask)
    try:
        with Project.open(tmp_path / "q.covey", create=True) as project, project.lock():
            scan(project, {"a.png": 1, "b.png": 2, "c.png": 3})
            ids = [record.id for record in project.records()]
            partition, clusters = make_partition(ids)
            project.features.write_shard("f00d", 0, ids, partition.probabilities)
            project.write_tables(project.add_partition(partition, clusters))
            project.write_evidence({})
    finally:
        os.umask(former)
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("q.covey/**/*")
    }
    assert len(modes) > 8
    wanted = {name: (0o777 if (tmp_path / name).is_dir() else 0o666) & ~mask for name in modes}
    assert modes == wanted

import dataclasses
import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covey.errors import InvalidValueError, ProjectError
from covey.store import Project, _partitions
from covey.types import NOISE, ClusterSummary, Partition

Make = Callable[..., tuple[Partition, list[ClusterSummary]]]


@pytest.fixture
def ids(filled: Project) -> list[str]:
    return [record.id for record in filled.records()]


def assert_equal(found: Partition, given: Partition) -> None:
    assert found.ids == given.ids
    for name in ("labels", "confidence", "second_labels", "probabilities"):
        one, other = getattr(found, name), getattr(given, name)
        assert (one is None) == (other is None), name
        if one is not None:
            assert one.dtype == other.dtype, name
            assert np.array_equal(one, other), name
    for name in ("fingerprint", "method", "params", "info"):
        assert getattr(found, name) == getattr(given, name), name


def contents(root: Path) -> dict[str, bytes]:
    """Everything in a project but the database and the lock."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("project."))
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.mark.parametrize("has_probabilities", [True, False])
def test_a_partition_comes_back(filled: Project, ids: list[str], make_partition: Make, has_probabilities: bool) -> None:
    given, clusters = make_partition(ids[::-1], has_probabilities=has_probabilities)
    partition_id = filled.add_partition(given, clusters)
    with Project.open(filled.root) as again:
        assert_equal(again.partition(partition_id), given)
        assert sorted(again.clusters(partition_id), key=lambda c: c.label) == clusters


def test_clusters_come_by_size(filled: Project, ids: list[str], make_partition: Make) -> None:
    sizes = [cluster.size for cluster in filled.clusters(filled.add_partition(*make_partition(ids, 5)))]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == 12


def test_what_is_known_of_partitions(filled: Project, ids: list[str], make_partition: Make) -> None:
    with pytest.raises(ProjectError, match=r"p\.covey' has no partition yet"):
        filled.partition_info()
    first = filled.add_partition(*make_partition(ids))
    second = filled.add_partition(*make_partition(ids[:7], 2, seed=1), name="Zweiter Lauf")
    assert second > first
    assert [info.id for info in filled.partitions()] == [first, second]
    info = filled.partition_info()
    assert (info.id, info.name, info.method, info.n_images, info.n_clusters) == (second, "Zweiter Lauf", "kmeans", 7, 2)
    assert info.created_at.endswith("+00:00")
    assert filled.partition_info(first).name == "001-kmeans"
    assert filled.partition_info(first).info == {"why": "größer", "curve": [1.0, None]}
    assert filled.run_folder(second) == filled.root / "runs" / "Zweiter Lauf"
    readers = (filled.partition_info, filled.partition, filled.clusters, filled.run_folder, filled.borderline)
    for read in (*readers, lambda partition_id: filled.members(partition_id, 0)):
        with pytest.raises(ProjectError, match="has no partition 9; there are: 1, 2"):
            read(9)


def test_members_come_surest_first_and_page_by_page(filled: Project, ids: list[str], make_partition: Make) -> None:
    given, clusters = make_partition(ids)
    tied = dataclasses.replace(given, confidence=np.round(given.confidence, 1))
    partition_id = filled.add_partition(tied, clusters)
    for cluster in clusters:
        members = filled.members(partition_id, cluster.label)
        rows = np.flatnonzero(tied.labels == cluster.label)
        expected = rows[np.argsort(-tied.confidence[rows], kind="stable")]
        assert [member.id for member in members] == [ids[row] for row in expected]
        pages = [filled.members(partition_id, cluster.label, offset=start, limit=2) for start in range(0, 12, 2)]
        assert [member for page in pages for member in page] == members
        assert filled.members(partition_id, cluster.label, offset=1) == members[1:]
        assert filled.members(partition_id, cluster.label, limit=0) == []
    assert filled.members(partition_id, 77) == []


def test_a_member_says_all_of_itself(filled: Project, ids: list[str], make_partition: Make) -> None:
    given, clusters = make_partition(ids)
    partition_id = filled.add_partition(given, clusters)
    label = int(given.labels[4])
    (member,) = (member for member in filled.members(partition_id, label) if member.id == ids[4])
    assert (member.path, member.width, member.height) == ("img5.png", 40, 30)
    assert (member.label, member.second_label) == (label, given.second_labels[4])
    assert member.confidence == given.confidence[4]


def test_borderline_images_come_least_sure_first_without_noise(
    filled: Project, ids: list[str], make_partition: Make
) -> None:
    given, clusters = make_partition(ids)
    confidence = given.confidence.copy()
    labels = np.where(np.arange(12) == 3, NOISE, given.labels)
    confidence[3] = 0
    noisy = dataclasses.replace(given, labels=labels, confidence=confidence)
    clusters = [dataclasses.replace(cluster, size=int((labels == cluster.label).sum())) for cluster in clusters]
    partition_id = filled.add_partition(noisy, clusters)
    expected = [row for row in np.argsort(confidence, kind="stable") if row != 3]
    assert [member.id for member in filled.borderline(partition_id)] == [ids[row] for row in expected]
    assert [member.id for member in filled.borderline(partition_id, limit=2)] == [ids[row] for row in expected[:2]]
    assert [member.id for member in filled.members(partition_id, NOISE)] == [ids[3]]


def test_a_partition_stays_as_it_was(
    filled: Project, ids: list[str], make_partition: Make, scan: Callable[..., None]
) -> None:
    given, clusters = make_partition(ids)
    partition_id = filled.add_partition(given, clusters)
    members = filled.members(partition_id, 0)
    scan(filled, {"other.png": "other"})
    filled.add_partition(*make_partition([filled.records()[0].id], 2, seed=3))
    assert_equal(filled.partition(partition_id), given)
    assert filled.members(partition_id, 0) == members, "images that are gone have their last path"


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".hidden", "a:b", "a\nb", "end.", "end ", "x" * 81, "a\\b", "nul\0", "\udcff"]
)
def test_a_name_that_cannot_be_a_folders(filled: Project, ids: list[str], make_partition: Make, name: str) -> None:
    with pytest.raises(InvalidValueError, match="cannot name a run"):
        filled.add_partition(*make_partition(ids), name=name)
    assert filled.partitions() == []


def test_a_name_is_used_once(filled: Project, ids: list[str], make_partition: Make) -> None:
    filled.add_partition(*make_partition(ids), name="002-KMEANS")
    with pytest.raises(ProjectError, match="There is a run called '002-kmeans' already"):
        filled.add_partition(*make_partition(ids), name="002-kmeans")
    names = [filled.partition_info(filled.add_partition(*make_partition(ids))).name for _ in range(2)]
    assert names == ["003-kmeans", "004-kmeans"]


def change(partition: Partition, **fields: object) -> Partition:
    return dataclasses.replace(partition, **fields)


WRONG = {
    "labels has shape": lambda p: change(p, labels=p.labels[1:]),
    "confidence has shape": lambda p: change(p, confidence=p.confidence[:, None]),
    "second_labels has shape": lambda p: change(p, second_labels=p.second_labels[1:]),
    "probabilities has shape": lambda p: change(p, probabilities=p.probabilities[1:]),
    "only 11 distinct": lambda p: change(p, ids=(*p.ids[:-1], p.ids[0])),
    "confidence must lie": lambda p: change(p, confidence=p.confidence + np.float32(1)),
    "confidence must": lambda p: change(p, confidence=np.where(np.arange(12) == 5, np.float32(np.nan), p.confidence)),
    "-1 or more": lambda p: change(p, labels=np.where(np.arange(12) == 5, -2, p.labels)),
    "images; its summary says": lambda p: change(p, labels=np.where(np.arange(12) == 5, 7, p.labels)),
    "params of the partition is not JSON-compatible": lambda p: change(p, params={"seed": np.int64(3)}),
    "info of the partition is not JSON-compatible": lambda p: change(p, info={"score": float("nan")}),
}


@pytest.mark.parametrize("message", WRONG)
def test_arrays_that_do_not_fit_are_refused(
    filled: Project, ids: list[str], make_partition: Make, message: str
) -> None:
    given, clusters = make_partition(ids)
    with pytest.raises(ValueError, match=message):
        filled.add_partition(WRONG[message](given), clusters)
    assert filled.partitions() == []
    assert contents(filled.root) == {}


def test_summaries_that_do_not_fit_are_refused(filled: Project, ids: list[str], make_partition: Make) -> None:
    given, clusters = make_partition(ids)
    with pytest.raises(ValueError, match="its summary says 0"):
        filled.add_partition(given, clusters[1:])
    with pytest.raises(ValueError, match="each label has one summary"):
        filled.add_partition(given, [*clusters, clusters[0]])
    empty = dataclasses.replace(clusters[0], label=9, size=0)
    assert len(filled.clusters(filled.add_partition(given, [*clusters, empty]))) == len(clusters) + 1


def test_images_of_another_project_are_refused(filled: Project, ids: list[str], make_partition: Make) -> None:
    with pytest.raises(ProjectError, match=r"2 images of the partition are not in the project \(first: x\)"):
        filled.add_partition(*make_partition([*ids, "x", "y"]))
    assert filled.partitions() == []
    assert contents(filled.root) == {}


# --- all or nothing ----------------------------------------------------------------------------------------------


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["_insert_clusters", "_insert_assignments", "save_file", "_write_matrix"])
def test_a_full_disk_leaves_nothing_of_the_new_and_all_of_the_old(
    filled: Project, ids: list[str], make_partition: Make, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    earlier, _ = given = make_partition(ids)
    first = filled.add_partition(*given)
    before = contents(filled.root)
    with monkeypatch.context() as patch:
        patch.setattr(_partitions, step, full_disk)
        with pytest.raises(ProjectError, match=r"the partition could not be written: .*No space left.*Nothing half"):
            filled.add_partition(*make_partition(ids, seed=1))
    assert [info.id for info in filled.partitions()] == [first]
    assert contents(filled.root) == before
    assert_equal(filled.partition(first), earlier)
    assert filled.add_partition(*make_partition(ids, seed=1)) == first + 1


def test_a_full_disk_in_the_database(project: Project, make_partition: Make, scan: Callable[..., None]) -> None:
    scan(project, {f"{i}.png": i for i in range(3000)})
    ids = [record.id for record in project.records()]
    earlier, _ = given = make_partition(ids[:50])
    first = project.add_partition(*given)
    before = contents(project.root)
    n_pages = project._connection.execute("PRAGMA page_count").fetchone()[0]
    project._connection.execute(f"PRAGMA max_page_count = {n_pages + 3}")
    with pytest.raises(ProjectError, match="database or disk is full"):
        project.add_partition(*make_partition(ids, seed=1))
    assert contents(project.root) == before
    assert_equal(project.partition(first), earlier)
    assert len(project.partitions()) == 1


def test_a_commit_that_fails_takes_the_file_along(filled: Project, ids: list[str], make_partition: Make) -> None:
    class Failing:
        """A connection whose disk is full when it comes to the commit."""

        def __init__(self, connection: sqlite3.Connection) -> None:
            self.connection = connection

        def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
            if sql == "COMMIT":
                raise sqlite3.OperationalError("database or disk is full")
            return self.connection.execute(sql, *arguments)

        def __getattr__(self, name: str) -> object:
            return getattr(self.connection, name)

    whole = filled._connection
    filled._connection = Failing(whole)
    with pytest.raises(ProjectError, match="disk is full"):
        filled.add_partition(*make_partition(ids))
    filled._connection = whole
    assert filled.partitions() == []
    assert contents(filled.root) == {}


def test_an_interrupt_leaves_nothing(
    filled: Project, ids: list[str], make_partition: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_partitions, "_write_matrix", interrupt)
    with pytest.raises(KeyboardInterrupt):
        filled.add_partition(*make_partition(ids))
    assert filled.partitions() == []


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from covey.store import Project, _partitions
from covey.types import ClusterName, ClusterSummary, Partition

root, step = Path(sys.argv[1]), sys.argv[2]
project = Project.open(root)
project._connection.execute("PRAGMA cache_size = 5")  # so that pages of the new partition reach the file before the end
whole = getattr(_partitions, step)

def killed(*arguments):
    whole(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(_partitions, step, killed)
ids = tuple(record.id for record in project.records())
labels = np.arange(len(ids)) % 2
half = np.full(len(ids), 0.5, np.float32)
partition = Partition(ids, labels, np.stack([half, half], 1), half, 1 - labels, "f00d", "kmeans", {})
sizes = np.bincount(labels)
project.add_partition(
    partition,
    [ClusterSummary(i, ClusterName(i, "n", 0.5), int(sizes[i]), 0.5, 0.5, 1 - i, (), ()) for i in range(2)],
)
"""


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
@pytest.mark.parametrize("step", ["_insert_partition", "_insert_clusters", "_insert_assignments", "_write_matrix"])
def test_a_killed_process_leaves_the_earlier_partitions(
    project: Project, make_partition: Make, scan: Callable[..., None], run_python: Callable[..., object], step: str
) -> None:
    scan(project, {f"{i}.png": i for i in range(2000)})
    ids = [record.id for record in project.records()]
    earlier, _ = given = make_partition(ids)
    first = project.add_partition(*given)
    project.close()
    result = run_python(KILLED, project.root, step)
    assert result.returncode == -9, result.stderr
    with Project.open(project.root) as again:
        assert [info.id for info in again.partitions()] == [first]
        assert_equal(again.partition(first), earlier)
        assert again._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert again._connection.execute("SELECT DISTINCT partition FROM assignments").fetchall() == [(first,)]
        later, clusters = make_partition(ids, seed=2, has_probabilities=False)
        second = again.add_partition(later, clusters)
        assert_equal(again.partition(second), later)
        assert not (again.run_folder(second) / "probabilities.safetensors").exists(), "left by the killed run"


def test_probabilities_that_are_gone_or_damaged(filled: Project, ids: list[str], make_partition: Make) -> None:
    partition_id = filled.add_partition(*make_partition(ids))
    path = filled.run_folder(partition_id) / "probabilities.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ProjectError, match=r"probabilities of run '001-kmeans' cannot be read .*promises"):
        filled.partition(partition_id)
    path.unlink()
    with pytest.raises(ProjectError, match=r"cannot be read .*No such file"):
        filled.partition(partition_id)
    assert filled.members(partition_id, 0), "the rest can still be read"


def test_a_partition_of_nothing(project: Project, make_partition: Make) -> None:
    partition_id = project.add_partition(*make_partition([], has_probabilities=False))
    assert project.partition(partition_id).ids == ()
    assert project.clusters(partition_id) == []
    assert project.partition_info().n_images == 0

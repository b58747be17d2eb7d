"""What is gone is counted, refused and pruned; an unfinished run is found again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covey.errors import ProjectError
from covey.store import Project
from covey.types import ClusterSummary, Partition

Make = Callable[..., tuple[Partition, list[ClusterSummary]]]
Scan = Callable[..., None]


@pytest.fixture
def full(project: Project, scan: Scan, make_partition: Make, tmp_path: Path) -> Project:
    """A project of nine images with a run, features and thumbnails."""
    scan(project, {f"{i}.png": i for i in range(9)}, sources=[tmp_path / "pics"])
    ids = [record.id for record in project.records()]
    partition, clusters = make_partition(ids)
    project.features.write_shard("f00d", 0, ids[:5], np.eye(9, dtype=np.float32)[:5])
    project.features.write_shard("f00d", 1, ids[5:], np.eye(9, dtype=np.float32)[5:])
    for image_id in ids:
        place = project.thumbnails / image_id[:2] / f"{image_id}.webp"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"1234")
    project.add_partition(partition, clusters)
    return project


def test_images_that_are_gone_are_counted_apart(full: Project, scan: Scan, tmp_path: Path) -> None:
    assert full.ledger().n_missing == 0
    scan(full, {f"{i}.png": i for i in range(6)}, sources=[tmp_path / "pics"])
    ledger = full.ledger()
    assert (ledger.n_found, ledger.n_embedded, ledger.n_missing) == (6, 6, 3)
    assert full.features.shard_ids("f00d") >= {record.id for record in full.records()}


def test_a_moved_image_is_not_missing(full: Project, scan: Scan, tmp_path: Path) -> None:
    scan(full, {f"moved/{i}.png": i for i in range(9)}, sources=[tmp_path / "pics"])
    assert full.ledger().n_missing == 0
    assert full.summary().n_missing == 9, "paths that are gone"


def test_a_replaced_image_is_not_missing(full: Project, scan: Scan, tmp_path: Path) -> None:
    scan(full, {f"{i}.png": i + 100 for i in range(9)}, sources=[tmp_path / "pics"])
    assert full.ledger().n_missing == 0


@pytest.mark.parametrize(("n_present", "is_refused"), [(5, False), (4, True), (1, True)])
def test_less_than_half_is_refused_and_changes_nothing(
    full: Project, scan: Scan, tmp_path: Path, n_present: int, is_refused: bool
) -> None:
    here = {f"{i}.png": i for i in range(n_present)}
    if is_refused:
        with pytest.raises(ProjectError, match=f"Only {n_present} of the 9 images .* --allow-missing"):
            scan(full, here, sources=[tmp_path / "pics"], allow_missing=False)
        assert full.ledger().n_embedded == 9
    else:
        scan(full, here, sources=[tmp_path / "pics"], allow_missing=False)
    scan(full, here, sources=[tmp_path / "pics"], allow_missing=True)
    assert full.ledger().n_embedded == n_present
    scan(full, {f"{i}.png": i for i in range(9)}, sources=[tmp_path / "pics"], allow_missing=False)
    assert full.ledger().n_missing == 0, "they come back"


def test_prune_keeps_what_a_run_holds(full: Project, scan: Scan, tmp_path: Path) -> None:
    scan(full, {f"{i}.png": i for i in range(6)}, sources=[tmp_path / "pics"])
    before = full.partition(1)
    report = full.upkeep.prune()
    assert (len(report.paths), len(report.images), len(report.kept), report.runs) == (3, 0, 3, ("001-kmeans",))
    assert full.partition(1).ids == before.ids
    assert len(full.features.shard_ids("f00d")) == 9
    assert full.ledger().n_missing == 0, "their paths are forgotten"


def test_prune_with_runs_removes_every_trace(full: Project, scan: Scan, tmp_path: Path) -> None:
    gone = [record.id for record in full.records()][6:]
    scan(full, {f"{i}.png": i for i in range(6)}, sources=[tmp_path / "pics"])
    planned = full.upkeep.prune(is_dry_run=True, with_runs=True)
    assert len(full.partitions()) == 1
    assert full.upkeep.prune(with_runs=True) == planned
    assert planned.images == tuple(sorted(gone))
    assert planned.n_bytes == 12
    assert full.partitions() == []
    assert not (full.root / "runs" / "001-kmeans").exists()
    assert sorted(full.known_sizes()) == sorted(full.features.shard_ids("f00d"))
    assert len(full.features.shard_ids("f00d")) == 6
    assert len(list(full.thumbnails.rglob("*.webp"))) == 6
    X = full.features.load("f00d", [record.id for record in full.records()]).X
    assert np.array_equal(X, np.eye(9, dtype=np.float32)[:6])
    assert not [path for path in full.root.rglob("*") if any(image_id in path.name for image_id in gone)]
    assert all(image_id.encode() not in path.read_bytes() for image_id in gone for path in full.root.rglob("shard-*"))


def test_prune_leaves_a_path_at_which_there_is_something_again(full: Project, scan: Scan, tmp_path: Path) -> None:
    scan(full, {f"{i}.png": i for i in range(6)}, sources=[tmp_path / "pics"])
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "8.png").write_bytes(b"back")
    assert len(full.upkeep.prune(is_dry_run=True).paths) == 2


def test_a_dry_run_changes_nothing(full: Project, scan: Scan, tmp_path: Path) -> None:
    scan(full, {"0.png": 0}, sources=[tmp_path / "pics"])
    before = {path: path.read_bytes() for path in full.root.rglob("*") if path.is_file()}
    full.upkeep.prune(is_dry_run=True, with_runs=True)
    assert {path: path.read_bytes() for path in full.root.rglob("*") if path.is_file()} == before


def test_an_unfinished_run_is_found_by_its_request_alone(filled: Project, make_partition: Make) -> None:
    ids = [record.id for record in filled.records()]
    partition, clusters = make_partition(ids)
    partition.info["request"] = "abc"
    number = filled.add_partition(partition, clusters)
    assert filled.upkeep.find_unfinished("abc") == number
    assert filled.upkeep.find_unfinished("other") is None
    filled.upkeep.finish_run(number)
    assert filled.upkeep.find_unfinished("abc") is None

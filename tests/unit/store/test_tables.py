import csv
import dataclasses
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covey.errors import ProjectError
from covey.store import Project
from covey.store._tables import read_evidence
from covey.types import NOISE, ClusterName, ClusterSummary, ImageFailure, ImageFile, ImageRecord, Partition

Make = Callable[..., tuple[Partition, list[ClusterSummary]]]
Scan = Callable[..., None]


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8"), newline="")))


def test_tables_lie_where_they_should(filled: Project, make_partition: Make) -> None:
    ids = [record.id for record in filled.records()]
    partition_id = filled.add_partition(*make_partition(ids), name="first")
    paths = filled.write_tables(partition_id)
    assert paths.assignments == filled.root / "runs" / "first" / "assignments.csv"
    assert paths.clusters == filled.root / "runs" / "first" / "clusters.json"
    assert paths.skipped == filled.root / "skipped.csv"
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in filled.write_tables(partition_id)] == before


def test_assignments_have_a_row_for_each_path(
    project: Project, scan: Scan, make_partition: Make, tmp_path: Path
) -> None:
    bad = ImageFailure(tmp_path / "pics" / "bad.png", "ERROR_CORRUPT_IMAGE", "cut short", 7)
    scan(project, {"b/2.png": 2, "b/10.png": 10, "a.png": 1, "copy.png": 10}, [bad])
    records = project.records()
    partition, clusters = make_partition([record.id for record in records], 2)
    partition_id = project.add_partition(partition, clusters)
    path = project.write_tables(partition_id).assignments
    assert path.read_text(encoding="utf-8").startswith("path,cluster,cluster_name,confidence,second_cluster\n")
    rows = read(path)
    assert [row["path"] for row in rows] == ["a.png", "b/2.png", "b/10.png", "copy.png"]
    labels = {
        project.paths_of(image_id)[0]: label for image_id, label in zip(partition.ids, partition.labels, strict=True)
    }
    assert [int(row["cluster"]) for row in rows] == [labels["a.png"], labels["b/2.png"], *[labels["b/10.png"]] * 2]
    for row in rows:
        assert row["cluster_name"] == f"name {row['cluster']}"
        assert 0 <= float(row["confidence"]) <= 1
        assert int(row["second_cluster"]) == 1 - int(row["cluster"])
    ledger = project.ledger()
    assert len(rows) + len(read(project.root / "skipped.csv")) == ledger.n_found


def test_no_field_is_empty(project: Project, scan: Scan) -> None:
    scan(project, {"a.png": 1, "b.png": 2})
    ids = tuple(record.id for record in project.records())
    ones, none = np.ones(2, np.float32), np.full(2, -1)
    partition = Partition(ids, np.array([0, NOISE]), None, ones, none, "f00d", "dbscan", {})
    clusters = [ClusterSummary(0, ClusterName(0, "", 0.0), 1, 1.0, 1.0, -1, ids[:1], ())]
    paths = project.write_tables(project.add_partition(partition, clusters))
    assert [list(row.values()) for row in read(paths.assignments)] == [
        ["a.png", "0", "Cluster 0", "1.0", "-1"],
        ["b.png", "-1", "Noise", "1.0", "-1"],
    ]
    (cluster,) = json.loads(paths.clusters.read_text(encoding="utf-8"))["clusters"]
    assert cluster["name"] == "Cluster 0"
    assert cluster["nearest_cluster"] == -1


def test_images_that_are_gone_have_no_row(filled: Project, scan: Scan, make_partition: Make) -> None:
    ids = [record.id for record in filled.records()]
    partition_id = filled.add_partition(*make_partition(ids))
    scan(filled, {f"img{i}.png": i for i in range(1, 6)})
    paths = filled.write_tables(partition_id)
    assert [row["path"] for row in read(paths.assignments)] == [f"img{i}.png" for i in range(1, 6)]
    shown = json.loads(paths.clusters.read_text(encoding="utf-8"))["clusters"]
    stored = filled.clusters(partition_id)
    assert [len(cluster["representatives"]) for cluster in shown] == [len(c.representatives) for c in stored]


def test_clusters_tell_where_they_come_from(filled: Project, make_partition: Make) -> None:
    from covey import __version__

    ids = [record.id for record in filled.records()]
    given, clusters = make_partition(ids)
    clusters[0] = dataclasses.replace(clusters[0], name=ClusterName(clusters[0].label, "Bäume", 0.75, ("Wald",)))
    partition_id = filled.add_partition(given, clusters)
    content = json.loads(filled.write_tables(partition_id).clusters.read_bytes().decode("utf-8"))
    info = filled.partition_info(partition_id)
    told = {name: value for name, value in content.items() if name != "clusters"}
    assert told == {
        "format": "covey-clusters",
        "version": 1,
        "covey_version": __version__,
        "created_at": info.created_at,
        "run": "001-kmeans",
        "method": "kmeans",
        "params": {"n_clusters": 3, "spherical": True},
        "info": {"why": "größer", "curve": [1.0, None]},
        "naming": {},
        "fingerprint": "f00d",
        "n_images": 12,
        "n_clusters": 3,
        "image_root": str(filled.image_root),
    }
    assert [cluster["size"] for cluster in content["clusters"]] == [c.size for c in filled.clusters(partition_id)]
    (named,) = (cluster for cluster in content["clusters"] if cluster["name"] == "Bäume")
    assert named["id"] == clusters[0].label
    assert named["candidates"] == [{"name": "Bäume", "score": 0.75}, {"name": "Wald", "score": None}]
    assert named["representatives"] == [filled.paths_of(i)[0] for i in clusters[0].representatives]
    assert named["borderline"] == [filled.paths_of(i)[0] for i in clusters[0].borderline]
    assert named["mean_confidence"] == pytest.approx(clusters[0].mean_confidence, abs=1e-6)
    assert (named["cohesion"], named["nearest_cluster"]) == (0.25, clusters[0].nearest_label)
    assert "Bäume" in (filled.run_folder(partition_id) / "clusters.json").read_text(encoding="utf-8")


def test_skipped_files_have_fastdups_header(filled: Project, scan: Scan, tmp_path: Path) -> None:
    root = tmp_path / "pics"
    bad = [
        ImageFailure(root / "b10.jpg", "ERROR_ZERO_SIZE_FILE", "The file is empty.", 0),
        ImageFailure(root / "sub" / "b9.jpg", "ERROR_TOO_LARGE", 'more, than "allowed"', 10**12),
        ImageFailure(tmp_path / "elsewhere.jpg", "ERROR_PERMISSION", "denied", 3),
        ImageFailure(root / "b9.jpg", "ERROR_UNSUPPORTED", "two\nlines", 4),
    ]
    scan(filled, {"img1.png": 1}, bad)
    path = filled.write_skipped()
    assert path.read_text(encoding="utf-8").startswith("index,filename,error_code,filesize,message\n")
    assert [tuple(row.values()) for row in read(path)] == [
        ("0", (tmp_path / "elsewhere.jpg").as_posix(), "ERROR_PERMISSION", "3", "denied"),
        ("1", "b9.jpg", "ERROR_UNSUPPORTED", "4", "two\nlines"),
        ("2", "b10.jpg", "ERROR_ZERO_SIZE_FILE", "0", "The file is empty."),
        ("3", "sub/b9.jpg", "ERROR_TOO_LARGE", "1000000000000", 'more, than "allowed"'),
    ]


def test_a_list_of_nothing_skipped_has_its_header(filled: Project) -> None:
    assert filled.write_skipped().read_text(encoding="utf-8") == "index,filename,error_code,filesize,message\n"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these file systems do not take any bytes as a name")
def test_any_name_makes_a_valid_table(project: Project, make_partition: Make, tmp_path: Path) -> None:
    names = [b"two\nlines.png", b'tab\t, quote" and\r.png', b"\xff.png", "größe 😀.png".encode()]
    paths = [tmp_path / os.fsdecode(name) for name in names]
    records = [ImageRecord(str(i), path, 1, 1) for i, path in enumerate(paths)]
    bad = ImageFailure(tmp_path / os.fsdecode(b"\xfe.png"), "ERROR_CORRUPT_IMAGE", "not \udcfe", 1)
    project.record_scan(records, [ImageFile(r.path, r.id, 1, 1) for r in records], [bad], tmp_path)
    tables = project.write_tables(project.add_partition(*make_partition(["0", "1", "2", "3"])))
    shown = {row["path"] for row in read(tables.assignments)}
    assert shown == {"two\nlines.png", 'tab\t, quote" and\r.png', r"\udcff.png", "größe 😀.png"}
    (skipped,) = read(tables.skipped)
    assert (skipped["filename"], skipped["message"]) == (r"\udcfe.png", r"not \udcfe")
    content = json.loads(tables.clusters.read_text(encoding="utf-8"))
    assert {path for cluster in content["clusters"] for path in cluster["representatives"]} <= shown


@pytest.mark.parametrize("name", ["assignments.csv", "clusters.json", "skipped.csv"])
def test_a_table_is_replaced_whole_or_not_at_all(
    filled: Project, make_partition: Make, scan: Scan, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ids = [record.id for record in filled.records()]
    partition_id = filled.add_partition(*make_partition(ids))
    tables = filled.write_tables(partition_id)
    (path,) = (table for table in tables if table.name == name)
    before = path.read_bytes()
    whole = Path.replace

    def full_disk(self: Path, target: Path) -> Path:
        if target.name == name:
            raise OSError(28, "No space left on device")
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", full_disk)
    scan(filled, {"img1.png": 1}, [ImageFailure(filled.root / "bad.png", "ERROR_CORRUPT_IMAGE", "", 1)])
    with pytest.raises(ProjectError, match=rf"{name}.* could not be written: .*No space left"):
        filled.write_tables(partition_id)
    assert path.read_bytes() == before
    assert not list(filled.root.rglob("*.part"))


def test_an_unknown_partition_writes_nothing(filled: Project) -> None:
    with pytest.raises(ProjectError, match="no partition"):
        filled.write_tables(1)
    assert not (filled.root / "runs").exists()


def test_evidence_is_written_whole_and_read_back(filled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert filled.evidence() is None
    path = filled.write_evidence({"n_clusters": 3, "reason": "é"})
    assert path == filled.root / "k.json"
    found = filled.evidence()
    assert found is not None
    assert found | {"n_clusters": 3, "reason": "é", "format": "covey-k", "version": 1} == found

    def full_disk(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(ProjectError, match=r"k\.json.* could not be written: .*No space left"):
        filled.write_evidence({"n_clusters": 4})
    assert filled.evidence() == found
    assert not list(filled.root.rglob("*.part"))


@pytest.mark.parametrize(
    "content", ["", "[1]", "{", '{"format": "other", "version": 1}', '{"format": "covey-k"}', "\xff"]
)
def test_a_strange_file_is_no_evidence(tmp_path: Path, content: str) -> None:
    (tmp_path / "k.json").write_text(content, encoding="latin-1")
    assert read_evidence(tmp_path) is None

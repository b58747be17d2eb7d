"""Names that change, scores of runners-up, and the representation of a run."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covey.errors import ProjectError
from covey.store import Project, _migrations
from covey.store._migrations import MIGRATIONS
from covey.types import ClusterName

Make = Callable[..., tuple]


@pytest.fixture
def ids(filled: Project) -> list[str]:
    return [record.id for record in filled.records()]


def test_new_names_take_the_place_of_the_old(filled: Project, ids: list[str], make_partition: Make) -> None:
    given, clusters = make_partition(ids)
    run = filled.add_partition(given, clusters)
    label = clusters[0].label
    name = ClusterName(label, "Füchse 🦊", 0.5, ("fox", "dog"), (0.25, 0.125))
    filled.write_names(run, [name], naming={"source": "a test", "n_words": 3})
    found = {cluster.label: cluster for cluster in filled.clusters(run)}
    assert found[label].name == name
    others = {cluster.label: cluster.name for cluster in clusters if cluster.label != label}
    assert {key: found[key].name for key in others} == others
    assert dataclasses.replace(found[label], name=clusters[0].name) == clusters[0]
    assert filled.partition_info(run).naming == {"source": "a test", "n_words": 3}
    np.testing.assert_array_equal(filled.partition(run).labels, given.labels)


def test_all_names_are_written_or_none(filled: Project, ids: list[str], make_partition: Make) -> None:
    given, clusters = make_partition(ids)
    run = filled.add_partition(given, clusters)
    before = filled.clusters(run)
    good = ClusterName(clusters[0].label, "new", 1.0)
    with pytest.raises(ProjectError, match="has no cluster 77"):
        filled.write_names(run, [good, ClusterName(77, "none", 1.0)], naming={})
    with pytest.raises(ValueError, match="naming of the partition is not JSON-compatible"):
        filled.write_names(run, [good], naming={"bad": float("nan")})
    assert filled.clusters(run) == before


def test_a_representation_comes_back(filled: Project, ids: list[str], make_partition: Make) -> None:
    given, clusters = make_partition(ids)
    Z = np.random.default_rng(0).normal(size=(len(ids), 5)).astype(np.float32)
    run = filled.add_partition(dataclasses.replace(given, representation=Z), clusters)
    found = filled.partition(run).representation
    np.testing.assert_array_equal(found, Z)
    assert not found.flags.writeable
    assert filled.partition(filled.add_partition(*make_partition(ids, seed=1))).representation is None
    with pytest.raises(ValueError, match=r"representation has shape \(3, 5\); the partition has 12 ids"):
        filled.add_partition(dataclasses.replace(given, representation=Z[:3]), clusters)


def test_a_damaged_representation_is_told(filled: Project, ids: list[str], make_partition: Make) -> None:
    given, clusters = make_partition(ids)
    Z = np.ones((len(ids), 5), dtype=np.float32)
    run = filled.add_partition(dataclasses.replace(given, representation=Z), clusters)
    (path,) = filled.run_folder(run).glob("representation.*")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ProjectError, match=r"The representation of run '001-kmeans' cannot be read.*cluster again"):
        filled.partition(run)


def test_a_project_of_the_second_schema_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(_migrations, "MIGRATIONS", MIGRATIONS[:2])
        with Project.open(tmp_path / "old.covey", create=True) as old:
            old._connection.execute("INSERT INTO images VALUES (1, 'abc', 4, 3, ?)", (b"/pics/a.png",))
            old._connection.execute(
                "INSERT INTO partitions VALUES (1, '001-kmeans', '2026-01-01', 'kmeans', '{}', '{}', 'f', 1, 1, 0, '0')"
            )
            old._connection.execute("INSERT INTO clusters VALUES (1, 0, 'old', .5, '[\"b\"]', 1, 1, 1, -1, '[]', '[]')")
    with Project.open(tmp_path / "old.covey") as project:
        assert project.partition_info().naming == {}
        assert project.clusters(1)[0].name == ClusterName(0, "old", 0.5, ("b",), ())
        project.write_names(1, [ClusterName(0, "new", 0.25, ("c",), (0.125,))], naming={"source": "x"})
        assert project.clusters(1)[0].name == ClusterName(0, "new", 0.25, ("c",), (0.125,))

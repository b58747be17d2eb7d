"""A run's tables as DataFrames, and its features."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covey.errors import MissingExtraError, ProjectError
from covey.store import Project

Make = Callable[..., Any]

RECORDED = {
    "tree": {"levels": [{"name": "groups", "n_clusters": 2, "members": [[0], [1, 2]]}], "groups": "groups"},
    "certainty": {"clusters": {"0": {"word": "clear", "mean": 0.9, "n_unsure": 3}}},
}


@pytest.fixture
def run(filled: Project, make_partition: Make) -> int:
    """Return a run of the twelve images with recorded groups."""
    partition, clusters = make_partition([record.id for record in filled.records()])
    return filled.add_partition(replace(partition, info=RECORDED), clusters)


def test_assignments_are_those_of_the_file(filled: Project, run: int) -> None:
    pytest.importorskip("pandas")
    table = filled.assignments(run)
    with filled.write_tables(run).assignments.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert list(table.columns) == header
    assert table.astype(str).to_numpy().tolist() == rows
    assert len(table) == 12
    assert filled.assignments().equals(table)  # the latest


def test_clusters_have_their_groups_and_how_clear_they_are(filled: Project, run: int) -> None:
    pytest.importorskip("pandas")
    table = filled.clusters_table(run)
    clusters = {cluster.label: cluster for cluster in filled.clusters(run)}
    assert table["size"].to_dict() == {label: cluster.size for label, cluster in clusters.items()}
    assert table["name"].to_dict() == {label: cluster.name.name for label, cluster in clusters.items()}
    assert table.loc[0, ["clarity", "n_unsure", "group"]].tolist() == ["clear", 3, 0]
    assert table.loc[1, ["clarity", "n_unsure", "group"]].tolist() == ["", 0, 1]


def test_features_come_in_the_order_of_the_run(filled: Project, make_partition: Make) -> None:
    ids = [record.id for record in filled.records()]
    X = np.arange(24, dtype=np.float32).reshape(12, 2)
    filled.features.write_shard("model-1", 0, ids, X)
    partition, clusters = make_partition(ids[::-1])
    run = filled.add_partition(replace(partition, fingerprint="model-1"), clusters)
    features = filled.features_of(run)
    assert features.ids == tuple(ids[::-1])
    np.testing.assert_array_equal(features.X, X[::-1])


def test_a_run_of_joined_models_says_what_to_do(filled: Project, run: int) -> None:
    with pytest.raises(ProjectError, match=r"not made from the features of one model; .*project\.features\.load"):
        filled.features_of(run)


def test_without_pandas_the_extra_is_named(filled: Project, run: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.registry.find_spec", lambda name: None)
    for method in (filled.assignments, filled.clusters_table):
        with pytest.raises(MissingExtraError, match=r"pip install 'covey\[pandas\]'"):
            method(run)


def test_a_project_opens_by_the_name_of_its_folder(filled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(filled.root.parent)
    with Project.open(filled.root.name) as opened:
        assert opened.root == Path(filled.root.name)
        assert len(opened.records()) == 12

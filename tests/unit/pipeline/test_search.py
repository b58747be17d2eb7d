"""Search through the whole path: by picture, text and cluster; in features and representations; what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covey.errors import ImageReadError, InvalidValueError, ProjectError
from covey.pipeline import search_project
from covey.store import Project

MakeProject = Callable[..., Path]


@pytest.fixture
def project(coloured_project: MakeProject) -> Iterator[Project]:
    with Project.open(coloured_project(has_names=False)) as opened:
        yield opened


def colours(result) -> set[str]:
    return {hit.path.split("-")[0] for hit in result.hits}


def test_by_a_picture_of_the_project(project: Project, picture_folder: Path) -> None:
    result = search_project(project, image=picture_folder / "green-3.png", n_hits=7)
    assert colours(result) == {"green"}
    assert len(result.hits) == 7
    assert "green-3.png" not in [hit.path for hit in result.hits]
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert 0.9 < scores[-1] <= scores[0] <= 1
    assert (result.n_searched, result.space, result.engine, result.recall) == (24, "features", "exact", 1.0)


def test_by_a_picture_from_elsewhere(project: Project, tmp_path: Path) -> None:
    Image.new("RGB", (30, 50), (10, 20, 190)).save(tmp_path / "query.png")
    result = search_project(project, image=tmp_path / "query.png", n_hits=8)
    assert colours(result) == {"blue"}
    assert len(project.records()) == 24


def test_by_words(project: Project) -> None:
    result = search_project(project, text="  something   red ", n_hits=8)
    assert colours(result) == {"red"}
    assert (result.source, result.is_bridge, result.space) == ("the text tower of colour_words", False, "texts")


def test_by_a_cluster_and_within_one(project: Project) -> None:
    label = next(c.label for c in project.clusters(1) if project.members(1, c.label)[0].path.startswith("blue"))
    assert colours(search_project(project, cluster=label, n_hits=8)) == {"blue"}
    inside = search_project(project, text="red", within=label)
    assert colours(inside) == {"blue"}
    assert inside.n_searched == 8
    assert {hit.cluster for hit in inside.hits} == {label}


def test_a_cut_off(project: Project) -> None:
    assert colours(search_project(project, text="red", n_hits=24, min_score=0.8)) == {"red"}
    assert search_project(project, text="yellow", min_score=1.0).hits == ()


def test_an_approximate_engine_keeps_its_index(project: Project, picture_folder: Path) -> None:
    pytest.importorskip("usearch")
    exact = search_project(project, image=picture_folder / "red-0.png", n_hits=5)
    first = search_project(project, image=picture_folder / "red-0.png", n_hits=5, engine="usearch")
    assert [hit.path for hit in first.hits] == [hit.path for hit in exact.hits]
    assert first.engine == "usearch"
    assert first.recall > 0.9
    (index,) = project.run_folder(1).glob("*.usearch")
    before = index.stat().st_mtime_ns
    again = search_project(project, image=picture_folder / "red-0.png", n_hits=5, engine="usearch")
    assert again == first
    assert index.stat().st_mtime_ns == before
    assert search_project(project, text="red", engine="usearch").engine == "exact"


@pytest.mark.filterwarnings("ignore:The predictions for 3 clusters")
def test_a_representation_is_kept_and_searched(coloured_project: MakeProject, picture_folder: Path) -> None:
    root = coloured_project(method="scp", params={"n_epochs": 3}, has_names=False)
    with Project.open(root) as project:
        Z = project.partition(1).representation
        assert Z.shape == (24, 3)
        assert not Z.flags.writeable
        np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1, atol=1e-5)
        assert project.partition_info().info["representation"] == {"n_features": 3, "is_kept": True}
        query = picture_folder / "green-3.png"
        result = search_project(project, image=query, space="representation", n_hits=24)
        row = project.partition(1).ids.index(next(r.id for r in project.records() if r.path == query))
        assert len(result.hits) == 23
        assert result.hits[0].score == pytest.approx(np.sort(Z @ Z[row])[-2], abs=1e-5)
        outside = picture_folder.parent / "other.png"
        Image.new("RGB", (9, 9), (1, 2, 3)).save(outside)
        with pytest.raises(InvalidValueError, match="a representation is kept for those alone"):
            search_project(project, image=outside, space="representation")


def test_a_large_representation_is_not_kept(coloured_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.partitions.MAX_REPRESENTATION_BYTES", 10)
    with Project.open(coloured_project(method="scp", params={"n_steps": 60}, has_names=False)) as project:
        assert project.partition(1).representation is None
        assert project.partition_info().info["representation"] == {"n_features": 3, "is_kept": False}


def test_k_means_distances_are_no_representation(project: Project) -> None:
    assert project.partition(1).representation is None
    with pytest.raises(ProjectError, match="keeps no representation: kmeans makes none"):
        search_project(project, cluster=0, space="representation")


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        ({}, InvalidValueError, "exactly one query"),
        ({"text": "red", "cluster": 0}, InvalidValueError, "exactly one query"),
        ({"text": "  \n"}, InvalidValueError, "query is empty"),
        ({"text": "red", "space": "representation"}, InvalidValueError, "Words can be compared with features only"),
        ({"text": "red", "space": "Q"}, InvalidValueError, "Unknown space 'Q'"),
        ({"text": "red", "min_score": 2}, InvalidValueError, "least score is 2"),
        ({"text": "red", "n_hits": 0}, InvalidValueError, "0 hits were asked for"),
        ({"text": "red", "within": 8}, ProjectError, "has no cluster 8; it has 0 to 2"),
        ({"cluster": -1}, ProjectError, "has no cluster -1"),
        ({"text": "red", "partition_id": 5}, ProjectError, "no partition 5"),
    ],
)
def test_wrong_requests_are_told(project: Project, query: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        search_project(project, **query)


def test_a_query_that_is_no_picture(project: Project, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(ImageReadError, match=r"broken\.png: it is not an image"):
        search_project(project, image=tmp_path / "broken.png")


def test_features_of_another_precision_are_not_compared(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from covey.backbones import load_backbone

    monkeypatch.setattr(type(load_backbone("colour_words")), "fingerprint", "colour_words-2")
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "query.png")
    with pytest.raises(ProjectError, match=r"are colour_words-1, but colour_words gives colour_words-2 here"):
        search_project(project, image=tmp_path / "query.png")

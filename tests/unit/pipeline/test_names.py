"""Names through the whole path: a text tower, a bridge, captions, and runs that cannot or must not be named."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covey.errors import InvalidValueError, ProjectError
from covey.gallery import write_gallery
from covey.pipeline import cluster_folder, folder_vocabulary, name_partition
from covey.store import Project
from covey.text import CallableCaptioner, vocabulary_from
from covey.types import ClusterName

MakeProject = Callable[..., Path]
COLOURS = vocabulary_from(["green", "blue", "red", "yellow"], source="a list of colours")


def colours_of(project: Project) -> dict[str, set[str]]:
    """Return the first words of the file names in each named cluster."""
    found: dict[str, set[str]] = {}
    for cluster in project.clusters(1):
        members = project.members(1, cluster.label)
        found.setdefault(cluster.name.name, set()).update(member.path.split("-")[0] for member in members)
    return found


def test_a_run_is_named_by_default(coloured_project: MakeProject) -> None:
    with Project.open(coloured_project()) as project:
        names = [cluster.name for cluster in project.clusters(1)]
        naming = project.partition_info().naming
    assert all(not name.name.startswith("Cluster") and 0 < name.score <= 1 for name in names)
    assert len({name.name for name in names}) == 3
    assert naming["source"] == "the text tower of colour_words"
    assert not naming["is_bridge"]
    assert naming["n_words"] >= 3000
    assert naming["templates"] == ["a photo of a {}"]


def test_own_words_and_what_they_leave_alone(coloured_project: MakeProject) -> None:
    with Project.open(coloured_project(has_names=False)) as project, project.lock():
        before = project.partition(1)
        assert [c.name.name for c in project.clusters(1)] == ["Cluster 0", "Cluster 1", "Cluster 2"]
        assert project.partition_info().naming == {}
        report = name_partition(project, 1, vocabulary=COLOURS)
        assert colours_of(project) == {"red": {"red"}, "green": {"green"}, "blue": {"blue"}}
        assert (report.n_named, report.n_unnamed, report.vocabulary) == (3, 0, "a list of colours")
        after = project.partition(1)
        np.testing.assert_array_equal(before.labels, after.labels)
        np.testing.assert_array_equal(before.confidence, after.confidence)
        assert before.ids == after.ids
        assert before.info == after.info


def test_tables_and_gallery_say_the_names(coloured_project: MakeProject, tmp_path: Path) -> None:
    with Project.open(coloured_project(has_names=False)) as project, project.lock():
        name_partition(project, 1, vocabulary=COLOURS, threshold=0, n_runners_up=2)
        tables = project.write_tables(1)
        page = write_gallery(project, 1, tmp_path / "gallery")
    with tables.assignments.open(encoding="utf-8", newline="") as stream:
        assert {row["cluster_name"] for row in csv.DictReader(stream)} == {"red", "green", "blue"}
    told = json.loads(tables.clusters.read_text(encoding="utf-8"))
    assert told["naming"]["vocabulary"] == "a list of colours"
    for cluster in told["clusters"]:
        scores = [candidate["score"] for candidate in cluster["candidates"]]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
    assert "<h2>red</h2>" in page.read_text(encoding="utf-8")
    shown = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "gallery" / "clusters").glob("*.html"))
    assert "or: " in shown


def test_folder_names_are_a_vocabulary(coloured_project: MakeProject, picture_folder: Path) -> None:
    for path in list(picture_folder.glob("*.png")):
        folder = picture_folder / f"My_{path.name.split('-')[0].title()}"
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    with Project.open(coloured_project(has_names=False)) as project, project.lock():
        assert set(folder_vocabulary(project).words) == {"My Red", "My Green", "My Blue"}
        name_partition(project, 1, vocabulary=folder_vocabulary(project))
        assert {name: next(iter(paths))[:6] for name, paths in colours_of(project).items()} == {
            "My Red": "My_Red", "My Green": "My_Gre", "My Blue": "My_Blu",
        }  # fmt: skip


def test_without_folders_there_is_no_vocabulary(coloured_project: MakeProject) -> None:
    with (
        Project.open(coloured_project(has_names=False)) as project,
        pytest.raises(InvalidValueError, match="names of the folders holds no word"),
    ):
        folder_vocabulary(project)


def test_a_threshold_that_nothing_reaches_leaves_clusters_unnamed(coloured_project: MakeProject) -> None:
    with Project.open(coloured_project(has_names=False)) as project, project.lock():
        words = vocabulary_from(["red", "dark red", "deep red"], source="reds")
        report = name_partition(project, 1, vocabulary=words, threshold=0.9)
        assert (report.n_named, report.n_unnamed) == (0, 3)
        clusters = project.clusters(1)
        assert [c.name.name for c in clusters] == ["Unnamed 0", "Unnamed 1", "Unnamed 2"]
        assert all(len(c.name.runners_up) == len(c.name.runner_up_scores) > 0 for c in clusters)


def test_captions_name_clusters(coloured_project: MakeProject, picture_folder: Path) -> None:
    def describe(image: np.ndarray) -> str:
        return f"a very {('red', 'green', 'blue')[image.mean(axis=(0, 1)).argmax()]} picture"

    with Project.open(coloured_project(has_names=False)) as project, project.lock():
        (picture_folder / "red-3.png").unlink()  # one that is gone has no vote
        report = name_partition(project, 1, vocabulary=COLOURS, captioner=CallableCaptioner(describe))
        assert colours_of(project) == {"red": {"red"}, "green": {"green"}, "blue": {"blue"}}
        assert report.source == "captions of CallableCaptioner"
        with pytest.raises(InvalidValueError, match="leave out the templates"):
            name_partition(project, 1, captioner=CallableCaptioner(describe), templates=["a {}"])


def test_a_model_that_knows_pictures_only(picture_folder: Path, tmp_path: Path) -> None:
    result = cluster_folder([picture_folder], tmp_path / "p.covey", n_clusters=3, backbone="color_histogram")
    assert result.naming is None
    assert "color_histogram knows pictures only" in result.naming_reason
    with Project.open(result.project) as project, project.lock():
        with pytest.raises(InvalidValueError, match="knows pictures only"):
            name_partition(project, 1)
        assert [c.name.name for c in project.clusters(1)] == ["Cluster 0", "Cluster 1", "Cluster 2"]


def test_a_failure_to_name_does_not_end_a_run(
    coloured_project: MakeProject, monkeypatch: pytest.MonkeyPatch, picture_folder: Path, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError("a bug")

    monkeypatch.setattr("covey.pipeline._names.name_clusters", broken)
    result = cluster_folder([picture_folder], tmp_path / "q.covey", n_clusters=3, backbone="colour_words")
    assert result.naming is None
    assert result.naming_reason == "naming failed (IndexError: a bug)"
    assert result.n_clusters == 3
    assert all(table.is_file() for table in result.tables)


def test_an_interruption_while_naming_costs_the_names_alone(
    coloured_project: MakeProject, monkeypatch: pytest.MonkeyPatch, picture_folder: Path, tmp_path: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("covey.pipeline._names.name_clusters", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cluster_folder([picture_folder], tmp_path / "r.covey", n_clusters=3, backbone="colour_words")
    with Project.open(tmp_path / "r.covey") as project:
        folder = project.run_folder(1)
        assert len(project.clusters(1)) == 3
    rows = list(csv.DictReader((folder / "assignments.csv").open(encoding="utf-8")))
    assert {row["cluster"] for row in rows} == {"0", "1", "2"}
    assert (folder / "clusters.json").is_file()


@pytest.fixture
def colour_classes(colour_words: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the backbone have a classifier in place of its text tower: red is fire engines, green frogs, blue sharks."""
    from covey.backbones import BACKBONES, load_backbone

    spec = replace(BACKBONES["colour_words"], has_text=False, classifier="fc")
    monkeypatch.setattr(type(load_backbone(colour_words)), "spec", spec)
    weight = np.zeros((1000, 4), dtype=np.float32)
    weight[[555, 31, 2], [0, 1, 2]] = 40  # fire engine, tree frog, great white shark
    monkeypatch.setattr("covey.pipeline._names.read_classifier", lambda _: (weight, np.zeros(1000, dtype=np.float32)))
    return colour_words


def test_a_classifier_names_clusters_without_an_embedder_of_texts(
    coloured_project: MakeProject, colour_classes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covey.text._minilm.PACKAGE", "no-such-package")
    with Project.open(coloured_project()) as project:
        assert colours_of(project) == {
            "fire engine": {"red"},
            "tree frog": {"green"},
            "great white shark": {"blue"},
        }
        naming = project.partition_info().naming
    assert naming["source"] == "colour_words's ImageNet classifier"
    assert (naming["vocabulary"], naming["is_bridge"], naming["note"]) == ("WordNet", False, "")


def test_words_that_fit_by_chance_name_nothing(coloured_project: MakeProject) -> None:
    words = vocabulary_from(["stapler", "invoice", "deadline"], source="the office")
    with Project.open(coloured_project(has_names=False)) as project, project.lock():
        report = name_partition(project, 1, vocabulary=words, threshold=0)
        assert (report.n_named, report.n_unnamed) == (0, 3)
        assert report.note.startswith("these words do not separate your images")
        assert {c.name.name for c in project.clusters(1)} == {"Unnamed 0", "Unnamed 1", "Unnamed 2"}
        assert project.partition_info().naming["note"] == report.note


def test_wrong_requests_are_told(coloured_project: MakeProject) -> None:
    with Project.open(coloured_project(has_names=False)) as project, project.lock():
        with pytest.raises(InvalidValueError, match="threshold is 2"):
            name_partition(project, 1, threshold=2)
        with pytest.raises(InvalidValueError, match="exactly once"):
            name_partition(project, 1, templates=["a {}", "no place"])
        with pytest.raises(ProjectError, match="no partition 7"):
            name_partition(project, 7)
        with pytest.raises(ProjectError, match="has no cluster 9"):
            project.write_names(1, [ClusterName(9, "nine", 1.0)], naming={})
        assert project.partition_info().naming == {}


def test_joined_backbones_speak_through_the_one_that_can(coloured_project: MakeProject) -> None:
    root = coloured_project(backbone=["color_histogram", "colour_words"], has_names=False)
    with Project.open(root) as project, project.lock():
        report = name_partition(project, 1, vocabulary=COLOURS)
        assert report.source == "the text tower of colour_words"
        assert colours_of(project) == {"red": {"red"}, "green": {"green"}, "blue": {"blue"}}


def test_several_prompts_are_averaged(colour_words: str) -> None:
    from covey.backbones import load_backbone
    from covey.text import tower_space

    space = tower_space(load_backbone(colour_words))
    one, other = (space.place_words(["red"], [f"{{}} and {colour}"])[0] for colour in ("green", "blue"))
    both = space.place_words(["red"], ["{} and green", "{} and blue"])[0]
    np.testing.assert_allclose(both, (one + other) / np.linalg.norm(one + other), atol=1e-6)


def test_with_many_clusters_fewer_images_vote() -> None:
    from covey.pipeline._names import _images_a_cluster

    assert [_images_a_cluster(k) for k in (1, 10, 100, 1000, 10**6)] == [2000, 2000, 1000, 100, 50]


def test_a_model_that_the_record_cannot_find_again_is_given(
    coloured_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from covey.backbones import BACKBONES, load_backbone

    root = coloured_project()
    model, other = load_backbone("colour_words"), load_backbone("color_histogram")
    monkeypatch.delitem(BACKBONES._known(), "colour_words")  # as if it had come from a folder
    with Project.open(root) as project, project.lock():
        with pytest.raises(InvalidValueError, match="give its path with -m"):
            name_partition(project, 1)
        with pytest.raises(InvalidValueError, match=r"run '001-kmeans' clustered colour_words-1"):
            name_partition(project, 1, backbones=[other])
        assert name_partition(project, 1, vocabulary=COLOURS, backbones=[model]).n_named == 3


@pytest.mark.slow
def test_the_text_tower_of_a_folder_speaks(
    tiny_model: Callable[[str], Path], picture_folder: Path, tmp_path: Path
) -> None:
    """CLIP's architecture at random weights: the words mean nothing, but they go the whole way."""
    from covey.pipeline import load_backbones, search_project

    folder = str(tiny_model("clip"))
    result = cluster_folder([picture_folder], tmp_path / "clip.covey", n_clusters=3, backbone=folder)
    assert result.naming is not None
    assert result.naming.source == f"the text tower of {Path(folder).name}"
    with Project.open(result.project) as project:
        model = load_backbones(folder, device="cpu")
        found = search_project(project, text="a red picture", n_hits=3, backbones=model)
    assert len(found.hits) == 3
    assert not found.is_bridge

"""Several backbones and views through the pipeline: what estimators get, what is recorded, who is left out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from covey._arrays import l2_normalize
from covey.backbones import load_backbone
from covey.cluster import SCP
from covey.errors import InvalidValueError
from covey.extract import load_views
from covey.pipeline import cluster_folder, embed_folder
from covey.store import Project

BOTH = ["color_histogram", "random_patches"]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "pictures.covey"


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, Any]]:
    """Return a list that collects the X and views of each fit of SCP, which then deals the rows out like cards."""
    calls: list[tuple[np.ndarray, Any]] = []

    def fit(self: SCP, X: np.ndarray, y: Any = None, *, views: Any = None, progress: Any = None) -> SCP:
        calls.append((X, views))
        self.labels_ = np.arange(len(X)) % self.n_clusters
        return self

    monkeypatch.setattr(SCP, "fit", fit)
    monkeypatch.setattr(SCP, "transform", lambda self, X: X[:, :2])
    return calls


def test_a_method_gets_the_joined_features_and_views(
    picture_folder: Path, output: Path, fitted: list[tuple[np.ndarray, Any]]
) -> None:
    result = cluster_folder([picture_folder], output, n_clusters=3, backbone=BOTH, n_views=2, method="scp")
    ((X, views),) = fitted
    with Project.open(output) as project:
        ids = [record.id for record in project.records()]
        info = project.partition_info(result.partition_id)
        end = 0
        for name in BOTH:
            fingerprint = load_backbone(name).fingerprint
            rows = project.features.load(fingerprint, ids).X
            columns = slice(end, end := end + rows.shape[1])
            assert np.array_equal(X[:, columns], l2_normalize(rows))
            copies = load_views(project.features, fingerprint, ids, n_views=2)
            for number in range(2):
                assert np.array_equal(views[:, number, columns], l2_normalize(copies[:, number]))
        assert X.shape[1] == end
    assert info.backbones == result.backbones == tuple(BOTH)
    assert [entry["n_features"] for entry in info.info["backbone"]] == [320, 512]
    assert info.info["normalize_parts"] is True
    assert (info.info["n_views"], info.info["augmentation"]["crop_area"]) == (2, [0.5, 1.0])
    assert all(load_backbone(name).fingerprint in info.fingerprint for name in BOTH)
    assert (result.extract.n_views_computed, result.extract.n_views_reused) == (96, 0)


def test_without_views_a_method_gets_none(
    picture_folder: Path, output: Path, fitted: list[tuple[np.ndarray, Any]]
) -> None:
    result = cluster_folder([picture_folder], output, n_clusters=3, backbone="color_histogram", method="scp")
    ((_, views),) = fitted
    assert views is None
    with Project.open(output) as project:
        info = project.partition_info(result.partition_id).info
        assert len(project.features.fingerprints()) == 1
    assert info["backbone"]["name"] == "color_histogram"
    assert "n_views" not in info
    assert "augmentation" not in info


def test_plain_concatenation(picture_folder: Path, output: Path, fitted: list[tuple[np.ndarray, Any]]) -> None:
    words = {"n_clusters": 3, "backbone": BOTH, "method": "scp"}
    plain = cluster_folder([picture_folder], output, normalize_parts=False, **words)
    scaled = cluster_folder([picture_folder], output, **words)
    (first, _), (second, _) = fitted
    assert not np.allclose(first, second)
    assert np.allclose(np.linalg.norm(second, axis=1), np.sqrt(2))
    with Project.open(output) as project:
        infos = [project.partition_info(result.partition_id) for result in (plain, scaled)]
    assert [info.info["normalize_parts"] for info in infos] == [False, True]
    assert infos[0].fingerprint != infos[1].fingerprint


def test_one_backbone_after_several_computes_nothing(picture_folder: Path, output: Path) -> None:
    embed_folder([picture_folder], output, backbone=BOTH[:1])
    features, both, _ = embed_folder([picture_folder], output, backbone=BOTH)
    assert (both.n_computed, both.n_reused) == (24, 0)  # not one had features of both
    assert features.X.shape == (24, 832)
    Image.new("RGB", (64, 48), (250, 250, 0)).save(picture_folder / "yellow.png")
    _, more, ledger = embed_folder([picture_folder], output, backbone=BOTH[::-1], n_views=2)
    assert (more.n_computed, more.n_reused, ledger.n_embedded) == (1, 24, 25)
    assert (more.n_views_computed, more.n_views_reused) == (100, 0)
    _, one, _ = embed_folder([picture_folder], output, backbone=BOTH[1], n_views=3)
    assert (one.n_computed, one.n_reused, one.n_views_computed, one.n_views_reused) == (0, 25, 25, 50)


@pytest.mark.parametrize("stage_and_total", [("embed", 24), ("views", 48)], ids=["second backbone", "views"])
def test_an_image_that_fails_anywhere_is_left_out_everywhere(
    stage_and_total: tuple[str, int], picture_folder: Path, output: Path, fitted: list[tuple[np.ndarray, Any]]
) -> None:
    """A picture disappears after the first backbone has seen it, or between the views of the two."""
    gone = picture_folder / "red-3.png"

    def disappear(stage: str, n_done: int, n_total: int | None) -> None:
        if (stage, n_done) == stage_and_total:
            gone.unlink(missing_ok=True)

    result = cluster_folder(
        [picture_folder], output, n_clusters=3, backbone=BOTH, n_views=2, method="scp",
        progress=disappear,
    )  # fmt: skip
    ledger = result.ledger
    assert ledger.failures == {"ERROR_MISSING_FILE": 1}
    assert ledger.n_found == 24 == ledger.n_embedded + ledger.n_duplicates + 1
    assert [failure.path for failure in result.extract.failures] == [gone]
    assert (result.extract.n_computed, result.extract.n_reused) == (23, 0)
    ((X, views),) = fitted
    assert len(X) == len(views) == 23
    with Project.open(output) as project:
        assert len(project.partition(result.partition_id).ids) == 23


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"n_views": 2}, "kmeans takes none; methods that take views: .*scp"),
        ({"n_views": 1, "method": "scp"}, "n_views is 1; it must be 0, or at least 2"),
        ({"n_views": -1, "method": "scp"}, "n_views is -1"),
        ({"backbone": ["color_histogram"] * 2}, "'color_histogram' was given 2 times"),
        ({"backbone": []}, "No backbone was given"),
    ],
)
def test_what_cannot_be_is_said_before_a_picture_is_read(
    words: dict[str, Any], message: str, picture_folder: Path, output: Path
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        cluster_folder([picture_folder], output, n_clusters=3, **words)
    assert not output.exists()

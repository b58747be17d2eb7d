"""`covey cluster` with a method that learns from pixels."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result

from covey.cli import cli
from covey.errors import InvalidValueError, ProjectError
from covey.pipeline import CheckpointFile, _training_checkpoints, cluster_folder
from covey.store import Project

SHORT = {"width": 4, "input_size": 16, "n_epochs": 3, "batch_size": 8, "rotation": False}
WORDS = [word for name, value in SHORT.items() for word in ("-p", f"{name}={str(value).lower()}")]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "pictures.covey"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of a training of three epochs
def test_from_pixels_to_a_gallery(picture_folder: Path, project: Path) -> None:
    (picture_folder / "half.png").write_bytes((picture_folder / "red-0.png").read_bytes()[:300])
    arguments = ["cluster", picture_folder, "-o", project, "-k", 3, "--method", "mmdc", "--size", 16, *WORDS]
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["backbones"] == []
    assert sum(cluster["images"] for cluster in told["clusters"]) == 24
    assert (told["ledger"]["n_computed"], told["ledger"]["failures"]) == (24, {"ERROR_CORRUPT_IMAGE": 1})
    with Project.open(project) as opened:
        info = opened.partition_info()
        partition = opened.partition(info.id)
        features = opened.features.load(info.fingerprint)
    assert info.info["pixels"] == "16 x 16"
    assert features.X.shape == (24, 4 * 8)  # of the network's penultimate layer
    assert set(features.ids) == set(partition.ids)
    assert partition.confidence.min() >= 0
    assert not [*project.glob("checkpoints/*")]
    assert len([*project.glob("thumbnails/*/*.webp")]) == 24
    again = run(*arguments)
    assert "features of the network that was trained" in again.output
    assert "already=24" in again.output
    with Project.open(project) as opened:
        np.testing.assert_array_equal(opened.partition(2).labels, partition.labels)
    assert "16 x 16" in run("info", project).output
    about = (project / "gallery" / "about.html").read_text(encoding="utf-8")
    assert "16 x 16" in about
    found = run("search", project, "--cluster", 0, "--json")
    assert found.exit_code == 0, found.output
    assert "neither named nor searched by words" in run("name", project).output


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_interrupted_training_goes_on(picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_training_checkpoints, "EVERY_S", 0.0)
    keywords = {"n_clusters": 3, "method": "mmdc", "size": 16, "params": SHORT}
    steps: list[int] = []

    def stop(stage: str, n_done: int, n_total: int | None) -> None:
        if stage == "train":
            steps.append(n_done)
        if stage == "train" and n_done == 7 and len(steps) == 7:
            raise KeyboardInterrupt

    project = tmp_path / "stopped.covey"
    with pytest.raises(KeyboardInterrupt):
        cluster_folder([picture_folder], project, progress=stop, **keywords)
    (kept,) = project.glob("checkpoints/*.safetensors")
    assert len(CheckpointFile(kept).read().arrays["history"]) == 2
    result = cluster_folder([picture_folder], project, progress=stop, **keywords)
    assert steps == [*range(1, 8), *range(7, 10)]  # two of three epochs were there
    assert not [*project.glob("checkpoints/*")]
    straight = cluster_folder([picture_folder], tmp_path / "straight.covey", **keywords)
    rows = []
    for made in (result, straight):
        with Project.open(made.project) as opened:
            fingerprint = opened.partition_info().fingerprint
            rows.append(opened.features.load(fingerprint, opened.partition(made.partition_id).ids).X)
    np.testing.assert_array_equal(*rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "mmdc"], "MMDC learns from pixels, in which clusters cannot be counted: say how many with -k"),
        (["--method", "mmdc", "-k", "3", "-m", "color_histogram"], "leave those options out"),
        (["--method", "mmdc", "-k", "3", "--views", "2"], "leave those options out"),
        (["--method", "mmdc", "-k", "25", "--size", "16"], "25 clusters were asked for, but there are only 24"),
        (["--method", "mmdc", "-k", "3", "-p", "variance=-1"], "variance is -1; it must lie in"),
        (["--method", "kmeans", "--size", "32"], "KMeans takes features: leave it out"),
    ],
)
def test_wrong_words_say_what_is_allowed(
    picture_folder: Path, project: Path, arguments: list[str], message: str
) -> None:
    result = run("cluster", picture_folder, "-o", project, *arguments)
    assert result.exit_code == 1, result.output
    assert message in " ".join(result.stderr.split())


def test_the_plan_of_a_dry_run(picture_folder: Path, project: Path) -> None:
    result = run("cluster", picture_folder, "-o", project, "-k", 3, "--method", "mmdc", "--size", 48, "--dry-run")
    assert "24 images of 48 x 48 pixels" in " ".join(result.output.split())
    assert not project.exists()


def test_no_picture_that_can_be_decoded(picture_folder: Path, project: Path) -> None:
    for path in picture_folder.iterdir():
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ProjectError, match="None of the 24 images could be decoded"):
        cluster_folder([picture_folder], project, n_clusters=3, method="mmdc", params=SHORT)


def test_what_does_not_fit_on_the_disk_is_refused_before_an_image_is_read(
    picture_folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {"n_clusters": 3, "method": "mmdc", "params": SHORT}
    with pytest.raises(InvalidValueError, match="size is 100000; it must be from 8 to 1024 pixels"):
        cluster_folder([picture_folder], project, size=100_000, **words)
    monkeypatch.setattr("covey.pipeline._pixel_methods.disk_usage", lambda path: SimpleNamespace(free=10**6))
    monkeypatch.setattr("covey.pipeline._pixel_methods.pack_images", lambda *_, **__: pytest.fail("packed"))
    with pytest.raises(ProjectError, match=r"24 images of 1000 x 1000 pixels take 0\.1 GB"):
        cluster_folder([picture_folder], project, size=1000, **words)

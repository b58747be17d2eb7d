"""A project with files, features and runs, made through the real store: forty images in four groups."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covey.partitions import relative_margins, summarize_clusters
from covey.store import Project
from covey.types import ClusterName, Features, ImageFile, ImageRecord, Partition

FINGERPRINT = "test-features"
N_IMAGES, N_GROUPS, WIDTH = 40, 4, 8
WORDS = {0: "dog", 1: "cat", 2: "flower", 3: "boat"}


def features_of(ids: tuple[str, ...], groups: np.ndarray) -> Features:
    rng = np.random.default_rng(0)
    centers = np.eye(N_GROUPS, WIDTH) * 4
    X = (centers[groups] + rng.normal(size=(len(ids), WIDTH))).astype(np.float32)
    return Features(ids, X, FINGERPRINT)


def add_run(project: Project, features: Features, labels: np.ndarray, words: dict[int, str] | None = None) -> int:
    """Store labels as a run with names."""
    labels = np.asarray(labels, dtype=np.int64)
    unit = features.X / np.linalg.norm(features.X, axis=1, keepdims=True)
    confidence, second = relative_margins(unit, labels, int(labels.max()) + 1)
    partition = Partition(features.ids, labels, None, confidence, second, FINGERPRINT, "kmeans", {})
    names = {label: ClusterName(label, word, 0.5, ("thing",), (0.2,)) for label, word in (words or {}).items()}
    return project.add_partition(partition, summarize_clusters(features, partition, names))


def fill(project: Project, folder: Path, n_images: int = N_IMAGES) -> Features:
    """Scan made files and store their features."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = np.arange(n_images) % N_GROUPS
    records, files = [], []
    for i in range(n_images):
        path = folder / f"img{i:03d}.png"
        path.write_bytes(f"picture {i}".encode() * 20)
        image_id = hashlib.sha256(path.read_bytes()).hexdigest()
        records.append(ImageRecord(image_id, path, 64, 48))
        files.append(ImageFile(path, image_id, path.stat().st_size, path.stat().st_mtime_ns))
    project.record_scan(records, files, [], folder, sources=[folder])
    features = features_of(tuple(record.id for record in records), groups)
    project.features.write_shard(FINGERPRINT, 0, features.ids, features.X)
    return features


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a project with one run of four named clusters."""
    with Project.open(tmp_path / "trip.covey", create=True) as project:
        features = fill(project, tmp_path / "pictures")
        add_run(project, features, np.arange(N_IMAGES) % N_GROUPS, WORDS)
    return tmp_path / "trip.covey"


@pytest.fixture
def features(root: Path) -> Features:
    with Project.open(root) as project:
        ids = tuple(record.id for record in project.records())
    return features_of(ids, np.arange(N_IMAGES) % N_GROUPS)


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path, str], Path]:
    """Return a function that copies a project beside its pictures."""

    def copy(root: Path, name: str) -> Path:
        return Path(shutil.copytree(root, tmp_path / name))

    return copy


def arrays_of(state) -> dict[str, object]:
    """Return all that a curation says, in a form that compares."""
    return {
        **{
            name: getattr(state, name).tolist()
            for name in ("images", "cluster", "state", "score", "second", "base_cluster", "rejects")
        },
        "clusters": dict(state.clusters),
        "groups": dict(state.groups),
        "base": state.base,
    }


def tree_of(folder: Path) -> dict[str, object]:
    """Return every file with its bytes and times, every link with its text, and every folder."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_file():
            found[name] = ("file", path.read_bytes(), path.stat().st_mtime_ns)
        else:
            found[name] = "folder"
    return found


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

"""A small project with real pictures and thumbnails, and a client that has the key."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from covey.gallery.live import build_app
from covey.gallery.live._served import ServedProject
from covey.partitions import relative_margins, summarize_clusters
from covey.store import Project
from covey.types import ClusterName, Features, ImageFailure, ImageFile, ImageRecord, Partition

KEY = "a-key-of-22-letters-xy"
HOST = "127.0.0.1:8765"
N_IMAGES, N_GROUPS, WIDTH = 40, 4, 8
WORDS = ("dog", "cat", "flower", "<b>boat</b>")


def make_project(root: Path, pictures: Path) -> list[str]:
    """Write 40 pictures in four clusters, one of them skipped, and return the ids in the order of the files."""
    pictures.mkdir(parents=True)
    rng = np.random.default_rng(0)
    groups = np.arange(N_IMAGES) % N_GROUPS
    records, files = [], []
    with Project.open(root, create=True) as project:
        for i in range(N_IMAGES):
            path = pictures / f"img{i:03d}.png"
            pixels = np.full((48, 64, 3), (60 * groups[i] + 20, 6 * i, 90), np.uint8)
            Image.fromarray(pixels).save(path)
            image_id = hashlib.sha256(path.read_bytes()).hexdigest()
            thumbnail = project.thumbnails / image_id[:2] / f"{image_id}.webp"
            thumbnail.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(thumbnail)
            records.append(ImageRecord(image_id, path, 64, 48))
            files.append(ImageFile(path, image_id, path.stat().st_size, path.stat().st_mtime_ns))
        broken = ImageFailure(pictures / "broken.png", "undecodable", "It is no picture.", 12)
        project.record_scan(records, files, [broken], pictures, sources=[pictures])
        ids = tuple(record.id for record in records)
        X = (np.eye(N_GROUPS, WIDTH)[groups] * 4 + rng.normal(size=(N_IMAGES, WIDTH))).astype(np.float32)
        features = Features(ids, X, "made")
        project.features.write_shard("made", 0, ids, X)
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        confidence, second = relative_margins(unit, groups.astype(np.int64), N_GROUPS)
        partition = Partition(ids, groups.astype(np.int64), None, confidence, second, "made", "kmeans", {})
        names = {label: ClusterName(label, word, 0.5, ("thing",), (0.2,)) for label, word in enumerate(WORDS)}
        project.add_partition(partition, summarize_clusters(features, partition, names))
    return list(ids)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a project and its pictures, which no test may change."""
    folder = tmp_path_factory.mktemp("template")
    make_project(folder / "trip.covey", folder / "pictures")
    return folder


@pytest.fixture
def served(tmp_path: Path, template: Path) -> Iterator[ServedProject]:
    """Return a copy of the project; its pictures are those of the template."""
    root = shutil.copytree(template / "trip.covey", tmp_path / "trip.covey")
    served = ServedProject(root, page_size=6)
    yield served
    served.close()


@pytest.fixture
def ids(template: Path) -> list[str]:
    """Return the ids of the images in the order of their files."""
    files = sorted((template / "pictures").glob("*.png"))
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def client_of(served: ServedProject, *, is_read_only: bool = False) -> TestClient:
    app = build_app(served, key=KEY, hosts=[HOST, "localhost:8765"], is_read_only=is_read_only)
    return TestClient(app, base_url=f"http://{HOST}/k/{KEY}/", follow_redirects=False)


@pytest.fixture
def client(served: ServedProject) -> TestClient:
    """Return a client that, as a script with the link, sends no header of a browser."""
    return client_of(served)


@pytest.fixture(scope="session")
def looker(template: Path) -> Iterator[TestClient]:
    """Return a client for tests that change nothing."""
    served = ServedProject(template / "trip.covey", page_size=6)
    yield client_of(served)
    served.close()


@pytest.fixture
def reader(served: ServedProject) -> TestClient:
    return client_of(served, is_read_only=True)


def journal_of(served: ServedProject) -> list[SimpleNamespace]:
    """Return the edits as another process reads them."""
    from covey.corrections import open_curation

    with Project.open(served._root) as project:
        edits = open_curation(project).edits
        return [SimpleNamespace(seq=e.seq, op=e.op, payload=e.payload, n_images=len(e.images)) for e in edits]

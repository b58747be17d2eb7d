"""A small project with awkward file names, made through the real store, and a large one that exists only as numbers."""

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from covey.figures import structure_figures
from covey.gallery import write_gallery
from covey.store import Ledger, Member, PartitionInfo, Project
from covey.store._tables import read_evidence
from covey.types import NOISE, ClusterName, ClusterSummary, ImageFailure, ImageFile, ImageRecord, Partition

AWKWARD = (
    'it\'s "quoted" & <b>bold<b>.png',
    "<script>alert(1)<script>.png",
    "new\nline.png",
    "Grüße aus 東京 🐦.png",
    "100% #1 ?a=b&c;d.png",
    "back\\slash.png",
    " leading space.png",
    "javascript:alert(1).png",
    "{{ 7 * 7 }}.png",
    "turned\u202egnp.exe.png",
    os.fsdecode(b"latin-\xe9t\xe9.png"),
    f"{'long' * 40}.png",
)
SHAPES = ((90, 60), (60, 90), (64, 64), (200, 40))
# What `covey k` found long after the run, with a criterion whose name has to be escaped.
EVIDENCE = {
    "created_at": "2999-01-01T00:00:00+00:00",
    "n_clusters": 4,
    "criterion": "consensus",
    "reason": "4 clusters are the median of the votes.",
    "candidates": [2, 3, 4, 6, 12],
    "plausible": [4, 6],
    "interval": [3, 6],
    "granularities": [
        {"name": "suggested", "n_clusters": 4, "supporters": ["silhouette", "held_out_coding_length"]},
        {"name": "fine", "n_clusters": 12, "supporters": []},
    ],
    "n_images": 41,
    "n_features": 1280,
    "n_rows": 41,
    "n_components": 40,
    "choices": {
        "silhouette": {"n_clusters": 3, "interval": [3, 3], "votes": [3, 3, 4]},
        "consensus": {"n_clusters": 4, "interval": [3, 6], "votes": [3, 3, 4, 6, 6, 12]},
        "held_out_coding_length": {"n_clusters": 12, "interval": [6, 12], "votes": [6, 12, 12]},
        "<b>plugin</b>": {"n_clusters": 2, "interval": [3, 4], "votes": [3, 4, 4]},
    },
    "scores": {
        "silhouette": [0.1, 0.4, 0.3, 0.2, 0.1],
        "consensus": [0.0, 0.4, 0.5, 0.4, 0.1],
        "consensus_std": [0.0, 0.1, 0.2, 0.1, 0.1],
        "held_out_coding_length": [-9.0, -8.0, -7.0, -6.5, -6.0],
    },
}
NAMES = ('Gateways <i>& "arches"', "Cluster 1", "Ponds")


def thumbnail_of(folder: Path, image_id: str) -> Path:
    return folder / image_id[:2] / f"{image_id}.webp"


def _draw(path: Path, number: int) -> ImageRecord:
    """Write a picture that differs from all others and return its record."""
    width, height = SHAPES[number % len(SHAPES)]
    pixels = np.full((height, width, 3), (number * 37 % 256, number * 91 % 256, number * 53 % 256), np.uint8)
    pixels[0, 0] = (number, number // 256, 7)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return ImageRecord(hashlib.sha256(path.read_bytes()).hexdigest(), path, width, height)


@dataclass
class Collection:
    """The project, the partition shown, where its parts lie, and what must be found on its pages."""

    root: Path
    pictures: Path
    partition_id: int
    records: list[ImageRecord]
    failures: list[ImageFailure]
    copies: list[Path]
    without_thumbnail: str


def _partition(ids: list[str]) -> tuple[Partition, list[ClusterSummary]]:
    n = len(ids)
    labels = np.sort(np.arange(n) % 3)
    labels[-1] = NOISE
    confidence = np.linspace(0.95, 0.05, n).astype(np.float32)
    partition = Partition(
        ids=tuple(ids),
        labels=labels,
        probabilities=None,
        confidence=confidence,
        second_labels=np.where(labels == NOISE, 0, (labels + 1) % 3),
        fingerprint="f" * 64,
        method="kmeans",
        params={"n_clusters": 3, "random_state": 0, "tol": 1e-4},
        info={
            "backbone": "color_histogram",
            "seconds": {"scan": 0.25, "embed": 1.5},
            "selection": {
                "n_clusters": 3,
                "criterion": "silhouette",
                "candidates": [2, 3, 4, 5],
                "interval": [3, 4],
                "reason": "3 clusters: silhouette 0.600.",
                "scores": {"silhouette": [0.2, 0.6, 0.5, 0.4], "stability": [1.0, 0.9, 0.7, None]},
            },
            "structure": {"features": structure_figures(np.random.default_rng(0).normal(size=(n, 6)), labels)},
        },
    )
    summaries = []
    for label in range(3):
        members = [ids[i] for i in np.flatnonzero(labels == label)]
        summaries.append(
            ClusterSummary(
                label=label,
                name=ClusterName(label, NAMES[label], 0.8, ("Doors", "Arcades & <walks>") if label == 0 else ()),
                size=len(members),
                mean_confidence=0.5,
                cohesion=0.9 - 0.1 * label,
                nearest_label=(label + 1) % 3,
                representatives=tuple(members[:12]),
                borderline=tuple(members[::-1][:3]),
            )
        )
    return partition, summaries


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Return a project of 41 pictures: three clusters, one in none, duplicates, failures, one thumbnail lost."""
    folder = tmp_path_factory.mktemp("archive & attic #1")
    pictures = folder / "my pictures, 50% of them"
    names = [*AWKWARD, *(f"box {i % 3}/IMG_{i:04d}.png" for i in range(41 - len(AWKWARD)))]
    records = [_draw(pictures / name, number) for number, name in enumerate(names)]
    copies = [pictures / "zz copy <1>.png", pictures / "zz" / "copy.png"]
    for copy in copies:
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(records[0].path, copy)
    good = [ImageFile(record.path, record.id, 1, 1) for record in records]
    good += [ImageFile(copy, records[0].id, 1, 1) for copy in copies]
    failures = [
        ImageFailure(
            pictures / "cut\nshort <1>.jpg", "ERROR_CORRUPT_IMAGE", "ends after 12 of 90 <bytes>", 12, "a" * 64
        ),
        ImageFailure(pictures / "empty.jpg", "ERROR_ZERO_SIZE_FILE", "the file is empty", 0),
        ImageFailure(pictures / "cut too.jpg", "ERROR_CORRUPT_IMAGE", "broken data stream", 4200, "b2"),
    ]
    for failure in failures:
        failure.path.write_bytes(b"x")
    root = folder / "Attic.covey"
    with Project.open(root, create=True) as project:
        project.record_scan(records, good, failures, pictures)
        ids = [record.id for record in project.records()]
        partition_id = project.add_partition(*_partition(ids))
        project.write_evidence(EVIDENCE)
        for record in records[1:]:
            thumbnail = thumbnail_of(project.thumbnails, record.id)
            thumbnail.parent.mkdir(parents=True, exist_ok=True)
            Image.open(record.path).save(thumbnail)
    return Collection(root, pictures, partition_id, records, failures, copies, records[0].id)


@pytest.fixture(scope="module")
def gallery(collection: Collection) -> Path:
    """Return the folder of the collection's gallery, five pictures a page."""
    with Project.open(collection.root) as project:
        return write_gallery(project, collection.partition_id, collection.root / "gallery", page_size=5).parent


@dataclass
class Numbers:
    """As much of a project as a gallery reads, with members made when they are asked for."""

    root: Path
    sizes: tuple[int, ...]
    failures_: list[ImageFailure] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    asked: list[int | None] = field(default_factory=list)

    @property
    def thumbnails(self) -> Path:
        return self.root / "thumbnails"

    @property
    def image_root(self) -> Path:
        return self.root.parent / "pictures"

    def _member(self, label: int, row: int) -> Member:
        image_id = hashlib.sha256(f"{label}-{row}".encode()).hexdigest()
        confidence = 1 - row / self.sizes[label]
        return Member(
            image_id, f"folder {label}/IMG_{row:07d}.jpg", label, confidence, (label + 1) % len(self.sizes), 300, 200
        )

    def partition_info(self, partition_id: int | None = None) -> PartitionInfo:
        return PartitionInfo(
            id=1, name="001-kmeans", created_at="2026-11-22T10:31:07+00:00", method="kmeans", params={}, info=self.info,
            fingerprint="f" * 64, n_images=sum(self.sizes), n_clusters=len(self.sizes), covey_version="0.1.0",
        )  # fmt: skip

    def clusters(self, partition_id: int) -> list[ClusterSummary]:
        return [
            ClusterSummary(
                label=label, name=ClusterName(label, f"Cluster {label}", 0.0), size=size, mean_confidence=0.5,
                cohesion=0.7, nearest_label=(label + 1) % len(self.sizes) if len(self.sizes) > 1 else -1,
                representatives=tuple(self._member(label, row).id for row in range(min(size, 12))), borderline=(),
            )
            for label, size in enumerate(self.sizes)
        ]  # fmt: skip

    def members(self, partition_id: int, label: int, *, offset: int = 0, limit: int | None = None) -> list[Member]:
        self.asked.append(limit)
        stop = self.sizes[label] if limit is None else min(self.sizes[label], offset + limit)
        return [self._member(label, row) for row in range(offset, stop)]

    def borderline(self, partition_id: int, *, limit: int = 200) -> list[Member]:
        return [self._member(label, size - 1) for label, size in enumerate(self.sizes)][:limit]

    def failures(self) -> list[ImageFailure]:
        return self.failures_

    def ledger(self) -> Ledger:
        counts: dict[str, int] = {}
        for failure in self.failures_:
            counts[failure.code] = counts.get(failure.code, 0) + 1
        return Ledger(sum(self.sizes) + len(self.failures_), sum(self.sizes), 0, counts)

    def evidence(self) -> dict[str, Any] | None:
        return read_evidence(self.root)

    def paths_of(self, image_id: str) -> list[str]:
        return [f"of {image_id}.jpg"]

    def relative_path(self, path: Path) -> str:
        return path.relative_to(self.image_root).as_posix()


@pytest.fixture
def numbers() -> type[Numbers]:
    """Return the class of projects that exist only as numbers."""
    return Numbers

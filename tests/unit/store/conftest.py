"""Builders of small inventories and partitions, and a way to run code that is killed."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from covey.store import Project
from covey.types import ClusterName, ClusterSummary, ImageFile, ImageRecord, Partition


@pytest.fixture
def image_id() -> Callable[[object], str]:
    """Return a function that makes an id from anything that prints."""
    return lambda seed: hashlib.sha256(str(seed).encode()).hexdigest()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(tmp_path / "p.covey", create=True) as project:
        yield project


@pytest.fixture
def scan(tmp_path: Path, image_id: Callable[[object], str]) -> Callable[..., None]:
    """Return a function that records a scan of ``{name: content}`` below ``pics``, with failures by name."""

    def record(
        project: Project, contents: dict[str, object], failures: Sequence[object] = (), **keywords: object
    ) -> None:
        root = keywords.pop("root", tmp_path / "pics")
        records: dict[str, ImageRecord] = {}
        files = []
        for name, content in contents.items():
            path = root / name
            found = image_id(content)
            records.setdefault(found, ImageRecord(found, path, 40, 30))
            files.append(ImageFile(path, found, 100, 1_700_000_000_000_000_000))
        project.record_scan(list(records.values()), files, failures, root, **keywords)

    return record


@pytest.fixture
def filled(project: Project, scan: Callable[..., None]) -> Project:
    """A project with twelve images ``img1.png`` ... ``img12.png``."""
    scan(project, {f"img{i}.png": i for i in range(1, 13)})
    return project


@pytest.fixture
def make_partition() -> Callable[..., tuple[Partition, list[ClusterSummary]]]:
    """Return a function that deals images to clusters at random."""

    def make(
        ids: Sequence[str], n_clusters: int = 3, *, seed: int = 0, has_probabilities: bool = True
    ) -> tuple[Partition, list[ClusterSummary]]:
        probabilities = np.random.default_rng(seed).dirichlet(np.full(n_clusters, 0.5), len(ids)).astype(np.float32)
        ranked = np.argsort(-probabilities, axis=1)
        labels = ranked[:, 0].astype(np.int64)
        partition = Partition(
            ids=tuple(ids),
            labels=labels,
            probabilities=probabilities if has_probabilities else None,
            confidence=probabilities.max(axis=1),
            second_labels=ranked[:, 1].astype(np.int64),
            fingerprint="f00d",
            method="kmeans",
            params={"n_clusters": n_clusters, "spherical": True},
            info={"why": "größer", "curve": [1.0, None]},
        )
        return partition, summarize(partition)

    return make


def summarize(partition: Partition) -> list[ClusterSummary]:
    summaries = []
    for label in np.unique(partition.labels).tolist():
        rows = np.flatnonzero(partition.labels == label)
        ids = tuple(partition.ids[row] for row in rows)
        name = ClusterName(label, f"name {label}", 0.5, ("second", "third"))
        confidence = float(partition.confidence[rows].mean())
        summaries.append(ClusterSummary(label, name, len(rows), confidence, 0.25, label - 1, ids[:2], ids[-2:]))
    return summaries


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a program text with arguments in a process of its own."""

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *(os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run

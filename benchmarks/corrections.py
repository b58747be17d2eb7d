"""Time edits of a large project: 100,000 images without files in 500 clusters, or as many as are asked for.

Run with ``python benchmarks/corrections.py [N_IMAGES]``; prints a line a step: median and worst of 20 in milliseconds.
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from covey.corrections import open_curation
from covey.store import Project
from covey.types import ClusterName, ClusterSummary, ImageFile, ImageRecord, Partition

N_CLUSTERS, N_REPEATS = 500, 20


def make_project(root: Path, n_images: int) -> Project:
    """Make a project of images that exist as numbers only."""
    rng = np.random.default_rng(0)
    project = Project.open(root, create=True)
    ids = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n_images)]
    paths = [Path(f"/nowhere/{i:07d}.jpg") for i in range(n_images)]
    records = [ImageRecord(image_id, path, 64, 64) for image_id, path in zip(ids, paths, strict=True)]
    files = [ImageFile(path, image_id, 1, 1) for image_id, path in zip(ids, paths, strict=True)]
    project.record_scan(records, files, [], Path("/nowhere"))
    labels = np.sort((N_CLUSTERS * rng.random(n_images) ** 2).astype(np.int64))
    confidence = rng.random(n_images).astype(np.float32)
    partition = Partition(tuple(ids), labels, None, confidence, (labels + 1) % N_CLUSTERS, "none", "made", {})
    sizes = np.bincount(labels, minlength=N_CLUSTERS)
    clusters = [
        ClusterSummary(i, ClusterName(i, f"name {i}", 0.5), int(sizes[i]), 0.5, 0.5, (i + 1) % N_CLUSTERS, (), ())
        for i in range(N_CLUSTERS)
    ]
    project.add_partition(partition, clusters)
    return project


def measure(name: str, act: Callable[[int], object], n_repeats: int = N_REPEATS) -> None:
    """Print how long an act takes."""
    seconds = []
    for i in range(n_repeats):
        start = time.perf_counter()
        act(i)
        seconds.append(time.perf_counter() - start)
    print(f"{name:<28} median {1e3 * np.median(seconds):9.1f} ms   worst {1e3 * max(seconds):9.1f} ms")


def main(n_images: int) -> None:
    with tempfile.TemporaryDirectory() as folder, make_project(Path(folder) / "big.covey", n_images) as project:
        curation = open_curation(project)
        curation.rename(0, "first")
        ids = curation._ids
        largest = sorted(curation.state.sizes().values())[-2:]
        print(f"{n_images} images in {N_CLUSTERS} clusters; the largest two have {largest}")
        measure("open", lambda _: open_curation(project), 3)
        measure("rename", lambda i: curation.rename(1, f"renamed {i}"))
        curation.move(ids[:1], 2)  # makes the table of ids
        measure("move of 500", lambda i: curation.move(ids[500 * i : 500 * i + 500], 400 + i % 2))
        measure("merge into the largest", lambda i: curation.merge(0, i + 3))
        measure("undo of the newest", lambda _: curation.undo())
        measure("redo", lambda _: curation.redo())
        measure("review", lambda i: curation.review(100 + i))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)

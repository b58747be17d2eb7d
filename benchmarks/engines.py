"""Which engine extracts features fastest on one machine?

The photographs of a tar are scaled up to 2 to 12 megapixels (seeded, bicubic, JPEG quality 90), so that decoding costs
what it costs for the files of a camera. Then `extract_features` runs with each engine in turn: the engines alternate,
and every round starts with a warm model and a warm file cache. Each photograph is extracted ``--copies`` times under
different ids, so that what an engine needs to start weighs less. Shards are small enough for every worker to get two.

Recorded in ``engines.csv`` on two cores that other work kept busy, so wall time says little and processor time more;
``pool`` is the engine of spawned processes that covey had then.

    python benchmarks/engines.py FOLDER/flickr8k-1000.tar [--images 200] [--copies 4] [--rounds 2] [--csv FILE]
"""

import argparse
import csv
import io
import math
import os
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from covey.backbones import load_backbone
from covey.engines import ENGINES, n_threads
from covey.extract import extract_features
from covey.registry import DEFAULT_BACKBONE
from covey.store import FeatureStore
from covey.types import Backbone, ImageRecord

MEGAPIXELS = (2.0, 12.0)


def scale_up(archive: Path, folder: Path, n_images: int) -> list[Path]:
    """Write the first photographs of a tar, each at a size drawn from `MEGAPIXELS`."""
    generator = np.random.default_rng(0)
    paths = []
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar.getmembers() if m.name.endswith(".jpg")), key=lambda member: member.name)
        for number, member in enumerate(members[:n_images]):
            image = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            factor = math.sqrt(generator.uniform(*MEGAPIXELS) * 1e6 / (image.width * image.height))
            size = round(image.width * factor), round(image.height * factor)
            paths.append(folder / f"{number:04d}.jpg")
            image.resize(size, Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def measure(engine: str, paths: Sequence[Path], copies: int, backbone: Backbone) -> tuple[float, float]:
    """Extract all photographs with an engine; return wall-clock and processor seconds, workers included."""
    records = [ImageRecord(f"{i:02d}{j:06d}", path, 1, 1) for i in range(copies) for j, path in enumerate(paths)]
    with tempfile.TemporaryDirectory() as folder:
        starts = time.perf_counter(), sum(os.times()[:4])
        report = extract_features(
            records,
            backbone,
            FeatureStore(Path(folder)),
            engine=engine,
            n_workers=n_threads(),
            shard_size=math.ceil(len(records) / (2 * n_threads())),
        )
        if report.failures:
            raise RuntimeError(f"{len(report.failures)} photographs could not be read.")
        return time.perf_counter() - starts[0], sum(os.times()[:4]) - starts[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    backbone = load_backbone(options.backbone, device="cpu")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = scale_up(options.archive, Path(folder), options.images)
        measure("inline", paths[:32], 1, backbone)
        for number in range(options.rounds):
            for engine in ENGINES:
                wall_s, cpu_s = measure(engine, paths, options.copies, backbone)
                n = len(paths) * options.copies
                rows.append(
                    {
                        "backbone": options.backbone,
                        "engine": engine,
                        "round": number,
                        "images": n,
                        "threads": n_threads(),
                        "wall_s": round(wall_s, 2),
                        "images_per_s": round(n / wall_s, 2),
                        "cpu_ms_per_image": round(1e3 * cpu_s / n, 2),
                    }
                )
                print(rows[-1], flush=True)
    if options.csv is not None:
        is_new = not options.csv.exists()
        with options.csv.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()

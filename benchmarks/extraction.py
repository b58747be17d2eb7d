"""How fast do features come off the disk, and does the model wait for the pictures?

Four things are timed on the same photographs, in interleaved rounds: the model alone on pixels that are ready, reading
alone (decode, resize) with all threads, and the whole of `extract_features` without and with thumbnails. Processor time
is given beside wall time because it suffers less from other work on the machine; ``share_of_model`` is the pipeline's
rate over the model's, ``share_of_possible`` the pipeline's rate over what two tasks that share the processors without a
gap would reach, and ``waiting`` the share of its time that the model waited for pictures.

Recorded in ``extraction.csv`` on two otherwise idle cores with AMX, on photographs of 224 x 224 pixels: the best and
the median of three rounds (Lite0) and two (Lite2).

    python benchmarks/extraction.py FOLDER [--backbone NAME] [--images 512] [--rounds 3] [--csv FILE]
"""

import argparse
import csv
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from covey.backbones import load_backbone
from covey.engines import n_threads
from covey.extract import extract_features
from covey.images import decode_size, preprocess, read_image
from covey.store import FeatureStore
from covey.types import BackboneSpec, ByteArray, FloatArray, ImageRecord


class Timed:
    """A backbone that keeps count of the seconds it computes."""

    def __init__(self, name: str) -> None:
        self.inner = load_backbone(name, device="cpu")
        self.spec: BackboneSpec = self.inner.spec
        self.fingerprint = self.inner.fingerprint
        self.busy_s = 0.0

    def encode_images(self, pixels: ByteArray) -> FloatArray:
        start = time.perf_counter()
        features = self.inner.encode_images(pixels)
        self.busy_s += time.perf_counter() - start
        return features


def read(path: Path, spec: BackboneSpec) -> ByteArray:
    return preprocess(read_image(path, min_size=decode_size(spec, thumbnail_px=256)), spec)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="efficientnet_lite0.in1k", help="A name, or the folder of a model.")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    backbone = Timed(options.backbone)
    spec = backbone.spec
    paths = sorted(options.folder.rglob("*.[jJ][pP]*[gG]"))
    paths = paths[:: max(1, len(paths) // options.images)][: options.images]
    records = [ImageRecord(f"{i:08d}", path, 1, 1) for i, path in enumerate(paths)]
    pixels = np.stack([read(path, spec) for path in paths])
    n = len(paths)

    def model() -> None:
        for i in range(0, n, options.batch_size):
            backbone.encode_images(pixels[i : i + options.batch_size])

    def reading() -> None:
        with ThreadPoolExecutor(n_threads()) as readers:
            list(readers.map(lambda path: read(path, spec), paths))

    def pipeline(*, with_thumbnails: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            extract_features(
                records,
                backbone,
                FeatureStore(Path(folder)),
                batch_size=options.batch_size,
                thumbnails=Path(folder) / "thumbnails" if with_thumbnails else None,
            )

    tasks: dict[str, Callable[[], None]] = {
        "model": model,
        "reading": reading,
        "pipeline": lambda: pipeline(with_thumbnails=False),
        "pipeline with thumbnails": lambda: pipeline(with_thumbnails=True),
    }
    wall, cpu, busy = (defaultdict(list) for _ in range(3))  # type: tuple[dict[str, list[float]], ...]
    model()
    for _ in range(options.rounds):
        for name, task in tasks.items():
            backbone.busy_s = 0.0
            starts = time.perf_counter(), time.process_time()
            task()
            wall[name].append(time.perf_counter() - starts[0])
            cpu[name].append(time.process_time() - starts[1])
            busy[name].append(backbone.busy_s)
    possible = 1 / (min(wall["model"]) + min(wall["reading"]))
    rows = []
    for name in tasks:
        best = min(range(options.rounds), key=wall[name].__getitem__)
        rows.append(
            {
                "backbone": options.backbone,
                "task": name,
                "images": n,
                "threads": n_threads(),
                "images_per_s": round(n / wall[name][best], 1),
                "images_per_s_median": round(n / statistics.median(wall[name]), 1),
                "cpu_ms_per_image": round(1e3 * min(cpu[name]) / n, 2),
                "share_of_model": round(min(wall["model"]) / wall[name][best], 3),
                "share_of_possible": round(1 / wall[name][best] / possible, 3) if "pipeline" in name else "",
                "waiting": round(1 - busy[name][best] / wall[name][best], 3) if "pipeline" in name else "",
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

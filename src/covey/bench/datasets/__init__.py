"""Labeled sets of images in the layouts in which people have them on disk; nothing is downloaded.

`DATASETS` maps names to `DatasetSpec` rows; a loader takes a path and returns a `Dataset`: paths, pixels or features of
the rows to fit and of the rows to score, with labels that only scores ever see. Start reading at `_dataset.py`.
"""

from covey.bench.datasets._dataset import Dataset, DatasetSpec, Split
from covey.bench.datasets._dataset_specs import find
from covey.bench.datasets._folders import load_half_folder, read_classes
from covey.bench.datasets._imbalance import VARIANTS, make_variant
from covey.bench.datasets._include import include_files
from covey.bench.datasets._packages import cache_folder, split_numbered
from covey.bench.datasets._registry import DATASETS

__all__ = [
    "DATASETS",
    "VARIANTS",
    "Dataset",
    "DatasetSpec",
    "Split",
    "cache_folder",
    "find",
    "include_files",
    "load_half_folder",
    "make_variant",
    "read_classes",
    "split_numbered",
]

"""From images to features: reader, backbone, writer; a shard at a time, so that a run can be killed and resumed.

Start reading at `extract_features`, which describes the images as they are, and at `extract_views`, which describes
augmented copies. Both plan the shards that are missing, have them run, and sum up (`_plan.py`). `process_shard` is the
unit of work: a pure function but for the one shard that it writes, whole, at its end.
"""

from covey.extract._agreement import Agreement, compare_with_float32
from covey.extract._extraction import extract_features
from covey.extract._plan import ExtractReport
from covey.extract._shard_tasks import ShardTask, process_shard
from covey.extract._views import extract_views, load_views, view_fingerprint, viewed_fingerprint

__all__ = [
    "extract_features",
    "extract_views",
    "load_views",
    "view_fingerprint",
    "viewed_fingerprint",
    "Agreement",
    "compare_with_float32",
    "ExtractReport",
    "ShardTask",
    "process_shard",
]

"""Feature matrices on disk: shards that are written whole, read back as one matrix."""

from collections.abc import Sequence
from pathlib import Path

from covey.store._records import FeatureSetInfo
from covey.types import Features, FloatArray, ImageFailure


class FeatureStore:
    """Feature sets below one folder, a subfolder for each fingerprint."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def fingerprints(self) -> list[str]:
        """List the feature sets, sorted."""
        raise NotImplementedError

    def shard_ids(self, fingerprint: str) -> frozenset[str]:
        """Return the ids that have a row. Failed images are not among them: see `failures`."""
        raise NotImplementedError

    def failures(self, fingerprint: str) -> list[ImageFailure]:
        """Return the recorded failures of images that have no row, by id the latest one, in order of shards."""
        raise NotImplementedError

    def next_index(self, fingerprint: str) -> int:
        """Return the first shard index above all that are taken."""
        raise NotImplementedError

    def write_shard(
        self,
        fingerprint: str,
        index: int,
        ids: Sequence[str],
        X: FloatArray,
        failures: Sequence[ImageFailure] = (),
    ) -> Path:
        """Write one shard whole or not at all; `X` may have no rows. A taken index raises `ProjectError`."""
        raise NotImplementedError

    def load(self, fingerprint: str, ids: Sequence[str] | None = None) -> Features:
        """Return the rows of `ids`, in that order, as one read-only matrix; None is all, in order of shards."""
        raise NotImplementedError

    def info(self, fingerprint: str) -> FeatureSetInfo:
        """Count rows, shards and bytes of a feature set."""
        raise NotImplementedError

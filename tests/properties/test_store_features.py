"""Features come back as they were written, however they were cut into shards and whatever is asked for."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from covey.store import FeatureStore

SIZES = st.lists(st.integers(0, 7), min_size=1, max_size=6).filter(any)


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 2**32 - 1), max_memory_bytes=st.sampled_from([0, 2**30]), share=st.floats(0, 1))
def test_save_equals_load(sizes: list[int], seed: int, max_memory_bytes: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(sum(sizes), 3)).astype(np.float32)
    ids = [f"{i:x}" for i in range(len(X))]
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder), max_memory_bytes=max_memory_bytes)
        for index, stop in enumerate(np.cumsum(sizes)):
            rows = slice(stop - sizes[index], stop)
            store.write_shard("f00d", index, ids[rows], X[rows])
        assert np.array_equal(store.load("f00d").X, X)
        order = rng.permutation(len(X))[: int(share * len(X))]
        features = store.load("f00d", [ids[row] for row in order])
        assert np.array_equal(features.X, X[order])
        assert features.ids == tuple(ids[row] for row in order)
        assert not features.X.flags.writeable
        del features  # Windows keeps the folder of a file that is mapped

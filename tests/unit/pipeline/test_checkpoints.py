"""The file from which a killed training goes on."""

import numpy as np
import pytest

from covey.errors import ProjectError
from covey.pipeline import CheckpointFile
from covey.types import TrainingState

STATE = TrainingState(
    {"weights": np.ones((2, 3), np.float32), "step": np.array(7), "turned": np.arange(6.0).reshape(2, 3).T},
    {"n_clusters": 10, "crops": [0.5]},
)


def test_what_is_written_is_read(tmp_path):
    file = CheckpointFile(tmp_path / "new" / "state.safetensors", every_s=0)
    assert file.read() is None
    file.write(STATE)
    found = file.read()
    assert found.facts == STATE.facts
    assert found.arrays.keys() == STATE.arrays.keys()
    for name, array in STATE.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
    file.remove()
    file.remove()
    assert file.read() is None


def test_it_is_not_written_at_every_call(tmp_path):
    file = CheckpointFile(tmp_path / "state.safetensors", every_s=1000)
    file.write(STATE)
    assert file.read() is None


@pytest.mark.parametrize("content", [b"", b"text", b"\x10\0\0\0\0\0\0\0{}              "])
def test_a_file_that_is_none(tmp_path, content):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(ProjectError, match=r"cannot be read: .*Remove it to start the training anew"):
        CheckpointFile(path).read()

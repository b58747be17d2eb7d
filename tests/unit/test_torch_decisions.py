"""Devices, precision and generators."""

import numpy as np
import pytest
import torch

from covey import _torch


def test_devices() -> None:
    assert _torch.resolve_device("cpu").type == "cpu"
    assert _torch.resolve_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="Unknown device 'tpu'; use one of auto, cpu"):
        _torch.resolve_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="'cuda:1' is not available"):
            _torch.resolve_device("cuda:1")


def test_precision() -> None:
    cpu = torch.device("cpu")
    assert _torch.matmul_dtype(cpu, "float32") is torch.float32
    assert _torch.matmul_dtype(cpu, "bfloat16") is torch.bfloat16
    fast = _torch.has_fast_bfloat16("cpu")
    assert _torch.matmul_dtype(cpu) is (torch.bfloat16 if fast else torch.float32)
    with pytest.raises(ValueError, match="precision is 'half'"):
        _torch.matmul_dtype(cpu, "half")


def test_generators_are_their_own() -> None:
    before = torch.random.get_rng_state()
    first = torch.rand(3, generator=_torch.make_generator(1))
    torch.testing.assert_close(first, torch.rand(3, generator=_torch.make_generator(1)))
    torch.testing.assert_close(before, torch.random.get_rng_state())


def test_arrays_there_and_back() -> None:
    X = np.arange(6, dtype=np.float32).reshape(2, 3)
    X.setflags(write=False)
    tensor = _torch.to_tensor(X, torch.device("cpu"))
    tensor += 1
    assert X[0, 0] == 0
    assert _torch.to_numpy(tensor.bfloat16()).dtype == np.float32

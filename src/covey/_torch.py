"""The only place that decides on devices, precision and random generators for torch."""

from functools import cache
from typing import Any

import numpy as np
import torch

from covey._arrays import draw_seed
from covey.errors import InvalidValueError

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device: str = "auto") -> torch.device:
    """Turn a device name into a torch device.

    Parameters
    ----------
    device : str, default="auto"
        ``"auto"`` takes CUDA, then MPS, then the CPU. Also ``"cpu"``, ``"mps"``, ``"cuda"`` or ``"cuda:1"``.

    Returns
    -------
    device : torch.device
        One that exists on this machine.

    Raises
    ------
    InvalidValueError
        If the name is unknown or this machine has no such device.
    """
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if has[name]))
    kind = device.partition(":")[0]
    if kind not in has:
        raise InvalidValueError(f"Unknown device {device!r}; use one of {', '.join(DEVICES)}.")
    if not has[kind]:
        raise InvalidValueError(f"Device {device!r} is not available on this machine; use --device cpu or auto.")
    return torch.device(device)


def resolve_float64_device(device: str = "auto") -> torch.device:
    """Turn a device name into one that computes in float64: as `resolve_device`, but the CPU in place of MPS."""
    place = resolve_device(device)
    return torch.device("cpu") if place.type == "mps" else place


@cache
def has_fast_bfloat16(device_type: str = "cpu") -> bool:
    """Tell whether bfloat16 matrix products are faster than float32 ones on this kind of device.

    On the CPU that needs AMX or AVX512-BF16 instructions; emulated bfloat16 is slower than float32.
    """
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def matmul_dtype(device: torch.device, precision: str = "auto") -> torch.dtype:
    """Choose the dtype of large matrix products.

    Parameters
    ----------
    device : torch.device
        Where they run.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        ``"auto"`` is bfloat16 where the device has it in hardware, else float32.

    Returns
    -------
    dtype : torch.dtype
        ``torch.float32`` or ``torch.bfloat16``.

    Raises
    ------
    InvalidValueError
        For another word.
    """
    if precision == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device.type) else torch.float32
    if precision not in ("float32", "bfloat16"):
        raise InvalidValueError(f"precision is {precision!r}; it must be 'auto', 'float32' or 'bfloat16'.")
    return torch.float32 if precision == "float32" else torch.bfloat16


def make_generator(random_state: Any, device: torch.device | str = "cpu") -> torch.Generator:
    """Make a generator of its own from scikit-learn's `random_state`; no global state is read or written."""
    generator = torch.Generator(device=device)
    generator.manual_seed(draw_seed(random_state))
    return generator


def to_tensor(array: np.ndarray[Any, Any], device: torch.device) -> torch.Tensor:
    """Move an array to a device; on the CPU a writable array is shared, a read-only one copied."""
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array).to(device)


def to_numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Bring a tensor back as an array; bfloat16 becomes float32, which NumPy can hold."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return np.asarray(tensor.cpu().numpy())

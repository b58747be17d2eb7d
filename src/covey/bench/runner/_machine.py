"""What a number was measured on and what it cost: versions, hardware, seconds, memory."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from covey import __version__
from covey.pipeline import installed_versions

_KB = 1024


def versions() -> dict[str, str]:
    """Return the versions of covey and of what decides its numbers."""
    return {"covey": __version__, **dict(installed_versions())}


def hardware() -> dict[str, Any]:
    """Return the processor, its cores that may be used, memory and accelerator of this machine."""
    import torch  # noqa: PLC0415 - seconds that a scheduler does not need

    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts: dict[str, Any] = {
        "processor": _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine(),
        "n_cores": n_cores,
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if torch.cuda.is_available():
        facts["accelerator"] = torch.cuda.get_device_name()
    return facts


def _memory_gb() -> float | None:
    words = (_field(Path("/proc/meminfo"), "MemTotal") or "").split()
    return round(int(words[0]) * _KB / 2**30, 1) if words else None


def _field(path: Path, name: str) -> str | None:
    """Return the first value of a ``name : value`` file of Linux's, None elsewhere."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    values = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in values if key.strip() == name), None)


def resident_mb(*, peak: bool) -> float | None:
    """Return this process's memory in MiB, now or at its highest; None where the system does not tell.

    On Linux the highest is that of this program alone: what `getrusage` says would include the process that started
    it.
    """
    if platform.system() == "Linux":
        words = (_field(Path("/proc/self/status"), "VmHWM" if peak else "VmRSS") or "").split()
        return round(int(words[0]) * _KB / 2**20, 1) if words else None
    if os.name == "nt" or not peak:
        return None
    import resource  # noqa: PLC0415  (exists on POSIX alone)

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)  # bytes on macOS


@dataclass(slots=True)
class Meter:
    """Measures a block: wall-clock seconds, and processor seconds of this process and of those it has waited for."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    def __enter__(self) -> Self:
        self.wall_s, self.cpu_s = -time.perf_counter(), -_cpu_s()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s += time.perf_counter()
        self.cpu_s += _cpu_s()

    def to_dict(self) -> dict[str, float]:
        """Return both, rounded to milliseconds."""
        return {"wall_s": round(self.wall_s, 3), "cpu_s": round(self.cpu_s, 3)}


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

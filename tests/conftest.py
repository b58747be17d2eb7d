"""Fixtures for every test: no network, a home of its own, drawn pictures, and the real data where it is."""

import os
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# As the command line does, before anything loads torch: threads that spin starve each other on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("COVEY_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing leave this machine; the loopback stays open for browser tests."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            pytest.fail(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Return a function that gives the path of a real data file, or skips the test."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"needs the data file {name}; set COVEY_DATA to the folder that holds it")
        return path

    return find


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory, data_file: Callable[[str], Path]) -> Callable[[str], Path]:
    """Return a function that unpacks an archive of the real data once a session and gives its folder."""
    folders: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        if name not in folders:
            folder = tmp_path_factory.mktemp(Path(name).stem)
            with tarfile.open(data_file(name)) as archive:
                archive.extractall(folder, filter="data")
            folders[name] = folder
        return folders[name]

    return unpack


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Return a folder of 24 drawn pictures in three groups that any backbone can tell apart."""
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    draw = np.random.default_rng(0)
    bases = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
    for name, base in bases.items():
        for i in range(8):
            noise = draw.integers(-25, 25, size=(48, 64, 3))
            pixels = np.clip(np.array(base) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}-{i}.png")
    return folder

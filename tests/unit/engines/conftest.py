import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def shard_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Return a function that makes a module which worker processes can import too."""

    def make(body: str) -> object:
        import importlib

        name = f"shards_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(body), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(name)

    return make

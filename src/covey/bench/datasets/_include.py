"""Data sets from a file of one's own, without a package around it: rows that are registered for a while."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from covey.bench.datasets._dataset import DatasetSpec
from covey.errors import InvalidValueError
from covey.registry import Registry

ROWS = "DATASETS"
"""What a file calls its rows."""


@contextmanager
def include_files(registry: Registry, paths: Sequence[Path]) -> Iterator[None]:
    """Run Python files, and register the data sets that they define until the block ends.

    Parameters
    ----------
    registry : Registry
        Where the sets are registered.
    paths : sequence of Path
        Python files, each with a list or tuple ``DATASETS`` of `DatasetSpec`. They are run: include only files that you
        trust.

    Raises
    ------
    InvalidValueError
        If a file is missing, cannot be run, has no such list, or names a set that is registered already.
    """
    with ExitStack() as stack:
        for path in paths:
            for spec in _read_rows(path):
                if spec.name in registry:
                    raise InvalidValueError(
                        f"{path} defines the data set {spec.name!r}, which exists already; rename it."
                    )
                stack.enter_context(registry.register(spec.name, spec))
        yield


def _read_rows(path: Path) -> Sequence[DatasetSpec]:
    rows = getattr(_run(path), ROWS, None)
    if not isinstance(rows, list | tuple) or not all(isinstance(row, DatasetSpec) for row in rows):
        raise InvalidValueError(f"{path} has no {ROWS}; it must define a list or tuple of DatasetSpec of that name.")
    return rows


def _run(path: Path) -> ModuleType:
    """Run a file as a module of its own."""
    name = f"_covey_included_{sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    found = spec_from_file_location(name, path) if path.is_file() else None
    if found is None or found.loader is None:
        raise InvalidValueError(f"{path} cannot be included; give an existing Python file whose name ends with .py.")
    module = module_from_spec(found)
    sys.modules[name] = module  # dataclasses and pickles look their module up by its name
    try:
        found.loader.exec_module(module)
    except Exception as error:
        raise InvalidValueError(f"{path} cannot be included: {type(error).__name__}: {error}") from error
    return module

"""Files from which a killed training goes on."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from covey._files import atomic_write, parse_json
from covey.errors import ProjectError
from covey.store import disk_errors
from covey.types import TrainingState

_FORMAT = "covey-training"
EVERY_S = 60.0  # between two writings, if not said otherwise


class CheckpointFile:
    """One file with the latest state of a training: pass its `write` as ``checkpoint`` and its `read()` as ``resume``.

    Parameters
    ----------
    path : Path
        The file, in safetensors' format; missing folders are made.
    every_s : float, optional
        Least time between two writings, in seconds, 60 if not given; a state that comes earlier is not kept.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from covey.pipeline import CheckpointFile
    >>> from covey.types import TrainingState
    >>> file = CheckpointFile(Path(tempfile.mkdtemp()) / "training.safetensors", every_s=0)
    >>> file.read() is None
    True
    >>> file.write(TrainingState({"weights": np.ones(3)}, {"n_clusters": 10}))
    >>> file.read().facts
    {'n_clusters': 10}
    >>> file.remove()
    """

    def __init__(self, path: Path, *, every_s: float | None = None) -> None:
        self.path = Path(path)
        self.every_s = EVERY_S if every_s is None else every_s
        self._next = time.monotonic() + self.every_s

    def write(self, state: TrainingState) -> None:
        """Keep a state, whole or not at all, unless the last one is younger than `every_s`.

        Parameters
        ----------
        state : TrainingState
            Where the training stands.

        Raises
        ------
        ProjectError
            If the disk refuses; the state from before is then still there.
        """
        if time.monotonic() < self._next:
            return
        metadata = {"format": _FORMAT, "facts": json.dumps(dict(state.facts))}
        arrays = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in state.arrays.items()}
        with disk_errors(f"The checkpoint {str(self.path)!r}"), atomic_write(self.path) as temporary:
            save_file(arrays, temporary, metadata=metadata)
        self._next = time.monotonic() + self.every_s

    def read(self) -> TrainingState | None:
        """Return the state that was written last.

        Returns
        -------
        state : TrainingState or None
            None if there is no file.

        Raises
        ------
        ProjectError
            If the file is damaged or something else.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays: dict[str, NDArray[Any]] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            if metadata.get("format") != _FORMAT:
                raise ValueError("it is none of covey's")
            return TrainingState(arrays, parse_json(metadata["facts"]))
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            raise ProjectError(
                f"The checkpoint {str(self.path)!r} cannot be read: {error}. Remove it to start the training anew."
            ) from error

    def remove(self) -> None:
        """Remove the file, if there is one."""
        with suppress(FileNotFoundError):
            self.path.unlink()

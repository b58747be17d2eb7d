"""Writing a file whole or not at all."""

import os
import threading
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that no reader, and no crash, ever sees a part of it.

    Parameters
    ----------
    path : Path
        Missing folders are made; a file that is there is replaced.
    data : bytes
        The content.

    Raises
    ------
    OSError
        If it cannot be written, for example because the disk is full; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")  # no two writers share it
    try:
        part.write_bytes(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

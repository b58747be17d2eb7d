"""Images by their keys, the integers of the database: for arrays over all images of a project."""

import json
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey.store import _inventory
from covey.store._database import transaction
from covey.store._disk import disk_errors
from covey.store._project import Project
from covey.types import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class RunArrays:
    """The rows of a partition by rising key of the image.

    Attributes
    ----------
    images : ndarray of shape (n,), dtype int64
        Keys.
    labels, second : ndarray of shape (n,), dtype int32
        Cluster and next best cluster, -1 for none.
    confidence : ndarray of shape (n,), dtype float32
        In [0, 1].
    """

    images: IntArray
    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    second: NDArray[np.int32]


def count_images(project: Project) -> int:
    """Return the number of images that the project ever knew.

    Parameters
    ----------
    project : Project
        Open.

    Returns
    -------
    n_images : int
        Images that are gone are counted too.
    """
    return int(project._connection.execute("SELECT count(*) FROM images").fetchone()[0])


def read_image_keys(project: Project) -> tuple[IntArray, list[str]]:
    """Return the keys and the ids of all images that the project ever knew.

    Parameters
    ----------
    project : Project
        Open.

    Returns
    -------
    keys : ndarray of shape (n,), dtype int64
        Rising.
    ids : list of str
        In the same order.
    """
    rows = project._connection.execute("SELECT key, id FROM images ORDER BY key").fetchall()
    return np.array([row[0] for row in rows], dtype=np.int64), [row[1] for row in rows]


def read_present_keys(project: Project) -> IntArray:
    """Return the keys of the images that are there and have no failure.

    Parameters
    ----------
    project : Project
        Open.

    Returns
    -------
    keys : ndarray of shape (n,), dtype int64
        Rising; of images with equal pixels the first one alone.
    """
    rows = project._connection.execute("""
        SELECT min(images.key) AS first FROM good_files JOIN images ON images.key = image
        GROUP BY coalesce(pixels, images.id) ORDER BY first""")
    return np.array([row[0] for row in rows], dtype=np.int64)


def read_run_arrays(project: Project, partition_id: int) -> RunArrays:
    """Return the rows of a partition, by key of the image.

    Parameters
    ----------
    project : Project
        Open.
    partition_id : int
        Which partition.

    Returns
    -------
    arrays : RunArrays
        1,000,000 rows take a few seconds.

    Raises
    ------
    ProjectError
        If the partition is unknown.
    """
    known = project.partition_info(partition_id).id
    rows = project._connection.execute(
        "SELECT image, label, second_label, confidence FROM assignments WHERE partition = ?", (known,)
    ).fetchall()
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    images = np.array(columns[0], dtype=np.int64)
    order = np.argsort(images)
    return RunArrays(
        images=images[order],
        labels=np.array(columns[1], dtype=np.int32)[order],
        second=np.array(columns[2], dtype=np.int32)[order],
        confidence=np.array(columns[3], dtype=np.float32)[order],
    )


def read_places(project: Project, ids: Iterable[str]) -> dict[str, tuple[str, int, int]]:
    """Return where images are, and their sizes.

    Parameters
    ----------
    project : Project
        Open.
    ids : iterable of str
        Ids of the images.

    Returns
    -------
    places : dict of str to (str, int, int)
        First path, and width and height in pixels, as in `Member`, by id. Unknown ids are left out.
    """
    wanted = list(ids)
    paths, root = _inventory.read_paths(project._connection, wanted), project._root
    rows = project._connection.execute(
        "SELECT id, width, height FROM images WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(wanted),)
    )
    return {
        image_id: (_inventory.relative_path(paths[image_id][0], root), width, height)
        for image_id, width, height in rows
    }


def read_successors(project: Project) -> IntArray:
    """Return which image is now at the last path of each image that is gone.

    Parameters
    ----------
    project : Project
        Open.

    Returns
    -------
    pairs : ndarray of shape (m, 2), dtype int64
        Keys of the image that is gone, rising, and of the one that is there now; images without one are left out.
    """
    rows = project._connection.execute("""
        SELECT old.key, files.image FROM images AS old JOIN files ON files.path = old.last_path
        WHERE files.is_present AND files.code IS NULL AND NOT files.is_companion AND files.image <> old.key
        AND NOT EXISTS (
            SELECT 1 FROM files AS other WHERE other.image = old.key AND other.is_present)
        ORDER BY old.key""").fetchall()
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def relocate_files(project: Project, moved: Iterable[tuple[Path, Path]]) -> None:
    """Note that files were moved, so that paths and links stay right and a scan finds nothing new.

    Parameters
    ----------
    project : Project
        Open and locked.
    moved : iterable of (Path, Path)
        Where each file was, and where it is now; absolute. A pair that is noted already changes nothing.

    Raises
    ------
    ProjectError
        If the disk refuses; then nothing is noted.
    """
    with disk_errors(f"Project {str(project.root)!r}: the new places of moved files"), transaction(project._connection):
        for old, new in moved:
            _relocate(project._connection, os.fsencode(old), os.fsencode(new))


def _relocate(connection: sqlite3.Connection, old: bytes, new: bytes) -> None:
    connection.execute("UPDATE images SET last_path = ? WHERE last_path = ?", (new, old))
    if connection.execute("SELECT 1 FROM files WHERE path = ?", (old,)).fetchone():
        connection.execute("DELETE FROM files WHERE path = ?", (new,))  # a file that was there before this one
        connection.execute("UPDATE files SET path = ? WHERE path = ?", (new, old))

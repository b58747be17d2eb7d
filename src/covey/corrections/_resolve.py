"""From what a person types to ids and keys: clusters and groups by number or name, images by path or id."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from covey.curation import Curation, EditError, name_key
from covey.store import Project
from covey.types import IntArray

_SHORTEST_ID = 8
_ID_LENGTH = 64
_N_SHOWN = 3


class Resolver:
    """Finds what a person means in one project.

    Parameters
    ----------
    project : Project
        Open.
    images : ndarray of shape (n,), dtype int64
        Keys of its images, rising.
    ids : sequence of str
        Their ids.
    """

    def __init__(self, project: Project, images: IntArray, ids: Sequence[str]) -> None:
        self._project, self._images, self._ids = project, images, ids
        self._by_path: dict[str, str] | None = None
        self._key_of: dict[str, int] | None = None

    def cluster(self, state: Curation, cluster: int | str) -> int:
        """Return the id of a cluster from its id or name.

        Parameters
        ----------
        state : Curation
            Where to look.
        cluster : int or str
            A number is an id if there is such a cluster, else a name; names are compared without case.

        Returns
        -------
        cluster : int
            It may be retired, which the edit says.

        Raises
        ------
        EditError
            If no cluster, or more than one, has the name.
        """
        text = str(cluster).strip()
        if text.isdecimal() and int(text) in state.clusters:
            return int(text)
        if isinstance(cluster, int):
            return cluster
        found = [known.id for known in state.alive if name_key(known.title) == name_key(text)]
        if len(found) > 1:
            raise EditError("bad_request", f"The clusters {found} all have the name {text!r}; give a number.", found)
        if found:
            return found[0]
        names = [known.title for known in state.alive]
        near = difflib.get_close_matches(text, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise EditError("unknown", f"There is no cluster {text!r} among {len(names)}.{hint}")

    def group(self, state: Curation, group: int | str) -> int | None:
        """Return the id of a group from its id or name, None if there is none."""
        text = str(group).strip()
        if text.isdecimal() and int(text) in state.groups:
            return int(text)
        return next((number for number, name in state.groups.items() if name_key(name) == name_key(text)), None)

    def images(self, images: Sequence[str | Path]) -> IntArray:
        """Return the keys of images, rising and each once.

        Parameters
        ----------
        images : sequence of str or Path
            Each a path as in ``assignments.csv``, a path on disk, or an id, of which the first 8 characters are enough.

        Returns
        -------
        keys : ndarray of shape (m,), dtype int64
            Of the images.

        Raises
        ------
        EditError
            If one is not known, or an id is not unique; the message names the first ones.
        """
        if isinstance(images, (str, Path)):
            images = [images]
        found = [(image, self._find(image)) for image in images]
        unknown = [str(image) for image, key in found if key is None]
        if unknown:
            more = ", ..." if len(unknown) > _N_SHOWN else ""
            raise EditError(
                "unknown",
                f"{len(unknown)} of {len(images)} images are not in the project: "
                f"{', '.join(unknown[:_N_SHOWN])}{more}. Give a path as in assignments.csv, a path on disk, or an id.",
            )
        return np.unique(np.array([key for _, key in found], dtype=np.int64))

    def _find(self, image: str | Path) -> int | None:
        text = str(image)
        if len(text) == _ID_LENGTH and text in self._keys():
            return self._keys()[text]
        paths, keys = self._paths(), self._keys()
        if text in paths:
            return keys[paths[text]]
        on_disk = self._project.relative_path(Path(text).absolute())
        if on_disk in paths:
            return keys[paths[on_disk]]
        resolved = self._project.relative_path(Path(text).resolve())
        if resolved in paths:
            return keys[paths[resolved]]
        return self._find_id(text.lower())

    def _find_id(self, text: str) -> int | None:
        if not _SHORTEST_ID <= len(text) <= _ID_LENGTH or not set(text) <= set("0123456789abcdef"):
            return None
        if len(text) == _ID_LENGTH:
            return self._keys().get(text)
        found = [image_id for image_id in self._ids if image_id.startswith(text)]
        if len(found) > 1:
            raise EditError("bad_request", f"{len(found)} images have an id that starts with {text}; give more of it.")
        return self._keys()[found[0]] if found else None

    def _paths(self) -> Mapping[str, str]:
        if self._by_path is None:
            paths = self._project.paths()
            self._by_path = {path: image_id for image_id, known in paths.items() for path in known}
        return self._by_path

    def _keys(self) -> Mapping[str, int]:
        if self._key_of is None:
            self._key_of = dict(zip(self._ids, self._images.tolist(), strict=True))
        return self._key_of

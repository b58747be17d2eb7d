"""What reading the images found: notes on them, and which have equal pixels; over the columns of migration 5."""

import json
import sqlite3
from collections.abc import Iterable, Mapping

from covey.store._database import ID, read_json, read_rows, readable, refuse_damage, transaction
from covey.store._disk import disk_errors
from covey.types import ImageNote


class ImageReadings:
    """What a project keeps of its images' decoded content.

    Parameters
    ----------
    connection : sqlite3.Connection
        To the project's database.
    subject : str
        The project, as messages call it.
    """

    def __init__(self, connection: sqlite3.Connection, subject: str) -> None:
        self._connection = connection
        self._subject = subject

    def record(self, notes: Iterable[ImageNote], pixels: Mapping[str, str]) -> None:
        """Keep what reading images found: all of it or nothing.

        Parameters
        ----------
        notes : iterable of ImageNote
            All that there is to say of each image that occurs; images that do not occur keep their notes.
        pixels : mapping of str to str
            Hash of the decoded pixels by image id. Images with equal ones are a single image from then on, with the
            files of all: `Project.records` gives the one that was found first.

        Raises
        ------
        ProjectError
            If the disk refuses.
        """
        by_image: dict[str, list[tuple[str, str]]] = {}
        for note in notes:
            by_image.setdefault(note.id, []).append((note.code, readable(note.message)))
        with disk_errors(f"{self._subject}: the notes on its images"), transaction(self._connection):
            self._connection.executemany(
                "UPDATE images SET notes = ?1 WHERE id = ?2 AND notes <> ?1",
                ((json.dumps(said), image_id) for image_id, said in by_image.items()),
            )
            self._connection.executemany(
                "UPDATE images SET pixels = ? WHERE id = ?", ((digest, image_id) for image_id, digest in pixels.items())
            )

    def pixels(self) -> dict[str, str]:
        """Return the hash of the decoded pixels of the images for which one was recorded, by id."""
        return dict(self._connection.execute("SELECT id, pixels FROM images WHERE pixels IS NOT NULL"))

    def notes(self) -> list[ImageNote]:
        """Return the notes on the present images without failure, in the order in which these were found."""
        return read_notes(self._connection)


def read_notes(connection: sqlite3.Connection) -> list[ImageNote]:
    """Return the notes on the present images without failure, in the order in which these were found."""
    query = "SELECT id, notes FROM images WHERE notes <> '[]' AND key IN (SELECT image FROM good_files) ORDER BY key"
    found = []
    for image_id, notes in read_rows(connection, query, kinds=(ID, str)):
        for note in read_json(connection, notes, list):
            if not (isinstance(note, list) and len(note) == 2 and all(isinstance(part, str) for part in note)):
                refuse_damage(connection, f"{note!r} is not a note on an image")
            found.append(ImageNote(image_id, *note))
    return found

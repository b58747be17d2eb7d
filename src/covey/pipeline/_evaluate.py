"""Known labels beside a partition: the scores, and how many images they speak of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from covey import metrics
from covey._text_files import read_table, same_name, unmark_formula
from covey.errors import InvalidValueError
from covey.store import Project
from covey.types import IntArray, Partition

FILE_COLUMNS = ("filename", "file_name", "path", "image")
CLASS_COLUMNS = ("class", "label", "category")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a partition compares with known labels.

    Attributes
    ----------
    scores : dict of str to float
        Every registered metric that needs labels and, where the method gives some, probabilities; by name.
    per_class_accuracy : dict of str to float
        Share of each class's images that lie in the cluster matched to it.
    n_images : int
        Images that have a label and were scored.
    n_unlabelled : int
        Images of the partition without a label; they take no part.
    n_ambiguous : int
        Images whose several paths carry different labels; they take no part.
    n_classes, n_clusters : int
        Distinct labels, and distinct clusters among the scored images.
    """

    scores: dict[str, float]
    per_class_accuracy: dict[str, float]
    n_images: int
    n_unlabelled: int
    n_ambiguous: int
    n_classes: int
    n_clusters: int


class KnownLabels(NamedTuple):
    """The classes of a table.

    Attributes
    ----------
    classes : dict of str to str
        Class by file name, composed (NFC).
    form : str
        How the table was understood: ``"UTF-16, tab-separated"``.
    n_empty : int
        Rows without a class, which say nothing.
    """

    classes: dict[str, str]
    form: str
    n_empty: int


def read_labels(path: Path) -> dict[str, str]:
    """Read a table that gives each image a class; see `read_label_table`, whose `classes` it returns.

    Parameters
    ----------
    path : Path
        The table.

    Returns
    -------
    labels : dict of str to str
        Class by file name, composed (NFC).
    """
    return read_label_table(path).classes


def read_label_table(path: Path) -> KnownLabels:
    """Read a table that gives each image a class, and say how it was understood.

    Parameters
    ----------
    path : Path
        In UTF-8, UTF-16 or cp1252, separated by commas, semicolons, tabs or bars, with a header: one of ``filename``,
        ``file_name``, ``path``, ``image``, and one of ``class``, ``label``, ``category``, in small letters or capitals.
        File names are POSIX paths as in ``assignments.csv``, or bare names if those are unique. An empty cell is no
        class.

    Returns
    -------
    labels : KnownLabels
        What it says.

    Raises
    ------
    InvalidValueError
        If it cannot be read, a column is missing, or a file is in the table twice with different classes.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidValueError(f"The table {str(path)!r} cannot be read: {error.strerror}.") from error
    table = read_table(data, f"The table {str(path)!r}", (FILE_COLUMNS, CLASS_COLUMNS))
    header = table.header
    file_column = next((header.index(name) for name in FILE_COLUMNS if name in header), None)
    class_column = next((header.index(name) for name in CLASS_COLUMNS if name in header), None)
    if file_column is None or class_column is None:
        raise InvalidValueError(
            f"{path}, read as {table.form}, has the columns {_list_columns(header)}; it needs one of "
            f"{', '.join(FILE_COLUMNS)} and one of {', '.join(CLASS_COLUMNS)}."
        )
    classes: dict[str, str] = {}
    n_empty = 0
    for row in table.rows:
        name, label = (unmark_formula(row[i]) if i < len(row) else "" for i in (file_column, class_column))
        if not name or not label.strip():
            n_empty += 1
        elif classes.setdefault(same_name(name), label) != label:
            raise InvalidValueError(f"{path} gives {name!r} the class {classes[same_name(name)]!r} and also {label!r}.")
    return KnownLabels(classes, table.form, n_empty)


def _list_columns(header: Sequence[str]) -> str:
    """Return the names of columns for a message, cut where there are many or long ones."""
    listed = ", ".join(name[:40] for name in header[:8]) or "(none)"
    return f"{listed}, ..." if len(header) > 8 else listed


def evaluate_partition(project: Project, partition_id: int, labels: Mapping[str, str] | None = None) -> Evaluation:
    """Score a partition against known labels.

    Parameters
    ----------
    project : Project
        An open project.
    partition_id : int
        Which partition.
    labels : mapping of str to str, optional
        Class by POSIX path relative to the project's image root, or by bare file name. None takes the name of the
        folder in which each picture lies.

    Returns
    -------
    evaluation : Evaluation
        The scores and what they speak of.

    Raises
    ------
    InvalidValueError
        If no image of the partition has a label, or all have the same one.
    """
    partition = project.partition(partition_id)
    paths = project.paths()
    if labels is not None:
        labels = {same_name(name): label for name, label in labels.items()}
    found = [_classes_of(paths.get(image_id, []), labels) for image_id in partition.ids]
    rows = [row for row, classes in enumerate(found) if len(classes) == 1]
    if not rows:
        raise InvalidValueError(
            f"None of the {len(found)} images has a label; file names must be as in assignments.csv, "
            f"for example {next((names[0] for names in paths.values()), 'a.png')!r}."
        )
    names, labels_true = np.unique([next(iter(found[row])) for row in rows], return_inverse=True)
    if len(names) < 2:
        raise InvalidValueError(
            f"All {len(rows)} labelled images have the class {str(names[0])!r}; there is nothing to compare."
        )
    labels_pred = partition.labels[rows]
    per_class = metrics.per_class_accuracy(labels_true, labels_pred)
    return Evaluation(
        scores=_scores(partition, np.asarray(rows), labels_true),
        per_class_accuracy={str(name): float(value) for name, value in zip(names, per_class, strict=True)},
        n_images=len(rows),
        n_unlabelled=sum(not classes for classes in found),
        n_ambiguous=sum(len(classes) > 1 for classes in found),
        n_classes=len(names),
        n_clusters=len(np.unique(labels_pred)),
    )


def _scores(partition: Partition, rows: IntArray, labels_true: IntArray) -> dict[str, float]:
    """Return every registered metric that labels and, if there are any, probabilities suffice for."""
    known: dict[str, Any] = {"labels_true": labels_true, "labels_pred": partition.labels[rows]}
    if partition.probabilities is not None:  # a margin is no probability: it is neither averaged nor calibrated as one
        known |= {"probabilities": partition.probabilities[rows], "confidence": partition.confidence[rows]}
    return {
        spec.name: float(spec.function(**{need: known[need] for need in spec.needs}))
        for spec in metrics.METRICS.values()
        if set(spec.needs) <= known.keys()
    }


def _classes_of(paths: list[str], labels: Mapping[str, str] | None) -> set[Any]:
    """Return the distinct classes of one image's paths; the folder's name counts if no mapping is given."""
    if labels is None:
        return {name for path in paths if (name := PurePosixPath(path).parent.name)}
    names = [same_name(path) for path in paths]
    return {label for name in names if (label := labels.get(name, labels.get(PurePosixPath(name).name))) is not None}

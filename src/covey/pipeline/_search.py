"""Search in a run: by a picture, by words, or by a cluster; in features or in what a method made of them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from covey._files import parse_json, write_bytes, write_text
from covey.backbones import load_backbone
from covey.cluster import CLUSTERERS
from covey.corrections import is_scaled, load_run_features
from covey.errors import ImageReadError, InvalidValueError, ProjectError
from covey.extract import extract_features
from covey.features import concatenate_features
from covey.images import scan_images
from covey.pipeline._run_words import find_text_space, match_backbones, run_parts
from covey.search import SEARCH_ENGINES, Hits, cluster_center, search_rows
from covey.store import FeatureStore, PartitionInfo, Project
from covey.types import Backbone, FloatArray, ImageRecord, IntArray, Partition

SPACES = ("features", "representation")


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One picture that was found.

    Attributes
    ----------
    path : str
        Its first path, relative to the project's image root.
    score : float
        Cosine with the query, in [-1, 1].
    cluster : int
        Its cluster in the run.
    name : str
        The cluster's words.
    id : str
        The image's id.
    """

    path: str
    score: float
    cluster: int
    name: str
    id: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found, and how it was made.

    Attributes
    ----------
    hits : tuple of SearchHit
        The most alike first.
    n_searched : int
        Pictures that were compared.
    space : str
        ``"features"``, ``"representation"``, or ``"texts"`` where words were asked for.
    source : str
        What let words and pictures be compared; empty otherwise.
    is_bridge : bool
        Whether that was a bridge of two models, which is weaker than CLIP.
    engine : str
        What searched.
    recall : float
        Share of the true hits that the engine finds; 1 for the exact one.
    """

    hits: tuple[SearchHit, ...]
    n_searched: int
    space: str
    source: str
    is_bridge: bool
    engine: str
    recall: float


class _Run(NamedTuple):
    """Where is searched."""

    project: Project
    info: PartitionInfo
    partition: Partition
    backbones: Sequence[Backbone]
    device: str


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """A query as a vector among rows."""

    rows: Any  # (n, d): an array, or something that gives blocks of one
    vector: FloatArray
    space: str
    source: str = ""
    is_bridge: bool = False
    own: int | None = None  # the row that asks, which is no answer


class _PlacedRows:
    """Features as a search sees them in a space of texts: placed block by block, never all at once."""

    def __init__(self, X: FloatArray, place: Callable[[FloatArray], FloatArray]) -> None:
        self._X, self._place = X, place
        self.shape, self.ndim = X.shape, X.ndim

    def __len__(self) -> int:
        return len(self._X)

    def __getitem__(self, rows: slice | IntArray) -> FloatArray:
        return self._place(np.asarray(self._X[rows], dtype=np.float32))


def search_project(
    project: Project,
    *,
    image: Path | None = None,
    text: str | None = None,
    cluster: int | None = None,
    within: int | None = None,
    partition_id: int | None = None,
    n_hits: int = 20,
    min_score: float | None = None,
    space: str = "features",
    engine: str = "exact",
    backbones: Sequence[Backbone] = (),
    device: str = "auto",
) -> SearchResult:
    """Find the pictures of a run that are most like a picture, a text or a cluster.

    Parameters
    ----------
    project : Project
        Open.
    image : Path, optional
        A picture file. One that the run knows (by its bytes) is looked up and left out of the hits; another is embedded
        with the run's backbones.
    text : str, optional
        Words to search for, in the language of the run's text tower.
    cluster : int, optional
        A cluster, whose centre is the query. Exactly one of `image`, `text` and `cluster` is given.
    within : int, optional
        Search among the pictures of this cluster only.
    partition_id : int, optional
        Which run; the latest if not given.
    n_hits : int, default=20
        The most hits.
    min_score : float, optional
        In [-1, 1]; what scores less is left out.
    space : {"features", "representation"}, default="features"
        Where to compare: in the features of the backbones, or in what the method made of them (CPP's Z, SCP's outputs).
    engine : str, default="exact"
        A name in `covey.search.SEARCH_ENGINES`. An approximate engine keeps its index in the project, and serves
        searches by picture or cluster over all pictures; anything else is searched exactly.
    backbones : sequence of Backbone, optional
        Those of the run that are loaded already; needed for a model that came from a folder.
    device : str, default="auto"
        Where networks run.

    Returns
    -------
    result : SearchResult
        The hits, and what made them.

    Raises
    ------
    InvalidValueError
        If not exactly one query is given, it is empty, or a value is not allowed; if nothing can compare the run's
        pictures with words; if a picture from outside is to be found in a representation.
    ProjectError
        If the run or a cluster is unknown, or the run keeps no representation.
    ImageReadError
        If the picture cannot be read.
    UnknownNameError
        If the engine is not registered.
    """
    _check_query(image, text, cluster, space)
    _check_limits(n_hits, min_score, engine)
    info = project.partition_info(partition_id)
    run = _Run(project, info, project.partition(info.id), backbones, device)
    names = {summary.label: summary.name.name for summary in project.clusters(info.id)}
    for label in (cluster, within):
        if label is not None and label not in names:
            raise ProjectError(f"Run {info.name!r} has no cluster {label}; it has 0 to {max(names, default=0)}.")
    if text is not None:
        question = _ask_text(run, text)
    elif image is not None:
        question = _ask_picture(run, _run_rows(run, space), image, space)
    else:
        rows = _run_rows(run, space)
        question = _Question(rows, cluster_center(rows, run.partition.labels, cluster or 0), space)
    only = None if within is None else np.flatnonzero(run.partition.labels == within)
    n_wanted = n_hits + (question.own is not None)
    if engine == "exact" or only is not None or text is not None:
        found, engine, recall = search_rows(question.rows, question.vector, n_hits=n_wanted, rows=only)[0], "exact", 1.0
    else:
        found, recall = _search_index(run, question, engine, n_wanted)
    return SearchResult(
        hits=tuple(_answers(run, found if min_score is None else found.at_least(min_score), question.own, names))[
            :n_hits
        ],
        n_searched=len(run.partition.ids) if only is None else len(only),
        space=question.space,
        source=question.source,
        is_bridge=question.is_bridge,
        engine=engine,
        recall=recall,
    )


def _check_query(image: Path | None, text: str | None, cluster: int | None, space: str) -> None:
    if sum(query is not None for query in (image, text, cluster)) != 1:
        raise InvalidValueError("Give exactly one query: a picture (--image), words (--text) or a cluster (--cluster).")
    if text is not None and not text.strip():
        raise InvalidValueError("The query is empty; say in words what to look for.")
    if space not in SPACES:
        raise InvalidValueError(f"Unknown space {space!r}; use one of {', '.join(SPACES)}.")
    if text is not None and space != "features":
        raise InvalidValueError("Words can be compared with features only; leave out the space.")


def _check_limits(n_hits: int, min_score: float | None, engine: str) -> None:
    if n_hits < 1:
        raise InvalidValueError(f"{n_hits} hits were asked for; it must be at least 1.")
    if min_score is not None and not -1 <= min_score <= 1:
        raise InvalidValueError(f"The least score is {min_score}; a cosine lies in [-1, 1].")
    SEARCH_ENGINES[engine]  # an unknown one says so


def _ask_text(run: _Run, text: str) -> _Question:
    space, X = find_text_space(run.project, run.info, run.partition.ids, backbones=run.backbones, device=run.device)
    rows = _PlacedRows(X, space.place_images)
    return _Question(rows, space.place_texts([" ".join(text.split())])[0], "texts", space.source, space.is_bridge)


def _run_rows(run: _Run, space: str) -> FloatArray:
    """Return the rows of a run in features or in what its method made of them."""
    if space == "features":
        return load_run_features(run.project, run.info, run.partition.ids)
    if run.partition.representation is None:
        raise ProjectError(
            f"Run {run.info.name!r} keeps no representation: {run.info.method} makes none, or it was too large. "
            f"Methods that make one: {', '.join(spec.name for spec in CLUSTERERS.specs() if spec.represents)}."
        )
    return run.partition.representation


def _ask_picture(run: _Run, rows: FloatArray, image: Path, space: str) -> _Question:
    record = _scan_one(image)
    if record.id in run.partition.ids:
        own = run.partition.ids.index(record.id)
        return _Question(rows, np.asarray(rows[own]), space, own=own)
    if space != "features":
        raise InvalidValueError(
            f"{str(image)!r} is not among the pictures of run {run.info.name!r}, and a representation is kept "
            "for those "
            "alone; search in the features."
        )
    return _Question(rows, _embed_one(run, record), space)


def _scan_one(image: Path) -> ImageRecord:
    report = scan_images([image])
    if report.failures:
        raise ImageReadError(report.failures[0].code, f"{image}: {report.failures[0].message}")
    if len(report.records) != 1:
        raise InvalidValueError(f"{str(image)!r} is not one picture; a query is one picture file.")
    return report.records[0]


def _embed_one(run: _Run, record: ImageRecord) -> FloatArray:
    """Compute the row that a picture would have among a run's features."""
    info, parts = run.info, run_parts(run.info)
    loaded = match_backbones(info, run.backbones)
    backbones = [
        loaded[fingerprint] if fingerprint in loaded else load_backbone(name, device=run.device)
        for name, fingerprint in parts
    ]
    for backbone, (name, fingerprint) in zip(backbones, parts, strict=True):
        if backbone.fingerprint != fingerprint:
            raise ProjectError(
                f"The features of run {info.name!r} are {fingerprint}, but {name} gives {backbone.fingerprint} "
                "here: another "
                "precision or runtime. Cluster again on this machine, or search by a picture of the run."
            )
    with TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder))
        for backbone in backbones:
            report = extract_features([record], backbone, store, n_workers=1)
            if report.failures:
                raise ImageReadError(report.failures[0].code, f"{record.path}: {report.failures[0].message}")
        found = [store.load(backbone.fingerprint, [record.id]) for backbone in backbones]
        return np.array(concatenate_features(found, normalize=is_scaled(info)).X[0])


def _search_index(run: _Run, question: _Question, engine: str, n_hits: int) -> tuple[Hits, float]:
    """Search with an engine whose index is kept in the run's folder, and built if it is not there."""
    kind = SEARCH_ENGINES[engine]
    folder = run.project.run_folder(run.info.id)
    path, told = folder / f"{question.space}.{engine}", folder / f"{question.space}.{engine}.json"
    digest = hashlib.sha256(f"{run.info.fingerprint} {question.rows.shape}".encode()).hexdigest()
    searcher, recall = _read_index(kind, question.rows, path, told, digest)
    if searcher is None:
        searcher = kind(question.rows)
        recall = float(searcher.measure_recall(n_hits))
        told.unlink(missing_ok=True)  # it says which rows an index is of, and must never lie beside that of other rows
        index = searcher.to_bytes()
        write_bytes(path, index)
        write_text(told, json.dumps({"rows": digest, "sha256": hashlib.sha256(index).hexdigest(), "recall": recall}))
    return searcher.search(np.asarray(question.vector, dtype=np.float32)[None], n_hits)[0], recall


def _read_index(kind: Any, rows: Any, path: Path, told: Path, digest: str) -> tuple[Any, float]:
    """Read an index that was kept for these rows, and its recall; (None, 0) if there is none, or it is damaged.

    Native code reads it, which need not survive damage: its checksum is compared first.
    """
    try:
        known = parse_json(told.read_bytes())
        index = path.read_bytes()
        if known["rows"] != digest or known["sha256"] != hashlib.sha256(index).hexdigest():
            return None, 0.0
        return kind.from_bytes(rows, index), float(known["recall"])
    except (OSError, KeyError, TypeError, ValueError, RuntimeError):
        return None, 0.0


def _answers(run: _Run, found: Hits, own: int | None, names: Mapping[int, str]) -> Iterator[SearchHit]:
    """Yield the pictures that were found, without the one that asked and those that are gone."""
    paths = run.project.paths()
    for row, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True):
        image_id, label = run.partition.ids[row], int(run.partition.labels[row])
        if row != own and image_id in paths:
            yield SearchHit(paths[image_id][0], score, label, names.get(label, ""), image_id)

"""From a TOML file to experiments; everything is checked before anything runs."""

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

from covey.bench._check import check_experiment, check_keys, check_types, join_where
from covey.bench._experiment import TUNINGS, Experiment, ExperimentFile, Method, Published, RowsSpec, merge_experiments
from covey.bench._references import REFERENCES
from covey.cluster import CLUSTERERS
from covey.errors import InvalidValueError

_ROWS_KEYS: Final = ("path", "variant", "features", "n_views", "image_size_px")
_SHARED_KEYS: Final = (*_ROWS_KEYS, "seeds", "protocols", "tuning", "timeout_s", "n_clusters")
_FILE_KEYS: Final = ("title", "note", "paper", "references", "defaults", "experiment", "matrix")
_METHOD_KEYS: Final = ("method", "preset", "changes", "grid", "n_clusters")
_PUBLISHED_KEYS: Final = ("scores", "spread", "source", "features", "protocol", "why")
_DEFAULT_SEEDS: Final = 5
_MAX_SEEDS: Final = 10_000
_FOLDER: Final = "experiments"


class _Given(NamedTuple):
    """One table of a file, with the file's defaults below it, and its place, for messages."""

    values: Mapping[str, Any]
    where: str


def packaged_experiments() -> dict[str, Path]:
    """Return the experiment files that come with covey, by name.

    Returns
    -------
    files : dict of str to Path
        Sorted by name.
    """
    folder = Path(str(resources.files("covey.bench"))) / _FOLDER
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_file(text: str) -> Path:
    """Return an experiment file by its path, or by the name of one that comes with covey.

    Parameters
    ----------
    text : str
        ``"mine.toml"``, or ``"quick"``.

    Returns
    -------
    path : Path
        An existing file.

    Raises
    ------
    InvalidValueError
        If there is neither.
    """
    path, packaged = Path(text), packaged_experiments()
    if path.is_file():
        return path
    name = text.removesuffix(".toml")
    if name in packaged:
        return packaged[name]
    raise InvalidValueError(
        f"{text!r} is neither a file nor one of the experiments that come with covey: {', '.join(packaged)}."
    )


def read_experiments(path: Path) -> ExperimentFile:
    """Read and check a file of experiments.

    Parameters
    ----------
    path : Path
        TOML; docs/guide/bench.md describes it.

    Returns
    -------
    file : ExperimentFile
        Each experiment once, floors and ceilings for each set of rows included.

    Raises
    ------
    InvalidValueError
        With the place in the file, what is there and what is allowed.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidValueError(f"{path} cannot be read: {error}") from error
    check_keys(content, _FILE_KEYS, str(path))
    check_types(content, str(path))
    defaults = content.get("defaults", {})
    check_keys(defaults, _SHARED_KEYS, f"{path}, defaults")
    check_types(defaults, f"{path}, defaults")
    found = [
        *_read_matrices(content.get("matrix", []), defaults, path),
        *_read_single(content.get("experiment", []), defaults, path),
    ]
    if not found:
        raise InvalidValueError(f"{path} has neither [[experiment]] nor [[matrix]]; it asks for nothing.")
    references = _references(found, content.get("references", list(REFERENCES)), str(path))
    return ExperimentFile(
        path=path,
        title=str(content.get("title", path.stem)),
        note=str(content.get("note", "")).strip(),
        paper=str(content.get("paper", "")),
        experiments=tuple(merge_experiments([*found, *references])),
    )


def _read_matrices(matrices: list[dict[str, Any]], defaults: Mapping[str, Any], path: Path) -> Iterator[Experiment]:
    """Yield an experiment for each set and each method of each matrix."""
    for i, matrix in enumerate(matrices, start=1):
        where = f"{path}, matrix {i}"
        check_keys(matrix, (*_SHARED_KEYS, "sets", "methods", "except"), where)
        for given_set, given_method in itertools.product(_sets(matrix, where), _methods(matrix, where)):
            shared: dict[str, Any] = {key: matrix[key] for key in _SHARED_KEYS if key in matrix}
            yield from _expand(_Given({**defaults, **shared, **given_set, **given_method}, where))


def _sets(matrix: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    sets = [{"set": entry} if isinstance(entry, str) else dict(entry) for entry in matrix.get("sets", [])]
    for entry in sets:
        check_keys(entry, ("set", *_SHARED_KEYS), f"{where}, sets")
    if not sets:
        raise InvalidValueError(f"{where} has no sets; give a list of names.")
    return sets


def _methods(matrix: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the methods of a matrix; ``"all"`` stands for every registered clusterer of features."""
    named, excluded = matrix.get("methods", []), list(matrix.get("except", []))
    if named == "all":
        known = [spec.name for spec in CLUSTERERS.specs() if spec.rows == "features"]
        named = [name for name in known if name not in excluded]
    elif excluded:
        raise InvalidValueError(f"{where} has 'except', which belongs to methods = \"all\" alone.")
    methods = [{"method": entry} if isinstance(entry, str) else dict(entry) for entry in named]
    for entry in methods:
        check_keys(entry, (*_METHOD_KEYS, "tuning", "timeout_s", "seeds"), f"{where}, methods")
    if not methods:
        raise InvalidValueError(f'{where} has no methods; give a list of names, or "all".')
    return methods


def _read_single(entries: list[dict[str, Any]], defaults: Mapping[str, Any], path: Path) -> Iterator[Experiment]:
    for i, entry in enumerate(entries, start=1):
        where = f"{path}, experiment {i}"
        check_keys(entry, ("set", *_METHOD_KEYS, *_SHARED_KEYS, "published"), where)
        yield from _expand(_Given({**defaults, **entry}, where))


def _expand(given: _Given) -> Iterator[Experiment]:
    """Yield one experiment, or one for each point of a grid, which form a group."""
    grid = given.values.get("grid") or {}
    if grid and given.values.get("tuning") != "oracle":
        raise InvalidValueError(f'{given.where} has a grid, whose best is chosen by labels: say tuning = "oracle".')
    if not grid:
        yield _build(given, {}, "")
        return
    names = ", ".join(grid)
    group = f"{given.values.get('method')}: best of {names}"
    for point in itertools.product(*grid.values()):
        yield _build(given, dict(zip(grid, point, strict=True)), group)


def _build(given: _Given, point: Mapping[str, Any], group: str) -> Experiment:
    values = given.values
    for key in ("set", "method"):
        if not isinstance(values.get(key), str):
            raise InvalidValueError(f"{given.where} has no {key}; it needs a name.")
    experiment = Experiment(
        rows=RowsSpec(values["set"], **_rows_keywords(values)),
        method=Method(
            values["method"],
            values.get("preset"),
            {**values.get("changes", {}), **point},
            n_clusters=values.get("n_clusters"),
        ),
        protocols=tuple(values.get("protocols", ("inductive",))),
        seeds=_seeds(values.get("seeds", _DEFAULT_SEEDS), given.where),
        tuning=values.get("tuning", TUNINGS[0]),
        group=group,
        timeout_s=float(values.get("timeout_s", 3600)),
        published=tuple(_published(entry, given.where) for entry in values.get("published", ())),
    )
    check_experiment(experiment, join_where(given.where, experiment.title))
    return experiment


def _rows_keywords(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of `RowsSpec` that a table gives; a single backbone need not be in a list."""
    keywords = {key: values[key] for key in _ROWS_KEYS if key in values}
    features = keywords.get("features", ())
    return {**keywords, "features": (features,) if isinstance(features, str) else tuple(features)}


def _seeds(value: Any, where: str) -> tuple[int, ...]:
    """Return the seeds: a list as it is, a number n as 0 to n - 1."""
    seeds = list(range(min(value, _MAX_SEEDS + 1))) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(seeds, list) or not seeds or not all(isinstance(s, int) and 0 <= s < 2**32 for s in seeds):
        raise InvalidValueError(f"{where} has seeds = {value!r}; give a number of seeds, or a list of whole numbers.")
    if len(seeds) > _MAX_SEEDS:
        raise InvalidValueError(f"{where} asks for more than {_MAX_SEEDS} seeds; give fewer.")
    return tuple(dict.fromkeys(seeds))


def _published(entry: Mapping[str, Any], where: str) -> Published:
    where = f"{where}, published"
    check_keys(entry, _PUBLISHED_KEYS, where)
    missing = [key for key in ("scores", "source", "features", "protocol") if not entry.get(key)]
    if missing:
        raise InvalidValueError(f"{where} has no {', '.join(missing)}; a number without its origin is not kept.")
    return Published(**entry)


def _references(found: list[Experiment], names: list[str], where: str) -> list[Experiment]:
    """Return the floors and ceilings for each kind of rows that is asked for."""
    unknown = [name for name in names if name not in REFERENCES]
    if unknown:
        raise InvalidValueError(f"{where} names the reference {unknown[0]!r}. There are: {', '.join(REFERENCES)}.")
    return [
        Experiment(
            rows=replace(experiment.rows, n_views=0),
            method=replace(method, n_clusters=experiment.method.n_clusters),
            protocols=experiment.protocols,
            seeds=experiment.seeds,
            timeout_s=experiment.timeout_s,
        )
        for experiment in found
        for name in names
        for method in REFERENCES[name]
    ]

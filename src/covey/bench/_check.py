"""Checks of experiments against what is registered and against signatures; each message says what is allowed."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from covey.backbones import BACKBONES
from covey.bench._experiment import PIXELS, TUNINGS, Experiment, Method, Published
from covey.bench._protocol import PROTOCOLS
from covey.bench._references import NEAREST, PROBES, RANDOM
from covey.bench.datasets import DATASETS, VARIANTS
from covey.cluster import CLUSTERERS
from covey.errors import InvalidValueError, UnknownNameError
from covey.pipeline import make_estimator

_PERCENT: Final = (-50.0, 100.0)
_SCORES: Final = ("acc", "nmi", "ami", "ari")
_RESERVED: Final = ("n_clusters", "random_state")
_TEXT: Final = ((str,), "text")
_NUMBER: Final = ((int,), "a whole number")
_TABLE: Final = ((Mapping,), "a table")
_LIST: Final = ((list,), "a list")
_WORDS: Final = ((str, list), "text or a list of it")
_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    **dict.fromkeys(("title", "note", "paper", "set", "path", "variant", "method", "preset", "tuning"), _TEXT),
    **dict.fromkeys(("source", "protocol", "why"), _TEXT),
    **dict.fromkeys(("n_views", "image_size_px", "n_clusters"), _NUMBER),
    **dict.fromkeys(("defaults", "changes", "grid", "scores", "spread"), _TABLE),
    **dict.fromkeys(("experiment", "matrix", "sets", "protocols", "references", "except", "published"), _LIST),
    **dict.fromkeys(("features", "methods"), _WORDS),
    "timeout_s": ((int, float), "a number of seconds"),
}
_ENTRY_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    **dict.fromkeys(("features", "protocols", "references", "except"), _TEXT),
    **dict.fromkeys(("experiment", "matrix", "published"), _TABLE),
    **dict.fromkeys(("sets", "methods"), ((str, Mapping), "a name or a table")),
    "grid": _LIST,
    **dict.fromkeys(("scores", "spread"), ((int, float), "a number")),
}
_FREE_TABLES: Final = ("changes", "grid")  # of a method's own keywords


def join_where(where: str, what: str) -> str:
    """Return the place of a mistake: file, table, and what is there."""
    return f"{where} ({what})"


def check_keys(table: Any, known: Iterable[str], where: str) -> None:
    """Refuse a key that means nothing.

    Raises
    ------
    InvalidValueError
        With the nearest key that is known, and all of them.
    """
    known = list(known)
    if not isinstance(table, Mapping):
        raise InvalidValueError(f"{where} is {table!r}; it must be a table.")
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidValueError(f"{where} has the key {key!r}.{hint} There are: {', '.join(known)}.")


def check_types(table: Mapping[str, Any], where: str) -> None:
    """Refuse values of another kind than their keys have, at any depth that experiments know.

    Raises
    ------
    InvalidValueError
        With the place, what is there and what is allowed.
    """
    for key, value in table.items():
        kinds, words = _KINDS.get(key, ((), ""))
        if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise InvalidValueError(f"{where} has {key} = {_cut(value)}; it must be {words}.")
        entry_kinds, entry_words = _ENTRY_KINDS.get(key, ((), ""))
        entries = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        for entry in entries if entry_kinds else ():
            if not isinstance(entry, entry_kinds) or isinstance(entry, bool):
                raise InvalidValueError(f"{where} has {_cut(entry)} in {key}; each entry must be {entry_words}.")
            if isinstance(entry, Mapping) and key not in _FREE_TABLES:
                check_types(entry, f"{where}, {key}")


def _cut(value: Any) -> str:
    """Return how a value looks, cut where a message would grow long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_experiment(experiment: Experiment, where: str) -> None:
    """Check an experiment against registries and signatures.

    Parameters
    ----------
    experiment : Experiment
        As it was read.
    where : str
        Its place, for messages.

    Raises
    ------
    InvalidValueError
        If a name is not registered, a keyword is none of the method's, or a value is outside what is allowed.
    """
    try:
        _check_rows(experiment)
        _check_method(experiment)
        _check_run(experiment)
        for published in experiment.published:
            _check_published(published)
    except (UnknownNameError, InvalidValueError) as error:
        raise InvalidValueError(f"{where}: {error}") from error


def is_seeded(method: Method) -> bool:
    """Tell whether a method's result can depend on its seed."""
    if method.name not in CLUSTERERS:
        return method.name != NEAREST
    return bool(CLUSTERERS.spec(method.name).is_seeded)


def takes_number(method: Method) -> bool:
    """Tell whether a method takes the number of clusters; some find the number themselves."""
    if method.name not in CLUSTERERS:
        return method.name == RANDOM
    return not CLUSTERERS.spec(method.name).finds_number


def _check_rows(experiment: Experiment) -> None:
    rows = experiment.rows
    spec = DATASETS[rows.dataset]
    if rows.variant is not None and rows.variant not in VARIANTS:
        raise InvalidValueError(f"variant is {rows.variant!r}; it must be one of {', '.join(VARIANTS)}.")
    if spec.has_images and not rows.features:
        raise InvalidValueError(f"{rows.dataset} holds images: name the backbone in features, or {PIXELS!r}.")
    if not spec.has_images and rows.features:
        raise InvalidValueError(f"{rows.dataset} comes as features; it takes no backbone.")
    if PIXELS not in rows.features:
        for name in rows.features:
            BACKBONES[name]
    elif len(rows.features) > 1:
        raise InvalidValueError(f"{PIXELS!r} cannot be joined with features of a backbone.")
    if not isinstance(rows.n_views, int) or rows.n_views < 0 or rows.n_views == 1:
        raise InvalidValueError(f"n_views is {rows.n_views!r}; it must be 0, or at least 2 to make a pair.")
    if rows.n_views and (not rows.features or PIXELS in rows.features):
        raise InvalidValueError("n_views needs images and a backbone.")


def _check_method(experiment: Experiment) -> None:
    method = experiment.method
    reserved = [name for name in _RESERVED if name in method.changes]
    if reserved:
        raise InvalidValueError(f"{reserved[0]} is not a change: n_clusters has its own key, seeds give random_state.")
    n_clusters = method.n_clusters
    if n_clusters is not None and (not isinstance(n_clusters, int) or n_clusters < 1):
        raise InvalidValueError(f"n_clusters is {n_clusters!r}; it must be a whole number from 1, or left out.")
    if method.name == RANDOM or method.name in PROBES:
        if method.preset or method.changes:
            raise InvalidValueError(f"{method.name} has no settings.")
        return
    make_estimator(method.name, 2, random_state=0, device="auto", preset=method.preset, params=dict(method.changes))
    if CLUSTERERS.spec(method.name).rows == "images" and experiment.rows.features != (PIXELS,):
        raise InvalidValueError(f"{method.name} learns from images: say features = {PIXELS!r}.")


def _check_run(experiment: Experiment) -> None:
    if not experiment.protocols:
        raise InvalidValueError("protocols is empty; name at least one.")
    for name in experiment.protocols:
        if name not in PROTOCOLS:
            raise InvalidValueError(f"protocols names {name!r}; there are {', '.join(PROTOCOLS)}.")
        if experiment.rows.n_views and PROTOCOLS[name].fit == "all":
            raise InvalidValueError(f"{name} fits all rows, but only the rows to fit have views: leave out n_views.")
    if experiment.tuning not in TUNINGS:
        raise InvalidValueError(f"tuning is {experiment.tuning!r}; it must be one of {', '.join(TUNINGS)}.")
    if not experiment.timeout_s > 0:
        raise InvalidValueError(f"timeout_s is {experiment.timeout_s}; it must be above 0.")


def _check_published(published: Published) -> None:
    for kind in (published.scores, published.spread):
        for name, value in kind.items():
            if name not in _SCORES:
                raise InvalidValueError(f"a published score is called {name!r}; there are {', '.join(_SCORES)}.")
            if not isinstance(value, int | float) or not _PERCENT[0] <= value <= _PERCENT[1]:
                raise InvalidValueError(f"the published {name} is {value!r}; it must be in %, at most 100.")
    if published.protocol not in PROTOCOLS:
        raise InvalidValueError(f"published.protocol is {published.protocol!r}; there are {', '.join(PROTOCOLS)}.")

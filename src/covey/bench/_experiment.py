"""What an experiment is: records that say which rows, which method, which seeds; nothing here reads or runs."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from covey.bench._protocol import PROTOCOLS
from covey.errors import InvalidValueError

PIXELS: Final = "pixels"
"""In place of a backbone's name: the method gets the images themselves."""

TUNINGS: Final = ("fixed", "label-free", "oracle")
"""How settings were found: the same on every set; on each set without labels; on each set by its labels."""


@dataclass(frozen=True, slots=True)
class RowsSpec:
    """Which rows a method gets.

    Attributes
    ----------
    dataset : str
        A name in `covey.bench.datasets.DATASETS`.
    path : str or None
        Where the set lies, None for its usual place.
    variant : str or None
        An imbalanced variant.
    features : tuple of str
        Backbones whose features are joined, ``("pixels",)``, or nothing for a set that comes as features.
    n_views : int
        Augmented copies of each row to fit.
    image_size_px : int
        Side of the images where `features` is ``("pixels",)``.
    """

    dataset: str
    path: str | None = None
    variant: str | None = None
    features: tuple[str, ...] = ()
    n_views: int = 0
    image_size_px: int = 32

    @property
    def title(self) -> str:
        """Return the set with what makes it differ from the published one."""
        return self.dataset + (f" ({self.variant})" if self.variant else "")

    @property
    def features_title(self) -> str:
        """Return what the rows are made of, for tables."""
        if self.features == (PIXELS,):
            return f"pixels, {self.image_size_px} px"
        return " + ".join(self.features) or "as they come"


@dataclass(frozen=True, slots=True)
class Method:
    """A method and its settings.

    Attributes
    ----------
    name : str
        A registered clusterer, or one of the references.
    preset : str or None
        Published settings to start from.
    changes : mapping of str to Any
        Keywords that differ.
    n_clusters : int or None
        None for as many as there are classes.
    """

    name: str
    preset: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    n_clusters: int | None = None

    @property
    def title(self) -> str:
        """Return the method as tables show it, ``temi:paper, n_heads=16``."""
        changes = [f"{name}={_plain(value)}" for name, value in sorted(self.changes.items())]
        if self.n_clusters is not None:
            changes.append(f"n_clusters={self.n_clusters}")
        return ", ".join([self.name + (f":{self.preset}" if self.preset else ""), *changes])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class Published:
    """A number from a paper.

    Attributes
    ----------
    scores : mapping of str to float
        In %, by the names of `covey.bench` (``"acc"``, ``"nmi"``, ``"ari"``, ``"ami"``).
    source : str
        Paper and table.
    features : str
        What it was computed on.
    protocol : str
        A name in `PROTOCOLS`: how it was obtained.
    spread : mapping of str to float
        Standard deviations in %, where the paper gives them.
    why : str
        Why ours may differ.
    """

    scores: Mapping[str, float]
    source: str
    features: str
    protocol: str
    spread: Mapping[str, float] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A method on rows, for some seeds, reported by some protocols.

    Attributes
    ----------
    rows : RowsSpec
        What it gets.
    method : Method
        What runs.
    protocols : tuple of str
        What tables show of it.
    seeds : tuple of int
        Values of `random_state`.
    tuning : {"fixed", "label-free", "oracle"}
        How the settings were found.
    group : str
        Experiments of one group were tried and the best by labels is shown; only with ``"oracle"``.
    timeout_s : float
        Wall-clock seconds after which a seed is ended and recorded as a failure.
    published : tuple of Published
        What papers report for this method on this set.
    """

    rows: RowsSpec
    method: Method
    protocols: tuple[str, ...]
    seeds: tuple[int, ...]
    tuning: str = "fixed"
    group: str = ""
    timeout_s: float = 3600.0
    published: tuple[Published, ...] = ()

    @property
    def fits(self) -> tuple[str, ...]:
        """Return what must be fitted for its protocols, each once."""
        return tuple(dict.fromkeys(PROTOCOLS[name].fit for name in self.protocols))

    @property
    def title(self) -> str:
        """Return set and method, for messages."""
        return f"{self.rows.title} / {self.method.title}"


@dataclass(frozen=True, slots=True)
class ExperimentFile:
    """What one TOML file asks for.

    Attributes
    ----------
    path : Path
        Where it was read.
    title, note : str
        For the report; the note says what a run costs.
    paper : str
        The paper that the file is about; empty if none.
    experiments : tuple of Experiment
        In the file's order, floors and ceilings included.
    """

    path: Path
    title: str
    note: str
    paper: str
    experiments: tuple[Experiment, ...]


def merge_experiments(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Bring together what asks for the same: every protocol, seed and published number of it, the longest timeout.

    Parameters
    ----------
    experiments : iterable of Experiment
        Of one file or of several.

    Returns
    -------
    merged : list of Experiment
        One for each combination of rows, method, tuning and group, where the first of them was.
    """
    groups: dict[tuple[str, str, str], list[Experiment]] = {}
    for experiment in experiments:
        settings = digest_of(settings_of(experiment.rows, experiment.method))
        groups.setdefault((settings, experiment.tuning, experiment.group), []).append(experiment)
    return [
        replace(
            group[0],
            protocols=tuple(dict.fromkeys(name for experiment in group for name in experiment.protocols)),
            seeds=tuple(sorted({seed for experiment in group for seed in experiment.seeds})),
            timeout_s=max(experiment.timeout_s for experiment in group),
            published=_once(entry for experiment in group for entry in experiment.published),
        )
        for group in groups.values()
    ]


def _once(entries: Iterable[Published]) -> tuple[Published, ...]:
    """Return each published number once."""
    kept: list[Published] = []
    for entry in entries:
        if entry not in kept:
            kept.append(entry)
    return tuple(kept)


def narrow_files(
    files: Iterable[ExperimentFile], *, only: Iterable[str] = (), n_seeds: int | None = None
) -> list[ExperimentFile]:
    """Keep a part of what files ask for: some of the experiments, and of each some of the seeds.

    Parameters
    ----------
    files : iterable of ExperimentFile
        From `read_experiments`.
    only : iterable of str
        Patterns as in a shell; an experiment stays if its title, ``"<set> / <method>"``, matches one. None: all stay.
    n_seeds : int, optional
        Of each experiment the first so many.

    Returns
    -------
    narrowed : list of ExperimentFile
        Files of which nothing is left are left out.

    Raises
    ------
    InvalidValueError
        If a pattern matches nothing.
    """
    files, patterns = list(files), list(only)
    titles = list(dict.fromkeys(experiment.title for file in files for experiment in file.experiments))
    for pattern in patterns:
        if not any(fnmatchcase(title, pattern) for title in titles):
            raise InvalidValueError(f"No experiment matches {pattern!r}. There are: {'; '.join(titles)}.")
    narrowed = []
    for file in files:
        kept = tuple(
            replace(experiment, seeds=experiment.seeds[:n_seeds])
            for experiment in file.experiments
            if not patterns or any(fnmatchcase(experiment.title, pattern) for pattern in patterns)
        )
        if kept:
            narrowed.append(replace(file, experiments=kept))
    return narrowed


def settings_of(rows: RowsSpec, method: Method) -> dict[str, Any]:
    """Return what decides a result, JSON-compatible."""
    return {"rows": {**asdict(rows), "features": list(rows.features)}, "method": {**asdict(method)}}


def digest_of(value: Any) -> str:
    """Return a short hash of JSON-compatible data that does not depend on the order of keys."""
    text = json.dumps(value, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

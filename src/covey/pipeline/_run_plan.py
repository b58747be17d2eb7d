"""What a run will do: every argument checked once, before any image is read; a dry run prints it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from covey._torch import resolve_device
from covey.backbones import require_models
from covey.cluster import CLUSTERERS, ClustererSpec, check_parameters
from covey.engines import ENGINES
from covey.errors import InvalidValueError, ProjectError
from covey.registry import DEFAULT_BACKBONE, DEFAULT_CLUSTERER
from covey.selection import NClustersResult

FEWEST_VIEWS = 2  # methods compare pairs
IMAGE_SIZE = 32
SMALLEST_SIZE = 8
GRANULARITIES = ("auto", "coarse", "suggested", "fine")
LARGEST_SIZE = 1024  # 3 MB an image: networks that learn from pixels see 32 to 224


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run of `cluster_folder` whose arguments are checked.

    Attributes
    ----------
    sources : tuple of Path
        Folders, image files or manifests.
    output : Path
        The project folder.
    spec : ClustererSpec
        The method's row.
    params : mapping
        Keywords of its constructor, apart from `n_clusters`.
    n_clusters : int or None
        The number that was asked for; None if it is to be found.
    granularity : str
        Which of the numbers for which there is evidence is taken where it is to be found.
    k_min, k_max : int or None
        Ends of the numbers to choose from.
    backbones : tuple of str
        Names whose features are clustered; none for a method on images.
    n_views : int
        Augmented views of each image.
    normalize_parts : bool
        Whether the features of several backbones are scaled before they are joined.
    size : int
        Height and width in pixels, for a method on images.
    random_state : int
        Seed.
    device : str
        Where networks run.
    has_names : bool
        Whether the clusters are to be named.
    scan_options, extract_options : mapping
        Keywords of `scan_images`, and of `extract_features`.
    allow_missing : bool
        Whether more than half of the images of a project that has runs may be missing.
    raw_csv : bool
        Whether tables are written without the apostrophe before what a spreadsheet would run as a formula.
    """

    sources: tuple[Path, ...]
    output: Path
    spec: ClustererSpec
    params: Mapping[str, Any]
    n_clusters: int | None
    granularity: str
    k_min: int | None
    k_max: int | None
    backbones: tuple[str, ...]
    n_views: int
    normalize_parts: bool
    size: int
    random_state: int
    device: str
    has_names: bool
    scan_options: Mapping[str, Any] = field(default_factory=dict)
    extract_options: Mapping[str, Any] = field(default_factory=dict)
    allow_missing: bool = False
    raw_csv: bool = False

    @property
    def learns_from_pixels(self) -> bool:
        """Whether the method is fitted on images in place of features."""
        return self.spec.rows == "images"

    @property
    def chooses_number(self) -> bool:
        """Whether the number of clusters is chosen before the method is fitted."""
        return self.n_clusters is None and not self.spec.finds_number

    def make_estimator(self, n_clusters: int) -> Any:
        """Build the method's estimator, not fitted.

        Parameters
        ----------
        n_clusters : int
            Ignored if the method finds the number itself.

        Returns
        -------
        estimator : Clusterer
            With the parameters of the plan.
        """
        number = {} if self.spec.finds_number else {"n_clusters": n_clusters}
        return CLUSTERERS[self.spec.name](**{**self.params, **number})


def plan_run(
    sources: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    n_clusters: int | str | None = None,
    k_min: int | None = None,
    k_max: int | None = None,
    backbone: str | Sequence[str] | None = None,
    n_views: int = 0,
    normalize_parts: bool = True,
    size: int | None = None,
    method: str = DEFAULT_CLUSTERER,
    preset: str | None = None,
    params: Mapping[str, Any] | None = None,
    random_state: int = 0,
    device: str = "auto",
    has_names: bool = True,
    scan_options: Mapping[str, Any] | None = None,
    extract_options: Mapping[str, Any] | None = None,
    allow_missing: bool = False,
    raw_csv: bool = False,
) -> RunPlan:
    """Check everything that can be checked of a run before an image is read.

    Parameters are those of `cluster_folder`.

    Returns
    -------
    plan : RunPlan
        For `run_plan`, or to be shown.

    Raises
    ------
    ProjectError
        If the output is inside a source.
    InvalidValueError
        If a parameter is unknown or out of bounds, a backbone is given twice, the method takes no views, or what it
        takes is not what was asked for.
    ModelError
        If the weights of a backbone are not on this machine.
    UnknownNameError
        If the method, a backbone or the engine is not registered.
    """
    paths = (sources,) if isinstance(sources, str | Path) else tuple(sources)
    sources, output = tuple(Path(source) for source in paths), Path(output)
    check_output(sources, output)
    resolve_device(device)
    check_engine(extract_options)
    kind, spec = CLUSTERERS[method], CLUSTERERS.spec(method)  # an unknown name says what there is
    number, granularity = _split_number(n_clusters)
    is_asked = number is not None or granularity != "auto"
    _check_number(kind, spec, is_asked=is_asked, k_min=k_min, k_max=k_max)
    names = _as_names(backbone)
    _check_rows(kind, spec, size=size, backbone=names, n_views=n_views, n_clusters=number)
    check_views(n_views, method)
    settings: dict[str, Any] = {"random_state": random_state, "device": device, "preset": preset, "params": params}
    estimator = make_estimator(method, number or 2, **settings)
    check_values(estimator)
    backbones = () if spec.rows == "images" else check_backbones((DEFAULT_BACKBONE,) if names is None else names)
    return RunPlan(
        sources=sources,
        output=output,
        spec=spec,
        params={name: value for name, value in estimator.get_params(deep=False).items() if name != "n_clusters"},
        n_clusters=number,
        granularity=granularity,
        k_min=k_min,
        k_max=k_max,
        backbones=backbones,
        n_views=n_views,
        normalize_parts=normalize_parts,
        size=size or IMAGE_SIZE,
        random_state=random_state,
        device=device,
        has_names=has_names,
        scan_options=dict(scan_options or {}),
        extract_options=dict(extract_options or {}),
        allow_missing=allow_missing,
        raw_csv=raw_csv,
    )


def make_estimator(
    method: str,
    n_clusters: int,
    *,
    random_state: int,
    device: str,
    preset: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> Any:
    """Build a registered clusterer from its name and keywords.

    Parameters
    ----------
    method : str
        A registered clusterer.
    n_clusters : int
        Number of clusters.
    random_state : int
        Seed.
    device : str
        Where it computes.
    preset : str, optional
        Published settings of the method to start from.
    params : mapping, optional
        Further keywords of its constructor; they win.

    Returns
    -------
    estimator : ClusterMixin
        Not fitted.

    Raises
    ------
    InvalidValueError
        If the constructor has no such keyword, or the method no such preset; the message lists those it has.
    """
    kind = CLUSTERERS[method]
    presets = getattr(kind, "presets", {})
    if preset is not None and preset not in presets:
        raise InvalidValueError(f"{method} has no preset {preset!r}; it has {', '.join(presets) or 'none'}.")
    estimator = kind(**(presets[preset] if preset else {}))
    known = estimator.get_params(deep=False)
    for name in params or {}:
        if name not in known:
            raise InvalidValueError(f"{method} has no parameter {name!r}; it has {', '.join(known)}.")
    given = {
        "n_clusters": n_clusters,
        "random_state": random_state,
        "device": device,
        **CLUSTERERS.spec(method).params,
    }
    fitting = {name: value for name, value in given.items() if name in known}
    return estimator.set_params(**{**fitting, **(params or {})})


def check_values(estimator: Any) -> None:
    """Check the values of an estimator's parameters; one of another package is left to its own `fit`.

    Raises
    ------
    InvalidValueError
        With what came and what is allowed.
    """
    if not is_dataclass(estimator):
        return
    try:
        check_parameters(estimator)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{type(estimator).__name__} cannot be fitted: {error}") from error


def check_output(sources: Sequence[Path], output: Path) -> None:
    """Refuse a project folder inside a source, where the next scan would find its thumbnails.

    Raises
    ------
    ProjectError
        If `output` is a file, a source or inside one, with a place that would do.
    """
    if output.exists() and not output.is_dir():
        raise ProjectError(f"{str(output)!r} is a file; a project is a folder, choose another name with -o.")
    target = output.resolve()
    for source in sources:
        if source.is_dir() and target.is_relative_to(source.resolve()):
            beside = source.resolve().parent / f"{source.resolve().name}.covey"
            raise ProjectError(
                f"The project folder {str(output)!r} lies inside the source {str(source)!r}, where the next scan would "
                f"find its thumbnails; choose one elsewhere, for example -o {str(beside)!r}."
            )


def check_engine(extract_options: Mapping[str, Any] | None) -> None:
    """Refuse an unknown engine; the error lists those that there are."""
    ENGINES[(extract_options or {}).get("engine", "inline")]


def check_views(n_views: int, method: str | None = None) -> None:
    """Refuse a number of views that no pair can be drawn from, and views for a method that takes none.

    Raises
    ------
    InvalidValueError
        With what is allowed, or the methods that take views.
    """
    if n_views != 0 and n_views < FEWEST_VIEWS:
        raise InvalidValueError(f"n_views is {n_views}; it must be 0, or at least {FEWEST_VIEWS} to make a pair.")
    if n_views and method is not None and not CLUSTERERS.spec(method).takes_views:
        able = ", ".join(spec.name for spec in CLUSTERERS.specs() if spec.takes_views) or "none"
        raise InvalidValueError(
            f"{n_views} views of each picture were asked for, but {method} takes none; methods that take views: {able}."
        )


def check_backbones(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of backbones, each given once and each with its weights on this machine.

    Raises
    ------
    InvalidValueError
        If there is no name, or one twice.
    ModelError, UnknownNameError
        If one cannot be had here.
    """
    if not names:
        raise InvalidValueError("No backbone was given; name at least one.")
    for name in names:
        if names.count(name) > 1:
            raise InvalidValueError(
                f"The backbone {name!r} was given {names.count(name)} times; its features would only be repeated: "
                "name each backbone once."
            )
    require_models(names)
    return tuple(names)


def check_n_clusters(n_clusters: int | None, n_images: int) -> None:
    """Refuse more clusters than there are distinct images.

    Parameters
    ----------
    n_clusters : int or None
        The number that was asked for; None if it is chosen.
    n_images : int
        The number of distinct images.

    Raises
    ------
    InvalidValueError
        With both numbers.
    """
    if n_clusters is not None and n_clusters > n_images:
        raise InvalidValueError(
            f"{n_clusters} clusters were asked for, but there are only {n_images} distinct images; "
            f"use -k {n_images} or less, or -k auto."
        )


def _as_names(backbone: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if backbone is None:
        return None
    return (backbone,) if isinstance(backbone, str) else tuple(backbone)


def pick_number(selection: NClustersResult | None, granularity: str) -> int:
    """Return the number of clusters of a granularity.

    Parameters
    ----------
    selection : NClustersResult or None
        The evidence; None where all images are one cluster.
    granularity : str
        One of `GRANULARITIES`.

    Returns
    -------
    n_clusters : int
        1 without evidence. ``"auto"`` takes the finest: to merge two clusters is one step for a person, to split one is
        an afternoon, and groups keep the coarser view.

    Raises
    ------
    InvalidValueError
        If the evidence has no such granularity; the message lists those that it has.
    """
    if selection is None:
        return 1
    numbers = {level.name: level.n_clusters for level in selection.granularities}
    if granularity == "auto":
        return max(numbers.values())
    if granularity not in numbers:
        known = ", ".join(f"{level} ({number})" for level, number in numbers.items())
        raise InvalidValueError(
            f"-k {granularity}: no criterion has a peak there, the evidence has {known}; take one of these or a number."
        )
    return numbers[granularity]


def _split_number(n_clusters: int | str | None) -> tuple[int | None, str]:
    """Return the number that was asked for, if one was, and the granularity to take otherwise."""
    if n_clusters is None:
        return None, "auto"
    if not isinstance(n_clusters, str):
        return n_clusters, "auto"
    if n_clusters not in GRANULARITIES:
        allowed = ", ".join(GRANULARITIES)
        raise InvalidValueError(f"n_clusters is {n_clusters!r}; it must be a whole number from 1 or one of {allowed}.")
    return None, n_clusters


def _check_number(kind: Any, spec: ClustererSpec, *, is_asked: bool, k_min: int | None, k_max: int | None) -> None:
    """Refuse a number for a method that finds it itself, and limits between which there is none."""
    if spec.finds_number and is_asked:
        raise InvalidValueError(
            f"{kind.__name__} finds the number of clusters itself; leave out -k, or use another method."
        )
    if k_min is not None and k_max is not None and k_min > k_max:
        raise InvalidValueError(f"There is no number of clusters from {k_min} to {k_max}; widen --k-min and --k-max.")


def _check_rows(
    kind: Any, spec: ClustererSpec, *, size: int | None, backbone: Any, n_views: int, n_clusters: int | None
) -> None:
    """Refuse options that have no effect on a method that takes features, or on one that takes images."""
    name = kind.__name__
    if spec.rows == "features":
        if size is not None:
            raise InvalidValueError(f"A size of {size} pixels was asked for, but {name} takes features: leave it out.")
        return
    if size is not None and not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise InvalidValueError(f"size is {size}; it must be from {SMALLEST_SIZE} to {LARGEST_SIZE} pixels.")
    if backbone is not None or n_views:
        raise InvalidValueError(
            f"{name} learns from pixels, without a backbone and views of its features: leave those options out."
        )
    if n_clusters is None:
        raise InvalidValueError(
            f"{name} learns from pixels, in which clusters cannot be counted: say how many with -k. A run of another "
            "method with -k auto suggests a number."
        )

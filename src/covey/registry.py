"""A registry: names that people type, and the objects behind them.

Each package of covey lists its items as rows in its `_registry.py`; other installed packages add theirs through an
entry-point group. Nothing is imported until it is asked for.
"""

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, Final, Protocol

from covey.errors import MissingExtraError, UnknownNameError

DEFAULT_BACKBONE: Final = "efficientnet_lite2.in1k"
"""The better of the backbones whose weights come with the installation."""

DEFAULT_CLUSTERER: Final = "kmeans"
"""Seconds where the others take minutes."""

_MOST_LISTED = 25  # names that an error lists in full
_N_NEAR = 5
_N_CONTAINING = 10
_FEWEST_LETTERS = 3  # fewer are in too many names


class Spec(Protocol):
    """A row that describes a registered item."""

    @property
    def name(self) -> str:
        """The name that people type."""

    @property
    def target(self) -> str:
        """The item's place, ``"module:attribute"``."""


Builtin = Mapping[str, Any] | Sequence[Spec]


class Registry(Mapping[str, Any]):
    """Map names to objects, which are imported when they are asked for.

    Parameters
    ----------
    kind : str
        What the items are, in the singular, for messages: ``"clusterer"``.
    group : str
        Entry-point group through which other packages add items: ``"covey.clusterers"``.
    builtin : mapping of str to object, sequence of Spec, or callable
        The package's own items. A value that is a string is the item's place, ``"module:attribute"``; any other object
        is the item itself. Rows with a `name` and a `target` describe their items: see `spec`. A callable that returns
        one of these is called when the first name is asked for.
    default_spec : callable, optional
        Makes the row of an item that came through an entry point without one, from its name and place.

    Raises
    ------
    ValueError
        When an installed package claims a name that is taken; the message names both claimants.
    UnknownNameError
        When a name is asked for that nobody registered; the message gives the nearest one and all of them.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        builtin: Builtin | Callable[[], Builtin],
        *,
        default_spec: Callable[[str, str], Any] | None = None,
    ) -> None:
        self.kind = kind
        self.group = group
        self._builtin = builtin
        self._default_spec = default_spec
        self._specs: dict[str, Any] = {}
        self._items: dict[str, Any] | None = None

    def _known(self) -> dict[str, Any]:
        """Return every item by its name: the package's own first, then those of other installed packages."""
        if self._items is None:
            builtin = self._builtin() if callable(self._builtin) else self._builtin
            if not isinstance(builtin, Mapping):
                self._specs = {spec.name: spec for spec in builtin}
                builtin = {spec.name: spec.target for spec in builtin}
            items = dict(builtin)
            for point in entry_points(group=self.group):
                self._claim(items, point)
            self._items = items
        return self._items

    def _claim(self, items: dict[str, Any], point: EntryPoint) -> None:
        taken = items.get(point.name)
        if taken is not None and taken != point.value:
            raise ValueError(
                f"The {self.kind} name {point.name!r} is claimed by {taken!r} and by {point.value!r}; "
                f"uninstall one of the two packages."
            )
        items[point.name] = point.value

    def __getitem__(self, name: str) -> Any:
        item = self._find(name)
        if not isinstance(item, str):
            return item
        module, _, attribute = item.partition(":")
        return getattr(import_module(module), attribute)

    def _find(self, name: str) -> Any:
        items = self._known()
        if name not in items:
            raise UnknownNameError(self._explain(name))
        return items[name]

    def spec(self, name: str) -> Any:
        """Return the row that describes an item, without importing the item.

        Parameters
        ----------
        name : str
            A registered name.

        Returns
        -------
        spec : Spec
            The package's own row; for an item of another package its attribute `covey_spec`, if it has one (which
            imports it), else a row that promises nothing.

        Raises
        ------
        UnknownNameError
            If nobody registered the name.
        """
        target = self._find(name)
        if name in self._specs:
            return self._specs[name]
        own = getattr(self[name], "covey_spec", None)
        if own is None and self._default_spec is not None:
            own = self._default_spec(name, str(target))
        return own

    def specs(self) -> list[Any]:
        """Return the rows of all items, in the order of their names.

        Returns
        -------
        specs : list
            One row an item, e.g. a `covey.cluster.ClustererSpec`.
        """
        return [self.spec(name) for name in self]

    @contextmanager
    def register(self, name: str, item: Any, *, spec: Any = None) -> Iterator[None]:
        """Add an item, or replace one, until the block ends.

        Parameters
        ----------
        name : str
            Under which it will be found.
        item : object
            The item, or its place ``"module:attribute"``.
        spec : Spec, optional
            The row that describes it.
        """
        items, specs = self._known(), dict(self._specs)
        self._items = {**items, name: item}
        self._specs = {known: row for known, row in specs.items() if known != name} | ({name: spec} if spec else {})
        try:
            yield
        finally:
            self._items, self._specs = items, specs

    def _explain(self, name: str) -> str:
        names = list(self)
        near = _containing(name, names) or difflib.get_close_matches(name, names, n=_N_NEAR, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        if near and len(names) > _MOST_LISTED:
            return f"Unknown {self.kind} {name!r}.{hint} There are {len(names)}; near it: {', '.join(near)}."
        return f"Unknown {self.kind} {name!r}.{hint} There are: {', '.join(names)}."

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._known()))

    def __len__(self) -> int:
        return len(self._known())


def _containing(name: str, names: Sequence[str]) -> list[str]:
    """Return the names that begin with what was typed or else contain it: somebody who types ``dinov2`` means those."""
    typed = name.casefold()
    if len(typed) < _FEWEST_LETTERS:
        return []
    found = [other for other in names if typed in other.casefold()]
    return sorted(found, key=lambda other: (not other.casefold().startswith(typed), len(other), other))[:_N_CONTAINING]


def lazy_exports(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the `__getattr__` and `__dir__` of a package whose public names are imported when they are asked for.

    Parameters
    ----------
    package : str
        The package's `__name__`.
    homes : mapping of str to sequence of str
        Modules of the package, and the public names that each defines.

    Returns
    -------
    get, list_names : callable
        To be bound to `__getattr__` and `__dir__` (PEP 562).
    """
    home_of = {name: f"{package}.{module}" for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home_of[name]), name)

    def list_names() -> list[str]:
        return sorted({*home_of, *vars(sys.modules[package])})

    return get, list_names


def require(module: str, *, extra: str, for_: str) -> Any:
    """Import an optional dependency, or say how to install it.

    Parameters
    ----------
    module : str
        Module to import.
    extra : str
        The extra of covey that brings it.
    for_ : str
        What needs it, for the message.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtraError
        If the module itself is not installed. A module that is there but broken keeps its own error.
    """
    if find_spec(module.partition(".")[0]) is None:
        raise MissingExtraError(f"{for_} needs {module}, which is not installed: pip install 'covey[{extra}]'")
    return import_module(module)

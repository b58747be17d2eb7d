"""A registry: names that people type, and the objects behind them.

A room lists its own items in a literal mapping ``name -> "module:attribute"``; installed packages add theirs through
an entry-point group. Nothing is imported until it is asked for.
"""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from covey.errors import MissingExtraError, UnknownNameError

_MOST_LISTED = 25  # names that an error lists in full
_N_NEAR = 5


class Registry(Mapping[str, Any]):
    """Map names to lazily imported objects.

    Parameters
    ----------
    kind : str
        What the items are, in the singular, for messages: ``"clusterer"``.
    group : str
        Entry-point group through which other packages add items: ``"covey.clusterers"``.
    builtin : mapping of str to str
        The room's own items, name to ``"module:attribute"``.

    Raises
    ------
    ValueError
        When an installed package claims a name that is taken; the message names both claimants.
    UnknownNameError
        When a name is asked for that nobody registered; the message gives the nearest one and all of them.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)
        self._targets: dict[str, Any] | None = None

    def _resolve_targets(self) -> dict[str, Any]:
        if self._targets is None:
            targets: dict[str, Any] = dict(self._builtin)
            for point in entry_points(group=self.group):
                self._claim(targets, point)
            self._targets = targets
        return self._targets

    def _claim(self, targets: dict[str, Any], point: EntryPoint) -> None:
        taken = targets.get(point.name)
        if taken is not None and taken != point.value:
            raise ValueError(
                f"The {self.kind} name {point.name!r} is claimed by {taken!r} and by {point.value!r}; "
                f"uninstall one of the two packages."
            )
        targets[point.name] = point.value

    def __getitem__(self, name: str) -> Any:
        targets = self._resolve_targets()
        if name not in targets:
            raise UnknownNameError(self._explain(name))
        if not isinstance(targets[name], str):
            return targets[name]
        module, _, attribute = targets[name].partition(":")
        return getattr(import_module(module), attribute)

    @contextmanager
    def register(self, name: str, item: Any) -> Iterator[None]:
        """Add an item, or replace one, until the block ends.

        Parameters
        ----------
        name : str
            Under which it will be found.
        item : object
            The item, or its place ``"module:attribute"``.
        """
        targets = self._resolve_targets()
        self._targets = {**targets, name: item}
        try:
            yield
        finally:
            self._targets = targets

    def _explain(self, name: str) -> str:
        names = list(self)
        near = difflib.get_close_matches(name, names, n=_N_NEAR, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        if near and len(names) > _MOST_LISTED:
            return f"Unknown {self.kind} {name!r}.{hint} There are {len(names)}; near it: {', '.join(near)}."
        return f"Unknown {self.kind} {name!r}.{hint} There are: {', '.join(names)}."

    def __contains__(self, name: object) -> bool:
        return name in self._resolve_targets()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._resolve_targets()))

    def __len__(self) -> int:
        return len(self._resolve_targets())


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

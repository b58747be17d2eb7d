"""List the public names of covey and write the pages of its modules; `docs/conf.py` calls it before a build."""

import inspect
import pkgutil
import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

import covey

FOLDER = Path(__file__).parent / "reference" / "api"
COMMANDS = "covey.cli"  # the page of commands is made by make_reference.py
METADATA_ROUTING = r"set_\w+_request"  # scikit-learn makes these methods of every estimator


def public_modules() -> Iterator[tuple[ModuleType, list[str]]]:
    """Yield the public modules, each with the names that it alone exports.

    What a package exports from a public module of its own belongs to that module, whose docstring has the references.
    """
    exported: set[int] = set()
    for info in pkgutil.walk_packages(covey.__path__, "covey."):
        if any(part.startswith("_") for part in info.name.split(".")) or info.name.startswith(COMMANDS):
            continue
        module = import_module(info.name)
        values = {name: getattr(module, name) for name in _exported_names(module)}
        names = [
            name
            for name, value in values.items()
            if id(value) not in exported and _public_home(value) in (module.__name__, None)
        ]
        exported.update(id(values[name]) for name in names)
        if values:
            yield module, names


def _public_home(value: object) -> str | None:
    """Return the public module in which a class or a function is defined, if there is one."""
    home = value.__module__ if inspect.isclass(value) or inspect.isroutine(value) else ""
    return home if home.startswith("covey.") and not any(part.startswith("_") for part in home.split(".")) else None


def _exported_names(module: ModuleType) -> list[str]:
    """Return what a module exports: its `__all__`, or the functions and classes that are defined in it."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def public_members(cls: type) -> list[str]:
    """Return the methods and properties that a class has from covey's own classes, those of its bases last."""
    members = [
        name
        for base in cls.__mro__
        if base.__module__.startswith("covey.")
        for name, value in vars(base).items()
        if not name.startswith("_") and isinstance(value, (FunctionType, property, classmethod, staticmethod))
    ]
    return [name for name in dict.fromkeys(members) if not re.fullmatch(METADATA_ROUTING, name)]


def write_pages() -> None:
    """Write a page for each public module, and the list of all modules that `reference/python.md` includes."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    modules = dict(public_modules())
    for module, names in modules.items():
        (FOLDER / f"{module.__name__}.rst").write_text(_module_page(module, names), encoding="utf-8")
    listed = "\n".join(f"   {module.__name__}" for module in modules)
    pages = "\n".join(f"   api/{module.__name__}" for module in modules)  # relative to the page that includes the file
    table = f".. autosummary::\n\n{listed}\n\n.. toctree::\n   :hidden:\n\n{pages}\n"
    (FOLDER / "modules.txt").write_text(table, encoding="utf-8")


def _module_page(module: ModuleType, names: list[str]) -> str:
    """Return the page of a module: its docstring, a table of what it exports, and each of these in full."""
    listed = "\n".join(f"   {name}" for name in names or _exported_names(module))
    return (
        _title(module.__name__, "=")
        + f".. automodule:: {module.__name__}\n\n"
        + f".. currentmodule:: {module.__name__}\n\n.. autosummary::\n\n{listed}\n\n"
        + "".join(_title(name, "-") + _directive(getattr(module, name), name) for name in names)
    )


def _directive(value: object, name: str) -> str:
    """Return the directive that documents one class, function or constant."""
    options = ""
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        if members := public_members(value):
            options = f"\n   :members: {', '.join(members)}"
    elif inspect.isroutine(value):
        kind = "autofunction"
    else:
        kind, options = "autodata", "\n   :no-value:"
    return f".. {kind}:: {name}{options}\n\n"


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n\n"

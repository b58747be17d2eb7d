"""The docstrings of public names pass numpydoc's validation, in the checks that are listed here."""

import dataclasses
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from numpydoc.validate import ERROR_MSGS, validate

DOCS = Path(__file__).resolve().parents[2] / "docs"

# Checks that are not made, each with its reason; all others of numpydoc are.
NOT_CHECKED = {
    "GL01": "a docstring begins in the line of its quotes, as ruff's convention has it",
    "ES01": "a summary that says all needs no second paragraph",
    "SA01": "a name without a sibling needs no See Also",
    "EX01": "examples are in the pages",
    "RT02": "a returned value has a name, as numpydoc's own guide allows",
    "YD01": "a context manager is used by `with`, which the summary says",
    "PR06": "'integer or string' is what labels may be, not a Python type",
}

# Public names that do not pass yet: the failing check, why, and the names. A name goes with its fault; none is added.
MISSING_TYPE = "parameters that are explained elsewhere are listed without their type"
MISSING_RETURNS = "the summary alone says what is returned"
MISSING_PARAMETERS = "the summary alone says what is taken"
EXCEPTIONS: dict[tuple[str, str], frozenset[str]] = {
    ("PR01", MISSING_PARAMETERS): frozenset(
        {
            "covey.gallery.ClusterLink",
            "covey.gallery.ClusterPage",
            "covey.gallery.Page",
            "covey.gallery.SkippedFile",
            "covey.gallery.SkippedPage",
            "covey.gallery.UnsurePage",
            "covey.pipeline.embed_folder",
            "covey.pipeline.plan_run",
            "covey.store.Project",
        }
    ),
    ("PR04", MISSING_TYPE): frozenset(
        {
            "covey.naming.name_from_captions",
            "covey.pipeline.try_to_name",
        }
    ),
    ("PR08", "the description begins with a Greek letter"): frozenset({"covey.text.ClassifierBridge"}),
    ("RT01", MISSING_RETURNS): frozenset(
        {
            "covey.store.Project",
            "covey.text.can_bridge",
        }
    ),
}


def _make_api() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


API = _make_api()
PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name) for module, names in API.public_modules() for name in names
}
DOCUMENTED = {name: value for name, value in PUBLIC.items() if inspect.isclass(value) or inspect.isroutine(value)}


def _faults(value: Any) -> dict[str, list[str]]:
    """Return the checks that a class with its methods, or a function, fails, with the messages."""
    home = f"{value.__module__}.{value.__qualname__}"
    members = API.public_members(value) if inspect.isclass(value) else []
    faults: dict[str, list[str]] = {}
    for name in [home, *(f"{home}.{member}" for member in members)]:
        for code, message in validate(name)["errors"]:
            if code in NOT_CHECKED or (code == "PR01" and name == home and _is_described_by_attributes(value)):
                continue
            faults.setdefault(code, []).append(f"{name}: {code} {message}")
    return faults


def _is_described_by_attributes(value: Any) -> bool:
    """Return whether a class is a record, whose fields are explained once, as attributes, or a protocol."""
    is_record = dataclasses.is_dataclass(value) or (inspect.isclass(value) and issubclass(value, tuple))
    return (is_record and "\n    Attributes\n" in value.__doc__) or getattr(value, "_is_protocol", False)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstrings_are_complete(name: str) -> None:
    faults = _faults(DOCUMENTED[name])
    expected = {code for (code, _), names in EXCEPTIONS.items() if name in names}
    assert [line for code, lines in faults.items() if code not in expected for line in lines] == []
    assert expected <= set(faults), f"{name} passes {sorted(expected - set(faults))} now: remove it from EXCEPTIONS"


def test_exceptions_are_public_names_and_checks_exist() -> None:
    assert {name for names in EXCEPTIONS.values() for name in names} <= set(DOCUMENTED)
    assert {code for code, _ in EXCEPTIONS} | set(NOT_CHECKED) <= set(ERROR_MSGS)

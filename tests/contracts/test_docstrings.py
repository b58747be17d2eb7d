"""The docstring of a clusterer tells what its declaration says: names, types, defaults, in order."""

import ast
import inspect
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest

from covey.cluster import CLUSTERERS
from covey.cluster._parameters import allowed_values

DECLARED = [name for name in CLUSTERERS if is_dataclass(CLUSTERERS[name])]
PLAIN = {int: "int", float: "float", bool: "bool", NoneType: "None"}


def documented(kind: type) -> dict[str, tuple[str, Any]]:
    """Return the type and the default of each parameter, as the class's docstring has them."""
    section = re.split(r"\n\w[\w ]+\n-+\n", "\n" + inspect.getdoc(kind))[1]
    lines = re.findall(r"^(\w+) : (.+?), default=(.+)$", section, flags=re.MULTILINE)
    n_entries = len(re.findall(r"^\S", section, flags=re.MULTILINE))
    assert len(lines) == n_entries, "an entry is not written as `name : type, default=value`"
    return {name: (text, ast.literal_eval(default)) for name, text, default in lines}


def type_text(annotation: Any, allowed: str) -> str | None:
    """Return how a declared type is written: ``float in (0.5, 1] or "auto"``; None where only words can say it."""
    if get_origin(annotation) is Literal:
        words = [f'"{word}"' for word in get_args(annotation)]
        return words[0] if len(words) == 1 else f"{{{', '.join(words)}}}"
    if get_origin(annotation) is Sequence:
        return None  # words say of how many
    if annotation is str and allowed.startswith("one of "):
        return "{" + ", ".join(f'"{word}"' for word in allowed.removeprefix("one of ").split(", ")) + "}"
    if annotation in PLAIN:
        bounds = re.search(r"a number in ([\[(].*?, (?!inf).*?\])", allowed)
        return PLAIN[annotation] + (f" in {bounds[1]}" if annotation is float and bounds else "")
    parts = [type_text(part, allowed) for part in get_args(annotation)]
    return " or ".join(part for part in parts if part) if parts and all(parts) else None


@pytest.mark.parametrize("name", DECLARED)
def test_the_docstring_has_the_declared_names_types_and_defaults(name: str) -> None:
    kind = CLUSTERERS[name]
    told, allowed = documented(kind), allowed_values(kind)
    assert list(told) == [declared.name for declared in fields(kind)]
    for declared in fields(kind):
        text, default = told[declared.name]
        assert default == declared.default, declared.name
        expected = type_text(declared.type, allowed.get(declared.name, ""))
        if declared.name in allowed and expected is not None:
            unbounded = re.search(r"a number in ([\[(].*?, inf\])", allowed[declared.name])
            in_full = expected.replace("float", f"float in {unbounded[1]}") if unbounded else expected
            same_choices = text.startswith("{") and sorted(text.strip("{}").split(", ")) == sorted(
                expected.strip("{}").split(", ")
            )
            assert same_choices or text in (expected, in_full), declared.name


def test_the_methods_with_trained_heads_are_declared() -> None:
    assert {"temi", "scan", "scp", "turtle"} <= set(DECLARED)

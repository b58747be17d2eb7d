"""The house's own rules, as tests: what imports what, and how long things may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "covey"
FILES = sorted(SOURCE.rglob("*.py"))
HEAVY = ("torch", "PIL", "sqlite3", "openvino", "scipy", "sklearn", "jinja2", "transformers")

# A paper is one estimator's file and one file of equations; a rule that cuts it into ten is a wrong rule.
MAX_ESTIMATOR_LINES = 700
MAX_FILE_LINES = 500
MIN_FILE_LINES = 40
MAX_BODY_LINES = 60
MAX_MEDIAN_BODY_LINES = 10
MAX_PRIVATE_PARAMETERS = 6
# Modules that say little or whose name every package has.
SHORT_OR_SHARED = {"__init__", "__main__", "_registry"}


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _n_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(parameter.arg not in ("self", "cls") for parameter in parameters)


@pytest.mark.parametrize("module", ["covey", "covey.cluster", "covey.cli", "covey.metrics", "covey.types"])
def test_light_imports_stay_light(module: str) -> None:
    heavy = HEAVY if module != "covey.metrics" else ("torch", "PIL", "sqlite3", "openvino", "jinja2", "transformers")
    script = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_sizes(path: Path) -> None:
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= (MAX_ESTIMATOR_LINES if path.is_relative_to(SOURCE / "cluster") else MAX_FILE_LINES)
    assert n_lines >= MIN_FILE_LINES or path.stem in SHORT_OR_SHARED
    for node in _functions(path):
        assert _body_lines(node) <= MAX_BODY_LINES, node.name
        if node.name.startswith("_") and not node.name.startswith("__"):
            assert _n_parameters(node) <= MAX_PRIVATE_PARAMETERS, node.name


def test_most_functions_are_short() -> None:
    lengths = sorted(_body_lines(node) for path in FILES for node in _functions(path))
    assert lengths[int(0.9 * len(lengths))] <= 30
    assert lengths[len(lengths) // 2] < MAX_MEDIAN_BODY_LINES


def _imports(path: Path, modules: set[str]) -> set[str]:
    """Return which of `modules` a file imports, be it late or for type checkers alone."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= found & modules if found <= modules else {node.module, *found}
    return names & modules


@pytest.mark.parametrize("room", ["extract", "images", "neighbors", "search", "store"])
def test_no_circle_within_a_room(room: str) -> None:
    """Modules of a room can be put in an order in which each imports earlier ones alone."""
    paths = {
        ".".join(("covey", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in FILES
        if path.relative_to(SOURCE).parts[0] == room
    }
    waiting = {name: _imports(path, set(paths)) - {name} for name, path in paths.items()}
    while ready := {name for name, needed in waiting.items() if not needed & waiting.keys()}:
        waiting = {name: needed for name, needed in waiting.items() if name not in ready}
    assert sorted(waiting) == []


def test_no_two_modules_have_one_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        if path.stem not in SHORT_OR_SHARED:
            homes.setdefault(path.stem, []).append(str(path.relative_to(SOURCE)))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_no_room_without_a_name() -> None:
    nameless = {"utils", "helpers", "common", "misc"}
    assert not [path for path in FILES if path.stem.strip("_") in nameless]


def test_suppressions_are_few_and_say_why() -> None:
    n_lines = n_suppressions = 0
    for path in FILES:
        for line in path.read_text(encoding="utf-8").splitlines():
            n_lines += 1
            for mark in ("# noqa", "# type: ignore"):
                if mark in line:
                    n_suppressions += 1
                    # The code and two words of reason at the least.
                    assert len(line.split(mark, 1)[1].split()) >= 3, f"{path.name}: {line.strip()}"
    assert n_suppressions <= max(n_lines // 500, 5)


PUBLIC_PACKAGES = sorted(
    ".".join(["covey", *path.parent.relative_to(SOURCE).parts])
    for path in FILES
    if path.name == "__init__.py" and "__all__" in path.read_text(encoding="utf-8") and path.parent.name[0] != "_"
)


@pytest.mark.parametrize("package", PUBLIC_PACKAGES)
def test_public_names_exist(package: str) -> None:
    module = import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []

"""Documentation that cannot rot: every name is documented, every page is fresh, every link leads somewhere."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from covey.bench import PROTOCOLS, packaged_experiments
from covey.bench._references import REFERENCES
from covey.bench.datasets import DATASETS, VARIANTS, include_files
from covey.bench.report import write_report
from covey.cli import COMMANDS, cli
from covey.cluster import CLUSTERERS
from covey.selection import CRITERIA

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_command_reference_is_fresh() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.help_page(), "run: python docs/make_reference.py"


def test_the_report_is_what_the_raw_lines_say(tmp_path: Path) -> None:
    """The published table is made by the command, from lines that lie beside it; no number in it is typed by hand."""
    report = ROOT / "docs" / "bench"
    with include_files(DATASETS, [ROOT / "benchmarks" / "archives.py"]):
        written = {path.relative_to(tmp_path): path for path in write_report(ROOT / "benchmarks" / "results", tmp_path)}
    assert set(written) == {path.relative_to(report) for path in report.rglob("*") if path.is_file()}
    for name, path in written.items():
        command = "covey bench --include benchmarks/archives.py report benchmarks/results --output docs/bench"
        is_fresh = (report / name).read_bytes() == path.read_bytes()
        assert is_fresh, f"{name}: run {command}"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_option_says_what_it_does(name: str) -> None:
    for command in (COMMANDS[name], *getattr(COMMANDS[name], "commands", {}).values()):
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, parameter.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        aim = page.parent / target if target else page
        assert aim.exists(), target
        assert not anchor or anchor in _anchors(aim), f"{target}#{anchor}"


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_files_that_are_mentioned_exist() -> None:
    """Code and pages name files of the repository by their path from its root."""
    mentioned = re.compile(
        r"(?<![\w/.-])(?:benchmarks|docs|scripts|src/covey|tests)/[\w./-]*\.(?:cff|csv|jsonl|md|py|sh|toml|yml)\b"
    )
    sources = [ROOT / "Makefile", *(path for folder in ("src", "benchmarks") for path in (ROOT / folder).rglob("*.py"))]
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (*PAGES, *sources)
        for name in mentioned.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    }
    assert missing == set()


def test_every_page_is_in_the_site() -> None:
    """Tables of contents, in which Sphinx looks, and the list for readers of the repository name every page."""
    listed = set()
    for page in PAGES:
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            listed |= {(page.parent / f"{line}.md").resolve() for line in tree.splitlines() if line and line[0] != ":"}
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - listed == {ROOT / "docs" / "index.md"}


def test_the_results_in_the_readme_are_those_of_the_report() -> None:
    report = (ROOT / "docs" / "bench" / "report.md").read_text(encoding="utf-8")
    published = _rows(report.split("### ACC, inductive, settings fixed across data sets")[1].split("###")[0])
    columns = [
        next(i for i, title in enumerate(published["method"]) if title.startswith(name))
        for name in ("imagenette", "cifar10-20k", "moco50", "digits", "mean rank")
    ]
    readme = (ROOT / "README.md").read_text(encoding="utf-8").split("## Results")[1].split("##")[0]
    shown = {
        Path(match[1]).stem: row[1:]
        for first, row in _rows(readme).items()
        if (match := re.search(r"\((docs/methods/[\w-]+\.md)\)", first))
    }
    assert set(shown) == set(CLUSTERERS)
    for name, row in shown.items():
        if name in published:
            assert row == [published[name][i] for i in columns], name


def _rows(table: str) -> dict[str, list[str]]:
    """Return the rows of a Markdown table by their first cell, without bold."""
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    cells = [[cell.strip().strip("*") for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in cells}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_pages_parse(page: Path) -> None:
    """Every `covey ...` line in a shell block names a command and options that exist."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if not words or words[0] != "covey" or len(words) < 2 or words[1].startswith("-"):
                continue
            command, parameters = cli.get_command(click.Context(cli), words[1]), []
            if isinstance(command, click.Group):
                parameters = command.params
                command = next((command.commands[word] for word in words[2:] if word in command.commands), None)
            assert command is not None, line
            parameters = [*parameters, *command.params]
            known = {word for parameter in parameters for word in (*parameter.opts, *parameter.secondary_opts)}
            options = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
            assert options <= known | {"--help", "-h"}, line


@pytest.mark.parametrize("name", list(CLUSTERERS))
def test_every_method_has_a_page(name: str) -> None:
    assert (ROOT / "docs" / "methods" / f"{name}.md").is_file()


def test_all_that_an_experiment_can_name_is_explained() -> None:
    page = (ROOT / "docs" / "guide" / "bench.md").read_text(encoding="utf-8")
    experiments = [path.stem for path in (ROOT / "benchmarks" / "experiments").glob("*.toml")]
    with include_files(DATASETS, [ROOT / "benchmarks" / "archives.py"]):
        datasets = list(DATASETS)
    for names in (packaged_experiments(), experiments, PROTOCOLS, datasets, VARIANTS, REFERENCES):
        assert [name for name in names if f"`{name}`" not in page] == []


def test_every_criterion_is_explained() -> None:
    page = (ROOT / "docs" / "guide" / "how-many.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in CRITERIA)

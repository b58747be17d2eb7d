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
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


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

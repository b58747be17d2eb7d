"""Reports: protocols are never mixed, references stand in every table, the page is static and legible to everybody."""

import csv
import io
import itertools
import textwrap
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.bench import ExperimentFile, Ledger
from covey.bench.report import build_tables, write_report
from covey.bench.report._cells import main_cells, to_csv, to_markdown
from covey.bench.report._overview import Overview, build_overviews
from covey.bench.report._overview import to_markdown as overview_markdown
from covey.bench.report._plots import HEIGHT, WIDTH, Point, _round_ticks, plot_cost, plot_published
from covey.errors import DatasetError

Write = Callable[..., ExperimentFile]

FILE = """
title = "A paper"
paper = "P"
note = "It costs nothing."
references = ["random", "kmeans", "linear-probe"]
[defaults]
seeds = 3
protocols = ["inductive", "scp", "transductive-all"]
[[experiment]]
set = "digits"
method = "scp"
[[experiment.published]]
scores = { acc = 91.5, nmi = 80.0 }
spread = { acc = 0.5 }
source = "P, table 1"
features = "ViT"
protocol = "scp"
why = "They had more rows."
[[experiment]]
set = "digits"
method = "temi"
"""

SHORT = ("scp", "agglomerative")


@pytest.fixture
def results(write_file: Write, make_line: Callable[..., dict[str, Any]]) -> tuple[ExperimentFile, list[dict[str, Any]]]:
    file = write_file(FILE)
    right = {"scp": 0.9, "temi": 0.8, "kmeans": 0.6, "random": 0.0, "linear-probe": 0.95}
    lines = [
        make_line(experiment, seed, right[experiment.method.name] + 0.01 * seed, fit=fit)
        for experiment in file.experiments
        for fit in ("train", "all")
        for seed in experiment.seeds
        if not (experiment.method.name == "linear-probe" and fit == "all")
    ]
    return file, lines


def test_each_table_has_one_protocol_and_all_references(results: Any) -> None:
    file, lines = results
    tables = build_tables([file], lines)
    assert [table.protocol.name for table in tables] == ["inductive", "transductive-all", "scp"]
    for table in tables:
        assert [row.kind for row in table.rows] == ["floor"] * 3 + ["method"] * 2 + ["ceiling"]
        methods = [row.scores["acc"].mean for row in table.rows if row.kind == "method"]
        assert methods == sorted(methods)


def test_best_of_n_stands_in_a_column_of_that_name_only(results: Any) -> None:
    file, lines = results
    inductive, _, scp = build_tables([file], lines)
    assert "best" not in to_markdown(inductive).split("Protocol")[1].split("\n", 1)[1].lower()
    text = to_markdown(scp)
    assert "ACC, best of n" in text
    row = next(row for row in scp.rows if row.title == "scp")
    assert f"| {100 * row.scores['acc'].high:.1f} (of 3) | {100 * row.scores['acc'].mean:.1f} ±" in text


def test_a_table_prints_n_k_and_the_normaliser(results: Any) -> None:
    file, lines = results
    text = to_markdown(build_tables([file], lines)[0])
    for words in ("200 rows fitted, 200 scored", "k = 4 classes", "NMI (arithmetic)", "AMI", "ARI", "macro ACC"):
        assert words in text


def test_costs_are_ratios_to_k_means_of_the_same_process(results: Any) -> None:
    file, lines = results
    row = next(row for row in build_tables([file], lines)[0].rows if row.title == "temi")
    assert row.facts["wall_ratio"] == 3.0  # the median of 2, 3 and 4 seconds to 1
    assert row.facts["cpu_ratio"] == 2.0


def test_methods_are_compared_with_k_means_seed_by_seed(results: Any) -> None:
    file, lines = results
    rows = {row.title: row for row in build_tables([file], lines)[0].rows}
    against = rows["temi"].against
    assert against is not None
    expected = rows["temi"].scores["acc"].mean - rows["kmeans"].scores["acc"].mean
    assert against.mean == pytest.approx(expected)
    assert against.n_better == 3
    assert rows["kmeans"].against is None


def test_collapses_and_failures_are_counted(results: Any) -> None:
    file, lines = results
    temi = [line for line in lines if line["method"]["name"] == "temi" and line["fit"] == "train"]
    temi[0]["scores"]["train"] = {**temi[0]["scores"]["train"], "n_used": 3}
    scp = [line for line in lines if line["method"]["name"] == "scp" and line["fit"] == "train"]
    for line in scp:
        line.update(status="timeout", error="took longer than 9 s")
        del line["scores"]
    text = to_markdown(build_tables([file], lines)[0])
    assert "1 of 3" in text
    assert "| scp | 0 |" in text
    assert "took longer than 9 s" in text


def test_what_finds_the_number_itself_does_not_collapse(write_file: Write, make_line: Callable[..., Any]) -> None:
    file = write_file(
        """
        references = ["random", "linear-probe"]
        [[experiment]]
        set = "digits"
        method = "hdbscan"
        """
    )
    lines = [make_line(experiment, 0, 0.9) for experiment in file.experiments]
    (found,) = (line for line in lines if line["method"]["name"] == "hdbscan")
    for part in found["scores"]:
        found["scores"][part] = {**found["scores"][part], "n_used": 3, "n_noise": 50}
    rows = {row.title: main_cells(row) for row in build_tables([file], lines)[0].rows}
    assert rows["hdbscan"]["clusters"] == "3, 25.0 % of rows in none"
    assert rows["hdbscan"]["collapsed"] == rows["linear-probe"]["collapsed"] == "—"
    assert (rows["random"]["clusters"], rows["random"]["collapsed"]) == ("4", "0 of 1")


def test_what_was_not_run_is_said(results: Any) -> None:
    file, lines = results
    text = to_markdown(build_tables([file], [line for line in lines if line["method"]["name"] != "temi"])[0])
    assert "not run yet" in text


def test_a_later_line_of_the_same_seed_counts(results: Any, make_line: Any) -> None:
    file, lines = results
    better = make_line(next(e for e in file.experiments if e.method.name == "temi"), 0, 1.0)
    rows = build_tables([file], [*lines, better])[0].rows
    assert next(row for row in rows if row.title == "temi").by_seed[0] == 1.0


def test_an_oracle_has_a_table_of_its_own(write_file: Write, make_line: Any) -> None:
    file = write_file(
        """
        references = ["kmeans"]
        [[experiment]]
        set = "digits"
        method = "temi"
        seeds = 1
        tuning = "oracle"
        grid = { beta = [0.6, 0.7, 0.8] }
        """
    )
    ran = [e for e in file.experiments if e.method.changes.get("beta") != 0.7]
    lines = [make_line(e, 0, e.method.changes.get("beta", 0.5)) for e in ran for _ in e.seeds]
    fixed, oracle = sorted(build_tables([file], lines), key=lambda table: table.tuning)
    assert [row.kind for row in fixed.rows] == ["floor", "floor"]
    (best,) = [row for row in oracle.rows if row.kind == "method"]
    assert best.title == "temi, beta=0.8 (temi: best of beta, 2 of 3 tried, chosen by labels)"
    assert [row.kind for row in oracle.rows] == ["floor", "floor", "method"]


@given(st.floats(0, 100), st.floats(0, 120))
def test_ticks_are_few_round_and_enclose_what_is_drawn(first: float, second: float) -> None:
    low, high = sorted((first, second))
    ticks = _round_ticks(low, high)
    assert ticks[0] <= low
    assert min(high, 100) <= ticks[-1] <= 100
    assert 2 <= len(ticks) <= 7
    assert len({b - a for a, b in itertools.pairwise(ticks)}) == 1


@pytest.fixture
def overviews(write_file: Write, make_line: Callable[..., dict[str, Any]]) -> list[Overview]:
    """Two sets under one protocol; on the second TEMI falls below k-means, SCP has one seed, agglomerative none."""
    file = write_file(
        """
        references = ["random", "kmeans", "linear-probe"]
        [defaults]
        seeds = 3
        protocols = ["inductive"]
        [[matrix]]
        sets = ["digits", "moco50"]
        methods = ["temi", "scp", "agglomerative"]
        """
    )
    right = {
        "digits": {"random": 0.0, "kmeans": 0.5, "temi": 0.8, "scp": 0.7, "agglomerative": 0.6, "linear-probe": 1.0},
        "moco50": {"random": 0.0, "kmeans": 0.6, "temi": 0.3, "scp": 0.8, "linear-probe": 1.0},
    }
    lines = [
        make_line(experiment, seed, right[experiment.rows.dataset][experiment.method.name])
        for experiment in file.experiments
        for seed in (experiment.seeds[:1] if experiment.method.name in ("scp", "agglomerative") else experiment.seeds)
        if experiment.method.name in right[experiment.rows.dataset]
        and experiment.method.changes.get("spherical") is not False
    ]
    return build_overviews(build_tables([file], lines))


def test_an_overview_lays_the_sets_side_by_side(overviews: list[Overview]) -> None:
    accuracy, ami = overviews
    assert accuracy.title == "ACC, inductive, settings fixed across data sets"
    assert ami.title.startswith("AMI, inductive")
    assert accuracy.places == (("digits", "as they come"), ("moco50", "as they come"))
    assert [row.kind for row in accuracy.rows] == ["floor"] * 3 + ["method"] * 3 + ["ceiling"]
    rows = {row.title: row for row in accuracy.rows}
    assert [cell.is_best for cell in rows["temi"].cells] == [True, False]
    assert [cell.is_best for cell in rows["scp"].cells] == [False, True]
    assert not any(cell.is_best for cell in rows["linear-probe"].cells)


def test_one_seed_is_compared_once_and_what_draws_nothing_with_every_seed(
    write_file: Write, make_line: Callable[..., dict[str, Any]]
) -> None:
    file = write_file(
        """
        references = ["kmeans"]
        [defaults]
        seeds = 3
        [[matrix]]
        sets = ["digits"]
        methods = ["scp", "agglomerative"]
        """
    )
    lines = [
        make_line(experiment, seed, 0.5 if experiment.method.name == "kmeans" else 0.9)
        for experiment in file.experiments
        for seed in (experiment.seeds if experiment.method.name == "kmeans" else experiment.seeds[:1])
    ]
    rows = {row.title: row.against for row in build_tables([file], lines)[0].rows}
    assert rows["scp"].n == 1
    assert rows["agglomerative"].n == 3


def test_ranks_need_a_result_on_every_set(overviews: list[Overview]) -> None:
    ranks = {row.title: row.rank for row in overviews[0].rows}
    assert ranks["scp"] == 1.5  # second of four, first of three
    assert ranks["temi"] == 2.0
    assert ranks["kmeans"] == 3.0
    assert ranks["agglomerative"] is ranks["random"] is ranks["linear-probe"] is None


def test_an_overview_counts_sets_won_and_lost_in_every_seed(overviews: list[Overview]) -> None:
    rows = {row.title: row for row in overviews[0].rows}
    assert rows["temi"].against == "1 above, 1 below, of 2"
    assert rows["scp"].against == "2 above, 0 below, of 2"
    assert rows["agglomerative"].against == "1 above, 0 below, of 1"
    assert rows["kmeans"].against == "—"
    assert [overview.is_compared for overview in overviews] == [True, False]
    assert "against k-means" in overview_markdown(overviews[0])
    assert "against k-means" not in overview_markdown(overviews[1])


def test_an_overview_says_where_seeds_are_missing(overviews: list[Overview]) -> None:
    text = overview_markdown(overviews[0])
    scp, agglomerative = (next(row for row in text.splitlines() if f"| {name} |" in row) for name in SHORT)
    assert scp.count("(1 of 3 seeds)") == 2
    assert "| 2 above, 0 below, of 2 |" in scp
    assert "seeds)" not in agglomerative  # it draws nothing: one is all
    assert agglomerative.count("—") == 2


def test_one_set_has_no_overview(results: Any) -> None:
    file, lines = results
    assert build_overviews(build_tables([file], lines)) == []


def test_csv_has_every_number(results: Any) -> None:
    file, lines = results
    rows = list(csv.DictReader(io.StringIO(to_csv(build_tables([file], lines)))))
    assert len(rows) == 18
    temi = next(row for row in rows if row["method"] == "temi" and row["protocol"] == "inductive")
    for kind in ("mean", "std", "median", "min", "max"):
        assert 0 <= float(temi[f"acc_{kind}"]) <= 1
    assert float(temi["acc_images_low"]) < float(temi["acc_mean"]) < float(temi["acc_images_high"])


@pytest.fixture
def written(results: Any, tmp_path: Path) -> Path:
    file, lines = results
    folder = tmp_path / "out"
    (folder / "experiments").mkdir(parents=True)
    (folder / "experiments" / "mine.toml").write_text(file.path.read_text())
    for line in lines:
        Ledger(folder).append(line)
    write_report(folder)
    return folder / "report"


def test_the_page_of_a_paper_says_what_differs(written: Path) -> None:
    text = (written / "papers" / "mine.md").read_text()
    assert "| 1 | digits | scp | ACC 91.5 ± 0.5, NMI 80 | best of 3: ACC" in text
    assert "They had more rows." in text
    assert "Features: ViT there, as they come here." in text
    assert "the best of 50 runs" in text
    assert "3 seeds; 200 rows fitted, 200 scored" in text


def test_papers_are_linked_and_take_no_part_in_the_overview(
    write_file: Write, make_line: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    text = """
        {} references = []
        [[matrix]]
        sets = {}
        methods = ["temi"]
        seeds = 1
        """
    (tmp_path / "out" / "experiments").mkdir(parents=True)
    parts = {"table": ("title = 'Table'", ["digits", "moco50"]), "a": ("title = 'A'\npaper = 'A'", ["umap-usps"])}
    for name, (title, sets) in parts.items():
        file = write_file(textwrap.dedent(text).format(title + "\n", sets))
        (tmp_path / "out" / "experiments" / f"{name}.toml").write_text(file.path.read_text())
        for experiment in file.experiments:
            Ledger(tmp_path / "out").append(make_line(experiment, 0, 0.5))
    write_report(tmp_path / "out")
    report = (tmp_path / "out" / "report" / "report.md").read_text()
    assert report.startswith("# Table\n")
    assert "[A](papers/a.md)" in report
    assert "| method | digits, as they come | moco50, as they come | mean rank | against k-means |" in report
    assert "## umap-usps, as they come" in report


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_is_static_and_accessible(written: Path) -> None:
    text = (written / "index.html").read_text()
    page = _Page()
    page.feed(text)
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "img", "iframe", "form", "link"} & set(tags)
    assert "http:" not in text
    assert "https:" not in text
    assert ("html", {"lang": "en"}) in page.tags
    assert tags.count("main") == tags.count("h1") == 1
    assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th")
    pictures = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(pictures) == 4  # three of cost, one of published numbers
    assert all(attrs["role"] == "img" and "ACC" in (attrs["aria-label"] or "") for attrs in pictures)
    anchors = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = {(attrs["href"] or "").removeprefix("#") for tag, attrs in page.tags if tag == "a"}
    assert links <= anchors
    assert "light-dark(" in text


def test_text_from_files_is_escaped(results: Any, tmp_path: Path) -> None:
    file, lines = results
    folder = tmp_path / "out"
    (folder / "experiments").mkdir(parents=True)
    (folder / "experiments" / "x.toml").write_text(
        file.path.read_text().replace("A paper", "<script>alert(1)</script>")
    )
    for line in lines:
        Ledger(folder).append(line)
    write_report(folder, tmp_path / "elsewhere")
    assert "<script>" not in (tmp_path / "elsewhere" / "index.html").read_text()


def test_a_set_of_which_nothing_ran_is_named_and_has_no_tables(results: Any, tmp_path: Path) -> None:
    file, lines = results
    folder = tmp_path / "out"
    (folder / "experiments").mkdir(parents=True)
    more = '[[experiment]]\nset = "moco50"\nmethod = "temi"\n'
    (folder / "experiments" / "x.toml").write_text(file.path.read_text() + more)
    for line in lines:
        Ledger(folder).append(line)
    write_report(folder)
    text = (folder / "report" / "report.md").read_text()
    assert "not on this machine: moco50." in text
    assert "## moco50" not in text


@pytest.mark.browser
def test_a_browser_shows_it_without_complaint_in_any_width(written: Path) -> None:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options) as driver:
        for width in (1400, 500):
            driver.set_window_size(width, 900)
            driver.get((written / "index.html").as_uri())
            assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
            assert driver.execute_script("return document.querySelectorAll('svg circle, svg rect').length") > 10
        assert driver.get_log("browser") == []


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no"):
        write_report(tmp_path)


def test_points_lie_within_the_drawing(results: Any) -> None:
    file, lines = results
    for table in build_tables([file], lines):
        plot = plot_cost(table)
        assert plot is not None
        for mark in plot.marks:
            assert plot.left <= mark.x <= plot.right
            assert plot.top <= mark.high <= mark.y <= mark.low <= plot.baseline
        labels = [mark.label_y for mark in plot.marks]
        assert all(below - above >= 16 for above, below in itertools.pairwise(labels))


def test_agreement_lies_on_the_diagonal() -> None:
    plot = plot_published([Point("a", 60, 60, 0, "method", "a"), Point("b", 90, 70, 0, "method", "b")])
    assert plot is not None
    x1, y1, x2, y2 = plot.diagonal
    on, off = sorted(plot.marks, key=lambda mark: mark.name)
    assert (on.x - x1) / (x2 - x1) == pytest.approx((on.y - y1) / (y2 - y1), abs=0.01)
    assert off.y > y1 + (off.x - x1) / (x2 - x1) * (y2 - y1)  # measured below published
    assert 0 < on.x < WIDTH
    assert 0 < on.y < HEIGHT
    assert plot_published([]) is None

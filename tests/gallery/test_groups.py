"""Groups of clusters and how clear these are, on the pages."""

import re
from pathlib import Path
from typing import Any

import pytest

from covey.gallery import write_gallery
from covey.gallery._pages import Card, group_cards

from .conftest import EVIDENCE

SIZES = (60, 50, 40, 30, 20, 10)
MEMBERS = [[0, 3, 4], [1, 2], [5]]


def info(**more: Any) -> dict[str, Any]:
    """Return what a run of six clusters in three groups records."""
    words = ["clear", "clear", "mixed", "loose", "clear", "mixed"]
    clusters = {str(i): {"word": word, "mean": 0.9, "n_unsure": 7 * i} for i, word in enumerate(words)}
    level = {"name": "coarse", "n_clusters": 3, "members": MEMBERS}
    return {
        "tree": {"levels": [level], "groups": "coarse"},
        "certainty": {"temperature": 0.05, "n_unsure": 105, "clusters": clusters},
        **more,
    }


def card(label: int, size: int) -> Card:
    return Card(label, f"Cluster {label}", "", size, 0.1, 0.5, 0.5, (f"{label}.webp", None))


def write(numbers: Any, tmp_path: Path, recorded: dict[str, Any]) -> Path:
    return write_gallery(numbers(tmp_path / "p.covey", SIZES, info=recorded), 1, tmp_path / "gallery").parent


def test_cards_are_grouped_and_noise_comes_last() -> None:
    cards = [*(card(label, size) for label, size in enumerate(SIZES)), card(-1, 5)]
    groups = {label: number for number, labels in enumerate(MEMBERS) for label in labels}
    found = group_cards(cards, groups, 215)
    assert [[item.label for item in group.cards] for group in found] == [*MEMBERS, [-1]]
    assert [group.size for group in found] == [110, 90, 10, 5]
    assert [group.number for group in found] == [1, 2, 3, 4]
    assert sum(group.share for group in found) == pytest.approx(1)
    assert found[0].pictures == ("0.webp", "3.webp", "4.webp")
    assert group_cards(cards, {}, 215) == ()


def test_the_first_page_shows_groups_with_all_their_cards(numbers: Any, tmp_path: Path) -> None:
    page = (write(numbers, tmp_path, info()) / "index.html").read_text(encoding="utf-8")
    parts = page.split('<details class="group">')[1:]
    assert [[int(label) for label in re.findall(r"<h3>Cluster (\d+)</h3>", part)] for part in parts] == MEMBERS
    assert "<h2>Group 1</h2> <span>3 clusters" in parts[0]
    assert "110 pictures" in parts[0]
    assert "<h2>Group 3</h2> <span>1 cluster " in parts[2]
    assert "6 clusters, 3 groups" in page


def test_without_groups_the_cards_are_as_ever(numbers: Any, tmp_path: Path) -> None:
    page = (write(numbers, tmp_path, {}) / "index.html").read_text(encoding="utf-8")
    assert "<details" not in page
    assert len(re.findall(r"<h2>Cluster \d</h2>", page)) == 6
    assert "confidence 0.50" in page  # an older run recorded nothing better


def test_cards_say_how_clear_they_are_and_about_has_the_numbers(numbers: Any, tmp_path: Path) -> None:
    folder = write(numbers, tmp_path, info())
    page = (folder / "index.html").read_text(encoding="utf-8")
    said = re.findall(r'<span class="clarity (\w+)">\1</span>(?: <i>·</i> (\d+) unsure)?', page)
    assert sorted(said) == sorted(
        [("clear", ""), ("clear", "7"), ("mixed", "14"), ("loose", "21"), ("clear", "28"), ("mixed", "35")]
    )
    assert "confidence 0" not in page
    about = (folder / "about.html").read_text(encoding="utf-8")
    assert "<td>loose</td><td>21</td><td>0.50</td><td>0.70</td>" in about
    assert "temperature" in about
    assert "levels" not in about  # tree.json has them
    cluster = (folder / "clusters" / "0003.html").read_text(encoding="utf-8")
    assert "cluster, 21 pictures unsure" in cluster


def test_a_later_suggestion_does_not_contradict_the_page(numbers: Any, tmp_path: Path) -> None:
    """The run has 6 clusters by its own evidence; covey k has found 4 with other limits since."""
    own = {**EVIDENCE, "n_clusters": 6}
    project = numbers(tmp_path / "p.covey", SIZES, info=info(selection=own))
    project.evidence = lambda: EVIDENCE
    folder = write_gallery(project, 1, tmp_path / "later").parent
    for name, words in {
        "index.html": "covey k has looked again since and suggests 4 clusters",
        "k.html": "The gallery shows an earlier run with 6 clusters",
        "about.html": "as covey k saw it since: it suggests 4",
    }.items():
        assert words in (folder / name).read_text(encoding="utf-8")
    project.evidence = lambda: own
    folder = write_gallery(project, 1, tmp_path / "same").parent
    assert not any("since" in (folder / name).read_text(encoding="utf-8") for name in ("index.html", "k.html"))


def test_every_chart_has_titles_on_its_axes(gallery: Path) -> None:
    for name in ("index.html", "about.html", "k.html"):
        for chart in re.findall(r'<svg class="chart.*?</svg>', (gallery / name).read_text(encoding="utf-8"), re.DOTALL):
            titles = re.findall(r'<text class="title"[^>]*>([^<]+)</text>', chart)
            assert len(titles) == (1 if "votes" in chart[:40] else 2), name
            assert titles[0] in ("number of clusters", "rank")

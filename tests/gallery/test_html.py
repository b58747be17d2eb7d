"""What every written page must be: well-formed, closed to the network, complete, and safe against any file name."""

import os
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

VOID = {"meta", "link", "img", "input", "br", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)
    parents: list["Element"] = field(default_factory=list)


class Reader(HTMLParser):
    """Collect the elements of a page and insist that every one is closed in its turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self.open, [element.tag for element in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs}, parents=list(self.open))
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, parents=list(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text.append(data)

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [e for e in self.elements if e.tag == tag and wanted.items() <= e.attributes.items()]

    def inside(self, parent: Element) -> list[Element]:
        return [element for element in self.elements if any(above is parent for above in element.parents)]


@pytest.fixture(scope="module")
def pages(gallery: Path) -> dict[str, Reader]:
    found = sorted(gallery.rglob("*.html"))
    return {str(path.relative_to(gallery)): Reader(path.read_text(encoding="utf-8")) for path in found}


def target(page: str, url: str, gallery: Path) -> Path:
    """Return the file that a relative URL on a page leads to."""
    path = os.fsdecode(unquote_to_bytes(url.partition("#")[0]))
    return Path(os.path.normpath(gallery / Path(page).parent / path))


def clusters_of(pages: dict[str, Reader]) -> list[Reader]:
    return [reader for name, reader in pages.items() if name.startswith("clusters/")]


def test_all_pages_are_there(pages: dict[str, Reader]) -> None:
    # 41 pictures: 14 + 14 + 12 in clusters and one in none, five a page.
    assert set(pages) == {
        *("index.html", "unsure.html", "skipped.html", "k.html", "about.html", "clusters/noise.html"),
        *(f"clusters/{label:04d}{number}.html" for label in range(3) for number in ("", "-2", "-3")),
    }


def test_pages_are_closed_to_the_network_and_to_inline_code(pages: dict[str, Reader]) -> None:
    for reader in pages.values():
        (policy,) = reader.all("meta", **{"http-equiv": "Content-Security-Policy"})
        rules = dict(rule.strip().split(" ", 1) for rule in policy.attributes["content"].split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == "'self' file:"
        assert "unsafe" not in policy.attributes["content"]
        assert not reader.all("style")
        assert all(script.attributes["src"] and not "".join(script.text) for script in reader.all("script"))
        for element in reader.elements:
            assert not [name for name in element.attributes if name == "style" or name.startswith("on")]
            for name in ("href", "src", "action"):
                assert not element.attributes.get(name, "").startswith(("http", "//", "data:", "javascript"))


def test_every_link_leads_to_a_file(pages: dict[str, Reader], gallery: Path) -> None:
    n_checked = 0
    for name, reader in pages.items():
        ids = {element.attributes["id"] for element in reader.elements if "id" in element.attributes}
        for element in reader.elements:
            for attribute in ("href", "src"):
                url = element.attributes.get(attribute)
                if url is None or url == "#":
                    continue
                if url.startswith("#"):
                    assert url[1:] in ids, url
                    continue
                assert target(name, url, gallery).is_file(), (name, url)
                n_checked += 1
    assert n_checked > 200


def test_ids_are_unique(pages: dict[str, Reader]) -> None:
    for reader in pages.values():
        ids = Counter(element.attributes["id"] for element in reader.elements if "id" in element.attributes)
        assert not [name for name, n in ids.items() if n > 1]


def test_every_page_can_be_reached_from_the_first(pages: dict[str, Reader], gallery: Path) -> None:
    reached, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        links = [target(name, a.attributes["href"], gallery) for a in pages[name].all("a")]
        waiting += [str(path.relative_to(gallery)) for path in links if path.suffix == ".html" and path != gallery]
    assert reached == set(pages)


def test_every_picture_stands_in_exactly_one_grid(pages, gallery, collection) -> None:
    shown: Counter[Path] = Counter()
    for name, reader in pages.items():
        for grid in (e for e in reader.elements if e.attributes.get("class", "").startswith("grid")):
            for link in (e for e in reader.inside(grid) if e.attributes.get("class") == "shot"):
                shown[target(name, link.attributes["href"], gallery)] += 1
    assert shown == Counter(record.path for record in collection.records)


def test_names_are_text_and_never_markup(pages: dict[str, Reader], gallery: Path) -> None:
    names = ["".join(name.text) for reader in clusters_of(pages) for name in reader.all("bdi", class_="name")]
    for expected in (
        'it\'s "quoted" & <b>bold<b>.png',
        "<script>alert(1)<script>.png",
        "new↵line.png",
        "Grüße aus 東京 🐦.png",
        "100% #1 ?a=b&c;d.png",
        "back\\slash.png",
        " leading space.png",
        "javascript:alert(1).png",
        "{{ 7 * 7 }}.png",
        "turned�gnp.exe.png",
        "latin-�t�.png",
    ):
        assert expected in names
    for reader in pages.values():
        assert len(reader.all("script")) == 1
        assert not reader.all("b", class_="bold")
    for path in gallery.rglob("*.html"):
        assert "<b>bold" not in path.read_text(encoding="utf-8")


def test_cluster_names_are_escaped_too(pages: dict[str, Reader]) -> None:
    headings = ["".join(h.text) for h in pages["index.html"].all("h2")]
    assert 'Gateways <i>& "arches"' in headings
    assert "In no cluster" in headings
    assert "or: Doors, Arcades & <walks>" in "".join(pages["clusters/0000.html"].all("main")[0].text)


def test_images_have_sizes_and_words(pages: dict[str, Reader]) -> None:
    for reader in pages.values():
        for image in reader.all("img"):
            if "src" in image.attributes:
                assert int(image.attributes["width"]) > 0
                assert int(image.attributes["height"]) > 0
            assert "alt" in image.attributes
    for reader in clusters_of(pages):
        for link in reader.all("a", class_="shot"):
            (shape,) = [element for element in reader.inside(link) if element.tag in ("img", "svg")]
            assert shape.attributes.get("alt") or shape.attributes.get("aria-label")


def test_a_missing_thumbnail_has_a_stand_in(pages, gallery, collection) -> None:
    blanks = [blank for reader in clusters_of(pages) for blank in reader.all("svg", class_="blank")]
    labelled = [blank for blank in blanks if blank.attributes["aria-label"].startswith("it's")]
    assert labelled
    assert all(collection.without_thumbnail not in path.read_text(encoding="utf-8") for path in gallery.rglob("*.html"))


def test_members_come_surest_first(pages: dict[str, Reader]) -> None:
    for label in range(3):
        scores = [
            float("".join(score.text))
            for name in sorted(name for name in pages if name.startswith(f"clusters/{label:04d}"))
            for score in pages[name].all("span", class_="score")
        ]
        assert len(scores) == (14, 14, 12)[label]
        ordered = sorted(scores, reverse=True)
        first_page = [float("".join(s.text)) for s in pages[f"clusters/{label:04d}.html"].all("span", class_="score")]
        assert first_page == ordered[:5]


def test_duplicates_are_named_where_the_picture_is(pages: dict[str, Reader]) -> None:
    badges = [badge for reader in clusters_of(pages) for badge in reader.all("span", class_="badge")]
    assert ["".join(badge.text) for badge in badges] == ["×3"]
    texts = ["".join(more.text) for reader in clusters_of(pages) for more in reader.all("span", class_="more")]
    assert any("also zz copy <1>.png" in text and "also zz/copy.png" in text for text in texts)


def test_unsure_pictures_say_where_they_are_and_could_be(pages: dict[str, Reader]) -> None:
    doubts = pages["unsure.html"].all("ul", class_="doubts")[0]
    assert "Ponds" in "".join(doubts.text)
    assert len(pages["unsure.html"].all("li", class_="tile")) == 12
    assert len(pages["unsure.html"].all("a", class_="mention second")) == 12
    scores = [float("".join(score.text)) for score in pages["unsure.html"].all("span", class_="score")]
    assert scores == sorted(scores)


def test_skipped_files_are_listed_with_reason_message_and_code(pages: dict[str, Reader]) -> None:
    reader = pages["skipped.html"]
    text = "".join(reader.all("main")[0].text)
    for words in (
        "ERROR_CORRUPT_IMAGE",
        "ERROR_ZERO_SIZE_FILE",
        "cut↵short <1>.jpg",
        "ends after 12 of 90 <bytes>",
        "4.2 kB",
    ):
        assert words in text
    assert "3 of 46 files" in text  # 41 pictures, 2 copies, 3 failures


def test_the_ledger_adds_up_on_the_first_page(pages: dict[str, Reader]) -> None:
    text = "".join(pages["index.html"].all("p", class_="ledger")[0].text)
    assert text == "46 files found: 41 pictures, 2 duplicates, 3 skipped."


def test_the_evidence_for_the_number_is_drawn_and_tabled(pages: dict[str, Reader]) -> None:
    about = pages["about.html"]
    assert len(about.all("svg", class_="chart")) == 1  # all of them are on the page about the number
    assert len(pages["index.html"].all("svg", class_="chart")) == 1
    cells = ["".join(cell.text) for cell in about.elements if cell.tag in ("th", "td")]
    in_numbers = cells.index("cluster")
    assert cells[:in_numbers] == [
        *("clusters", "silhouette", "stability"),
        *("2", "0.200", "1.000"),
        *("3 (taken)", "0.600", "0.900"),
        *("4", "0.500", "0.700"),
        *("5", "0.400", "—"),
    ]
    assert cells[in_numbers:] == [
        *("cluster", "pictures", "how clear", "unsure", "mean confidence", "cohesion"),
        *('Gateways <i>& "arches"', "14", "—", "—", "0.50", "0.90"),
        *("Cluster 1", "14", "—", "—", "0.50", "0.80"),
        *("Ponds", "12", "—", "—", "0.50", "0.70"),
    ]


def test_the_run_is_told(pages: dict[str, Reader]) -> None:
    text = "".join(pages["about.html"].all("main")[0].text)
    for words in (
        "color_histogram",
        "kmeans",
        "random_state",
        "0.0001",
        "silhouette 0.600.",
        "f" * 64,
        "46",
        "toss-up",
    ):
        assert words in text

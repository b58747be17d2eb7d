import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.gallery._pager import build_pager, count_pages
from covey.gallery._pages import (
    FLATTEST,
    TALLEST,
    ClusterLink,
    Links,
    build_card,
    build_picture,
    is_even,
    link_clusters,
)
from covey.store import Member
from covey.types import ClusterName, ClusterSummary

LINKS = Links(
    root="../",
    thumbnails="../../thumbnails/",
    images="../../../pictures/",
    has_thumbnail=lambda image_id: image_id != "lost",
)


def member(**changes: object) -> Member:
    values = {
        "id": "3fa9",
        "path": "box 1/a b.jpg",
        "label": 2,
        "confidence": 0.5,
        "second_label": 4,
        "width": 300,
        "height": 200,
    }
    return Member(**{**values, **changes})


def summary(**changes: object) -> ClusterSummary:
    values = {
        "label": 2, "name": ClusterName(2, "Ponds", 0.9, ("Lakes",)), "size": 30, "mean_confidence": 0.5,
        "cohesion": 0.7, "nearest_label": 4, "representatives": tuple("abcdefgh"), "borderline": (),
    }  # fmt: skip
    return ClusterSummary(**{**values, **changes})


def test_a_picture_says_where_its_file_and_its_thumbnail_are() -> None:
    picture = build_picture(member(), LINKS, copies=["x/y.jpg"])
    assert (picture.name, picture.path) == ("a b.jpg", "box 1/a b.jpg")
    assert picture.original == "../../../pictures/box%201/a%20b.jpg"
    assert picture.thumbnail == "../../thumbnails/3f/3fa9.webp"
    assert picture.box == (256, 171)
    assert picture.copies == ("x/y.jpg",)
    assert picture.cluster is None


def test_a_lost_thumbnail_is_none_and_not_a_broken_url() -> None:
    assert build_picture(member(id="lost"), LINKS).thumbnail is None


@pytest.mark.parametrize(
    ("path", "url"),
    [("/else where/a.jpg", "file:///else%20where/a.jpg"), ("D:/a b.jpg", "file:///D%3A/a%20b.jpg")],
)
def test_a_file_outside_of_the_collection_has_an_absolute_url(path: str, url: str) -> None:
    assert build_picture(member(path=path), LINKS).original == url


def test_an_unsure_picture_names_both_clusters() -> None:
    clusters = {2: ClusterLink(2, "Ponds", "u"), 4: ClusterLink(4, "Lakes", "v")}
    picture = build_picture(member(), LINKS, clusters=clusters)
    assert (picture.cluster, picture.second) == (clusters[2], clusters[4])
    assert build_picture(member(second_label=-1), LINKS, clusters=clusters).second is None


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_tiles_keep_the_shape_within_bounds(width: int, height: int) -> None:
    box = build_picture(member(width=width, height=height), LINKS).box
    assert max(box) == 256
    assert TALLEST - 0.01 <= box[0] / box[1] <= FLATTEST + 0.02
    if width and height and TALLEST <= width / height <= FLATTEST:
        assert box[0] / box[1] == pytest.approx(width / height, rel=0.01)


@pytest.mark.parametrize(("size", "shape"), [((200, 300), "tall"), ((300, 300), "square"), ((300, 200), "wide")])
def test_shapes(size: tuple[int, int], shape: str) -> None:
    assert build_picture(member(width=size[0], height=size[1]), LINKS).shape == shape


def test_pictures_of_one_shape_stand_in_columns() -> None:
    square = [build_picture(member(width=side, height=side), LINKS) for side in (224, 32, 1000)]
    assert is_even(square)
    assert is_even([])
    assert not is_even([*square, build_picture(member(), LINKS)])


def test_a_card_counts_its_share() -> None:
    card = build_card(summary(), 120, LINKS, n_pictures=3)
    assert (card.name, card.url, card.share, card.runners_up) == ("Ponds", "../clusters/0002.html", 0.25, ("Lakes",))
    assert card.pictures == tuple(f"../../thumbnails/{i}/{i}.webp" for i in "abc")


@pytest.mark.parametrize(("label", "words"), [(2, "Cluster 2"), (-1, "No cluster")])
def test_a_cluster_without_words_is_called_by_its_number(label: int, words: str) -> None:
    assert build_card(summary(label=label, name=ClusterName(label, " ", 0.0)), 1, LINKS).name == words


def test_a_mentioned_cluster_shows_its_first_representative() -> None:
    mentions = link_clusters([summary(), summary(label=4, representatives=())], LINKS)
    assert mentions[2].thumbnail == "../../thumbnails/a/a.webp"
    assert mentions[4].thumbnail is None


@given(st.integers(0, 500), st.integers(1, 60))
def test_pages_hold_every_item_once(total: int, page_size: int) -> None:
    n_pages = count_pages(total, page_size)
    seen: list[int] = []
    for number in range(1, n_pages + 1):
        pager = build_pager(number, total, page_size, str)
        seen += range(pager.first, pager.last + 1) if total else ()
        assert (pager.number, pager.n_pages, pager.total) == (number, n_pages, total)
        assert pager.previous == (str(number - 1) if number > 1 else None)
        assert pager.next == (str(number + 1) if number < n_pages else None)
    assert seen == list(range(1, total + 1))


@given(st.integers(1, 300), st.data())
def test_the_pager_offers_both_ends_and_the_surroundings(n_pages: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, n_pages))
    steps = build_pager(number, n_pages, 1, str).steps
    pages = [page for page, _ in steps if page is not None]
    assert pages == sorted(set(pages))
    assert {1, number, n_pages} <= set(pages)
    assert all(url == str(page) for page, url in steps if page is not None)
    for (before, _), (page, _), (after, _) in zip(steps, steps[1:], steps[2:], strict=False):
        # A gap stands where pages are left out, and nowhere else.
        assert page is not None or (before is not None and after is not None and after - before > 1)
        assert page is None or before is None or page == before + 1

import re
from pathlib import Path

import pytest

import covey.types
from covey.gallery._pages import Links
from covey.gallery._skipped import bytes_in_words, group_skipped, sort_failures
from covey.types import ImageFailure

LINKS = Links(root="", thumbnails="t/", images="../../pictures/", has_thumbnail=lambda image_id: True)
CODES = sorted(set(re.findall(r"ERROR_[A-Z_]+", covey.types.ImageFailure.__doc__ or "")))


def failure(code: str, name: str = "a.jpg") -> ImageFailure:
    return ImageFailure(Path("/pictures") / name, code, f"message of {name}", 1234)


def relative(found: ImageFailure) -> str:
    return found.path.name


def test_every_documented_code_has_words_of_its_own() -> None:
    assert len(CODES) >= 7
    groups = group_skipped(sort_failures(failure(code) for code in CODES), dict.fromkeys(CODES, 1), LINKS, relative)
    assert {group.code for group in groups} == set(CODES)
    assert not [group.code for group in groups if group.heading.startswith("ERROR_")]
    assert len({group.heading for group in groups}) == len(CODES)


def test_groups_keep_the_order_of_the_files() -> None:
    failures = [failure("ERROR_PERMISSION", "z"), failure("ERROR_CORRUPT_IMAGE", "c"), failure("ERROR_PERMISSION", "b")]
    groups = group_skipped(sort_failures(failures), {"ERROR_CORRUPT_IMAGE": 1, "ERROR_PERMISSION": 7}, LINKS, relative)
    assert [(group.code, group.total, [file.path for file in group.files]) for group in groups] == [
        ("ERROR_CORRUPT_IMAGE", 1, ["c"]),
        ("ERROR_PERMISSION", 7, ["z", "b"]),
    ]


def test_a_code_of_tomorrow_is_shown_last_under_its_own_name() -> None:
    failures = sort_failures([failure("ERROR_HAUNTED"), failure("ERROR_PERMISSION")])
    assert [found.code for found in failures] == ["ERROR_PERMISSION", "ERROR_HAUNTED"]
    assert (
        group_skipped(failures, {"ERROR_HAUNTED": 1, "ERROR_PERMISSION": 1}, LINKS, relative)[1].heading
        == "ERROR_HAUNTED"
    )


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1234, "1.2 kB"),
        (45_678, "46 kB"),
        (412_000_000, "412 MB"),
        (3_210_000_000, "3.2 GB"),
    ],
)
def test_sizes_in_words(n_bytes: int, words: str) -> None:
    assert bytes_in_words(n_bytes) == words

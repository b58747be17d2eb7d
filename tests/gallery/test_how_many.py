"""The page about the number of clusters: which evidence it shows, and what it says of it."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from covey.gallery import write_gallery
from covey.gallery._how_many import build_votes, has_votes
from covey.store._tables import write_evidence

from .conftest import EVIDENCE


def page(numbers: Any, root: Path, own: Any = None) -> str | None:
    out = write_gallery(numbers(root, (3, 2), info={"selection": own}), 1, root / "g").parent
    linked = 'href="k.html"' in (out / "index.html").read_text(encoding="utf-8")
    assert (out / "k.html").exists() == linked
    return (out / "k.html").read_text(encoding="utf-8") if linked else None


def test_choices_lie_where_they_say_the_deciding_one_first() -> None:
    votes = build_votes(EVIDENCE["choices"], "consensus", EVIDENCE["candidates"], (3, 6))
    assert votes.choices[0].name == "consensus"
    assert [choice.is_deciding for choice in votes.choices] == [True, False, False, False]
    for one, other in itertools.permutations(votes.choices, 2):
        assert (one.x < other.x) == (one.n_clusters < other.n_clusters)
    for choice in votes.choices:
        assert choice.x_low <= choice.x <= choice.x_high  # also of one whose best is outside of its votes
        assert 0 <= choice.x <= votes.width
        assert 0 <= choice.y <= votes.height
    assert votes.band[0] < min(votes.choices[0].x, votes.band[1])
    assert all(after - before >= 40 for before, after in itertools.pairwise(x for _, x in votes.ticks))


def test_it_says_what_was_found_and_what_it_depends_on(numbers: Any, tmp_path: Path) -> None:
    text = page(numbers, tmp_path, EVIDENCE)
    assert text is not None
    for words in (
        "4, as far as can be seen without labels.",
        "4 clusters are the median of the votes.",
        "2 numbers to take",
        "at least one vote of silhouette, held-out coding length. ",
        "<code>-k 12</code>",
        "Of the 5 numbers that were tried, 2 are within one standard deviation",
        "41 pictures, each described by 1,280 numbers; judged on 41 of them in their 40 main directions",
        'aria-label="consensus: 4, mostly 3 to 6; ',
        "<td>3 to 6</td>",
    ):
        assert words in text
    assert "&lt;b&gt;plugin&lt;/b&gt;" in text
    assert "<b>plugin" not in text


def test_the_younger_evidence_is_shown(numbers: Any, tmp_path: Path) -> None:
    own = {**EVIDENCE, "reason": "what the run chose"}
    write_evidence(tmp_path, {**EVIDENCE, "created_at": "2026-11-21T00:00:00+00:00", "reason": "before the run"})
    assert "what the run chose" in (page(numbers, tmp_path, own) or "")
    assert "before the run" in (page(numbers, tmp_path, None) or "")  # the run was told its number
    write_evidence(tmp_path, {**EVIDENCE, "reason": "after the run"})
    assert "after the run" in (page(numbers, tmp_path, own) or "")


@pytest.mark.parametrize("content", [None, "{", json.dumps({"format": "covey-k", "version": 1, "n_clusters": 3})])
def test_without_evidence_that_can_be_read_there_is_no_page(numbers: Any, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "k.json").write_text(content, encoding="utf-8")
    assert page(numbers, tmp_path) is None


def test_evidence_of_older_runs_has_no_votes() -> None:
    assert has_votes(EVIDENCE)
    assert not has_votes({key: value for key, value in EVIDENCE.items() if key != "choices"})
    assert not has_votes(None)

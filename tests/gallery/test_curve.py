import itertools
import re

import pytest

from covey.errors import InvalidValueError
from covey.gallery import draw_beta_sweep
from covey.gallery._curve import HEIGHT, WIDTH, read_beta_sweep, read_curve

SELECTION = {
    "n_clusters": 8,
    "interval": [4, 8],
    "criterion": "silhouette",
    "reason": "its silhouette is the highest",
    "candidates": [8, 2, 4, 16],
    "scores": {
        "stability": [0.9, 1.0, None, 0.5],
        "silhouette": [0.4, 0.1, 0.3, 0.2],
        "stability_std": [0.1, 0.0, None, 0.2],
    },
}


def test_candidates_rise_and_the_deciding_score_comes_first() -> None:
    curve = read_curve(SELECTION)
    assert curve is not None
    assert curve.candidates == (2, 4, 8, 16)
    assert [line.name for line in curve.lines] == ["silhouette", "stability"]
    assert curve.scores == (
        ((0.1, None), (1.0, 0.0)),
        ((0.3, None), (None, None)),
        ((0.4, None), (0.9, 0.1)),
        ((0.2, None), (0.5, 0.2)),
    )


def test_points_lie_where_the_scores_say() -> None:
    curve = read_curve(SELECTION)
    assert curve is not None
    for line in curve.lines:
        assert line.meaning
        assert [point.value for point in line.points if point.is_chosen] == [8]
        for one, other in itertools.combinations(line.points, 2):
            assert (one.x < other.x) == (one.value < other.value)
            assert (one.y > other.y) == (one.score < other.score)
        assert all(0 <= point.x <= WIDTH and 0 <= point.y <= HEIGHT for point in line.points)
        assert line.path.count(",") == len(line.points)
    assert len(curve.lines[1].points) == 3  # the candidate without a stability is left out


def test_a_deviation_reaches_to_both_sides_and_stays_on_the_sheet() -> None:
    curve = read_curve(SELECTION)
    assert curve is not None
    silhouette, stability = curve.lines
    assert all(point.low is None and point.high is None for point in silhouette.points)
    for point in stability.points:
        assert point.low is not None
        assert point.high is not None
        assert HEIGHT >= point.low >= point.y >= point.high >= 0
        assert point.low - point.y == pytest.approx(point.y - point.high, abs=0.11)
    assert (stability.bottom, stability.top) == (pytest.approx(0.3), 1.0)


def test_the_band_covers_what_does_nearly_as_well() -> None:
    curve = read_curve(SELECTION)
    assert curve is not None
    assert curve.band is not None
    inside = [point.value for point in curve.lines[0].points if curve.band[0] <= point.x <= curve.band[1]]
    assert inside == [4, 8]
    alone = read_curve({**SELECTION, "interval": [8, 8]})
    assert alone is not None
    assert alone.band is None


def test_the_words_of_the_real_evidence_are_known() -> None:
    from covey.selection import CRITERIA

    scores = {"silhouette": [0.1, 0.2], "stability": [0.1, 0.2]}
    for criterion in CRITERIA:
        curve = read_curve(
            {"n_clusters": 3, "criterion": criterion, "candidates": [2, 3], "scores": {criterion: [0.1, 0.2], **scores}}
        )
        assert curve is not None
        assert all(line.meaning for line in curve.lines)


def test_numbers_below_the_axis_do_not_touch() -> None:
    candidates = list(range(2, 101))
    curve = read_curve({"n_clusters": 50, "candidates": candidates, "scores": {"score": [0.5] * 99}})
    assert curve is not None
    ticks = [point for point in curve.lines[0].points if point.has_tick]
    assert any(point.is_chosen for point in ticks)
    assert all(after.x - before.x >= 40 for before, after in itertools.pairwise(ticks))
    assert len({point.y for point in curve.lines[0].points}) == 1  # a flat line is drawn, not divided by nought


@pytest.mark.parametrize(
    "selection",
    [
        None,
        {},
        {"n_clusters": 1, "candidates": [1], "scores": {"score": [0.0]}},
        {"n_clusters": 3, "candidates": [2, 3], "scores": {"score": [1.0]}},
        {"n_clusters": 3, "candidates": [2, 3], "scores": {"score": [float("nan"), 1.0]}},
        {"n_clusters": 3, "candidates": [2, 3]},
    ],
)
def test_without_evidence_there_is_no_curve(selection: dict[str, object] | None) -> None:
    assert read_curve(selection) is None


SWEEP = {
    "beta": 0.6,
    "betas": [0.52, 0.6, 1.0],
    "conditional_entropy": [0.5, 0.1, 0.05],
    "marginal_entropy": [2.3, 2.2, 1.5],
}


def test_a_sweep_over_beta_is_two_lines_with_the_pick_marked() -> None:
    curve = read_beta_sweep(SWEEP)
    assert [line.name for line in curve.lines] == ["conditional entropy", "marginal entropy"]
    for line, key in zip(curve.lines, ("conditional_entropy", "marginal_entropy"), strict=True):
        assert [point.score for point in line.points] == SWEEP[key]
        assert [point.value for point in line.points if point.is_chosen] == [0.6]
        assert line.bottom == 0
        assert line.top == max(SWEEP[key])
        assert line.points[0].x < line.points[1].x < line.points[2].x
        assert line.points[2].x > 0.9 * WIDTH


def test_without_a_sweep_nothing_is_drawn() -> None:
    assert read_beta_sweep(None) is None
    assert read_beta_sweep({**SWEEP, "betas": [0.6]}) is None


def test_the_drawing_is_a_whole_svg_document() -> None:
    svg = draw_beta_sweep(SWEEP).strip()
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert svg.count("<svg") == svg.count("</svg>")
    circles = re.findall(r'<circle class="(\w+)".*?<title>(.*?)</title>', svg)
    assert [kind for kind, _ in circles] == ["dot", "chosen", "dot"] * 2
    assert circles[1] == ("chosen", "β = 0.6: 0.10")


def test_one_beta_makes_no_drawing() -> None:
    with pytest.raises(InvalidValueError, match="at least two"):
        draw_beta_sweep({**SWEEP, "betas": [0.6]})

"""Ward's tree over clusters: against SciPy, against a naive twin, and how it is cut."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from covey.errors import InvalidValueError
from covey.hierarchy import ClusterTree, build_tree, choose_n_groups, tree_of_partition
from covey.metrics import adjusted_rand_score


def naive_merges(X: NDArray[np.float64], counts: list[int]) -> list[tuple[frozenset[int], float]]:
    """Join the two clusters that raise the squared error least, again and again, with every mean computed anew."""
    groups = [(frozenset([i]), counts[i], X[i]) for i in range(len(counts))]
    found = []
    while len(groups) > 1:
        costs = {
            (i, j): a[1] * b[1] / (a[1] + b[1]) * ((a[2] - b[2]) ** 2).sum()
            for i, a in enumerate(groups)
            for j, b in enumerate(groups[:i])
        }
        (i, j), cost = min(costs.items(), key=lambda item: item[1])
        a, b = groups[i], groups[j]
        n = a[1] + b[1]
        union = (a[0] | b[0], n, (a[1] * a[2] + b[1] * b[2]) / n)
        groups = [group for place, group in enumerate(groups) if place not in (i, j)] + [union]
        found.append((union[0], float(np.sqrt(2 * cost))))
    return found


def leaves_of(tree: ClusterTree) -> list[frozenset[int]]:
    nodes = [frozenset([i]) for i in range(len(tree.labels))]
    for a, b in tree.merges:
        nodes.append(nodes[a] | nodes[b])
    return nodes[len(tree.labels) :]


@pytest.mark.parametrize("seed", range(5))
def test_weighted_merges_are_those_of_the_naive_twin(seed: int) -> None:
    draw = np.random.default_rng(seed)
    X, counts = draw.normal(size=(23, 4)), draw.integers(1, 60, size=23)
    tree = build_tree(X, counts)
    naive = naive_merges(X, counts.tolist())
    assert leaves_of(tree) == [members for members, _ in naive]
    np.testing.assert_allclose(tree.heights, [height for _, height in naive], rtol=1e-9)
    assert tree.sizes.tolist() == [int(counts[list(members)].sum()) for members, _ in naive]


def test_equal_weights_are_scipy_s_ward() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    tree, Z = build_tree(X, np.ones(60, dtype=np.int64)), linkage(X, "ward")
    np.testing.assert_allclose(tree.heights, Z[:, 2], rtol=1e-9)
    np.testing.assert_array_equal(tree.merges, Z[:, :2].astype(int))
    for n_groups in (1, 2, 7, 59, 60):
        assert adjusted_rand_score(tree.cut(n_groups), fcluster(Z, n_groups, "maxclust")) == 1


def test_a_weight_is_as_many_equal_points() -> None:
    draw = np.random.default_rng(1)
    X, counts = draw.normal(size=(12, 3)), draw.integers(1, 9, size=12)
    tree = build_tree(X, counts)
    points = linkage(np.repeat(X, counts, axis=0), "ward")
    np.testing.assert_allclose(tree.heights, points[-11:, 2], rtol=1e-6)


def test_cuts_are_nested_and_the_largest_group_is_first() -> None:
    draw = np.random.default_rng(2)
    tree = build_tree(draw.normal(size=(40, 5)), draw.integers(1, 100, size=40))
    for n_groups in range(1, 40):
        coarse, fine = tree.cut(n_groups), tree.cut(n_groups + 1)
        assert len(np.unique(coarse)) == n_groups
        assert all(len(np.unique(coarse[fine == group])) == 1 for group in range(n_groups + 1))
        images = np.bincount(coarse, weights=tree.counts)
        assert (np.diff(images) <= 0).all()
    np.testing.assert_array_equal(tree.cut(1), 0)


def test_clear_groups_are_found_and_even_heights_give_none() -> None:
    draw = np.random.default_rng(3)
    middles = np.repeat(10 * np.eye(4), 5, axis=0)
    tree = build_tree(middles + 0.1 * draw.normal(size=middles.shape), np.full(20, 9))
    assert choose_n_groups(tree) == 4
    np.testing.assert_array_equal(np.bincount(tree.cut(4)), 5)
    assert choose_n_groups(tree, suggested=3) == 3
    assert choose_n_groups(tree, suggested=15) == 4  # more than half the clusters group nothing
    assert choose_n_groups(build_tree(np.eye(7), np.ones(7))) is None
    assert choose_n_groups(build_tree(np.eye(20), np.full(20, 3))) is None


def test_the_tree_of_a_partition_leaves_noise_out_and_keeps_labels() -> None:
    X = np.array([[1, 0], [2, 0], [0, 1], [0, 3], [1, 1], [-5, 1]], dtype=np.float32)
    tree = tree_of_partition(X, np.array([4, 4, 2, 2, 7, -1]))
    assert tree.labels.tolist() == [2, 4, 7]
    assert tree.counts.tolist() == [2, 2, 1]
    # Of unit rows: clusters 2 and 4 are at a right angle, 7 lies between and joins the first of two equally near.
    np.testing.assert_allclose(tree.heights[0], np.sqrt(2 * 2 / 3 * (2 - np.sqrt(2))), rtol=1e-6)
    assert tree_of_partition(X, np.full(6, -1)) is None


def test_one_cluster_is_a_tree_without_merges() -> None:
    tree = build_tree(np.ones((1, 3)), [5])
    assert tree.cut(1).tolist() == [0]
    assert tree.merges.shape == (0, 2)
    assert choose_n_groups(tree) is None


@pytest.mark.parametrize(
    ("centers", "counts"), [(np.zeros((0, 2)), []), (np.ones((2, 2)), [1, 0]), (np.ones(3), [1] * 3)]
)
def test_bad_input_is_refused(centers: NDArray[np.float64], counts: list[int]) -> None:
    with pytest.raises(InvalidValueError, match="count of at least 1"):
        build_tree(centers, counts)


def test_a_cut_out_of_range_says_what_is_allowed() -> None:
    with pytest.raises(InvalidValueError, match="can be cut into 1 to 3 groups"):
        build_tree(np.eye(3), [1, 1, 1]).cut(4)

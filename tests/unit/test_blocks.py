"""Blockwise products and the largest entries, against naive twins."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covey import _blocks
from covey._arrays import iter_blocks, top_places
from covey._blocks import ALIGNMENT, block_width, pad_rows, top_products, top_scores


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("n_columns", "n_top"), [(64, 1), (64, 64), (6400, 5), (6400, 62), (50048, 3), (50048, 700)])
def test_finds_what_topk_finds(n_columns: int, n_top: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(7, n_columns, generator=generator).to(dtype)
    values, indices = top_scores(scores, n_top)
    assert torch.equal(values.sort(dim=1).values, scores.topk(n_top, dim=1).values.sort(dim=1).values)
    assert torch.equal(scores.gather(1, indices), values)
    assert all(len(set(row)) == n_top for row in indices.tolist())


def test_rows_of_equal_entries_give_distinct_columns() -> None:
    _, indices = top_scores(torch.zeros(2, 6400), 10)
    assert all(len(set(row)) == 10 for row in indices.tolist())


def test_an_unaligned_row_is_searched_whole() -> None:
    scores = torch.randn(3, 1001, generator=torch.Generator().manual_seed(0))
    assert torch.equal(top_scores(scores, 2)[0].sort().values, scores.topk(2).values.sort().values)


def naive_products(
    left: torch.Tensor, right: torch.Tensor, n_top: int, bias: torch.Tensor | None, own: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `top_products` returns, from the whole matrix sorted."""
    scores = torch.stack([torch.stack([(x * y).sum() for y in right]) for x in left])
    if bias is not None:
        scores = scores + bias
    if own is not None:
        for row, column in enumerate(own.tolist()):
            scores[row, column] = -torch.inf
    ordered = scores.sort(dim=1, descending=True)
    return ordered.values[:, :n_top], ordered.indices[:, :n_top]


@pytest.mark.parametrize("n_columns", [37, 64, 320, 333])
@pytest.mark.parametrize("n_top", [1, 5, 37])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("has_own", [False, True])
@pytest.mark.parametrize("width", [40, 128, 2**16])
def test_products_are_those_of_the_whole_matrix(
    n_columns: int, n_top: int, *, has_bias: bool, has_own: bool, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_blocks, "_MAX_COLUMNS", width)
    rng = np.random.default_rng(n_columns + n_top)
    # Small integers: every product and sum is exact, whatever the order; the bias makes all scores differ.
    left = torch.from_numpy(rng.integers(-3, 4, (6, 5)).astype(np.float32))
    right = torch.from_numpy(rng.integers(-3, 4, (n_columns, 5)).astype(np.float32))
    bias = torch.from_numpy(rng.permutation(n_columns).astype(np.float32) / 1024) if has_bias else None
    own = torch.from_numpy(rng.integers(0, n_columns, 6)) if has_own else None
    workspace = torch.empty(6 * block_width(n_columns) + 3)
    values, indices = naive_products(left, right, n_top, bias, own)
    for given_workspace in (None, workspace):
        found = top_products(left, right, n_top, bias=bias, own=own, workspace=given_workspace)
        assert torch.equal(found[0], values)
        assert all(len(set(row)) == n_top for row in found[1].tolist())
        if has_bias:  # without one, equal scores may be taken from either column
            assert torch.equal(found[1], indices)


def test_products_of_bfloat16_come_back_as_float32() -> None:
    rows = torch.randn(70, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    values, indices = top_products(rows[:3], rows, 4)
    assert values.dtype == torch.float32
    assert torch.equal(values, (rows[:3] @ rows.T).gather(1, indices).float())
    assert top_products(rows[:3].double(), rows.double(), 4)[0].dtype == torch.float64


@pytest.mark.parametrize(("n", "d", "n_extra"), [(1, 1, 0), (64, 32, 0), (65, 31, 2), (130, 40, 1)])
def test_an_operand_is_aligned_and_filled_up_with_zeros(n: int, d: int, n_extra: int) -> None:
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
    operand = pad_rows(rows, torch.float32, n_extra=n_extra)
    assert torch.equal(operand[:n, :d], rows)
    assert operand.shape[0] % ALIGNMENT == operand.shape[1] % 32 == 0
    assert 0 <= operand.shape[0] - n < ALIGNMENT
    assert 0 <= operand.shape[1] - d - n_extra < 32
    assert operand.count_nonzero() == rows.count_nonzero()


@given(st.lists(st.integers(-3, 3), max_size=30), st.integers(1, 12))
def test_top_places_are_those_of_a_stable_sort(values: list[int], n_top: int) -> None:
    array = np.array(values, dtype=np.float32)
    assert top_places(array, n_top).tolist() == np.argsort(-array, kind="stable")[:n_top].tolist()


@given(st.integers(0, 50), st.integers(1, 40), st.integers(1, 100))
def test_blocks_cover_all_rows_and_keep_within_their_size(n_rows: int, row_size: int, block_size: int) -> None:
    blocks = list(iter_blocks(n_rows, row_size, block_size))
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(n_rows))
    assert all((block.stop - block.start) * row_size <= max(block_size, row_size) for block in blocks)
    assert all((block.stop - block.start + 1) * row_size > block_size for block in blocks[:-1])

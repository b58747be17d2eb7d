import pytest
import torch

from covey.neighbors._top import top_scores


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

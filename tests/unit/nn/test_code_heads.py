"""CPP's network: two unit outputs from one trunk."""

import pytest
import torch
from torch.nn.functional import batch_norm, linear, normalize, relu

from covey.nn.code_heads import CodeHeads


def make(form="two", dtype=torch.float32):
    return CodeHeads(5, 7, 3, form=form, generator=torch.Generator().manual_seed(0), compute_dtype=dtype)


@pytest.fixture
def rows():
    return torch.randn(9, 5, generator=torch.Generator().manual_seed(1))


def test_layers_are_those_of_table_7(rows):
    heads = make()
    first = relu(batch_norm(linear(rows, heads.first.weight, heads.first.bias), None, None, training=True))
    hidden = relu(linear(first, heads.second.weight, heads.second.bias))
    Z, C = heads(rows)
    torch.testing.assert_close(Z, normalize(linear(hidden, heads.feature_head.weight, heads.feature_head.bias), dim=1))
    torch.testing.assert_close(C, normalize(linear(hidden, heads.cluster_head.weight, heads.cluster_head.bias), dim=1))


@pytest.mark.parametrize("form", ["two", "one"])
def test_parts_give_what_the_whole_gives(rows, form):
    heads = make(form).eval()
    Z, C = heads(rows)
    torch.testing.assert_close(heads.represent(rows), Z)
    torch.testing.assert_close(heads.encode(rows), C)
    assert (Z is C) == (form == "one")


def test_a_copy_makes_the_code_the_representation(rows):
    heads = make().eval()
    assert not torch.allclose(*heads(rows))
    heads.copy_feature_head()
    torch.testing.assert_close(*heads(rows))
    assert heads.cluster_head.weight is not heads.feature_head.weight


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = make(), make()
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert first.second.weight.abs().max() <= 7**-0.5


def test_bfloat16_products_leave_float32_unit_rows(rows):
    Z, _ = make(dtype=torch.bfloat16)(rows)
    assert Z.dtype == torch.float32
    torch.testing.assert_close(Z.norm(dim=1), torch.ones(9))

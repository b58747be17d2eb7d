"""Linear heads: a stack is the same as its heads one by one."""

import math

import torch
from torch import nn

from covey.nn import LinearHeads


def stack(n_heads, seed=0):
    return LinearHeads(n_heads, 6, 4, generator=torch.Generator().manual_seed(seed))


def test_a_stack_equals_separate_linear_layers():
    heads, x = stack(3).double(), torch.randn(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = heads(x)
    assert found.shape == (3, 5, 4)
    for head in range(3):
        layer = nn.Linear(6, 4, dtype=torch.float64)
        layer.load_state_dict({"weight": heads.weight[head], "bias": heads.bias[head, :, 0]})
        torch.testing.assert_close(found[head], layer(x).log_softmax(dim=1))
        torch.testing.assert_close(heads.single(head).double()(x)[0], found[head])


def test_splitting_a_stack_leaves_the_weights():
    whole, generator = stack(3), torch.Generator().manual_seed(0)
    parts = [LinearHeads(n, 6, 4, generator=generator) for n in (1, 2)]
    assert torch.equal(torch.cat([part.weight for part in parts]), whole.weight)
    assert torch.equal(torch.cat([part.bias for part in parts]), whole.bias)


def test_it_begins_within_the_bounds_of_a_linear_layer():
    heads = LinearHeads(50, 16, 10, generator=torch.Generator().manual_seed(0))
    for parameter in heads.parameters():
        assert parameter.abs().max() <= 16**-0.5
        assert abs(parameter.std().item() - 16**-0.5 / math.sqrt(3)) < 0.02


def test_bfloat16_is_near_and_probabilities_stay_float32():
    heads, x = stack(2), torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    expected = heads(x)
    heads.compute_dtype = torch.bfloat16
    found = heads(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(2, 8))

"""Stacked heads do what separate heads do."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from covey.nn import StackedHeads, update_average

N_HEADS, N_FEATURES, N_CLUSTERS, BATCH = 3, 7, 5, 11


def make(n_heads=N_HEADS, *, seed=0, **kwargs):
    generator = torch.Generator().manual_seed(seed)
    kwargs = {"hidden_size": 16, "bottleneck_size": 8, **kwargs}
    return StackedHeads(n_heads, N_FEATURES, N_CLUSTERS, generator=generator, **kwargs)


@pytest.fixture
def x():
    return torch.randn(BATCH, N_FEATURES, generator=torch.Generator().manual_seed(1))


class PlainHead(nn.Module):
    """One head, written as one would by hand."""

    def __init__(self, stack, head):
        super().__init__()
        first, first_bias, second, second_bias, last, scale = (
            t[head].detach().double()
            for t in (
                stack.first_weight,
                stack.first_bias,
                stack.second_weight,
                stack.second_bias,
                stack.last_weight,
                stack.last_scale,
            )
        )
        self.mlp = nn.Sequential(nn.Linear(N_FEATURES, 16), nn.GELU(), nn.Linear(16, 8)).double()
        self.last = nn.utils.parametrizations.weight_norm(nn.Linear(8, N_CLUSTERS, bias=False).double(), dim=0)
        with torch.no_grad():
            self.mlp[0].weight.copy_(first)
            self.mlp[0].bias.copy_(first_bias[:, 0])
            self.mlp[2].weight.copy_(second)
            self.mlp[2].bias.copy_(second_bias[:, 0])
            self.last.weight = scale * normalize(last, dim=-1)

    def forward(self, x):
        return (self.last(normalize(self.mlp(x), dim=-1)) / 0.1).log_softmax(-1)


def test_a_stack_equals_separate_plain_heads_in_values_and_gradients(x):
    stack = make().double()
    found = stack(x.double())
    assert found.shape == (N_HEADS, BATCH, N_CLUSTERS)
    target = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (found * target).sum().backward()
    for head in range(N_HEADS):
        plain = PlainHead(stack, head)
        expected = plain(x.double())
        torch.testing.assert_close(found[head], expected)
        (expected * target[head]).sum().backward()
        torch.testing.assert_close(stack.first_weight.grad[head], plain.mlp[0].weight.grad)
        torch.testing.assert_close(stack.first_bias.grad[head][:, 0], plain.mlp[0].bias.grad)
        torch.testing.assert_close(stack.second_weight.grad[head], plain.mlp[2].weight.grad)
        torch.testing.assert_close(stack.last_scale.grad[head], plain.last.parametrizations.weight.original0.grad)


def test_rows_are_log_probabilities(x):
    torch.testing.assert_close(make()(x).exp().sum(-1), torch.ones(N_HEADS, BATCH))


def test_chunks_draw_the_weights_of_the_whole(x):
    generator = torch.Generator().manual_seed(0)
    sizes = {"hidden_size": 16, "bottleneck_size": 8, "generator": generator}
    parts = [StackedHeads(n, N_FEATURES, N_CLUSTERS, **sizes) for n in (2, 1)]
    torch.testing.assert_close(torch.cat([part(x) for part in parts]), make()(x))


def test_single_copies_one_head(x):
    stack = make()
    with torch.no_grad():
        stack.last_scale.mul_(2)
    one = stack.single(1)
    torch.testing.assert_close(one(x)[0], stack(x)[1])
    with torch.no_grad():
        one.first_weight.add_(1)
    assert not torch.allclose(one(x)[0], stack(x)[1])


def test_bfloat16_is_near_float32(x):
    rounded = make(compute_dtype=torch.bfloat16)(x)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, make()(x), atol=0.15, rtol=0)


def test_a_row_of_zeros_gives_finite_gradients():
    stack = make()
    stack(torch.zeros(2, N_FEATURES))[:, :, 0].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in stack.parameters())


def test_without_weight_norm_the_last_layer_is_linear(x):
    stack = make(weight_norm=False)
    assert stack.last_scale is None
    before = (stack(x)[:, :, 0] - stack(x)[:, :, 1]).detach()
    with torch.no_grad():
        stack.last_weight.mul_(3)
    torch.testing.assert_close(stack(x)[:, :, 0] - stack(x)[:, :, 1], 3 * before)


def test_heads_begin_with_the_clusters_that_they_are_given():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(N_CLUSTERS), 30)
    X = torch.from_numpy(rng.normal(size=(N_CLUSTERS, N_FEATURES))[truth] + 0.05 * rng.normal(size=(150, N_FEATURES)))
    X = (X - X.mean(0)).float()
    stack = make(hidden_size=64, bottleneck_size=32)
    labels = torch.from_numpy(np.stack([truth, (truth + 1) % N_CLUSTERS, N_CLUSTERS - 1 - truth]))
    stack.start_from(X, labels)
    assert (stack(X).argmax(-1) == labels).float().mean() > 0.95


def test_a_cluster_without_rows_keeps_its_direction(x):
    stack = make()
    drawn = stack.last_weight.detach().clone()
    stack.start_from(x, torch.zeros(N_HEADS, BATCH, dtype=torch.int64))
    torch.testing.assert_close(stack.last_weight[:, 1:], drawn[:, 1:])
    assert not torch.allclose(stack.last_weight[:, 0], drawn[:, 0])


def test_the_average_follows():
    teacher, student = nn.Linear(2, 1), nn.Linear(2, 1)
    expected = 0.9 * teacher.weight.detach() + 0.1 * student.weight.detach()
    update_average(teacher, student, momentum=0.9)
    torch.testing.assert_close(teacher.weight.detach(), expected)


def test_the_student_stays():
    teacher, student = nn.Linear(2, 1), nn.Linear(2, 1)
    before = student.weight.detach().clone()
    update_average(teacher, student, momentum=0.5)
    torch.testing.assert_close(student.weight.detach(), before)

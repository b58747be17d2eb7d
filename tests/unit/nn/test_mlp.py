import pytest
import torch
from torch import nn

from covey.nn import ClusterMLP, ClusterMLPHeads


def make(norm="none", activation="relu", **kwargs):
    generator = torch.Generator().manual_seed(0)
    return ClusterMLP(5, (8, 6), 3, activation=activation, norm=norm, generator=generator, **kwargs)


def test_it_is_the_sequence_one_would_write():
    head = make("batch").double().eval()
    plain = nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)
    ).double()
    with torch.no_grad():
        for layer, weight, bias in zip((plain[0], plain[3], plain[6]), head.weights, head.biases, strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
    x = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(head(x), plain.eval()(x))
    torch.testing.assert_close(head.train()(x), plain.train()(x))


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
def test_every_choice_gives_logits_and_gradients(norm, activation):
    head = make(norm, activation, compute_dtype=torch.bfloat16)
    logits = head(torch.randn(4, 5, generator=torch.Generator().manual_seed(1)))
    assert logits.shape == (4, 3)
    assert logits.dtype == torch.float32
    logits.square().sum().backward()
    assert all(p.grad is not None for p in head.parameters())


def test_the_generator_decides_the_weights_and_the_global_one_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = make(), make()
    assert torch.equal(before, torch.get_rng_state())
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("change", "name"), [({"norm": "group"}, "norm"), ({"activation": "tanh"}, "activation")])
def test_unknown_choices_are_named(change, name):
    with pytest.raises(ValueError, match=f"{name} is"):
        make(**change)


def test_heads_share_the_hidden_layers_and_each_can_be_had_alone():
    generator = torch.Generator().manual_seed(0)
    heads = ClusterMLPHeads(5, (8, 6), 3, n_heads=4, activation="relu", norm="batch", generator=generator).eval()
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(1))
    logits = heads(x)
    assert logits.shape == (4, 7, 3)
    for head in range(4):
        single = heads.single(head)
        torch.testing.assert_close(single(x), logits[head : head + 1])
        assert single.weights[-1].shape == (3, 6)

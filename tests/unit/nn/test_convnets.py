"""The networks of MMDC: shapes, sizes, initial weights, precision."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from covey.nn import ResNet18, SmallVGG, SobelFilter, TwoHeadedConvNet


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def net(trunk="small_vgg", **changes):
    keywords = {"n_channels": 3, "input_size": 32, "n_outputs": 10, "width": 4, "generator": generator(), **changes}
    return TwoHeadedConvNet(trunk, **keywords)


def n_weights(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_papers_widths():
    """18 layers with weights: 17 convolutions and the head; four blocks in the small one."""
    resnet = ResNet18(3)
    convolutions = [m for m in resnet.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(convolutions) == 17
    assert resnet.n_features == 512
    assert 11.1e6 < n_weights(resnet) < 11.2e6  # the well-known 11.17 million of a ResNet-18 for CIFAR
    vgg = SmallVGG(1, 32)
    assert vgg.n_features == 1024
    assert n_weights(vgg) == 9 * (32 + 32 * 64 + 64 * 128 + 128 * 256) + 2 * (32 + 64 + 128 + 256)


@pytest.mark.parametrize("trunk", ["small_vgg", "resnet18"])
@pytest.mark.parametrize("input_size", [16, 32, 40])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(trunk, input_size, channels):
    network = net(trunk, n_channels=channels, input_size=input_size)
    x = torch.rand(5, channels, input_size, input_size)
    outputs = network(x)
    assert outputs.shape == (5, 10)
    torch.testing.assert_close(outputs.norm(dim=1), torch.ones(5))
    assert network.features(x).shape == (5, network.n_features)
    assert network.rotation_logits(x).shape == (5, 4)


def test_the_stem_pools_32_pixels_to_17():
    assert ResNet18(3, width=2).stem(torch.rand(1, 3, 32, 32)).shape == (1, 2, 17, 17)


def test_pooling_before_relu_gives_the_same_values():
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(F.max_pool2d(x, 2).relu(), F.max_pool2d(x.relu(), 2))


def test_initial_weights():
    network = net("resnet18", width=32)
    convolution = network.trunk.blocks[0].inner[0]
    assert convolution.weight.std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)
    assert network.cluster_head.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert (network.cluster_head.bias == 0).all()
    norm = network.trunk.blocks[0].inner[1]
    assert (norm.weight == 1).all()
    assert (norm.running_var == 1).all()
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_hang_on_the_generator_alone():
    before = torch.random.get_rng_state()
    first, second, other = net(), net(), net(generator=generator(1))
    assert torch.equal(torch.random.get_rng_state(), before)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.cluster_head.weight, other.cluster_head.weight)


@pytest.mark.parametrize("trunk", ["small_vgg", "resnet18"])
def test_bfloat16_is_near_and_leaves_float32(trunk):
    exact, rounded = net(trunk), net(trunk, compute_dtype=torch.bfloat16)
    x = torch.rand(8, 3, 32, 32, generator=generator())
    outputs = rounded(x)
    assert outputs.dtype == rounded.features(x).dtype == torch.float32
    assert F.cosine_similarity(outputs, exact(x), dim=1).min() > 0.98
    outputs.square().sum().backward()
    assert all(p.grad.dtype == torch.float32 for name, p in rounded.named_parameters() if p.grad is not None)


def test_sobel_gives_slopes_without_an_edge_at_the_border():
    ramp = torch.arange(6.0).expand(1, 3, 6, 6)
    across, down = SobelFilter()(ramp)[0]
    np.testing.assert_allclose(across[:, 1:-1], 8)
    np.testing.assert_allclose(down, 0, atol=1e-6)
    assert (SobelFilter()(torch.ones(1, 1, 6, 6)) == 0).all()
    assert net(has_sobel=True).trunk.layers[0].in_channels == 2
    assert net(has_sobel=True)(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_an_unknown_trunk():
    with pytest.raises(ValueError, match="'resnet18' or 'small_vgg'"):
        net("resnet50")

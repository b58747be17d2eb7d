"""The embedded network as a module of torch: the same features, and weights that learn."""

import numpy as np
import pytest
import torch

from covey.backbones import BACKBONES, load_backbone, load_torch_backbone
from covey.errors import InvalidValueError, UnknownNameError
from covey.types import ByteArray

NAME = "efficientnet_lite0.in1k"


def normalized(pixels: ByteArray) -> torch.Tensor:
    spec = BACKBONES[NAME]
    x = (torch.from_numpy(pixels).float() - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    return x.permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    return load_torch_backbone(NAME)


def test_its_features_are_those_of_the_runtime(module: torch.nn.Module, drawn_pixels: dict[int, ByteArray]) -> None:
    pixels = drawn_pixels[224][:4]
    expected = load_backbone(NAME, device="cpu", precision="float32").encode_images(pixels)
    with torch.no_grad():
        np.testing.assert_allclose(module(normalized(pixels)), expected, atol=2e-5)


def test_gradients_are_the_slopes_of_the_features(module: torch.nn.Module) -> None:
    """In float64, by a small change of a first, a depthwise and a last weight; at a size that is no multiple of 32."""
    twin = load_torch_backbone(NAME).double()
    x = torch.randn(2, 3, 45, 52, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def total() -> torch.Tensor:
        return (twin(x).double() * torch.linspace(-1, 1, 1280, dtype=torch.float64)).sum()

    total().backward()
    places = [0, next(i for i, weight in enumerate(twin.weights) if weight.shape[1] == 1), len(twin.weights) - 1]
    for place in places:
        weight = twin.weights[place]
        index = np.unravel_index(int(weight.grad.abs().argmax()), weight.shape)
        with torch.no_grad():
            weight[index] += 1e-3
            high = total()
            weight[index] -= 2e-3
            slope = (high - total()) / 2e-3
            weight[index] += 1e-3
        assert weight.grad[index].item() == pytest.approx(slope.item(), rel=0.02)


def test_each_load_is_the_callers_own(module: torch.nn.Module) -> None:
    other = load_torch_backbone(NAME)
    with torch.no_grad():
        other.weights[0].zero_()
    assert module.weights[0].abs().sum() > 0
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.weights[0], module.weights[0])
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in other.parameters())


def test_a_backbone_without_a_network_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="color_histogram"):
        load_torch_backbone("color_histogram")
    with pytest.raises(UnknownNameError):
        load_torch_backbone("resnet50")

"""Small convolutional networks for images of a few dozen pixels, and the heads of MMDC on top of one."""

import itertools
import math
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from covey.nn.augment import to_grayscale

Trunk = Literal["resnet18", "small_vgg"]

N_TURNS: Final = 4
_STEPS = (1, 2, 4, 8)  # widths of the stages, in units of the first
_RESNET_WIDTH = 64
_VGG_WIDTH = 32
_HEAD_STD = 0.01


class SmallVGG(nn.Module):
    """Four blocks of convolution, batch norm, ReLU and max pooling.

    Parameters
    ----------
    n_channels : int
        Channels of the images.
    input_size : int
        Height and width of the images in pixels, at least 16.
    width : int, default=32
        Channels of the first block; each further one doubles it.

    Notes
    -----
    The network of MMDC on MNIST (section IV-A of arXiv:1912.02678); widths are those of the authors' code. Pooling
    comes before ReLU, which gives the same values from a quarter of the work.
    """

    def __init__(self, n_channels: int, input_size: int, width: int = _VGG_WIDTH) -> None:
        super().__init__()
        widths = [n_channels, *(step * width for step in _STEPS)]
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(widths):
            layers += [_conv3x3(n_in, n_out), nn.BatchNorm2d(n_out), nn.MaxPool2d(2), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.n_features = widths[-1] * (input_size // 2 ** len(_STEPS)) ** 2

    def forward(self, x: Tensor) -> Tensor:
        """Map images to features.

        Parameters
        ----------
        x : Tensor of shape (batch, n_channels, height, width), dtype float32
            Images.

        Returns
        -------
        features : Tensor of shape (batch, n_features)
            The last block's values, flattened.
        """
        features: Tensor = self.layers(x)
        return features.flatten(1)


class ResNet18(nn.Module):
    """A residual network of 18 layers for small images.

    Parameters
    ----------
    n_channels : int
        Channels of the images, which may have any size from 16 pixels on.
    width : int, default=64
        Channels of the first stage; each further one doubles it. `n_features` is eight times as many.

    Notes
    -----
    The network of MMDC on natural images (section IV-A of arXiv:1912.02678). The stem is a 3x3 convolution and a max
    pooling by 2 with a border of 1, as in the authors' code, so that 32 pixels become 17.
    """

    def __init__(self, n_channels: int, width: int = _RESNET_WIDTH) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv3x3(n_channels, width), nn.BatchNorm2d(width), nn.MaxPool2d(2, padding=1), nn.ReLU(inplace=True)
        )
        widths = [width, *(step * width for step in _STEPS)]
        blocks: list[nn.Module] = []
        for stage, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
            blocks += [_ResidualBlock(n_in, n_out, stride=1 if stage == 0 else 2), _ResidualBlock(n_out, n_out)]
        self.blocks = nn.Sequential(*blocks)
        self.n_features = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Map images to features.

        Parameters
        ----------
        x : Tensor of shape (batch, n_channels, height, width), dtype float32
            Images.

        Returns
        -------
        features : Tensor of shape (batch, n_features)
            The last stage's values, averaged over places.
        """
        features: Tensor = self.blocks(self.stem(x))
        return features.mean(dim=(2, 3))


class _ResidualBlock(nn.Module):
    """Two convolutions, and beside them the input, by a 1x1 convolution where the shapes differ."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            _conv3x3(n_in, n_out, stride),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            _conv3x3(n_out, n_out),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.inner(x) + self.shortcut(x))


class SobelFilter(nn.Module):
    """Replace an image by the horizontal and the vertical slope of its brightness.

    Notes
    -----
    The border repeats the outermost pixels, so that it does not look like an edge.
    """

    def __init__(self) -> None:
        super().__init__()
        right = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
        self.register_buffer("kernels", torch.stack([right, right.T])[:, None], persistent=False)
        self.kernels: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Map images to slopes.

        Parameters
        ----------
        x : Tensor of shape (batch, 1 or 3, height, width), dtype float32
            Images.

        Returns
        -------
        slopes : Tensor of shape (batch, 2, height, width), dtype float32
            To the right and downwards, by Sobel's kernels.
        """
        return F.conv2d(F.pad(to_grayscale(x), (1, 1, 1, 1), mode="replicate"), self.kernels)


class TwoHeadedConvNet(nn.Module):
    """Map images to points on the unit sphere, and tell how far they were rotated.

    Parameters
    ----------
    trunk : {"resnet18", "small_vgg"}
        What makes features of pixels.
    n_channels : int
        Channels of the images, 1 or 3.
    input_size : int
        Height and width of the images in pixels.
    n_outputs : int
        Dimension of the sphere's space.
    width : int or None, default=None
        Channels of the trunk's first stage; None for those of the paper.
    has_sobel : bool, default=False
        Whether the trunk sees slopes in place of colors.
    generator : torch.Generator
        On the CPU; draws the initial weights. No global generator is touched.
    compute_dtype : torch.dtype, default=torch.float32
        Of convolutions and products; weights, and what leaves the heads, are float32.

    Raises
    ------
    ValueError
        If there is no such trunk.

    Notes
    -----
    Convolutions begin normal with variance 2 / inputs, heads normal with standard deviation 0.01, as in the authors'
    code. Weights lie channels-last in memory.
    """

    def __init__(
        self,
        trunk: Trunk,
        n_channels: int,
        input_size: int,
        n_outputs: int,
        *,
        width: int | None = None,
        has_sobel: bool = False,
        generator: torch.Generator,
        compute_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if trunk not in ("resnet18", "small_vgg"):
            raise ValueError(f"The trunk is {trunk!r}; it must be 'resnet18' or 'small_vgg'.")
        self.compute_dtype = compute_dtype
        self.front: nn.Module = SobelFilter() if has_sobel else nn.Identity()
        n_seen = 2 if has_sobel else n_channels
        with torch.device("meta"):  # where nothing is drawn
            self.trunk: SmallVGG | ResNet18
            if trunk == "resnet18":
                self.trunk = ResNet18(n_seen, width or _RESNET_WIDTH)
            else:
                self.trunk = SmallVGG(n_seen, input_size, width or _VGG_WIDTH)
            self.cluster_head = nn.Linear(self.trunk.n_features, n_outputs)
            self.rotation_head = nn.Linear(self.trunk.n_features, N_TURNS)
        for part in (self.trunk, self.cluster_head, self.rotation_head):
            part.to_empty(device="cpu")
            _draw_weights(part, generator)
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    @property
    def n_features(self) -> int:
        """Width of the penultimate layer."""
        return self.trunk.n_features

    def forward(self, x: Tensor) -> Tensor:
        """Map images to the sphere.

        Parameters
        ----------
        x : Tensor of shape (batch, n_channels, input_size, input_size), dtype float32
            Images, in [0, 1].

        Returns
        -------
        outputs : Tensor of shape (batch, n_outputs), dtype float32
            Of unit length.
        """
        return F.normalize(self.cluster_head(self.features(x)), dim=1)

    def features(self, x: Tensor) -> Tensor:
        """Map images to the penultimate layer.

        Parameters
        ----------
        x : Tensor of shape (batch, n_channels, input_size, input_size), dtype float32
            Images, in [0, 1].

        Returns
        -------
        features : Tensor of shape (batch, n_features), dtype float32
            What both heads see.
        """
        with torch.autocast(x.device.type, self.compute_dtype, enabled=self.compute_dtype != torch.float32):
            features: Tensor = self.trunk(self.front(x).contiguous(memory_format=torch.channels_last))
        return features.float()

    def rotation_logits(self, x: Tensor) -> Tensor:
        """Map images to logits of their number of quarter turns.

        Parameters
        ----------
        x : Tensor of shape (batch, n_channels, input_size, input_size), dtype float32
            Images, in [0, 1].

        Returns
        -------
        logits : Tensor of shape (batch, 4), dtype float32
            Of 0 to 3 turns.
        """
        logits: Tensor = self.rotation_head(self.features(x))
        return logits


def _conv3x3(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)


@torch.no_grad()
def _draw_weights(part: nn.Module, generator: torch.Generator) -> None:
    """Set all weights and running statistics of a module whose memory holds nothing yet."""
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            n_inputs = module.weight[0].numel()
            module.weight.normal_(0, math.sqrt(2 / n_inputs), generator=generator)
        elif isinstance(module, nn.Linear):
            module.weight.normal_(0, _HEAD_STD, generator=generator)
            module.bias.zero_()
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # ones and zeros

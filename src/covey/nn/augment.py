"""Random changes of images, tensor to tensor, in float32 on the images' device."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F


def flip_and_shift(x: Tensor, *, generator: torch.Generator, max_shift: float = 0.125) -> Tensor:
    """Mirror half of the images and move each by a few pixels.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, height, width), dtype float32
        Images.
    generator : torch.Generator
        On the CPU.
    max_shift : float in [0, 1), default=0.125
        The farthest move, as a share of height and width; what comes into view is the reflection at the border.

    Returns
    -------
    x : Tensor of shape (batch, channels, height, width), dtype float32
        New images, channels last in memory.
    """
    batch, _, height, width = x.shape
    is_mirrored = torch.rand(batch, generator=generator) < 0.5
    x = torch.where(is_mirrored[:, None, None, None].to(x.device), x.flip(-1), x)
    down, right = int(max_shift * height), int(max_shift * width)
    padded = F.pad(x, (right, right, down, down), mode="reflect")
    rows = _windows(batch, height, down, generator).to(x.device)
    columns = _windows(batch, width, right, generator).to(x.device)
    images = torch.arange(batch, device=x.device)[:, None, None]
    return padded[images, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_crop(
    x: Tensor,
    shares: Sequence[float],
    size: int,
    *,
    generator: torch.Generator,
    flip: bool = False,
    max_rotation_degrees: float = 0.0,
) -> Tensor:
    """Cut a random square out of each image and scale it, mirrored and rotated if asked, in one resampling.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, height, width), dtype float32
        Images.
    shares : sequence of float in (0, 1]
        Sides that a square may have, as shares of the shorter side; each image draws one of them.
    size : int
        Height and width of the result in pixels.
    generator : torch.Generator
        On any device.
    flip : bool, default=False
        Whether half of the images are mirrored.
    max_rotation_degrees : float, default=0.0
        Largest angle in degrees by which an image is rotated around its center, either way, before it is cut.

    Returns
    -------
    x : Tensor of shape (batch, channels, size, size), dtype float32
        New images. Without a rotation, a square of as many pixels as the result is copied, not blurred.

    Notes
    -----
    Bilinear, without smoothing where a square is larger than the result. What lies beyond the border repeats it.
    """
    batch, _, height, width = x.shape
    draw = partial(torch.rand, batch, generator=generator, device=generator.device)
    sides = torch.tensor([_side(share, height, width) for share in shares], device=generator.device)
    side = sides[(draw() * len(shares)).long()]
    top, left = ((draw() * (length - side + 1)).floor() for length in (height, width))
    mirror = torch.where(draw() < 0.5, -1.0, 1.0) if flip else torch.ones_like(top)
    turn = (2 * draw() - 1) * math.radians(max_rotation_degrees) if max_rotation_degrees else torch.zeros_like(top)
    windows = torch.stack([side / 2, top + side / 2 - height / 2, left + side / 2 - width / 2, mirror, turn])
    return _resample(x, windows.to(x.device), size)


def center_crop(x: Tensor, share: float, size: int) -> Tensor:
    """Cut the square at the center out of each image and scale it.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, height, width), dtype float32
        Images.
    share : float in (0, 1]
        Side of the square, as a share of the shorter side.
    size : int
        Height and width of the result in pixels.

    Returns
    -------
    x : Tensor of shape (batch, channels, size, size), dtype float32
        New images.
    """
    height, width = x.shape[2:]
    side = _side(share, height, width)
    if side == size == height == width:
        return x
    top, left = (round((length - side) / 2) for length in (height, width))
    window = [side / 2, top + side / 2 - height / 2, left + side / 2 - width / 2, 1.0, 0.0]
    return _resample(x, torch.tensor(window, device=x.device)[:, None].expand(-1, len(x)), size)


def jitter_colors(
    x: Tensor,
    strength: Sequence[float] = (0.4, 0.4, 0.4, 0.125),
    *,
    grayscale: float = 0.0,
    generator: torch.Generator,
) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image, and take the color from some.

    Parameters
    ----------
    x : Tensor of shape (batch, 1 or 3, height, width), dtype float32
        Images, in [0, 1]. Those with one channel have no saturation and no hue.
    strength : sequence of four floats, default=(0.4, 0.4, 0.4, 0.125)
        How far the factors of brightness, contrast and saturation may be from 1, and the hue from where it was, in
        turns of the color circle. 0 leaves one as it is.
    grayscale : float in [0, 1], default=0.0
        Share of images that lose their color.
    generator : torch.Generator
        On any device.

    Returns
    -------
    x : Tensor of shape (batch, 1 or 3, height, width), dtype float32
        New images, in [0, 1].

    Notes
    -----
    The four changes come in an order that is drawn for the batch. Contrast and saturation blend with the mean and with
    the image in grayscale.
    """

    def draw() -> Tensor:
        values = torch.rand(len(x), 1, 1, 1, generator=generator, device=generator.device)
        return (2 * values - 1).to(x.device)

    brightness, contrast, saturation, hue = strength
    changes: list[Callable[[Tensor], Tensor]] = []
    if brightness:
        changes.append(lambda x: x * (1 + brightness * draw()))
    if contrast:
        changes.append(lambda x: _blend(x, to_grayscale(x).mean(dim=(2, 3), keepdim=True), 1 + contrast * draw()))
    if saturation and x.shape[1] > 1:
        changes.append(lambda x: _blend(x, to_grayscale(x), 1 + saturation * draw()))
    if hue and x.shape[1] > 1:
        changes.append(lambda x: _turn_hue(x, hue * draw()))
    order = torch.randperm(len(changes), generator=generator, device=generator.device)
    for change in order.tolist():
        x = changes[change](x).clamp(0, 1)
    if grayscale and x.shape[1] > 1:
        x = torch.where(draw() < 2 * grayscale - 1, to_grayscale(x), x)
    return x


def to_grayscale(x: Tensor) -> Tensor:
    """Take the color from images.

    Parameters
    ----------
    x : Tensor of shape (batch, 1 or 3, height, width), dtype float32
        Images.

    Returns
    -------
    grayscale : Tensor of shape (batch, 1, height, width), dtype float32
        Their brightness by ITU-R BT.601.
    """
    if x.shape[1] == 1:
        return x
    return 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]


def quarter_turns(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate the first quarter of a batch by 0, the next ones by 90, 180 and 270 degrees.

    Parameters
    ----------
    x : Tensor of shape (4 * batch, channels, size, size)
        Square images.

    Returns
    -------
    x : Tensor of shape (4 * batch, channels, size, size)
        Rotated images.
    turns : Tensor of shape (4 * batch,), dtype int64
        By how many quarter turns each was rotated, 0 to 3.

    Raises
    ------
    ValueError
        If images are not square, or their number is not a multiple of four.
    """
    if x.shape[2] != x.shape[3] or len(x) % 4:
        raise ValueError(
            f"x has shape {tuple(x.shape)}; quarter turns need square images, their number a multiple of four."
        )
    parts = [torch.rot90(part, n_turns, dims=(2, 3)) for n_turns, part in enumerate(x.chunk(4))]
    return torch.cat(parts), torch.arange(4, device=x.device).repeat_interleave(len(x) // 4)


def _side(share: float, height: int, width: int) -> int:
    """Return a share of the shorter side in whole pixels."""
    return max(1, round(share * min(height, width)))


def _resample(x: Tensor, windows: Tensor, size: int) -> Tensor:
    """Show of each image the square that `windows` (5, batch) describes.

    Its rows: half the side and the center's offset down and to the right, in pixels from the image's center; 1 or,
    for a mirror image, -1; the turn around the image's center in radians.
    """
    height, width = x.shape[2:]
    half, down, right, mirror, turn = windows
    cos, sin = turn.cos(), turn.sin()
    across = torch.stack([half * cos * mirror, -half * sin, right * cos - down * sin], dim=1) * (2 / width)
    along = torch.stack([half * sin * mirror, half * cos, right * sin + down * cos], dim=1) * (2 / height)
    grid = F.affine_grid(torch.stack([across, along], dim=1), [len(x), x.shape[1], size, size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _blend(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return other + factor * (x - other)


def _turn_hue(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of images (batch, 3, h, w) in HSV by `turns` (batch, 1, 1, 1) of the circle."""
    value, channel = x.max(dim=1, keepdim=True)
    chroma = value - x.min(dim=1, keepdim=True).values
    red, green, blue = (x[:, [place]] for place in range(3))
    differences = torch.cat([green - blue, blue - red, red - green], dim=1)
    sextant = differences.gather(1, channel) / chroma.clamp_min(1e-8) + 2 * channel + 6 * turns
    offsets = torch.tensor([5.0, 3.0, 1.0], device=x.device)[:, None, None]
    k = (offsets + sextant) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


def _windows(batch: int, size: int, margin: int, generator: torch.Generator) -> Tensor:
    """Draw for each image which `size` neighboring ones of ``size + 2 * margin`` pixels it shows, (batch, size)."""
    start = torch.randint(2 * margin + 1, (batch,), generator=generator)
    return start[:, None] + torch.arange(size)

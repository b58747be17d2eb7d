"""Random changes of pictures, tensor to tensor."""

import torch
from torch import Tensor
from torch.nn import functional as F


def flip_and_shift(x: Tensor, *, generator: torch.Generator, max_shift: float = 0.125) -> Tensor:
    """Mirror half of the pictures and move each by a few pixels.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, height, width), dtype float32
        Pictures.
    generator : torch.Generator
        On the CPU.
    max_shift : float in [0, 1), default=0.125
        The farthest move, as a share of height and width; what comes into view is the reflection at the border.

    Returns
    -------
    x : Tensor of shape (batch, channels, height, width), dtype float32
        New pictures, channels last in memory.
    """
    batch, _, height, width = x.shape
    is_mirrored = torch.rand(batch, generator=generator) < 0.5
    x = torch.where(is_mirrored[:, None, None, None].to(x.device), x.flip(-1), x)
    down, right = int(max_shift * height), int(max_shift * width)
    padded = F.pad(x, (right, right, down, down), mode="reflect")
    rows = _windows(batch, height, down, generator).to(x.device)
    columns = _windows(batch, width, right, generator).to(x.device)
    pictures = torch.arange(batch, device=x.device)[:, None, None]
    return padded[pictures, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _windows(batch: int, size: int, margin: int, generator: torch.Generator) -> Tensor:
    """Draw for each picture which `size` neighbouring of ``size + 2 * margin`` pixels it shows, (batch, size)."""
    start = torch.randint(2 * margin + 1, (batch,), generator=generator)
    return start[:, None] + torch.arange(size)

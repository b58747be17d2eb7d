"""Pixels on their way to the network: batches of them, and their augmented copies."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey._torch import to_tensor
from covey.nn import center_crop, jitter_colors, quarter_turns, random_crop
from covey.types import ByteArray

_MOST_RESIDENT_BYTES = 4 * 2**30  # of pixels that are kept on an accelerator
_FULL_SCALE = 255


class Pictures:
    """Pixels of pictures of one size, given out in batches on a device.

    Parameters
    ----------
    pixels : ndarray of shape (n, height, width) or (n, height, width, 3), dtype uint8
        May be a memory map. Up to 4 GiB are copied to an accelerator at once; otherwise a thread reads each batch while
        the one before is in use, so that nobody waits for the disk.
    device : torch.device
        Where the network is.
    """

    def __init__(self, pixels: ByteArray, device: torch.device) -> None:
        self.pixels = pixels
        self.device = device
        is_resident = device.type != "cpu" and pixels.nbytes <= _MOST_RESIDENT_BYTES
        self._resident = to_tensor(np.ascontiguousarray(pixels), device) if is_resident else None

    def __len__(self) -> int:
        return len(self.pixels)

    def batches(self, rows: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield row numbers (b,), as they came, and their pictures (b, channels, height, width) float32 in [0, 1]."""
        if self._resident is not None:
            for batch in rows:
                yield batch, _to_float(self._resident[batch.to(self.device)])
            return
        with ThreadPoolExecutor(1, thread_name_prefix="covey-pixels") as reader:
            before: tuple[Tensor, Future[Tensor]] | None = None
            for batch in rows:
                ahead = (batch, reader.submit(self._read, batch))
                if before is not None:
                    yield before[0], _to_float(before[1].result().to(self.device))
                before = ahead
            if before is not None:
                yield before[0], _to_float(before[1].result().to(self.device))

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all pictures in their order, as `batches` does."""
        return self.batches(torch.arange(part.start, part.stop) for part in iter_chunks(len(self), batch_size))

    def _read(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(self.pixels[rows.cpu().numpy()])


class Views(NamedTuple):
    """What the network sees of a picture.

    Attributes
    ----------
    size : int
        Height and width in pixels.
    crops : sequence of float in (0, 1]
        Sides of the squares that are cut out, as shares of the shorter side.
    flip : bool
        Whether half of the augmented copies are mirrored.
    jitter : sequence of four floats
        Of `covey.nn.jitter_colors`.
    grey : float
        Share of augmented copies without colour.
    max_turn : float
        Most degrees by which an augmented copy is turned.
    """

    size: int
    crops: Sequence[float]
    flip: bool
    jitter: Sequence[float]
    grey: float
    max_turn: float

    def anchor(self, x: Tensor) -> Tensor:
        """Return the view by which pictures are assigned and answered for: a crop of their centre."""
        return center_crop(x, self.crops[0], self.size)

    def augmented(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return an augmented copy of each picture."""
        x = jitter_colors(x, self.jitter, grey=self.grey, generator=generator)
        return random_crop(x, self.crops, self.size, generator=generator, flip=self.flip, max_turn=self.max_turn)

    def turned(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return four crops of each picture, turned by 0 to 3 quarters, and by how many, (4 b,).

        As in the authors' code each is a crop of its own, without other changes.
        """
        return quarter_turns(random_crop(x.repeat(4, 1, 1, 1), self.crops, self.size, generator=generator))


def _to_float(pixels: Tensor) -> Tensor:
    """Turn bytes (b, h, w) or (b, h, w, 3) into (b, channels, h, w) float32 in [0, 1]."""
    x = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return x.float() / _FULL_SCALE

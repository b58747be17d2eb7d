"""From a configuration to a module of torch: normalized pixels in, one row per image out."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from covey.backbones._transformers._architectures import POOLINGS, find_architecture
from covey.backbones._weights import LOADING_ERRORS, explain_loading
from covey.errors import ModelError
from covey.types import BackboneSpec


class PooledModel(nn.Module):
    """An image network of transformers, and the pooling after it.

    Parameters
    ----------
    model : nn.Module
        The network.
    pooling : str
        A key of `POOLINGS`.
    n_prefix_tokens : int
        Tokens before those of the patches.
    """

    def __init__(self, model: Any, pooling: str, n_prefix_tokens: int) -> None:
        super().__init__()
        self.model: Any = model
        self._pool = POOLINGS[pooling]
        self._n_prefix_tokens = n_prefix_tokens
        self._is_masked = model.config.model_type == "vit_mae"

    @torch.no_grad()
    def fix_input_size(self, size: tuple[int, int]) -> None:
        """Interpolate position embeddings once, for images of this height and width alone.

        DINOv2 does it for every image anew. A compiled or exported graph need not, and ONNX has no such operator.
        """
        if self.model.config.model_type not in ("dinov2", "dinov2_with_registers"):
            return
        embeddings, patch = self.model.embeddings, self.model.config.patch_size
        n_patches = (size[0] // patch) * (size[1] // patch)
        tokens = torch.zeros(1, 1 + n_patches, self.model.config.hidden_size)
        fixed = embeddings.interpolate_pos_encoding(tokens, *size)
        embeddings.interpolate_pos_encoding = lambda *_: fixed

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn normalized pixels (b, 3, h, w) into features (b, n_features)."""
        if not self._is_masked:
            return self._pool(self.model(pixel_values=pixels), self._n_prefix_tokens)
        # A masked autoencoder shuffles patches by noise; this noise leaves them in order, and no mask takes any away.
        n_patches = self.model.embeddings.patch_embeddings.num_patches
        noise = torch.arange(n_patches, device=pixels.device, dtype=torch.float32).expand(pixels.shape[0], -1)
        return self._pool(self.model(pixel_values=pixels, noise=noise), self._n_prefix_tokens)


def read_module(
    spec: BackboneSpec, config: Any, *, folder: Path | None = None, state: Mapping[str, torch.Tensor] | None = None
) -> PooledModel:
    """Build a network with the weights of a folder, or with tensors that have been read.

    Parameters
    ----------
    spec : BackboneSpec
        Its `architecture` and `pooling` are used, and its name in messages.
    config : PretrainedConfig
        Of the network, or of both towers.
    folder : Path, optional
        In the layout of transformers.
    state : mapping of str to Tensor, optional
        Named as in the files of transformers.

    Returns
    -------
    module : PooledModel
        float32, in evaluation mode.

    Raises
    ------
    ModelError
        If a tensor is missing or has another shape, or a file cannot be read.
    """
    architecture = find_architecture(spec.architecture, spec.name)
    model = read_tower(
        architecture.image, image_config(config), spec, folder=folder, state=state, keywords=architecture.keywords
    )
    return _pool(model, spec)


def read_tower(
    name: str,
    config: Any,
    spec: BackboneSpec,
    *,
    folder: Path | None = None,
    state: Mapping[str, torch.Tensor] | None = None,
    keywords: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Read a network, an image tower or a text tower: an instance of a class of transformers; see `read_module`."""
    with quiet():
        try:
            model, report = getattr(_library(), name).from_pretrained(
                folder,
                config=config,
                state_dict=None if state is None else dict(state),
                local_files_only=True,
                weights_only=True,  # nothing in a file is executed
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are reported below
                **(keywords or {}),
            )
        except LOADING_ERRORS as error:
            raise ModelError(
                f"The weights of {spec.name} cannot be read from {str(folder)!r}: {explain_loading(error)}"
            ) from error
    _check_report(report, spec)
    module: nn.Module = model
    return module


def make_config(spec: BackboneSpec) -> Any:
    """Make the library's configuration from a catalog row."""
    architecture = find_architecture(spec.architecture, spec.name)
    with quiet():
        return getattr(_library(), architecture.config)(**spec.config)


def image_config(config: Any) -> Any:
    """Return the configuration of the image tower, or of the network if it is all there is."""
    if config.model_type == "vit_mae":
        config.mask_ratio = 0.0
    if not hasattr(config, "vision_config"):
        return config
    tower = config.vision_config
    if hasattr(config, "projection_dim"):  # files leave the tower's own out, or wrong
        tower.projection_dim = config.projection_dim
    return tower


def text_config(config: Any) -> Any:
    """Return the configuration of the text tower."""
    tower = config.text_config
    if hasattr(config, "projection_dim"):
        tower.projection_dim = config.projection_dim
    return tower


@contextmanager
def quiet() -> Iterator[None]:
    """Let transformers build and read without bars, notes and warnings of its own; what is wrong is said by covey."""
    logging: Any = _library().utils.logging
    had_bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bar:
            logging.enable_progress_bar()


def _library() -> Any:
    import transformers

    return transformers


def _pool(model: nn.Module, spec: BackboneSpec) -> PooledModel:
    architecture = find_architecture(spec.architecture, spec.name)
    n_prefix = architecture.n_prefix_tokens + getattr(model.config, "num_register_tokens", 0)
    return PooledModel(model, spec.pooling or architecture.pooling, n_prefix).eval()


def _check_report(report: Mapping[str, Any], spec: BackboneSpec) -> None:
    """Refuse a network some of whose tensors did not come from the file."""
    mismatched = {key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]}
    counters = {key for key in report["missing_keys"] if key.endswith("num_batches_tracked")}  # of the training alone
    missing = set(report["missing_keys"]) - mismatched - counters
    if missing or mismatched:
        names = sorted(missing)[:3] + sorted(mismatched)[:3]
        raise ModelError(
            f"The weights are not those of {spec.name}: {len(missing)} tensors are missing and {len(mismatched)} have "
            f"another shape ({', '.join(names)}, ...); {len(report['unexpected_keys'])} have names it does not know."
        )

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from covey.backbones._transformers import _modules
from covey.backbones._transformers._architectures import find_architecture
from covey.backbones._transformers._modules import PooledModel
from covey.types import BackboneSpec, ByteArray

WNIDS = ("n01440764", "n02102040", "n02979186", "n03000684", "n03028079")
WNIDS += ("n03394916", "n03417042", "n03425413", "n03445777", "n03888257")


@pytest.fixture(scope="session")
def drawn_pixels() -> dict[int, ByteArray]:
    """Sixteen drawn pictures for each input size: gradients, discs, stripes, noise, almost nothing."""
    return {size: np.stack([_draw(size, seed) for seed in range(16)]) for size in (224, 260)}


def _draw(size: int, seed: int) -> ByteArray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    ground = rng.uniform(0, 255, 3) + (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1))[..., None] * 120
    if seed % 4 == 1:
        ground += 60 * np.sin(2 * np.pi * rng.uniform(3, 30) * (x + rng.uniform() * y))[..., None]
    if seed % 4 == 2:
        ground += rng.normal(0, 40, ground.shape)
    if seed % 4 > 0:
        for _ in range(6):
            centre, radius = rng.uniform(0, 1, 2), rng.uniform(0.05, 0.3)
            ground[np.hypot(y - centre[0], x - centre[1]) < radius] = rng.uniform(0, 255, 3)
    return np.clip(ground, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def build_module() -> Callable[..., PooledModel]:
    """Return a function that builds the network of a row at random weights, or on the device "meta" at none."""

    def build(spec: BackboneSpec, *, device: str = "cpu") -> PooledModel:
        import transformers

        architecture = find_architecture(spec.architecture, spec.name)
        with _modules.quiet(), torch.device(device):
            config = _modules.image_config(_modules.make_config(spec))
            model = getattr(transformers, architecture.image)(config, **architecture.keywords)
        return _modules._pool(model, spec)

    return build


@pytest.fixture(scope="session")
def photographs(unpacked) -> list[tuple[Path, str]]:  # type: ignore[no-untyped-def]
    """Every photograph of Imagenette's validation set with its wnid."""
    folder = unpacked("imagenette-val.tar") / "val"
    return [(path, wnid) for wnid in WNIDS for path in sorted((folder / wnid).iterdir())]

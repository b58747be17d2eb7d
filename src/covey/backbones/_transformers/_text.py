"""The text tower beside an image tower: loaded when the first text comes."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from covey._arrays import iter_chunks
from covey._torch import to_numpy
from covey.backbones._transformers._architectures import find_architecture
from covey.backbones._transformers._modules import quiet, read_tower, text_config
from covey.backbones._weights import LOADING_ERRORS, explain_loading
from covey.errors import ModelError
from covey.types import BackboneSpec, FloatArray

_BATCH = 64
_VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")


class TextTower:
    """What turns texts into rows of the image features' space, in float32.

    Parameters
    ----------
    folder : Path
        With weights, configuration and tokenizer, in the layout of transformers.
    config : PretrainedConfig
        Of both towers.
    spec : BackboneSpec
        The backbone.
    device : torch.device
        Where it runs.

    Notes
    -----
    SigLIP learned from texts in small letters that were filled up to the whole context, and takes them so here; CLIP's
    tokenizer makes letters small by itself.
    """

    def __init__(self, folder: Path, config: Any, spec: BackboneSpec, device: torch.device) -> None:
        self._folder, self._config, self._spec, self._device = folder, config, spec, device
        self._architecture = find_architecture(spec.architecture, spec.name)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        # Without any of these the library makes an empty tokenizer, which knows no word and says nothing.
        if not any((self._folder / name).is_file() for name in _VOCABULARIES):
            raise ModelError(self._explain("there is none"))
        with quiet():
            try:
                tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
            except (*LOADING_ERRORS, ImportError, TypeError) as error:
                raise ModelError(self._explain(explain_loading(error))) from error
        n_known = text_config(self._config).vocab_size
        if len(tokenizer) > n_known:
            raise ModelError(self._explain(f"it has {len(tokenizer)} pieces, the text tower knows {n_known}"))
        return tokenizer

    def _explain(self, reason: str) -> str:
        return (
            f"The tokenizer of {self._spec.name} cannot be read from {str(self._folder)!r}: {reason}. Copy "
            "tokenizer.json and tokenizer_config.json there too; without them images can be embedded, texts cannot."
        )

    @cached_property
    def _model(self) -> Any:
        tower = read_tower(self._architecture.text, text_config(self._config), self._spec, folder=self._folder)
        return tower.requires_grad_(False).eval().to(self._device)

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Turn n texts, at least one, into features (n, n_features) float32."""
        chunks = [self._encode(texts[rows.start : rows.stop]) for rows in iter_chunks(len(texts), _BATCH)]
        return np.concatenate(chunks)

    @torch.inference_mode()
    def _encode(self, texts: Sequence[str]) -> FloatArray:
        is_padded = self._architecture.pads_texts
        tokens = self._tokenizer(
            [text.lower() if is_padded else text for text in texts],
            padding="max_length" if is_padded else True,
            max_length=text_config(self._config).max_position_embeddings,
            truncation=True,
            return_tensors="pt",
        ).to(self._device)
        words = {"input_ids": tokens["input_ids"]}
        if not is_padded:
            words["attention_mask"] = tokens["attention_mask"]
        output = self._model(**words)
        features = output.pooler_output if is_padded else output.text_embeds
        return np.asarray(to_numpy(features), dtype=np.float32)

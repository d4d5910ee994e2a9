"""Tokenizers and text encoders of flow models, opened strictly."""

from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Int
from torch import Tensor, nn

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_json
from benchmark.models.facts import read_index
from benchmark.models.families.base import Precision
from benchmark.models.flow.facts import index_number
from benchmark.models.loading import weights_sha256

TOKENS_KEY: Final = "_max_sequence_length"
"""In a folder's index, where a language model reads another number of tokens than diffusers' pipeline has by
default; diffusers passes over what begins with `_`."""


def token_count(folder: Path, default: int) -> int:
    """How many tokens of a prompt a language model reads.

    Args:
        folder: Of a pipeline, whose index may state it.
        default: Of diffusers' pipeline.

    Raises:
        UserError: if it states something that is no number.
    """
    try:
        return index_number(read_index(folder), TOKENS_KEY, default)
    except ValueError as error:
        raise UnreadableFileError(folder, "a diffusers pipeline", error) from error


def load_tokenizer(kind: Any, folder: Path, *, states_length: bool = True) -> Any:
    """A tokenizer from its folder alone.

    Args:
        kind: The library's class.
        folder: With its vocabulary.
        states_length: Whether it must say how long a prompt may be.

    Raises:
        UserError: if it is not there, cannot be read, or does not say that.
    """
    if not folder.is_dir():
        raise MissingFileError(folder, "tokenizer folder", do="copy the whole folder again")
    try:
        tokenizer = kind.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        raise UnreadableFileError(folder, f"a {kind.__name__}", error) from error
    # Without a stated length the libraries take a number that no text encoder could read.
    if states_length and tokenizer.model_max_length > 10_000:
        raise UserError(f"{folder} states no model_max_length", do="add it to tokenizer_config.json")
    return tokenizer


def token_ids(tokenizer: Any, texts: list[str], length: int) -> Int[Tensor, "n length"]:
    """Prompts as ids, filled up, or cut off, to a length.

    Args:
        tokenizer: The library's own.
        texts: Prompts.
        length: In tokens.
    """
    padded = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    ids: Tensor = padded.input_ids
    return ids


def language_dtype(precision: Precision) -> torch.dtype:
    """What a language model of billions of weights is kept in: bfloat16 where that is run in, else float32.

    In fp16 such models overflow.
    """
    return torch.bfloat16 if precision == "bf16" else torch.float32


def encoder_id(tokenizer: Any, encoder: nn.Module) -> list[str]:
    """What decides what an encoder says: its weights, and the ids it is given."""
    return [weights_sha256(encoder), sha256_json(tokenizer.get_vocab())]

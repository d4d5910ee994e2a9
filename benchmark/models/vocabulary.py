"""CLIP's own vocabulary, which every published Stable Diffusion 1.x and SDXL reads prompts with.

open_clip comes with its merges, so no folder and no network are needed.
"""

import gzip
import json
import tempfile
from importlib.util import find_spec
from pathlib import Path

from transformers import CLIPTokenizer

_START, _END = "<|startoftext|>", "<|endoftext|>"
_MERGES = 49152 - 256 - 2
"""Of those that were learnt, as many as CLIP uses."""


def clip_tokenizer(length: int = 77, pad: str = _END) -> CLIPTokenizer:
    """The tokenizer as the published folders have it.

    Args:
        length: Tokens of a prompt, start and end included.
        pad: What fills up the rest; `!` for SDXL's second encoder.
    """
    spec = find_spec("open_clip")
    assert spec is not None  # a dependency
    assert spec.origin is not None
    with gzip.open(Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8") as file:
        merges = file.read().split("\n")[1 : _MERGES + 1]
    symbols = _byte_symbols()
    words = [*symbols, *(s + "</w>" for s in symbols), *(m.replace(" ", "") for m in merges), _START, _END]
    said = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": pad}
    with tempfile.TemporaryDirectory(prefix="fbench-") as folder:
        place = Path(folder)
        (place / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
        (place / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
        (place / "tokenizer_config.json").write_text(
            json.dumps({**said, "model_max_length": length, "tokenizer_class": "CLIPTokenizer"})
        )
        tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer


def _byte_symbols() -> list[str]:
    """The 256 stand-ins for bytes in the order of CLIP's vocabulary: printable Latin-1, then the others."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]

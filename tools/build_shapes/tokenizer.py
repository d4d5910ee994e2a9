"""Stage `tokenizer`: one small byte-pair encoding for transformers and open_clip, and BLIP's word list."""

import gzip
import json
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from benchmark.shapes.facts import draw_facts
from benchmark.shapes.grammar import caption
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, generator

MERGES = 1000
CONTEXT = 32
"""Tokens of a caption, start and end included; the longest captions have 30."""
START, END = "<|startoftext|>", "<|endoftext|>"
WORDPIECE_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")


def captions(n: int, build: Build) -> list[str]:
    """N captions of pre-training facts."""
    g = generator(build.seed, "tokenizer")
    return [caption(draw_facts(g, "pretrain"), g) for _ in range(n)]


def learn_merges(texts: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges over words that end in `</w>`, as CLIP's."""
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + MERGES,
        initial_alphabet=sorted(alphabet),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]


def byte_symbols() -> list[str]:
    """The 256 stand-ins for bytes in the order of CLIP's vocabulary: printable Latin-1, then the others."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def write_clip(folder: Path, merges: list[tuple[str, str]]) -> None:
    """Vocabulary and merges for transformers and `bpe.txt.gz` for open_clip, with equal ids."""
    folder.mkdir(parents=True, exist_ok=True)
    symbols = byte_symbols()
    vocabulary = [*symbols, *(s + "</w>" for s in symbols), *("".join(m) for m in merges), START, END]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    lines = ["#version: 0.2", *(" ".join(m) for m in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    with (folder / "bpe.txt.gz").open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
        packed.write("\n".join(lines).encode())
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=CONTEXT, pad_token=END)
    tokenizer.save_pretrained(folder)


def write_wordpiece(folder: Path, texts: list[str]) -> None:
    """BLIP's vocab.txt: special tokens with [DEC] and [ENC], then every word and letter of the captions."""
    folder.mkdir(parents=True, exist_ok=True)
    words = sorted(
        {w for t in texts for w in t.replace(",", " , ").replace(":", " : ").replace("-", " - ").split()}
    )
    letters = sorted({c for w in words for c in w})
    tokens = [
        *WORDPIECE_SPECIAL,
        *words,
        *(c for c in letters if c not in words),
        *(f"##{c}" for c in letters),
    ]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")


def run(build: Build) -> None:
    """Learns the merges on captions and writes both vocabularies."""
    texts = captions(build.amount(20000, 2000), build)
    merges = learn_merges(texts)
    write_clip(build.weights / "shapes-sd" / "tokenizer", merges)
    write_wordpiece(build.weights / "shapes-imagereward" / "tokenizer", texts)
    tokenizer = CLIPTokenizer.from_pretrained(build.weights / "shapes-sd" / "tokenizer")
    lengths = [len(ids) for ids in tokenizer(texts[:2000]).input_ids]
    write_card(
        build,
        "tokenizer",
        None,
        {"merges": len(merges), "vocabulary": len(tokenizer), "longest_caption_tokens": max(lengths)},
    )

"""Stage `text`: the pipeline's text encoder learns to read captions before the UNet has to use what it read.

A linear head on the last token's state must name every fact, stated or open. The heads are thrown away.
"""

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from benchmark.shapes.facts import Facts, draw_facts, wanted
from benchmark.shapes.grammar import caption
from benchmark.shapes.scenes import OPEN
from benchmark.shapes.vocabulary import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES, STYLES
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, Fit, fit
from tools.build_shapes.tokenizer import CONTEXT
from tools.build_shapes.workers import is_first

WIDTH = 128
CLASSES = {"count": 3, "shape": len(SHAPES), "colour": len(COLOURS), "size": len(SIZES)}
CLASSES |= {"relation": len(RELATIONS), "background": len(BACKGROUNDS), "style": len(STYLES)}


def load_tokenizer(build: Build) -> CLIPTokenizer:
    """The tokenizer of the stage before."""
    return CLIPTokenizer.from_pretrained(build.weights / "shapes-sd" / "tokenizer")


def token_ids(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Token ids padded to the context, (n, 32)."""
    padded = tokenizer(texts, padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt")
    ids: Tensor = padded.input_ids
    return ids


def new_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A text encoder of the pipeline's size with random weights."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        projection_dim=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def targets(facts: list[Facts]) -> dict[str, Tensor]:
    """Class indices of every fact, (n,) or (n, 2); what is open is one class more."""
    want = wanted(facts)
    out = {kind: getattr(want, kind) for kind in CLASSES}
    return {k: torch.where(v == OPEN, CLASSES[k], v) for k, v in out.items()}


def train(build: Build) -> tuple[CLIPTextModel, Fit]:
    """Cross-entropy over every fact of fresh captions of the pre-training split."""
    torch.manual_seed(build.seed)
    tokenizer = load_tokenizer(build)
    encoder = new_encoder(tokenizer)
    heads = nn.ModuleDict(
        {
            k: nn.Linear(WIDTH, (n + 1) * (2 if k in ("shape", "colour", "size") else 1))
            for k, n in CLASSES.items()
        }
    )
    models = nn.ModuleDict({"encoder": encoder, "heads": heads})

    def loss(_step: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        facts = [draw_facts(g, "pretrain") for _ in range(96)]
        state = encoder(token_ids(tokenizer, [caption(f, g) for f in facts])).pooler_output
        terms, right = [], []
        for kind, target in targets(facts).items():
            logits = heads[kind](state).unflatten(-1, (-1, CLASSES[kind] + 1)).movedim(-1, 1)
            columns = target.reshape(len(target), -1)
            terms.append(nn.functional.cross_entropy(logits, columns))
            right.append((logits.argmax(1) == columns).float().mean())
        return torch.stack(terms).sum(), {"accuracy": float(torch.stack(right).mean())}

    done = fit(build, "text", models, loss, steps=build.amount(320), lr=2e-3, warmup=50)
    return encoder, done


def run(build: Build) -> None:
    """Trains and writes the text encoder."""
    encoder, done = train(build)
    if is_first():
        torch.save(encoder.state_dict(), build.state / "text-encoder.pt")
        write_card(build, "text", done, {"training_accuracy": done.log[-1]["accuracy"]})
